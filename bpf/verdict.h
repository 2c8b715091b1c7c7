/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * verdict.h - what happens to a packet: found once for a flow and direction, kept in the flow's hot
 * line, and found anew with each generation. Called on the slow path only, with the packet's facts in
 * the scratch. A packet that isn't in a known flow is judged before it is in any: what is dropped
 * takes no room in the cache.
 *
 * Order: infrastructure that nothing drops; never-block; the rule with the lowest order among those
 * that are reached by address, by address and port, by flow, without key, or by the flow's name.
 */
#ifndef WEIR_BPF_VERDICT_H
#define WEIR_BPF_VERDICT_H

#include "verdict_act.h"
#include "verdict_find.h"

/* ARP; neighbour discovery, MLD and "packet too big" (RFC 4443, 4861, 3810); IGMP; "fragmentation needed"; DHCP. */
static __always_inline int is_infrastructure6(const struct l4 *l)
{
	__u8 t = l->icmp_type;

	return t == 2 || (t >= 130 && t <= 137) || t == 143;
}

static __always_inline int is_infrastructure(const struct flow_key *k, const struct l4 *l)
{
	const __be16 bootps = bpf_htons(67), bootpc = bpf_htons(68);
	const __be16 client6 = bpf_htons(546), server6 = bpf_htons(547);
	__be16 a = k->port[0], b = k->port[1];

	switch (k->proto) {
	case 0:
		return k->ethertype == ETH_P_ARP;
	case IPPROTO_ICMP:
		return l->icmp_type == 3 && l->icmp_code == 4;
	case IPPROTO_IGMP:
		return 1;
	case PROTO_ICMP6_NR:
		return is_infrastructure6(l);
	case IPPROTO_UDP:
		return ((a == bootps || a == bootpc) && (b == bootps || b == bootpc)) ||
		       ((a == client6 || a == server6) && (b == client6 || b == server6));
	}
	return 0;
}

/* Which rules the hook's packets are subject to. A capture has no direction: all of them. */
static __always_inline __u32 hook_side(__u32 hook)
{
	if (cfg_replay)
		return DIR_BOTH;
	return hook == HOOK_TC_EGRESS ? DIR_EGRESS : DIR_INGRESS;
}

static __always_inline __u32 cached_side(__u32 hook)
{
	return hook == HOOK_TC_EGRESS ? CACHED_EGRESS : 0;
}

static __always_inline void verdict_clear(struct verdict_work *w, const struct scratch *s)
{
	w->generation = s->active >> 8;
	w->side = hook_side(s->hook);
	w->check = w->never = w->kept = w->by_name = 0;
	w->rule.by_name = w->shadow.by_name = 0;
	w->rule.order = w->shadow.order = NO_ORDER;
	w->rule.rule = w->shadow.rule = 0;
	w->rule.decision = w->shadow.decision = 0;
	w->rule.action = w->shadow.action = POLICY_PASS;
	w->src[0] = key_load64(s->pkt.key.addr[0]);
	w->src[1] = key_load64(s->pkt.key.addr[0] + 8);
	w->dst[0] = key_load64(s->pkt.key.addr[1]);
	w->dst[1] = key_load64(s->pkt.key.addr[1] + 8);
	verdict_can(w, &s->pkt.key);
}

static long linear_step(__u32 i, void *arg)
{
	(void)arg;
	verdict_try(i + 1, 0);
	return 0;
}

__noinline int verdict_linear(void)
{
	const struct policy_control *c = policy_control_get();
	__u32 n;

	if (!c)
		return 0;
	n = c->linear_end;
	if (n > POLICY_LINEAR)
		n = POLICY_LINEAR;
	bpf_loop(n, linear_step, 0, 0);
	return 0;
}

/* The rule that the flow's name led to before; its conditions held then. */
__noinline int verdict_named(void)
{
	struct verdict_work *w = verdict_work_get();
	struct scratch *s = scratch_get();
	struct policy_decision *d;
	__u32 n;

	if (!w || !s)
		return 0;
	n = named_find(s->hash, w->generation, w->now);
	d = bpf_map_lookup_elem(&policy_decisions, &n);
	if (!n || !d)
		return 0;
	w->kept = 1;
	verdict_try(d->rule, n);
	w->kept = 0;
	return 0;
}

/* The flow's key in the order of the packet. */
static __always_inline void key_of_packet(struct scratch *s, const struct flow_cold *c)
{
	struct flow_key *k = &s->pkt.key;

	*k = c->key;
	if (!(s->dir & 1))
		return;
	for (int i = 0; i < 2; i++) {
		__u64 a = key_load64(k->addr[0] + 8 * i), b = key_load64(k->addr[1] + 8 * i);

		*(key_u64 *)(k->addr[0] + 8 * i) = b;
		*(key_u64 *)(k->addr[1] + 8 * i) = a;
	}
	*(__u32 *)k->port = *(__u32 *)k->port << 16 | *(__u32 *)k->port >> 16;
}

/* Might another CPU have found the flow's name meanwhile? Only while this one looks for it too. */
static __always_inline int name_is_open(const struct scratch *s, const struct flow_hot *h)
{
	const struct policy_control *c = policy_control_get();

	return cfg_names && c && c->has & HAS_NAME && s->l4.payload_len && h->l7 & 3 &&
	       named_find(s->hash, s->active >> 8, policy_now());
}

/* Does what is kept in the flow do for this packet? Return: 1 if so. */
__noinline int verdict_recall(void)
{
	struct verdict_work *w = verdict_work_get();
	struct scratch *s = scratch_get();
	struct flow_hot *h;
	struct flow_cold *c;
	__u32 cached, d;

	if (!s || !w)
		return 1;
	h = hot_get(s->slot);
	c = cold_get(s->slot);
	if (!h || !c)
		return 1;
	d = s->dir & 1;
	cached = h->policy >> 4 * d & 0xf;
	w->first = is_first_syn(&s->l4) || (cached & 3) == CACHED_PASS;
	if ((h->policy ^ (__u32)s->active) & CACHED_GENERATION)
		cached = CACHED_NONE;
	if (cached == (CACHED_PASS | cached_side(s->hook)) && !name_is_open(s, h))
		return 1;
	if (cached == (CACHED_DROP | cached_side(s->hook)) && drop_again(s, h, 0))
		return 1;
	key_of_packet(s, c);
	return 0;
}

/* The same of a packet that is the next ordinary one of its flow. Return: 1: dropped and counted. */
__noinline int verdict_again(void)
{
	struct scratch *s = scratch_get();
	struct flow_hot *h = s ? hot_get(s->slot) : 0;

	return h && drop_again(s, h, 1);
}

/*
 * All that may act on the packet in the scratch (pkt.key is set), into the work. Return: 1: let it
 * act; else enum policy_cached << 1.
 */
__noinline int verdict_begin(void)
{
	const struct policy_control *c = policy_control_get();
	struct verdict_work *w = verdict_work_get();
	struct scratch *s = scratch_get();

	if (!c || !w || !s)
		return CACHED_NONE;
	w->now = policy_now();
	if (w->now >= c->lease_until)
		return CACHED_NONE;
	if (is_infrastructure(&s->pkt.key, &s->l4))
		return CACHED_PASS << 1;
	verdict_clear(w, s);
	return 1;
}

/* Rules that are reached otherwise than by address, if any of them comes first. */
static __always_inline void verdict_others(const struct verdict_work *w,
					   const struct policy_control *c)
{
	if (w->never || w->rule.order <= c->other_order)
		return;
	if (c->has & HAS_ADDR_PORT)
		verdict_ports();
	if (c->has & HAS_FLOW)
		verdict_flow();
	if (c->has & HAS_LINEAR)
		verdict_linear();
	if (c->has & HAS_NAME)
		verdict_named();
}

/* Keep what was found for a direction of a flow. */
static __always_inline void verdict_keep(struct flow_hot *h, const struct scratch *s, __u32 cached)
{
	__u32 d = s->dir & 1, policy = h->policy;

	if (!cached)
		return;
	cached |= cached_side(s->hook);
	if ((policy ^ (__u32)s->active) & CACHED_GENERATION)
		policy = (__u32)s->active & CACHED_GENERATION;
	h->policy = (policy & ~(0xfu << 4 * d)) | cached << 4 * d;
}

/* What was found of a packet of a known flow, into that. */
__noinline int verdict_settle(__u32 cached)
{
	struct scratch *s = scratch_get();
	struct flow_hot *h = s ? hot_get(s->slot) : 0;

	if (!s || !h)
		return 0;
	verdict_keep(h, s, cached);
	if (s->verdict)
		drop_known(s, h);
	else if (s->would)
		would_known(s, h);
	return 0;
}

enum early { EARLY_SRC = 1, EARLY_DST = 2 };

/*
 * A listed source or destination (@where: enum early), plainly dropped: known from the addresses
 * alone, before anything is made of the packet. Whatever else may matter is left to verdict_judge().
 * scratch: l4.proto, l4.tcp_flags, hook, pkt.key.ifindex, segs, bytes, active. Return: 1: dropped.
 */
__noinline int verdict_early4(__u32 src, __u32 dst, __u32 ports, __u32 where)
{
	const struct policy_control *c = policy_control_get();
	struct verdict_work *w = verdict_work_get();
	struct scratch *s = scratch_get();

	if (!c || !w || !s)
		return 0;
	w->now = policy_now();
	if (w->now >= c->lease_until)
		return 0;
	w->generation = s->active >> 8;
	w->side = hook_side(s->hook);
	w->never = 0;
	w->rule.order = NO_ORDER;
	w->rule.rule = 0;
	w->rule.action = POLICY_DROP;
	if (where & EARLY_SRC)
		early_address(w, c, src, ROLE_SRC);
	if (where & EARLY_DST)
		early_address(w, c, dst, ROLE_DST);
	if (w->never || !w->rule.rule || w->rule.order >= c->other_order)
		return 0;
	w->first = is_first_syn(&s->l4);
	w->src[0] = 0;
	w->src[1] = (__u64)src << 32 | bpf_htonl(0xffff);
	s->pkt.key.port[1] = ports >> 16;
	s->pkt.key.proto = s->l4.proto;
	return drop_early(s, w);
}

/**
 * verdict_judge - the packet's fate, into scratch->verdict
 * @known: it is one of a flow in the cache, and accounted there; else pkt.key is set, and what is to
 *         be kept of the verdict goes to scratch->cached
 */
__noinline int verdict_judge(__u32 known)
{
	const struct policy_control *c = policy_control_get();
	struct verdict_work *w = verdict_work_get();
	struct scratch *s = scratch_get();
	int cached;

	if (!c || !w || !s)
		return 0;
	if (known && verdict_recall())
		return 0;
	if (!known)
		w->first = is_first_syn(&s->l4);
	cached = verdict_begin();
	if (cached == 1) {
		verdict_addresses(w, &s->pkt.key);
		verdict_others(w, c);
		cached = verdict_act();
	} else {
		cached >>= 1;
	}
	if (known)
		verdict_settle(cached);
	else if (s->verdict)
		drop_new();
	s->cached = cached;
	return 0;
}

#endif
