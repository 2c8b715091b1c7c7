/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * verdict_act.h - what the acting rule does to the packet, and what is counted of it: for the rule
 * (per CPU), for the decision that led to it (atomics), for the flow, or, where there is none, for
 * the source.
 */
#ifndef WEIR_BPF_VERDICT_ACT_H
#define WEIR_BPF_VERDICT_ACT_H

#include "cache.h"
#include "tcp.h"
#include "verdict_match.h"

#define METER_TRIES 4 /* other CPUs at the same bucket; after that the packet passes uncounted */

static __always_inline int is_first_syn(const struct l4 *l)
{
	return l->proto == IPPROTO_TCP && (l->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static __always_inline struct policy_count *rule_counts(__u32 rule)
{
	__u32 row = region_id() * POLICY_RULES + rule;

	return bpf_map_lookup_elem(&policy_counts, &row);
}

static __always_inline void count_decision(const struct scratch *s, const struct verdict_work *w,
					   __u32 decision)
{
	struct policy_decision *d = bpf_map_lookup_elem(&policy_decisions, &decision);

	if (!decision || !d)
		return;
	__sync_fetch_and_add(&d->packets, s->segs);
	__sync_fetch_and_add(&d->bytes, s->bytes);
	if (w->first)
		__sync_fetch_and_add(&d->flows, 1);
	if (d->last != w->now)
		d->last = w->now;
}

/* The rule acted on the packet. */
static __always_inline void count_acted(const struct scratch *s, const struct verdict_work *w,
					__u32 rule, __u32 decision)
{
	struct policy_count *c = rule_counts(rule);

	if (c) {
		c->packets += s->segs;
		c->bytes += s->bytes;
		c->flows += w->first;
		c->last = w->now;
	}
	count_decision(s, w, decision);
}

/* The shadow rule would have. */
static __always_inline void count_would(const struct scratch *s, const struct verdict_work *w,
					__u32 rule, __u32 decision)
{
	struct policy_count *c = rule_counts(rule);

	if (c) {
		c->would_packets += s->segs;
		c->would_bytes += s->bytes;
		c->would_flows += w->first;
		c->last = w->now;
	}
	count_decision(s, w, decision);
}

static __always_inline void count_passed(const struct scratch *s, __u32 rule)
{
	struct policy_count *c = rule_counts(rule);

	if (c)
		c->passed += s->segs;
}

/* ---- limits: a token bucket as the time at which it is full again (GCRA) ---- */

/*
 * Return: 1 if the packet is beyond the limit; else its tokens are taken. One that is larger than the
 * bucket passes when that is full, and the next ones wait for it. A bucket that is emptier than can be
 * is of another rate, or of a clock that was set: it begins anew, empty.
 */
static __always_inline int meter_take(__u64 *full, __u64 now, __u64 cost,
				      const struct policy_version *v)
{
	const __u64 want = cost < v->burst ? cost : v->burst;

	for (int i = 0; i < METER_TRIES; i++) {
		__u64 was = *(volatile __u64 *)full, base = was > now ? was : now, to = base + cost;

		if (base > now + v->emptiest)
			to = now + v->burst;
		else if (base + want > now + v->burst)
			return 1;
		if (__sync_val_compare_and_swap(full, was, to) == was)
			return base > now + v->emptiest;
	}
	return 0;
}

/* The bucket of a source. Another source's that is full again, or the fullest, makes room. */
static __always_inline __u64 *meter_of_source(const struct verdict_work *w, __u32 rule,
					      const volatile __u64 *seed)
{
	__u64 tag = key_finish(policy_nh(w->src, seed + 3) + nh(rule, 1, seed[5])) | 1,
	      best = ~0ull;
	__u32 line = tag >> 40 & cfg_meter_mask, way = 0, found = METER_WAYS;
	struct meter_line *l = bpf_map_lookup_elem(&policy_meters, &line);

	if (!l)
		return 0;
#pragma unroll
	for (__u32 i = 0; i < METER_WAYS; i++) {
		if (l->tag[i] == tag)
			found = i;
		if (l->full[i] < best) {
			best = l->full[i];
			way = i;
		}
	}
	if (found < METER_WAYS)
		way = found;
	asm volatile("" : "+r"(way));
	way &= METER_WAYS - 1;
	if (found >= METER_WAYS) {
		l->tag[way] = tag;
		l->full[way] = 0;
	}
	return &l->full[way];
}

/* Is the packet beyond the limit of the rule? */
__noinline int meter_exceeded(__u32 rule)
{
	struct policy_slot *slot = bpf_map_lookup_elem(&policy_rules, &rule);
	const struct policy_control *c = policy_control_get();
	struct verdict_work *w = verdict_work_get();
	struct scratch *s = scratch_get();
	const struct policy_version *v;
	__u64 n, cost, *full;

	if (!slot || !c || !w || !s)
		return 0;
	v = policy_version(slot, w->generation);
	if (!v)
		return 0;
	n = v->limit & LIMIT_BPS ? s->bytes : s->segs;
	cost = n * (v->cost >> 16) + (n * (v->cost & 0xffff) >> 16);
	if (cost > v->emptiest)
		cost = v->emptiest;
	full = v->limit & LIMIT_PER_SOURCE ? meter_of_source(w, rule, c->seed) : &slot->limit_ns;
	return full ? meter_take(full, now_ns(), cost, v) : 0;
}

/* ---- resets ---- */

/*
 * What becomes of a packet that a reset rule stops. A reset without data passes: it ends the other
 * side, whoever sent it, and weir's own come by on TC. Both are bounded for each rule, so that forged
 * packets are not answered at their own rate. @counts: the rule acts.
 */
__noinline int reset_verdict(__u32 rule, __u32 counts)
{
	struct policy_slot *slot = bpf_map_lookup_elem(&policy_rules, &rule);
	struct verdict_work *w = verdict_work_get();
	struct scratch *s = scratch_get();
	const struct policy_version *v;
	__u32 is_reset;

	if (!slot || !w || !s || s->l4.proto != IPPROTO_TCP)
		return VERDICT_DROP;
	v = policy_version(slot, w->generation);
	is_reset = s->l4.tcp_flags & TCP_RST;
	if (!v || (is_reset && s->l4.payload_len))
		return VERDICT_DROP;
	if (meter_take(&slot->limit_ns, now_ns(), v->cost >> 16, v)) {
		if (counts)
			count(CNT_RESETS_LIMITED, s->segs);
		return VERDICT_DROP;
	}
	return is_reset ? VERDICT_PASS : VERDICT_RESET;
}

/* ---- what becomes of it ---- */

static __always_inline __u32 act_shadow(struct scratch *s, struct verdict_work *w, __u32 cached)
{
	const struct acting *a = &w->shadow;

	if (!a->rule || a->order >= w->rule.order || a->action == POLICY_PASS)
		return cached;
	if ((a->action == POLICY_LIMIT && !meter_exceeded(a->rule)) ||
	    (a->action == POLICY_RESET && reset_verdict(a->rule, 0) == VERDICT_PASS))
		return CACHED_CHECK;
	count_would(s, w, a->rule, a->decision);
	s->would = 1;
	return CACHED_CHECK;
}

/* Let the rules that were found act. Return: enum policy_cached. */
__noinline int verdict_act(void)
{
	struct verdict_work *w = verdict_work_get();
	struct scratch *s = scratch_get();
	__u32 cached;

	if (!w || !s)
		return CACHED_NONE;
	cached = w->check ? CACHED_CHECK : CACHED_PASS;
	if (w->never)
		return cached;
	cached = act_shadow(s, w, cached);
	switch (w->rule.action) {
	case POLICY_DROP:
		s->verdict = VERDICT_DROP;
		break;
	case POLICY_RESET:
		s->verdict = reset_verdict(w->rule.rule, 1);
		if (!s->verdict)
			cached = CACHED_CHECK;
		break;
	case POLICY_LIMIT:
		cached = CACHED_CHECK;
		if (meter_exceeded(w->rule.rule))
			s->verdict = VERDICT_DROP;
		break;
	}
	if (s->verdict) {
		count_acted(s, w, w->rule.rule, w->rule.decision);
		return cached == CACHED_PASS ? CACHED_DROP : CACHED_CHECK;
	}
	if (w->rule.rule)
		count_passed(s, w->rule.rule);
	return cached;
}

/* ---- dropped packets of no flow ---- */

static __always_inline void drop_row_begin(struct drop_row *r, const struct scratch *s,
					   const struct verdict_work *w)
{
	if (r->packets)
		count(CNT_DROP_ROWS_REPLACED, 1);
	__sync_fetch_and_add(&r->seq, 1);
	if (r->rule != w->rule.rule || r->generation != w->generation)
		r->rule_seq = r->seq + 1;
	r->rule = w->rule.rule;
	r->port = bpf_ntohs(s->pkt.key.port[1]);
	*(key_u64 *)r->src = w->src[0];
	*(key_u64 *)(r->src + 8) = w->src[1];
	r->ifindex = s->pkt.key.ifindex;
	r->proto = s->pkt.key.proto;
	r->hook = s->hook | w->rule.action << 4;
	r->netns = cfg_netns;
	r->generation = w->generation;
	r->from_packets = r->packets;
	r->from_bytes = r->bytes;
	__sync_fetch_and_add(&r->seq, 1);
}

static __always_inline int drop_row_is(const struct drop_row *r, const struct scratch *s,
				       const struct verdict_work *w)
{
	return r->packets && r->rule == w->rule.rule && r->port == bpf_ntohs(s->pkt.key.port[1]) &&
	       *(key_u64 *)r->src == w->src[0] && *(key_u64 *)(r->src + 8) == w->src[1] &&
	       r->ifindex == s->pkt.key.ifindex && r->proto == s->pkt.key.proto &&
	       r->hook == (__u8)(s->hook | w->rule.action << 4) && r->netns == (__u16)cfg_netns;
}

/* The packet in the scratch goes before it is in any flow. */
__noinline int drop_new(void)
{
	struct verdict_work *w = verdict_work_get();
	struct scratch *s = scratch_get();
	struct counter_row *row = counters_get();
	struct drop_row *r;
	__u32 n;

	if (!s)
		return 0;
	if (row) {
		row->v[CNT_DROPPED_PACKETS] += s->segs;
		row->v[CNT_DROPPED_BYTES] += s->bytes;
	}
	if (!w)
		return 0;
	n = (w->src[1] >> 32 ^ w->src[0]) * 0x9e3779b1u ^ w->rule.rule ^
	    (__u32)s->pkt.key.port[1] * 0x85ebca6bu;
	n = region_id() * DROP_ROWS + (n >> 16) % DROP_ROWS;
	r = bpf_map_lookup_elem(&policy_drops, &n);
	if (!r)
		return 0;
	if (!drop_row_is(r, s, w))
		drop_row_begin(r, s, w);
	r->bytes += s->bytes;
	r->packets += s->segs;
	return 0;
}

/* The packet that w->rule drops by its address. A host's own decision has all there is to say of it. */
static __always_inline int drop_early(struct scratch *s, const struct verdict_work *w)
{
	struct counter_row *row = counters_get();
	struct policy_count *c = rule_counts(w->rule.rule);
	__u32 n = w->rule.decision;
	struct policy_decision *d = bpf_map_lookup_elem(&policy_decisions, &n);

	if (!d || !c || !row)
		return 0;
	c->packets += s->segs;
	c->bytes += s->bytes;
	c->flows += w->first;
	c->last = w->now;
	__sync_fetch_and_add(&d->packets, s->segs);
	__sync_fetch_and_add(&d->bytes, s->bytes);
	if (w->first)
		__sync_fetch_and_add(&d->flows, 1);
	if (d->last != w->now)
		d->last = w->now;
	if (d->bits != 128)
		return drop_new() == 0;
	row->v[CNT_DROPPED_PACKETS] += s->segs;
	row->v[CNT_DROPPED_BYTES] += s->bytes;
	return 1;
}

/* ---- dropped packets of a known flow: accounted in it, and here ---- */

static __always_inline void drop_count(struct scratch *s, struct flow_hot *h,
				       struct flow_dropped *f)
{
	struct counter_row *row = counters_get();

	f->bytes += s->bytes;
	f->packets += s->segs;
	h->extra |= EXTRA_DROPPED;
	if (!row)
		return;
	row->v[CNT_DROPPED_IN_FLOWS] += s->segs;
	row->v[CNT_DROPPED_IN_FLOWS_BYTES] += s->bytes;
}

/* Its rules are of that generation from now on. */
static __always_inline void dropped_renew(struct flow_dropped *f, __u32 generation)
{
	if (f->generation == generation)
		return;
	f->generation = generation;
	f->rule[0] = f->rule[1] = 0;
	f->decision[0] = f->decision[1] = 0;
	f->acts = 0;
}

static __always_inline void drop_known(struct scratch *s, struct flow_hot *h)
{
	struct flow_dropped *f = dropped_get(s->slot);
	struct verdict_work *w = verdict_work_get();
	__u32 d = s->dir & 1;

	if (!f || !w)
		return;
	dropped_renew(f, w->generation);
	f->rule[d] = w->rule.rule;
	f->decision[d] = w->rule.decision;
	f->acts = (f->acts & 0xf0) | (w->rule.action & 0xf);
	drop_count(s, h, f);
}

/* The same of what a shadow rule would have done. */
static __always_inline void would_known(struct scratch *s, struct flow_hot *h)
{
	struct flow_dropped *f = dropped_get(s->slot);
	struct verdict_work *w = verdict_work_get();

	if (!f || !w)
		return;
	dropped_renew(f, w->generation);
	f->shadow = w->shadow.rule;
	f->acts = (f->acts & 0xf) | w->shadow.action << 4;
	f->woulds++;
	h->extra |= EXTRA_DROPPED;
}

/* The rule that a flow was dropped by before, as it is now, if it still stands; or NULL. */
static __always_inline const struct policy_version *drop_stands(const struct flow_dropped *f,
								struct verdict_work *w, __u32 d,
								__u32 generation)
{
	const struct policy_control *c = policy_control_get();
	__u32 rule = f->rule[d], n = f->decision[d];
	struct policy_slot *slot = bpf_map_lookup_elem(&policy_rules, &rule);
	const struct policy_decision *decision = bpf_map_lookup_elem(&policy_decisions, &n);
	const struct policy_version *v;

	if (!c || !rule || !slot || !decision || f->generation != generation)
		return 0;
	w->generation = generation;
	w->now = policy_now();
	v = policy_version(slot, generation);
	if (!v || w->now >= v->expires || w->now >= c->lease_until)
		return 0;
	return n && w->now >= decision->expires ? 0 : v;
}

/* What the flow was dropped by before still stands: drop. @plainly: only if it is no reset. Return: 1 if so. */
static __always_inline int drop_again(struct scratch *s, struct flow_hot *h, const int plainly)
{
	struct flow_dropped *f = dropped_get(s->slot);
	struct verdict_work *w = verdict_work_get();
	const struct policy_version *v;
	__u32 rule, d = s->dir & 1;

	if (!f || !w)
		return 0;
	v = drop_stands(f, w, d, s->active >> 8);
	if (!v || (plainly && v->action != POLICY_DROP))
		return 0;
	rule = f->rule[d];
	w->first = is_first_syn(&s->l4);
	s->verdict = v->action == POLICY_RESET ? reset_verdict(rule, 1) : VERDICT_DROP;
	if (!s->verdict) {
		count_passed(s, rule);
		return 1;
	}
	count_acted(s, w, rule, f->decision[d]);
	drop_count(s, h, f);
	return 1;
}

#endif
