// SPDX-License-Identifier: Apache-2.0
/*
 * filter_compile.c - tree to tests. Negations are pushed down to the comparisons, so that an absent
 * field is false under `not` too; what is left are ands and ors, which become the places where the
 * tests go on. Written from the last test to the first: then both places are known.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/community_id.h"
#include "common/filter_code.h"

struct compiler {
	const struct filter_ast *ast;
	struct filter *f;
	uint32_t cap_tests; /* tests[next, cap) are written */
	uint32_t next;
	uint32_t n_numbers, n_ips, n_strings;
};

static const struct {
	uint64_t lo[2], hi[2];
} mapped = {{0, 0xffff00000000}, {0, 0xffffffffffff}};

bool filter_field_nocase(enum flow_field f)
{
	return f == FF_TLS_SNI || f == FF_HTTP_HOST || f == FF_HTTP_HOSTS || f == FF_DNS_QNAME ||
	       f == FF_DNS_QUERIES || f == FF_DNS_ANSWERS || f == FF_SRC_NAME || f == FF_DST_NAME;
}

/* ---- sets ---- */

typedef void value_fn(struct compiler *c, const struct filter_value *v, struct filter_test *t);

/* All values of a set, those of its lists too. */
static void each_value(struct compiler *c, uint32_t i, struct filter_test *t, value_fn *fn)
{
	for (; i; i = c->ast->values[i].next) {
		const struct filter_value *v = &c->ast->values[i];

		if (v->type != FV_LIST) {
			fn(c, v, t);
			continue;
		}
		for (uint32_t k = v->sub; k; k = c->ast->values[k].next)
			fn(c, &c->ast->values[k], t);
	}
}

static void put_range(struct compiler *c, const struct filter_value *v, struct filter_test *t)
{
	c->f->numbers[c->n_numbers++] = (struct filter_numbers){v->lo, v->hi};
	t->n++;
}

static void load_ip(const uint8_t ip[16], uint64_t ret[2])
{
	memcpy(ret, ip, 16);
	ret[0] = be64toh(ret[0]);
	ret[1] = be64toh(ret[1]);
}

static bool above(const uint64_t a[2], const uint64_t b[2])
{
	return a[0] > b[0] || (a[0] == b[0] && a[1] > b[1]);
}

static void add_ips(struct compiler *c, struct filter_ips ips, struct filter_test *t)
{
	c->f->ips[c->n_ips++] = ips;
	t->n++;
}

/* Addresses of IPv6 around those that stand for IPv4 (RFC 4291 2.5.5.2): ::/0 is no IPv4 address. */
static void add_around_mapped(struct compiler *c, struct filter_ips ips, struct filter_test *t)
{
	struct filter_ips part = ips;

	if (above(mapped.lo, ips.lo)) {
		part.hi[0] = 0;
		part.hi[1] = mapped.lo[1] - 1;
		add_ips(c, part, t);
	}
	if (above(ips.hi, mapped.hi)) {
		part = ips;
		part.lo[0] = 0;
		part.lo[1] = mapped.hi[1] + 1;
		add_ips(c, part, t);
	}
}

static void put_ips(struct compiler *c, const struct filter_value *v, struct filter_test *t)
{
	const unsigned int bits = v->type == FV_NET ? v->prefix + (v->family == 4 ? 96u : 0u) : 128;
	struct filter_ips ips;

	load_ip(v->ip, ips.lo);
	load_ip(v->type == FV_IPS ? v->ip_hi : v->ip, ips.hi);
	if (bits < 64)
		ips.hi[0] |= UINT64_MAX >> bits;
	if (bits <= 64)
		ips.hi[1] = UINT64_MAX;
	else if (bits < 128)
		ips.hi[1] |= UINT64_MAX >> (bits - 64);
	if (v->family == 6 && !above(ips.lo, mapped.hi) && !above(mapped.lo, ips.hi))
		add_around_mapped(c, ips, t);
	else
		add_ips(c, ips, t);
}

static void put_string(struct compiler *c, const struct filter_value *v, struct filter_test *t)
{
	char *s = c->f->bytes + v->str;

	for (uint32_t i = 0; t->nocase && i < v->str_len; i++)
		s[i] = filter_lower(s[i]);
	c->f->strings[c->n_strings++] = (struct flow_str){s, v->str_len};
	t->n++;
}

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int numbers_order(const void *a, const void *b)
{
	const struct filter_numbers *x = a, *y = b;

	return compare(x->lo, y->lo);
}

static int ips_order(const void *a, const void *b)
{
	const struct filter_ips *x = a, *y = b;

	return compare(x->lo[0], y->lo[0]) ?: compare(x->lo[1], y->lo[1]);
}

static int strings_order(const void *a, const void *b)
{
	return filter_string_order(*(const struct flow_str *)a, *(const struct flow_str *)b);
}

static void sort_numbers(struct compiler *c, struct filter_test *t)
{
	struct filter_numbers *set = c->f->numbers + t->first;
	uint32_t n = 0;

	qsort(set, t->n, sizeof(*set), numbers_order);
	for (uint32_t i = 0; i < t->n; i++) {
		if (n && set[i].lo <= set[n - 1].hi) {
			if (set[i].hi > set[n - 1].hi)
				set[n - 1].hi = set[i].hi;
		} else {
			set[n++] = set[i];
		}
	}
	t->n = n;
}

static void sort_ips(struct compiler *c, struct filter_test *t)
{
	struct filter_ips *set = c->f->ips + t->first;
	uint32_t n = 0;

	qsort(set, t->n, sizeof(*set), ips_order);
	for (uint32_t i = 0; i < t->n; i++) {
		if (n && !above(set[i].lo, set[n - 1].hi)) {
			if (above(set[i].hi, set[n - 1].hi))
				memcpy(set[n - 1].hi, set[i].hi, sizeof(set[i].hi));
		} else {
			set[n++] = set[i];
		}
	}
	t->n = n;
}

static void compile_set(struct compiler *c, uint32_t value, struct filter_test *t)
{
	t->n = 0;
	switch (filter_class(t->field)) {
	case FC_IP:
		t->type = TEST_IPS;
		t->first = c->n_ips;
		each_value(c, value, t, put_ips);
		sort_ips(c, t);
		break;
	case FC_STRING:
	case FC_ID:
		t->type = filter_class(t->field) == FC_ID ? TEST_ID : TEST_STRINGS;
		t->first = c->n_strings;
		each_value(c, value, t, put_string);
		qsort(c->f->strings + t->first, t->n, sizeof(*c->f->strings), strings_order);
		break;
	default:
		t->type = TEST_NUMBERS;
		t->first = c->n_numbers;
		each_value(c, value, t, put_range);
		sort_numbers(c, t);
	}
}

/* ---- comparisons ---- */

static void compile_number(enum filter_op op, uint64_t v, struct filter_test *t)
{
	static const struct filter_numbers never = {1, 0};

	if (filter_class(t->field) == FC_VERSION && op >= FO_LT && op <= FO_GE) {
		t->type = TEST_VERSION;
		v = filter_version_rank(v);
	} else {
		t->type = op == FO_BITS ? TEST_BITS : TEST_RANGE;
	}
	switch (op) {
	case FO_LT:
		t->range = v ? (struct filter_numbers){0, v - 1} : never;
		break;
	case FO_LE:
		t->range = (struct filter_numbers){0, v};
		break;
	case FO_GT:
		t->range = v < UINT64_MAX ? (struct filter_numbers){v + 1, UINT64_MAX} : never;
		break;
	case FO_GE:
		t->range = (struct filter_numbers){v, UINT64_MAX};
		break;
	default:
		t->range = (struct filter_numbers){v, v};
	}
}

static void compile_string(struct compiler *c, enum filter_op op, const struct filter_value *v,
			   struct filter_test *t)
{
	t->type = op == FO_PREFIX     ? TEST_PREFIX
		  : op == FO_SUFFIX   ? TEST_SUFFIX
		  : op == FO_CONTAINS ? TEST_CONTAINS
				      : TEST_STRING;
	if (filter_class(t->field) == FC_ID)
		t->type = TEST_ID;
	t->first = c->n_strings;
	t->n = 0;
	put_string(c, v, t);
}

static void compile_cmp(struct compiler *c, const struct filter_node *n, struct filter_test *t)
{
	const struct filter_value *v = &c->ast->values[n->first];

	t->nocase = filter_field_nocase(n->field);
	t->divide = flow_fields[n->field].type == FT_TIME;
	t->negate ^= n->op == FO_NE;
	if (n->op == FO_IN) {
		compile_set(c, n->first, t);
		return;
	}
	switch (filter_class(n->field)) {
	case FC_IP:
		t->type = TEST_IP;
		load_ip(v->ip, t->ip);
		break;
	case FC_STRING:
	case FC_ID:
		compile_string(c, n->op, v, t);
		break;
	default:
		compile_number(n->op, v->lo, t);
	}
}

/* ---- the tree ---- */

struct targets {
	uint16_t if_true;
	uint16_t if_false;
};

static uint16_t compile_node(struct compiler *c, uint32_t i, bool negate, struct targets to);

/* Children from the last to the first: each goes on at the one behind it. */
static uint16_t compile_children(struct compiler *c, const struct filter_node *n, bool negate,
				 struct targets to)
{
	const bool all = (n->type == FN_AND) != negate; /* not (a or b) = not a and not b */
	struct targets here = to;
	uint16_t entry = 0;

	for (uint32_t i = n->last; i; i = c->ast->nodes[i].prev) {
		entry = compile_node(c, i, negate, here);
		if (all)
			here.if_true = entry;
		else
			here.if_false = entry;
	}
	return entry;
}

static uint16_t compile_test(struct compiler *c, const struct filter_node *n, bool negate,
			     struct targets to)
{
	struct filter_test *t = &c->f->tests[--c->next];

	*t = (struct filter_test){
		.type = TEST_EXISTS,
		.field = n->field,
		.data = flow_fields[n->field].type,
		.negate = negate,
		.if_true = to.if_true,
		.if_false = to.if_false,
		.offset = flow_fields[n->field].offset,
	};
	if (n->type == FN_CMP)
		compile_cmp(c, n, t);
	return (uint16_t)c->next;
}

static uint16_t compile_node(struct compiler *c, uint32_t i, bool negate, struct targets to)
{
	const struct filter_node *n = &c->ast->nodes[i];

	switch (n->type) {
	case FN_NOT:
		return compile_node(c, n->first, !negate, to);
	case FN_AND:
	case FN_OR:
		return compile_children(c, n, negate, to);
	default:
		return compile_test(c, n, negate, to);
	}
}

static void count_value(struct compiler *c, const struct filter_value *v, struct filter_test *t)
{
	(void)t;
	c->n_ips += v->type == FV_IP || v->type == FV_IPS || v->type == FV_NET ? 2 : 0;
	c->n_numbers += v->type == FV_NUMBER || v->type == FV_RANGE;
	c->n_strings += v->type == FV_STRING;
}

/* Tables as large as all sets together; a network of IPv6 may become two ranges. */
static int allocate(struct compiler *c)
{
	const struct filter_ast *a = c->ast;
	struct filter *f = c->f;

	for (uint32_t i = 1; i < a->n_nodes; i++)
		if (a->nodes[i].type == FN_CMP)
			each_value(c, a->nodes[i].first, NULL, count_value);
	f->tests = calloc(a->n_nodes, sizeof(*f->tests));
	f->bytes = malloc(a->n_bytes + 1);
	f->numbers = calloc(c->n_numbers + 1, sizeof(*f->numbers));
	f->ips = calloc(c->n_ips + 1, sizeof(*f->ips));
	f->strings = calloc(c->n_strings + 1, sizeof(*f->strings));
	if (!f->tests || !f->bytes || !f->numbers || !f->ips || !f->strings)
		return -ENOMEM;
	if (a->n_bytes)
		memcpy(f->bytes, a->bytes, a->n_bytes);
	c->n_numbers = c->n_ips = c->n_strings = 0;
	c->next = c->cap_tests = a->n_nodes;
	return 0;
}

int filter_compile(const struct filter_ast *a, struct filter **ret)
{
	struct compiler c = {.ast = a};
	int r;

	c.f = calloc(1, sizeof(*c.f));
	if (!c.f)
		return -ENOMEM;
	r = allocate(&c);
	if (r) {
		filter_free(c.f);
		return r;
	}
	c.f->entry = compile_node(&c, a->root, false, (struct targets){FILTER_TRUE, FILTER_FALSE});
	c.f->n_tests = c.cap_tests;
	for (uint32_t i = c.next; i < c.cap_tests && !r; i++)
		if (c.f->tests[i].type == TEST_ID && !c.f->community)
			r = community_new(&c.f->community);
	if (r) {
		filter_free(c.f);
		return r;
	}
	*ret = c.f;
	return 0;
}

struct filter *filter_free(struct filter *f)
{
	if (!f)
		return NULL;
	community_free(f->community);
	free(f->tests);
	free(f->numbers);
	free(f->ips);
	free(f->strings);
	free(f->bytes);
	free(f);
	return NULL;
}
