/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * verdict_match.h - does a rule hold for the packet in the scratch? Conditions as policy.h says them:
 * one about what the packet has not is false, negated too.
 */
#ifndef WEIR_BPF_VERDICT_MATCH_H
#define WEIR_BPF_VERDICT_MATCH_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include "verdict_maps.h"

#define PROTO_HAS_PORTS	 (1ull << IPPROTO_TCP | 1ull << IPPROTO_UDP | 1ull << IPPROTO_DCCP)
#define PROTO_SCTP_NR	 132
#define PROTO_UDPLITE_NR 136
#define PROTO_ICMP6_NR	 58

static __always_inline int key_is_ip(const struct flow_key *k)
{
	return k->ethertype == ETH_P_IP || k->ethertype == ETH_P_IPV6;
}

/* A later fragment whose first one was not seen has none. */
static __always_inline int key_has_ports(const struct flow_key *k)
{
	int proto = (k->proto < 64 && PROTO_HAS_PORTS >> k->proto & 1) ||
		    k->proto == PROTO_SCTP_NR || k->proto == PROTO_UDPLITE_NR;

	return proto && (k->port[0] || k->port[1]);
}

/* What the packet has, into w->can. */
static __always_inline void verdict_can(struct verdict_work *w, const struct flow_key *k)
{
	w->can = COND_IFACE | COND_ETHERTYPE;
	if (key_is_ip(k))
		w->can |= COND_SRC | COND_DST | COND_PROTO | COND_LENGTH;
	if (key_has_ports(k))
		w->can |= COND_SRC_PORT | COND_DST_PORT | COND_ANY_PORT;
	if (k->proto == IPPROTO_TCP)
		w->can |= COND_TCP_FLAGS;
	/* without "port": cut short, or a later fragment of which nothing more is known */
	if ((k->proto == IPPROTO_ICMP || k->proto == PROTO_ICMP6_NR) && k->port[0])
		w->can |= COND_ICMP_TYPE | COND_ICMP_CODE;
	if (k->tun_type)
		w->can |= COND_VNI;
	if (k->vlan[0])
		w->can |= COND_VLAN;
}

/* Does a condition, of which the packet says @truth, keep the rule from holding? */
static __always_inline int cond_fails(const struct policy_version *v, const struct verdict_work *w,
				      enum policy_condition cond, int truth)
{
	if (!(v->have & cond))
		return 0;
	if (!(w->can & cond))
		return 1;
	return v->negate & cond ? truth : !truth;
}

static __always_inline int in_net(const __u64 *addr, const __u64 *net, const __u64 *mask)
{
	return !(((addr[0] ^ net[0]) & mask[0]) | ((addr[1] ^ net[1]) & mask[1]));
}

static __always_inline int in_range(__u16 v, const __u16 *range)
{
	return v >= range[0] && v <= range[1];
}

/* An IPv6 prefix that IPv4-mapped addresses happen to lie in is still one of IPv6. */
static __always_inline int match_addresses(const struct policy_version *v,
					   const struct verdict_work *w, int is6)
{
	int src = in_net(w->src, v->src, v->src_mask) && (is6 || !(v->only6 & 1));
	int dst = in_net(w->dst, v->dst, v->dst_mask) && (is6 || !(v->only6 & 2));

	return !cond_fails(v, w, COND_SRC, src) && !cond_fails(v, w, COND_DST, dst);
}

static __always_inline int match_ports(const struct policy_version *v, const struct verdict_work *w,
				       const struct flow_key *k)
{
	__u16 src = bpf_ntohs(k->port[0]), dst = bpf_ntohs(k->port[1]);

	if (cond_fails(v, w, COND_SRC_PORT, in_range(src, v->src_port)) ||
	    cond_fails(v, w, COND_DST_PORT, in_range(dst, v->dst_port)))
		return 0;
	return !cond_fails(v, w, COND_ANY_PORT,
			   in_range(src, v->src_port) || in_range(dst, v->src_port));
}

/* Conditions that all packets of one direction of a flow answer alike. */
static __always_inline int match_flow(const struct policy_version *v, const struct verdict_work *w,
				      const struct flow_key *k)
{
	if (cond_fails(v, w, COND_PROTO, k->proto == v->proto) ||
	    cond_fails(v, w, COND_IFACE, !cfg_netns && k->ifindex == v->ifindex) ||
	    cond_fails(v, w, COND_VNI, k->vni == v->vni) ||
	    cond_fails(v, w, COND_VLAN, k->vlan[0] == v->vlan) ||
	    cond_fails(v, w, COND_ETHERTYPE, k->ethertype == v->ethertype))
		return 0;
	return match_addresses(v, w, k->ethertype == ETH_P_IPV6) && match_ports(v, w, k);
}

/* The others. */
static __always_inline int match_packet(const struct policy_version *v,
					const struct verdict_work *w, const struct l4 *l)
{
	__u32 len = l->ip_bytes;

	return !cond_fails(v, w, COND_TCP_FLAGS, (l->tcp_flags & v->tcp_mask) == v->tcp_flags) &&
	       !cond_fails(v, w, COND_ICMP_TYPE, l->icmp_type == v->icmp_type) &&
	       !cond_fails(v, w, COND_ICMP_CODE, l->icmp_code == v->icmp_code) &&
	       !cond_fails(v, w, COND_LENGTH, len >= v->length[0] && len <= v->length[1]);
}

/* A rule as it is in the packet's generation, or NULL. */
static __always_inline struct policy_version *policy_version(struct policy_slot *slot,
							     __u32 generation)
{
	struct policy_version *v = &slot->version[0];

	if (v->from <= generation && generation < v->until)
		return v;
	v = &slot->version[1];
	if (v->from <= generation && generation < v->until)
		return v;
	return 0;
}

/* May the packet belong to what keeps an operator in? */
static __always_inline int is_failsafe(const struct verdict_work *w, const struct flow_key *k)
{
	const struct policy_control *c = policy_control_get();
	__u32 own, far, found = 0;

	if (!c || !key_has_ports(k))
		return 0;
	own = bpf_ntohs(w->side & DIR_INGRESS ? k->port[1] : k->port[0]); /* the node's port */
	far = bpf_ntohs(w->side & DIR_INGRESS ? k->port[0] : k->port[1]);
	for (__u32 i = 0; i < POLICY_FAILSAFE_MAX; i++) {
		__u32 f = c->failsafe[i];

		found |= f && f == POLICY_FAILSAFE(k->proto, own, 0);
		found |= f && f == POLICY_FAILSAFE(k->proto, far, 1);
	}
	return found;
}

/* Is the rule in force for this hook, and can it still be the one that acts? */
static __always_inline int version_counts(const struct policy_version *v,
					  const struct verdict_work *w)
{
	if (w->now >= v->expires || !(v->direction & w->side))
		return 0;
	return v->action == POLICY_NEVER || v->order < w->rule.order;
}

static __always_inline int version_matches(const struct policy_version *v, struct verdict_work *w,
					   const struct scratch *s)
{
	if (!match_flow(v, w, &s->pkt.key))
		return 0;
	if (!(v->have & COND_PER_PACKET))
		return 1;
	w->check = 1;
	return match_packet(v, w, &s->l4);
}

/*
 * Try a rule that may act on the packet. @decision: what led to it, 0: nothing. What it means is kept
 * in the work: never-block, or the lowest rule, enforced or shadow.
 */
static __always_inline void try_rule(struct verdict_work *w, const struct scratch *s, __u32 rule,
				     __u32 decision)
{
	struct policy_slot *slot = bpf_map_lookup_elem(&policy_rules, &rule);
	struct policy_version *v;
	struct acting *a;

	if (!slot)
		return;
	v = policy_version(slot, w->generation);
	if (!v || !version_counts(v, w))
		return;
	if (v->have && !w->kept && !version_matches(v, w, s))
		return;
	if (v->action == POLICY_NEVER) {
		if (!(v->flags & RULE_FAILSAFE) || is_failsafe(w, &s->pkt.key))
			w->never = 1;
		return;
	}
	a = v->flags & RULE_SHADOW ? &w->shadow : &w->rule;
	if (v->order >= a->order)
		return;
	a->order = v->order;
	a->rule = rule;
	a->decision = decision;
	a->action = v->action;
	a->by_name = w->by_name;
}

/* The same before there is a key: a rule that wants more than an address is not for here. */
static __always_inline void try_early(struct verdict_work *w, __u32 rule, __u32 decision)
{
	struct policy_slot *slot = bpf_map_lookup_elem(&policy_rules, &rule);
	struct policy_version *v;

	if (!slot)
		return;
	v = policy_version(slot, w->generation);
	if (!v || !version_counts(v, w))
		return;
	if (!v->plain)
		w->never = 1;
	w->rule.order = v->order;
	w->rule.rule = rule;
	w->rule.decision = decision;
}

__noinline int verdict_try(__u32 rule, __u32 decision)
{
	struct verdict_work *w = verdict_work_get();
	struct scratch *s = scratch_get();

	if (w && s)
		try_rule(w, s, rule, decision);
	return 0;
}

#endif
