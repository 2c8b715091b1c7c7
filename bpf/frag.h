/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * frag.h - ports for the fragments that have none. The first fragment leaves what it knows in a
 * small map shared by all CPUs; the later ones look it up, wherever they arrive. A later fragment
 * that comes before the first, or whose first fragment was pushed out, is counted without ports.
 */
#ifndef WEIR_BPF_FRAG_H
#define WEIR_BPF_FRAG_H

#include "cursor.h"
#include "maps.h"

#define FRAG_ENTRIES 8192

/*
 * One datagram being fragmented. proto: IPv4 only. In IPv6 the first fragment alone says what the
 * datagram is (RFC 8200 section 4.5), and ids have 32 bits.
 */
struct frag_key {
	__u8 addr[2][16]; /* source, destination */
	__u8 tun_src[16];
	__u32 id;
	__u32 vni;
	__u32 ifindex;
	__u32 netns;
	__u16 vlan[2];
	__u8 proto;
	__u8 tun_type;
	__u8 pad[2];
};

struct frag_value {
	__u16 port[2];
	__u8 proto;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 pad;
};

/* Key: datagram. Value: what its first fragment said. Writer and reader: all CPUs. Memory: about
 * 160 bytes an entry. Full: the least recently used goes.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FRAG_ENTRIES);
	__type(key, struct frag_key);
	__type(value, struct frag_value);
} fragments SEC(".maps");

static __always_inline void frag_key_from(struct frag_key *f, const struct pkt *k)
{
	__builtin_memset(f, 0, sizeof(*f));
	__builtin_memcpy(f->addr, k->key.addr, sizeof(f->addr));
	__builtin_memcpy(f->tun_src, k->key.tun_src, sizeof(f->tun_src));
	f->id = k->frag_id;
	f->vni = k->key.vni;
	f->ifindex = k->key.ifindex;
	f->netns = cfg_netns;
	f->vlan[0] = k->key.vlan[0];
	f->vlan[1] = k->key.vlan[1];
	f->proto = k->key.ethertype == ETH_P_IP ? k->key.proto : 0;
	f->tun_type = k->key.tun_type;
}

/* Remember a first fragment. */
static __always_inline void frag_first(const struct pkt *k)
{
	struct frag_key key;
	struct frag_value v = {
		.port = {k->key.port[0], k->key.port[1]},
		.proto = k->key.proto,
		.icmp_type = k->l4.icmp_type,
		.icmp_code = k->l4.icmp_code,
	};

	frag_key_from(&key, k);
	bpf_map_update_elem(&fragments, &key, &v, BPF_ANY);
}

static __always_inline int frag_proto_has_ports(__u8 proto)
{
	switch (proto) {
	case PROTO_TCP:
	case PROTO_UDP:
	case PROTO_UDPLITE:
	case PROTO_SCTP:
	case PROTO_DCCP:
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		return 1;
	}
	return 0;
}

/* Give a later fragment the ports of its first one. Return 0, or -1: not known. */
static __always_inline int frag_later(struct pkt *k)
{
	struct frag_key key;
	struct frag_value *v;

	frag_key_from(&key, k);
	v = bpf_map_lookup_elem(&fragments, &key);
	if (!v)
		return frag_proto_has_ports(k->key.proto) || !key.proto ? -1 : 0;
	k->key.port[0] = v->port[0];
	k->key.port[1] = v->port[1];
	k->key.proto = k->l4.proto = v->proto;
	k->l4.icmp_type = v->icmp_type;
	k->l4.icmp_code = v->icmp_code;
	return 0;
}

#endif
