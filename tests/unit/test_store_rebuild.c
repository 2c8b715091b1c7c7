// SPDX-License-Identifier: Apache-2.0
/*
 * test_store_rebuild.c - state.db missing or damaged: the store answers as before, from the files of flows.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store_rig.h"

TestSuite(store_rebuild, .timeout = 1800);

static void forget_file(const struct store_rig *g, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", g->dir, name);
	cr_assert(eq(int, unlink(path), 0), "%s", path);
}

static bool has_file(const struct store_rig *g, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", g->dir, name);
	return access(path, F_OK) == 0;
}

static bool said(const struct store_rig *g, const char *words)
{
	for (uint32_t i = 0; i < g->said_n; i++)
		if (strstr(g->said[i], words))
			return true;
	return false;
}

/* What a store answers: raw flows, roll-ups of all kinds, what it has acknowledged, names. */
struct answers {
	uint64_t flows, bytes, total_1m, total_5m, total_1h, hosts, pairs, names, bytes_1h, stored;
	uint64_t named;
};

static struct answers ask_all(struct store_rig *g)
{
	struct answers a = {0};

	g->from = 0;
	g->to = INT64_C(4000000000000000);
	a.flows = store_rig_number(g, "SELECT count(*) FROM %s");
	a.bytes = store_rig_number(g, "SELECT sum(bytes)::UBIGINT FROM %s");
	a.named = store_rig_number(g, "SELECT count(DISTINCT node) FROM %s");
	a.total_1m = store_rig_rollup(g, RB_TOTAL, ROLLUP_1M, "sum(flows)");
	a.total_5m = store_rig_rollup(g, RB_TOTAL, ROLLUP_5M, "sum(flows)");
	a.total_1h = store_rig_rollup(g, RB_TOTAL, ROLLUP_1H, "sum(flows)");
	a.bytes_1h = store_rig_rollup(g, RB_SERVICE, ROLLUP_1H, "sum(out_bytes)");
	a.hosts = store_rig_rollup(g, RB_HOST, ROLLUP_5M, "sum(out_bytes)");
	a.pairs = store_rig_rollup(g, RB_PAIR, ROLLUP_5M, "sum(flows)");
	a.names = store_rig_rollup(g, RB_NAME, ROLLUP_5M, "sum(flows)");
	store_committed(g->s, 1, 7, &a.stored);
	return a;
}

static void expect_same(struct store_rig *g, const struct answers *want, const char *when)
{
	const struct answers a = ask_all(g);

	cr_expect(eq(u64, a.flows, want->flows), "%s", when);
	cr_expect(eq(u64, a.bytes, want->bytes), "%s", when);
	cr_expect(eq(u64, a.named, want->named), "%s", when);
	cr_expect(eq(u64, a.total_1m, want->total_1m), "%s", when);
	cr_expect(eq(u64, a.total_5m, want->total_5m), "%s", when);
	cr_expect(eq(u64, a.total_1h, want->total_1h), "%s", when);
	cr_expect(eq(u64, a.bytes_1h, want->bytes_1h), "%s", when);
	cr_expect(eq(u64, a.hosts, want->hosts), "%s", when);
	cr_expect(eq(u64, a.pairs, want->pairs), "%s", when);
	cr_expect(eq(u64, a.names, want->names), "%s", when);
	cr_expect(eq(u64, a.stored, want->stored), "%s", when);
}

Test(store_rebuild, a_lost_or_damaged_state_is_made_of_the_flows_again)
{
	struct answers want;
	struct store_rig g;
	struct rows rows;

	if (!store_rig_open(&g, NULL))
		return;
	store_rig_fill_two(&g);
	want = ask_all(&g);
	cr_assert(eq(u64, want.flows, 40000));
	cr_assert(eq(u64, want.total_1h, 40000));
	cr_assert(eq(u64, want.stored, 40000));
	cr_assert(gt(u64, want.hosts, 0));
	cr_assert(gt(u64, want.pairs, 0));
	cr_assert(gt(u64, want.names, 0));
	store_rig_close(&g);

	forget_file(&g, "state.db");
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	cr_expect(said(&g, "state.db is missing"), "%s", g.said[0]);
	cr_expect(said(&g, "from 2 partitions with 40000 flows"), "%s", g.said[1]);
	expect_same(&g, &want, "missing");
	store_rig_close(&g);

	g.said_n = 0;
	store_rig_spoil(&g, "state.db", 0, 12288);
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	cr_expect(said(&g, "renamed to state.db.damaged"), "%s", g.said[0]);
	cr_expect(has_file(&g, "state.db.damaged"));
	expect_same(&g, &want, "damaged");
	store_rig_close(&g);

	/* a power cut while it was made anew */
	g.said_n = 0;
	{
		char path[128];
		int fd;

		snprintf(path, sizeof(path), "%s/state.db.rebuilding", g.dir);
		fd = open(path, O_CREAT | O_WRONLY, 0600);
		cr_assert(ge(int, fd, 0));
		close(fd);
	}
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	cr_expect(said(&g, "half made"), "%s", g.said[0]);
	cr_expect(not(has_file(&g, "state.db.rebuilding")));
	expect_same(&g, &want, "half made");

	/* and it goes on: numbers are not given twice, sums are kept */
	rows_init(&rows, 6, STORE_RIG_T0 + 100000, 50000);
	store_rig_send(&g, &rows, 5000);
	cr_assert(eq(int, store_flush(g.s), 0));
	store_rig_reopen(&g);
	cr_expect(eq(u64, store_rig_number(&g, "SELECT count(*) FROM %s"), 45000));
	cr_expect(eq(u64, store_rig_number(&g, "SELECT count(DISTINCT flow_id) FROM %s"), 45000));
	cr_expect(eq(u64, store_rig_rollup(&g, RB_TOTAL, ROLLUP_1H, "sum(flows)"), 45000));
	store_rig_done(&g);
}

/* Neither it nor its copy: flows are there, who exported them has a number. */
Test(store_rebuild, without_any_names_exporters_are_numbers)
{
	struct answers want;
	struct store_rig g;

	if (!store_rig_open(&g, NULL))
		return;
	store_rig_fill_two(&g);
	want = ask_all(&g);
	store_rig_close(&g);
	forget_file(&g, "state.db");
	forget_file(&g, "names.db");
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	cr_expect(said(&g, "names of exporters"), "%s", g.said[1]);
	want.stored = 0;
	expect_same(&g, &want, "no names");
	cr_expect(eq(u64,
		     store_rig_number(&g, "SELECT count(*) FROM %s WHERE node LIKE 'exporter %%'"),
		     40000));
	store_rig_done(&g);
}

/* Which file counts is known without state.db too. */
Test(store_rebuild, of_parquet_and_of_late_flows_beside)
{
	struct store_stats st = {0};
	struct answers want;
	struct store_rig g;
	struct rows rows;

	if (!store_rig_open(&g, NULL))
		return;
	store_rig_fill_two(&g);
	store_rig_close(&g);
	g.cfg.cold_s = 60;
	g.cfg.upkeep_ms = 100;
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	for (uint32_t i = 0; i < 3000 && st.cold < 2; i++) {
		usleep(100000);
		store_stats(g.s, &st);
	}
	cr_assert(eq(u64, st.cold, 2));
	store_rig_close(&g);
	g.cfg.cold_s = 0;
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	rows_init(&rows, 8, STORE_RIG_T0 + 100000, 1000);
	rows.n = 40000;
	store_rig_send(&g, &rows, 500);
	cr_assert(eq(int, store_flush(g.s), 0));
	want = ask_all(&g);
	cr_assert(eq(u64, want.flows, 40500));
	store_rig_close(&g);
	forget_file(&g, "state.db");
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	store_stats(g.s, &st);
	cr_expect(eq(u64, st.cold, 2));
	expect_same(&g, &want, "cold");
	store_rig_done(&g);
}
