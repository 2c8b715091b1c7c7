// SPDX-License-Identifier: Apache-2.0
#include "collector/query/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/query/column.h"
#include "collector/query/filter_sql.h"
#include "collector/query/rollup.h"

bool plan_additive(const struct spec_measure *m)
{
	return m->kind <= MK_SAMPLED || m->kind == MK_SUM;
}

int plan_filter(struct bound *sql, const struct spec *q, struct flow_source_cfg *source,
		char *error)
{
	struct filter_tree tree = {};
	struct filter_error e;
	int r;

	if (!*q->filter)
		return 0;
	r = filter_parse_tree(q->filter, strlen(q->filter), spec_env(q), &tree, &e);
	if (r) {
		filter_error_text(&e, error);
		return r;
	}
	filter_sql(sql, &tree, source);
	filter_tree_done(&tree);
	r = bound_end(sql);
	if (r == -E2BIG)
		snprintf(error, STORE_ERROR, "the filter's sets are too large for a query");
	else if (r == -EOPNOTSUPP)
		snprintf(
			error, STORE_ERROR,
			"community_id is computed from a flow and not kept: ask for its addresses and ports");
	return r == -EOPNOTSUPP ? -EINVAL : r;
}

/* ---- expressions ---- */

/* Bits of a half of an address that a prefix keeps. */
static uint64_t half_mask(unsigned int bits)
{
	return bits >= 64 ? UINT64_MAX : bits ? UINT64_MAX << (64 - bits) : 0;
}

static void put_network(struct bound *s, const struct spec_by *b, uint32_t i)
{
	const char *hi = column_name(b->field), *lo = column_lower(b->field);
	const unsigned int v4 = b->prefix4 + 32u;
	const uint64_t low6 = b->prefix6 > 64 ? half_mask(b->prefix6 - 64u) : 0;

	bound_add(s,
		  "CASE WHEN %s = 0 AND %s >> 32 = 65535 THEN 0 ELSE %s & %" PRIu64
		  "::UBIGINT END AS k%ua, "
		  "CASE WHEN %s = 0 AND %s >> 32 = 65535 THEN %s & %" PRIu64 "::UBIGINT "
		  "ELSE %s & %" PRIu64 "::UBIGINT END AS k%ub",
		  hi, lo, hi, half_mask(b->prefix6), i, hi, lo, lo, half_mask(v4), lo, low6, i);
}

static void put_key(struct bound *s, const struct spec_by *b, uint32_t i)
{
	const char *name = column_name(b->field);

	if (query_columns[b->field].kind != CK_IP)
		bound_add(s, "%s AS k%u", name, i);
	else if (b->prefix4 != SPEC_NO_PREFIX)
		put_network(s, b, i);
	else
		bound_add(s, "%s AS k%ua, %s AS k%ub", name, i, column_lower(b->field), i);
}

/* "k0, k1a, k1b", each with text before it. */
static void put_keys(struct bound *s, const struct spec *q, const char *before)
{
	for (uint32_t i = 0; i < q->n_by; i++) {
		const bool ip = query_columns[q->by[i].field].kind == CK_IP;

		if (ip)
			bound_add(s, "%s%sk%ua, %sk%ub", i ? ", " : "", before, i, before, i);
		else
			bound_add(s, "%s%sk%u", i ? ", " : "", before, i);
	}
}

static void put_nulls(struct bound *s, const struct spec *q)
{
	for (uint32_t i = 0; i < q->n_by; i++)
		bound_add(s,
			  query_columns[q->by[i].field].kind == CK_IP ? "NULL, NULL, " : "NULL, ");
}

static void put_distinct(struct bound *s, enum flow_field f)
{
	if (query_columns[f].kind == CK_IP)
		bound_add(s, "count(DISTINCT CASE WHEN %s IS NOT NULL THEN (%s, %s) END)",
			  column_name(f), column_name(f), column_lower(f));
	else
		bound_add(s, "count(DISTINCT %s)", column_name(f));
}

/* How many packets one that was counted stands for; 0: nobody knows. */
#define SQL_RATE " * greatest(coalesce(sampling, 1), 1)"

/* The time a measure is about, and what its counters are added as. */
struct measured {
	const char *when; /* " FILTER (...)", or "" */
	const char *cast; /* "::BIGINT", or "": as they are */
	const char *rate; /* SQL_RATE, or "": not scaled */
};

/* Both directions: added up apart, since adding them flow by flow takes longer than a sum more. */
static void put_both(struct bound *s, const char *what, const struct measured *d)
{
	bound_add(s, "coalesce(sum(out_%s%s%s)%s, 0) + coalesce(sum(in_%s%s%s)%s, 0)", what,
		  d->cast, d->rate, d->when, what, d->cast, d->rate, d->when);
}

static void put_aggregate(struct bound *s, const struct spec_measure *m, const struct measured *d)
{
	const char *name = m->kind >= MK_DISTINCT ? column_name(m->field) : NULL;

	switch (m->kind) {
	case MK_BYTES:
		put_both(s, "bytes", d);
		return;
	case MK_PACKETS:
		put_both(s, "packets", d);
		return;
	case MK_FLOWS:
		bound_add(s, "count(*)");
		break;
	case MK_SAMPLED:
		bound_add(s, "count(sampling)");
		break;
	case MK_DISTINCT:
		put_distinct(s, m->field);
		break;
	case MK_AVG:
		bound_add(s, "avg(%s%s)", name, d->cast);
		break;
	case MK_P95:
		bound_add(s, "quantile_cont(%s, 0.95)", name);
		break;
	case MK_MIN:
		bound_add(s, "min(%s)", name);
		break;
	case MK_MAX:
		bound_add(s, "max(%s)", name);
		break;
	default:
		bound_add(s, "sum(%s%s)", name, d->cast);
	}
	bound_add(s, "%s", d->when);
}

/* All measures as m0, m1 ..., and p0, p1 ... of the time before. */
static void put_aggregates(struct bound *s, const struct spec *q, const struct plan *p)
{
	struct measured d = {.when = "",
			     .cast = !p->wide	 ? "::BIGINT"
				     : p->scaled ? "::HUGEINT"
						 : "",
			     .rate = p->scaled ? SQL_RATE : ""};
	char when[64];

	for (uint32_t k = 0; k < (q->previous ? 2 : 1); k++) {
		if (q->previous) {
			snprintf(when, sizeof(when), " FILTER (WHERE end_us %s %" PRId64 ")",
				 k ? "<" : ">=", q->from_us);
			d.when = when;
		}
		for (uint32_t i = 0; i < q->n_measures; i++) {
			bound_add(s, "%s", k || i ? ", " : "");
			put_aggregate(s, &q->measures[i], &d);
			bound_add(s, " AS %c%u", k ? 'p' : 'm', i);
		}
	}
}

/* Their sums over groups; those that can't be added up are NULL. */
static void put_sums(struct bound *s, const struct spec *q, const char *before, const char *when)
{
	for (uint32_t k = 0; k < (q->previous ? 2 : 1); k++)
		for (uint32_t i = 0; i < q->n_measures; i++) {
			const char name = k ? 'p' : 'm';

			bound_add(s, "%s", k || i ? ", " : "");
			if (plan_additive(&q->measures[i]))
				bound_add(s, "sum(%s%c%u)", before, name, i);
			else if (*when) /* of one group there is one */
				bound_add(s, "CASE WHEN %s THEN max(%s%c%u) END", when, before,
					  name, i);
			else
				bound_add(s, "NULL");
		}
}

/* ---- where from ---- */

static void use_columns(const struct spec *q, const struct plan *p, struct flow_source_cfg *source)
{
	flow_source_add(source, BC_END);
	if (p->scaled)
		flow_source_add(source, BC_SAMPLING);
	for (uint32_t i = 0; i < q->n_by; i++)
		column_use(source, q->by[i].field);
	for (uint32_t i = 0; i < q->n_measures; i++) {
		const struct spec_measure *m = &q->measures[i];

		if (m->kind == MK_BYTES || m->kind == MK_PACKETS) {
			const bool bytes = m->kind == MK_BYTES;

			flow_source_add(source, bytes ? BC_OUT_BYTES : BC_OUT_PACKETS);
			flow_source_add(source, bytes ? BC_IN_BYTES : BC_IN_PACKETS);
		} else if (m->kind == MK_SAMPLED) {
			flow_source_add(source, BC_SAMPLING);
		} else if (m->kind != MK_FLOWS) {
			column_use(source, m->field);
		}
	}
}

/* Which step a flow belongs to; the time before is laid over the time asked for. */
static void put_step(struct bound *s, const struct spec *q, const struct plan *p)
{
	const int64_t len = q->to_us - q->from_us;

	if (q->previous)
		bound_add(s,
			  "(CASE WHEN end_us < %" PRId64 " THEN end_us + %" PRId64
			  " ELSE end_us END - %" PRId64 ") // %" PRId64 " AS b, ",
			  q->from_us, len, p->first_us, q->step_us);
	else
		bound_add(s, "(end_us - %" PRId64 ") // %" PRId64 " AS b, ", p->first_us,
			  q->step_us);
}

/* SELECT [b,] [keys,] measures FROM flows [WHERE] [GROUP BY]. */
static int put_groups(struct store *store, const struct spec *q, struct plan *p, char *error)
{
	struct flow_source_cfg source = {
		.range = {q->from_us, q->to_us}, .dedup = q->dedup, .wide = p->wide};
	struct bound where = {}, *s = &p->sql;
	char *from = NULL;
	int r;

	if (q->previous)
		source.range.from_us -= q->to_us - q->from_us;
	use_columns(q, p, &source);
	r = plan_filter(&where, q, &source, error);
	if (!r)
		r = store_source(store, &source, &from);
	bound_done(&where);
	if (r)
		return r;
	bound_add(s, "SELECT ");
	if (q->step_us)
		put_step(s, q, p);
	for (uint32_t i = 0; i < q->n_by; i++) {
		put_key(s, &q->by[i], i);
		bound_add(s, ", ");
	}
	put_aggregates(s, q, p);
	bound_add(s, " FROM %s AS f", from);
	free(from);
	if (*q->filter) { /* again: now its values get their numbers */
		bound_add(s, " WHERE ");
		r = plan_filter(s, q, &source, error);
	}
	if (q->n_by || q->step_us)
		bound_add(s, " GROUP BY ALL");
	return r;
}

/* ---- shapes ---- */

static const char *direction(const struct spec *q)
{
	return q->ascending ? "ASC" : "DESC";
}

/* Sums of all first, then the groups by rank: only those that are shown are sorted. */
static void put_top(struct bound *s, const struct spec *q)
{
	bound_add(s, " SELECT * FROM (SELECT 0 AS rank, ");
	put_nulls(s, q);
	put_sums(s, q, "", "");
	bound_add(s, " FROM g UNION ALL SELECT row_number() OVER (ORDER BY m%u %s NULLS LAST, ",
		  q->order, direction(q));
	put_keys(s, q, "");
	bound_add(s, ") AS rank, * FROM (SELECT * FROM g ORDER BY m%u %s NULLS LAST, ", q->order,
		  direction(q));
	put_keys(s, q, "");
	bound_add(s, " LIMIT %u)) ORDER BY rank", q->top);
}

/* The groups with the largest sums over all steps, each with its steps; then all others together. */
static void put_top_series(struct bound *s, const struct spec *q)
{
	bound_add(s, ", t AS (SELECT ");
	put_keys(s, q, "");
	bound_add(s, ", row_number() OVER (ORDER BY sum(m%u) %s NULLS LAST, ", q->order,
		  direction(q));
	put_keys(s, q, "");
	bound_add(s, ") AS rank FROM g GROUP BY ");
	put_keys(s, q, "");
	bound_add(s, " QUALIFY rank <= %u) SELECT coalesce(t.rank, %u) AS r, g.b, ", q->top,
		  q->top + 1);
	put_keys(s, q, "t.");
	bound_add(s, ", ");
	put_sums(s, q, "g.", "count(*) = 1");
	bound_add(s, " FROM g LEFT JOIN t ON ");
	for (uint32_t i = 0; i < q->n_by; i++) {
		const bool ip = query_columns[q->by[i].field].kind == CK_IP;

		if (ip)
			bound_add(
				s,
				"%sg.k%ua IS NOT DISTINCT FROM t.k%ua AND g.k%ub IS NOT DISTINCT FROM t.k%ub",
				i ? " AND " : "", i, i, i, i);
		else
			bound_add(s, "%sg.k%u IS NOT DISTINCT FROM t.k%u", i ? " AND " : "", i, i);
	}
	bound_add(s, " GROUP BY r, g.b, ");
	put_keys(s, q, "t.");
	bound_add(s, " ORDER BY r, g.b");
}

static int check(const struct spec *q, char *error)
{
	const struct spec_measure *m = &q->measures[q->order];
	char name[64];

	if (!q->step_us || !q->n_by || plan_additive(m))
		return 0;
	spec_measure_name(m, name, sizeof(name));
	snprintf(error, STORE_ERROR,
		 "groups of a series can't be ordered by %s: it can't be added up", name);
	return -EINVAL;
}

int plan_make(struct store *store, const struct spec *q, struct plan *ret, char *error)
{
	struct bound *s = &ret->sql;
	int r = check(q, error);

	if (r)
		return r;
	if (q->step_us) {
		ret->first_us = q->from_us - q->from_us % q->step_us;
		ret->steps = (q->to_us - ret->first_us + q->step_us - 1) / q->step_us;
	}
	ret->ranked = q->n_by && !q->step_us;
	bound_add(s, "WITH g AS MATERIALIZED (");
	if (rollup_fits(q)) {
		r = rollup_groups(store, q, ret, error);
	} else {
		snprintf(ret->source, sizeof(ret->source), "flows");
		r = put_groups(store, q, ret, error);
	}
	bound_add(s, ")");
	if (q->n_by && q->step_us)
		put_top_series(s, q);
	else if (q->n_by)
		put_top(s, q);
	else
		bound_add(s, q->step_us ? " SELECT 1, * FROM g ORDER BY b" : " SELECT 1, * FROM g");
	return r ?: bound_end(s);
}

void plan_done(struct plan *p)
{
	bound_done(&p->sql);
}
