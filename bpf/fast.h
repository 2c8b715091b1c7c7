/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fast.h - the parser that most packets meet: Ethernet with at most one VLAN tag, IPv4 without
 * options or IPv6 without extension headers, unfragmented TCP or UDP, all in the linear part.
 * It keeps everything in registers; whatever else a frame is, it says -1 and parse.h has the word.
 * Pure; must agree with parse.h and key.h on every frame it takes (tests/bpf).
 */
#ifndef WEIR_BPF_FAST_H
#define WEIR_BPF_FAST_H

#include <stddef.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include "config.h"
#include "key.h"
#include "pkt.h"

#define FAST_IP_FRAGMENT 0x3fff /* MF and the offset */
#define VLAN_VID_MASK	 0x0fff

struct fast {
	struct l4 l4;
	__u64 hash;
	__u32 dir;
	__u32 ports;
	__u32 src4; /* addresses and ports as they are in the packet; 0: not over IPv4 */
	__u32 dst4;
};

struct fast_tag {
	__be16 tci;
	__be16 proto;
};

/* May this UDP packet be a tunnel that the full parser should open? */
static __always_inline int fast_maybe_tunnel(__u16 sport_be, __u16 dport_be)
{
	__u16 dport = bpf_ntohs(dport_be), sport = bpf_ntohs(sport_be);

	if (!cfg_decap_depth)
		return 0;
#pragma unroll
	for (int i = 0; i < 8; i++)
		if (cfg_vxlan_ports[i] == dport)
			return 1;
	return dport == cfg_geneve_port || dport == 2152 || dport == 3544 || sport == 3544 ||
	       dport == 4790;
}

/* TCP or UDP behind an IP header that ends at @p; @left: bytes of the IP packet from there. */
static __always_inline int fast_l4(void *data, void *p, void *data_end, __u32 left, struct fast *f,
				   __u32 *ret_ports)
{
	struct udphdr *udp = p;
	struct tcphdr *tcp = p;

	if (likely(f->l4.proto == IPPROTO_TCP)) {
		__u32 doff;

		if ((void *)(tcp + 1) > data_end)
			return -1;
		doff = tcp->doff * 4;
		if (doff < sizeof(*tcp) || doff > left)
			return -1;
		f->l4.tcp_flags = ((__u8 *)tcp)[13];
		f->l4.seq = bpf_ntohl(tcp->seq);
		f->l4.window = bpf_ntohs(tcp->window);
		f->l4.payload_off = p - data + doff;
		f->l4.payload_len = left - doff;
		*ret_ports = *(__u32 *)tcp;
		return 0;
	}
	f->l4.tcp_flags = f->l4.window = f->l4.seq = 0;
	if (f->l4.proto != IPPROTO_UDP || (void *)(udp + 1) > data_end)
		return -1;
	if (bpf_ntohs(udp->len) < sizeof(*udp) || bpf_ntohs(udp->len) > left)
		return -1;
	if (fast_maybe_tunnel(udp->source, udp->dest))
		return -1;
	f->l4.payload_off = p - data + sizeof(*udp);
	f->l4.payload_len = left - sizeof(*udp);
	*ret_ports = *(__u32 *)udp;
	return 0;
}

/* @a, or @b if @dir, without a branch. */
static __always_inline __u32 fast_pick(__u32 a, __u32 b, __u32 dir)
{
	return a ^ ((a ^ b) & -dir);
}

static __always_inline __u32 fast_order_ports(__u32 ports, __u32 dir)
{
	__u32 s = dir << 4;

	return ports << s | (__u64)ports >> (32 - s);
}

/* Address of the hash keys, in a register: else it is worked out for each of them. */
static __always_inline const volatile __u64 *fast_seed(void)
{
	const volatile __u64 *seed = cfg_seed;

	asm("" : "+r"(seed));
	return seed;
}

static __always_inline int fast_ip4(void *data, void *p, void *data_end, __u32 meta, __u32 ifindex,
				    struct fast *f)
{
	struct iphdr *ip = p;
	__u32 saddr, daddr, ports, total;

	if ((void *)(ip + 1) > data_end)
		return -1;
	total = bpf_ntohs(ip->tot_len);
	if (*(__u8 *)ip != 0x45 || ip->frag_off & bpf_htons(FAST_IP_FRAGMENT) ||
	    total < sizeof(*ip))
		return -1;
	f->l4.proto = ip->protocol;
	f->l4.ip_bytes = total;
	f->l4.hdr_off = p - data;
	f->l4.ttl = ip->ttl;
	f->l4.dscp = ip->tos >> 2;
	f->l4.icmp_type = f->l4.icmp_code = 0;
	if (fast_l4(data, ip + 1, data_end, total - sizeof(*ip), f, &ports))
		return -1;
	saddr = ip->saddr;
	daddr = ip->daddr;
	f->dir = likely(saddr != daddr) ? key_greater(saddr, daddr)
					: (__u16)ports > (__u16)(ports >> 16);
	f->hash = key_terms(fast_pick(saddr, daddr, f->dir), fast_pick(daddr, saddr, f->dir),
			    fast_order_ports(ports, f->dir), meta | f->l4.proto, ifindex, ETH_P_IP,
			    fast_seed());
	f->hash = key_finish(f->hash);
	f->src4 = saddr;
	f->dst4 = daddr;
	f->ports = ports;
	return 0;
}

static __always_inline int fast_ip6(void *data, void *p, void *data_end, __u32 meta, __u32 ifindex,
				    struct fast *f)
{
	struct ipv6hdr *ip = p;
	__u32 *s, *d, ports, len;

	if ((void *)(ip + 1) > data_end)
		return -1;
	len = bpf_ntohs(ip->payload_len);
	if (*(__u8 *)ip >> 4 != 6 || !len)
		return -1;
	f->l4.proto = ip->nexthdr;
	f->l4.ip_bytes = len + sizeof(*ip);
	f->l4.hdr_off = p - data;
	f->l4.ttl = ip->hop_limit;
	f->l4.icmp_type = f->l4.icmp_code = 0;
	f->l4.dscp = bpf_ntohs(*(__be16 *)ip) >> 6 & 0x3f;
	if (fast_l4(data, ip + 1, data_end, len, f, &ports))
		return -1;
	s = (__u32 *)&ip->saddr;
	d = (__u32 *)&ip->daddr;
	f->dir = key_swapped(s, d, ports, ports >> 16);
	f->hash = key_terms(fast_pick(s[3], d[3], f->dir), fast_pick(d[3], s[3], f->dir),
			    fast_order_ports(ports, f->dir), meta | f->l4.proto, ifindex,
			    ETH_P_IPV6, cfg_seed);
	for (int i = 0; i < 3; i++)
		f->hash += nh(fast_pick(s[i], d[i], f->dir), fast_pick(d[i], s[i], f->dir),
			      cfg_seed[3 + i]);
	f->hash = key_finish(f->hash);
	f->src4 = 0;
	return 0;
}

/**
 * parse_fast - parse a common frame
 * @data:    Ethernet header
 * @tag:     VLAN id that the NIC took out of the frame, or 0
 * @ifindex: of the interface
 * @f:       filled; meaningless unless 0 is returned
 *
 * Return: 0, or -1: not a frame for this parser.
 */
static __always_inline int parse_fast(void *data, void *data_end, __u16 tag, __u32 ifindex,
				      struct fast *f)
{
	struct ethhdr *eth = data;
	void *p = eth + 1;
	__u32 meta = (__u32)tag << 8;
	__be16 proto;

	if (p > data_end)
		return -1;
	proto = *(const __be16 *)(data + offsetof(struct ethhdr, h_proto)); /* one load */
	if (unlikely(proto == bpf_htons(ETH_P_8021Q)) ||
	    unlikely(proto == bpf_htons(ETH_P_8021AD))) {
		struct fast_tag *t = p;
		__u32 vid;

		p = t + 1;
		if (p > data_end || tag)
			return -1;
		vid = bpf_ntohs(t->tci) & VLAN_VID_MASK;
		meta |= vid << 8;
		proto = t->proto;
	}
	if (likely(proto == bpf_htons(ETH_P_IP)))
		return fast_ip4(data, p, data_end, meta, ifindex, f);
	if (proto == bpf_htons(ETH_P_IPV6))
		return fast_ip6(data, p, data_end, meta, ifindex, f);
	return -1;
}

/**
 * fast_key - the whole key of a frame that parse_fast() took
 * @l: what parse_fast() found
 * @k: filled, source first
 *
 * Return: 0, or -1: the frame is not as @l says.
 */
static __always_inline int fast_key(void *data, void *data_end, const struct l4 *l, __u16 tag,
				    __u32 ifindex, struct flow_key *k)
{
	int tagged = l->hdr_off != ETH_HLEN;
	struct fast_tag *t = data + ETH_HLEN;
	__u8 *p = tagged ? (__u8 *)(t + 1) : (__u8 *)t;

	if ((void *)(p + sizeof(struct iphdr) + 4) > data_end || (void *)(t + 1) > data_end)
		return -1;
	__builtin_memset(k, 0, sizeof(*k));
	k->ifindex = ifindex;
	k->proto = l->proto;
	k->vlan[0] = tagged ? bpf_ntohs(t->tci) & VLAN_VID_MASK : tag;
	if (*p >> 4 == 4) {
		k->ethertype = ETH_P_IP;
		*(__u16 *)(k->addr[0] + 10) = *(__u16 *)(k->addr[1] + 10) = 0xffff;
		*(__u32 *)(k->addr[0] + 12) = *(__u32 *)(p + 12);
		*(__u32 *)(k->addr[1] + 12) = *(__u32 *)(p + 16);
		p += sizeof(struct iphdr);
	} else {
		if ((void *)(p + sizeof(struct ipv6hdr) + 4) > data_end)
			return -1;
		k->ethertype = ETH_P_IPV6;
		for (int i = 0; i < 8; i++)
			((__u32 *)k->addr)[i] = ((__u32 *)(p + 8))[i];
		p += sizeof(struct ipv6hdr);
	}
	*(__u32 *)k->port = *(__u32 *)p;
	return 0;
}

#endif
