// SPDX-License-Identifier: Apache-2.0
/*
 * table_rule.c - rules of the kernel's table: each has two versions, the one in force and the one to
 * be, so that decisions go on naming the rule when it changes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bpf/policy_key.h"
#include "loader/policy/table_int.h"

#define NS_PER_S     UINT64_C(1000000000)
#define METER_NS_MAX (NS_PER_S << 32)
/* The largest packet there is (BIG TCP), in bytes and in segments of 512 bytes. */
#define PACKET_BYTES_MAX 524280u
#define PACKET_SEGS_MAX	 1024u

void policy_grace(void)
{
	struct timespec pause = {.tv_nsec = 100000000};

	/* the kernel waits for an RCU grace period; without membarrier a tenth of a second is plenty */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		nanosleep(&pause, NULL);
}

uint32_t policy_clock(const struct policy_table *t, uint64_t seconds)
{
	uint64_t ns, units;

	if (!seconds || !t->time.unit_ns)
		return POLICY_FOREVER;
	ns = seconds < UINT64_MAX / NS_PER_S ? seconds * NS_PER_S : UINT64_MAX;
	if (ns <= t->time.wall_ns)
		return t->time.now;
	units = (ns - t->time.wall_ns - 1) / t->time.unit_ns + 1 + t->time.now;
	return units < POLICY_FOREVER ? (uint32_t)units : POLICY_FOREVER - 1;
}

uint32_t rule_find(const struct policy_table *t, uint32_t issuer, const uint8_t id[16])
{
	for (uint32_t i = 1; i < POLICY_RULES; i++)
		if (t->rule[i].used && !t->rule[i].ended && t->rule[i].issuer == issuer &&
		    !memcmp(t->rule[i].rec.id, id, 16))
			return i;
	return 0;
}

static void set_net(const uint8_t *addr, uint32_t bits, __u64 *net, __u64 *mask)
{
	__u64 m[2];

	memcpy(net, addr, 16);
	policy_mask(bits, m);
	mask[0] = m[0];
	mask[1] = m[1];
	net[0] &= m[0];
	net[1] &= m[1];
}

/* What a bucket costs to fill, in ns; more than a century is as good as a century. */
static uint64_t meter_ns(unsigned __int128 cost, uint64_t n)
{
	unsigned __int128 ns = cost * n >> 16;

	return ns < METER_NS_MAX ? (uint64_t)ns : METER_NS_MAX;
}

static void set_limit(const struct policy_rule *r, struct policy_version *v)
{
	unsigned __int128 unit = r->limit & LIMIT_BPS ? 8 * NS_PER_S : NS_PER_S;
	unsigned __int128 cost;

	v->limit = r->limit;
	if (r->action == POLICY_RESET) {
		v->cost = (NS_PER_S << 16) / POLICY_RESETS;
		v->burst = NS_PER_S;
		v->emptiest = 2 * NS_PER_S;
	}
	if (r->action != POLICY_LIMIT || !r->rate)
		return;
	cost = (unit << 16) / r->rate;
	v->cost = (uint64_t)cost;
	v->burst = meter_ns(cost, r->burst ?: 1);
	v->emptiest = v->burst +
		      meter_ns(cost, r->limit & LIMIT_BPS ? PACKET_BYTES_MAX : PACKET_SEGS_MAX);
}

/* Whatever the packet, and whatever else holds. */
static bool drops_plainly(const struct policy_rule *r)
{
	return r->action == POLICY_DROP && !(r->flags & RULE_SHADOW) && !r->match.have;
}

void policy_version_match(const struct policy_match *m, struct policy_version *v)
{
	v->have = m->have;
	v->negate = m->negate;
	v->proto = m->proto;
	v->tcp_mask = m->tcp_mask;
	v->tcp_flags = m->tcp_flags;
	v->icmp_type = m->icmp_type;
	v->icmp_code = m->icmp_code;
	v->only6 = (__u8)((m->src_bits < 96) | (m->dst_bits < 96) << 1);
	memcpy(v->src_port, m->src_port, sizeof(v->src_port));
	memcpy(v->dst_port, m->dst_port, sizeof(v->dst_port));
	memcpy(v->length, m->length, sizeof(v->length));
	v->vlan = m->vlan;
	v->ethertype = m->ethertype;
	v->vni = m->vni;
	v->ifindex = m->ifindex ?: UINT32_MAX; /* no interface, or none now */
	set_net(m->src, m->src_bits, v->src, v->src_mask);
	set_net(m->dst, m->dst_bits, v->dst, v->dst_mask);
}

static void version_of(const struct policy_table *t, uint32_t issuer, const struct policy_rule *r,
		       struct policy_version *v)
{
	*v = (struct policy_version){
		.expires = policy_clock(t, r->expires),
		.order = r->number << 16 | issuer,
		.action = r->action,
		.flags = r->flags,
		.direction = r->direction,
		.key = r->key,
		.plain = drops_plainly(r) ? r->direction : 0,
		.issuer = issuer,
		.number = r->number,
	};
	memcpy(v->id, r->id, sizeof(v->id));
	policy_version_match(&r->match, v);
	set_limit(r, v);
}

/* Equal but for the generations, and for a clock that was set meanwhile. */
static bool version_same(const struct policy_version *a, const struct policy_version *b)
{
	struct policy_version x = *a, y = *b;

	x.from = y.from = x.until = y.until = x.expires = y.expires = 0;
	return !memcmp(&x, &y, sizeof(x));
}

/* The version becomes the one from t->next on. */
static void version_write(struct policy_table *t, struct policy_version *v,
			  struct policy_version *with)
{
	with->from = t->next;
	with->until = 0;
	*v = *with; /* not valid for anybody: from > until */
	__atomic_store_n(&v->until, FOREVER_GEN, __ATOMIC_RELEASE);
}

static uint32_t rule_place(const struct policy_table *t, bool linear)
{
	uint32_t from = linear ? 1 : POLICY_LINEAR, to = linear ? POLICY_LINEAR : POLICY_RULES;

	if (linear && t->linear >= POLICY_LINEAR_MAX)
		return 0;
	for (uint32_t i = from; i < to; i++)
		if (!t->rule[i].used)
			return i;
	return 0;
}

static int rule_add(struct policy_table *t, uint32_t issuer, const struct policy_rule *r,
		    struct policy_version *v)
{
	bool linear = r->key == RULE_BY_NONE;
	uint32_t i = rule_place(t, linear);

	if (!i)
		return -ENOSPC;
	t->rule[i] =
		(struct rule_meta){.rec = *r, .issuer = issuer, .mark = t->epoch, .used = true};
	t->slots[i].limit_ns = 0;
	for (uint32_t cpu = 0; cpu < t->cpus; cpu++)
		t->counts[cpu * POLICY_RULES + i] = (struct policy_count){};
	t->slots[i].version[1].until = 0;
	version_write(t, &t->slots[i].version[0], v);
	t->rules++;
	t->linear += linear;
	return (int)i;
}

static int put(struct policy_table *t, uint32_t issuer, const struct policy_rule *r)
{
	uint32_t i = rule_find(t, issuer, r->id);
	struct policy_version v, *now, *idle;
	struct rule_meta *m = &t->rule[i];

	version_of(t, issuer, r, &v);
	if (i && m->rec.key != r->key) { /* another region: another rule */
		rule_end(t, i);
		i = 0;
	}
	if (!i)
		return rule_add(t, issuer, r, &v);
	m->mark = t->epoch;
	now = &t->slots[i].version[m->current];
	if (version_same(now, &v)) {
		__atomic_store_n(&now->expires, v.expires, __ATOMIC_RELAXED);
		m->rec = *r;
		return (int)i;
	}
	idle = &t->slots[i].version[!m->current];
	if (idle->until > idle->from)
		policy_grace();
	__atomic_store_n(&t->slots[i].limit_ns, 0, __ATOMIC_RELAXED); /* of the rate before */
	version_write(t, idle, &v);
	__atomic_store_n(&now->until, t->next, __ATOMIC_RELEASE);
	m->current = !m->current;
	m->before = m->rec;
	m->rec = *r;
	return (int)i;
}

int rule_put(struct policy_table *t, uint32_t issuer, const struct policy_rule *r)
{
	int i = put(t, issuer, r);

	if (i > 0 && t->titles)
		title_put(t->titles, (uint32_t)i, t->next, r->name);
	return i;
}

void rule_end(struct policy_table *t, uint32_t rule)
{
	struct rule_meta *m = &t->rule[rule];

	if (!m->used || m->ended)
		return;
	m->ended = true;
	t->rules--;
	t->linear -= m->rec.key == RULE_BY_NONE;
	__atomic_store_n(&t->slots[rule].version[m->current].until, t->next, __ATOMIC_RELEASE);
}

/* One rule as before the change that was made for t->next. */
static void rule_undo(struct policy_table *t, uint32_t i)
{
	struct rule_meta *m = &t->rule[i];
	struct policy_version *now = &t->slots[i].version[m->current];
	struct policy_version *before = &t->slots[i].version[!m->current];

	if (m->ended && now->until == t->next) {
		now->until = FOREVER_GEN;
		m->ended = false;
		t->rules++;
		t->linear += m->rec.key == RULE_BY_NONE;
	}
	if (now->from != t->next)
		return;
	now->until = 0;
	if (before->until == t->next) {
		before->until = FOREVER_GEN;
		m->current = !m->current;
		m->rec = m->before;
		return;
	}
	m->used = false;
	t->rules--;
	t->linear -= m->rec.key == RULE_BY_NONE;
}

void rules_undo(struct policy_table *t)
{
	for (uint32_t i = 1; i < POLICY_RULES; i++)
		if (t->rule[i].used)
			rule_undo(t, i);
}

uint32_t rules_reclaim(struct policy_table *t)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < POLICY_RULES; i++) {
		struct rule_meta *m = &t->rule[i];
		struct policy_version *old = &t->slots[i].version[!m->current];

		if (!m->used)
			continue;
		if (old->until <= t->generation)
			old->until = 0;
		if (!m->ended)
			continue;
		t->slots[i].version[m->current].until = 0;
		m->used = false;
		n++;
	}
	return n;
}

void rules_adopt(struct policy_table *t)
{
	for (uint32_t i = 1; i < POLICY_RULES; i++) {
		struct rule_meta *m = &t->rule[i];
		const struct policy_version *v = t->slots[i].version;

		m->current = v[1].until == FOREVER_GEN;
		v += m->current;
		if (v->until != FOREVER_GEN)
			continue;
		m->used = true;
		m->issuer = v->issuer;
		m->rec.key = v->key;
		m->rec.number = v->number;
		m->rec.action = v->action;
		memcpy(m->rec.id, v->id, sizeof(m->rec.id));
		t->rules++;
		t->linear += v->key == RULE_BY_NONE;
	}
}

void rules_bounds(const struct policy_table *t, uint32_t *ret_other, uint32_t *ret_linear_end)
{
	*ret_other = UINT32_MAX;
	*ret_linear_end = 0;
	for (uint32_t i = 1; i < POLICY_RULES; i++) {
		if (!t->rule[i].used)
			continue;
		if (i < POLICY_LINEAR)
			*ret_linear_end = i;
		for (int k = 0; k < 2; k++) {
			const struct policy_version *v = &t->slots[i].version[k];

			if (v->until && v->key != RULE_BY_ADDR && v->order < *ret_other)
				*ret_other = v->order;
		}
	}
}

/*
 * Sides on which all versions that a packet may find of a rule drop plainly, before rules of order
 * @other; @expires becomes their end, if that is earlier.
 */
static uint32_t plain_sides(const struct policy_slot *s, uint32_t other, uint32_t *expires)
{
	uint32_t sides = DIR_BOTH, n = 0, end = *expires;

	for (int k = 0; k < 2; k++) {
		const struct policy_version *v = &s->version[k];

		if (!v->until)
			continue;
		n++;
		sides &= v->order < other ? v->plain : 0u;
		if (v->expires < end)
			end = v->expires;
	}
	if (!n || !sides)
		return 0;
	*expires = end;
	return sides;
}

void rules_plain(const struct policy_table *t, uint32_t other)
{
	struct policy_control *c = t->control;
	uint32_t until = POLICY_FOREVER;

	for (uint32_t word = 0; word < POLICY_RULES / 64; word++) {
		uint64_t in = 0, out = 0;

		for (uint32_t i = word ? 0 : 1; i < 64; i++) {
			const uint32_t rule = word * 64 + i;
			uint64_t sides = 0;

			if (t->rule[rule].used)
				sides = plain_sides(&t->slots[rule], other, &until);
			in |= (sides & DIR_INGRESS ? UINT64_C(1) : 0) << i;
			out |= (sides & DIR_EGRESS ? UINT64_C(1) : 0) << i;
		}
		__atomic_store_n(&c->plain[0][word], in, __ATOMIC_RELAXED);
		__atomic_store_n(&c->plain[1][word], out, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&c->plain_until, until, __ATOMIC_RELEASE);
}
