/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * assemble.h - the first payload bytes of a direction, put together from its segments.
 *
 * One table for all CPUs: segments of one hello may be handled on different ones. A directory
 * entry holds what is there as ranges of stream offsets, guarded by its bucket's spin lock; the
 * bytes lie in a ring of L7_BUF_SIZE at offset modulo size, written without the lock by whoever
 * pinned the entry, before the range is entered under the lock. So a byte's place is known even
 * when the start of the stream is not: a later piece may come first, on a CPU that saw no SYN.
 */
#ifndef WEIR_BPF_ASSEMBLE_H
#define WEIR_BPF_ASSEMBLE_H

#include "maps.h"

#define L7_LOOP(n, fn, ctx) bpf_loop(n, fn, ctx, 0)
#include "l7.h"

#define L7_WAYS	      4u
#define L7_RANGES     8u
#define L7_STRIDE     (L7_BUF_SIZE + L7_BUF_PAD)
#define L7_BIAS	      (4u * L7_BUF_SIZE) /* offset of the first segment seen: others may come before it */
#define L7_OFF_MAX    (1u << 30)
#define L7_OLD_WINDOW 65536u /* bytes before a finished message that can only be old ones */
#define L7_SEGS_MAX   200u   /* segments that may go into one message */

const volatile __u32 cfg_l7_mask = 255; /* directory buckets - 1 (power of two) */
const volatile __u32 cfg_l7_hold = 250; /* ticks: an unfinished entry left alone longer is free */

enum l7_state {
	L7S_OPEN = 1, /* being assembled */
	L7S_BUSY = 2, /* one CPU reads it */
	L7S_USER = 3, /* userspace assembles: bytes are handed over, ranges kept */
	L7S_DONE = 4, /* .start is the end of what was read */
};

enum { L7F_CONFLICT = 1 };

struct l7_entry {
	__u32 anchor; /* sequence number of offset 0 */
	__u32 start;  /* offset where the message starts, L7_NONE = not known yet */
	__u32 need;   /* bytes from start that make another look worth it */
	__u32 tick;   /* of the last change */
	__u32 refs;   /* CPUs at work with it */
	__u32 used;   /* ranges from this one on are not in use */
	__u32 life;   /* of the connection, as l7_work.life has it */
	__u8 state;
	__u8 proto; /* enum l7_class */
	__u8 flags;
	__u8 segs;
	__u32 from[L7_RANGES]; /* bytes that are there; from == to: unused */
	__u32 to[L7_RANGES];
};

struct l7_bucket {
	struct bpf_spin_lock lock;
	__u32 pad;
	__u64 tag[L7_WAYS]; /* keyed hash of flow and direction, 0 = free */
	struct l7_entry way[L7_WAYS];
};

/* A copy may start at the last byte of the last ring: the verifier can't see that it is cut there. */
struct l7_rings {
	__u8 b[L7_WAYS * L7_STRIDE + L7_BUF_SIZE];
};

/* Directory. Key: hash & cfg_l7_mask. Readers and writers: all CPUs. Memory: 424 bytes a bucket.
 * Full: entries that are done, or idle for cfg_l7_hold ticks, make room; else the message must fit
 * one segment, or is counted as NAME_NO_SLOT. Size: loader, cfg_l7_mask + 1.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct l7_bucket);
} l7_dir SEC(".maps");

/* Their bytes; behind them one element a CPU for its own use (way 0: a message that came whole, way
 * 1: bytes to compare). Memory: 20,512 bytes an element. Size: loader, cfg_l7_mask + 1 + CPUs.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256 + 64);
	__type(key, __u32);
	__type(value, struct l7_rings);
} l7_bytes SEC(".maps");

/* One segment on its way through the functions below; per CPU. */
struct l7_work {
	struct l7_msg m;
	__u8 head[L7_HEAD];
	__u64 tag;
	__u32 bucket;
	__u32 way;
	__u32 buf; /* element of l7_bytes that is parsed, and way in it */
	__u32 buf_way;
	__u32 now;  /* ticks */
	__u32 seq;  /* of the first payload byte */
	__u32 off;  /* of the payload in the frame */
	__u32 len;  /* payload bytes that can be read */
	__u32 wire; /* payload bytes there are */
	__u32 rest; /* UDP GSO: bytes that can be read after this datagram */
	__u32 gso;  /* bytes of each but the last, 0: one datagram alone */
	__u32 head_len;
	__u32 cut;     /* the capture does not hold all of the payload */
	__u32 cls;     /* enum l7_class of the segment's start, then of the message */
	__u32 restart; /* the entry there is, is of an older connection */
	__u32 life;    /* which connection of these ports, by when its SYN came; 0: not seen here */
	__u32 other;   /* the finished entry there is, is of another one */
	__u32 base;    /* stream offset of the segment, once it has an entry */
	__u32 pos;     /* range of stream offsets to take over */
	__u32 end;
	__u32 cur;     /* progress in it */
	__u32 copy;    /* its bytes go to the ring */
	__u32 start;   /* offset where userspace's stream starts */
	__u32 flags;   /* L7F_ bits of the entry */
	__u32 mine;    /* this CPU took the entry to read it */
	__u32 given;   /* this segment completes what userspace gets */
	__u32 named;   /* enum policy_name_kind of the name just read, 0: none */
	__u32 name_at; /* where it is in ev, and its length */
	__u32 name_len;
	__u32 flush; /* what the ring holds goes to userspace: from, to */
	__u32 piece; /* range, and progress in it */
	__u32 piece_pos;
	__u32 ranges;
	__u32 from[L7_RANGES];
	__u32 to[L7_RANGES];
	union {
		struct event_hdr h;
		struct ev_tls tls;
		struct ev_http http;
		struct ev_dns dns;
		struct ev_payload pay;
	} ev;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct l7_work);
} l7_works SEC(".maps");

static __always_inline struct l7_work *l7_work_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&l7_works, &zero);
}

static __always_inline struct l7_bucket *l7_bucket_get(__u32 bucket)
{
	return bpf_map_lookup_elem(&l7_dir, &bucket);
}

/* Ring of a way; L7_BUF_SIZE + L7_BUF_PAD bytes, and L7_BUF_SIZE more that belong to others. */
static __always_inline __u8 *l7_ring(__u32 element, __u32 way)
{
	struct l7_rings *r = bpf_map_lookup_elem(&l7_bytes, &element);

	if (!r)
		return 0;
	L7_OPAQUE(way); /* nothing of the sum may move before the check */
	return r->b + (way & (L7_WAYS - 1)) * L7_STRIDE;
}

static __always_inline __u32 l7_own_element(void)
{
	return cfg_l7_mask + 1 + region_id();
}

/* An entry of its own for each direction; never 0. */
static __always_inline void l7_locate(struct l7_work *w, __u64 hash, __u32 dir)
{
	w->tag = (hash & ~3ull) | 2 | (dir & 1);
	w->bucket = (__u32)((hash >> 20) ^ dir * 0x9e3779b9u) & cfg_l7_mask;
}

static __always_inline struct l7_entry *l7_entry_get(struct l7_bucket *b, __u32 way)
{
	L7_OPAQUE(way);
	return &b->way[way & (L7_WAYS - 1)];
}

/* Choices without branches: on unknown values the verifier would walk each side of every one. */
static __always_inline __u32 l7_less(__u32 a, __u32 b)
{
	__u64 x = (__u64)a - b;

	L7_OPAQUE(x); /* or the compiler sees a comparison in it */
	return x >> 63;
}

static __always_inline __u32 l7_same(__u64 a, __u64 b)
{
	__u64 x = a ^ b;

	x |= -x;
	L7_OPAQUE(x);
	return x >> 63 ^ 1;
}

/* @cond: 0 or 1. */
static __always_inline __u32 l7_pick(__u32 cond, __u32 yes, __u32 no)
{
	__u32 mask = -cond;

	L7_OPAQUE(mask);
	return no ^ ((yes ^ no) & mask);
}

static __always_inline __u32 l7_min(__u32 a, __u32 b)
{
	return l7_pick(l7_less(a, b), a, b);
}

static __always_inline __u32 l7_max(__u32 a, __u32 b)
{
	return l7_pick(l7_less(a, b), b, a);
}

/* Way of the flow's entry, or L7_NONE. */
static __always_inline __u32 l7_find(const struct l7_bucket *b, __u64 tag)
{
	__u32 way = L7_NONE;

	L7_OPAQUE(b); /* no address before the check for NULL */
	L7_ROLLED
	for (__u32 i = 0; i < L7_WAYS; i++)
		way = l7_pick(l7_same(b->tag[i], tag), i, way);
	return way;
}

/* The result of the fetching form orders what follows on every architecture. */
static __always_inline void l7_unpin(struct l7_entry *e)
{
	__sync_fetch_and_add(&e->refs, -1);
}

/* Keep the entry from being taken over while its ring is written. NULL: it has gone. */
static __always_inline struct l7_entry *l7_pin(struct l7_bucket *b, __u32 way, __u64 tag)
{
	struct l7_entry *e = l7_entry_get(b, way);
	__u32 refs = __sync_fetch_and_add(&e->refs, 1);

	L7_OPAQUE(way);
	if (refs < 1u << 16 && *(volatile __u64 *)&b->tag[way & (L7_WAYS - 1)] == tag)
		return e;
	l7_unpin(e);
	return 0;
}

/* ---- under the bucket's lock: no calls ---- */

/* Loops over the ranges in use: one for most messages. */
#define L7_EACH_RANGE(i, used) \
	L7_ROLLED              \
	for (__u32 i = 0; i < L7_RANGES && i < (used); i++)

/* Keep what is in [from, to). */
static __always_inline void l7_clip(struct l7_entry *e, __u32 from, __u32 to)
{
	__u32 used = e->used;

	L7_EACH_RANGE(i, used)
	{
		__u32 f = l7_max(e->from[i], from), t = l7_min(e->to[i], to), some = l7_less(f, t);

		e->from[i] = l7_pick(some, f, 0);
		e->to[i] = l7_pick(some, t, 0);
	}
}

/* Enter [*a, *b); on return the whole range it is part of. 0 when there are too many pieces. */
static __always_inline int l7_merge(struct l7_entry *e, __u32 *a, __u32 *b)
{
	__u32 used = e->used, spot = used, from = *a, to = *b;

	L7_EACH_RANGE(i, used)
	{
		__u32 f = e->from[i], t = e->to[i], unused = l7_same(f, t);
		__u32 apart = unused | l7_less(to, f) | l7_less(t, from);

		from = l7_pick(apart, from, l7_min(f, from));
		to = l7_pick(apart, to, l7_max(t, to));
		e->from[i] = l7_pick(apart, f, 0);
		e->to[i] = l7_pick(apart, t, 0);
		spot = l7_pick(apart & ~unused, spot, i);
	}
	*a = from;
	*b = to;
	asm volatile("" ::: "memory"); /* the ranges are read again rather than kept on the stack */
	if (spot >= L7_RANGES)
		return 0;
	e->used = l7_max(used, spot + 1);
	L7_OPAQUE(spot);
	spot &= L7_RANGES - 1;
	e->from[spot] = from;
	e->to[spot] = to;
	return 1;
}

/* Bytes from @start on without a hole. */
static __always_inline __u32 l7_prefix(const struct l7_entry *e, __u32 start)
{
	__u32 n = 0, used = e->used;

	L7_EACH_RANGE(i, used)
	{
		__u32 in = l7_less(start, e->to[i]) & (l7_less(start, e->from[i]) ^ 1);

		n = l7_pick(in, e->to[i] - start, n);
	}
	asm volatile("" ::: "memory");
	return n;
}

/* Where the lowest range starts and the highest ends; L7_NONE and 0 when there is none. */
static __always_inline void l7_extent(const struct l7_entry *e, __u32 *low, __u32 *high)
{
	__u32 lo = L7_NONE, hi = 0, used = e->used;

	L7_EACH_RANGE(i, used)
	{
		lo = l7_min(lo, e->from[i] - l7_same(e->from[i], e->to[i])); /* unused: 0 - 1 */
		hi = l7_max(hi, e->to[i]);
	}
	*low = lo;
	*high = hi;
}

/* The way to give to a new message: free, finished, never recognised, left alone; oldest first. */
static __always_inline __u32 l7_victim(const struct l7_bucket *b, __u32 now)
{
	__u32 best = L7_NONE, best_age = 0;

	L7_OPAQUE(b);
	L7_ROLLED
	for (__u32 i = 0; i < L7_WAYS; i++) {
		const struct l7_entry *e = &b->way[i];
		__u32 age = now - e->tick, rank;

		age = l7_pick(age >> 31, 0,
			      age & 0x0fffffff); /* another CPU's clock is a tick ahead */
		rank = l7_same(e->start, L7_NONE) << 28 | l7_same(e->state, L7S_DONE) << 29 |
		       l7_same(b->tag[i], 0) << 30;
		rank |= l7_pick(l7_less(0, rank) | l7_less(cfg_l7_hold, age), age + 1, 0);
		rank = l7_pick(l7_same(e->refs, 0), rank, 0);
		best = l7_pick(l7_less(best_age, rank), i, best);
		best_age = l7_max(best_age, rank);
		L7_OPAQUE(best);
		L7_OPAQUE(best_age);
	}
	return best;
}

/* A copy of the ranges, for what happens after the lock. */
static __always_inline void l7_snapshot(const struct l7_entry *e, struct l7_work *w)
{
	__u32 used = e->used;

	__builtin_memcpy(w->from, e->from, sizeof(w->from));
	__builtin_memcpy(w->to, e->to, sizeof(w->to));
	w->ranges = used;
}

/* What a message that begins, or a piece of one, is entered as. */
struct l7_claim {
	__u32 seq;   /* becomes offset L7_BIAS */
	__u32 start; /* offset, or L7_NONE */
	__u32 need;
	__u32 now;
	__u8 state;
	__u8 proto;
	__u8 restart; /* the flow's own entry is of an older connection, whatever it says */
	__u8 took;    /* out: an unfinished message had to go */
	__u8 other;   /* what is finished there is of an older connection */
	__u32 life;
};

static __always_inline void l7_entry_init(struct l7_entry *e, const struct l7_claim *c)
{
	e->anchor = c->seq - L7_BIAS;
	e->start = c->start;
	e->need = c->need;
	e->tick = c->now;
	e->state = c->state;
	e->proto = c->proto;
	e->flags = e->segs = 0;
	e->used = 0;
	e->life = c->life;
}

/* Has this sequence number been part of the message that the entry remembers? */
static __always_inline int l7_is_old(const struct l7_entry *e, __u32 seq)
{
	__u32 behind = e->anchor + e->start - seq;

	return behind && behind <= L7_OLD_WINDOW;
}

/* Claim's answers that are not a way. */
#define L7_CLAIM_OLD  (L7_NONE - 1) /* this message was read before */
#define L7_CLAIM_BUSY (L7_NONE - 2) /* another CPU is at this flow */

/* The flow's entry, started anew, or another's. Pinned for the caller. */
static __always_inline __u32 l7_claim_locked(struct l7_bucket *b, __u64 tag, struct l7_claim *c)
{
	__u32 way = l7_find(b, tag), i;
	struct l7_entry *e;

	if (way != L7_NONE) {
		e = l7_entry_get(b, way);
		if (e->state == L7S_DONE && !c->other && l7_is_old(e, c->seq))
			return L7_CLAIM_OLD;
		if (e->refs || (e->state != L7S_DONE && !c->restart))
			return L7_CLAIM_BUSY;
	} else {
		way = l7_victim(b, c->now);
		if (way == L7_NONE)
			return L7_NONE;
		e = l7_entry_get(b, way);
	}
	/* whoever pins now either sees that the tag has gone, or is seen here */
	i = way;
	L7_OPAQUE(i);
	i &= L7_WAYS - 1;
	c->took = b->tag[i] && b->tag[i] != tag && e->state != L7S_DONE && e->start != L7_NONE;
	__sync_lock_test_and_set(&b->tag[i], 0);
	if (__sync_fetch_and_add(&e->refs, 1)) {
		__sync_fetch_and_add(&e->refs, -1);
		return L7_CLAIM_BUSY;
	}
	l7_entry_init(e, c);
	__sync_lock_test_and_set(&b->tag[i], tag);
	return way;
}

#endif
