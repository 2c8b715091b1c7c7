// SPDX-License-Identifier: Apache-2.0
/*
 * test_export_text.c - the file sink: every record once, rotation, compression, reopening, full
 * disk, and what happens when nothing takes what is given.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "export_rig.h"

TestSuite(export_text, .timeout = 600);

static char text[64 << 20];
static struct export_rig rig;

/* Lines of text, and the sum of their packets; each must be whole. */
static uint32_t count(const char *t, uint64_t *packets)
{
	uint32_t n = 0;
	const char *nl;

	while ((nl = strchr(t, '\n'))) {
		const char *p = strstr(t, "\"packets\":");
		uint64_t v = 0;

		cr_assert(eq(chr, t[0], '{'));
		cr_assert(eq(chr, nl[-1], '}'));
		cr_assert(lt(ptr, (void *)p, (void *)nl));
		for (p += 10; *p >= '0' && *p <= '9'; p++)
			v = v * 10 + (uint64_t)(*p - '0');
		*packets += v;
		n++;
		t = nl + 1;
	}
	cr_assert(zero(chr, *t), "the last line is whole");
	return n;
}

Test(export_text, every_record_is_written_once)
{
	uint64_t packets = 0;

	rig_open(&rig, "file:%s/out");
	rig_flows(&rig, 10007);
	cr_assert(rig_settle(&rig, RIG_PATIENT));
	rig_flows(&rig, 23);
	rig_stop(&rig);
	cr_assert(eq(u64, rig.st.sent, 10030));
	cr_assert(gt(i64, rig_read(&rig, "out", text, sizeof(text)), 0));
	cr_assert(eq(u32, count(text, &packets), 10030));
	cr_assert(eq(u64, packets, rig.packets));
	cr_assert(eq(u64, rig.st.bytes, strlen(text)));
	export_rig_close(&rig);
}

static uint32_t count_gzip(const char *name, uint64_t *packets)
{
	char path[200];
	gzFile f;
	int n;

	snprintf(path, sizeof(path), "%s/%s", rig.dir, name);
	f = gzopen(path, "rb");
	cr_assert(ne(ptr, f, NULL));
	n = gzread(f, text, sizeof(text) - 1);
	cr_assert(ge(int, n, 0));
	text[n] = 0;
	cr_assert(eq(int, gzclose(f), Z_OK));
	return count(text, packets);
}

Test(export_text, rotates_by_size_and_keeps_every_line)
{
	uint64_t packets = 0;
	uint32_t lines = 0;
	struct stat st;

	rig_open(&rig, "file:%s/out?rotate_bytes=512Ki&keep=9&gzip=1");
	for (unsigned int i = 0; i < 6; i++) {
		rig_flows(&rig, 601);
		cr_assert(rig_settle(&rig, RIG_PATIENT));
	}
	rig_stop(&rig);
	cr_assert(eq(i64, rig_read(&rig, "out.1", text, sizeof(text)), -ENOENT), "compressed");
	for (unsigned int i = 0; i < 9; i++) {
		char name[32], path[200];

		snprintf(name, sizeof(name), "out.%u.gz", i);
		snprintf(path, sizeof(path), "%s/%s", rig.dir, name);
		if (i && !stat(path, &st))
			lines += count_gzip(name, &packets);
	}
	cr_assert(gt(u32, lines, 0));
	cr_assert(le(i64, rig_read(&rig, "out", text, sizeof(text)), 512 << 10));
	lines += count(text, &packets);
	cr_assert(eq(u32, lines, rig.flows));
	cr_assert(eq(u64, packets, rig.packets));
	export_rig_close(&rig);
}

Test(export_text, keeps_as_many_old_files_as_asked_for)
{
	rig_open(&rig, "file:%s/out?rotate_bytes=64Ki&keep=2");
	for (unsigned int i = 0; i < 5; i++) {
		rig_flows(&rig, 101);
		cr_assert(rig_settle(&rig, RIG_PATIENT));
	}
	rig_stop(&rig);
	cr_assert(gt(i64, rig_read(&rig, "out.1", text, sizeof(text)), 0));
	cr_assert(gt(i64, rig_read(&rig, "out.2", text, sizeof(text)), 0));
	cr_assert(eq(i64, rig_read(&rig, "out.3", text, sizeof(text)), -ENOENT));
	export_rig_close(&rig);
}

Test(export_text, reopens_the_name_when_told)
{
	char from[200], to[200];
	uint64_t packets = 0;
	uint32_t lines;

	rig_open(&rig, "file:%s/out");
	rig_flows(&rig, 11);
	cr_assert(rig_settle(&rig, RIG_PATIENT));
	snprintf(from, sizeof(from), "%s/out", rig.dir);
	snprintf(to, sizeof(to), "%s/moved", rig.dir);
	cr_assert(zero(int, rename(from, to)));
	exports_reopen(rig.x);
	for (unsigned int i = 0; i < RIG_PATIENT * 1000 && access(from, F_OK); i++)
		usleep(1000);
	rig_flows(&rig, 13);
	rig_stop(&rig);
	rig_read(&rig, "moved", text, sizeof(text));
	lines = count(text, &packets);
	cr_assert(eq(u32, lines, 11));
	rig_read(&rig, "out", text, sizeof(text));
	cr_assert(eq(u32, count(text, &packets), 13));
	cr_assert(eq(u64, packets, rig.packets));
	export_rig_close(&rig);
}

Test(export_text, csv_files_begin_with_a_header)
{
	rig_open(&rig, "file:%s/out?format=csv&rotate_bytes=64Ki");
	rig_flows(&rig, 3);
	cr_assert(rig_settle(&rig, RIG_PATIENT));
	exports_reopen(rig.x);
	rig_flows(&rig, 900);
	cr_assert(rig_settle(&rig, RIG_PATIENT));
	rig_stop(&rig);
	rig_read(&rig, "out", text, sizeof(text));
	cr_assert(zero(int, strncmp(text, "start,end,src.ip", 16)));
	cr_assert(eq(ptr, strstr(text + 10, "start,end"), NULL), "once");
	rig_read(&rig, "out.1", text, sizeof(text));
	cr_assert(zero(int, strncmp(text, "start,end,src.ip", 16)));
	cr_assert(eq(ptr, strstr(text + 10, "start,end"), NULL), "once");
	export_rig_close(&rig);
}

Test(export_text, a_full_disk_is_a_named_loss)
{
	rig_open(&rig, "file:/dev/full?queue_bytes=1Mi");
	rig_flows(&rig, 20011);
	for (unsigned int i = 0; i < RIG_PATIENT && !rig.st.lost[LOSS_DISK_FULL]; i++)
		cr_assert(not(rig_settle(&rig, 1)));
	cr_assert(gt(u64, rig.st.lost[LOSS_DISK_FULL], 0));
	rig_flows(&rig, 1);
	exports_finish(rig.x, 10000000);
	rig_stop(&rig);
	cr_assert(eq(u64, rig.st.waiting, 0));
	cr_assert(eq(u64, rig.st.sent, 0));
	cr_assert(eq(u64, rig.st.lost[LOSS_DISK_FULL] + rig.st.lost[LOSS_QUEUE_FULL], 20012));
	cr_assert(ne(ptr, strstr(rig.st.last_error, "No space left"), NULL));
	export_rig_close(&rig);
}

/* A pipe nobody reads: the drain goes on, the rest is counted, what was written is whole. */
Test(export_text, a_reader_that_does_not_read_costs_only_itself)
{
	uint64_t packets = 0, n = 0;
	char path[200];
	ssize_t got;
	int fd;

	snprintf(rig.dir, sizeof(rig.dir), "/tmp/weir-rig.XXXXXX");
	cr_assert(ne(ptr, mkdtemp(rig.dir), NULL));
	snprintf(path, sizeof(path), "%s/fifo", rig.dir);
	cr_assert(zero(int, mkfifo(path, 0600)));
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	rig_open(&rig, "file:%s/fifo?queue_bytes=1Mi");
	rig_flows(&rig, 5003);
	cr_assert(not(rig_settle(&rig, 1)));
	cr_assert(gt(u64, rig.st.lost[LOSS_QUEUE_FULL], 0));
	while ((got = read(fd, text + n, sizeof(text) - n - 1)) > 0 || !rig_settle(&rig, 0)) {
		n += got > 0 ? (uint64_t)got : 0;
		exports_stats(rig.x, 0, &rig.st);
		if (!rig.st.waiting && got <= 0)
			break;
	}
	rig_stop(&rig);
	while ((got = read(fd, text + n, sizeof(text) - n - 1)) >
	       0) /* written after the last look */
		n += (uint64_t)got;
	text[n] = 0;
	cr_assert(eq(u64, count(text, &packets), rig.st.sent));
	cr_assert(eq(u64, rig.st.sent + rig.st.lost[LOSS_QUEUE_FULL], 5003));
	close(fd);
	export_rig_close(&rig);
}
