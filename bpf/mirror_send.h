/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * mirror_send.h - what becomes of a clone: cut to the session's length, put into a packet to the target, and
 * handed to the neighbour that leads there. The headers are weir's own work and no tunnel device's: nothing
 * listens on the tunnel's port, none is in use by others, and no module is needed.
 */
#ifndef WEIR_BPF_MIRROR_SEND_H
#define WEIR_BPF_MIRROR_SEND_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include "cursor.h"
#include "mirror_maps.h"

#define OUTER_TTL	64
#define OUTER_DF	0x4000
#define SOURCE_PORT_MIN 49152u /* RFC 7348 section 5, RFC 6335 section 6: dynamic ports */
#define VXLAN_HAS_VNI	0x08000000u
#define GENEVE_ETHERNET 0x6558
#define GRE_SEQUENCE	0x1000 /* RFC 2890 section 2 */
#define GRE_ERSPAN3	0x22eb
#define ERSPAN_VERSION3 2
#define ERSPAN_CUT	0x04 /* T, in the first byte of the session id */
#define ERSPAN_100US	0    /* granularity of the time stamp: GRA = 0 */
#define AF_IPV4		2
#define AF_IPV6		10

#define GENEVE_HEAD (8 + 4 + sizeof(struct mirror_option))
#define ERSPAN_HEAD 12
#define L4_AT	    40u /* in mirror_work.head: behind room for an IPv6 header */
#define TUNNEL_AT   (L4_AT + 8)

/* What is known of the clone while its headers are written. */
struct mirror_clone {
	__u32 length;  /* of the frame before it was cut, a tag beside it included */
	__u32 kept;    /* of it, now */
	__u32 tag;     /* VLAN tag that was beside it: Ethertype << 16 | TCI; 0: none */
	__u32 session; /* element */
	__u32 rule;    /* number of the filter's entry */
	__u32 egress;
	__u32 cut;
	__u32 pad;
};

static __always_inline void put16(__u8 *p, __u16 v)
{
	*(__u16 *)p = bpf_htons(v);
}

static __always_inline void put32(__u8 *p, __u32 v)
{
	*(__u32 *)p = bpf_htonl(v);
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The frame's own addresses, and the tag in its place again. @at: constant. Return: bytes. */
static __always_inline __u32 put_inner(struct __sk_buff *skb, const struct mirror_clone *k,
				       __u8 *at)
{
	__u16 type;

	if (bpf_skb_load_bytes(skb, 0, at, ETH_HLEN))
		return 0;
	if (!k->tag)
		return ETH_HLEN;
	type = *(__u16 *)(at + 2 * ETH_ALEN);
	put32(at + 2 * ETH_ALEN, k->tag);
	*(__u16 *)(at + 2 * ETH_ALEN + 4) = type;
	return ETH_HLEN + 4;
}

static __always_inline void put_vxlan(__u8 *p, const struct mirror_session *m)
{
	put32(p, VXLAN_HAS_VNI);
	put32(p + 4, m->vni << 8);
}

static __always_inline void put_geneve(__u8 *p, const struct mirror_session *m,
				       const struct mirror_clone *k)
{
	const __u64 now = bpf_ktime_get_ns();
	struct mirror_option *o = (void *)(p + 12);

	p[0] = (4 + sizeof(*o)) / 4; /* version 0, options in words */
	p[1] = 0;
	put16(p + 2, GENEVE_ETHERNET);
	put32(p + 4, m->vni << 8);
	put16(p + 8, MIRROR_OPTION_CLASS);
	p[10] = MIRROR_OPTION_TYPE;
	p[11] = sizeof(*o) / 4;
	o->length = bpf_htonl(k->length);
	o->egress = k->egress != 0;
	o->session = m->number;
	o->rule = bpf_htons(k->rule);
	o->time = bpf_cpu_to_be64(now);
}

/* Type III without the optional platform header; FT 0: Ethernet. Time in units of 100 us. */
static __always_inline void put_erspan(__u8 *p, const struct mirror_session *m,
				       const struct mirror_clone *k)
{
	put16(p, ERSPAN_VERSION3 << 12 | (k->tag & 0xfff));
	put16(p + 2, (k->tag & 0xe000) | (k->cut ? ERSPAN_CUT << 8 : 0) | (m->vni & 0x3ff));
	put32(p + 4, bpf_ktime_get_ns() / 100000);
	put16(p + 8, 0); /* security group */
	put16(p + 10, (k->egress ? 1 << 3 : 0) | ERSPAN_100US << 1);
}

static __always_inline void put_udp(__u8 *p, const struct mirror_session *m, __u32 hash, __u32 len)
{
	put16(p, SOURCE_PORT_MIN | (hash & 0x3fff));
	put16(p + 2, m->port);
	put16(p + 4, len);
	put16(p + 6, 0);
}

static __always_inline void put_gre(__u8 *p, __u32 sequence)
{
	put16(p, GRE_SEQUENCE);
	put16(p + 2, GRE_ERSPAN3);
	put32(p + 4, sequence);
}

static __always_inline void put_outer4(__u8 *p, const struct mirror_session *m, __u32 len)
{
	__u64 sum;

	put16(p, 0x4500);
	put16(p + 2, len);
	put16(p + 4, 0);
	put16(p + 6, OUTER_DF);
	p[8] = OUTER_TTL;
	p[9] = m->to == MIRROR_TO_ERSPAN ? PROTO_GRE : IPPROTO_UDP;
	put16(p + 10, 0);
	*(__u32 *)(p + 12) = *(const __u32 *)(m->src + 12);
	*(__u32 *)(p + 16) = *(const __u32 *)(m->dst + 12);
	sum = bpf_csum_diff(0, 0, (__be32 *)p, sizeof(struct iphdr), 0);
	*(__u16 *)(p + 10) = fold(sum);
}

static __always_inline void put_outer6(__u8 *p, const struct mirror_session *m, __u32 len)
{
	put32(p, 0x60000000u);
	put16(p + 4, len);
	p[6] = m->to == MIRROR_TO_ERSPAN ? PROTO_GRE : IPPROTO_UDP;
	p[7] = OUTER_TTL;
	__builtin_memcpy(p + 8, m->src, 16);
	__builtin_memcpy(p + 24, m->dst, 16);
}

/* The tunnel's header and the frame's own; bytes of both, from TUNNEL_AT on. 0: that failed. */
static __always_inline __u32 put_tunnel(struct __sk_buff *skb, struct mirror_work *w,
					const struct mirror_session *m,
					const struct mirror_clone *k)
{
	__u8 *p = w->head + TUNNEL_AT;
	__u32 n;

	if (m->to == MIRROR_TO_VXLAN) {
		n = put_inner(skb, k, p + 8);
		put_vxlan(p, m);
		return n ? n + 8 : 0;
	}
	if (m->to == MIRROR_TO_GENEVE) {
		n = put_inner(skb, k, p + GENEVE_HEAD);
		put_geneve(p, m, k);
		return n ? n + GENEVE_HEAD : 0;
	}
	n = put_inner(skb, k, p + ERSPAN_HEAD);
	put_erspan(p, m, k);
	return n ? n + ERSPAN_HEAD : 0;
}

struct sum_loop {
	struct __sk_buff *skb;
	struct mirror_work *w;
	__u32 at;
	__u32 end;
	__s64 sum;
};

static long sum_chunk(__u32 i, struct sum_loop *l)
{
	__u32 n = l->end - l->at;

	(void)i;
	if (l->at >= l->end)
		return 1;
	if (n >= sizeof(l->w->chunk)) {
		n = sizeof(l->w->chunk);
		if (bpf_skb_load_bytes(l->skb, l->at, l->w->chunk, sizeof(l->w->chunk)))
			return 1;
	} else {
		__builtin_memset(l->w->chunk, 0, sizeof(l->w->chunk));
		n -= 1;
		asm volatile("" : "+r"(n));
		n &= sizeof(l->w->chunk) - 1;
		asm volatile("" : "+r"(n));
		n += 1;
		if (bpf_skb_load_bytes(l->skb, l->at, l->w->chunk, n))
			return 1;
	}
	l->sum = bpf_csum_diff(0, 0, (__be32 *)l->w->chunk, sizeof(l->w->chunk), l->sum);
	l->at += n;
	return 0;
}

/* Over IPv6 a checksum of UDP is asked for (RFC 8200 section 8.1). The packet is complete but for it. */
static __always_inline int put_udp6_checksum(struct __sk_buff *skb, struct mirror_work *w,
					     __u32 len)
{
	struct sum_loop l = {.skb = skb, .w = w, .at = ETH_HLEN + 40, .end = ETH_HLEN + 40 + len};
	__u32 pseudo[2] = {bpf_htonl(len), bpf_htonl(IPPROTO_UDP)};
	__u16 sum;

	l.sum = bpf_csum_diff(0, 0, (__be32 *)(w->head + 8), 32, 0);
	l.sum = bpf_csum_diff(0, 0, (__be32 *)pseudo, sizeof(pseudo), l.sum);
	bpf_loop(MIRROR_LENGTH_MAX / sizeof(w->chunk) + 2, sum_chunk, &l, 0);
	if (l.at < l.end)
		return -1;
	sum = fold(l.sum) ?: 0xffff;
	return bpf_skb_store_bytes(skb, ETH_HLEN + 40 + 6, &sum, sizeof(sum), 0);
}

/* Room before the frame's network header; what its Ethernet header was becomes the outer one. */
static __always_inline long make_room(struct __sk_buff *skb, const struct mirror_session *m,
				      __u32 l3, __u32 tunnel)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L2_ETH |
		      BPF_F_ADJ_ROOM_ENCAP_L2(tunnel);

	flags |= m->v6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
	flags |= m->to == MIRROR_TO_ERSPAN ? BPF_F_ADJ_ROOM_ENCAP_L4_GRE
					   : BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
	return bpf_skb_adjust_room(skb, l3 + 8 + tunnel, BPF_ADJ_ROOM_MAC, flags);
}

static __always_inline int send_on(const struct mirror_session *m)
{
	struct bpf_redir_neigh nh = {.nh_family = m->nh_v6 ? AF_IPV6 : AF_IPV4};

	if (m->nh_v6)
		__builtin_memcpy(nh.ipv6_nh, m->nh, sizeof(nh.ipv6_nh));
	else
		nh.ipv4_nh = *(const __u32 *)(m->nh + 12);
	return bpf_redirect_neigh(m->out, &nh, sizeof(nh), 0);
}

/* Put the clone into a packet to the target. 0, or what failed. */
static __always_inline long wrap(struct __sk_buff *skb, struct mirror_work *w,
				 struct mirror_session *m, const struct mirror_clone *k)
{
	__u32 tunnel = put_tunnel(skb, w, m, k), l3 = m->v6 ? 40 : 20, n, l4;

	/* the frame's Ethernet header is among what is put before its network header */
	if (!tunnel)
		return -1;
	l4 = 8 + tunnel + skb->len - ETH_HLEN;
	if (l4 + 20 > 0xffff)
		return -1;
	if (m->to == MIRROR_TO_ERSPAN)
		put_gre(w->head + L4_AT, __sync_fetch_and_add(&m->sequence, 1));
	else
		put_udp(w->head + L4_AT, m, bpf_get_hash_recalc(skb), l4);
	if (make_room(skb, m, l3, tunnel))
		return -1;
	n = 8 + tunnel;
	asm volatile("" : "+r"(n));
	if (n > sizeof(w->head) - L4_AT)
		return -1;
	if (m->v6) {
		put_outer6(w->head, m, l4);
		if (bpf_skb_store_bytes(skb, ETH_HLEN, w->head, L4_AT + n, 0))
			return -1;
		return m->to == MIRROR_TO_ERSPAN ? 0 : put_udp6_checksum(skb, w, l4);
	}
	put_outer4(w->head + 20, m, 20 + l4);
	return bpf_skb_store_bytes(skb, ETH_HLEN, w->head + 20, L4_AT - 20 + n, 0);
}

/* Take a tag that is beside the frame, and cut what is beyond the session's length. */
static __always_inline long trim(struct __sk_buff *skb, const struct mirror_session *m,
				 struct mirror_clone *k)
{
	__u32 tag = 0, keep = m->length;

	if (skb->vlan_present) {
		k->tag = bpf_ntohs(skb->vlan_proto) << 16 | (skb->vlan_tci & 0xffff);
		if (m->to != MIRROR_TO_IFACE && bpf_skb_vlan_pop(skb))
			return -1;
		tag = 4;
	}
	k->length = skb->len + tag;
	k->kept = k->length;
	if (skb->gso_size || k->length <= keep)
		return 0;
	k->cut = 1;
	k->kept = keep;
	return bpf_skb_change_tail(skb, keep - tag, 0);
}

/* One clone that is a packet, and no GSO packet unless it may stay one. @segs: packets it is. */
static __always_inline int mirror_send(struct __sk_buff *skb, struct mirror_session *m,
				       struct mirror_count *c, __u32 segs)
{
	struct mirror_work *w = mirror_work_get();
	const __u32 hit = skb->mark & MIRROR_HIT_MASK;
	const __u32 session = MIRROR_HIT_SESSION(hit),
		    entry = session * MIRROR_RULES + MIRROR_HIT_RULE(hit);
	const struct policy_version *v = bpf_map_lookup_elem(&mirror_rules, &entry);
	struct mirror_clone k = {.session = session, .egress = skb->mark & MIRROR_EGRESS};

	k.rule = v ? v->number : 0;
	if (!m->out) { /* gone meanwhile */
		MIRROR_TALLY(c, no_way, MIRROR_NO_WAY, segs);
		return TC_ACT_SHOT;
	}
	if (!w || trim(skb, m, &k) || (m->to != MIRROR_TO_IFACE && wrap(skb, w, m, &k))) {
		MIRROR_TALLY(c, failed, MIRROR_FAILED, segs);
		return TC_ACT_SHOT;
	}
	MIRROR_TALLY(c, mirrored, MIRRORED, segs);
	MIRROR_TALLY(c, mirrored_bytes, MIRRORED_BYTES, k.kept);
	if (k.cut)
		MIRROR_TALLY(c, cut, MIRROR_CUT, 1);
	return m->to == MIRROR_TO_IFACE ? bpf_redirect(m->out, 0) : send_on(m);
}

#endif
