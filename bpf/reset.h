/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * reset.h - a packet that a rule stops becomes a TCP reset, made of its own headers. Turned round it
 * goes to the one who sent it, as a closed port would answer (RFC 9293 section 3.10.7.1); sent on in
 * the packet's place it ends the receiver's side. RFC 5961 section 3 lets a reset work only where its
 * sequence number is the next one expected: the sender has said it (SEG.ACK), the receiver expects
 * SEG.SEQ if nothing came out of order; if something did, its challenge ACK meets the rule next.
 *
 * Answered by nothing but silence: later fragments, IPv6 with extension headers, tunnels, mirrors.
 */
#ifndef WEIR_BPF_RESET_H
#define WEIR_BPF_RESET_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include "access.h"
#include "entry.h"

#define RESET_L2_MAX	22u /* Ethernet, two VLAN tags */
#define RESET_TTL	64
#define RESET_IP_DF	0x4000
#define RESET_FRAGMENT	0x1fff
#define RESET_ECN	3
#define RESET_FRAME_MIN 60u /* without FCS; no driver has to pad what was as long before */
#define RESET_SUM_OFF	16u /* of the checksum in the TCP header */

/* The packet in hand, and what is made of it. */
struct reset {
	union {
		struct iphdr ip4;
		struct ipv6hdr ip6;
		__u16 word[20];
	};
	union {
		struct tcphdr tcp;
		__u16 tcp_word[10];
	};
	__u8 mac[2 * ETH_ALEN];
	__u32 l2;     /* bytes in front of the IP header */
	__u32 ip_len; /* of the IP header to be: 20 or 40 */
	__u32 moved;  /* bytes of IPv4 options, which are left out */
	__u32 seq;    /* of the packet */
	__u32 ack;
	__u32 len; /* sequence space it takes */
	__u32 data;
	__u8 flags;
	__u8 ttl;
};

static __always_inline int reset_load(void *ctx, const enum access access, __u32 off, void *to,
				      __u32 n)
{
	return access == ACCESS_XDP ? bpf_xdp_load_bytes(ctx, off, to, n)
				    : bpf_skb_load_bytes(ctx, off, to, n);
}

static __always_inline int reset_store(void *ctx, const enum access access, __u32 off, void *from,
				       __u32 n)
{
	return access == ACCESS_XDP ? bpf_xdp_store_bytes(ctx, off, from, n)
				    : bpf_skb_store_bytes(ctx, off, from, n, BPF_F_RECOMPUTE_CSUM);
}

/* The headers of the packet in the scratch. Return: 0, or -1: it is none to be answered. */
static __always_inline int reset_read(void *ctx, const enum access access, struct reset *r)
{
	const struct scratch *s = scratch_get();
	__be16 type;

	if (!s || cfg_consume || s->l4.hdr_off > RESET_L2_MAX || s->l4.hdr_off < ETH_HLEN)
		return -1;
	r->l2 = s->l4.hdr_off;
	r->data = s->l4.payload_len;
	r->ip_len = sizeof(struct iphdr);
	r->moved = 0;
	if (reset_load(ctx, access, r->l2 - sizeof(type), &type, sizeof(type)) ||
	    reset_load(ctx, access, 0, r->mac, sizeof(r->mac)) ||
	    reset_load(ctx, access, r->l2, &r->ip4, sizeof(r->ip4)))
		return -1;
	if (type == bpf_htons(ETH_P_IP)) {
		if (r->ip4.protocol != IPPROTO_TCP || r->ip4.frag_off & bpf_htons(RESET_FRAGMENT))
			return -1;
		r->moved = r->ip4.ihl * 4 - sizeof(r->ip4);
		r->ttl = r->ip4.ttl;
	} else if (type == bpf_htons(ETH_P_IPV6)) {
		r->ip_len = sizeof(r->ip6);
		if (reset_load(ctx, access, r->l2, &r->ip6, sizeof(r->ip6)) ||
		    r->ip6.nexthdr != IPPROTO_TCP)
			return -1;
		r->ttl = r->ip6.hop_limit;
	} else {
		return -1;
	}
	if (reset_load(ctx, access, r->l2 + r->ip_len + r->moved, &r->tcp, sizeof(r->tcp)))
		return -1;
	r->flags = bpf_ntohs(r->tcp_word[6]);
	r->seq = bpf_ntohl(r->tcp.seq);
	r->ack = bpf_ntohl(r->tcp.ack_seq);
	r->len = r->data + !!(r->flags & TCP_SYN) + !!(r->flags & TCP_FIN);
	return 0;
}

static __always_inline __u32 reset_sum(const __u16 *p, const int words)
{
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < words; i++)
		sum += p[i];
	return sum;
}

static __always_inline __u16 reset_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The other way: from its receiver to its sender. */
static __always_inline void reset_turn(struct reset *r)
{
	__be16 port = r->tcp.source;

	r->tcp.source = r->tcp.dest;
	r->tcp.dest = port;
	if (r->ip_len == sizeof(r->ip6)) {
		struct in6_addr src = r->ip6.saddr;

		r->ip6.saddr = r->ip6.daddr;
		r->ip6.daddr = src;
	} else {
		__be32 src = r->ip4.saddr;

		r->ip4.saddr = r->ip4.daddr;
		r->ip4.daddr = src;
	}
}

/* The IP header; return: its share of the TCP checksum. */
static __always_inline __u32 reset_ip(struct reset *r, int turned)
{
	const __u32 pseudo = bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(r->tcp));
	const __u8 ttl = turned ? RESET_TTL : r->ttl;

	if (r->ip_len == sizeof(r->ip6)) {
		r->word[0] &=
			bpf_htons(0xffff & ~(RESET_ECN << 4 | 0xf)); /* no flow label either */
		r->word[1] = 0;
		r->ip6.payload_len = bpf_htons(sizeof(r->tcp));
		r->ip6.hop_limit = ttl;
		return pseudo + reset_sum(r->word + 4, 16);
	}
	r->word[0] = bpf_htons(0x4500 | (r->ip4.tos & ~RESET_ECN));
	r->ip4.tot_len = bpf_htons(sizeof(r->ip4) + sizeof(r->tcp));
	r->ip4.id = 0;
	r->ip4.frag_off = bpf_htons(RESET_IP_DF);
	r->ip4.ttl = ttl;
	r->ip4.check = 0;
	r->ip4.check = ~reset_fold(reset_sum(r->word, 10));
	return pseudo + reset_sum(r->word + 6, 4);
}

/*
 * The headers, which go the right way already, become a reset. @turned: to the sender. @partial: the
 * checksum is completed by the device.
 */
static __always_inline void reset_build(struct reset *r, int turned, int partial)
{
	__u32 sum = reset_ip(r, turned), has_ack = !!(r->flags & TCP_ACK), flags = TCP_RST;
	__u32 seq = r->seq, ack = 0;

	if (turned)
		seq = has_ack ? r->ack : 0;
	if (turned ? !has_ack : has_ack) {
		flags |= TCP_ACK;
		ack = turned ? r->seq + r->len : r->ack;
	}
	r->tcp.seq = bpf_htonl(seq);
	r->tcp.ack_seq = bpf_htonl(ack);
	r->tcp_word[6] = bpf_htons(sizeof(r->tcp) / 4 << 12 | flags);
	r->tcp.window = 0;
	r->tcp.check = 0;
	r->tcp.urg_ptr = 0;
	r->tcp.check = partial ? reset_fold(sum) : ~reset_fold(sum + reset_sum(r->tcp_word, 10));
}

static __always_inline int reset_write(void *ctx, const enum access access, struct reset *r,
				       int turned)
{
	__u8 mac[2 * ETH_ALEN];
	int e;

	__builtin_memcpy(mac, turned ? r->mac + ETH_ALEN : r->mac, ETH_ALEN);
	__builtin_memcpy(mac + ETH_ALEN, turned ? r->mac : r->mac + ETH_ALEN, ETH_ALEN);
	e = reset_store(ctx, access, 0, mac, sizeof(mac));
	if (r->ip_len == sizeof(r->ip6))
		e |= reset_store(ctx, access, r->l2, &r->ip6, sizeof(r->ip6));
	else
		e |= reset_store(ctx, access, r->l2, &r->ip4, sizeof(r->ip4));
	return e | reset_store(ctx, access, r->l2 + r->ip_len, &r->tcp, sizeof(r->tcp));
}

/* ---- XDP: one of the two, now ---- */

/*
 * Is a socket of this host waiting for the bytes, which then come again? It is ended first; to the
 * second copy the sender gets its reset.
 */
static __always_inline int reset_ends_socket(struct xdp_md *ctx, const struct reset *r)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk;
	__u32 state;

	if (cfg_replay || r->flags & TCP_SYN || !(r->flags & TCP_ACK) || !r->len)
		return 0;
	if (r->ip_len == sizeof(r->ip6)) {
		__builtin_memcpy(t.ipv6.saddr, &r->ip6.saddr, sizeof(t.ipv6.saddr));
		__builtin_memcpy(t.ipv6.daddr, &r->ip6.daddr, sizeof(t.ipv6.daddr));
		t.ipv6.sport = r->tcp.source;
		t.ipv6.dport = r->tcp.dest;
		sk = bpf_skc_lookup_tcp(ctx, &t, sizeof(t.ipv6), BPF_F_CURRENT_NETNS, 0);
	} else {
		t.ipv4.saddr = r->ip4.saddr;
		t.ipv4.daddr = r->ip4.daddr;
		t.ipv4.sport = r->tcp.source;
		t.ipv4.dport = r->tcp.dest;
		sk = bpf_skc_lookup_tcp(ctx, &t, sizeof(t.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
	return state != BPF_TCP_LISTEN && state != BPF_TCP_TIME_WAIT;
}

/* Cut the frame behind the reset; what is left to the shortest frame is zero. */
static __always_inline int xdp_reset_cut(struct xdp_md *ctx, const struct reset *r)
{
	__u32 len = bpf_xdp_get_buff_len(ctx), want = r->l2 + r->ip_len + sizeof(r->tcp), zero = 0;

	if (want < RESET_FRAME_MIN &&
	    len >= RESET_FRAME_MIN) { /* 54 with no VLAN tag, 58 with one */
		if (bpf_xdp_store_bytes(ctx, 58, &zero, 2) ||
		    (want == 54 && bpf_xdp_store_bytes(ctx, 54, &zero, 4)))
			return -1;
		want = RESET_FRAME_MIN;
	}
	return len == want ? 0 : bpf_xdp_adjust_tail(ctx, (int)(want - len));
}

/**
 * xdp_reset - make a reset of the packet that a rule stops
 *
 * scratch: l4. Return: XDP_TX, XDP_REDIRECT: to its sender; XDP_PASS: to the local socket; XDP_DROP: none was made.
 */
__noinline int xdp_reset(struct xdp_md *ctx)
{
	struct reset r;
	int up;

	if (!ctx || reset_read(ctx, ACCESS_XDP, &r)) {
		count(CNT_RESETS_NOT_MADE, 1);
		return XDP_DROP;
	}
	up = reset_ends_socket(ctx, &r);
	if (!up)
		reset_turn(&r);
	reset_build(&r, !up, 0);
	if (reset_write(ctx, ACCESS_XDP, &r, !up) || xdp_reset_cut(ctx, &r)) {
		count(CNT_RESETS_NOT_MADE, 1);
		return XDP_DROP;
	}
	count(CNT_RESETS_SENT, 1);
	if (up)
		return XDP_PASS;
	/* the other end of a pair takes what XDP_TX sends only if it has an XDP program too */
	return cfg_veth ? bpf_redirect(ctx->ingress_ifindex, 0) : XDP_TX;
}

/* ---- TC: both at once ---- */

/* Is the checksum left to the device? Then it is nothing that a change of a byte would change. */
static __always_inline int tc_sum_is_partial(struct __sk_buff *skb, struct reset *r)
{
	__u32 off = r->l2 + r->ip_len + r->moved + RESET_SUM_OFF;
	__u16 after;

	if (bpf_l4_csum_replace(skb, off, 0, 1, sizeof(after)) ||
	    bpf_skb_load_bytes(skb, off, &after, sizeof(after)))
		return -1;
	return after == r->tcp.check;
}

/**
 * tc_reset - make two resets of the packet that a rule stops: one turned round, and one in its place
 *
 * scratch: l4, hook; it is another's after the call. Return: TC_ACT_UNSPEC: the packet is the second
 * one now; TC_ACT_SHOT: there is none.
 */
__noinline int tc_reset(struct __sk_buff *skb)
{
	struct scratch *s = scratch_get();
	struct reset r;
	__u64 way;
	int partial;

	if (!skb || !s || reset_read(skb, ACCESS_TC, &r))
		goto none;
	way = s->hook == HOOK_TC_EGRESS ? BPF_F_INGRESS : 0;
	partial = tc_sum_is_partial(skb, &r);
	/* the device would look for the checksum where the TCP header was */
	if (partial < 0 || (partial && r.moved))
		goto none;
	if (bpf_skb_change_tail(skb, r.l2 + r.ip_len + sizeof(r.tcp), 0))
		goto none;
	reset_turn(&r);
	reset_build(&r, 1, partial);
	if (reset_write(skb, ACCESS_TC, &r, 1) || bpf_clone_redirect(skb, skb->ifindex, way))
		goto none;
	count(CNT_RESETS_SENT, 1);
	if (r.flags & TCP_SYN && !(r.flags & TCP_ACK))
		return TC_ACT_SHOT; /* nobody there has anything to end */
	reset_turn(&r);
	reset_build(&r, 0, partial);
	if (reset_write(skb, ACCESS_TC, &r, 0))
		goto none;
	count(CNT_RESETS_SENT, 1);
	return TC_ACT_UNSPEC;
none:
	count(CNT_RESETS_NOT_MADE, 1);
	return TC_ACT_SHOT;
}

#endif
