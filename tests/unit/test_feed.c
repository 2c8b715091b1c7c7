// SPDX-License-Identifier: Apache-2.0
/*
 * test_feed.c - what feeds bring: judged, kept on the disk, asked for when their time has come.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "collector/packs/feeds.h"
#include "pack_rig.h"

static struct pack_list list = {
	.name = "bad",
	.feed = {.max_entries = 6, .every_ns = 1, .file = "/none", .max_bytes = 4096}};

static int judge(const char *text, uint64_t had, char *why)
{
	const struct feed_body b = {.bytes = (char *)(uintptr_t)text, .len = strlen(text)};
	struct feed_own own = {};
	struct list_parse p;
	int r;

	cr_assert(eq(int, feed_own_add(&own, "198.18.0.0/15, 203.0.113.5-203.0.113.9, name"), 0));
	cr_expect(eq(u32, own.n, 2));
	r = feed_judge(&(struct feed_asked){&list, &own, had}, &b, &p, why);
	list_parse_done(&p);
	feed_own_done(&own);
	return r;
}

Test(feed, refuses_what_is_bad_and_says_why)
{
	static const struct {
		const char *text;
		uint64_t had;
		enum feed_bad want;
		const char *why;
	} cases[] = {
		{"192.0.2.1\n192.0.2.2\n", 4, FEED_GOOD, ""},
		{"192.0.2.1\n", 0, FEED_GOOD, ""},
		{"192.0.2.1\n", 3, FEED_SHRUNK, "1 values are left of 3"},
		{"", 0, FEED_EMPTY, "no value"},
		{"# 192.0.2.1\n\n", 0, FEED_EMPTY, "no value"},
		{"<html>\n192.0.2.1\n", 0, FEED_MALFORMED, "the first is line 1: '<html>'"},
		{"192.0.2.1\n10.0.0.0/9\n", 0, FEED_PRIVATE, "10.0.0.0/9"},
		{"192.0.2.1\n::/0\n", 0, FEED_PRIVATE, "::/0"},
		{"127.0.0.1\n", 0, FEED_PRIVATE, "127.0.0.1"},
		{"fe80::1\n", 0, FEED_PRIVATE, "fe80::1"},
		{"224.0.0.1\n", 0, FEED_PRIVATE, "224.0.0.1"},
		{"192.0.2.1\n198.19.255.255\n", 0, FEED_OWN, "198.19.255.255"},
		{"203.0.113.8/29\n", 0, FEED_OWN, "203.0.113.8/29"},
		{"1.1.1.1\n1.1.1.2\n1.1.1.3\n1.1.1.4\n1.1.1.5\n1.1.1.6\n1.1.1.7\n", 0, FEED_LARGE,
		 "more than 6"},
	};
	char why[FEED_WHY];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect(eq(int, judge(cases[i].text, cases[i].had, why), (int)cases[i].want),
			  "%zu: %s", i, why);
		cr_expect(strstr(why, cases[i].why) != NULL, "%zu: %s", i, why);
	}
}

Test(feed, names_are_not_judged_as_addresses)
{
	char why[FEED_WHY];

	list.names = 1;
	cr_expect(eq(int, judge("a.test\nb.test\n", 0, why), FEED_GOOD), "%s", why);
	cr_expect(eq(int, judge("1.2.3.4\n", 0, why), FEED_MALFORMED));
	list.names = 0;
}

Test(feed, one_bad_line_of_many_is_passed_over)
{
	char text[1024] = "", why[FEED_WHY];

	list.feed.max_entries = 100;
	for (int i = 0; i < 20; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "192.0.2.%d\n%s", i,
			 i == 7 ? "what\n" : "");
	cr_expect(eq(int, judge(text, 0, why), FEED_GOOD), "%s", why);
}

Test(feed, is_written_in_the_configuration_as_in_a_pack)
{
	struct pack_list l = {.name = "a", .feed = feed_default};
	char why[FEED_WHY];

	cr_expect(eq(int, feed_key(&l, "feed", "https://a.test/x", why), 0));
	cr_expect(eq(int, feed_key(&l, "max-entries", "7", why), 0));
	cr_expect(eq(int, feed_key(&l, "every", "2h", why), 0));
	cr_expect(eq(int, feed_key(&l, "format", "csv", why), 0));
	cr_expect(eq(int, feed_key(&l, "type", "names", why), 0));
	cr_expect(eq(str, (char *)(uintptr_t)l.feed.url, "https://a.test/x"));
	cr_expect(eq(u64, l.feed.max_entries, 7));
	cr_expect(eq(u64, l.feed.every_ns, UINT64_C(7200) * 1000000000));
	cr_expect(eq(int, l.feed.format, PACK_CSV));
	cr_expect(eq(int, l.names, 1));
	cr_expect(zero(ptr, (void *)(uintptr_t)feed_check(&l)));
	cr_expect(eq(int, feed_key(&l, "max_entries_", "7", why), -ENOENT));
	cr_expect(eq(int, feed_key(&l, "url", "x", why), -ENOENT));
	cr_expect(eq(int, feed_key(&l, "every", "x", why), -EINVAL));
	cr_expect(strstr(why, "every 'x': want a duration") != NULL, "%s", why);
}

/* ---- kept ---- */

static struct pack_rig rig;

static void begin(void)
{
	pack_rig_init(&rig);
}

static void end(void)
{
	pack_rig_done(&rig);
}

TestSuite(feed_keep, .init = begin, .fini = end);

Test(feed_keep, what_is_too_old_or_of_another_source_is_not_read)
{
	struct feed_state st = {.source = "/none", .good_us = 1000000, .n = 2, .etag = "\"a b\""},
			  got;
	char *text;

	cr_assert(eq(int, feed_values_write(rig.dir, "bad", "192.0.2.1\n192.0.2.2\n", 20), 0));
	cr_assert(eq(int, feed_state_write(rig.dir, "bad", &st), 0));
	feed_state_read(rig.dir, "bad", "/none", &got);
	cr_expect(eq(str, got.etag, "\"a b\""));
	cr_expect(eq(i64, got.good_us, 1000000));
	text = feed_values_read(rig.dir, &list, 2000000);
	cr_expect(eq(str, text, "192.0.2.1\n192.0.2.2\n"));
	free(text);
	list.feed.expire_ns = 3000000000;
	text = feed_values_read(rig.dir, &list, 4000000);
	cr_expect(text != NULL, "to the last");
	free(text);
	cr_expect(zero(ptr, feed_values_read(rig.dir, &list, 4000001)));
	list.feed.file = "/other";
	cr_expect(zero(ptr, feed_values_read(rig.dir, &list, 2000000)));
	feed_state_read(rig.dir, "bad", "/other", &got);
	cr_expect(zero(i64, got.good_us));
}

Test(feed_keep, what_somebody_has_written_into_it_is_not_read)
{
	const struct feed_state st = {.source = "/none", .good_us = 1000000, .n = 1};

	cr_assert(eq(int, feed_values_write(rig.dir, "bad", "192.0.2.1}\n", 11), 0));
	cr_assert(eq(int, feed_state_write(rig.dir, "bad", &st), 0));
	cr_expect(zero(ptr, feed_values_read(rig.dir, &list, 2000000)));
}

/* ---- asked for ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static unsigned int changes;

static void on_change(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	changes++;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
}

static void wait_for_change(unsigned int n)
{
	pthread_mutex_lock(&lock);
	while (changes < n)
		pthread_cond_wait(&more, &lock);
	pthread_mutex_unlock(&lock);
}

static void write_feed(const char *text)
{
	char path[256], next[256];
	FILE *out = fopen(pack_rig_path(&rig, "next", next), "w");

	fputs(text, out);
	fclose(out);
	cr_assert(eq(int, rename(next, pack_rig_path(&rig, "feed", path)), 0));
}

/* The first feed's status; to be released. */
static json_t *status(struct feeds *f)
{
	json_t *l = feeds_status(f), *o = json_incref(json_array_get(l, 0));

	json_decref(l);
	return o;
}

static void wait_for_state(struct feeds *f, const char *want)
{
	const struct timespec wait = {.tv_nsec = 2000000};
	bool is;

	do {
		json_t *o = status(f);

		is = !strcmp(json_string_value(json_object_get(o, "state")), want);
		json_decref(o);
		nanosleep(&wait, NULL);
	} while (!is);
}

Test(feed_keep, changes_are_told_and_bad_ones_are_not, .timeout = 600)
{
	const struct feeds_cfg cfg = {rig.dir, on_change, NULL};
	const char *const own[3] = {"198.18.0.0/15", NULL, ""};
	char path[256];
	struct pack_list l = {.name = "bad", .feed = feed_default};
	const struct pack_list *v[] = {&l};
	struct feeds *f;
	json_t *o;

	l.feed.file = pack_rig_path(&rig, "feed", path);
	l.feed.every_ns = UINT64_C(3600) * 1000000000;
	write_feed("192.0.2.1\n192.0.2.2\n192.0.2.3\n");
	cr_assert(eq(int, feeds_new(&cfg, &f), 0));
	cr_assert(eq(int, feeds_set(f, v, 1, own), 0));
	wait_for_change(1);
	cr_expect(eq(int, feeds_refresh(f, "other", false), -ENOENT));
	write_feed("198.18.3.3\n");
	cr_expect(eq(int, feeds_refresh(f, "bad", false), 0));
	wait_for_state(f, "own");
	write_feed("192.0.2.9\n");
	cr_expect(eq(int, feeds_refresh(f, "bad", false), 0));
	wait_for_state(f, "shrunk");
	cr_expect(eq(u32, changes, 1));
	cr_expect(eq(int, feeds_refresh(f, "bad", true), 0));
	wait_for_change(2);
	o = status(f);
	cr_expect(eq(i64, json_integer_value(json_object_get(o, "values")), 1));
	json_decref(o);
	cr_assert(eq(int, feeds_set(f, v, 1, own), 0));
	o = status(f);
	cr_expect(eq(i64, json_integer_value(json_object_get(o, "taken")), 2),
		  "it goes on as it was");
	json_decref(o);
	cr_assert(eq(int, feeds_set(f, v, 0, own), 0));
	o = feeds_status(f);
	cr_expect(eq(sz, json_array_size(o), 0));
	json_decref(o);
	feeds_free(f);
}
