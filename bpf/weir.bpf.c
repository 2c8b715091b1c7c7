// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * weir.bpf.c - the programs: XDP ingress, TC ingress, TC egress. Each is the same short way (see
 * entry.h); the slow parts are global functions, verified once, one set for each context type.
 */
#include "entry.h"
#include "parse_bpf.h"
#include "l7_flow.h"
#include "recent.h"
#include "reset.h"
#include "source.h"
#include "verdict_listed.h"
#include <linux/pkt_cls.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The full parser has taken the packet: who sent it, if it is in a tunnel. @segs: on the wire; 0: it is one. */
static __always_inline void way_source(const struct scratch *s, __u32 segs)
{
	if (cfg_decap_depth && s->tunneled)
		source_seen(segs ?: 1);
}

/* A new flow, and what was found of it by policy. */
static __always_inline int slow_insert(struct scratch *s)
{
	struct flow_hot *h;

	if (!flow_insert(s))
		return 0;
	if (!cfg_enforce || !s->active)
		return 1;
	h = hot_get(s->slot);
	if (h)
		verdict_keep(h, s, s->cached);
	if (h && s->would)
		would_known(s, h);
	return 1;
}

/* The whole key of a packet that isn't in a known flow; it is in the scratch then. 0, or it has none. */
static __always_inline int xdp_key_of(struct xdp_md *ctx, struct scratch *s)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;

	if (!s->parsed && fast_key(data, data_end, &s->l4, 0, ctx->ingress_ifindex, &s->pkt.key) &&
	    xdp_parse_full(ctx))
		return -1;
	s->parsed = 1;
	return 0;
}

/*
 * Everything that is not the next ordinary packet of a known flow. Return: 1 if L7 wants the
 * payload. The entry calls that, not this function: the frames of a call chain may take 512 bytes
 * together (kernels before 6.13), and L7 needs most of them.
 */
__noinline int xdp_slow(struct xdp_md *ctx)
{
	struct scratch *s = scratch_get();

	if (!ctx || !s)
		return 0;
	if (s->slot != CACHE_MISS)
		flow_update(s);
	else if (xdp_key_of(ctx, s) || !slow_insert(s))
		return 0;
	return flow_wants_payload(s);
}

/* The same for a verdict before there is a flow. */
__noinline int xdp_key(struct xdp_md *ctx)
{
	struct scratch *s = scratch_get();

	if (!ctx || !s)
		return 0;
	return xdp_key_of(ctx, s);
}

/* The VLAN id that the NIC took out of the frame, or 0. */
static __always_inline __u16 tc_tag(const struct __sk_buff *skb)
{
	return skb->vlan_present ? skb->vlan_tci & VLAN_VID_MASK : 0;
}

static __always_inline int tc_key_of(struct __sk_buff *skb, struct scratch *s)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;

	if (!s->parsed &&
	    fast_key(data, data_end, &s->l4, tc_tag(skb), skb->ifindex, &s->pkt.key) &&
	    tc_parse_full(skb))
		return -1;
	s->parsed = 1;
	return 0;
}

__noinline int tc_slow(struct __sk_buff *skb)
{
	struct scratch *s = scratch_get();

	if (!skb || !s)
		return 0;
	if (s->slot != CACHE_MISS)
		flow_update(s);
	else if (tc_key_of(skb, s) || !slow_insert(s))
		return 0;
	return flow_wants_payload(s);
}

__noinline int tc_key(struct __sk_buff *skb)
{
	struct scratch *s = scratch_get();

	if (!skb || !s)
		return 0;
	return tc_key_of(skb, s);
}

/*
 * Length of the frame on the wire. @linear: bytes in the first buffer; @need: bytes the headers
 * speak of; only if they are more can there be further buffers.
 */
static __always_inline __u32 xdp_len(struct xdp_md *ctx, __u32 linear, __u32 need)
{
	struct control *c;

	if (cfg_replay) {
		c = control_get();
		if (c && c->replay_wire_len)
			return c->replay_wire_len;
	}
	if (likely(need <= linear))
		return linear;
	return bpf_xdp_get_buff_len(ctx);
}

static __always_inline void xdp_recent(struct xdp_md *ctx, struct way *w)
{
	__u32 linear = ctx->data_end - ctx->data;
	struct recent_place p;

	if (!cfg_recent_blocks || w->noted ||
	    recent_begin(w, xdp_len(ctx, linear, w->need ?: -1), &p))
		return;
	p.record->ifindex = ctx->ingress_ifindex;
	p.record->tci = p.record->gso_size = 0;
	if (recent_copy(&p, (void *)(long)ctx->data, (void *)(long)ctx->data_end) ||
	    !bpf_xdp_load_bytes(ctx, 0, p.bytes, p.len))
		recent_done(&p);
}

/* The slow way while a policy is on: no packet goes further than its verdict. */
static __always_inline void xdp_judged(struct xdp_md *ctx, struct way *w, struct scratch *s)
{
	int wanted = 0, known = s->slot != CACHE_MISS;

	if (!known && !xdp_key(ctx))
		verdict_judge(0);
	if (!s->verdict)
		wanted = xdp_slow(ctx);
	if (known)
		verdict_judge(1);
	if (cfg_names && wanted && !s->verdict)
		xdp_l7(ctx);
	w->verdict = s->verdict;
	if (w->verdict == VERDICT_RESET) {
		xdp_recent(ctx, w); /* as it came */
		w->noted = 1;
		w->answer = xdp_reset(ctx);
	}
}

static __always_inline void xdp_way(struct xdp_md *ctx, struct way *w)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u64 *seen = &w->row->v[CNT_XDP_BYTES];
	__u32 slot, linear = data_end - data;
	struct scratch *s;

	if (parse_fast(data, data_end, 0, ctx->ingress_ifindex, &w->f)) {
		s = scratch_get();
		w->need = 0;
		if (!s || xdp_parse_full(ctx)) {
			*seen += xdp_len(ctx, 0, 1);
			return; /* no parser takes it: counted by reason */
		}
		way_from_full(w, s);
		way_source(s, 1);
	}
	w->segs = 1;
	w->bytes = w->f.l4.ip_bytes;
	w->need = w->f.l4.hdr_off + w->f.l4.ip_bytes;
	*seen += xdp_len(ctx, linear, w->need);
	slot = CACHE_MISS;
	if (way_syn(w, 0, ctx->ingress_ifindex) || way_hit(w, &slot))
		return;
	if (slot == CACHE_MISS && way_listed4(w, ctx->ingress_ifindex))
		return;
	s = scratch_get();
	if (!s)
		return;
	s->frame_len = bpf_xdp_get_buff_len(ctx);
	way_to_scratch(w, s, slot);
	if (cfg_enforce && w->active)
		xdp_judged(ctx, w, s);
	else if (xdp_slow(ctx) && cfg_names)
		xdp_l7(ctx);
}

static __always_inline int xdp_entry(struct xdp_md *ctx)
{
	enum way_stop stop;
	struct way w;
	__u64 bytes;

	way_begin(&w, HOOK_XDP);
	w.row = bpf_map_lookup_elem(&counters, &w.cpu);
	if (!w.row)
		return XDP_PASS;
	w.row->v[CNT_XDP_FRAMES]++;
	stop = cfg_rare ? way_stops() : WAY_GOES_ON;
	if (unlikely(stop)) {
		bytes = xdp_len(ctx, 0, 1);
		w.row->v[CNT_XDP_BYTES] += bytes;
		way_stopped(&w, stop, 1, bytes);
		return XDP_PASS;
	}
	xdp_way(ctx, &w);
	if (cfg_rare) {
		xdp_recent(ctx, &w);
		way_leave();
	}
	if (cfg_enforce && w.verdict)
		return w.verdict == VERDICT_RESET ? w.answer : XDP_DROP;
	return cfg_rare && cfg_consume && w.layers ? XDP_DROP : XDP_PASS;
}

SEC("xdp.frags")
int xdp_flows(struct xdp_md *ctx)
{
	return xdp_entry(ctx);
}

/*
 * Wire packets of a GSO packet and their bytes, for the flow and for the interface. Each segment
 * repeats the headers up to the innermost transport payload, which lies deeper than the flow's own
 * where a tunnel was not opened.
 */
static __always_inline __u64 tc_segments(struct __sk_buff *skb, struct way *w)
{
	const struct l4 *l = &w->f.l4;
	__u32 headers = l->payload_off, end = l->payload_off + l->payload_len, extra;

	if (l->proto != IPPROTO_TCP) {
		headers = tc_inner_payload(skb);
		w->parsed = 0;
	}
	w->segs = headers && headers <= end
			  ? gso_segments(skb->gso_size, skb->gso_segs, end - headers)
			  : 0;
	if (!w->segs) {
		w->segs = 1;
		w->row->v[CNT_GSO_UNKNOWN]++;
	}
	extra = w->segs - 1;
	w->bytes += (__u64)extra * (headers - l->hdr_off);
	return (__u64)extra * headers;
}

static __always_inline void tc_recent(struct __sk_buff *skb, struct way *w)
{
	struct recent_place p;

	if (!cfg_recent_blocks || w->noted || recent_begin(w, skb->len, &p))
		return;
	p.record->ifindex = skb->ifindex;
	p.record->tci = skb->vlan_present ? (skb->vlan_tci & ~RECENT_VLAN) | RECENT_VLAN : 0;
	p.record->gso_size = skb->gso_size;
	if (recent_copy(&p, (void *)(long)skb->data, (void *)(long)skb->data_end) ||
	    !bpf_skb_load_bytes(skb, 0, p.bytes, p.len))
		recent_done(&p);
}

/* As xdp_judged(). */
static __always_inline void tc_judged(struct __sk_buff *skb, struct way *w, struct scratch *s)
{
	int wanted = 0, known = s->slot != CACHE_MISS;

	if (!known && !tc_key(skb))
		verdict_judge(0);
	if (!s->verdict)
		wanted = tc_slow(skb);
	if (known)
		verdict_judge(1);
	if (cfg_names && wanted && !s->verdict)
		tc_l7(skb);
	w->verdict = s->verdict;
	if (w->verdict == VERDICT_RESET) {
		tc_recent(skb, w);
		w->noted = 1;
		w->answer = tc_reset(skb);
	}
}

static __always_inline void tc_way(struct __sk_buff *skb, struct way *w, enum weir_hook hook)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	__u64 *seen =
		&w->row->v[hook == HOOK_TC_INGRESS ? CNT_TC_INGRESS_FRAMES : CNT_TC_EGRESS_FRAMES];
	__u32 slot;
	struct scratch *s;

	seen[1] += skb->len;
	if (parse_fast(data, data_end, tc_tag(skb), skb->ifindex, &w->f)) {
		s = scratch_get();
		if (!s || tc_parse_full(skb)) {
			seen[0]++;
			return; /* no parser takes it: counted by reason */
		}
		way_from_full(w, s);
		way_source(s, skb->gso_segs);
	}
	w->segs = 1;
	w->bytes = w->f.l4.ip_bytes;
	if (unlikely(skb->gso_size))
		seen[1] += tc_segments(skb, w);
	seen[0] += w->segs;
	slot = CACHE_MISS;
	if (way_syn(w, tc_tag(skb), skb->ifindex) || way_hit(w, &slot))
		return;
	if (slot == CACHE_MISS && way_listed4(w, skb->ifindex))
		return;
	s = scratch_get();
	if (!s)
		return;
	s->frame_len = skb->len;
	way_to_scratch(w, s, slot);
	if (cfg_enforce && w->active)
		tc_judged(skb, w, s);
	else if (tc_slow(skb) && cfg_names)
		tc_l7(skb);
}

static __always_inline int tc_entry(struct __sk_buff *skb, enum weir_hook hook)
{
	enum way_stop stop;
	struct way w;
	__u64 *seen;

	way_begin(&w, hook);
	w.row = bpf_map_lookup_elem(&counters, &w.cpu);
	if (!w.row)
		return TC_ACT_UNSPEC;
	stop = cfg_rare ? way_stops() : WAY_GOES_ON;
	if (unlikely(stop)) {
		seen = &w.row->v[hook == HOOK_TC_INGRESS ? CNT_TC_INGRESS_FRAMES
							 : CNT_TC_EGRESS_FRAMES];
		seen[0] += skb->gso_segs ?: 1;
		seen[1] += skb->len;
		way_stopped(&w, stop, skb->gso_segs ?: 1, skb->len);
		return TC_ACT_UNSPEC;
	}
	tc_way(skb, &w, hook);
	if (cfg_rare) {
		tc_recent(skb, &w);
		way_leave();
	}
	if (cfg_enforce && w.verdict)
		return w.verdict == VERDICT_RESET ? w.answer : TC_ACT_SHOT;
	return cfg_rare && cfg_consume && w.layers ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

SEC("tc")
int tc_ingress(struct __sk_buff *skb)
{
	return tc_entry(skb, HOOK_TC_INGRESS);
}

SEC("tc")
int tc_egress(struct __sk_buff *skb)
{
	return tc_entry(skb, HOOK_TC_EGRESS);
}

/* Both clocks of the packet path at one moment, for the loader to relate them to its own. */
SEC("syscall")
int read_clock(struct clock_sample *out)
{
	out->ns = bpf_ktime_get_ns();
	out->jiffies = bpf_jiffies64();
	return 0;
}
