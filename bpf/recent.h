/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * recent.h - keeps the beginning of each packet for a while, so that who asks after the fact still finds
 * it; those that policy dropped too. Nothing of it is in the programs where it is off.
 */
#ifndef WEIR_BPF_RECENT_H
#define WEIR_BPF_RECENT_H

#include "entry.h"
#include "weir/recent.h"

/* Blocks of the last packets. Key: cpu * blocks + block. Writer: that CPU. Reader: the loader, through
 * mmap, see weir/recent.h. Memory: 64 KiB each. Full: the oldest goes. Size: loader.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct recent_block);
} recent SEC(".maps");

/* Where each CPU writes. Key: CPU. Writer: that. Size: loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct recent_now);
} recent_now SEC(".maps");

static __always_inline struct recent_block *recent_block_of(__u32 cpu, __u64 number)
{
	__u32 n = cpu * cfg_recent_blocks + (number & (cfg_recent_blocks - 1));

	return bpf_map_lookup_elem(&recent, &n);
}

/* A block that is fuller has no room for the longest record. */
#define RECENT_USED_MAX \
	(sizeof(((struct recent_block *)0)->data) - sizeof(struct recent_record) - RECENT_LEN_MAX)

/* The block to write to, with room for the longest record; NULL: none. */
static __always_inline struct recent_block *recent_room(__u32 cpu, struct recent_now **ret_now)
{
	struct recent_now *now = bpf_map_lookup_elem(&recent_now, &cpu);
	struct recent_block *b;

	if (!now)
		return 0;
	*ret_now = now;
	b = recent_block_of(cpu, now->number);
	if (b && likely(now->number && b->used <= RECENT_USED_MAX))
		return b;
	b = recent_block_of(cpu, ++now->number);
	if (!b)
		return 0;
	__sync_lock_test_and_set(&b->number, 0); /* before anything in it changes, on any machine */
	b->used = 0;
	b->first = now->packets;
	__sync_lock_test_and_set(&b->number, now->number);
	return b;
}

/* A record that is being written. */
struct recent_place {
	struct recent_now *now;
	struct recent_block *block;
	struct recent_record *record;
	__u8 *bytes; /* of the packet, go here */
	__u32 len;   /* so many, 1 to RECENT_LEN_MAX */
	__u32 at;
};

/* 1 to RECENT_LEN_MAX, as the verifier of 6.1 wants it. */
static __always_inline __u32 recent_len(__u32 len)
{
	len -= 1;
	asm volatile("" : "+r"(len));
	len &= RECENT_LEN_MAX - 1;
	asm volatile("" : "+r"(len));
	return len + 1;
}

/* Room for a packet of @wire_len bytes, all filled but ifindex, tci, gso_size and its bytes. Return: 0, or -1: none. */
static __always_inline int recent_begin(const struct way *w, __u32 wire_len, struct recent_place *p)
{
	struct recent_block *b = recent_room(w->cpu, &p->now);
	__u32 at, len = w->early ? cfg_recent_full : cfg_recent_len;
	struct recent_record *r;

	if (!b || !wire_len)
		return -1;
	at = b->used;
	asm volatile("" : "+r"(at));
	if (at > RECENT_USED_MAX)
		return -1;
	len = recent_len(len < wire_len ? len : wire_len);
	r = (struct recent_record *)(b->data + at);
	r->ns = now_ns();
	r->netns = cfg_netns;
	r->wire_len = wire_len;
	r->len = len;
	r->hook = w->hook;
	r->verdict = cfg_enforce ? w->verdict : 0;
	r->pad = 0;
	p->block = b;
	p->record = r;
	p->bytes = (__u8 *)(r + 1);
	p->len = len;
	p->at = at;
	return 0;
}

#define RECENT_STEP  32u /* bytes */
#define RECENT_STEPS 8

static __always_inline void recent_move(__u8 *to, const __u8 *from)
{
#pragma unroll
	for (__u32 i = 0; i < RECENT_STEP; i += 8)
		*(key_u64 *)(to + i) = *(const key_u64 *)(from + i);
}

/*
 * The bytes of a common packet, all in the linear part, without a call: the helpers' copying is slower than all
 * the rest. Steps that fit, and the last one from its end, over some that are there. Return: 1 if done.
 */
static __always_inline int recent_copy(const struct recent_place *p, const void *data,
				       const void *data_end)
{
	__u32 last = p->len - RECENT_STEP;

	if (p->len < RECENT_STEP || p->len > RECENT_STEP * RECENT_STEPS)
		return 0;
	for (__u32 i = 0; i < RECENT_STEPS - 1; i++) {
		if (i * RECENT_STEP >= last)
			break;
		if (data + i * RECENT_STEP + RECENT_STEP > data_end)
			return 0;
		recent_move(p->bytes + i * RECENT_STEP, data + i * RECENT_STEP);
	}
	asm volatile("" : "+r"(last));
	if (last > RECENT_STEP * (RECENT_STEPS - 1))
		return 0;
	data += last;
	if (data + RECENT_STEP > data_end)
		return 0;
	recent_move(p->bytes + last, data);
	return 1;
}

/* The record is complete: readers may have it. */
static __always_inline void recent_done(const struct recent_place *p)
{
	__u32 used = (p->at + sizeof(*p->record) + p->len + 7) & ~7u;

	p->now->packets++;
	if (cfg_tso) {
		asm volatile("" ::: "memory");
		*(volatile __u32 *)&p->block->used = used;
	} else {
		__sync_lock_test_and_set(&p->block->used, used);
	}
}

#endif
