// SPDX-License-Identifier: Apache-2.0
/*
 * policy_check.c - is an image a policy? Each member of each record has a row that says what it may be;
 * what depends on several members is checked behind that. Pure, and the only reader of images that
 * come from elsewhere.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/policy_check_int.h"
#include "common/policy_members.h"

#define fail policy_fail

/* ---- errors ---- */

int policy_fail(const struct check *c, const char *member, const char *fmt, ...)
{
	char *at = c->err->text, *end = at + sizeof(c->err->text);
	va_list ap;

	at += snprintf(at, (size_t)(end - at), "%s", c->record);
	if (c->number)
		at += snprintf(at, (size_t)(end - at), " %u", c->number);
	if (c->of && *c->of)
		at += snprintf(at, (size_t)(end - at), " (%.63s)", c->of);
	at += snprintf(at, (size_t)(end - at), ": %s%s", member, *member ? " " : "");
	va_start(ap, fmt);
	vsnprintf(at, (size_t)(end - at), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- members ---- */

static uint64_t load(const uint8_t *p, size_t size)
{
	uint64_t v = 0;

	for (size_t i = size; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

static const char *bad_text(const uint8_t *p, size_t size, size_t least)
{
	const char *s = (const char *)p;
	size_t len = strnlen(s, size);

	if (len < least)
		return "is empty";
	if (len == size || !policy_all_zero(p + len, size - len))
		return "is not filled up with NUL";
	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_len(s + i, len - i);
		if (!n)
			return "is no UTF-8";
		if ((n == 1 && ((uint8_t)s[i] < ' ' || s[i] == 0x7f)) ||
		    (n == 2 && (uint8_t)s[i] == 0xc2 && (uint8_t)s[i + 1] < 0xa0))
			return "has control characters";
	}
	return NULL;
}

static int check_time(const struct check *c, const struct member *m, uint64_t v)
{
	const struct policy_bounds *b = c->bounds;

	if (v && v > b->now && v - b->now > b->expires_max)
		return fail(c, m->name, "is %llu s from now, beyond the %llu s allowed here",
			    (unsigned long long)(v - b->now), (unsigned long long)b->expires_max);
	return 0;
}

static int check_member(const struct check *c, const struct member *m, const uint8_t *record)
{
	const uint8_t *p = record + m->offset;
	const uint64_t v = m->size <= 8 ? load(p, m->size) : 0;
	const char *why;

	switch (m->kind) {
	case M_RANGE:
		if (v < m->min || v > m->max)
			return fail(c, m->name, "is %llu, want %llu to %llu", (unsigned long long)v,
				    (unsigned long long)m->min, (unsigned long long)m->max);
		return 0;
	case M_MASK:
		if (v & ~m->max)
			return fail(c, m->name, "has unknown bits: 0x%llx",
				    (unsigned long long)(v & ~m->max));
		return 0;
	case M_ZERO:
		return policy_all_zero(p, m->size) ? 0 : fail(c, m->name, "is not zero");
	case M_TEXT:
		why = bad_text(p, m->size, m->min);
		return why ? fail(c, m->name, "%s", why) : 0;
	case M_TIME:
		return check_time(c, m, v);
	default:
		return 0;
	}
}

static int check_members(const struct check *c, const struct member *m, size_t n,
			 const void *record)
{
	for (size_t i = 0; i < n; i++)
		if (check_member(c, &m[i], record))
			return -EINVAL;
	return 0;
}

/* ---- addresses ---- */

/* No bits behind the prefix. */
static const char *bad_prefix(const uint8_t addr[16], unsigned int bits)
{
	for (unsigned int i = 0; i < 16; i++) {
		const unsigned int keep = bits >= (i + 1) * 8 ? 8 : bits > i * 8 ? bits - i * 8 : 0;

		if (addr[i] & (0xff >> keep))
			return "has bits behind its prefix";
	}
	return NULL;
}

/* ---- rules ---- */

static int check_action(const struct check *c, const struct policy_rule *r)
{
	switch (r->action) {
	case POLICY_DO_MIRROR:
	case POLICY_DO_CAPTURE:
		return r->key == RULE_BY_ADDR && !r->match.have
			       ? 0
			       : fail(c, "key", "is %u: a %s goes by address alone", r->key,
				      policy_action_word(r->action));
	case POLICY_PASS:
	case POLICY_NEVER:
	case POLICY_DROP:
	case POLICY_LIMIT:
		return 0;
	case POLICY_RESET:
		return policy_is_tcp(r)
			       ? 0
			       : fail(c, "match", "leaves out TCP, which alone can be reset");
	default:
		return fail(c, "action", "%u is unknown", r->action);
	}
}

static int check_limit(const struct check *c, const struct policy_rule *r)
{
	const uint32_t unit = r->limit & (LIMIT_PPS | LIMIT_BPS);

	if (r->action != POLICY_LIMIT) {
		if (r->limit || r->rate || r->burst)
			return fail(c,
				    r->limit  ? "limit"
				    : r->rate ? "rate"
					      : "burst",
				    "is for the action limit only");
		return 0;
	}
	if (unit != LIMIT_PPS && unit != LIMIT_BPS)
		return fail(c, "limit", "is packets or bits a second, one of the two");
	if (!r->rate || r->rate > UINT64_C(1000000000000))
		return fail(c, "rate", "is %llu, want 1 to 1000000000000",
			    (unsigned long long)r->rate);
	return r->burst ? 0 : fail(c, "burst", "is 0: nothing would ever pass");
}

static int check_never(const struct check *c, const struct policy_rule *r)
{
	if (r->action != POLICY_NEVER) {
		if (r->flags & RULE_FAILSAFE)
			return fail(c, "flags", "failsafe is for never-block rules");
		return r->expires ? 0 : fail(c, "expires", "is 0: every decision ends some time");
	}
	if (r->key != RULE_BY_ADDR)
		return fail(c, "key", "is %u: never-block goes by address", r->key);
	if (r->flags & ~RULE_FAILSAFE)
		return fail(c, "flags", "a never-block rule is neither shadow nor automatic");
	return r->match.have ? fail(c, "match.have", "a never-block rule has no conditions") : 0;
}

/* What is not asked for is zero, what is asked for can be true. */
static int check_conditions(const struct check *c, const struct policy_match *m)
{
	static const struct {
		const char *name;
		uint32_t cond; /* any of these */
		size_t offset, size;
		bool range;
	} rows[] = {
#define COND(m, cond, range)                                  \
	{"match." #m, cond, offsetof(struct policy_match, m), \
	 sizeof(((struct policy_match *)0)->m), range}
		COND(src, COND_SRC, false),
		COND(src_bits, COND_SRC, false),
		COND(dst, COND_DST, false),
		COND(dst_bits, COND_DST, false),
		COND(proto, COND_PROTO, false),
		COND(tcp_mask, COND_TCP_FLAGS, false),
		COND(tcp_flags, COND_TCP_FLAGS, false),
		COND(icmp_type, COND_ICMP_TYPE, false),
		COND(icmp_code, COND_ICMP_CODE, false),
		COND(src_port, COND_SRC_PORT | COND_ANY_PORT, true),
		COND(dst_port, COND_DST_PORT, true),
		COND(length, COND_LENGTH, true),
		COND(vlan, COND_VLAN, false),
		COND(ethertype, COND_ETHERTYPE, false),
		COND(vni, COND_VNI, false),
		COND(iface, COND_IFACE, false),
#undef COND
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint8_t *p = (const uint8_t *)m + rows[i].offset;

		if (!(m->have & rows[i].cond)) {
			if (!policy_all_zero(p, rows[i].size))
				return fail(c, rows[i].name, "is set, but not asked for");
		} else if (rows[i].range && load(p, 2) > load(p + 2, 2)) {
			return fail(c, rows[i].name, "is a range backwards");
		}
	}
	return 0;
}

static int check_match(const struct check *c, const struct policy_match *m)
{
	const char *why;

	if (m->negate & ~m->have)
		return fail(c, "match.negate", "has conditions that are not asked for");
	if (check_conditions(c, m))
		return -EINVAL;
	why = bad_prefix(m->src, m->src_bits);
	if (why)
		return fail(c, "match.src", "%s", why);
	why = bad_prefix(m->dst, m->dst_bits);
	if (why)
		return fail(c, "match.dst", "%s", why);
	if ((m->have & COND_SRC_PORT) && (m->have & COND_ANY_PORT))
		return fail(c, "match.have", "has src port and any port, which are one member");
	if (m->have & COND_TCP_FLAGS && (!m->tcp_mask || m->tcp_flags & ~m->tcp_mask))
		return fail(c, "match.tcp_flags", "can't be met under its mask");
	if (m->have & COND_IFACE && !m->iface[0])
		return fail(c, "match.iface", "is empty");
	return 0;
}

static int check_rule(const struct check *c, const void *record)
{
	const struct policy_rule *r = record;
	int n = check_action(c, r);

	n = n ?: check_limit(c, r);
	n = n ?: check_never(c, r);
	n = n ?: check_match(c, &r->match);
	if (!n && r->flags & RULE_SHADOW && r->action == POLICY_PASS)
		n = fail(c, "flags", "passing in shadow means nothing");
	return n;
}

/* ---- entries ---- */

static int check_addr(const struct check *c, const void *record)
{
	const struct policy_addr *a = record;
	const char *why = bad_prefix(a->addr, a->bits);

	return why ? fail(c, "addr", "%s", why) : 0;
}

static int check_flow(const struct check *c, const void *record)
{
	const struct policy_flow *f = record;
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (!memcmp(f->addr[0], mapped, 12) != !memcmp(f->addr[1], mapped, 12))
		return fail(c, "addr", "has one end in IPv4 and one in IPv6");
	return 0;
}

static int check_name(const struct check *c, const void *record)
{
	const struct policy_name *n = record;

	for (uint32_t i = 0; i < n->length; i++) {
		const uint8_t ch = n->name[i];

		if (ch <= ' ' || ch >= 0x7f || (ch >= 'A' && ch <= 'Z'))
			return fail(c, "name", "has byte 0x%02x at %u: want lower case ASCII", ch,
				    i);
	}
	if (!policy_all_zero(n->name + n->length, sizeof(n->name) - n->length))
		return fail(c, "name", "is not filled up with NUL");
	if (n->name[n->length - 1] == '.')
		return fail(c, "name", "ends with a dot");
	if (n->how != NAME_SUFFIX && n->name[0] == '.')
		return fail(c, "name", "begins with a dot");
	return 0;
}

/* ---- the whole ---- */

static const enum policy_key key_of_type[POLICY_TYPES] = {
	[POLICY_ADDR] = RULE_BY_ADDR,	    [POLICY_ADDR_PORT] = RULE_BY_ADDR_PORT,
	[POLICY_FLOW] = RULE_BY_FLOW,	    [POLICY_NAME] = RULE_BY_NAME,
	[POLICY_AGENT_RULE] = RULE_BY_ADDR, [POLICY_AGENT_EXEMPT] = RULE_BY_ADDR,
	[POLICY_CAPTURE] = RULE_BY_ADDR,    [POLICY_MIRROR] = RULE_BY_ADDR,
};

const struct policy_rule *policy_rule(const struct policy *p, uint32_t number)
{
	uint32_t lo = 0, hi = p->n_rules;

	while (lo < hi) {
		const uint32_t mid = lo + (hi - lo) / 2;

		if (p->rules[mid].number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < p->n_rules && p->rules[lo].number == number ? &p->rules[lo] : NULL;
}

/* An entry's rule is there, and is reached by entries of this kind. */
static int check_reference(const struct check *c, const struct policy *p, unsigned int type,
			   const uint8_t *record)
{
	static const uint16_t at[POLICY_TYPES] = {
		[POLICY_ADDR] = offsetof(struct policy_addr, rule),
		[POLICY_ADDR_PORT] = offsetof(struct policy_addr_port, rule),
		[POLICY_FLOW] = offsetof(struct policy_flow, rule),
		[POLICY_NAME] = offsetof(struct policy_name, rule),
		[POLICY_MIRROR] = offsetof(struct policy_mirror, rule),
		[POLICY_CAPTURE] = offsetof(struct policy_capture, rule),
		[POLICY_AGENT_RULE] = offsetof(struct policy_agent, rule),
		[POLICY_AGENT_EXEMPT] = offsetof(struct policy_addr, rule),
	};
	const uint32_t number = (uint32_t)load(record + at[type], 4);
	const struct policy_rule *r = policy_rule(p, number);
	const uint8_t proto = type == POLICY_FLOW ? ((const struct policy_flow *)record)->proto
			      : type == POLICY_ADDR_PORT
				      ? ((const struct policy_addr_port *)record)->proto
				      : POLICY_TCP;

	if (!r)
		return fail(c, "rule", "%u is not in this policy", number);
	if (r->key != key_of_type[type])
		return fail(c, "rule", "%u (%.63s) is not reached by records of this type", number,
			    r->name);
	if (r->action == POLICY_RESET && proto != POLICY_TCP)
		return fail(c, "proto", "is %u: only TCP can be reset", proto);
	return policy_check_stops(c, type, r)
		       ?: type == POLICY_AGENT_RULE ? policy_check_agent_rule(c, p, r)
						    : 0;
}

static int check_record(struct check *c, const struct policy *p, unsigned int type,
			const uint8_t *record)
{
	static int (*const more[POLICY_TYPES])(const struct check *c, const void *record) = {
		[POLICY_RULE] = check_rule,
		[POLICY_ADDR] = check_addr,
		[POLICY_FLOW] = check_flow,
		[POLICY_NAME] = check_name,
		[POLICY_AGENT_RULE] = policy_check_agent,
		[POLICY_AGENT_EXEMPT] = check_addr,
		[POLICY_CAPTURE] = policy_check_capture,
		[POLICY_MIRROR] = policy_check_mirror,
	};
	const struct policy_record_type *t = &policy_types[type];

	if (check_members(c, t->members, t->n_members, record))
		return -EINVAL;
	if (more[type] && more[type](c, record))
		return -EINVAL;
	return type == POLICY_RULE ? 0 : check_reference(c, p, type, record);
}

/* Ids are what counters and later generations go by. At most POLICY_RULES_MAX of them. */
static int check_id(const struct check *c, const struct policy_rule *rules, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (!memcmp(rules[k].id, rules[i].id, sizeof(rules[i].id)))
			return fail(c, "id", "is that of rule %u too", k + 1);
	return 0;
}

static int check_records(struct check *c, const struct policy *p, unsigned int type,
			 const uint8_t *first)
{
	const struct policy_record_type *t = &policy_types[type];
	uint32_t last = 0;

	c->record = t->name;
	for (uint32_t i = 0; i < p->head->count[type]; i++) {
		const uint8_t *record = first + (size_t)i * t->size;
		const struct policy_rule *r = (const void *)record;
		const struct policy_agent *agent = (const void *)record;

		c->number = i + 1;
		c->of = NULL;
		if (type == POLICY_RULE && !bad_text(r->name, sizeof(r->name), 0))
			c->of = (const char *)r->name;
		if (check_record(c, p, type, record) ||
		    (type == POLICY_RULE && check_id(c, p->rules, i)))
			return -EINVAL;
		if (type == POLICY_RULE && r->number <= last)
			return fail(c, "number",
				    "%u does not come after %u: rules stand in their order",
				    r->number, last);
		if (type == POLICY_AGENT_RULE && agent->rule <= last)
			return fail(c, "rule", "%u does not come after %u: each once, in order",
				    agent->rule, last);
		last = type == POLICY_RULE	   ? r->number
		       : type == POLICY_AGENT_RULE ? agent->rule
						   : 0;
	}
	return 0;
}

/* Counts against what may be, and what is there. */
static int check_size(struct check *c, const struct policy_header *h, size_t len)
{
	uint64_t want = sizeof(*h) + POLICY_SIGNATURE;

	for (unsigned int t = 0; t < POLICY_TYPES; t++) {
		if (!h->count[t])
			continue;
		if (!policy_types[t].size)
			return fail(c, "count", "has records of the unknown type %u", t);
		if (h->count[t] > policy_types[t].max)
			return fail(c, "count", "%u of type %s, at most %u", h->count[t],
				    policy_types[t].name, policy_types[t].max);
		want += (uint64_t)h->count[t] * policy_types[t].size;
	}
	if (want != len)
		return fail(c, "", "the counts make %llu bytes, but there are %zu",
			    (unsigned long long)want, len);
	return 0;
}

/* The records of each type, and where they are. */
static void find_records(const uint8_t *image, size_t len, struct policy *ret)
{
	const struct policy_header *h = (const void *)image;
	const uint8_t *at = image + sizeof(*h);
	const uint8_t *of[POLICY_TYPES];

	for (unsigned int t = 0; t < POLICY_TYPES; t++) {
		of[t] = at;
		at += (size_t)h->count[t] * policy_types[t].size;
	}
	*ret = (struct policy){
		.head = h,
		.rules = (const void *)of[POLICY_RULE],
		.addrs = (const void *)of[POLICY_ADDR],
		.addr_ports = (const void *)of[POLICY_ADDR_PORT],
		.flows = (const void *)of[POLICY_FLOW],
		.names = (const void *)of[POLICY_NAME],
		.mirrors = (const void *)of[POLICY_MIRROR],
		.captures = (const void *)of[POLICY_CAPTURE],
		.agents = (const void *)of[POLICY_AGENT_RULE],
		.exempt = (const void *)of[POLICY_AGENT_EXEMPT],
		.n_rules = h->count[POLICY_RULE],
		.n_addrs = h->count[POLICY_ADDR],
		.n_addr_ports = h->count[POLICY_ADDR_PORT],
		.n_flows = h->count[POLICY_FLOW],
		.n_names = h->count[POLICY_NAME],
		.n_mirrors = h->count[POLICY_MIRROR],
		.n_captures = h->count[POLICY_CAPTURE],
		.n_agents = h->count[POLICY_AGENT_RULE],
		.n_exempt = h->count[POLICY_AGENT_EXEMPT],
		.size = len,
	};
}

int policy_check(const void *image, size_t len, const struct policy_bounds *bounds,
		 struct policy *ret, struct policy_error *reterr)
{
	const struct policy_header *h = image;
	struct check c = {.bounds = bounds, .err = reterr, .record = "policy"};
	const uint8_t *at = (const uint8_t *)image + sizeof(*h);
	struct policy p;

	reterr->text[0] = '\0';
	if (len < sizeof(*h) + POLICY_SIGNATURE || len > POLICY_BYTES_MAX)
		return fail(&c, "", "is %zu bytes, which no policy is", len);
	if (memcmp(h->magic, POLICY_MAGIC, sizeof(h->magic)) != 0)
		return fail(&c, "", "does not begin as one");
	if (check_members(&c, policy_header_type.members, policy_header_type.n_members, h) ||
	    check_size(&c, h, len))
		return -EINVAL;
	if (h->not_before > h->not_after)
		return fail(&c, "not_after", "is before not_before");
	find_records(image, len, &p);
	for (unsigned int t = 0; t < POLICY_TYPES; t++) {
		if (policy_types[t].size && check_records(&c, &p, t, at))
			return -EINVAL;
		at += (size_t)h->count[t] * policy_types[t].size;
	}
	*ret = p;
	return 0;
}

int policy_check_match(const struct policy_rule *r, uint32_t number, struct policy_error *reterr)
{
	const struct policy_bounds bounds = {.expires_max = UINT64_MAX};
	const struct policy_record_type *t = &policy_types[POLICY_RULE];
	const struct check c = {
		.bounds = &bounds, .err = reterr, .record = "entry", .number = number};

	return check_members(&c, t->members, t->n_members, r) ?: check_match(&c, &r->match);
}

int policy_in_time(const struct policy *p, uint64_t now, struct policy_error *reterr)
{
	const struct check c = {.err = reterr, .record = "policy"};

	if (now < p->head->not_before)
		return fail(&c, "not_before", "is %llu s from now",
			    (unsigned long long)(p->head->not_before - now));
	if (now >= p->head->not_after)
		return fail(&c, "not_after", "was %llu s ago: this policy has ended",
			    (unsigned long long)(now - p->head->not_after));
	return 0;
}
