// SPDX-License-Identifier: Apache-2.0
/*
 * test_eve_state.c - where a collector that comes back begins to read: places and their file, and what the store
 * says has been joined.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/eve/eve_join.h"
#include "collector/eve/eve_state.h"
#include "eve_rig.h"
#include "store_rig.h"

TestSuite(eve_state, .timeout = 120);

#define KEEP_MS 60000u

static struct eve_points points;

static bool add(uint64_t ino, uint64_t offset, uint64_t now_ms)
{
	const struct eve_position pos = {
		.dev = 1, .ino = ino, .offset = offset, .before = offset + 1};

	return eve_points_add(&points, &pos, now_ms, KEEP_MS);
}

Test(eve_state, the_first_place_is_as_old_as_it_must_be_and_no_older)
{
	cr_expect(add(7, 0, 0));
	for (uint64_t ms = 100; ms <= 300000; ms += 100)
		add(7, ms, ms);
	cr_expect(le(u64, points.v[0].at_ms, 300000 - KEEP_MS));
	cr_expect(ge(u64, points.v[0].at_ms, 300000 - KEEP_MS - 2000));
	cr_expect(le(u32, points.n, EVE_POINTS));
}

Test(eve_state, files_are_known_in_their_order)
{
	char path[] = "/tmp/weir-eve-state.XXXXXX";
	const struct eve_state_row row = {"/var/log/\"a\"/eve.json", &points};
	struct eve_saved saved;
	int fd = mkstemp(path);

	cr_assert(ge(int, fd, 0));
	close(fd);
	cr_expect(not(eve_state_read(path, row.source, &saved)));
	cr_assert(zero(int, eve_state_write(path, &row, 1)));
	cr_assert(eve_state_read(path, row.source, &saved), "known, and not there yet");
	cr_expect(zero(u32, saved.chain.n));

	add(UINT64_MAX, 100, 0);
	eve_points_alert(&points, 5000);
	add(UINT64_MAX, 200, 2000);
	eve_points_alert(&points, 4000);
	cr_expect(add(8, 30, 2001), "another file is told of at once");
	add(9, 40, 2002);
	cr_assert(zero(int, eve_state_write(path, &row, 1)));
	cr_assert(eve_state_read(path, row.source, &saved));
	cr_expect(not(eve_state_read(path, "/var/log/eve.json", &(struct eve_saved){})));
	cr_expect(eq(u64, saved.oldest_us, 4000));
	cr_assert(eq(u32, saved.chain.n, 3));
	cr_expect(eq(u64, saved.chain.v[0].ino, UINT64_MAX));
	cr_expect(eq(u64, saved.chain.v[0].offset, 100));
	cr_expect(eq(u64, saved.chain.v[0].before, 101));
	cr_expect(eq(u64, saved.chain.v[1].ino, 8));
	cr_expect(zero(u64, saved.chain.v[1].offset));
	cr_expect(eq(u64, saved.chain.v[2].ino, 9));
	unlink(path);
}

Test(eve_state, many_files_in_no_time_keep_the_oldest_place)
{
	add(1, 77, 0);
	for (uint64_t i = 2; i < 3 * EVE_POINTS; i++)
		add(i, 5, 10);
	cr_expect(le(u32, points.n, EVE_POINTS));
	cr_expect(eq(u64, points.v[0].pos.offset, 77));
	cr_expect(eq(u64, points.v[points.n - 1].pos.ino, 3 * EVE_POINTS - 1));
}

Test(eve_state, a_file_that_is_damaged_says_nothing)
{
	static const char *const texts[] = {
		"",
		"{}",
		"[1]",
		"{\"version\":1,\"files\":{\"a\":{\"oldest_us\":\"0\",\"chain\":[{\"dev\":\"1\"}]}}}",
		"{\"version\":2,\"files\":{\"a\":{\"oldest_us\":\"0\",\"chain\":[]}}}",
		"{\"version\":1,\"files\":{\"a\":{\"oldest_us\":\"x\",\"chain\":[]}}}"};
	char path[] = "/tmp/weir-eve-state.XXXXXX";
	struct eve_saved saved;
	int fd = mkstemp(path);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		cr_assert(zero(int, ftruncate(fd, 0)));
		cr_assert(eq(int, (int)pwrite(fd, texts[i], strlen(texts[i]), 0),
			     (int)strlen(texts[i])));
		cr_expect(not(eve_state_read(path, "a", &saved)), "%s", texts[i]);
	}
	close(fd);
	unlink(path);
}

static const struct eve_join_cfg cfg = {
	.window_ms = 60000, .skew_us = 1000000, .waiting = 16, .history = 1 << 20, .sources = 1};
static const struct eve_rig_line first = {.ms = 5,
					  .src = "192.0.2.1",
					  .dst = "10.0.0.1",
					  .src_port = 1,
					  .dst_port = 2,
					  .sid = 41,
					  .severity = 1};
static const struct eve_rig_line late = {.ms = 9,
					 .src = "2001:db8::1",
					 .dst = "2001:db8::2",
					 .src_port = 3,
					 .dst_port = 4,
					 .sid = 42,
					 .severity = 1};

/* A flow with the one alert, another that the other alert is late for: durable. */
static void store_both(struct store_rig *g)
{
	static const int ports[2][2] = {{1, 2}, {3, 4}}, ms[2] = {0, 10};
	struct eve_join *j = eve_join_new(&cfg);
	struct block *b = block_get(g->pool);

	cr_assert(eve_rig_alert(j, &first, 1));
	eve_rig_flow(b, "192.0.2.1", "10.0.0.1", ports[0], ms);
	eve_rig_flow(b, "2001:db8::1", "2001:db8::2", ports[1], ms);
	eve_join_block(j, b, 1);
	block_send(g->pool, b);
	cr_assert(eve_rig_alert(j, &late, 2));
	b = block_get(g->pool);
	eve_join_late(j, b);
	cr_assert(eq(u32, b->rows, 1));
	block_send(g->pool, b);
	eve_join_free(j);
	cr_assert(zero(int, store_flush(g->s)));
}

Test(eve_state, the_store_knows_what_has_been_joined)
{
	const int64_t from = (int64_t)EVE_RIG_T0 - 1000000,
		      later = (int64_t)EVE_RIG_T0 + 3600000000;
	char error[STORE_ERROR] = "";
	uint64_t *seen = NULL;
	struct store_rig g;
	struct eve_join *j;
	size_t n = 0;

	if (!store_rig_open(&g, NULL))
		cr_skip("no engine");
	store_both(&g);
	cr_assert(zero(int, eve_state_seen(g.s, from, error, &seen, &n)), "%s", error);
	cr_expect(eq(sz, n, 2));
	j = eve_join_new(&cfg);
	eve_join_seen(j, seen, n);
	cr_assert(eve_rig_alert(j, &first, 1));
	cr_assert(eve_rig_alert(j, &late, 1));
	cr_expect(eq(u64, eve_join_count(j, 0, EC_REPEATED), 2));
	eve_join_free(j);
	/* what ended before is not asked for */
	cr_assert(zero(int, eve_state_seen(g.s, later, error, &seen, &n)), "%s", error);
	cr_expect(zero(sz, n));
	free(seen);
	store_rig_done(&g);
}
