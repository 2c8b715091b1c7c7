// SPDX-License-Identifier: Apache-2.0
/*
 * rollup_save.c - windows that are over become rows, and rows that were not written yet become
 * windows again when a store is opened; see rollup.h.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/put.h"
#include "collector/store/rollup_int.h"
#include "collector/store/source.h"

#define GRACE_S	    30	 /* flows come so much later than they end */
#define QUIET_MS    5000 /* and a window has been left alone for so long */
#define WINDOWS_MAX 64u	 /* of a level */

static const char *const tables[_RL_MAX] = {
	[RL_1M] = "rollup_1m", [RL_5M] = "rollup_5m", [RL_1H] = "rollup_1h"};

/* Tables that a save writes, opened when the first row comes. */
enum save_table {
	ST_LEVEL,		      /* + enum rollup_level, RL_HOST is not used */
	ST_SUMS = ST_LEVEL + _RL_MAX, /* + enum window_sums */
	_ST_MAX = ST_SUMS + WINDOW_SUMS,
};

struct save {
	struct rollup *r;
	uint32_t batch;
	char *error;
	struct put *put[_ST_MAX];
};

static enum rollup_level above(enum rollup_level level)
{
	return level == RL_1M ? RL_5M : level == RL_5M ? RL_1H : _RL_MAX;
}

static int64_t floor_ts(int64_t ts, enum rollup_level level)
{
	return ts - ts % rollup_span[level];
}

/* Is a window open whose sums will be part of this one? They are added when that one is written. */
static bool has_below(const struct rollup *r, const struct window *w)
{
	if (w->level <= RL_HOST)
		return false;
	for (const struct window *x = r->windows; x; x = x->next) {
		if (above(x->level) == w->level && floor_ts(x->ts, w->level) == w->ts)
			return true;
	}
	return false;
}

static bool is_over(const struct rollup *r, const struct window *w)
{
	if (r->close_all && w->level <= RL_HOST)
		return true;
	return w->ts + rollup_span[w->level] + GRACE_S <= store_wall_s() &&
	       store_now_ms() - w->touched_ms >= QUIET_MS && !has_below(r, w);
}

bool rollup_due(const struct rollup *r)
{
	for (const struct window *w = r->windows; w; w = w->next) {
		if (is_over(r, w))
			return true;
	}
	return false;
}

void rollup_close_all(struct rollup *r)
{
	r->close_all = true;
}

static int by_touch(const void *a, const void *b)
{
	const struct window *x = *(struct window *const *)a, *y = *(struct window *const *)b;

	return (x->touched_ms > y->touched_ms) - (x->touched_ms < y->touched_ms);
}

/* Of more than WINDOWS_MAX those go that have been left alone longest. */
static void choose_excess(struct rollup *r, enum rollup_level level, uint32_t n)
{
	struct window **v = malloc(n * sizeof(*v));
	uint32_t k = 0;

	if (!v)
		return;
	for (struct window *w = r->windows; w; w = w->next) {
		if (w->level == level && !w->saving && k < n && !has_below(r, w))
			v[k++] = w;
	}
	qsort(v, k, sizeof(*v), by_touch);
	for (uint32_t i = 0; i + WINDOWS_MAX < k; i++)
		v[i]->saving = true;
	free(v);
}

static void choose(struct rollup *r)
{
	uint32_t n[_RL_MAX] = {0};

	for (struct window *w = r->windows; w; w = w->next) {
		w->saving = is_over(r, w);
		n[w->level] += !w->saving;
	}
	for (unsigned int level = 0; level < _RL_MAX; level++) {
		if (n[level] > WINDOWS_MAX)
			choose_excess(r, level, n[level]);
	}
}

static void put_counts(struct put *p, const struct rollup_counts *c)
{
	put_number(p, c->flows);
	put_number(p, c->out_packets);
	put_number(p, c->out_bytes);
	put_number(p, c->in_packets);
	put_number(p, c->in_bytes);
	put_number(p, c->est_packets);
	put_number(p, c->est_bytes);
}

static const struct rollup_counts *counts_of(const struct sums *s, const uint64_t *e)
{
	return (const struct rollup_counts *)(e + s->words);
}

/* Distinct peers of a host, about 13 % off. Source: Flajolet and others 2007, section 4. */
static uint32_t peers(const uint64_t *extra)
{
	double sum = 0, estimate;
	uint32_t zeros = 0;

	for (uint32_t i = 0; i < 64; i++) {
		uint32_t reg = extra[i / 16] >> (i % 16 * 4) & 15;

		sum += 1.0 / (1 << reg);
		zeros += reg == 0;
	}
	estimate = 0.709 * 64 * 64 / sum;
	if (estimate < 160 && zeros)
		estimate = 64 * log(64.0 / zeros);
	return (uint32_t)(estimate + 0.5);
}

static void put_host(struct put *p, const struct window *w, const uint64_t *e, uint32_t batch)
{
	const struct sums *s = &w->sums[WS_HOST];

	put_number(p, (uint64_t)w->ts);
	put_number(p, !e);
	put_number(p, e ? e[0] : 0);
	put_number(p, e ? e[1] : 0);
	put_number(p, e ? peers(e + s->words + 7) : 0);
	put_number(p, batch);
	put_counts(p, e ? counts_of(s, e) : &s->other);
}

static void put_pair(struct put *p, const struct window *w, const uint64_t *e, uint32_t batch)
{
	const struct sums *s = &w->sums[WS_PAIR];

	put_number(p, (uint64_t)w->ts);
	put_number(p, !e);
	for (uint32_t i = 0; i < 4; i++)
		put_number(p, e ? e[i] : 0);
	put_number(p, batch);
	put_counts(p, e ? counts_of(s, e) : &s->other);
}

static void put_name(struct put *p, const struct window *w, const uint64_t *e, uint32_t batch)
{
	const struct sums *s = &w->sums[WS_NAME];
	uint64_t text = e ? e[s->words + 7] : 0;

	put_number(p, (uint64_t)w->ts);
	put_number(p, !text);
	put_text(p, text ? w->text + (text >> 16) - 1 : NULL, text & 0xffff);
	put_number(p, batch);
	put_counts(p, e ? counts_of(s, e) : &s->other);
}

static int open_put(struct save *v, unsigned int t, const char *table, const char *types)
{
	return v->put[t] ? 0 : put_begin(v->r->s->c, table, types, v->error, &v->put[t]);
}

static int save_top(struct save *v, struct window *w, enum window_sums which)
{
	static const struct {
		const char *table, *types;
		void (*put)(struct put *p, const struct window *w, const uint64_t *e,
			    uint32_t batch);
	} how[WINDOW_SUMS] = {
		[WS_HOST] = {"rollup_host", "ib88448888888", put_host},
		[WS_PAIR] = {"rollup_pair", "ib888848888888", put_pair},
		[WS_NAME] = {"rollup_name", "ibs48888888", put_name},
	};
	struct sums *s = &w->sums[which];
	int e = open_put(v, ST_SUMS + which, how[which].table, how[which].types);

	if (e)
		return e;
	sums_prune(s, v->r->s->cfg.top_n);
	for (uint32_t i = 0; i < s->n; i++)
		how[which].put(v->put[ST_SUMS + which], w, sums_entry(s, i), v->batch);
	if (s->has_other)
		how[which].put(v->put[ST_SUMS + which], w, NULL, v->batch);
	return 0;
}

static int save_dims(struct save *v, struct window *w)
{
	enum rollup_level up = above(w->level);
	const struct sums *s = &w->sums[WS_DIMS];
	struct put *p;
	int e;

	if (up < _RL_MAX && !rollup_window(v->r, up, floor_ts(w->ts, up), v->batch))
		return -ENOMEM;
	e = open_put(v, ST_LEVEL + w->level, tables[w->level], "i1848888888");
	if (e)
		return e;
	p = v->put[ST_LEVEL + w->level];
	for (uint32_t i = 0; i < s->n; i++) {
		const uint64_t *at = sums_entry(s, i);

		put_number(p, (uint64_t)w->ts);
		put_number(p, at[0]);
		put_number(p, at[1]);
		put_number(p, v->batch);
		put_counts(p, counts_of(s, at));
	}
	return 0;
}

/* Which windows are open after this. */
static int save_windows(struct rollup *r, char *error)
{
	struct put *p;
	int e = duck_exec(r->s->c, error, "DELETE FROM windows");

	if (!e)
		e = put_begin(r->s->c, "windows", "4i4", error, &p);
	if (e)
		return e;
	for (struct window *w = r->windows; w; w = w->next) {
		if (w->saving)
			continue;
		put_number(p, w->level);
		put_number(p, (uint64_t)w->ts);
		put_number(p, w->from_batch);
	}
	return put_end(p, error);
}

static int save_window(struct save *v, struct window *w)
{
	int e = 0;

	if (w->level != RL_HOST)
		return save_dims(v, w);
	for (unsigned int i = 0; i < WINDOW_SUMS && !e; i++)
		e = save_top(v, w, i);
	return e;
}

int rollup_save(struct rollup *r, uint32_t batch, char *error)
{
	struct save v = {.r = r, .batch = batch, .error = error};
	char ignored[STORE_ERROR] = "";
	bool any = false;
	int e = 0;

	choose(r);
	for (struct window *w = r->windows; w && !e; w = w->next) {
		any |= w->saving;
		if (w->saving)
			e = save_window(&v, w);
	}
	for (unsigned int i = 0; i < _ST_MAX; i++) {
		int ended = v.put[i] ? put_end(v.put[i], e ? ignored : error) : 0;

		e = e ? e : ended;
	}
	if (!e && (any || r->changed))
		e = save_windows(r, error);
	return e;
}

/* What was written is part of the window above, which is open. */
static void add_above(struct rollup *r, const struct window *w)
{
	enum rollup_level up = above(w->level);
	const struct sums *s = &w->sums[WS_DIMS];
	struct window *to;

	if (up == _RL_MAX)
		return;
	to = rollup_window(r, up, floor_ts(w->ts, up), 0);
	if (!to)
		return;
	to->touched_ms = store_now_ms();
	for (uint32_t i = 0; i < s->n; i++) {
		const uint64_t *e = sums_entry(s, i);

		counts_add(sums_at(&to->sums[WS_DIMS], e, sums_hash(e, 2)), counts_of(s, e));
	}
}

void rollup_saved(struct rollup *r)
{
	struct window *w, *next;

	for (w = r->windows; w; w = next) {
		next = w->next;
		if (!w->saving)
			continue;
		if (w->level != RL_HOST)
			add_above(r, w);
		rollup_remove(r, w);
	}
	pthread_mutex_lock(&r->lock);
	r->changed = false;
	pthread_mutex_unlock(&r->lock);
}

/* ---- after a start ---- */

static int read_window(void *arg, const struct duck_row *row)
{
	struct rollup *r = arg;
	uint32_t level = duck_u32(row, 0);

	if (level >= _RL_MAX)
		return -EPROTO;
	return rollup_window(r, level, (int64_t)duck_u64(row, 1), duck_u32(row, 2)) ? 0 : -ENOMEM;
}

static int read_sums(void *arg, const struct duck_row *row)
{
	struct rollup *r = arg;
	struct window *w = rollup_window(r, duck_u32(row, 0), (int64_t)duck_u64(row, 1), 0);
	uint64_t key[2] = {duck_u64(row, 2), duck_u64(row, 3)};
	struct rollup_counts c = {
		.flows = duck_u64(row, 4),
		.out_packets = duck_u64(row, 5),
		.out_bytes = duck_u64(row, 6),
		.in_packets = duck_u64(row, 7),
		.in_bytes = duck_u64(row, 8),
		.est_packets = duck_u64(row, 9),
		.est_bytes = duck_u64(row, 10),
	};

	if (w && c.flows)
		counts_add(sums_at(&w->sums[WS_DIMS], key, sums_hash(key, 2)), &c);
	return 0;
}

static int recover_above(struct rollup *r, enum rollup_level level, char *error)
{
	struct from q;
	char *text;
	int e;

	from_begin(&q);
	from_add(
		&q,
		"SELECT w.level, w.ts, m.dim::UBIGINT, m.key, sum(flows)::UBIGINT, sum(out_packets)::UBIGINT, "
		"sum(out_bytes)::UBIGINT, sum(in_packets)::UBIGINT, sum(in_bytes)::UBIGINT, "
		"sum(est_packets)::UBIGINT, sum(est_bytes)::UBIGINT FROM %s m JOIN windows w ON "
		"w.level = %u AND w.ts = m.ts // %u * %u AND m.batch >= w.from_batch GROUP BY ALL",
		tables[level == RL_5M ? RL_1M : RL_5M], level, rollup_span[level],
		rollup_span[level]);
	e = from_end(&q, &text);
	if (e)
		return e;
	e = duck_each(r->s->c, error, text, &(struct duck_taker){read_sums, r});
	free(text);
	return e;
}

/* Raw flows of open windows, put into a block as they were. */
struct again {
	struct rollup *r;
	struct block_pool *pool;
	struct block *b;
	uint64_t ids[BLOCK_ROWS];
};

static const enum block_column again_columns[] = {
	BC_END,	     BC_EXPORTER,    BC_IN_IF,	   BC_SRC_HI,	  BC_SRC_LO,
	BC_DST_HI,   BC_DST_LO,	     BC_SRC_PORT,  BC_DST_PORT,	  BC_PROTO,
	BC_SAMPLING, BC_OUT_PACKETS, BC_OUT_BYTES, BC_IN_PACKETS, BC_IN_BYTES,
	BC_SRC_ZONE, BC_DST_ZONE,    BC_TLS_SNI,   BC_HTTP_HOST,  BC_DNS_QNAME};

#define AGAIN (sizeof(again_columns) / sizeof(again_columns[0]))

static void again_flush(struct again *a)
{
	rollup_add_rows(a->r, &(struct adding){.b = a->b, .ids = a->ids, .now_ms = store_now_ms()});
	block_put(a->pool, a->b);
	a->b = block_get(a->pool);
}

static bool again_value(struct block *b, enum block_column c, const struct duck_row *row,
			unsigned int i)
{
	duckdb_vector v = duck.data_chunk_get_vector(row->chunk, i);
	const uint64_t *valid = duck.vector_get_validity(v);
	uint32_t size = block_columns[c].size, len;
	const char *s;

	if (valid && !(valid[row->row / 64] >> (row->row % 64) & 1))
		return true;
	if (block_columns[c].type == BT_STR) {
		s = duck_text(row, i, &len);
		return block_put_text(b, c, b->rows, s, len) != -ENOSPC;
	}
	memcpy((char *)b->data[c] + (size_t)b->rows * size,
	       (const char *)duck.vector_get_data(v) + row->row * size, size);
	block_set_valid(b, c, b->rows);
	return true;
}

static int again_row(void *arg, const struct duck_row *row)
{
	struct again *a = arg;

	if (a->b->rows == BLOCK_ROWS || BLOCK_TEXT - a->b->text_len < 4 * BLOCK_STR_MAX)
		again_flush(a);
	a->ids[a->b->rows] = duck_u64(row, AGAIN);
	for (unsigned int i = 0; i < AGAIN; i++) {
		if (!again_value(a->b, again_columns[i], row, i))
			return -ENOSPC;
	}
	a->b->rows++;
	return 0;
}

/* The range of raw flows that open windows are about; false: none are. */
static bool open_range(const struct rollup *r, struct flow_range *ret)
{
	bool any = false;

	for (const struct window *w = r->windows; w; w = w->next) {
		int64_t from = w->ts * 1000000,
			to = from + (int64_t)rollup_span[w->level] * 1000000;

		if (w->level > RL_HOST)
			continue;
		ret->from_us = any && ret->from_us < from ? ret->from_us : from;
		ret->to_us = any && ret->to_us > to ? ret->to_us : to;
		any = true;
	}
	return any;
}

static int recover_raw(struct rollup *r, char *error)
{
	struct flow_source_cfg cfg = {0};
	struct again *a;
	struct from q;
	char *text;
	int e;

	if (!open_range(r, &cfg.range))
		return 0;
	from_begin(&q);
	from_add(&q, "SELECT ");
	for (size_t i = 0; i < AGAIN; i++) {
		flow_source_add(&cfg, again_columns[i]);
		from_add(&q, "%s, ", block_columns[again_columns[i]].name);
	}
	flow_source_add(&cfg, FS_ID);
	from_add(&q, "flow_id FROM ");
	source_add(&q, r->s, &cfg);
	from_add(&q, " s");
	e = from_end(&q, &text);
	if (e)
		return e;
	a = calloc(1, sizeof(*a));
	if (a) {
		a->r = r;
		a->pool = block_pool_new(1);
		a->b = a->pool ? block_get(a->pool) : NULL;
	}
	e = a && a->b ? duck_each(r->s->c, error, text, &(struct duck_taker){again_row, a})
		      : -ENOMEM;
	if (!e)
		again_flush(a);
	if (a)
		block_pool_free(a->pool);
	free(a);
	free(text);
	return e;
}

int rollup_recover(struct rollup *r, char *error)
{
	int e = duck_each(r->s->c, error, "SELECT level, ts, from_batch FROM windows",
			  &(struct duck_taker){read_window, r});

	if (!e && r->s->cfg.read_only)
		return 0;
	if (!e)
		e = recover_above(r, RL_5M, error);
	if (!e)
		e = recover_above(r, RL_1H, error);
	if (!e)
		e = recover_raw(r, error);
	r->changed = false;
	return e;
}

/* ---- when state.db is lost ---- */

#define HOUR_S 3600

static int take_hour(void *arg, const struct duck_row *row)
{
	int64_t *h = names_add(arg, sizeof(*h));

	if (h)
		*h = (int64_t)duck_u64(row, 0) * HOUR_S;
	return h ? 0 : -ENOMEM;
}

/* Hours that have flows: with clocks that are wrong there may be years between two. */
static int find_hours(struct rollup *r, struct names *to, char *error)
{
	struct flow_source_cfg cfg = {.range = {INT64_MIN / 4, INT64_MAX / 4}};
	struct from q;
	char *text;
	int e;

	flow_source_add(&cfg, BC_END);
	from_begin(&q);
	from_add(&q, "SELECT DISTINCT end_us // %llu AS h FROM ", HOUR_S * 1000000ull);
	source_add(&q, r->s, &cfg);
	from_add(&q, " s ORDER BY h");
	e = from_end(&q, &text);
	if (e)
		return e;
	e = duck_each(r->s->c, error, text, &(struct duck_taker){take_hour, to});
	free(text);
	return e;
}

static int rebuild_hour(struct rollup *r, int64_t hour, char *error)
{
	char ignored[STORE_ERROR];
	int e = 0;

	for (unsigned int level = 0; level < _RL_MAX; level++)
		for (int64_t ts = hour; ts < hour + HOUR_S; ts += rollup_span[level])
			if (!rollup_window(r, level, ts, 1))
				return -ENOMEM;
	e = recover_raw(r, error);
	if (!e)
		e = duck_exec(r->s->c, error, "BEGIN");
	if (e)
		return e;
	r->close_all = true;
	e = rollup_save(r, r->s->last_batch, error);
	r->close_all = false;
	if (!e)
		e = duck_exec(r->s->c, error, "COMMIT");
	if (e)
		duck_exec(r->s->c, ignored, "ROLLBACK");
	else
		rollup_saved(r);
	return e;
}

int rollup_rebuild(struct rollup *r, char *error)
{
	struct names hours = {0};
	int e = find_hours(r, &hours, error);

	for (uint32_t i = 0; i < hours.n && !e; i++)
		e = rebuild_hour(r, ((int64_t *)hours.v)[i], error);
	free(hours.v);
	return e;
}
