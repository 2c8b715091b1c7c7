// SPDX-License-Identifier: Apache-2.0
/*
 * filter_sql.c - the tree gives ands and ors, the tests give the conditions. A test of an absent
 * field is NULL, negated or not, and SQL's AND and OR let NULL pass as if it were false, as long as
 * no NOT stands above them: none does, negations have been pushed down to the tests.
 */
#include "collector/query/filter_sql.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/query/column.h"
#include "common/flow_text.h"

#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LOWER "abcdefghijklmnopqrstuvwxyz"

/* Enough to be true for one flow of these conditions in a row. */
static void or_next(struct bound *s, uint32_t i)
{
	if (i)
		bound_add(s, " OR ");
}

/* ---- numbers ---- */

/* The value a test looks at: a column, or the rank of a version in it. */
static void put_number(struct bound *s, const struct filter_test *t, const char *column)
{
	if (t->type == TEST_VERSION)
		bound_add(s,
			  "CASE %s WHEN 65279 THEN 770 WHEN 65277 THEN 771 WHEN 65276 THEN 772 "
			  "ELSE %s END",
			  column, column);
	else
		bound_add(s, "%s", column);
}

/* Times are signed in the store; no time is so late that it does not fit. */
static void put_value(struct bound *s, const struct filter_test *t, uint64_t v)
{
	if (t->divide)
		bound_i64(s, v < INT64_MAX ? (int64_t)v : INT64_MAX);
	else
		bound_u64(s, v);
}

static void number_range(struct bound *s, const struct filter_test *t, const char *column,
			 const struct filter_numbers *range)
{
	if (range->lo > range->hi) { /* nothing is; but absent stays NULL */
		bound_add(s, "%s IS NULL AND NULL", column);
		return;
	}
	put_number(s, t, column);
	if (range->lo == range->hi) {
		bound_add(s, " = ");
		put_value(s, t, range->lo);
	} else if (range->hi == UINT64_MAX) {
		bound_add(s, " >= ");
		put_value(s, t, range->lo);
	} else {
		bound_add(s, " BETWEEN ");
		put_value(s, t, range->lo);
		bound_add(s, " AND ");
		put_value(s, t, range->hi);
	}
}

/* Single numbers are one IN. */
static void number_set(struct bound *s, const struct filter *f, const struct filter_test *t,
		       const char *column)
{
	const struct filter_numbers *set = f->numbers + t->first;
	uint32_t n = 0, singles = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		if (set[i].lo == set[i].hi)
			continue;
		or_next(s, n++);
		number_range(s, t, column, &set[i]);
	}
	for (uint32_t i = 0; i < t->n; i++) {
		if (set[i].lo != set[i].hi)
			continue;
		if (!singles++) {
			or_next(s, n++);
			put_number(s, t, column);
			bound_add(s, " IN (");
		} else {
			bound_add(s, ", ");
		}
		put_value(s, t, set[i].lo);
	}
	if (singles)
		bound_add(s, ")");
	if (!n) /* an empty list */
		bound_add(s, "%s IS NULL AND NULL", column);
}

static void number_test(struct bound *s, const struct filter *f, const struct filter_test *t,
			const char *column)
{
	switch (t->type) {
	case TEST_BITS:
		bound_add(s, "%s & ", column);
		bound_u64(s, t->range.lo);
		bound_add(s, " != 0");
		break;
	case TEST_NUMBERS:
		number_set(s, f, t, column);
		break;
	default:
		number_range(s, t, column, &t->range);
	}
}

/* ---- addresses: two halves ---- */

static void half(struct bound *s, const char *column, const char *op, uint64_t v)
{
	bound_add(s, "%s %s ", column, op);
	bound_u64(s, v);
}

static void half_range(struct bound *s, const char *column, uint64_t lo, uint64_t hi)
{
	if (lo == hi) {
		half(s, column, "=", lo);
		return;
	}
	half(s, column, "BETWEEN", lo);
	bound_add(s, " AND ");
	bound_u64(s, hi);
}

static void ip_range(struct bound *s, const char *hi, const char *lo, const struct filter_ips *r)
{
	if (r->lo[0] == r->hi[0]) {
		half(s, hi, "=", r->lo[0]);
		if (r->lo[1] || r->hi[1] != UINT64_MAX) {
			bound_add(s, " AND ");
			half_range(s, lo, r->lo[1], r->hi[1]);
		}
		return;
	}
	half_range(s, hi, r->lo[0], r->hi[0]);
	if (r->lo[1]) {
		bound_add(s, " AND (");
		half(s, hi, "!=", r->lo[0]);
		bound_add(s, " OR ");
		half(s, lo, ">=", r->lo[1]);
		bound_add(s, ")");
	}
	if (r->hi[1] != UINT64_MAX) {
		bound_add(s, " AND (");
		half(s, hi, "!=", r->hi[0]);
		bound_add(s, " OR ");
		half(s, lo, "<=", r->hi[1]);
		bound_add(s, ")");
	}
}

static void ip_test(struct bound *s, const struct filter *f, const struct filter_test *t)
{
	const char *hi = column_name(t->field);
	const char *lo = column_lower(t->field);
	const struct filter_ips one = {{t->ip[0], t->ip[1]}, {t->ip[0], t->ip[1]}};
	const bool set = t->type == TEST_IPS;

	for (uint32_t i = 0; i < (set ? t->n : 1); i++) {
		or_next(s, i);
		bound_add(s, "(");
		ip_range(s, hi, lo, set ? &f->ips[t->first + i] : &one);
		bound_add(s, ")");
	}
	if (set && !t->n)
		bound_add(s, "%s IS NULL AND NULL", hi);
}

/* ---- strings ---- */

/* @column with its letters A to Z in lower case, and no others, where the field has no case. */
static void put_text(struct bound *s, const struct filter_test *t, const char *column)
{
	if (t->nocase)
		bound_add(s, "translate(%s, '" UPPER "', '" LOWER "')", column);
	else
		bound_add(s, "%s", column);
}

static void string_set(struct bound *s, const struct filter *f, const struct filter_test *t,
		       const char *column)
{
	if (!t->n) {
		bound_add(s, "%s IS NULL AND NULL", column);
		return;
	}
	put_text(s, t, column);
	bound_add(s, " IN (");
	for (uint32_t i = 0; i < t->n; i++) {
		bound_add(s, "%s", i ? ", " : "");
		bound_str(s, f->strings[t->first + i]);
	}
	bound_add(s, ")");
}

static void string_test(struct bound *s, const struct filter *f, const struct filter_test *t,
			const char *column)
{
	static const char *const functions[] = {[TEST_PREFIX] = "starts_with",
						[TEST_SUFFIX] = "ends_with",
						[TEST_CONTAINS] = "contains"};

	switch (t->type) {
	case TEST_STRINGS:
		string_set(s, f, t, column);
		return;
	case TEST_STRING:
		put_text(s, t, column);
		bound_add(s, " = ");
		bound_str(s, f->strings[t->first]);
		return;
	default:
		bound_add(s, "%s(", functions[t->type]);
		put_text(s, t, column);
		bound_add(s, ", ");
		bound_str(s, f->strings[t->first]);
		bound_add(s, ")");
	}
}

/* ---- lists: one element is enough ---- */

/* The text of all elements with a separator before, between and behind them. */
static void put_elements(struct bound *s, const struct filter_test *t)
{
	char column[96];
	const char *name = column_name(t->field);

	if (query_columns[t->field].kind == CK_QUERIES) /* of each query its name */
		snprintf(column, sizeof(column), "regexp_replace(%s, '\\x1E[^\\x1F]*', '', 'g')",
			 name);
	else
		snprintf(column, sizeof(column), "%s", name);
	bound_add(s, "chr(31) || ");
	put_text(s, t, column);
	bound_add(s, " || chr(31)");
}

/* @known as an element, or as the begin or end of one. */
static void element_test(struct bound *s, const struct filter_test *t, struct flow_str known)
{
	const bool whole = t->type == TEST_STRING || t->type == TEST_STRINGS;

	/* no element has a separator in it */
	if (known.len && (memchr(known.s, 0x1f, known.len) || memchr(known.s, 0x1e, known.len))) {
		bound_add(s, "%s IS NULL AND NULL", column_name(t->field));
		return;
	}
	bound_add(s, "contains(");
	put_elements(s, t);
	bound_add(s, ", %s", whole || t->type == TEST_PREFIX ? "chr(31) || " : "");
	bound_str(s, known);
	bound_add(s, "%s)", whole || t->type == TEST_SUFFIX ? " || chr(31)" : "");
}

static void list_test(struct bound *s, const struct filter *f, const struct filter_test *t)
{
	const uint32_t n = t->type == TEST_STRINGS ? t->n : 1;

	for (uint32_t i = 0; i < n; i++) {
		or_next(s, i);
		element_test(s, t, f->strings[t->first + i]);
	}
	if (!n)
		bound_add(s, "%s IS NULL AND NULL", column_name(t->field));
}

static void vlan_test(struct bound *s, const struct filter *f, const struct filter_test *t)
{
	bound_add(s, "CASE WHEN vlan IS NOT NULL THEN (");
	number_test(s, f, t, "vlan");
	bound_add(s, ") OR coalesce(");
	number_test(s, f, t, "vlan1");
	bound_add(s, ", false) END");
}

/* ---- one test ---- */

static void put_condition(struct bound *s, const struct filter *f, const struct filter_test *t)
{
	switch (query_columns[t->field].kind) {
	case CK_IP:
		ip_test(s, f, t);
		break;
	case CK_TEXT:
		string_test(s, f, t, column_name(t->field));
		break;
	case CK_LIST:
	case CK_QUERIES:
		list_test(s, f, t);
		break;
	case CK_VLAN:
		vlan_test(s, f, t);
		break;
	case CK_COMPUTED:
		s->error = s->error ?: -EOPNOTSUPP;
		break;
	default:
		number_test(s, f, t, column_name(t->field));
	}
}

static void put_test(struct bound *s, const struct filter *f, const struct filter_test *t)
{
	if (t->type == TEST_EXISTS && query_columns[t->field].kind != CK_COMPUTED) {
		bound_add(s, "(%s IS %sNULL)", column_name(t->field), t->negate ? "" : "NOT ");
		return;
	}
	bound_add(s, t->negate ? "(NOT (" : "(");
	put_condition(s, f, t);
	bound_add(s, t->negate ? "))" : ")");
}

/* ---- the tree ---- */

struct walk {
	struct bound *s;
	const struct filter_tree *t;
	uint32_t leaf; /* the next test */
	struct flow_source_cfg *source;
};

static void put_node(struct walk *w, uint32_t i, bool negate)
{
	const struct filter_node *n = &w->t->ast.nodes[i];
	const struct filter_test *test;

	switch (n->type) {
	case FN_NOT:
		put_node(w, n->first, !negate);
		break;
	case FN_AND:
	case FN_OR:
		bound_add(w->s, "(");
		for (uint32_t k = n->first; k; k = w->t->ast.nodes[k].next) {
			if (k != n->first)
				bound_add(w->s, (n->type == FN_AND) != negate ? " AND " : " OR ");
			put_node(w, k, negate);
		}
		bound_add(w->s, ")");
		break;
	default:
		test = &w->t->filter->tests[w->leaf++];
		column_use(w->source, test->field);
		put_test(w->s, w->t->filter, test);
	}
}

void filter_sql(struct bound *s, const struct filter_tree *t, struct flow_source_cfg *source)
{
	struct walk w = {.s = s, .t = t, .leaf = t->filter->entry, .source = source};

	put_node(&w, t->ast.root, false);
}
