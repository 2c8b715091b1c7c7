// SPDX-License-Identifier: Apache-2.0
/*
 * test_export_ipfix.c - IPFIX to a collector over TCP: all flows once; what happens when it goes,
 * comes back, is slow, or acknowledges; what the spool keeps, gives up, and finds damaged.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector_rig.h"
#include "common/ipfix.h"
#include "export_rig.h"

TestSuite(export_ipfix, .timeout = 600);

static struct collector col;
static struct export_rig rig;
static char text[300];

static const char *url(const char *rest)
{
	snprintf(text, sizeof(text), "ipfix+tcp://127.0.0.1:%u?message_bytes=4Ki%s", col.port,
		 rest);
	return text;
}

static void stop_all(void)
{
	rig_stop(&rig);
	collector_kill(&col);
	cr_expect(zero(u64, col.malformed));
	cr_expect(zero(u64, col.no_template));
}

/* Until the sink says so or RIG_PATIENT has passed. */
static bool until_connected(bool want)
{
	for (unsigned int i = 0; i < RIG_PATIENT * 500; i++) {
		exports_tick(rig.x);
		exports_stats(rig.x, 0, &rig.st);
		if (rig.st.connected == want)
			return true;
		usleep(2000);
	}
	return false;
}

/* However busy the machine is: nothing is to be lost for want of memory. */
static void until_spooled(void)
{
	do {
		exports_tick(rig.x);
		exports_stats(rig.x, 0, &rig.st);
		usleep(500);
	} while (rig.st.queue_bytes);
}

static uint64_t spool_files(char *path_of_first)
{
	DIR *d = opendir(rig.dir);
	struct dirent *e;
	uint64_t n = 0;
	char first[64] = "~";

	while (d && (e = readdir(d)))
		if (strstr(e->d_name, ".ipfix")) {
			n++;
			if (strcmp(e->d_name, first) < 0)
				snprintf(first, sizeof(first), "%.60s", e->d_name);
		}
	if (d)
		closedir(d);
	if (path_of_first)
		snprintf(path_of_first, 200, "%s/%s", rig.dir, first);
	return n;
}

Test(export_ipfix, all_flows_once)
{
	collector_start(&col);
	rig_open(&rig, url(""));
	rig_flows(&rig, 20011);
	cr_assert(rig_settle(&rig, RIG_PATIENT), "%s", rig.st.last_error);
	rig_flows(&rig, 101);
	rig_stop(&rig);
	cr_assert(collector_wait(&col, 20112));
	collector_kill(&col);
	cr_assert(eq(u64, rig.st.sent, 20112));
	cr_assert(eq(u64, col.packets, rig.packets));
	cr_assert(eq(u64, col.bytes, rig.bytes));
	cr_assert(zero(u32, collector_missing(&col, 20112)));
	cr_assert(zero(u32, collector_doubled(&col, 20112)));
	cr_assert(zero(u64, col.malformed + col.no_template));
	export_rig_close(&rig);
}

Test(export_ipfix, away_and_back_from_memory)
{
	collector_start(&col);
	rig_open(&rig, url(""));
	rig_flows(&rig, 1009);
	cr_assert(rig_settle(&rig, RIG_PATIENT));
	cr_assert(collector_wait(&col, 1009));
	collector_kill(&col);
	cr_assert(until_connected(false));
	rig_flows(&rig, 5003);
	cr_assert(not(rig_settle(&rig, 0)));
	collector_start(&col);
	cr_assert(rig_settle(&rig, RIG_PATIENT), "%s", rig.st.last_error);
	cr_assert(collector_wait(&col, 6012));
	stop_all();
	cr_assert(eq(u64, rig.st.sent, 6012));
	cr_assert(ge(u64, rig.st.reconnects, 1));
	cr_assert(zero(u32, collector_missing(&col, 6012)));
	cr_assert(zero(u32, collector_doubled(&col, 6012)));
	export_rig_close(&rig);
}

Test(export_ipfix, queue_full_while_away_is_counted)
{
	collector_start(&col);
	collector_kill(&col);
	rig_open(&rig, url("&queue_bytes=1Mi"));
	rig_flows(&rig, 30011);
	exports_stats(rig.x, 0, &rig.st);
	cr_assert(gt(u64, rig.st.lost[LOSS_QUEUE_FULL], 0));
	collector_start(&col);
	cr_assert(rig_settle(&rig, RIG_PATIENT));
	stop_all();
	cr_assert(eq(u64, rig.st.sent + rig.st.lost[LOSS_QUEUE_FULL], 30011));
	cr_assert(eq(u64, col.records, rig.st.sent));
	export_rig_close(&rig);
}

Test(export_ipfix, away_and_back_from_the_spool)
{
	collector_start(&col);
	rig_open(&rig, url("&queue_bytes=1Mi&spool=%s"));
	rig_flows(&rig, 503);
	cr_assert(rig_settle(&rig, RIG_PATIENT));
	cr_assert(collector_wait(&col, 503));
	collector_kill(&col);
	cr_assert(until_connected(false));
	for (int i = 0; i < 60; i++) {
		rig_flows(&rig, 1000);
		until_spooled();
	}
	exports_stats(rig.x, 0, &rig.st);
	cr_assert(gt(u64, rig.st.spool_bytes, 1 << 20), "more than memory would hold");
	collector_start(&col);
	cr_assert(rig_settle(&rig, RIG_PATIENT), "%s", rig.st.last_error);
	cr_assert(collector_wait(&col, 60503));
	stop_all();
	cr_assert(eq(u64, rig.st.sent, 60503));
	cr_assert(zero(u64, rig.st.spool_bytes));
	cr_assert(zero(u32, collector_missing(&col, 60503)));
	cr_assert(zero(u32, collector_doubled(&col, 60503)));
	cr_assert(eq(u64, spool_files(NULL), 0));
	export_rig_close(&rig);
}

/* One run fills the spool, the next one sends it. */
static void fill_spool(const char *rest, uint32_t flows)
{
	collector_start(&col);
	collector_kill(&col);
	rig_open(&rig, url(rest));
	while (rig.flows < flows) {
		rig_flows(&rig, 500);
		until_spooled();
	}
	rig_stop(&rig);
	cr_assert(zero(u64, rig.st.sent));
	rig.x = exports_free(rig.x);
}

Test(export_ipfix, the_next_run_sends_what_was_left)
{
	fill_spool("&spool=%s", 10000);
	cr_assert(eq(u64, rig.st.waiting, 10000));
	collector_start(&col);
	rig_open(&rig, url("&spool=%s&biflow=0"));
	cr_assert(collector_wait(&col, 10000));
	rig_flows(&rig, 11);
	cr_assert(rig_settle(&rig, RIG_PATIENT));
	rig_stop(&rig);
	cr_assert(eq(u64, rig.st.replayed, 10000));
	cr_assert(eq(u64, rig.st.sent, 11));
	collector_kill(&col);
	cr_assert(zero(u32, collector_missing(&col, 10011)));
	cr_assert(zero(u64, col.malformed + col.no_template));
	cr_assert(eq(u64, col.packets, rig.packets));
	export_rig_close(&rig);
}

Test(export_ipfix, a_full_spool_gives_up_the_oldest)
{
	fill_spool("&spool=%s&spool_bytes=1Mi", 30000);
	cr_assert(gt(u64, rig.st.lost[LOSS_SPOOL_FULL], 0));
	cr_assert(eq(u64, rig.st.lost[LOSS_SPOOL_FULL] + rig.st.waiting, 30000));
	cr_assert(le(u64, rig.st.spool_bytes, 1 << 20));
	collector_start(&col);
	rig_open(&rig, url("&spool=%s&spool_bytes=1Mi"));
	cr_assert(collector_wait(&col, rig.st.waiting));
	rig_stop(&rig);
	collector_kill(&col);
	cr_assert(eq(u64, col.records, 30000 - collector_missing(&col, 30000)));
	cr_assert(eq(u8, col.seen[29999], 1), "the youngest came");
	cr_assert(eq(u8, col.seen[0], 0), "the oldest did not");
	export_rig_close(&rig);
}

static void damage(const char *path, off_t at, const void *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	cr_assert(eq(i64, pwrite(fd, p, len, at), (ssize_t)len));
	close(fd);
}

Test(export_ipfix, damage_in_a_spool_costs_what_it_hits)
{
	char path[200];
	struct stat st;

	fill_spool("&spool=%s", 10000);
	cr_assert(eq(u64, spool_files(path), 1));
	cr_assert(zero(int, stat(path, &st)));
	damage(path, st.st_size / 2, "\xde\xad\xbe\xef", 4); /* one message */
	collector_start(&col);
	rig_open(&rig, url("&spool=%s"));
	cr_assert(until_connected(true));
	for (unsigned int i = 0; i < RIG_PATIENT * 200 && rig.st.replayed + rig.st.old_lost < 10000;
	     i++) {
		usleep(5000);
		exports_stats(rig.x, 0, &rig.st);
	}
	rig_stop(&rig);
	cr_assert(collector_wait(&col, (unsigned int)rig.st.replayed));
	collector_kill(&col);
	cr_assert(eq(u64, rig.st.replayed + rig.st.old_lost, 10000));
	cr_assert(gt(u64, rig.st.old_lost, 0));
	cr_assert(lt(u64, rig.st.old_lost, 100), "one message of 4 KiB");
	cr_assert(eq(u64, col.records, rig.st.replayed));
	cr_assert(ne(ptr, strstr(rig.st.last_error, "damaged message"), NULL), "%s",
		  rig.st.last_error);
	export_rig_close(&rig);
}

Test(export_ipfix, a_spool_cut_short_is_read_as_far_as_it_goes)
{
	char path[200];
	struct stat st;

	fill_spool("&spool=%s", 10000);
	spool_files(path);
	cr_assert(zero(int, stat(path, &st)));
	cr_assert(zero(int, truncate(path, st.st_size / 2 + 7)));
	collector_start(&col);
	rig_open(&rig, url("&spool=%s"));
	cr_assert(collector_wait(&col, 4000));
	rig_flows(&rig, 1);
	cr_assert(rig_settle(&rig, RIG_PATIENT));
	rig_stop(&rig);
	cr_assert(collector_wait(&col, (unsigned int)rig.st.replayed + 1));
	collector_kill(&col);
	cr_assert(eq(u64, col.records, rig.st.replayed + 1));
	cr_assert(ne(ptr, strstr(rig.st.last_error, "segment"), NULL), "%s", rig.st.last_error);
	export_rig_close(&rig);
}

/* The collector dies after it read and before it stored: what it did not acknowledge comes again. */
Test(export_ipfix, what_is_not_acknowledged_is_sent_again)
{
	uint32_t half;

	col.acks = true;
	col.deaf = 3000;
	collector_start(&col);
	rig_open(&rig, url("&spool=%s&acknowledge=yes"));
	rig_flows(&rig, 10007);
	exports_tick(rig.x);
	cr_assert(collector_wait(&col, 10007));
	collector_kill(&col);
	/* what it acknowledged may still have been on its way */
	cr_assert(until_connected(false));
	exports_stats(rig.x, 0, &rig.st);
	cr_assert(gt(u64, rig.st.waiting, 6000), "what was not acknowledged is kept");
	/* its store had as much as it had said */
	half = (uint32_t)(10007 - rig.st.waiting);
	col.next = half;
	memset(col.seen + half, 0, sizeof(col.seen) - half);
	col.deaf = 0;
	collector_start(&col);
	rig_flows(&rig, 23);
	cr_assert(rig_settle(&rig, RIG_PATIENT), "%s", rig.st.last_error);
	rig_stop(&rig);
	collector_kill(&col);
	cr_assert(eq(u64, rig.st.sent, 10030));
	cr_assert(zero(u32, collector_missing(&col, 10030)));
	cr_assert(zero(u32, collector_doubled(&col, 10030)));
	cr_assert(zero(u64, col.duplicates), "it starts where the collector is");
	export_rig_close(&rig);
}

/* Our own end in the middle: the next run goes on in the same numbering. */
Test(export_ipfix, numbering_goes_on_over_a_restart)
{
	uint64_t start;

	col.acks = true;
	collector_start(&col);
	rig_open(&rig, url("&spool=%s&acknowledge=yes"));
	rig_flows(&rig, 1009);
	cr_assert(rig_settle(&rig, RIG_PATIENT));
	collector_kill(&col);
	start = col.start_ms;
	cr_assert(until_connected(false));
	rig_flows(&rig, 2003);
	rig_stop(&rig);
	cr_assert(eq(u64, rig.st.waiting, 2003));
	rig.x = exports_free(rig.x);
	collector_start(&col);
	rig_open(&rig, url("&spool=%s&acknowledge=yes"));
	rig_flows(&rig, 11);
	exports_tick(rig.x);
	cr_assert(collector_wait(&col, 3023));
	cr_assert(rig_settle(&rig, RIG_PATIENT));
	rig_stop(&rig);
	collector_kill(&col);
	cr_assert(eq(u64, col.start_ms, start));
	cr_assert(eq(u32, col.next, 3023));
	cr_assert(eq(u64, rig.st.replayed, 2003));
	cr_assert(zero(u32, collector_missing(&col, 3023)));
	cr_assert(zero(u32, collector_doubled(&col, 3023)));
	export_rig_close(&rig);
}
