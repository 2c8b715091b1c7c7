// SPDX-License-Identifier: Apache-2.0
/*
 * policy_dnf.c - a filter's tree as alternatives, each a row of conditions that the kernel can look at.
 * What it can't decide from a packet or a name is an error that points at it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/policy_int.h"

struct dnf {
	struct filter_parser *p;
	bool merge;
};

static int too_many(const struct dnf *d)
{
	filter_fail(d->p, 0, "this makes more than %u rules; use a list, or several filters",
		    POLICY_SPLIT_MAX);
	return -E2BIG;
}

static int add_one(const struct dnf *d, struct alternatives *to, const struct literal *l)
{
	if (to->n == POLICY_SPLIT_MAX)
		return too_many(d);
	to->any[to->n].n = 1;
	to->any[to->n++].all[0] = *l;
	return 0;
}

/* ---- comparisons ---- */

static const struct filter_value *value(const struct dnf *d, uint32_t i)
{
	return &d->p->ast->values[i];
}

struct range {
	uint32_t lo, hi;
};

static int range_order(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->lo > y->lo) - (x->lo < y->lo);
}

/* Values of an ordered comparison or a set, as ranges of ports. */
static uint32_t port_ranges(const struct dnf *d, const struct filter_node *n, struct range *r)
{
	const struct filter_value *v = value(d, n->first);
	const uint32_t at = (uint32_t)v->lo;
	uint32_t k = 0;

	switch (n->op) {
	case FO_LT:
		r[0] = (struct range){0, at - 1};
		return at > 0;
	case FO_LE:
		r[0] = (struct range){0, at};
		return 1;
	case FO_GT:
		r[0] = (struct range){at + 1, UINT16_MAX};
		return at < UINT16_MAX;
	case FO_GE:
		r[0] = (struct range){at, UINT16_MAX};
		return 1;
	}
	for (uint32_t i = n->first; i && k < POLICY_SPLIT_MAX; i = value(d, i)->next)
		r[k++] = (struct range){(uint32_t)value(d, i)->lo, (uint32_t)value(d, i)->hi};
	return k;
}

/* Sorted, without overlaps; @negate: what is between them. */
static uint32_t tidy_ranges(struct range *r, uint32_t n, bool negate)
{
	uint32_t k = 0, from = 0, holes = 0;
	struct range hole[POLICY_SPLIT_MAX + 1];

	qsort(r, n, sizeof(*r), range_order);
	for (uint32_t i = 0; i < n; i++) {
		if (k && r[i].lo <= r[k - 1].hi + 1) {
			if (r[i].hi > r[k - 1].hi)
				r[k - 1].hi = r[i].hi;
		} else {
			r[k++] = r[i];
		}
	}
	if (!negate)
		return k;
	for (uint32_t i = 0; i < k; i++) {
		if (r[i].lo > from)
			hole[holes++] = (struct range){from, r[i].lo - 1};
		from = r[i].hi + 1;
	}
	if (from <= UINT16_MAX)
		hole[holes++] = (struct range){from, UINT16_MAX};
	memcpy(r, hole, holes * sizeof(*r));
	return holes;
}

static int add_ports(const struct dnf *d, const struct filter_node *n, struct literal l,
		     struct alternatives *to)
{
	struct range ranges[POLICY_SPLIT_MAX + 1];
	uint32_t k = 0;
	int r = 0;

	for (uint32_t i = n->first; i; i = value(d, i)->next) {
		if (value(d, i)->type == FV_LIST)
			return filter_fail(d->p, n->at, "lists are of addresses or of names here");
		if (k++ == POLICY_SPLIT_MAX)
			return too_many(d);
	}
	k = tidy_ranges(ranges, port_ranges(d, n, ranges), l.negate && !l.either);
	for (uint32_t i = 0; i < k && !r; i++) {
		l.lo = ranges[i].lo;
		l.hi = ranges[i].hi;
		if (!l.either)
			l.negate = false;
		r = add_one(d, to, &l);
	}
	return r;
}

/* Flags: bits that have to be set, or be clear. */
static int add_flag_bits(const struct dnf *d, uint64_t bits, struct literal l,
			 struct alternatives *to)
{
	int r = 0;

	if (l.negate) { /* none of them */
		l.negate = false;
		l.lo = bits;
		l.hi = 0;
		return add_one(d, to, &l);
	}
	for (; bits && !r; bits &= bits - 1) {
		l.lo = l.hi = bits & -bits;
		r = add_one(d, to, &l);
	}
	return r;
}

/* What can't stand there. 0: all can. */
static int check_values(const struct dnf *d, const struct filter_node *n, bool negate)
{
	const char *path = flow_fields[n->field].path;

	if (n->op >= FO_LT && n->op <= FO_GE)
		return filter_fail(d->p, n->at, "%s can be equal or not, for a packet", path);
	for (uint32_t i = n->first; i; i = value(d, i)->next) {
		const struct filter_value *v = value(d, i);

		if (v->type == FV_LIST)
			return filter_fail(d->p, n->at, "lists are of addresses or of names here");
		if (v->type == FV_RANGE && v->hi - v->lo >= POLICY_SPLIT_MAX)
			return filter_fail(d->p, n->at, "a range of %s is too much for a packet",
					   path);
		if (negate && (v->next || (v->type == FV_RANGE && v->lo != v->hi)))
			return filter_fail(d->p, n->at, "only one value of %s can stand under not",
					   path);
	}
	return 0;
}

static int add_values(const struct dnf *d, const struct filter_node *n, struct literal l,
		      struct alternatives *to)
{
	int r = check_values(d, n, l.negate);

	for (uint32_t i = n->first; i && !r; i = value(d, i)->next) {
		const struct filter_value *v = value(d, i);

		l.value = i;
		l.lo = v->lo;
		do {
			l.hi = l.lo;
			if (l.kind == LIT_FLAGS)
				l.lo = UINT8_MAX;
			r = add_one(d, to, &l);
		} while (l.kind == LIT_VALUE && v->type == FV_RANGE && l.lo++ < v->hi && !r);
	}
	return r;
}

static const struct {
	uint8_t field;
	uint8_t kind;
} fields[] = {
	{FF_SRC_IP, LIT_IPS},	   {FF_DST_IP, LIT_IPS},	{FF_SRC_PORT, LIT_PORT},
	{FF_DST_PORT, LIT_PORT},   {FF_PROTO, LIT_VALUE},	{FF_ETHERTYPE, LIT_VALUE},
	{FF_VLAN, LIT_VALUE},	   {FF_VNI, LIT_VALUE},		{FF_ICMP_TYPE, LIT_VALUE},
	{FF_ICMP_CODE, LIT_VALUE}, {FF_TCP_FLAGS, LIT_FLAGS},	{FF_IFACE, LIT_IFACE},
	{FF_TLS_SNI, LIT_NAMES},   {FF_HTTP_HOST, LIT_NAMES},	{FF_HTTP_HOSTS, LIT_NAMES},
	{FF_DNS_QNAME, LIT_NAMES}, {FF_DNS_QUERIES, LIT_NAMES},
};

static int kind_of(enum flow_field f)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].field == f)
			return fields[i].kind;
	return -1;
}

static int add_names(const struct dnf *d, const struct filter_node *n, struct literal l,
		     struct alternatives *to)
{
	const char *path = flow_fields[n->field].path;

	if (l.negate)
		return filter_fail(d->p, n->at,
				   "%s under not: a packet is stopped for the name it has", path);
	if (n->op == FO_PREFIX || n->op == FO_CONTAINS)
		return filter_fail(d->p, n->at, "names are found by ==, in or suffix, not by %s",
				   filter_op_text[n->op]);
	return add_one(d, to, &l);
}

static int add_comparison(const struct dnf *d, const struct filter_node *n, struct literal l,
			  struct alternatives *to)
{
	switch (l.kind) {
	case LIT_PORT:
		return add_ports(d, n, l, to);
	case LIT_NAMES:
		return add_names(d, n, l, to);
	case LIT_IPS:
		return add_one(d, to, &l);
	case LIT_FLAGS:
		if (n->op == FO_BITS)
			return add_flag_bits(d, value(d, n->first)->lo & UINT8_MAX, l, to);
		return add_values(d, n, l, to);
	case LIT_IFACE:
		if (n->op >= FO_PREFIX)
			return filter_fail(d->p, n->at, "iface is compared as a whole here");
		return add_values(d, n, l, to);
	default:
		if (n->op == FO_BITS)
			return filter_fail(d->p, n->at, "'&' is for tcp.flags alone here");
		return add_values(d, n, l, to);
	}
}

static int compare(const struct dnf *d, const struct filter_node *n, bool negate, bool either,
		   struct alternatives *to)
{
	const char *path = flow_fields[n->field].path;
	const int kind = kind_of(n->field);
	const struct literal l = {
		.kind = (uint8_t)kind,
		.field = n->field,
		.negate = negate != (n->op == FO_NE),
		.either = either,
		.at = n->at,
		.value = n->first,
		.op = n->op,
	};

	if (n->type == FN_EXISTS)
		return filter_fail(
			d->p, n->at,
			"exists(%s): compare it with something; what a packet has not is "
			"never equal",
			path);
	if (kind < 0)
		return filter_fail(
			d->p, n->at,
			"%s is known of a flow, not of a packet: the kernel can't decide "
			"by it",
			path);
	return add_comparison(d, n, l, to);
}

/* ---- the tree ---- */

static int walk(const struct dnf *d, uint32_t i, bool negate, struct alternatives *to);

static int any_of(const struct dnf *d, const struct filter_node *n, bool negate,
		  struct alternatives *to)
{
	int r = 0;

	for (uint32_t i = n->first; i && !r; i = d->p->ast->nodes[i].next)
		r = walk(d, i, negate, to);
	return r;
}

/* Every alternative of @a with every one of @b. */
static int multiply(const struct dnf *d, const struct alternatives *a, const struct alternatives *b,
		    struct alternatives *to)
{
	for (uint32_t i = 0; i < a->n; i++) {
		for (uint32_t k = 0; k < b->n; k++) {
			struct alternative *alt = &to->any[to->n];

			if (to->n == POLICY_SPLIT_MAX)
				return too_many(d);
			if (a->any[i].n + b->any[k].n > LITERALS_MAX)
				return filter_fail(d->p, 0, "more than %u conditions at one time",
						   LITERALS_MAX);
			*alt = a->any[i];
			memcpy(alt->all + alt->n, b->any[k].all, b->any[k].n * sizeof(alt->all[0]));
			alt->n += b->any[k].n;
			to->n++;
		}
	}
	return 0;
}

static int all_of(const struct dnf *d, const struct filter_node *n, bool negate,
		  struct alternatives *to)
{
	struct alternatives *sum = malloc(3 * sizeof(*sum)), *next, *part;
	int r = 0;

	if (!sum)
		return -ENOMEM;
	next = sum + 1;
	part = sum + 2;
	sum->n = 1;
	sum->any[0].n = 0;
	for (uint32_t i = n->first; i && !r; i = d->p->ast->nodes[i].next) {
		part->n = next->n = 0;
		r = walk(d, i, negate, part);
		r = r ?: multiply(d, sum, part, next);
		if (!r)
			memcpy(sum, next, sizeof(*sum));
	}
	for (uint32_t i = 0; !r && i < sum->n; i++) {
		if (to->n == POLICY_SPLIT_MAX)
			r = too_many(d);
		else
			to->any[to->n++] = sum->any[i];
	}
	free(sum);
	return r;
}

/* The same values in the same order; those of sugar are one, those of text that was printed are not. */
static bool same_values(const struct dnf *d, uint32_t a, uint32_t b)
{
	const char *bytes = d->p->ast->bytes;

	while (a != b && a && b) {
		const struct filter_value *x = value(d, a), *y = value(d, b);

		if (x->type != y->type || x->lo != y->lo || x->hi != y->hi ||
		    x->prefix != y->prefix || memcmp(x->ip, y->ip, 16) != 0 ||
		    memcmp(x->ip_hi, y->ip_hi, 16) != 0 || x->str_len != y->str_len ||
		    (x->str_len && memcmp(bytes + x->str, bytes + y->str, x->str_len) != 0))
			return false;
		a = x->next;
		b = y->next;
	}
	return a == b;
}

/* `host X`, `port X`: the same of both ends. */
static const struct filter_node *either_end(const struct dnf *d, const struct filter_node *n,
					    bool negate)
{
	const struct filter_node *a = &d->p->ast->nodes[n->first], *b = &d->p->ast->nodes[n->last];

	if (!d->merge || n->type != FN_OR || a->type != FN_CMP || b->type != FN_CMP ||
	    a->next != n->last || a->op != b->op || a->op == FO_NE ||
	    !same_values(d, a->first, b->first))
		return NULL;
	if (a->field == FF_SRC_PORT && b->field == FF_DST_PORT)
		return a;
	return a->field == FF_SRC_IP && b->field == FF_DST_IP && !negate ? a : NULL;
}

/* One range alone can be asked of either end under not. */
static bool one_range(const struct dnf *d, const struct filter_node *n)
{
	return !value(d, n->first)->next;
}

static int walk(const struct dnf *d, uint32_t i, bool negate, struct alternatives *to)
{
	const struct filter_node *n = &d->p->ast->nodes[i], *end;

	switch (n->type) {
	case FN_NOT:
		return walk(d, n->first, !negate, to);
	case FN_OR:
	case FN_AND:
		end = either_end(d, n, negate);
		if (end && (!negate || one_range(d, end)))
			return compare(d, end, negate, true, to);
		return (n->type == FN_OR) != negate ? any_of(d, n, negate, to)
						    : all_of(d, n, negate, to);
	default:
		return compare(d, n, negate, false, to);
	}
}

int policy_alternatives(struct filter_parser *p, bool merge, struct alternatives **ret)
{
	const struct dnf d = {.p = p, .merge = merge};
	struct alternatives *to = malloc(sizeof(*to));
	int r;

	if (!to)
		return filter_fail_memory(p);
	to->n = 0;
	r = walk(&d, p->ast->root, false, to);
	if (r == -ENOMEM)
		filter_fail_memory(p);
	if (r) {
		free(to);
		return r;
	}
	*ret = to;
	return 0;
}
