// SPDX-License-Identifier: Apache-2.0
/*
 * policy_filter.c - each alternative of a filter as rules and entries. Addresses and names lead to a
 * rule by entries, as many as there are; what else has to hold is in the rule's conditions.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/policy_int.h"

/* Broader than this, a network is a condition of a rule that is tried on every flow. */
#define ENTRY_BITS_4 (96 + 8)
#define ENTRY_BITS_6 16

struct maker {
	struct filter_parser *p;
	struct policy_draft *d;
	const struct policy_lists *lists;
	struct policy_rule rule; /* the next one */
	struct policy_filter_result *ret;
	const struct literal *key; /* IPS or NAMES that the entries are of, or NULL */
	uint8_t role;
	bool never; /* contradicts itself */
};

static const struct filter_value *value(const struct maker *m, uint32_t i)
{
	return &m->p->ast->values[i];
}

static const char *text_of(const struct maker *m, const struct filter_value *v)
{
	return m->p->ast->bytes + v->str;
}

static int fail(const struct maker *m, const struct literal *l, const char *why)
{
	return filter_fail(m->p, l->at, "%s", why);
}

static const struct policy_list *list_of(const struct maker *m, const struct filter_value *v)
{
	for (uint32_t i = 0; m->lists && i < m->lists->n; i++)
		if (!strcmp(m->lists->v[i].name, text_of(m, v)))
			return &m->lists->v[i];
	return NULL;
}

/* ---- counting addresses ---- */

struct seen {
	uint64_t n;
	uint8_t addr[16]; /* of the first */
	uint8_t bits;
	uint8_t broadest;
	bool list;
};

static int see(void *arg, const uint8_t addr[16], uint8_t bits)
{
	struct seen *s = arg;
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const bool v4 = bits >= 96 && !memcmp(addr, mapped, 12);

	if (!s->n++) {
		memcpy(s->addr, addr, 16);
		s->bits = bits;
	}
	if (bits < (v4 ? ENTRY_BITS_4 : ENTRY_BITS_6))
		s->broadest = 1;
	return 0;
}

static struct seen look(const struct maker *m, const struct literal *l)
{
	struct seen s = {};

	for (uint32_t i = l->value; i; i = value(m, i)->next) {
		const struct filter_value *v = value(m, i);
		const struct policy_list *list = v->type == FV_LIST ? list_of(m, v) : NULL;

		if (list) {
			s.n += list->items.n;
			s.list = true;
		} else if (v->type == FV_LIST) {
			for (uint32_t k = v->sub; k; k = value(m, k)->next)
				policy_prefixes(value(m, k), see, &s);
		} else {
			policy_prefixes(v, see, &s);
		}
	}
	return s;
}

/* ---- entries ---- */

static int add_prefix(void *arg, const uint8_t addr[16], uint8_t bits)
{
	struct maker *m = arg;
	struct policy_addr a = {.bits = bits, .role = m->role, .rule = m->rule.number};

	memcpy(a.addr, addr, sizeof(a.addr));
	m->ret->entries++;
	return policy_add(m->d, POLICY_ADDR, &a);
}

static int add_list(struct maker *m, const struct policy_list *list, uint8_t kinds)
{
	const enum policy_type type = list->names ? POLICY_NAME : POLICY_ADDR;
	int r = 0;

	for (uint32_t i = 0; i < list->items.n && !r; i++) {
		const uint8_t *item = list->items.at + i * policy_record_size(type);

		if (list->names) {
			struct policy_name n;

			memcpy(&n, item, sizeof(n));
			n.kinds = kinds;
			n.rule = m->rule.number;
			r = policy_add(m->d, type, &n);
		} else {
			struct policy_addr a;

			memcpy(&a, item, sizeof(a));
			a.role = m->role;
			a.rule = m->rule.number;
			r = policy_add(m->d, type, &a);
		}
		m->ret->entries++;
	}
	return r;
}

static int add_name(struct maker *m, const struct filter_value *v, uint8_t kinds)
{
	const struct literal *l = m->key;
	struct policy_name n = {
		.kinds = kinds,
		.how = l->op == FO_SUFFIX ? NAME_SUFFIX : NAME_EXACT,
		.rule = m->rule.number,
		.length = (uint16_t)v->str_len,
	};
	const char *s = text_of(m, v);

	if (!v->str_len || v->str_len >= POLICY_NAME_MAX)
		return fail(m, l,
			    v->str_len ? "a name has 255 letters at most"
				       : "an empty name fits everything, or nothing");
	for (uint32_t i = 0; i < v->str_len; i++) {
		if (s[i] <= ' ' || s[i] >= 0x7f)
			return fail(m, l, "names are ASCII: write others as xn--...");
		n.name[i] = (uint8_t)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] | 0x20 : s[i]);
	}
	if (n.name[n.length - 1] == '.')
		return fail(m, l, "names end without a dot");
	if (n.how == NAME_EXACT && n.name[0] == '.')
		return fail(m, l, "no name begins with a dot; did you mean suffix?");
	m->ret->entries++;
	return policy_add(m->d, POLICY_NAME, &n);
}

static int add_entry(struct maker *m, const struct filter_value *v, uint8_t kinds)
{
	return m->key->kind == LIT_NAMES ? add_name(m, v, kinds)
					 : policy_prefixes(v, add_prefix, m);
}

static int add_entries(struct maker *m)
{
	const uint8_t kinds = m->key->field == FF_TLS_SNI ? NAME_SNI
			      : m->key->field == FF_DNS_QNAME || m->key->field == FF_DNS_QUERIES
				      ? NAME_DNS
				      : NAME_HOST;
	int r = 0;

	for (uint32_t i = m->key->value; i && !r; i = value(m, i)->next) {
		const struct filter_value *v = value(m, i);
		const struct policy_list *list = v->type == FV_LIST ? list_of(m, v) : NULL;

		if (list) {
			r = add_list(m, list, kinds);
			continue;
		}
		if (v->type != FV_LIST)
			r = add_entry(m, v, kinds);
		for (uint32_t k = v->type == FV_LIST ? v->sub : 0; k && !r; k = value(m, k)->next)
			r = add_entry(m, value(m, k), kinds);
	}
	return r;
}

/* ---- conditions ---- */

static int put_value(struct maker *m, const struct literal *l)
{
	struct policy_match *t = &m->rule.match;
	uint64_t had = 0;
	uint32_t cond;

	switch (l->field) {
#define VALUE(field, c, member)                           \
	case field:                                       \
		cond = c;                                 \
		had = t->member;                          \
		t->member = (__typeof__(t->member))l->lo; \
		break;
		VALUE(FF_PROTO, COND_PROTO, proto)
		VALUE(FF_ETHERTYPE, COND_ETHERTYPE, ethertype)
		VALUE(FF_VLAN, COND_VLAN, vlan)
		VALUE(FF_VNI, COND_VNI, vni)
		VALUE(FF_ICMP_TYPE, COND_ICMP_TYPE, icmp_type)
		VALUE(FF_ICMP_CODE, COND_ICMP_CODE, icmp_code)
#undef VALUE
	default:
		return fail(m, l, "is not known of a packet");
	}
	if (t->have & cond) {
		const bool was_negated = t->negate & cond;

		if (was_negated != l->negate || (l->negate && had != l->lo))
			return fail(m, l, "this field stands here twice, one time under not");
		m->never |= had != l->lo;
	}
	t->have |= cond;
	t->negate |= l->negate ? cond : 0;
	return 0;
}

static int put_flags(struct maker *m, const struct literal *l)
{
	struct policy_match *t = &m->rule.match;
	const uint8_t mask = (uint8_t)l->lo, flags = (uint8_t)l->hi;

	if (t->have & COND_TCP_FLAGS && (l->negate || t->negate & COND_TCP_FLAGS))
		return fail(m, l, "tcp.flags stands here twice, one time under not");
	m->never |= (t->tcp_flags ^ flags) & t->tcp_mask & mask;
	t->tcp_mask |= mask;
	t->tcp_flags |= flags;
	t->have |= COND_TCP_FLAGS;
	t->negate |= l->negate ? COND_TCP_FLAGS : 0;
	return 0;
}

static int put_port(struct maker *m, const struct literal *l)
{
	struct policy_match *t = &m->rule.match;
	const bool src = l->either || l->field == FF_SRC_PORT;
	const uint32_t cond = l->either ? COND_ANY_PORT : src ? COND_SRC_PORT : COND_DST_PORT;
	uint16_t *range = src ? t->src_port : t->dst_port;

	if (src && t->have & (COND_SRC_PORT | COND_ANY_PORT) &&
	    (l->either || t->have & COND_ANY_PORT))
		return -EAGAIN; /* one member for both: as two alternatives, then */
	if (!(t->have & cond)) {
		range[0] = 0;
		range[1] = UINT16_MAX;
	}
	if (l->lo > range[0])
		range[0] = (uint16_t)l->lo;
	if (l->hi < range[1])
		range[1] = (uint16_t)l->hi;
	m->never |= range[0] > range[1];
	t->have |= cond;
	t->negate |= l->negate ? cond : 0;
	return 0;
}

static int put_iface(struct maker *m, const struct literal *l)
{
	const struct filter_value *v = value(m, l->value);
	struct policy_match *t = &m->rule.match;

	if (!v->str_len || v->str_len >= sizeof(t->iface))
		return fail(m, l, "names of interfaces have 1 to 15 letters");
	if (t->have & COND_IFACE)
		return fail(m, l, "iface stands here twice");
	memcpy(t->iface, text_of(m, v), v->str_len);
	t->have |= COND_IFACE;
	t->negate |= l->negate ? COND_IFACE : 0;
	return 0;
}

static bool overlap(const struct seen *a, const struct seen *b)
{
	const unsigned int bits = a->bits < b->bits ? a->bits : b->bits, whole = bits / 8;

	return !memcmp(a->addr, b->addr, whole) &&
	       (bits % 8 == 0 || !((a->addr[whole] ^ b->addr[whole]) >> (8 - bits % 8)));
}

/* `src.ip == a and src.ip == b` is never true. */
static bool against_key(const struct maker *m, const struct literal *l, const struct seen *s)
{
	struct seen key;

	if (!m->key || m->key->kind != LIT_IPS || m->key->either || m->key->field != l->field ||
	    l->negate)
		return false;
	key = look(m, m->key);
	return key.n == 1 && !key.list && !overlap(&key, s);
}

/* Addresses that no entries are made of: one network of an end. */
static int put_ip(struct maker *m, const struct literal *l)
{
	struct policy_match *t = &m->rule.match;
	const bool src = l->field == FF_SRC_IP;
	const uint32_t cond = src ? COND_SRC : COND_DST;
	const struct seen s = look(m, l);

	if (l->either)
		return -EAGAIN;
	if (s.n != 1 || s.list)
		return fail(m, l,
			    l->negate ? "under not stands one network of src and one of dst"
				      : "two sets of addresses in one filter: split it, "
					"or have one of them be one network");
	m->never |= against_key(m, l, &s);
	if (t->have & cond)
		return fail(m, l, "two networks of one end: write them as one");
	memcpy(src ? t->src : t->dst, s.addr, 16);
	*(src ? &t->src_bits : &t->dst_bits) = s.bits;
	t->have |= cond;
	t->negate |= l->negate ? cond : 0;
	return 0;
}

static int put_literal(struct maker *m, const struct literal *l)
{
	switch (l->kind) {
	case LIT_IPS:
		return put_ip(m, l);
	case LIT_PORT:
		return put_port(m, l);
	case LIT_VALUE:
		return put_value(m, l);
	case LIT_FLAGS:
		return put_flags(m, l);
	case LIT_IFACE:
		return put_iface(m, l);
	default:
		return fail(m, l, "two names in one alternative: a packet is stopped for one");
	}
}

/* ---- which key ---- */

/* Names before addresses, more addresses before fewer, either end before one. */
static const struct literal *choose_key(const struct maker *m, const struct alternative *a)
{
	const struct literal *best = NULL;
	uint64_t most = 0;

	for (uint32_t i = 0; i < a->n; i++) {
		const struct literal *l = &a->all[i];
		struct seen s;
		uint64_t weight;

		if (l->kind == LIT_NAMES)
			return l;
		if (l->kind != LIT_IPS || l->negate)
			continue;
		s = look(m, l);
		weight = s.n == 1 && !s.list ? s.bits : 256 + s.n;
		if (l->either)
			weight += UINT64_C(1) << 40;
		else if (s.broadest && s.n == 1)
			continue;
		if (weight > most) {
			most = weight;
			best = l;
		}
	}
	return best;
}

static bool one_port(const uint16_t port[2])
{
	return port[0] == port[1] && port[0];
}

/* Both ends and the protocol: a flow. Return: 1 added, 0 it is none, or an error. */
static int add_flow(struct maker *m)
{
	const uint32_t want = COND_SRC | COND_DST | COND_PROTO | COND_SRC_PORT | COND_DST_PORT;
	struct policy_match *t = &m->rule.match;
	struct policy_flow f = {.rule = m->rule.number, .proto = t->proto};
	int r;

	if ((t->have & want) != want || t->negate & want || t->src_bits != 128 ||
	    t->dst_bits != 128 || !one_port(t->src_port) || !one_port(t->dst_port))
		return 0;
	memcpy(f.addr[0], t->src, 16);
	memcpy(f.addr[1], t->dst, 16);
	f.port[0] = t->src_port[0];
	f.port[1] = t->dst_port[0];
	memset(t->src, 0, sizeof(t->src));
	memset(t->dst, 0, sizeof(t->dst));
	memset(t->src_port, 0, sizeof(t->src_port));
	memset(t->dst_port, 0, sizeof(t->dst_port));
	t->src_bits = t->dst_bits = t->proto = 0;
	t->have &= ~want;
	m->rule.key = RULE_BY_FLOW;
	m->ret->both_ways = true;
	m->ret->entries++;
	r = policy_add(m->d, POLICY_FLOW, &f);
	return r ?: 1;
}

/* Addresses of one end with that end's port and the protocol. As add_flow(). */
static int add_addr_port(struct maker *m)
{
	const bool src = m->key->field == FF_SRC_IP;
	const uint32_t want = COND_PROTO | (src ? COND_SRC_PORT : COND_DST_PORT);
	struct policy_match *t = &m->rule.match;
	uint16_t *port = src ? t->src_port : t->dst_port;
	const struct seen s = look(m, m->key);
	struct policy_addr_port a = {.rule = m->rule.number, .proto = t->proto, .role = m->role};
	int r;

	if (m->key->either || s.n != 1 || s.list || s.bits != 128 || !one_port(port) ||
	    (t->have & want) != want || t->negate & want)
		return 0;
	memcpy(a.addr, s.addr, sizeof(a.addr));
	a.port = port[0];
	port[0] = port[1] = 0;
	t->proto = 0;
	t->have &= ~want;
	m->rule.key = RULE_BY_ADDR_PORT;
	m->ret->entries++;
	r = policy_add(m->d, POLICY_ADDR_PORT, &a);
	return r ?: 1;
}

static bool is_flow(const struct maker *m, const struct alternative *a)
{
	uint32_t ends = 0;

	for (uint32_t i = 0; i < a->n; i++) {
		struct seen s;

		if (a->all[i].kind == LIT_NAMES || a->all[i].either)
			return false;
		if (a->all[i].kind != LIT_IPS)
			continue;
		s = look(m, &a->all[i]);
		if (s.n != 1 || s.list || s.bits != 128 || a->all[i].negate)
			return false;
		ends |= a->all[i].field == FF_SRC_IP ? COND_SRC : COND_DST;
	}
	return ends == (COND_SRC | COND_DST);
}

static int fill_conditions(struct maker *m, const struct alternative *a)
{
	int r = 0;

	memset(&m->rule.match, 0, sizeof(m->rule.match));
	m->never = false;
	for (uint32_t i = 0; i < a->n && !r; i++)
		if (&a->all[i] != m->key)
			r = put_literal(m, &a->all[i]);
	return r;
}

/* Entries and key of the rule whose conditions are filled in. */
static int add_key(struct maker *m)
{
	int r;

	m->rule.key = RULE_BY_NONE;
	if (!m->key) {
		r = add_flow(m);
		return r < 0 ? r : 0;
	}
	if (m->key->kind == LIT_NAMES) {
		m->rule.key = RULE_BY_NAME;
		return add_entries(m);
	}
	m->role = m->key->either ? ROLE_EITHER : m->key->field == FF_SRC_IP ? ROLE_SRC : ROLE_DST;
	r = add_addr_port(m);
	if (r)
		return r < 0 ? r : 0;
	m->rule.key = RULE_BY_ADDR;
	return add_entries(m);
}

static int add_alternative(struct maker *m, const struct alternative *a)
{
	uint16_t count;
	int r;

	m->key = is_flow(m, a) ? NULL : choose_key(m, a);
	r = fill_conditions(m, a);
	if (!r && !m->key && !m->never &&
	    (m->rule.match.have & (COND_SRC | COND_DST)) == (COND_SRC | COND_DST) &&
	    !(m->rule.match.have & COND_PROTO)) {
		/* two addresses, but no flow: one of them makes the entry */
		m->key = choose_key(m, a);
		r = fill_conditions(m, a);
	}
	if (r || m->never)
		return r;
	r = add_key(m);
	r = r ?: policy_add(m->d, POLICY_RULE, &m->rule);
	if (r)
		return r;
	m->rule.number++;
	m->ret->rules++;
	memcpy(&count, m->rule.id + 14, sizeof(count));
	count++;
	memcpy(m->rule.id + 14, &count, sizeof(count));
	return 0;
}

static int add_alternatives(struct maker *m, bool merge)
{
	struct alternatives *all = NULL;
	int r = policy_alternatives(m->p, merge, &all);

	for (uint32_t i = 0; !r && i < all->n; i++) {
		if (m->rule.number > POLICY_NUMBER_MAX)
			r = -E2BIG;
		r = r ?: add_alternative(m, &all->any[i]);
	}
	free(all);
	if (!r && !m->ret->rules)
		r = filter_fail(m->p, 0, "this can never be true");
	return r;
}

/* ---- lists ---- */

/* A value of its kind stands for the list; the list itself goes to the entries. */
static const char *resolve(void *arg, char kind, const char *name)
{
	const struct policy_lists *lists = arg;

	for (uint32_t i = 0; kind == '@' && lists && i < lists->n; i++)
		if (!strcmp(lists->v[i].name, name))
			return lists->v[i].names ? "\"list\"" : "192.0.2.0";
	return NULL;
}

/* As it was before, so that it can be done again in another way. */
static void forget_added(struct policy_draft *d, const uint32_t n[POLICY_TYPES])
{
	for (unsigned int t = 0; t < POLICY_TYPES; t++)
		d->of[t].n = n[t];
}

int policy_add_filter(struct policy_draft *d, const char *text, const struct policy_rule *rule,
		      const struct policy_lists *lists, struct policy_filter_result *ret)
{
	const struct filter_env env = {.resolve = resolve, .arg = (void *)(uintptr_t)lists};
	struct filter_ast ast = {};
	struct filter_parser p = {.text = text, .ast = &ast, .env = &env, .err = &ret->error};
	struct maker m = {.p = &p, .d = d, .lists = lists, .rule = *rule, .ret = ret};
	uint32_t before[POLICY_TYPES];
	size_t len = strlen(text);
	int r;

	*ret = (struct policy_filter_result){};
	if (len > FILTER_TEXT_MAX)
		return filter_fail_limit(&p, "the filter is too long");
	p.len = (uint32_t)len;
	r = filter_parse_ast(&p);
	if (r)
		return r;
	for (unsigned int t = 0; t < POLICY_TYPES; t++)
		before[t] = d->of[t].n;
	r = add_alternatives(&m, true);
	if (r == -EAGAIN) { /* `host a and host b`: each end for itself */
		forget_added(d, before);
		m = (struct maker){.p = &p, .d = d, .lists = lists, .rule = *rule, .ret = ret};
		*ret = (struct policy_filter_result){};
		r = add_alternatives(&m, false);
	}
	if ((r == -ENOMEM || r == -E2BIG) && !ret->error.message[0])
		filter_fail_limit(&p, r == -ENOMEM ? "out of memory" : "too many records");
	filter_ast_done(&ast);
	return r;
}
