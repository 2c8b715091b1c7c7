// SPDX-License-Identifier: Apache-2.0
/*
 * test_filter_random.c - properties that hold for any filter: a tree that is printed parses to the
 * same tree; and what it is compiled to says the same as the tree itself, evaluated with three
 * values: true, false, unknown (a comparison with an absent field).
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/filter_code.h"
#include "common/flow_text.h"
#include "filter_random.h"
#include "filter_rig.h"

#define TREES	20000u
#define RECORDS 8u

/* ---- the same? ---- */

static bool same_value(const struct filter_ast *a, const struct filter_value *x,
		       const struct filter_ast *b, const struct filter_value *y)
{
	if (x->type != y->type || x->prefix != y->prefix || x->family != y->family ||
	    x->lo != y->lo || x->hi != y->hi || x->str_len != y->str_len ||
	    memcmp(x->ip, y->ip, 16) != 0 || memcmp(x->ip_hi, y->ip_hi, 16) != 0)
		return false;
	return !x->str_len || !memcmp(a->bytes + x->str, b->bytes + y->str, x->str_len);
}

static bool same_values(const struct filter_ast *a, uint32_t x, const struct filter_ast *b,
			uint32_t y)
{
	for (; x && y; x = a->values[x].next, y = b->values[y].next)
		if (!same_value(a, &a->values[x], b, &b->values[y]))
			return false;
	return !x && !y;
}

static bool same_node(const struct filter_ast *a, uint32_t i, const struct filter_ast *b,
		      uint32_t k)
{
	const struct filter_node *x = &a->nodes[i], *y = &b->nodes[k];
	uint32_t c, d;

	if (x->type != y->type || x->op != y->op || x->field != y->field)
		return false;
	if (x->type == FN_EXISTS)
		return true;
	if (x->type == FN_CMP)
		return same_values(a, x->first, b, y->first);
	for (c = x->first, d = y->first; c && d; c = a->nodes[c].next, d = b->nodes[d].next)
		if (!same_node(a, c, b, d))
			return false;
	return !c && !d;
}

/* ---- the tree over a record, three values ---- */

enum { NO, UNKNOWN, YES };

static int order(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static bool op_holds(enum filter_op op, uint64_t a, uint64_t b)
{
	switch (op) {
	case FO_LT:
		return order(a, b) < 0;
	case FO_LE:
		return order(a, b) <= 0;
	case FO_GT:
		return order(a, b) > 0;
	case FO_GE:
		return order(a, b) >= 0;
	case FO_BITS:
		return a & b;
	default:
		return a == b;
	}
}

static bool number_holds(enum flow_field f, const struct filter_node *n,
			 const struct filter_value *v, uint64_t x)
{
	uint64_t y = v->lo;

	if (n->op == FO_IN)
		return x >= v->lo && x <= v->hi;
	if (filter_class(f) == FC_VERSION && n->op != FO_EQ && n->op != FO_NE) {
		x = filter_version_rank(x);
		y = filter_version_rank(y);
	}
	return op_holds(n->op, x, y);
}

static bool ip_holds(const struct filter_value *v, const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const unsigned int bits = v->prefix + (v->family == 4 ? 96u : 0u);

	if (v->type == FV_IP)
		return !memcmp(ip, v->ip, 16);
	if ((memcmp(ip, mapped, 12) == 0) != (v->family == 4))
		return false;
	if (v->type == FV_IPS)
		return memcmp(ip, v->ip, 16) >= 0 && memcmp(ip, v->ip_hi, 16) <= 0;
	for (unsigned int i = 0; i < bits; i++)
		if ((ip[i / 8] ^ v->ip[i / 8]) & 0x80 >> i % 8)
			return false;
	return true;
}

static bool same_letter(enum flow_field f, char a, char b)
{
	return a == b || (filter_field_nocase(f) && filter_lower(a) == filter_lower(b));
}

/* Is @v at @s, which has as many letters behind it? */
static bool text_at(const struct filter_ast *a, enum flow_field f, const struct filter_value *v,
		    const char *s)
{
	for (uint32_t k = 0; k < v->str_len; k++)
		if (!same_letter(f, s[k], a->bytes[v->str + k]))
			return false;
	return true;
}

static bool text_holds(const struct filter_ast *a, const struct filter_node *n,
		       const struct filter_value *v, struct flow_str s)
{
	const uint32_t end = s.len - v->str_len;

	if (s.len < v->str_len)
		return false;
	if (n->op == FO_PREFIX)
		return text_at(a, n->field, v, s.s);
	if (n->op == FO_SUFFIX)
		return text_at(a, n->field, v, s.s + end);
	if (n->op != FO_CONTAINS)
		return !end && text_at(a, n->field, v, s.s);
	for (uint32_t i = 0; i <= end; i++)
		if (text_at(a, n->field, v, s.s + i))
			return true;
	return false;
}

/* One value against one member, elements of lists one by one. */
static bool value_holds(const struct filter_ast *a, const struct filter_node *n,
			const struct filter_value *v, const struct flow_record *r)
{
	const void *member = (const char *)r + flow_fields[n->field].offset;
	struct flow_strs strs;
	struct flow_str s;
	bool any = false;

	switch (flow_fields[n->field].type) {
	case FT_IP:
		return ip_holds(v, member);
	case FT_STR:
		memcpy(&s, member, sizeof(s));
		return text_holds(a, n, v, s);
	case FT_STRS:
		memcpy(&strs, member, sizeof(strs));
		for (uint32_t i = 0; i < strs.n; i++)
			any |= text_holds(a, n, v, strs.v[i]);
		return any;
	case FT_QUERIES:
		for (uint32_t i = 0; i < r->dns_queries.n; i++)
			any |= text_holds(a, n, v, r->dns_queries.v[i].qname);
		return any;
	case FT_ALPN: /* the rig's: h2 and http/1.1 */
		return text_holds(a, n, v, (struct flow_str){"h2", 2}) ||
		       text_holds(a, n, v, (struct flow_str){"http/1.1", 8});
	case FT_VLAN:
		for (unsigned int i = 0; i < FLOW_VLANS_MAX && r->vlan[i]; i++)
			any |= number_holds(n->field, n, v, r->vlan[i]);
		return any;
	case FT_TIME:
		return number_holds(n->field, n, v, flow_number(r, n->field) / 1000);
	case FT_CID: /* random text is never one */
		return false;
	default:
		return number_holds(n->field, n, v, flow_number(r, n->field));
	}
}

static int evaluate(const struct filter_ast *a, uint32_t i, const struct flow_record *r)
{
	const struct filter_node *n = &a->nodes[i];
	int result = n->type == FN_AND ? YES : NO;
	bool any = false;

	switch (n->type) {
	case FN_EXISTS:
		return flow_has(r, n->field) ? YES : NO;
	case FN_NOT:
		return YES - evaluate(a, n->first, r);
	case FN_CMP:
		if (!flow_has(r, n->field))
			return UNKNOWN;
		for (uint32_t v = n->first; v; v = a->values[v].next)
			any |= value_holds(a, n, &a->values[v], r);
		return any ^ (n->op == FO_NE) ? YES : NO;
	default:
		for (uint32_t c = n->first; c; c = a->nodes[c].next) {
			const int x = evaluate(a, c, r);

			if (n->type == FN_AND ? x < result : x > result)
				result = x;
		}
		return result;
	}
}

Test(filter_random, prints_what_parses_to_the_same_tree, .timeout = 600)
{
	static char text[1 << 20];

	for (unsigned int i = 0; i < TREES; i++) {
		struct filter_ast a = {}, b = {};
		struct filter_error err;
		struct filter_parser p = {.text = "", .ast = &a, .err = &err};
		FILE *out = fmemopen(text, sizeof(text), "w");

		a.root = (uint32_t)random_node(&p, 1 + random_below(5));
		cr_assert(out != NULL);
		cr_assert(eq(int, filter_ast_print(&a, out), 0));
		fclose(out);
		p = (struct filter_parser){.text = text,
					   .len = (uint32_t)strlen(text),
					   .ast = &b,
					   .env = &filter_rig_env,
					   .err = &err};
		if (p.len <= FILTER_TEXT_MAX) {
			cr_assert(eq(int, filter_parse_ast(&p), 0), "col %u: %s in %s", err.column,
				  err.message, text);
			cr_assert(same_node(&a, a.root, &b, b.root), "%s", text);
		}
		filter_ast_done(&a);
		filter_ast_done(&b);
	}
}

Test(filter_random, compiles_to_what_the_tree_says, .timeout = 600)
{
	unsigned int matched = 0;

	for (unsigned int i = 0; i < TREES; i++) {
		struct filter_ast a = {};
		struct filter_error err;
		struct filter_parser p = {.text = "", .ast = &a, .err = &err};
		struct filter *f = NULL;

		a.root = (uint32_t)random_node(&p, 1 + random_below(5));
		cr_assert(eq(int, filter_compile(&a, &f), 0));
		for (unsigned int k = 0; k < RECORDS; k++) {
			const struct flow_record r = random_record();
			const bool want = evaluate(&a, a.root, &r) == YES;

			matched += want;
			if (filter_match(f, &r) != want) {
				filter_ast_print(&a, stderr);
				cr_assert(false, "tree %u: not %d", i, want);
			}
		}
		filter_free(f);
		filter_ast_done(&a);
	}
	cr_assert(gt(u32, matched, TREES), "trees that never match show nothing: %u", matched);
}
