// SPDX-License-Identifier: Apache-2.0
/*
 * backtest.c - chunks of the store's rows become blocks, as an exporter's records would have, and go
 * through the engines of several threads, each with some of the rules.
 */
#include "collector/rules/backtest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/block.h"
#include "collector/query/column.h"
#include "collector/query/watch.h"
#include "collector/rules/backtest_part.h"
#include "collector/store/store.h"

#define TRIES_MAX 2u /* when a partition goes in the midst of it: from the beginning */

struct run {
	const struct backtest_cfg *cfg;
	struct backtest *ret;
	struct backtest_part parts[RELAY_TAKERS];
	uint32_t n_parts;
	uint8_t *owner; /* part, by rule */
	struct relay *relay;
	struct block *block;
	struct filter *local;
	uint8_t columns[_BC_MAX]; /* enum block_column, by column of the result */
	bool if_there[_BC_MAX];	  /* of a text no more than whether there is one */
	uint32_t n;
};

/* ---- rows ---- */

static void add_column(struct run *t, unsigned int column)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->columns[i] == column)
			return;
	if (column < _BC_MAX)
		t->columns[t->n++] = (uint8_t)column;
}

static void add_field(struct run *t, enum flow_field f)
{
	static const enum block_column tuple[] = {BC_SRC_HI, BC_SRC_LO,	   BC_DST_HI,
						  BC_DST_LO, BC_SRC_PORT,  BC_DST_PORT,
						  BC_PROTO,  BC_ICMP_TYPE, BC_ICMP_CODE};
	const struct column *c = &query_columns[f];

	if (f == FF_PACKETS || f == FF_BYTES) {
		add_column(t, f == FF_PACKETS ? BC_OUT_PACKETS : BC_OUT_BYTES);
		add_column(t, f == FF_PACKETS ? BC_IN_PACKETS : BC_IN_BYTES);
		return;
	}
	for (unsigned int i = 0; c->kind == CK_COMPUTED && i < sizeof(tuple) / sizeof(*tuple); i++)
		add_column(t, tuple[i]);
	if (c->kind == CK_COMPUTED)
		return;
	add_column(t, c->column);
	if (c->kind == CK_IP || c->kind == CK_VLAN)
		add_column(t, c->column + 1u);
}

static int ask(struct run *t, struct store_result **ret, char *error)
{
	struct flow_source_cfg source = {.range = {t->cfg->from_us, t->cfg->to_us}, .wide = true};
	struct store_query q = {};
	char *from = NULL, *sql = NULL;
	size_t len;
	FILE *out;
	int r;

	for (uint32_t i = 0; i < t->n; i++)
		flow_source_add(&source, t->columns[i]);
	r = store_source(t->cfg->store, &source, &from);
	out = r ? NULL : open_memstream(&sql, &len);
	if (out) {
		for (uint32_t i = 0; i < t->n; i++)
			fprintf(out, t->if_there[i] ? "%snullif(%s IS NULL, true)" : "%s%s",
				i ? ", " : "SELECT ", flow_source_name(t->columns[i]));
		fprintf(out, " FROM %s AS f", from);
	}
	free(from);
	if (r || !out || fclose(out))
		return r ?: -ENOMEM;
	q.sql = sql;
	r = store_select(t->cfg->store, &q, error, ret);
	free(sql);
	return r;
}

static void put_value(struct block *b, enum block_column c, uint32_t row,
		      const struct store_value *v)
{
	switch (block_columns[c].size) {
	case 1:
		BLOCK_COLUMN(b, uint8_t, c)[row] = (uint8_t)v->u;
		break;
	case 2:
		BLOCK_COLUMN(b, uint16_t, c)[row] = (uint16_t)v->u;
		break;
	case 4:
		BLOCK_COLUMN(b, uint32_t, c)[row] = (uint32_t)v->u;
		break;
	default:
		BLOCK_COLUMN(b, uint64_t, c)[row] = v->u;
	}
	block_set_valid(b, c, row);
}

/* Texts with nothing in them for those of the rows that have one. */
static int put_there(struct block *b, enum block_column c, const uint64_t *valid,
		     const uint32_t rows[2])
{
	int r = 0;

	for (uint32_t k = 0; !r && k < rows[1]; k++)
		if (!valid || valid[(rows[0] + k) / 64] >> ((rows[0] + k) % 64) & 1)
			r = block_put_text(b, c, b->rows + k, "", 0);
	return r;
}

/* Rows [@rows[0], @rows[0] + @rows[1]) of one column of the result behind those of the block. */
static int take_column(struct run *t, const struct store_result *res, uint32_t i,
		       const uint32_t rows[2])
{
	const enum block_column c = t->columns[i];
	const uint64_t *valid;
	uint32_t width;
	const char *data = store_values(res, i, &width, &valid);
	struct block *b = t->block;
	struct store_value v;
	int r = 0;

	if (t->if_there[i])
		return put_there(b, c, valid, rows);
	if (data && width == block_columns[c].size) {
		memcpy((char *)b->data[c] + (size_t)b->rows * width, data + (size_t)rows[0] * width,
		       (size_t)rows[1] * width);
		if (!valid)
			block_set_valid_range(b, c, b->rows, rows[1]);
		for (uint32_t k = 0; valid && k < rows[1]; k++)
			if (valid[(rows[0] + k) / 64] >> ((rows[0] + k) % 64) & 1)
				block_set_valid(b, c, b->rows + k);
		return 0;
	}
	for (uint32_t k = 0; !r && k < rows[1]; k++) {
		if (!store_get(res, i, rows[0] + k, &v))
			continue;
		if (block_columns[c].type == BT_STR)
			r = block_put_text(b, c, b->rows + k, v.s.s, v.s.len);
		else
			put_value(b, c, b->rows + k, &v);
	}
	return r;
}

/* Return: 0; -ENOSPC: not with so many rows; what was put of them does not count. */
static int take_rows(struct run *t, const struct store_result *res, const uint32_t rows[2])
{
	int r = 0;

	if (rows[1] > BLOCK_ROWS - t->block->rows)
		return -ENOSPC;
	for (uint32_t i = 0; !r && i < t->n; i++)
		r = take_column(t, res, i, rows);
	if (!r)
		t->block->rows += rows[1];
	return r;
}

/* The block to the engines, and an empty one instead. */
static void send_block(struct run *t)
{
	if (!t->ret->flows && t->block->rows)
		t->ret->from_ns = (uint64_t)BLOCK_COLUMN(t->block, int64_t, BC_END)[0] * 1000;
	t->ret->flows += t->block->rows;
	relay_send(t->relay);
	t->block = relay_begin(t->relay);
}

static int take_chunk(struct run *t, const struct store_result *res, uint32_t n)
{
	uint32_t rows[2] = {0, n};
	bool fresh = false;
	int r = 0;

	while (!r && rows[0] < n) {
		r = take_rows(t, res, rows);
		if (!r) {
			rows[0] += rows[1];
			rows[1] = n - rows[0];
			fresh = false;
			continue;
		}
		if (r != -ENOSPC || (fresh && rows[1] == 1))
			break;
		/* bits of rows that did not come are of no block that is sent with them */
		rows[1] = fresh ? rows[1] / 2 : rows[1];
		send_block(t);
		r = 0;
		fresh = true;
	}
	return r;
}

/* ---- all of it ---- */

static int by_rule(const void *a, const void *b)
{
	const struct backtest_hit *x = a, *y = b;

	if (x->rule != y->rule)
		return x->rule < y->rule ? -1 : 1;
	if (x->first_ns != y->first_ns)
		return x->first_ns < y->first_ns ? -1 : 1;
	return memcmp(x->ip, y->ip, sizeof(x->ip));
}

static int by_time(const void *a, const void *b)
{
	const struct backtest_hit *x = a, *y = b;

	if (x->first_ns != y->first_ns)
		return x->first_ns < y->first_ns ? -1 : 1;
	return by_rule(a, b);
}

/* The first so many of all, however many threads have found them. */
static void keep_first(struct backtest *b)
{
	if (b->n_hits > BACKTEST_HITS_MAX)
		qsort(b->hits, b->n_hits, sizeof(*b->hits), by_time);
	for (; b->n_hits > BACKTEST_HITS_MAX; b->n_hits--) {
		const struct backtest_hit *h = &b->hits[b->n_hits - 1];
		struct backtest_rule *r = &b->rules[h->rule];

		b->unkept += h->alerts;
		r->hits--;
		r->internal -= h->internal;
		r->exempt -= h->exempt;
	}
}

/* Hits of a part behind those that are there. */
static int take_hits(struct backtest *b, const struct backtest_part *p)
{
	struct backtest_hit *to;

	b->unkept += p->unkept;
	if (!p->n_hits)
		return 0;
	to = reallocarray(b->hits, b->n_hits + p->n_hits, sizeof(*to));
	if (!to)
		return -ENOMEM;
	memcpy(to + b->n_hits, p->hits, p->n_hits * sizeof(*to));
	b->hits = to;
	b->n_hits += p->n_hits;
	return 0;
}

static int finish(struct run *t)
{
	struct backtest *b = t->ret;
	struct engine_rule_stats st;
	int r = 0;

	b->to_ns = engine_clock(t->parts[0].engine);
	for (uint32_t i = 0; i < t->cfg->rules->n; i++) {
		engine_rule_stats(t->parts[t->owner[i]].engine, i, &st);
		b->rules[i].matched = st.matched;
		b->rules[i].late = st.late;
		b->rules[i].evicted = st.evicted;
	}
	for (uint32_t i = 0; !r && i < t->n_parts; i++)
		r = t->parts[i].no_memory ? -ENOMEM : take_hits(b, &t->parts[i]);
	keep_first(b);
	if (b->n_hits)
		qsort(b->hits, b->n_hits, sizeof(*b->hits), by_rule);
	return r;
}

/* All chunks of the answer; somebody looks whether it is still wanted. */
static int take_all(struct run *t, struct store_result *res)
{
	const struct answer_sink k = {.progress = t->cfg->progress, .progress_arg = t->cfg->arg};
	struct watch watch;
	uint32_t n = 0;
	int r = 0, w;

	watch_begin(&watch, &k, res);
	while (!r && !(r = store_next(res, &n)))
		r = take_chunk(t, res, n);
	w = watch_end(&watch);
	return w ?: r;
}

static int read_flows(struct run *t, char *error)
{
	struct store_result *res = NULL;
	int r = ask(t, &res, error);

	r = r ?: take_all(t, res);
	if (r == -ENODATA) {
		send_block(t);
		r = 0;
	} else if (res && (r == -EIO || r == -ESTALE)) {
		snprintf(error, STORE_ERROR, "%s", store_error(res));
	}
	store_result_free(res);
	return r;
}

static int read_local(struct run *t)
{
	struct filter_error e;
	char *text = NULL;
	int r;

	if (!t->cfg->local || !*t->cfg->local)
		return 0;
	if (asprintf(&text, "src.ip in {%s}", t->cfg->local) < 0)
		return -ENOMEM;
	r = filter_parse(text, strlen(text), NULL, &t->local, &e);
	free(text);
	return r;
}

/* As many as there are CPUs; who reads the store has more to wait for than to do. */
static int begin_parts(struct run *t)
{
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const uint32_t most = cpus < 1 ? 1 : cpus > RELAY_TAKERS ? RELAY_TAKERS : (uint32_t)cpus;
	int r;

	t->n_parts = backtest_deal(t->cfg->rules, t->cfg->only, most, t->owner);
	r = relay_new(t->n_parts, &t->relay);
	for (uint32_t i = 0; !r && i < t->n_parts; i++) {
		t->parts[i] = (struct backtest_part){.cfg = t->cfg,
						     .local = t->local,
						     .relay = t->relay,
						     .taker = i,
						     .rules = t->ret->rules};
		r = backtest_part_init(&t->parts[i], t->owner);
	}
	return r;
}

static enum engine_use uses(const struct run *t, enum flow_field f)
{
	enum engine_use most = ENGINE_NOT;

	for (uint32_t i = 0; i < t->n_parts; i++) {
		const enum engine_use use = engine_uses(t->parts[i].engine, f);

		most = use > most ? use : most;
	}
	return most;
}

static void add_fields(struct run *t, enum engine_use use)
{
	for (unsigned int f = 0; f < _FF_MAX; f++)
		if (uses(t, f) == use)
			add_field(t, f);
}

/* Columns that are read. Texts of which only the presence counts need not be unpacked. */
static void choose_columns(struct run *t)
{
	uint32_t values;

	add_column(t, BC_END);
	add_fields(t, ENGINE_VALUE);
	values = t->n;
	add_fields(t, ENGINE_IF_THERE);
	for (uint32_t i = values; i < t->n; i++)
		t->if_there[i] = block_columns[t->columns[i]].type == BT_STR;
}

static int begin(struct run *t)
{
	int r;

	t->ret->rules = calloc(t->cfg->rules->n ?: 1, sizeof(*t->ret->rules));
	t->owner = calloc(t->cfg->rules->n ?: 1, sizeof(*t->owner));
	if (!t->ret->rules || !t->owner)
		return -ENOMEM;
	r = read_local(t);
	r = r ?: begin_parts(t);
	if (r)
		return r;
	choose_columns(t);
	t->block = relay_begin(t->relay);
	for (uint32_t i = 0; !r && i < t->n_parts; i++)
		r = backtest_part_start(&t->parts[i]);
	return r;
}

/* The engines have seen all that was sent. */
static void stop(struct run *t)
{
	if (t->relay)
		relay_end(t->relay);
	for (uint32_t i = 0; i < t->n_parts; i++)
		backtest_part_join(&t->parts[i]);
}

static void end(struct run *t)
{
	for (uint32_t i = 0; i < t->n_parts; i++)
		backtest_part_done(&t->parts[i]);
	relay_free(t->relay);
	filter_free(t->local);
	free(t->owner);
}

/* -ESTALE: a partition that is part of the question has gone. */
static int run_once(const struct backtest_cfg *cfg, struct backtest *ret, char *error)
{
	struct run t = {.cfg = cfg, .ret = ret};
	int r;

	*error = 0;
	backtest_done(ret);
	r = begin(&t);
	r = r ?: read_flows(&t, error);
	stop(&t);
	r = r ?: finish(&t);
	end(&t);
	return r;
}

int backtest_run(const struct backtest_cfg *cfg, struct backtest *ret, char *error)
{
	struct timespec from, to;
	unsigned int tries = 0;
	int r;

	*ret = (struct backtest){};
	clock_gettime(CLOCK_MONOTONIC, &from);
	do
		r = run_once(cfg, ret, error);
	while (r == -ESTALE && ++tries < TRIES_MAX);
	if (r == -ESTALE) { /* partitions go faster than they are read: for this time they stay */
		store_hold(cfg->store);
		r = run_once(cfg, ret, error);
		store_release(cfg->store);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	ret->seconds =
		(double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	return r == -ESTALE ? -EIO : r;
}

void backtest_done(struct backtest *b)
{
	free(b->rules);
	free(b->hits);
	*b = (struct backtest){};
}
