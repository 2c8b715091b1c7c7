// SPDX-License-Identifier: Apache-2.0
/*
 * bench_store.c - the store alone: rows a second and CPU time per million rows made durable with
 * roll-ups, octets a row, and medians of queries over them while nothing else runs.
 * bench_store [MILLIONS OF ROWS [DIRECTORY]]
 *
 * Rows are made beforehand and copied into the pool's blocks; the copying thread's own CPU time is
 * not counted. A week of two million flows follows, for the chart from roll-ups.
 */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "collector/store/schema.h"
#include "collector/store/store.h"
#include "common/scan.h"
#include "measure.h"
#include "store_rows.h"

#define POOL   240u
#define MADE   120u /* blocks made beforehand */
#define ROUNDS 5u
#define WEEK_S INT64_C(604800)

#define WEEK_BLOCKS 240 /* two million flows */

struct bench {
	struct store *s;
	struct block_pool *pool, *made_pool;
	struct block *made[MADE];
	int64_t end_us; /* of the next row */
	int64_t from_us;
	uint32_t millions;
};

static double seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void fatal(const char *what, const char *why)
{
	fprintf(stderr, "bench_store: %s: %s\n", what, why);
	exit(1);
}

static void complain(void *arg, const char *message)
{
	(void)arg;
	fprintf(stderr, "bench_store: %s\n", message);
}

static void make(struct bench *b)
{
	struct rows rows;

	b->made_pool = block_pool_new(MADE);
	if (!b->made_pool)
		fatal("blocks", strerror(ENOMEM));
	rows_init(&rows, 1, 0, 0);
	rows.exporters = 8;
	for (uint32_t i = 0; i < MADE; i++) {
		b->made[i] = block_get(b->made_pool);
		rows_fill(&rows, b->made[i], BLOCK_ROWS);
	}
}

/* The flows of @from, at other times. */
static void copy(struct block *to, const struct block *from, int64_t end_us, int64_t step_us)
{
	int64_t *start = to->data[BC_START], *end = to->data[BC_END];
	const int64_t *length = from->data[BC_START];

	for (unsigned int c = 0; c < _BC_MAX; c++) {
		if (!block_is_used(from, c))
			continue;
		memcpy(to->data[c], from->data[c], (size_t)from->rows * block_columns[c].size);
		memcpy(to->valid[c], from->valid[c], BLOCK_WORDS * sizeof(uint64_t));
	}
	memcpy(to->used, from->used, sizeof(to->used));
	memcpy(to->text, from->text, from->text_len);
	to->text_len = from->text_len;
	to->rows = from->rows;
	for (uint32_t i = 0; i < to->rows; i++) {
		end[i] = end_us + i * step_us;
		start[i] = end[i] + length[i];
	}
}

static void send(struct bench *b, uint64_t blocks, int64_t step_us)
{
	for (uint64_t i = 0; i < blocks; i++) {
		struct block *to = block_get_wait(b->pool, 60000);

		if (!to)
			fatal("pool", "no block for a minute");
		copy(to, b->made[i % MADE], b->end_us, step_us);
		b->end_us += BLOCK_ROWS * step_us;
		block_send(b->pool, to);
	}
}

static void row(const char *scenario, const char *metric, double value, uint32_t flows)
{
	row_print(&(struct row){.section = "store",
				.scenario = scenario,
				.hook = "",
				.flows = flows,
				.design = "weir",
				.metric = metric,
				.value = value});
}

static double process_cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void load(struct bench *b)
{
	uint64_t blocks = (uint64_t)b->millions * 1000000 / BLOCK_ROWS;
	double rows = (double)blocks * BLOCK_ROWS, wall, cpu, own, took, used;
	struct store_stats before, after;

	store_stats(b->s, &before);
	wall = seconds(CLOCK_MONOTONIC);
	cpu = process_cpu();
	own = seconds(CLOCK_THREAD_CPUTIME_ID);
	b->from_us = b->end_us;
	send(b, blocks, 360); /* 20 M rows are two hours */
	if (store_flush(b->s))
		fatal("flush", "failed");
	took = seconds(CLOCK_MONOTONIC) - wall;
	used = process_cpu() - cpu - (seconds(CLOCK_THREAD_CPUTIME_ID) - own);
	sleep(11); /* upkeep counts octets every 10 s */
	store_stats(b->s, &after);
	row("append", "rows/s", rows / took, b->millions * 1000000);
	row("append", "cpu s/M", used / rows * 1e6, b->millions * 1000000);
	row("append", "bytes/row", (double)(after.bytes - before.bytes) / rows,
	    b->millions * 1000000);
}

static double run(struct bench *b, const char *sql)
{
	struct store_query q = {.sql = sql};
	char error[STORE_ERROR];
	struct store_result *r;
	uint32_t n;
	double t = seconds(CLOCK_MONOTONIC);
	int e;

	if (store_select(b->s, &q, error, &r))
		fatal(sql, error);
	while ((e = store_next(r, &n)) == 0)
		;
	if (e != -ENODATA)
		fatal(sql, store_error(r));
	store_result_free(r);
	return seconds(CLOCK_MONOTONIC) - t;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static char *raw_source(struct bench *b, const uint16_t *columns)
{
	struct flow_source_cfg cfg = {.range = {b->from_us, b->end_us}};
	char *from;

	for (uint32_t i = 0; columns[i] != _FS_MAX; i++)
		flow_source_add(&cfg, columns[i]);
	if (store_source(b->s, &cfg, &from))
		fatal("source", strerror(ENOMEM));
	return from;
}

static char *rollup_source(struct bench *b, enum rollup_by by, uint32_t step, int64_t span_s)
{
	struct rollup_cfg cfg = {
		.range = {b->end_us - span_s * 1000000, b->end_us}, .by = by, .step = step};
	char *from;

	if (store_rollup(b->s, &cfg, &from))
		fatal("rollup", strerror(ENOMEM));
	return from;
}

struct ask {
	const char *name, *format;
	uint16_t columns[6];
	enum rollup_by by; /* where columns[0] is _FS_MAX */
	uint32_t step;
};

static const struct ask raw[] = {
	{"top sources",
	 "SELECT src_hi, src_lo, sum(bytes) v, sum(packets), count(*) FROM %s f GROUP BY ALL "
	 "ORDER BY v DESC LIMIT 10",
	 {BC_SRC_HI, BC_SRC_LO, FS_BYTES, FS_PACKETS, _FS_MAX},
	 0,
	 0},
	{"pairs",
	 "SELECT src_hi, src_lo, dst_hi, dst_lo, sum(bytes) v FROM %s f GROUP BY ALL ORDER BY v "
	 "DESC LIMIT 10",
	 {BC_SRC_HI, BC_SRC_LO, BC_DST_HI, BC_DST_LO, FS_BYTES, _FS_MAX},
	 0,
	 0},
	{"top ports",
	 "SELECT dst_port, sum(bytes) v FROM %s f GROUP BY ALL ORDER BY v DESC LIMIT 10",
	 {BC_DST_PORT, FS_BYTES, _FS_MAX},
	 0,
	 0},
	{"top names",
	 "SELECT tls_sni, sum(bytes) v FROM %s f GROUP BY ALL ORDER BY v DESC LIMIT 10",
	 {BC_TLS_SNI, FS_BYTES, _FS_MAX},
	 0,
	 0},
	{"one host",
	 "SELECT * FROM %s f WHERE src_hi = 0 AND src_lo = 281470849561321 ORDER BY end_us LIMIT 100",
	 {BC_SRC_HI, BC_SRC_LO, BC_END, BC_DST_LO, FS_BYTES, _FS_MAX},
	 0,
	 0},
	{"series",
	 "SELECT end_us // 60000000 t, sum(bytes) FROM %s f GROUP BY t ORDER BY t",
	 {BC_END, FS_BYTES, _FS_MAX},
	 0,
	 0},
};
static const struct ask week[] = {
	{"week total",
	 "SELECT ts, sum(out_bytes + in_bytes) FROM %s f GROUP BY ts ORDER BY ts",
	 {_FS_MAX},
	 RB_TOTAL,
	 ROLLUP_1H},
	{"week protocols",
	 "SELECT ts, key, sum(out_bytes + in_bytes) FROM %s f GROUP BY ALL ORDER BY ts",
	 {_FS_MAX},
	 RB_PROTO,
	 ROLLUP_1H},
	{"week top hosts",
	 "SELECT hi, lo, sum(out_bytes) v FROM %s f WHERE NOT other GROUP BY ALL ORDER BY v DESC LIMIT 10",
	 {_FS_MAX},
	 RB_HOST,
	 ROLLUP_5M},
};

/* Medians of five rounds, the queries in turn. */
static void queries(struct bench *b, const struct ask *list, uint32_t n)
{
	double took[16][ROUNDS];

	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t i = 0; i < n; i++) {
			double t = seconds(CLOCK_MONOTONIC);
			char *sql,
				*from = list[i].columns[0] == _FS_MAX
						? rollup_source(b, list[i].by, list[i].step, WEEK_S)
						: raw_source(b, list[i].columns);
			const char *at = strstr(list[i].format, "%s");

			if (asprintf(&sql, "%.*s%s%s", (int)(at - list[i].format), list[i].format,
				     from, at + 2) < 0)
				fatal("query", strerror(ENOMEM));
			run(b, sql);
			took[i][round] = seconds(CLOCK_MONOTONIC) - t;
			free(from);
			free(sql);
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		qsort(took[i], ROUNDS, sizeof(double), compare);
		row(list[i].name, "ms", took[i][ROUNDS / 2] * 1e3, b->millions * 1000000);
	}
}

static int unlink_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void open_store(struct bench *b, const char *dir)
{
	struct store_cfg cfg = {.dir = dir, .complain = complain};
	char error[STORE_ERROR];

	b->pool = block_pool_new(POOL);
	cfg.pool = b->pool;
	if (!b->pool || store_open(&cfg, error, &b->s))
		fatal(dir, error);
	for (uint32_t i = 0; i < 8; i++) {
		struct store_exporter e = {.domain = i, .node = {"web", 3}};
		uint32_t id, stream;

		if (store_exporter(b->s, &e, &id, &stream))
			fatal(dir, "exporters");
	}
}

int main(int argc, char **argv)
{
	struct bench b = {.millions = 20};
	char dir[] = "/tmp/weir-bench-store-XXXXXX";
	uint64_t n;

	if (argc > 1 && !scan_u64(argv[1], 1, 2000, &n))
		b.millions = (uint32_t)n;
	if (argc < 3 && !mkdtemp(dir))
		fatal(dir, strerror(errno));
	b.end_us = ((int64_t)time(NULL) - WEEK_S) * 1000000 - (int64_t)b.millions * 360000000;
	make(&b);
	open_store(&b, argc > 2 ? argv[2] : dir);
	load(&b);
	queries(&b, raw, sizeof(raw) / sizeof(raw[0]));
	send(&b, WEEK_BLOCKS, WEEK_S * 1000000 / (WEEK_BLOCKS * BLOCK_ROWS));
	if (store_flush(b.s))
		fatal("flush", "failed");
	sleep(15); /* windows that nothing is added to any more are written */
	queries(&b, week, sizeof(week) / sizeof(week[0]));
	store_close(b.s);
	block_pool_free(b.pool);
	block_pool_free(b.made_pool);
	if (argc < 3)
		nftw(dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}
