/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * verdict_find.h - what is listed: the index, addresses behind the presence map, address and port,
 * flows, and flows whose name was found before.
 */
#ifndef WEIR_BPF_VERDICT_FIND_H
#define WEIR_BPF_VERDICT_FIND_H

#include "cache.h"
#include "verdict_match.h"

/* Number of the lowest bit set in @bits, 16 of them, not 0. BPF has no instruction for it: a
 * de Bruijn sequence has every four bits in one place only.
 */
static __always_inline __u32 low_bit(__u32 bits)
{
	return 0xcd7ea84fb6935210ULL >> 4 * (((bits & -bits) * 0x09af & 0xffff) >> 12) & 15;
}

/* Is it the decision that w->key asks for, in force, and for this role? */
static __always_inline int decision_holds(const struct policy_decision *d,
					  const struct verdict_work *w)
{
	if (d->key[0] != w->key[0] || d->key[1] != w->key[1] ||
	    (d->kind | (__u32)d->bits << 8) != w->kind)
		return 0;
	if (d->from > w->generation || w->generation >= d->until || w->now >= d->expires)
		return 0;
	if (!(d->role & w->role))
		return 0;
	return d->kind != KIND_NAME || w->how >> d->how & 1;
}

/* Ways of a bucket that have the tag, a bit each; bit INDEX_WAYS: its second choice has some too. */
static __always_inline __u32 bucket_scan(const struct policy_bucket *b, __u32 tag)
{
	__u32 found = 0;

#pragma unroll
	for (__u32 i = 0; i < INDEX_WAYS; i++) {
		__u64 d = (b->way[i] >> 32) ^ tag;

		d = (d - 1) >> 63;	    /* 1 where they are equal */
		asm volatile("" : "+r"(d)); /* and no branch: the verifier would walk both ways */
		found |= d << i;
	}
	return found | (b->way[0] & INDEX_OVERFLOW ? 1u << INDEX_WAYS : 0);
}

static __always_inline void bucket_try(const struct policy_bucket *b, __u32 found,
				       struct verdict_work *w, const int early)
{
	for (__u32 i = 0; i < INDEX_WAYS && found; i++) {
		__u32 way = low_bit(found) & (INDEX_WAYS - 1), n;
		struct policy_decision *d;

		asm volatile("" : "+r"(way));
		n = b->way[way & (INDEX_WAYS - 1)] & INDEX_NUMBER;
		found &= found - 1;
		d = bpf_map_lookup_elem(&policy_decisions, &n);
		if (!d || !decision_holds(d, w))
			continue;
		if (early)
			try_early(w, d->rule, n);
		else
			verdict_try(d->rule, n);
	}
}

/* Try the rules of all decisions with w->key, w->kind. */
static __always_inline void probe(struct verdict_work *w, const struct policy_control *c,
				  const int early)
{
	struct policy_place p = policy_place(w->key, w->kind, c->seed);
	const struct policy_bucket *b;
	__u32 bucket, found;

	for (__u32 i = 0; i < 2; i++) {
		bucket = (i ? policy_second(p) : p.bucket) & c->index_mask;
		b = bpf_map_lookup_elem(&policy_index, &bucket);
		if (!b)
			break;
		found = bucket_scan(b, p.tag);
		bucket_try(b, found & ((1u << INDEX_WAYS) - 1), w, early);
		if (i || !(found >> INDEX_WAYS))
			break;
	}
}

__noinline int verdict_probe(void)
{
	struct verdict_work *w = verdict_work_get();
	const struct policy_control *c = policy_control_get();

	if (w && c)
		probe(w, c, 0);
	return 0;
}

__noinline int verdict_probe_early(void)
{
	struct verdict_work *w = verdict_work_get();
	const struct policy_control *c = policy_control_get();

	if (w && c)
		probe(w, c, 1);
	return 0;
}

static __always_inline const struct policy_presence *presence_at(__u32 bit)
{
	__u32 word = bit / 64;

	return bpf_map_lookup_elem(&policy_presence, &word);
}

static __always_inline int is_present(__u32 bit)
{
	const struct policy_presence *p = presence_at(bit);

	return p && p->any >> (bit & 63) & 1;
}

/* A prefix, not just hosts? */
static __always_inline int is_present_net(__u32 bit)
{
	const struct policy_presence *p = presence_at(bit);

	return p && p->nets >> (bit & 63) & 1;
}

/* The prefix of @bits bits that @addr lies in. */
static __always_inline void probe_prefix(struct verdict_work *w, const __u64 *addr, __u32 bits)
{
	__u64 mask[2];

	policy_mask(bits, mask);
	w->key[0] = addr[0] & mask[0];
	w->key[1] = addr[1] & mask[1];
	w->kind = KIND_ADDR | bits << 8;
	verdict_probe();
}

/* One endpoint; w->role says which. */
__noinline int verdict_address4(void)
{
	struct verdict_work *w = verdict_work_get();
	const struct policy_control *c = policy_control_get();
	const __u64 *addr;
	__u64 lengths;

	if (!w || !c)
		return 0;
	addr = w->role == ROLE_SRC ? w->src : w->dst;
	if (!is_present(policy_presence4(addr[1] >> 32)))
		return 0;
	lengths = c->lengths4;
	if (!is_present_net(policy_presence4(addr[1] >> 32)))
		lengths &= 1ull << 32;
	for (__u32 i = 0; i <= 32; i++) /* the longest first */
		if (lengths >> (32 - i) & 1)
			probe_prefix(w, addr, 128 - i);
	return 0;
}

__noinline int verdict_address6(void)
{
	struct verdict_work *w = verdict_work_get();
	const struct policy_control *c = policy_control_get();
	const __u64 *addr;
	__u32 last = 0, bits;

	if (!w || !c)
		return 0;
	addr = w->role == ROLE_SRC ? w->src : w->dst;
	if (!is_present(policy_presence6(addr, c->seed)))
		last = 128 - PRESENCE_BITS6 + 1; /* only those that are shorter */
	for (__u32 i = last; i <= 128; i++) {
		bits = 128 - i;
		asm volatile("" : "+r"(bits));
		if (c->lengths6[bits >> 6 & 3] >> (bits & 63) & 1)
			probe_prefix(w, addr, bits);
	}
	return 0;
}

/*
 * The prefixes that an IPv4 address lies in, for verdict_early4(). The host's own entry is looked for
 * without a call: each costs as much as the rest.
 */
static __always_inline void early_address(struct verdict_work *w, const struct policy_control *c,
					  __u32 addr, __u32 role)
{
	const __u64 mapped = (__u64)addr << 32 | bpf_htonl(0xffff);
	__u64 lengths = c->lengths4, mask[2];

	w->role = role;
	w->key[0] = 0;
	w->key[1] = mapped;
	w->kind = KIND_ADDR | 128 << 8;
	if (lengths >> 32 & 1)
		probe(w, c, 1);
	lengths &= 0xffffffff;
	if (!is_present_net(policy_presence4(addr)))
		return;
	for (__u32 i = 1; i <= 32 && lengths; i++) {
		if (lengths >> (32 - i) & 1) {
			policy_mask(128 - i, mask);
			w->key[1] = mapped & mask[1];
			w->kind = KIND_ADDR | (128 - i) << 8;
			verdict_probe_early();
		}
		lengths &= (1ull << (32 - i)) - 1;
	}
}

static __always_inline void verdict_addresses(struct verdict_work *w, const struct flow_key *k)
{
	if (k->ethertype == ETH_P_IP) {
		w->role = ROLE_SRC;
		verdict_address4();
		w->role = ROLE_DST;
		verdict_address4();
	} else if (k->ethertype == ETH_P_IPV6) {
		w->role = ROLE_SRC;
		verdict_address6();
		w->role = ROLE_DST;
		verdict_address6();
	}
}

/* w->key is a hash: anything there? */
static __always_inline void probe_key(struct verdict_work *w, enum policy_kind kind)
{
	if (!is_present(policy_presence_key(w->key)))
		return;
	w->kind = kind;
	verdict_probe();
}

__noinline int verdict_ports(void)
{
	struct verdict_work *w = verdict_work_get();
	const struct policy_control *c = policy_control_get();
	struct scratch *s = scratch_get();
	const struct flow_key *k;

	if (!w || !c || !s)
		return 0;
	k = &s->pkt.key;
	if (!(w->can & COND_ANY_PORT))
		return 0;
	w->role = ROLE_SRC;
	policy_port_key(w->src, k->port[0], k->proto, c->seed, w->key);
	probe_key(w, KIND_ADDR_PORT);
	w->role = ROLE_DST;
	policy_port_key(w->dst, k->port[1], k->proto, c->seed, w->key);
	probe_key(w, KIND_ADDR_PORT);
	return 0;
}

/* Both directions of a flow have one key. */
__noinline int verdict_flow(void)
{
	struct verdict_work *w = verdict_work_get();
	const struct policy_control *c = policy_control_get();
	struct scratch *s = scratch_get();
	const struct flow_key *k;
	__u32 ports;

	if (!w || !c || !s)
		return 0;
	k = &s->pkt.key;
	w->role = ROLE_EITHER;
	ports = key_dir(k) ? k->port[1] | (__u32)k->port[0] << 16
			   : k->port[0] | (__u32)k->port[1] << 16;
	if (key_dir(k))
		policy_flow_key(w->dst, w->src, ports, k->proto, c->seed, w->key);
	else
		policy_flow_key(w->src, w->dst, ports, k->proto, c->seed, w->key);
	probe_key(w, KIND_FLOW);
	return 0;
}

/* Was the flow acted on by its name? On whatever CPU that was. */
static __always_inline __u32 named_tag_line(__u64 hash)
{
	return hash >> 24 & cfg_named_mask;
}

/* The decision of the flow's name that stands, or 0. */
static __always_inline __u32 named_find(__u64 hash, __u32 generation, __u32 now)
{
	__u32 line = named_tag_line(hash), found = 0, from = 0;
	const struct named_line *l = bpf_map_lookup_elem(&policy_named, &line);
	const struct policy_decision *d;

	if (!l)
		return 0;
#pragma unroll
	for (__u32 i = 0; i < NAMED_WAYS; i++) {
		if (*(volatile __u64 *)&l->way[i].tag != (hash | 1))
			continue;
		found = l->way[i].decision;
		from = l->way[i].from;
	}
	if (!found)
		return 0;
	d = bpf_map_lookup_elem(&policy_decisions, &found);
	if (!d || d->kind != KIND_NAME || d->from != from || generation >= d->until ||
	    now >= d->expires)
		return 0;
	return found;
}

/* Keep it for the other CPUs, in place of one that has ended, or else of any. */
static __always_inline void named_keep(__u64 hash, __u32 decision, __u32 from)
{
	__u32 line = named_tag_line(hash), way = hash >> 60 & (NAMED_WAYS - 1);
	struct named_line *l = bpf_map_lookup_elem(&policy_named, &line);
	struct named_flow *f;

	if (!l)
		return;
#pragma unroll
	for (__u32 i = 0; i < NAMED_WAYS; i++)
		if (!l->way[i].tag || l->way[i].tag == (hash | 1))
			way = i;
	asm volatile("" : "+r"(way));
	f = &l->way[way & (NAMED_WAYS - 1)];
	__sync_lock_test_and_set(&f->tag, 0);
	f->decision = decision;
	f->from = from;
	__sync_lock_test_and_set(&f->tag, hash | 1);
}

#endif
