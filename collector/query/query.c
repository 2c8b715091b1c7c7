// SPDX-License-Identifier: Apache-2.0
#include "collector/query/query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "collector/query/answer_file.h"
#include "collector/query/cell.h"
#include "collector/query/flows.h"
#include "collector/query/plan.h"
#include "collector/query/watch.h"
#include "common/flow_text.h"

/* The answer as it is made, row by row. */
struct run {
	const struct spec *q;
	const struct plan *plan;
	const struct answer_sink *k;
	struct store_result *result;
	struct answer_column columns[ANSWER_COLUMNS];
	uint32_t n, n_measures; /* the time before counts twice */
	struct answer_cell total[2 * SPEC_MEASURES], shown[2 * SPEC_MEASURES];
	struct answer_cell series[SPEC_BY_MAX]; /* keys of the series at hand */
	char series_text[SPEC_BY_MAX][256];
	uint64_t rank;
	int64_t next_step; /* the first one not written yet; -1: no series at hand */
	uint64_t groups;   /* of the answer */
	uint64_t rows;
	bool headed; /* the answer has begun */
};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- head ---- */

static void add_column(struct run *x, const char *name, enum answer_kind kind,
		       enum answer_unit unit)
{
	struct answer_column *c = &x->columns[x->n++];

	snprintf(c->name, sizeof(c->name), "%s", name);
	c->kind = (uint8_t)kind;
	c->unit = (uint8_t)unit;
}

static enum answer_unit unit_of(const struct spec_measure *m)
{
	if (m->kind == MK_BYTES)
		return AU_BYTES;
	if (m->kind <= MK_DISTINCT)
		return AU_COUNT;
	if (!strcmp(flow_fields[m->field].unit, "us"))
		return AU_US;
	return strstr(flow_fields[m->field].unit, "bytes") ? AU_BYTES : AU_COUNT;
}

static bool has_share(const struct spec *q)
{
	return q->n_by && !q->step_us && plan_additive(&q->measures[q->order]);
}

static int put_head(struct run *x)
{
	const struct spec *q = x->q;
	char name[ANSWER_NAME];

	if (q->step_us)
		add_column(x, "time", AK_TIME, AU_NONE);
	for (uint32_t i = 0; i < q->n_by; i++) {
		spec_by_name(&q->by[i], name, sizeof(name));
		add_column(x, name, cell_key_kind(&q->by[i]), AU_NONE);
	}
	for (uint32_t k = 0; k < (q->previous ? 2 : 1); k++)
		for (uint32_t i = 0; i < q->n_measures; i++) {
			const struct spec_measure *m = &q->measures[i];
			const bool f64 = m->kind == MK_AVG || m->kind == MK_P95;
			const size_t at = k ? (size_t)snprintf(name, sizeof(name), "previous.") : 0;

			spec_measure_name(m, name + at, sizeof(name) - at);
			add_column(x, name, f64 ? AK_F64 : AK_U64, unit_of(m));
		}
	x->n_measures = q->n_measures * (q->previous ? 2 : 1);
	if (has_share(q))
		add_column(x, "share", AK_F64, AU_SHARE);
	return x->k->head(x->k->arg, x->columns, x->n);
}

/* ---- cells ---- */

/* Nothing of what is counted is 0. */
static struct answer_cell nothing(const struct run *x, uint32_t i)
{
	const struct spec_measure *m = &x->q->measures[i % x->q->n_measures];

	if (plan_additive(m) || m->kind == MK_DISTINCT)
		return (struct answer_cell){.kind = AK_U64};
	return (struct answer_cell){};
}

static void get_measures(const struct run *x, uint32_t column, uint32_t row,
			 struct answer_cell *cells)
{
	for (uint32_t i = 0; i < x->n_measures; i++)
		if (!cell_number(x->result, column + i, row, &cells[i]))
			cells[i] = nothing(x, i);
}

static struct answer_cell share(const struct run *x, const struct answer_cell *measures)
{
	const struct answer_cell *m = &measures[x->q->order], *all = &x->total[x->q->order];

	if (m->kind != AK_U64 || all->kind != AK_U64 || !all->u)
		return (struct answer_cell){};
	return (struct answer_cell){.kind = AK_F64, .f = (double)m->u / (double)all->u};
}

static int put_row(struct run *x, const struct answer_cell *cells, bool other)
{
	x->rows++;
	return x->k->row(x->k->arg, cells, other);
}

/* ---- groups by rank ---- */

static int put_group(struct run *x, uint32_t row)
{
	struct answer_cell cells[ANSWER_COLUMNS];
	char text[SPEC_BY_MAX][CELL_TEXT];
	struct cell_at at = {x->result, 1, row};

	for (uint32_t i = 0; i < x->q->n_by; i++)
		at.column += cell_key(&at, &x->q->by[i], &cells[i], text[i]);
	get_measures(x, at.column, row, cells + x->q->n_by);
	if (x->plan->ranked) {
		struct answer_cell rank;

		if (cell_number(x->result, 0, row, &rank) && !rank.u) {
			memcpy(x->total, cells + x->q->n_by, x->n_measures * sizeof(cells[0]));
			return 0;
		}
	}
	for (uint32_t i = 0; i < x->n_measures; i++) {
		const struct answer_cell *m = &cells[x->q->n_by + i];

		x->shown[i].kind = AK_U64;
		x->shown[i].u += m->kind == AK_U64 ? m->u : 0;
	}
	x->groups++;
	if (has_share(x->q))
		cells[x->n - 1] = share(x, cells + x->q->n_by);
	return put_row(x, cells, false);
}

/* What is left of the sums, where groups were left out. */
static int put_other(struct run *x)
{
	struct answer_cell cells[ANSWER_COLUMNS] = {};
	bool any = false;

	if (!x->plan->ranked || x->groups < x->q->top)
		return 0;
	for (uint32_t i = 0; i < x->n_measures; i++) {
		struct answer_cell *c = &cells[x->q->n_by + i];

		if (!plan_additive(&x->q->measures[i % x->q->n_measures]) ||
		    x->total[i].kind != AK_U64)
			continue;
		*c = (struct answer_cell){.kind = AK_U64, .u = x->total[i].u - x->shown[i].u};
		any |= c->u > 0;
	}
	if (!any)
		return 0;
	if (has_share(x->q))
		cells[x->n - 1] = share(x, cells + x->q->n_by);
	return put_row(x, cells, true);
}

/* ---- series ---- */

/* Steps of the series at hand up to @step where nothing was. */
static int fill_gap(struct run *x, int64_t step)
{
	struct answer_cell cells[ANSWER_COLUMNS] = {};
	int r = 0;

	memcpy(cells + 1, x->series, x->q->n_by * sizeof(cells[0]));
	for (uint32_t i = 0; i < x->n_measures; i++)
		cells[1 + x->q->n_by + i] = nothing(x, i);
	for (; !r && x->next_step >= 0 && x->next_step < step; x->next_step++) {
		cells[0] = (struct answer_cell){
			.kind = AK_TIME, .us = x->plan->first_us + x->next_step * x->q->step_us};
		r = put_row(x, cells, x->q->n_by && x->rank > x->q->top);
	}
	return r;
}

/* Keys outlive the rows they were read from. */
static void keep_keys(struct run *x, uint32_t row)
{
	struct cell_at at = {x->result, 2, row};

	for (uint32_t i = 0; i < x->q->n_by; i++) {
		struct answer_cell *c = &x->series[i];
		char buf[CELL_TEXT];

		at.column += cell_key(&at, &x->q->by[i], c, buf);
		if (c->kind == AK_TEXT) {
			if (c->s.len > sizeof(x->series_text[i]))
				c->s.len = sizeof(x->series_text[i]);
			memcpy(x->series_text[i], c->s.s, c->s.len);
			c->s.s = x->series_text[i];
		}
	}
}

static uint32_t key_columns(const struct spec *q)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < q->n_by; i++)
		n += flow_fields[q->by[i].field].type == FT_IP ? 2 : 1;
	return n;
}

static int put_step(struct run *x, uint32_t row)
{
	struct answer_cell cells[ANSWER_COLUMNS], rank, step;
	int r;

	cell_number(x->result, 0, row, &rank);
	cell_number(x->result, 1, row, &step);
	if (x->next_step < 0 || rank.u != x->rank) {
		r = x->next_step < 0 ? 0 : fill_gap(x, x->plan->steps);
		if (r)
			return r;
		x->rank = rank.u;
		x->next_step = 0;
		keep_keys(x, row);
		x->groups++;
	}
	r = fill_gap(x, (int64_t)step.u);
	if (r)
		return r;
	cells[0] = (struct answer_cell){.kind = AK_TIME,
					.us = x->plan->first_us + (int64_t)step.u * x->q->step_us};
	memcpy(cells + 1, x->series, x->q->n_by * sizeof(cells[0]));
	get_measures(x, 2 + key_columns(x->q), row, cells + 1 + x->q->n_by);
	x->next_step = (int64_t)step.u + 1;
	return put_row(x, cells, x->q->n_by && x->rank > x->q->top);
}

static int finish_series(struct run *x)
{
	if (x->next_step < 0 && x->q->n_by)
		return 0;
	if (x->next_step < 0)
		x->next_step = 0;
	return fill_gap(x, x->plan->steps);
}

/* ---- running ---- */

static int take_rows(struct run *x)
{
	uint32_t n;
	int r = store_next(x->result, &n), e;

	if (r && r != -ENODATA)
		return r; /* and nothing has been said */
	x->headed = true;
	e = put_head(x);
	for (; !e && !r; r = store_next(x->result, &n)) {
		for (uint32_t row = 0; !e && row < n; row++)
			e = x->plan->steps ? put_step(x, row) : put_group(x, row);
		if (e)
			break;
	}
	return e ? e : r == -ENODATA ? 0 : r;
}

static int answer(struct run *x, struct answer_end *end, char *error)
{
	struct watch watch;
	int r, stopped;

	watch_begin(&watch, x->k, x->result);
	r = take_rows(x);
	stopped = watch_end(&watch);
	if (stopped)
		r = stopped;
	if (r && r != -ETIMEDOUT && *store_error(x->result))
		snprintf(error, STORE_ERROR, "%s", store_error(x->result));
	if (!r)
		r = x->plan->steps ? finish_series(x) : put_other(x);
	end->rows = x->rows;
	return r;
}

static int explain(const struct plan *p, const struct answer_sink *k)
{
	char line[80];
	int r;

	snprintf(line, sizeof(line), "answered from: %s", p->source);
	r = k->note(k->arg, line);
	return r ?: k->note(k->arg, p->sql.text);
}

static int select_plan(const struct query_env *env, const struct spec *q, struct plan *p,
		       struct store_result **ret, char *error)
{
	struct store_query sq = {.timeout_ms = env->timeout_ms};
	const bool wide = p->wide, scaled = p->scaled;
	int r;

	plan_done(p);
	*p = (struct plan){.wide = wide, .scaled = scaled};
	r = plan_make(env->store, q, p, error);
	if (r)
		return r;
	sq.sql = p->sql.text;
	sq.values = p->sql.values;
	sq.values_n = p->sql.n;
	return store_select(env->store, &sq, error, ret);
}

/* A partition may be removed, or become another file, before it is read; a counter may have 64 bits. */
static bool ask_again(int r, int tries, bool wide)
{
	if (r == -ESTALE)
		return tries < PLAN_TRIES;
	return r == -ERANGE ? !wide : r == -EIO && tries < 2;
}

/* Whoever reads estimates is told of how many flows they are. */
static void mark_sampled(struct spec *q)
{
	bool counts = false;

	for (uint32_t i = 0; i < q->n_measures; i++) {
		if (q->measures[i].kind == MK_SAMPLED)
			return;
		counts |= q->measures[i].kind <= MK_PACKETS;
	}
	if (counts && q->n_measures < SPEC_MEASURES)
		q->measures[q->n_measures++] = (struct spec_measure){.kind = MK_SAMPLED};
}

static int run_groups(const struct query_env *env, const struct spec *asked,
		      const struct answer_sink *k, char *error)
{
	const uint64_t start = now_us();
	struct spec marked = *asked, *q = &marked;
	struct answer_end end = {};
	struct plan plan = {.scaled = !asked->unscaled && store_is_sampled(env->store)};
	struct run x;
	int r = 0, tries = 0;

	if (plan.scaled)
		mark_sampled(q);
	do {
		plan.wide |= r == -ERANGE;
		*error = 0;
		x = (struct run){.q = q, .plan = &plan, .k = k, .next_step = -1};
		r = select_plan(env, q, &plan, &x.result, error);
		if (!r)
			r = q->explain ? explain(&plan, k) : answer(&x, &end, error);
		store_result_free(x.result);
	} while (!x.headed && ask_again(r, ++tries, plan.wide));
	snprintf(end.source, sizeof(end.source), "%s", plan.source);
	plan_done(&plan);
	end.us = now_us() - start;
	if (x.headed && r == -ESTALE)
		r = -EIO;
	return r ?: k->end(k->arg, &end);
}

static int run_what(const struct query_env *env, const struct spec *q, const struct answer_sink *k,
		    char *error)
{
	*error = 0;
	return q->what == SPEC_FLOWS ? flows_run(env, q, k, error) : run_groups(env, q, k, error);
}

int query_run(const struct query_env *env, const struct spec *q, const struct answer_sink *k,
	      char *error)
{
	int r = run_what(env, q, k, error);

	/* partitions go faster than the query is made: for this one they stay */
	if (r == -ESTALE) {
		store_hold(env->store);
		r = run_what(env, q, k, error);
		store_release(env->store);
	}
	r = r == -ESTALE ? -EIO : r;
	if (r == -ETIMEDOUT && !*error)
		snprintf(error, STORE_ERROR, "the query took longer than query.timeout allows");
	if (r && !*error)
		snprintf(error, STORE_ERROR, "%s", strerror(-r));
	return r;
}

int query_export(const struct query_env *env, const struct spec *q, const struct query_export *to,
		 char *error)
{
	struct answer_file *f = answer_file_new(env->store, q->what == SPEC_FLOWS, error);
	struct answer_sink k;
	int r;

	if (!f)
		return -ENOMEM;
	k = answer_file_sink(f);
	k.progress = to->progress;
	k.progress_arg = to->progress_arg;
	r = query_run(env, q, &k, error);
	if (!r)
		r = answer_file_write(f, to->path);
	answer_file_free(f);
	return r;
}
