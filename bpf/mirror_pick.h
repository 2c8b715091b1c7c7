/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * mirror_pick.h - which sessions mirror a packet: parsed as the flows' programs do it, matched as verdicts are
 * (verdict_match.h), and held against what is never mirrored, sampling and budget.
 */
#ifndef WEIR_BPF_MIRROR_PICK_H
#define WEIR_BPF_MIRROR_PICK_H

#include "fast.h"
#include "gso.h"
#include "mirror_maps.h"
#include "parse_bpf.h"

#define PORT_DHCP_SERVER  67 /* RFC 2131 section 4.1, RFC 8415 section 7.2 */
#define PORT_DHCP_CLIENT  68
#define PORT_NTP	  123 /* RFC 5905 section 7.2 */
#define PORT_DHCP6_CLIENT 546
#define PORT_DHCP6_SERVER 547
#define BUDGET_TRIES	  4 /* other CPUs at the same budget; after that the packet is within it */

/* 169.254.169.254, mapped, and fd00:ec2::254: instance metadata, with credentials in it. */
static __always_inline int is_metadata(const __u8 *addr)
{
	const __u64 *w = (const __u64 *)addr;

	if (w[0] == 0)
		return *(const __u32 *)(addr + 8) == bpf_htonl(0xffff) &&
		       *(const __u32 *)(addr + 12) == bpf_htonl(0xa9fea9fe);
	return *(const __u32 *)addr == bpf_htonl(0xfd000ec2) && *(const __u32 *)(addr + 4) == 0 &&
	       *(const __u32 *)(addr + 8) == 0 && *(const __u32 *)(addr + 12) == bpf_htonl(0x254);
}

static __always_inline int is_service_port(__u16 port)
{
	return port == PORT_DHCP_SERVER || port == PORT_DHCP_CLIENT || port == PORT_NTP ||
	       port == PORT_DHCP6_CLIENT || port == PORT_DHCP6_SERVER;
}

static __always_inline int same_addr(const __u8 *a, const __u8 *b)
{
	return ((const __u64 *)a)[0] == ((const __u64 *)b)[0] &&
	       ((const __u64 *)a)[1] == ((const __u64 *)b)[1];
}

/* Is one of the ends among what is never mirrored? */
static __always_inline int is_listed_exempt(const struct flow_key *k)
{
	const struct mirror_table *t = mirror_table_get();

	if (!t)
		return 1;
	for (__u32 i = 0; i < MIRROR_EXEMPTS; i++) {
		const struct mirror_exempt *e = &t->exempt[i];

		if (!e->port)
			break;
		if (e->proto != k->proto)
			continue;
		if ((k->port[0] == e->port && same_addr(k->addr[0], e->addr)) ||
		    (k->port[1] == e->port && same_addr(k->addr[1], e->addr)))
			return 1;
	}
	return 0;
}

static __always_inline int is_exempt(const struct flow_key *k)
{
	if (k->ethertype == ETH_P_ARP)
		return 1;
	if (!key_is_ip(k))
		return 0;
	if (is_metadata(k->addr[0]) || is_metadata(k->addr[1]))
		return 1;
	if (k->proto == IPPROTO_UDP &&
	    (is_service_port(bpf_ntohs(k->port[0])) || is_service_port(bpf_ntohs(k->port[1]))))
		return 1;
	return is_listed_exempt(k);
}

/* A mirror's own: between here and a target. What a target sends back in the same tunnel is that too. */
static __always_inline int is_mirror_of(const struct mirror_session *m, const struct flow_key *k)
{
	const __u8 proto = m->to == MIRROR_TO_ERSPAN ? PROTO_GRE : IPPROTO_UDP;

	if (m->to == MIRROR_TO_IFACE || k->proto != proto ||
	    (proto == IPPROTO_UDP && k->port[1] != bpf_htons(m->port)))
		return 0;
	if (m->v6)
		return same_addr(k->addr[0], m->dst) || same_addr(k->addr[1], m->dst);
	return *(const __u32 *)(k->addr[0] + 12) == *(const __u32 *)(m->dst + 12) ||
	       *(const __u32 *)(k->addr[1] + 12) == *(const __u32 *)(m->dst + 12);
}

/* Does the packet in the scratch meet this entry of the filter? */
__noinline int mirror_entry_holds(__u32 entry, __u32 way)
{
	struct policy_version *v = bpf_map_lookup_elem(&mirror_rules, &entry);
	struct verdict_work *w = verdict_work_get();
	struct scratch *s = scratch_get();

	if (!v || !w || !s || !(v->direction & way))
		return 0;
	if (!match_flow(v, w, &s->pkt.key))
		return 0;
	if (v->have & COND_PER_PACKET && !match_packet(v, w, &s->l4))
		return 0;
	return v->action == POLICY_DO_MIRROR ? 1 : 2;
}

/* The entry that decides: 1 + its number in the session if it accepts, 0: none, or it rejects. */
__noinline int mirror_session_picks(__u32 session, __u32 rules, __u32 way)
{
	for (__u32 i = 0; i < MIRROR_RULES; i++) {
		int r;

		if (i >= rules)
			break;
		r = mirror_entry_holds(session * MIRROR_RULES + i, way);
		if (r)
			return r == 1 ? i + 1 : 0;
	}
	return 0;
}

/* A token bucket as the time at which it is full again (GCRA). 1: the packet is beyond it. */
static __always_inline int is_over_budget(struct mirror_session *m, __u64 bytes)
{
	const __u64 now = bpf_ktime_get_ns(), cost = m->cost * bytes >> 16;

	for (int i = 0; i < BUDGET_TRIES; i++) {
		__u64 was = *(volatile __u64 *)&m->full, base = was > now ? was : now;

		if (base + cost > now + m->burst)
			return 1;
		if (__sync_val_compare_and_swap(&m->full, was, base + cost) == was)
			return 0;
	}
	return 0;
}

/* Packets on the wire and their bytes, as entry.h counts them. */
static __always_inline void mirror_measure(struct __sk_buff *skb, struct mirror_work *w,
					   const struct l4 *l)
{
	__u32 headers = l->payload_off, end = l->payload_off + l->payload_len;

	w->segs = 1;
	w->bytes = l->ip_bytes;
	if (likely(!skb->gso_size))
		return;
	if (headers <= end)
		w->segs = gso_segments(skb->gso_size, skb->gso_segs, end - headers);
	if (!w->segs)
		w->segs = skb->gso_segs ?: 1;
	w->bytes += (__u64)(w->segs - 1) * (headers - l->hdr_off);
}

/* Is the packet one for the session's mirror after all? It has been matched. */
static __always_inline int mirror_take(struct mirror_session *m, struct mirror_count *c,
				       const struct mirror_work *w)
{
	if (w->exempt) {
		MIRROR_TALLY(c, exempt, MIRROR_EXEMPT, w->segs);
		return 0;
	}
	if (m->sample > 1) {
		c->sampled++;
		if (c->sampled < m->sample) {
			MIRROR_TALLY(c, sampled_out, MIRROR_SAMPLED_OUT, w->segs);
			return 0;
		}
		c->sampled = 0;
	}
	if (!m->out) {
		MIRROR_TALLY(c, no_way, MIRROR_NO_WAY, w->segs);
		return 0;
	}
	if (m->cost && is_over_budget(m, w->bytes)) {
		MIRROR_TALLY(c, over_budget, MIRROR_OVER_BUDGET, w->segs);
		return 0;
	}
	return 1;
}

/* The packet into scratch, verdict work and mirror work. 0, or no parser takes it. */
static __always_inline int mirror_parse(struct __sk_buff *skb, struct scratch *s,
					struct verdict_work *v, struct mirror_work *w)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	__u16 tag = skb->vlan_present ? skb->vlan_tci & VLAN_VID_MASK : 0;
	struct fast f = {};

	if (!parse_fast(data, data_end, tag, skb->ifindex, &f) &&
	    !fast_key(data, data_end, &f.l4, tag, skb->ifindex, &s->pkt.key)) {
		s->l4 = f.l4;
		w->hash = f.hash >> 32;
	} else {
		if (tc_parse_full(skb))
			return -1;
		w->hash = key_hash(&s->pkt.key, key_dir(&s->pkt.key), cfg_seed) >> 32;
	}
	verdict_can(v, &s->pkt.key);
	__builtin_memcpy(v->src, s->pkt.key.addr[0], sizeof(v->src));
	__builtin_memcpy(v->dst, s->pkt.key.addr[1], sizeof(v->dst));
	mirror_measure(skb, w, &s->l4);
	w->exempt = is_exempt(&s->pkt.key);
	return 0;
}

/* Loop guard: is the packet in the scratch one that a mirror has sent? */
__noinline int mirror_is_own(void)
{
	const struct mirror_table *t = mirror_table_get();
	const struct scratch *s = scratch_get();

	if (!s || !t || (s->pkt.key.proto != IPPROTO_UDP && s->pkt.key.proto != PROTO_GRE))
		return 0;
	for (__u32 i = 0; i < MIRROR_SESSIONS; i++)
		if (t->session[i].rules && is_mirror_of(&t->session[i], &s->pkt.key))
			return 1;
	return 0;
}

/* What one session has to say: a hit, beyond MIRROR_HIT_MASK: matched, but not mirrored; 0: not matched. */
__noinline int mirror_ask(__u32 session, __u32 ifindex, __u32 way, __u32 taken)
{
	struct mirror_table *t = mirror_table_get();
	struct mirror_work *w = mirror_work_get();
	struct mirror_session *m;
	struct mirror_count *c;
	int rule;

	if (!t || !w)
		return 0;
	m = mirror_session_get(t, session);
	if (!m->rules)
		return 0;
	if ((m->ifindex && m->ifindex != ifindex) || (taken && !m->also) ||
	    (__u32)policy_now() >= m->until)
		return 0;
	rule = mirror_session_picks(session, m->rules, way);
	c = rule ? mirror_count_get(session) : 0;
	if (!c)
		return 0;
	MIRROR_TALLY(c, matched, MIRROR_MATCHED, w->segs);
	MIRROR_TALLY(c, matched_bytes, MIRROR_MATCHED_BYTES, w->bytes);
	/* matched by this one, whatever becomes of it */
	return mirror_take(m, c, w) ? MIRROR_HIT(session, rule - 1) : MIRROR_HIT_MASK + 1;
}

/**
 * mirror_pick - who gets a clone of the packet
 * @way: enum policy_direction
 *
 * Counts what was matched, and why it was not taken. Return: up to MIRROR_PER_IFACE hits, the first in the
 * lowest MIRROR_HIT_BITS.
 */
__noinline int mirror_pick(struct __sk_buff *skb, __u32 way)
{
	struct verdict_work *v = verdict_work_get();
	struct mirror_work *w = mirror_work_get();
	struct mirror_table *t = mirror_table_get();
	struct scratch *s = scratch_get();
	__u32 hits = 0, n = 0, taken = 0;
	__u64 order;

	if (!skb || !v || !w || !s || !t || mirror_parse(skb, s, v, w))
		return 0;
	if (mirror_is_own()) {
		mirror_total(CNT_MIRROR_LOOPED, w->segs);
		return 0;
	}
	order = *(volatile __u64 *)&t->order;
	for (__u32 i = 0; i < MIRROR_SESSIONS && order; i++, order >>= 4) {
		int hit = mirror_ask((order & 15) - 1, skb->ifindex, way, taken);

		taken |= hit != 0;
		if (!(hit & MIRROR_HIT_MASK) || n >= MIRROR_PER_IFACE)
			continue;
		hits |= (hit & MIRROR_HIT_MASK) << n * MIRROR_HIT_BITS;
		n++;
	}
	return hits;
}

#endif
