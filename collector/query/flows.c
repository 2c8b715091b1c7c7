// SPDX-License-Identifier: Apache-2.0
/*
 * flows.c - two steps: the latest ends alone say from when on the page is, then that time's flows are
 * read with all their columns.
 */
#include "collector/query/flows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/query/flow_row.h"
#include "collector/query/plan.h"
#include "collector/query/watch.h"
#include "common/scan.h"

/* "END.ROW" of the last flow of the page before. */
static int parse_cursor(const char *text, int64_t *ret_end, uint64_t *ret_row)
{
	char end[32];
	const size_t n = strcspn(text, ".");
	uint64_t v;

	snprintf(end, sizeof(end), "%.*s", (int)n, text);
	if (!text[n] || scan_u64(end, 0, INT64_MAX - 1, &v) ||
	    scan_u64(text + n + 1, 0, UINT64_MAX, ret_row))
		return -EINVAL;
	*ret_end = (int64_t)v;
	return 0;
}

struct page {
	const struct query_env *env;
	const struct spec *q;
	int64_t from_us;
	const char *what; /* columns; NULL: those of a record */
};

static int put_select(const struct page *p, struct bound *s, char *error)
{
	const struct spec *q = p->q;
	struct flow_source_cfg source = {
		.range = {p->from_us, q->to_us}, .dedup = q->dedup, .wide = true};
	int64_t end = 0;
	struct bound where = {};
	uint64_t row = 0;
	char *from = NULL;
	int r = 0;

	if (*q->cursor && parse_cursor(q->cursor, &end, &row)) {
		snprintf(error, STORE_ERROR, "'%s' is no cursor of an earlier answer", q->cursor);
		return -EINVAL;
	}
	if (*q->cursor && end + 1 < source.range.to_us)
		source.range.to_us = end + 1;
	flow_source_add(&source, BC_END);
	flow_source_add(&source, FS_ID);
	if (!p->what)
		flow_row_columns(&source);
	r = plan_filter(&where, q, &source, error);
	bound_done(&where);
	r = r ?: store_source(p->env->store, &source, &from);
	if (r)
		return r;
	bound_add(s, "SELECT ");
	if (p->what)
		bound_add(s, "%s", p->what);
	else
		flow_row_select(s);
	bound_add(s, " FROM %s AS f WHERE true", from);
	free(from);
	if (*q->filter)
		bound_add(s, " AND ");
	r = plan_filter(s, q, &source, error);
	if (*q->cursor)
		bound_add(s, " AND (end_us < %" PRId64 " OR flow_id < %" PRIu64 ")", end, row);
	bound_add(s, " ORDER BY end_us %s, flow_id %s LIMIT %u", q->ascending ? "ASC" : "DESC",
		  q->ascending ? "ASC" : "DESC", q->top);
	return r ?: bound_end(s);
}

int flows_sql(const struct query_env *env, const struct spec *q, int64_t from_us, struct bound *s,
	      char *error)
{
	const struct page page = {env, q, from_us, NULL};

	return put_select(&page, s, error);
}

static int start(const struct query_env *env, const struct bound *s, struct store_result **ret,
		 char *error)
{
	const struct store_query sq = {.sql = s->text,
				       .values = s->values,
				       .values_n = s->n,
				       .timeout_ms = env->timeout_ms};

	return store_select(env->store, &sq, error, ret);
}

/* The earliest end of the page. -ENODATA: there are no flows. */
static int find_from(const struct query_env *env, const struct spec *q, const struct answer_sink *k,
		     int64_t *ret, char *error)
{
	struct watch watch;
	int stopped = 0;
	const struct page page = {env, q, q->from_us, "end_us"};
	struct store_result *result = NULL;
	struct bound s = {};
	struct store_value v;
	uint32_t n = 0;
	int r;

	bound_add(&s, "SELECT min(end_us) FROM (");
	r = put_select(&page, &s, error);
	bound_add(&s, ")");
	r = r ?: bound_end(&s);
	r = r ?: start(env, &s, &result, error);
	if (!r) {
		watch_begin(&watch, k, result);
		r = store_next(result, &n);
		stopped = watch_end(&watch);
		if (stopped)
			r = stopped;
	}
	if (result && (r == -EIO || r == -ESTALE))
		snprintf(error, STORE_ERROR, "%s", store_error(result));
	if (!r)
		r = n && store_get(result, 0, 0, &v) ? 0 : -ENODATA;
	if (!r)
		*ret = v.i;
	store_result_free(result);
	bound_done(&s);
	return r;
}

static int put_rows(struct store_result *result, const struct answer_sink *k,
		    struct answer_end *end)
{
	struct flow_row *row = flow_row_new();
	uint64_t number = 0;
	int64_t at = 0;
	uint32_t n;
	int r = row ? 0 : -ENOMEM;

	while (!r && !(r = store_next(result, &n))) {
		for (uint32_t i = 0; !r && i < n; i++) {
			r = k->flow(k->arg, flow_row_read(row, result, i, &at, &number));
			end->rows++;
		}
	}
	flow_row_free(row);
	if (end->rows)
		snprintf(end->cursor, sizeof(end->cursor), "%" PRId64 ".%" PRIu64, at, number);
	return r == -ENODATA ? 0 : r;
}

static int put_page(const struct query_env *env, const struct spec *q, int64_t from_us,
		    const struct answer_sink *k, char *error)
{
	struct store_result *result = NULL;
	struct answer_end end = {.source = "flows"};
	struct timespec a, b;
	struct watch watch;
	struct bound s = {};
	int r, stopped;

	clock_gettime(CLOCK_MONOTONIC, &a);
	r = flows_sql(env, q, from_us, &s, error);
	if (!r && q->explain)
		r = k->note(k->arg, s.text);
	else if (!r && !(r = start(env, &s, &result, error))) {
		watch_begin(&watch, k, result);
		r = put_rows(result, k, &end);
		stopped = watch_end(&watch);
		if (stopped)
			r = stopped;
	}
	if (result && (r == -EIO || r == -ESTALE))
		snprintf(error, STORE_ERROR, "%s", store_error(result));
	if (r == -ESTALE && end.rows)
		r = -EIO;
	else if (r == -EIO && !end.rows)
		r = -EAGAIN;
	store_result_free(result);
	bound_done(&s);
	if (end.rows < q->top)
		end.cursor[0] = 0;
	clock_gettime(CLOCK_MONOTONIC, &b);
	end.us = (uint64_t)((b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000);
	return r ?: k->end(k->arg, &end);
}

/* One attempt. -ESTALE: a partition has gone, -EAGAIN: it can't be read; nothing has been said. */
static int attempt(const struct query_env *env, const struct spec *q, const struct answer_sink *k,
		   char *error)
{
	const struct answer_end none = {.source = "flows"};
	int64_t from_us = q->from_us;
	int r = q->ascending || q->explain ? 0 : find_from(env, q, k, &from_us, error);

	if (r == -EIO)
		return -EAGAIN;
	if (r == -ENODATA)
		return k->end(k->arg, &none);
	return r ?: put_page(env, q, from_us, k, error);
}

int flows_run(const struct query_env *env, const struct spec *q, const struct answer_sink *k,
	      char *error)
{
	int r, tries = 0;

	do {
		*error = 0;
		r = attempt(env, q, k, error);
		tries++;
	} while ((r == -ESTALE && tries < PLAN_TRIES) || (r == -EAGAIN && tries < 2));
	return r == -EAGAIN ? -EIO : r;
}
