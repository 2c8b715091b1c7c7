// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * peer.bpf.c - the design to compare with: a flow table in one of the kernel's hash maps (HASH,
 * LRU_HASH or PERCPU_HASH, chosen by the loader). Parser, fields, and the condition for the short way
 * are weir's own; values are updated in place. Counters that another CPU may write at the same time
 * are atomic, in a PERCPU map they are not.
 */
#include "weir.bpf.c"
#include "tests/bench/gen.bpf.h"
#include "tests/bench/peer.h"

const volatile __u8 peer_percpu = 0;  /* the map is a PERCPU_HASH */
const volatile __u8 peer_tunnels = 0; /* parse everything, with tunnels, not just common frames */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, PEER_KEY_TUNNEL);
	__uint(value_size, sizeof(struct peer_value));
} peer_flows SEC(".maps");

/* Where a new flow's value is put together. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct peer_value);
} peer_fresh SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct peer_stats);
} peer_stats SEC(".maps");

/* The cold members lie as in flow_cold, without its key. */
static __always_inline struct flow_cold *peer_cold(struct peer_value *v)
{
	return (void *)v + sizeof(struct flow_hot) - sizeof(struct flow_key);
}

/* Addresses and ports of a frame that parse_fast took, in the flow's order. */
static __always_inline int peer_key_fast(void *data, void *data_end, const struct way *w,
					 struct peer_key *k)
{
	__u32 off = w->f.l4.hdr_off & 31, d = w->f.dir & 1, *a, *b, *ports;
	__u8 *ip = data + off;

	if ((void *)ip + 24 > data_end || data + sizeof(struct ethhdr) + 4 > data_end)
		return -1;
	if (*ip >> 4 == 4) {
		a = (__u32 *)(ip + 12);
		b = a + 1;
		ports = b + 1;
		k->addr[0][2] = k->addr[1][2] = bpf_htonl(0xffff);
		k->addr[0][3] = d ? *b : *a;
		k->addr[1][3] = d ? *a : *b;
		k->ethertype = ETH_P_IP;
	} else {
		if ((void *)ip + 44 > data_end)
			return -1;
		a = (__u32 *)(ip + (d ? 24 : 8));
		b = (__u32 *)(ip + (d ? 8 : 24));
		ports = (__u32 *)(ip + 40);
		__builtin_memcpy(k->addr[0], a, 16);
		__builtin_memcpy(k->addr[1], b, 16);
		k->ethertype = ETH_P_IPV6;
	}
	*(__u32 *)k->port = fast_order_ports(*ports, d);
	k->proto = w->f.l4.proto;
	if (off == sizeof(struct ethhdr) + sizeof(struct fast_tag))
		k->vlan[0] = bpf_ntohs(((struct fast_tag *)(data + sizeof(struct ethhdr)))->tci) &
			     VLAN_VID_MASK;
	return 0;
}

/* The same of what the full parser found. */
static __always_inline void peer_key_full(const struct scratch *s, __u32 d, struct peer_key *k)
{
	const struct flow_key *f = &s->pkt.key;

	__builtin_memcpy(k->addr[0], f->addr[d & 1], 16);
	__builtin_memcpy(k->addr[1], f->addr[!d], 16);
	__builtin_memcpy(k->tun_src, f->tun_src, 16);
	k->port[0] = f->port[d & 1];
	k->port[1] = f->port[!d];
	k->vlan[0] = f->vlan[0];
	k->vlan[1] = f->vlan[1];
	k->ethertype = f->ethertype;
	k->proto = f->proto;
	k->vni = f->vni;
	k->tun_type = f->tun_type;
}

static __always_inline void peer_facts(const struct way *w, struct scratch *s, enum weir_hook hook)
{
	s->l4 = w->f.l4;
	s->now = w->now;
	s->segs = w->segs;
	s->bytes = w->bytes;
	s->hook = hook;
}

static __always_inline void peer_insert(const struct way *w, const struct peer_key *k,
					struct scratch *s)
{
	__u32 zero = 0, d = w->f.dir & 1;
	struct peer_value *v = bpf_map_lookup_elem(&peer_fresh, &zero);
	struct peer_stats *st = bpf_map_lookup_elem(&peer_stats, &zero);

	if (!v || !st)
		return;
	__builtin_memset(v, 0, sizeof(*v));
	peer_cold(v)->init_dir = d;
	peer_cold(v)->sampling = 1;
	flow_account(&v->hot, peer_cold(v), s, d);
	if (bpf_map_update_elem(&peer_flows, k, v, BPF_NOEXIST))
		st->lost++;
	else
		st->inserted++;
}

static __always_inline void peer_add(struct flow_hot *h, const struct way *w, __u32 d)
{
	if (peer_percpu) {
		h->packets[d] += w->segs;
		h->bytes[d] += w->bytes;
	} else {
		__sync_fetch_and_add(&h->packets[d], w->segs);
		__sync_fetch_and_add(&h->bytes[d], w->bytes);
	}
	h->last[d] = w->now;
	if (w->f.l4.proto == IPPROTO_TCP)
		h->next_seq[d] = w->f.l4.seq + w->f.l4.payload_len + (w->f.l4.tcp_flags & TCP_FIN);
}

static __always_inline void peer_account(const struct way *w, const struct peer_key *k,
					 enum weir_hook hook)
{
	struct peer_value *v = bpf_map_lookup_elem(&peer_flows, k);
	__u32 d = w->f.dir & 1;
	struct scratch *s;

	if (likely(v && !hot_is_unusual(&v->hot, w, d))) {
		peer_add(&v->hot, w, d);
		return;
	}
	s = scratch_get();
	if (!s)
		return;
	peer_facts(w, s, hook);
	if (v)
		flow_account(&v->hot, peer_cold(v), s, d);
	else
		peer_insert(w, k, s);
}

static __always_inline void peer_count(struct way *w, __u64 len, enum counter frames)
{
	w->row->v[frames] += w->segs;
	w->row->v[frames + 1] += len;
}

static __always_inline int peer_way_begin(struct way *w)
{
	__u32 cpu = region_id();

	w->row = bpf_map_lookup_elem(&counters, &cpu);
	w->now = now_tick();
	return w->row != 0;
}

static __always_inline int peer_entry_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct peer_key k = {};
	struct way w = {};
	struct scratch *s;

	if (!peer_way_begin(&w))
		return XDP_PASS;
	k.ifindex = ctx->ingress_ifindex;
	if (peer_tunnels) {
		s = scratch_get();
		if (!s || xdp_parse_full(ctx))
			return XDP_PASS;
		w.f.l4 = s->pkt.l4;
		w.f.dir = key_dir(&s->pkt.key);
		peer_key_full(s, w.f.dir, &k);
	} else if (parse_fast(data, data_end, 0, k.ifindex, &w.f) ||
		   peer_key_fast(data, data_end, &w, &k)) {
		return XDP_PASS;
	}
	w.segs = 1;
	w.bytes = w.f.l4.ip_bytes;
	peer_count(&w, xdp_len(ctx, data_end - data, w.f.l4.hdr_off + w.f.l4.ip_bytes),
		   CNT_XDP_FRAMES);
	peer_account(&w, &k, HOOK_XDP);
	return XDP_PASS;
}

static __always_inline int peer_entry_tc(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	__u16 tag = skb->vlan_present ? skb->vlan_tci & VLAN_VID_MASK : 0;
	struct peer_key k = {};
	struct way w = {};
	struct scratch *s;

	if (!peer_way_begin(&w))
		return TC_ACT_UNSPEC;
	k.ifindex = skb->ifindex;
	if (peer_tunnels) {
		s = scratch_get();
		if (!s || tc_parse_full(skb))
			return TC_ACT_UNSPEC;
		w.f.l4 = s->pkt.l4;
		w.f.dir = key_dir(&s->pkt.key);
		peer_key_full(s, w.f.dir, &k);
	} else if (parse_fast(data, data_end, tag, k.ifindex, &w.f) ||
		   peer_key_fast(data, data_end, &w, &k)) {
		return TC_ACT_UNSPEC;
	}
	if (tag)
		k.vlan[0] = tag;
	w.segs = 1;
	w.bytes = w.f.l4.ip_bytes;
	peer_count(&w, skb->len + (unlikely(skb->gso_size) ? tc_segments(skb, &w) : 0),
		   CNT_TC_EGRESS_FRAMES);
	peer_account(&w, &k, HOOK_TC_EGRESS);
	return TC_ACT_UNSPEC;
}

SEC("xdp.frags")
int peer_xdp(struct xdp_md *ctx)
{
	gen_next_xdp(ctx);
	return peer_entry_xdp(ctx);
}

SEC("tc")
int peer_tc(struct __sk_buff *skb)
{
	gen_next_tc(skb);
	return peer_entry_tc(skb);
}

SEC("xdp.frags")
int peer_drop(struct xdp_md *ctx)
{
	peer_entry_xdp(ctx);
	return XDP_DROP;
}
