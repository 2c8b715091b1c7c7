// SPDX-License-Identifier: Apache-2.0
/*
 * having.c - see having.h.
 */
#include "common/having.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/filter_int.h"
#include "common/scan.h"
#include "common/suggest.h"

#define NUMBER_MAX 64u

struct having_parser {
	struct filter_parser p;
	struct having *h;
};

static const struct {
	const char *word;
	const char *takes;
} aggs[] = {
	[HA_COUNT] = {"count", "a filter or nothing"},
	[HA_SUM] = {"sum", "a field that is a number"},
	[HA_RATE] = {"rate", "a field that is a number"},
	[HA_MAX] = {"max", "a field that is a number"},
	[HA_DISTINCT] = {"distinct", "fields"},
	[HA_RATIO] = {"ratio", "two aggregates"},
};

#define AGGS (sizeof(aggs) / sizeof(aggs[0]))

static int parse_or(struct having_parser *hp);

/* ---- aggregates ---- */

static int unknown_agg(struct having_parser *hp)
{
	struct filter_parser *p = &hp->p;
	struct suggest near;

	if (p->tok.type != TOK_WORD)
		return filter_fail_expected(p, EXPECT_NOTHING, "an aggregate such as count()");
	if (filter_field_find(p->text + p->tok.at, p->tok.len) >= 0)
		return filter_fail(p, p->tok.at,
				   "'%.*s' is a field: say how flows add up, as in sum(%.*s)",
				   TOKEN_ARGS(p), TOKEN_ARGS(p));
	suggest_init(&near, p->text + p->tok.at, p->tok.len);
	for (size_t i = 0; i < AGGS; i++)
		suggest_try(&near, aggs[i].word);
	if (near.best)
		return filter_fail(p, p->tok.at, "no aggregate '%.*s', did you mean '%s'?",
				   TOKEN_ARGS(p), near.best);
	return filter_fail(p, p->tok.at,
			   "no aggregate '%.*s': count, sum, rate, max, distinct, ratio",
			   TOKEN_ARGS(p));
}

static int find_agg(const struct filter_parser *p)
{
	for (size_t i = 0; i < AGGS; i++)
		if (filter_token_is(p, aggs[i].word))
			return (int)i;
	return -1;
}

/* The same fields of the same kind are one. Filters are not compared. */
static int add_agg(struct having_parser *hp, const struct having_agg *a)
{
	struct having *h = hp->h;

	for (uint32_t i = 0; i < h->n_aggs; i++)
		if (h->aggs[i].type == a->type && h->aggs[i].n_fields == a->n_fields &&
		    !memcmp(h->aggs[i].fields, a->fields, a->n_fields) && !a->where &&
		    !h->aggs[i].where)
			return (int)i;
	if (h->n_aggs == HAVING_AGGS_MAX)
		return filter_fail_limit(&hp->p, "too many aggregates in one rule");
	h->aggs[h->n_aggs] = *a;
	return (int)h->n_aggs++;
}

static int parse_close(struct filter_parser *p, const char *what)
{
	if (p->tok.type != TOK_CLOSE)
		return filter_fail_expected(p, EXPECT_NOTHING, what);
	filter_next(p);
	return 0;
}

/* count(filter) */
static int parse_where(struct having_parser *hp, struct having_agg *a)
{
	struct filter_ast ast = {}, *outer = hp->p.ast;
	int root, r;

	hp->p.ast = &ast;
	root = filter_parse_expr(&hp->p);
	hp->p.ast = outer;
	if (root >= 0) {
		ast.root = (uint32_t)root;
		r = filter_compile(&ast, &a->where);
		if (r == -ENOMEM)
			filter_fail_memory(&hp->p);
		else if (r)
			filter_fail(&hp->p, a->at,
				    "community_id can't be computed: libcrypto has no SHA-1");
	} else {
		r = root;
	}
	filter_ast_done(&ast);
	return r;
}

static int parse_number_field(struct having_parser *hp, struct having_agg *a)
{
	struct filter_parser *p = &hp->p;
	const uint32_t at = p->tok.at;
	enum filter_class c;
	int f = filter_parse_field(p);

	if (f < 0)
		return f;
	c = filter_class((enum flow_field)f);
	if ((c != FC_NUMBER && c != FC_DURATION) || flow_fields[f].type == FT_VLAN)
		return filter_fail(p, at, "%s is no number that can be added up or compared",
				   flow_fields[f].path);
	a->fields[a->n_fields++] = (uint8_t)f;
	return 0;
}

static bool single(enum flow_type t)
{
	return t != FT_STRS && t != FT_ALPN && t != FT_QUERIES && t != FT_VLAN && t != FT_CID;
}

static int parse_fields(struct having_parser *hp, struct having_agg *a)
{
	struct filter_parser *p = &hp->p;

	for (;;) {
		const uint32_t at = p->tok.at;
		int f = filter_parse_field(p);

		if (f < 0)
			return f;
		if (!single(flow_fields[f].type))
			return filter_fail(p, at, "%s is a list: there is no one value to count",
					   flow_fields[f].path);
		if (a->n_fields == HAVING_FIELDS_MAX)
			return filter_fail(p, at, "more than %u fields", HAVING_FIELDS_MAX);
		a->fields[a->n_fields++] = (uint8_t)f;
		if (p->tok.type != TOK_COMMA)
			return 0;
		filter_next(p);
	}
}

static int parse_agg(struct having_parser *hp, bool nested);

static int parse_ratio(struct having_parser *hp, struct having_agg *a)
{
	int n = parse_agg(hp, true), d;

	if (n < 0)
		return n;
	if (hp->p.tok.type != TOK_COMMA)
		return filter_fail_expected(&hp->p, EXPECT_NOTHING,
					    "',' and what it is divided by");
	filter_next(&hp->p);
	d = parse_agg(hp, true);
	if (d < 0)
		return d;
	a->fields[0] = (uint8_t)n;
	a->fields[1] = (uint8_t)d;
	a->n_fields = 2;
	return 0;
}

static int parse_inside(struct having_parser *hp, struct having_agg *a)
{
	switch (a->type) {
	case HA_COUNT:
		return hp->p.tok.type == TOK_CLOSE ? 0 : parse_where(hp, a);
	case HA_DISTINCT:
		return parse_fields(hp, a);
	case HA_RATIO:
		return parse_ratio(hp, a);
	default:
		return parse_number_field(hp, a);
	}
}

/* Index of it. */
static int parse_agg(struct having_parser *hp, bool nested)
{
	struct filter_parser *p = &hp->p;
	struct having_agg a = {.at = p->tok.at};
	int type = find_agg(p), r;
	char what[64];

	if (type < 0)
		return unknown_agg(hp);
	if (nested && type == HA_RATIO)
		return filter_fail(p, p->tok.at, "a ratio is of two other aggregates");
	a.type = (uint8_t)type;
	filter_next(p);
	if (p->tok.type != TOK_OPEN) {
		snprintf(what, sizeof(what), "'(' after %s", aggs[type].word);
		return filter_fail_expected(p, EXPECT_NOTHING, what);
	}
	filter_next(p);
	if (type != HA_COUNT && p->tok.type == TOK_CLOSE)
		return filter_fail(p, p->tok.at, "%s() needs %s", aggs[type].word,
				   aggs[type].takes);
	r = parse_inside(hp, &a);
	if (!r) {
		a.len = p->tok.at + p->tok.len - a.at;
		r = parse_close(p, "')'");
	}
	if (!r)
		r = add_agg(hp, &a);
	if (r < 0)
		filter_free(a.where);
	return r;
}

/* ---- numbers ---- */

int having_scan_number(const char *s, double *ret)
{
	const char *dot = strchr(s, '.');
	uint64_t whole, part = 0;
	double scale = 1;
	char head[NUMBER_MAX];
	int r;

	if (!dot) {
		r = scan_u64(s, 0, UINT64_MAX, &whole);
		if (!r)
			*ret = (double)whole;
		return r;
	}
	if (dot == s || !dot[1] || strlen(dot + 1) > 15 || dot - s >= (int)sizeof(head) ||
	    strspn(dot + 1, "0123456789") != strlen(dot + 1))
		return -EINVAL;
	snprintf(head, sizeof(head), "%.*s", (int)(dot - s), s);
	if (strspn(head, "0123456789") != strlen(head))
		return -EINVAL;
	r = scan_u64(head, 0, UINT64_MAX, &whole);
	if (!r)
		r = scan_u64(dot + 1, 0, UINT64_MAX, &part);
	for (const char *d = dot + 1; *d; d++)
		scale *= 10;
	if (!r)
		*ret = (double)whole + (double)part / scale;
	return r;
}

/* Does its value have the unit of a duration? */
static bool is_duration(const struct having *h, const struct having_agg *a)
{
	(void)h;
	return (a->type == HA_SUM || a->type == HA_MAX) &&
	       filter_class(a->fields[0]) == FC_DURATION;
}

static int scan_value(struct having_parser *hp, const struct having_agg *a, const char *s,
		      double *ret)
{
	uint64_t ns;

	if (is_duration(hp->h, a) && !scan_duration_ns(s, 0, UINT64_MAX, &ns)) {
		*ret = (double)(ns / 1000);
		return 0;
	}
	return having_scan_number(s, ret);
}

static int parse_value(struct having_parser *hp, const struct having_agg *a, double *ret)
{
	struct filter_parser *p = &hp->p;
	const char *from = p->text + p->tok.at, *text = NULL;
	char s[NUMBER_MAX];

	if (p->tok.type != TOK_WORD && p->tok.type != TOK_PARAM)
		return filter_fail_expected(p, EXPECT_NOTHING, "a number such as 20, 12Ki or 0.9");
	if (p->tok.len >= sizeof(s))
		return filter_fail(p, p->tok.at, "'%.*s' is no number", TOKEN_ARGS(p));
	snprintf(s, sizeof(s), "%.*s", (int)p->tok.len, from);
	if (p->tok.type == TOK_PARAM) {
		text = p->env && p->env->resolve ? p->env->resolve(p->env->arg, '$', s + 1) : NULL;
		if (!text)
			return filter_fail(p, p->tok.at, "no parameter '%s' here", s);
	}
	if (scan_value(hp, a, text ?: s, ret))
		return filter_fail(p, p->tok.at, "'%.*s' is no number%s%.*s", TOKEN_ARGS(p),
				   text ? ": " : "", text ? 40 : 0, text ?: "");
	filter_next(p);
	return 0;
}

/* ---- expressions ---- */

static int add_node(struct having_parser *hp, const struct having_node *n)
{
	struct having *h = hp->h;

	if (h->n_nodes == HAVING_NODES_MAX)
		return filter_fail_limit(&hp->p, "too many comparisons in one rule");
	h->nodes[h->n_nodes] = *n;
	return (int)h->n_nodes++;
}

static int parse_cmp(struct having_parser *hp)
{
	struct filter_parser *p = &hp->p;
	struct having_node n = {.type = HN_CMP};
	int agg = parse_agg(hp, false), r;

	if (agg < 0)
		return agg;
	if (p->tok.type != TOK_OP || p->tok.op > FO_GE)
		return filter_fail_expected(p, EXPECT_NOTHING, "==, !=, <, <=, > or >=");
	n.agg = (uint8_t)agg;
	n.op = p->tok.op;
	filter_next(p);
	r = parse_value(hp, &hp->h->aggs[agg], &n.value);
	return r ?: add_node(hp, &n);
}

static int parse_primary(struct having_parser *hp)
{
	int n, r;

	if (hp->p.tok.type != TOK_OPEN)
		return parse_cmp(hp);
	filter_next(&hp->p);
	n = parse_or(hp);
	if (n < 0)
		return n;
	r = parse_close(&hp->p, "'and', 'or' or ')'");
	return r ?: n;
}

static int parse_not(struct having_parser *hp)
{
	struct having_node n = {.type = HN_NOT};
	int child;

	if (hp->p.depth++ == FILTER_DEPTH_MAX)
		return filter_fail_limit(&hp->p, "too many parentheses and nots inside each other");
	if (hp->p.tok.type == TOK_NOT || filter_token_is(&hp->p, "not")) {
		filter_next(&hp->p);
		child = parse_not(hp);
		n.first = (uint32_t)child;
		child = child < 0 ? child : add_node(hp, &n);
	} else {
		child = parse_primary(hp);
	}
	hp->p.depth--;
	return child;
}

static bool is_connective(const struct filter_parser *p, enum having_node_type type)
{
	return type == HN_AND ? p->tok.type == TOK_AND || filter_token_is(p, "and")
			      : p->tok.type == TOK_OR || filter_token_is(p, "or");
}

static int parse_chain(struct having_parser *hp, enum having_node_type type)
{
	struct having_node n = {.type = (uint8_t)type};
	uint32_t last = 0, many = 0;

	for (;;) {
		int child = type == HN_AND ? parse_not(hp) : parse_chain(hp, HN_AND);

		if (child < 0)
			return child;
		if (last)
			hp->h->nodes[last].next = (uint32_t)child;
		else
			n.first = (uint32_t)child;
		last = (uint32_t)child;
		many++;
		if (!is_connective(&hp->p, type))
			break;
		filter_next(&hp->p);
	}
	return many == 1 ? (int)n.first : add_node(hp, &n);
}

static int parse_or(struct having_parser *hp)
{
	return parse_chain(hp, HN_OR);
}

static bool is_monotone(const struct having *h)
{
	for (uint32_t i = 1; i < h->n_nodes; i++) {
		const struct having_node *n = &h->nodes[i];

		if (n->type == HN_NOT || (n->type == HN_CMP && n->op != FO_GT && n->op != FO_GE))
			return false;
		if (n->type == HN_CMP && h->aggs[n->agg].type == HA_RATIO)
			return false;
	}
	return true;
}

int having_parse(const char *text, size_t len, const struct filter_env *env, struct having **ret,
		 struct filter_error *reterr)
{
	struct filter_ast none = {};
	struct having_parser hp = {.p = {.text = text, .ast = &none, .env = env, .err = reterr}};
	int root;

	if (len > FILTER_TEXT_MAX)
		return filter_fail_limit(&hp.p, "the text is too long");
	hp.p.len = (uint32_t)len;
	hp.h = calloc(1, sizeof(*hp.h));
	if (!hp.h)
		return filter_fail_memory(&hp.p);
	hp.h->n_nodes = 1;
	filter_next(&hp.p);
	root = parse_or(&hp);
	if (root >= 0 && hp.p.tok.type != TOK_END)
		root = filter_fail_expected(&hp.p, EXPECT_NOTHING, "'and' or 'or'");
	filter_ast_done(&none);
	if (root < 0) {
		having_free(hp.h);
		return root;
	}
	hp.h->root = (uint32_t)root;
	hp.h->monotone = is_monotone(hp.h);
	*ret = hp.h;
	return 0;
}

struct having *having_free(struct having *h)
{
	for (uint32_t i = 0; h && i < h->n_aggs; i++)
		filter_free(h->aggs[i].where);
	free(h);
	return NULL;
}

/* ---- evaluation ---- */

static bool compare(const struct having_node *n, double v)
{
	switch (n->op) {
	case FO_EQ:
		return v == n->value;
	case FO_NE:
		return v != n->value;
	case FO_LT:
		return v < n->value;
	case FO_LE:
		return v <= n->value;
	case FO_GT:
		return v > n->value;
	default:
		return v >= n->value;
	}
}

/* Negations go down to the comparisons, so that no value is false there too. */
static bool holds(const struct having *h, uint32_t node, bool negate, having_value_fn *value,
		  void *arg)
{
	const struct having_node *n = &h->nodes[node];
	bool all;
	double v;

	switch (n->type) {
	case HN_NOT:
		return holds(h, n->first, !negate, value, arg);
	case HN_CMP:
		v = value(arg, n->agg);
		return !isnan(v) && compare(n, v) != negate;
	default:
		all = (n->type == HN_AND) != negate;
		for (uint32_t c = n->first; c; c = h->nodes[c].next)
			if (holds(h, c, negate, value, arg) != all)
				return !all;
		return all;
	}
}

bool having_true(const struct having *h, having_value_fn *value, void *arg)
{
	return holds(h, h->root, false, value, arg);
}
