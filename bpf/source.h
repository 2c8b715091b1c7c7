/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * source.h - who sends the tunnels that are opened, and how many packets were sent by the numbers in them: those of
 * GRE and ERSPAN (RFC 2890), one sequence a source and key, whichever CPU and interface they come to.
 */
#ifndef WEIR_BPF_SOURCE_H
#define WEIR_BPF_SOURCE_H

#include "key.h"
#include "parse_bpf.h"
#include "weir/source.h"

#define SOURCE_TRIES 8 /* to move the head; who has no luck leaves it to the next packet */

/* Sources, by hash. Writer: all CPUs, atomically. Reader: the loader, through mmap. Memory: 64 KiB. Full: row 0. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEIR_SOURCES);
	__type(key, __u32);
	__type(value, struct source_row);
} sources SEC(".maps");

/* Their packets. Key: cpu * WEIR_SOURCES + row. Writer: that CPU. Reader: as above. Memory: 32 KiB a CPU. Size: loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEIR_SOURCES);
	__type(key, __u32);
	__type(value, struct source_count);
} source_counts SEC(".maps");

/* What a row is found by. */
struct source_key {
	const __u8 *addr;
	__u32 vni;
	__u32 type; /* enum weir_tunnel */
};

static __always_inline __u64 source_tag(const struct source_key *k)
{
	__u64 h = nh(k->vni, k->type, cfg_seed[6]) + nh(cfg_netns, 0, cfg_seed[9]);

	h += nh(key_load32(k->addr), key_load32(k->addr + 4), cfg_seed[7]);
	h += nh(key_load32(k->addr + 8), key_load32(k->addr + 12), cfg_seed[8]);
	return key_finish(h) | 1ULL << 63;
}

/* Ours now: nobody else writes there. */
static __always_inline void source_begin(struct source_row *r, const struct source_key *k)
{
	*(key_u64 *)r->addr = key_load64(k->addr);
	*(key_u64 *)(r->addr + 8) = key_load64(k->addr + 8);
	r->vni = k->vni;
	r->netns = cfg_netns;
	r->type = k->type;
	r->sampled = cfg_sample > 1;
	__sync_lock_test_and_set(&r->ready, 1); /* after what is above, for whoever reads it */
}

/* The source's row and its number, or NULL: there is no room for it. */
static __always_inline struct source_row *source_find(const struct source_key *k, __u32 *ret_n)
{
	const __u64 tag = source_tag(k);
	struct source_row *r;
	__u64 is;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < WEIR_SOURCE_TRIES; i++) {
		*ret_n = (tag + i) & (WEIR_SOURCES - 1);
		r = *ret_n ? bpf_map_lookup_elem(&sources, ret_n) : 0;
		if (!r)
			continue;
		is = *(volatile __u64 *)&r->tag;
		if (!is) {
			is = __sync_val_compare_and_swap(&r->tag, 0, tag);
			if (!is) {
				source_begin(r, k);
				return r;
			}
		}
		if (is == tag)
			return r;
	}
	*ret_n = 0;
	return 0;
}

/*
 * A packet's number. Where the head has been moved by others over and over, it is left: the next one that moves it
 * counts this number as sent.
 */
static __always_inline void source_number(struct source_row *r, struct source_count *c,
					  __u32 number)
{
	__u64 head, to = WEIR_SOURCE_BEGUN | number;
	__u32 ahead, anew;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < SOURCE_TRIES; i++) {
		head = *(volatile __u64 *)&r->head;
		ahead = number - (__u32)head;
		anew = 0;
		if (!head) {
			ahead = 1;
		} else if (!ahead) {
			c->repeated++;
			return;
		} else if (ahead > WEIR_SOURCE_AHEAD) {
			if (ahead >= -WEIR_SOURCE_BEHIND)
				break;
			ahead = anew = 1;
		}
		if (__sync_val_compare_and_swap(&r->head, head, to) != head)
			continue;
		__sync_fetch_and_add(&r->sent, ahead);
		if (anew)
			__sync_fetch_and_add(&r->restarts, 1);
		break;
	}
	c->arrived++;
}

/**
 * source_seen - a packet in a tunnel, that the full parser has just walked
 * @segs: packets that it was on the wire
 *
 * Where several tunnels are in one another, the source is that of the innermost that has a number, else of the
 * innermost that was opened. Global: its frame is on no other way.
 */
__noinline int source_seen(__u32 segs)
{
	struct scratch *s = scratch_get();
	struct source_row *r;
	struct source_count *c;
	struct source_key k;
	__u32 n = 0, numbered;
	struct parse *p = bpf_map_lookup_elem(&parser, &n);

	if (!p || !s)
		return 0;
	numbered = p->numbered;
	k.addr = numbered ? p->from : s->pkt.key.tun_src;
	k.vni = numbered ? p->from_vni : s->pkt.key.vni;
	k.type = numbered ?: s->pkt.key.tun_type;
	r = source_find(&k, &n);
	n += region_id() * WEIR_SOURCES;
	c = bpf_map_lookup_elem(&source_counts, &n);
	if (!c)
		return 0;
	c->packets += segs;
	if (r && numbered && cfg_sample <= 1)
		source_number(r, c, p->number);
	return 0;
}

#endif
