// SPDX-License-Identifier: Apache-2.0
/*
 * test_store.c - the store with its real engine: what goes in comes out, once, with equal roll-ups,
 * also after it was closed, killed or damaged. Skipped where there is no libduckdb.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/store/schema.h"
#include "collector/store/store.h"
#include "store_rows.h"
#include "store_rig.h"

TestSuite(store, .timeout = 1800);

#define T0     INT64_C(1790000000000000) /* at 26:40 of an hour */
#define EVER_S (UINT64_C(100) * 365 * 86400)

Test(store, what_goes_in_comes_out)
{
	struct store_rig g;
	struct rows rows;

	if (!store_rig_open(&g, NULL))
		return;
	rows_init(&rows, 1, T0, 1000);
	rows.exporters = 3;
	store_rig_send(&g, &rows, 30000);
	cr_assert(eq(int, store_flush(g.s), 0));
	cr_expect(eq(u64, store_rig_number(&g, "SELECT count(*) FROM %s"), rows.n));
	cr_expect(eq(u64, store_rig_number(&g, "SELECT sum(out_bytes) FROM %s"), rows.out_bytes));
	cr_expect(eq(u64, store_rig_number(&g, "SELECT sum(bytes) FROM %s"),
		     rows.out_bytes + rows.in_bytes));
	cr_expect(eq(u64, store_rig_number(&g, "SELECT sum(packets) FROM %s"),
		     rows.out_packets + rows.in_packets));
	cr_expect(eq(u64, store_rig_number(&g, "SELECT count(DISTINCT node) FROM %s"), 3));
	store_rig_done(&g);
}

Test(store, every_column_is_kept_as_it_was)
{
	struct store_rig g;
	struct block *b;
	char sql[256];

	if (!store_rig_open(&g, NULL))
		return;
	b = block_get(g.pool);
	for (unsigned int c = 0; c < _BC_MAX; c++) {
		uint64_t v = c == BC_END || c == BC_START ? T0 : c == BC_EXPORTER ? 1 : c + 1;
		bool text = block_columns[c].type == BT_STR;

		if (text)
			cr_assert(eq(int,
				     block_put_text(b, c, 0, block_columns[c].name,
						    (uint32_t)strlen(block_columns[c].name)),
				     0));
		else
			memcpy(b->data[c], &v, block_columns[c].size);
		block_set_valid(b, c, 0);
	}
	BLOCK_COLUMN(b, int64_t, BC_END)[1] = T0 + 1; /* a row that has nothing else */
	block_set_valid(b, BC_END, 1);
	BLOCK_COLUMN(b, uint32_t, BC_EXPORTER)[1] = 1;
	block_set_valid(b, BC_EXPORTER, 1);
	b->rows = 2;
	block_send(g.pool, b);
	cr_assert(eq(int, store_flush(g.s), 0));
	for (unsigned int c = 0; c < _BC_MAX; c++) {
		const char *name = block_columns[c].name;

		if (c == BC_END || c == BC_START || c == BC_EXPORTER)
			continue;
		if (block_columns[c].type == BT_STR)
			snprintf(sql, sizeof(sql), "SELECT count(*) FROM %%s WHERE %s = '%s'", name,
				 name);
		else
			snprintf(sql, sizeof(sql), "SELECT count(*) FROM %%s WHERE %s = %u", name,
				 c + 1);
		cr_expect(eq(u64, store_rig_number(&g, sql), 1), "%s", sql);
		snprintf(sql, sizeof(sql), "SELECT count(*) FROM %%s WHERE %s IS NULL", name);
		cr_expect(eq(u64, store_rig_number(&g, sql), 1), "%s", sql);
	}
	store_rig_done(&g);
}

Test(store, text_that_is_no_utf8_is_replaced_octet_by_octet)
{
	struct store_rig g;
	struct block *b;

	if (!store_rig_open(&g, NULL))
		return;
	b = block_get(g.pool);
	for (uint32_t i = 0; i < 2; i++) {
		BLOCK_COLUMN(b, int64_t, BC_END)[i] = T0;
		block_set_valid(b, BC_END, i);
		BLOCK_COLUMN(b, uint32_t, BC_EXPORTER)[i] = 1;
		block_set_valid(b, BC_EXPORTER, i);
	}
	cr_assert(eq(int,
		     block_put_text(b, BC_TLS_SNI, 0, "a\xff\xfe-long-enough-not-to-be-short", 31),
		     0));
	cr_assert(eq(int, block_put_text(b, BC_TLS_SNI, 1, "gr\xc3\xbc\xc3\x9f", 6), 0));
	b->rows = 2;
	block_send(g.pool, b);
	cr_assert(eq(int, store_flush(g.s), 0));
	cr_expect(
		eq(u64,
		   store_rig_number(&g, "SELECT count(*) FROM %s WHERE tls_sni = "
					"'a\xef\xbf\xbd\xef\xbf\xbd-long-enough-not-to-be-short'"),
		   1));
	cr_expect(eq(u64,
		     store_rig_number(
			     &g, "SELECT count(*) FROM %s WHERE tls_sni = 'gr\xc3\xbc\xc3\x9f'"),
		     1));
	store_rig_done(&g);
}

/* Sums of every roll-up beside those of the raw flows, for a range. */
static void expect_equal_rollups(struct store_rig *g, int64_t from, int64_t to)
{
	static const uint32_t steps[] = {ROLLUP_1M, ROLLUP_5M, ROLLUP_1H};

	g->from = from;
	g->to = to;
	for (unsigned int by = 0; by < _RB_MAX; by++) {
		for (unsigned int i = 0; i < 3; i++) {
			const char *where =
				by == RB_ZONE ? "WHERE src_zone > 0"
				: by == RB_NAME
					? "WHERE coalesce(tls_sni, http_host, dns_qname) IS NOT NULL"
					: "";
			uint64_t scale = by == RB_HOST ? 2 : 1;
			char sql[256];

			if (by >= RB_HOST && steps[i] != ROLLUP_5M)
				continue;
			snprintf(sql, sizeof(sql), "SELECT coalesce(sum(bytes), 0) FROM %%s %s",
				 where);
			cr_expect(eq(u64,
				     store_rig_rollup(g, by, steps[i],
						      "sum(out_bytes) + sum(in_bytes)"),
				     scale * store_rig_number(g, sql)),
				  "by %u step %u", by, steps[i]);
			snprintf(sql, sizeof(sql), "SELECT count(*) FROM %%s %s", where);
			cr_expect(eq(u64, store_rig_rollup(g, by, steps[i], "sum(flows)"),
				     scale * store_rig_number(g, sql)),
				  "by %u step %u", by, steps[i]);
		}
	}
	g->from = INT64_MIN;
	g->to = INT64_MAX;
}

Test(store, rollups_are_equal_to_raw_flows_open_closed_and_reopened)
{
	struct store_cfg cfg = {.top_n = 50, .keep_1m_s = EVER_S, .keep_5m_s = EVER_S};
	struct store_rig g;
	struct rows rows;

	if (!store_rig_open(&g, &cfg))
		return;
	rows_init(&rows, 2, T0, 100000); /* 40000 flows: 67 minutes, over two hours */
	rows.exporters = 3;
	store_rig_send(&g, &rows, 40000);
	cr_assert(eq(int, store_flush(g.s), 0));
	expect_equal_rollups(&g, T0 - 1000000, T0 + 5000000000);
	expect_equal_rollups(&g, T0 + 61234567, T0 + 3912345678); /* uneven ends */
	store_rig_reopen(&g);
	cr_expect(eq(u64, store_rig_number(&g, "SELECT count(*) FROM %s"), rows.n));
	expect_equal_rollups(&g, T0 - 1000000, T0 + 5000000000);
	/* late flows, of windows that were written */
	rows.end_us = T0 + 600000000;
	store_rig_send(&g, &rows, 5000);
	cr_assert(eq(int, store_flush(g.s), 0));
	expect_equal_rollups(&g, T0 - 1000000, T0 + 5000000000);
	expect_equal_rollups(&g, T0 + 61234567, T0 + 3912345678);
	store_rig_reopen(&g);
	expect_equal_rollups(&g, T0 - 1000000, T0 + 5000000000);
	cr_expect(eq(u64, store_rig_rollup(&g, RB_TOTAL, ROLLUP_1H, "sum(est_bytes)"),
		     rows.est_bytes));
	store_rig_close(&g);
	g.cfg.keep_1m_s = g.cfg.keep_5m_s = 3600; /* too old for finer ones at the ends */
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	g.from = T0 - 4321000000; /* there are whole hours, and ends */
	g.to = T0 + 3912345678;
	cr_expect(eq(u64, store_rig_rollup(&g, RB_SERVICE, ROLLUP_1H, "sum(flows)"),
		     store_rig_number(&g, "SELECT count(*) FROM %s")));
	store_rig_done(&g);
}

#define HOUR_US INT64_C(3600000000)

/* Partitions that a question about a range reads. */
static uint32_t partitions_of(struct store_rig *g, int64_t from, int64_t to)
{
	struct flow_source_cfg cfg = {.range = {from, to}};
	uint32_t n = 0;
	char *text;

	flow_source_add(&cfg, BC_END);
	cr_assert(eq(int, store_source(g->s, &cfg, &text), 0));
	for (const char *at = text; (at = strstr(at, "FROM p")); at++)
		n++;
	free(text);
	return n;
}

static uint64_t count_in(struct store_rig *g, int64_t from, int64_t to)
{
	g->from = from;
	g->to = to;
	return store_rig_number(g, "SELECT count(*) FROM %s");
}

Test(store, of_partitions_that_are_being_written_those_of_the_range_are_read)
{
	const int64_t first = T0 / HOUR_US * HOUR_US;
	struct store_rig g;
	struct rows rows;

	if (!store_rig_open(&g, NULL))
		return;
	rows_init(&rows, 3, first, HOUR_US / 10);
	for (unsigned int i = 0; i < 3; i++) { /* ten flows an hour, ten hours at once */
		store_rig_send(&g, &rows, 100);
		cr_assert(eq(int, store_flush(g.s), 0));
	}
	cr_expect(eq(u32, partitions_of(&g, first, first + 30 * HOUR_US), 30));
	for (int64_t h = 0; h < 30; h += 4) {
		const int64_t from = first + h * HOUR_US;

		cr_expect(le(u32, partitions_of(&g, from, from + HOUR_US), 2), "hour %d", (int)h);
		cr_expect(eq(u64, count_in(&g, from, from + HOUR_US), 10), "hour %d", (int)h);
	}
	/* more hours at once than a flush writes: the last ones are where others' flows are */
	rows.end_us = first + 40 * HOUR_US;
	store_rig_send(&g, &rows, 300);
	cr_assert(eq(int, store_flush(g.s), 0));
	for (int64_t h = 40; h < 70; h += 3)
		cr_expect(eq(u64, count_in(&g, first + h * HOUR_US, first + (h + 1) * HOUR_US), 10),
			  "hour %d", (int)h);
	store_rig_done(&g);
}

Test(store, flows_that_come_meanwhile_are_in_the_range_or_not_in_the_answer)
{
	struct store_query q = {};
	struct flow_source_cfg cfg = {.range = {T0, T0 + 1000000000}};
	struct rollup_cfg rollup = {.range = cfg.range, .by = RB_TOTAL, .step = ROLLUP_1M};
	char *from[2], *sql;
	struct store_result *r;
	struct store_value v;
	struct store_rig g;
	struct rows rows;
	uint32_t n;

	if (!store_rig_open(&g, NULL))
		return;
	rows_init(&rows, 8, T0, 1000000);
	store_rig_send(&g, &rows, 1000);
	cr_assert(eq(int, store_flush(g.s), 0));
	cr_assert(eq(int, store_source(g.s, &cfg, &from[0]), 0));
	cr_assert(eq(int, store_rollup(g.s, &rollup, &from[1]), 0));
	store_rig_send(&g, &rows, 500); /* of the same hour */
	cr_assert(eq(int, store_flush(g.s), 0));
	for (unsigned int i = 0; i < 2; i++) {
		cr_assert(gt(int,
			     asprintf(&sql, "SELECT %s::UBIGINT FROM %s r",
				      i ? "sum(flows)" : "count(*)", from[i]),
			     0));
		q.sql = sql;
		cr_assert(eq(int, store_select(g.s, &q, g.error, &r), 0), "%s", g.error);
		cr_assert(eq(int, store_next(r, &n), 0), "%s", store_error(r));
		cr_assert(store_get(r, 0, 0, &v));
		cr_expect(eq(u64, v.u, 1000));
		store_result_free(r);
		free(from[i]);
		free(sql);
	}
	store_rig_done(&g);
}

struct asking {
	struct store_rig *g;
	atomic_bool end;
	atomic_uint_least64_t durable, sent;
	uint32_t fewer, more;
	atomic_uint n;
};

/* Flows by the hour, the ends by five minutes and by the minute. */
static void *ask_again_and_again(void *arg)
{
	struct asking *a = arg;

	while (!atomic_load(&a->end)) {
		const uint64_t least = atomic_load(&a->durable);
		const uint64_t n = store_rig_rollup(a->g, RB_TOTAL, ROLLUP_1H, "sum(flows)");

		a->fewer += n < least;
		a->more += n > atomic_load(&a->sent);
		a->n++;
	}
	return NULL;
}

Test(store, no_flow_is_missed_while_windows_are_written)
{
	struct store_cfg cfg = {.partition_s = 86400, .keep_1m_s = EVER_S, .keep_5m_s = EVER_S};
	struct store_rig g;
	struct asking a = {.g = &g};
	struct rows rows;
	pthread_t thread;
	uint32_t n;

	if (!store_rig_open(&g, &cfg))
		return;
	g.from = T0 - 3 * 3600000000 - 61000001;
	g.to = T0 + 20 * 3600000000 + 61000001;
	cr_assert(eq(int, pthread_create(&thread, NULL, ask_again_and_again, &a), 0));
	/* more windows than may be open at once, and until it has asked while they were written */
	for (n = 0; n < 12 || !atomic_load(&a.n); n++) {
		rows_init(&rows, n + 1, T0 + n * 7000000, 7000000);
		atomic_fetch_add(&a.sent, 10000);
		store_rig_send(&g, &rows, 10000);
		cr_assert(eq(int, store_flush(g.s), 0));
		atomic_fetch_add(&a.durable, 10000);
	}
	atomic_store(&a.end, true);
	pthread_join(thread, NULL);
	cr_expect(eq(u32, a.fewer, 0));
	cr_expect(eq(u32, a.more, 0));
	cr_expect(eq(u64, store_rig_rollup(&g, RB_TOTAL, ROLLUP_1H, "sum(flows)"), n * 10000));
	store_rig_done(&g);
}

/* Many rows out of few: something that takes its time. */
#define SLOW \
	"SELECT count(*) FROM range(100000) a, range(10000000) b WHERE a.range * b.range % 7 = 3"

static void *cancel_soon(void *arg)
{
	usleep(200000);
	store_cancel(arg);
	return NULL;
}

Test(store, a_query_is_cancelled_timed_out_or_wrong)
{
	struct store_query q = {.sql = SLOW};
	struct store_result *r;
	struct store_rig g;
	pthread_t thread;
	uint32_t n;

	if (!store_rig_open(&g, NULL))
		return;
	cr_assert(eq(int, store_select(g.s, &q, g.error, &r), 0));
	cr_assert(eq(int, pthread_create(&thread, NULL, cancel_soon, r), 0));
	cr_expect(eq(int, store_next(r, &n), -ECANCELED));
	pthread_join(thread, NULL);
	store_result_free(r);
	q.timeout_ms = 200;
	cr_assert(eq(int, store_select(g.s, &q, g.error, &r), 0));
	cr_expect(eq(int, store_next(r, &n), -ETIMEDOUT));
	store_result_free(r);
	q.sql = "SELECT no_such_column FROM exporters";
	cr_expect(eq(int, store_select(g.s, &q, g.error, &r), -EINVAL));
	cr_expect(strstr(g.error, "no_such_column") != NULL, "%s", g.error);
	store_rig_done(&g);
}

Test(store, values_are_bound_and_come_back_as_what_they_are)
{
	const struct store_value in[] = {{.type = ST_TEXT, .s = {"it's; -- text", 13}},
					 {.type = ST_I64, .i = -5},
					 {.type = ST_U64, .u = UINT64_MAX},
					 {.type = ST_NULL}};
	struct store_query q = {
		.sql = "SELECT $1::VARCHAR AS a, $2::BIGINT, $3::UBIGINT, $4::VARCHAR, sum(x), avg(x), "
		       "sum(x)::DECIMAL(38,2) / 4 FROM (VALUES (18446744073709551615::"
		       "UBIGINT), (1)) v(x)",
		.values = in,
		.values_n = 4};
	struct store_result *r;
	struct store_value v;
	struct store_rig g;
	uint32_t n;

	if (!store_rig_open(&g, NULL))
		return;
	cr_assert(eq(int, store_select(g.s, &q, g.error, &r), 0), "%s", g.error);
	cr_expect(eq(u32, store_columns(r), 7));
	cr_expect(eq(str, (char *)store_column_name(r, 0), "a"));
	cr_assert(eq(int, store_next(r, &n), 0), "%s", store_error(r));
	cr_assert(eq(u32, n, 1));
	cr_assert(store_get(r, 0, 0, &v));
	cr_expect(eq(u32, v.s.len, 13));
	cr_expect(eq(int, memcmp(v.s.s, "it's; -- text", 13), 0));
	cr_assert(store_get(r, 1, 0, &v));
	cr_expect(eq(i64, v.i, -5));
	cr_assert(store_get(r, 2, 0, &v));
	cr_expect(eq(u64, v.u, UINT64_MAX));
	cr_expect(not(store_get(r, 3, 0, &v)));
	cr_assert(store_get(r, 4, 0, &v)); /* beyond 64 bits */
	cr_expect(eq(int, v.type, ST_F64));
	cr_expect(gt(dbl, v.f, 1.8e19));
	cr_expect(eq(int, store_next(r, &n), -ENODATA));
	store_result_free(r);
	store_rig_done(&g);
}

/* A statement as it is. What it says of its success is no answer. */
static void change(struct store_rig *g, const char *sql)
{
	struct store_query q = {.sql = sql};
	struct store_result *r;
	uint32_t n;
	int e;

	cr_assert(eq(int, store_select(g->s, &q, g->error, &r), 0), "%s", g->error);
	while (!(e = store_next(r, &n)))
		;
	cr_assert(eq(int, e, -ENODATA), "%s", store_error(r));
	store_result_free(r);
}

/* What version 1 wrote is what this one writes without the names of systems. */
Test(store, a_store_of_an_older_version_goes_on_and_one_of_a_newer_is_refused)
{
	struct store_rig g;
	struct rows rows;

	if (!store_rig_open(&g, NULL))
		return;
	rows_init(&rows, 4, T0, 1000);
	store_rig_send(&g, &rows, 20000);
	cr_assert(eq(int, store_flush(g.s), 0));
	change(&g, "DROP TABLE asns");
	change(&g, "UPDATE meta SET value = 1 WHERE key = 'schema_version'");
	store_rig_close(&g);
	g.cfg.read_only = true;
	cr_assert(eq(int, store_rig_open_again(&g), -EPROTO));
	cr_expect(strstr(g.error, "version 1 of the store") != NULL, "%s", g.error);
	g.cfg.read_only = false;
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	cr_expect(eq(u64, store_rig_number(&g, "SELECT count(*) FROM %s"), 20000));
	cr_expect(eq(u64, store_rig_rollup(&g, RB_TOTAL, ROLLUP_1M, "sum(flows)"), 20000));
	cr_assert(eq(int, store_as(g.s, 64500, (struct flow_str){"First Org", 9}), 0));
	store_rig_send(&g, &rows, 1000);
	cr_assert(eq(int, store_flush(g.s), 0));
	store_rig_reopen(&g);
	cr_expect(eq(u64, store_rig_number(&g, "SELECT count(*) FROM %s"), 21000));
	cr_expect(eq(u64,
		     store_rig_number(&g, "SELECT (SELECT count(*) FROM asns WHERE name = 'First "
					  "Org') FROM %s LIMIT 1"),
		     1));
	cr_expect(eq(u64,
		     store_rig_number(&g, "SELECT (SELECT value FROM meta WHERE key = "
					  "'schema_version') FROM %s LIMIT 1"),
		     2));
	change(&g, "UPDATE meta SET value = 3 WHERE key = 'schema_version'");
	store_rig_close(&g);
	cr_assert(eq(int, store_rig_open_again(&g), -EPROTO));
	cr_expect(strstr(g.error, "version 3 of the store, this is for version 2") != NULL, "%s",
		  g.error);
	store_rig_done(&g);
}

Test(store, rows_become_parquet_and_a_store_at_rest_is_read)
{
	static const struct store_file_column columns[] = {
		{"src.ip", ST_TEXT}, {"bytes", ST_U64}, {"share", ST_F64}, {"other", ST_BOOL}};
	struct store_value row[4] = {{.type = ST_TEXT, .s = {"10.0.0.1", 8}},
				     {.type = ST_U64, .u = UINT64_MAX},
				     {.type = ST_F64, .f = 0.25},
				     {.type = ST_BOOL, .b = true}};
	struct store_file *f;
	struct store_rig g;
	char path[128], sql[512];
	struct rows rows;

	if (!store_rig_open(&g, NULL))
		return;
	snprintf(path, sizeof(path), "%s/out.parquet", g.dir);
	cr_assert(eq(int, store_file_new(g.s, columns, 4, g.error, &f), 0), "%s", g.error);
	for (uint32_t i = 0; i < 5000; i++)
		store_file_put(f, row);
	row[0].type = row[1].type = ST_NULL;
	store_file_put(f, row);
	cr_assert(eq(int, store_file_write(f, path, g.error), 0), "%s", g.error);
	store_file_free(f);
	rows_init(&rows, 3, T0, 1000);
	store_rig_send(&g, &rows, 1);
	cr_assert(eq(int, store_flush(g.s), 0));
	snprintf(sql, sizeof(sql),
		 "SELECT count(*) FROM read_parquet('%s') p, %%s WHERE \"src.ip\" = '10.0.0.1' AND "
		 "p.bytes = 18446744073709551615 AND share = 0.25 AND other",
		 path);
	cr_expect(eq(u64, store_rig_number(&g, sql), 5000));
	snprintf(
		sql, sizeof(sql),
		"SELECT count(*) FROM read_parquet('%s') p, %%s WHERE \"src.ip\" IS NULL AND p.bytes "
		"IS NULL",
		path);
	cr_expect(eq(u64, store_rig_number(&g, sql), 1));
	cr_assert(eq(int, store_file_new(g.s, columns, 4, g.error, &f), 0), "%s", g.error);
	cr_expect(lt(int, store_file_write(f, "/nonexistent/a", g.error), 0));
	cr_expect(strstr(g.error, "/nonexistent/a") != NULL, "%s", g.error);
	store_file_free(f);
	store_rig_close(&g);
	g.cfg.read_only = true; /* nobody holds it: questions are answered from the files */
	cr_assert(eq(int, store_rig_open_again(&g), 0), "%s", g.error);
	cr_expect(eq(u64, store_rig_number(&g, "SELECT count(*) FROM %s"), 1));
	store_rig_done(&g);
}
