/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * policy_map.h - the tables of the verdicts in the kernel, as loader/policy/table.c writes them and
 * bpf/verdict.h reads them.
 *
 * Nothing is locked and nothing is switched by halves: every rule and decision says for which
 * generations it holds, and a packet reads the generation once (policy_control.active). A change is
 * written beside what is there, for the next generation, and then published by one store; what ended
 * with it is reclaimed after a grace period. Unchanged decisions keep their place and counters.
 */
#ifndef WEIR_POLICY_MAP_H
#define WEIR_POLICY_MAP_H

#include <linux/types.h>
#include "weir/policy.h"

/* What becomes of a packet. */
enum packet_verdict { VERDICT_PASS = 0, VERDICT_DROP = 1, VERDICT_RESET = 2 };

/* ---- verdicts cached in a flow: flow_hot.policy ---- */

/* Low half of policy_control.active (generation << 8), and four bits for each direction: verdict, and
 * on which side it was found.
 */
enum policy_cached {
	CACHED_NONE = 0, /* to be found */
	CACHED_PASS = 1,
	CACHED_DROP = 2,  /* flow_dropped says by what */
	CACHED_CHECK = 3, /* found anew for every packet */
	CACHED_EGRESS = 4,
};

#define CACHED_GENERATION 0xffffff00u
#define CACHED_MASK(d)	  (CACHED_GENERATION | 0xfu << 4 * (d))

/* ---- one index for everything that is listed ---- */

#define INDEX_WAYS     8u
#define INDEX_OVERFLOW 0x80000000u /* in way 0: the bucket's second choice holds some of its own */
#define INDEX_NUMBER   0x7fffffffu /* decision; 0: free */

/* tag << 32 | decision. Two buckets for every key, the second only when the first is full. */
struct policy_bucket {
	__u64 way[INDEX_WAYS];
};

enum policy_kind {
	KIND_ADDR = 1,	    /* key: address, masked */
	KIND_ADDR_PORT = 2, /* keyed hash of address, port, protocol */
	KIND_FLOW = 3,	    /* keyed hash of both, ordered as in struct flow_key */
	KIND_NAME = 4,	    /* keyed hash of the text */
};

/* Written by the loader before anything leads to it; the counters are the kernel's. */
struct policy_decision {
	__u64 key[2];
	__u8 kind;     /* enum policy_kind */
	__u8 bits;     /* KIND_ADDR: prefix length */
	__u8 role;     /* enum policy_role; KIND_NAME: enum policy_name_kind */
	__u8 how;      /* KIND_NAME: enum policy_name_how */
	__u16 rule;    /* element of policy_rules */
	__u16 length;  /* KIND_NAME: bytes */
	__u32 expires; /* policy clock; POLICY_FOREVER */
	__u32 from;    /* first generation it holds for */
	__u32 until;   /* first one it doesn't */
	__u32 last;    /* policy clock: last packet it acted on, or would have */
	__u64 packets; /* those packets */
	__u64 bytes;
	__u32 flows; /* of those packets: TCP SYNs, and the first of each flow that was let in before */
	__u32 shared; /* others of this key may be in force */
};

#define POLICY_FOREVER 0xffffffffu

/* Packets a second that a reset rule answers, and at one time; those beyond it are dropped. */
#define POLICY_RESETS 1000u

/* Presence: is anything listed in this /24 (IPv4), or with this hash (IPv6: of the /48; address and
 * port, flow)? 64 of them in an element; IPv6 prefixes shorter than PRESENCE_BITS6 are looked up always.
 */
#define PRESENCE_WORDS (1u << 18) /* of each half */
#define PRESENCE_ALL   (2 * PRESENCE_WORDS)
#define PRESENCE_BITS6 48u

struct policy_presence {
	__u64 any;
	__u64 nets; /* of these: prefixes, hosts left out */
};

/* ---- rules ---- */

#define POLICY_RULES	  4096u /* element 0 is none */
#define POLICY_LINEAR	  512u	/* rules without key are below this */
#define POLICY_LINEAR_MAX 256u	/* of one generation */

/* A rule as it is for some generations. Addresses and masks are 16 bytes in network order. */
struct policy_version {
	__u32 from;
	__u32 until; /* 0: not in use */
	__u32 expires;
	__u32 order; /* the lowest one acts: number << 16 | issuer */
	__u8 action;
	__u8 flags;
	__u8 direction;
	__u8 key;
	__u32 have;
	__u32 negate;
	__u32 limit;
	__u64 src[2];
	__u64 src_mask[2];
	__u64 dst[2];
	__u64 dst_mask[2];
	__u8 proto;
	__u8 tcp_mask;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 only6; /* bit 0: src is a prefix of IPv6 alone; bit 1: dst */
	__u8 plain; /* enum policy_direction, where it drops whatever leads to it; else 0 */
	__u8 pad;
	__u16 src_port[2]; /* host order, lowest and highest */
	__u16 dst_port[2];
	__u16 length[2];
	__u16 vlan;
	__u16 ethertype;
	__u32 vni;
	__u32 ifindex;
	__u64 cost; /* ns a packet or byte, << 16; POLICY_RESET: a reset, of POLICY_RESETS a second */
	__u64 burst;	/* ns */
	__u64 emptiest; /* ns: from the emptiest that a bucket can be until it is full */
	__u8 id[16];	/* from here on: for the loader that takes over */
	__u32 issuer;
	__u32 number;
	__u64 pad2[2];
};

/* Two versions, so that a rule changes and what names it does not. */
struct policy_slot {
	struct policy_version version[2];
	__u64 limit_ns; /* POLICY_LIMIT without LIMIT_PER_SOURCE, POLICY_RESET: when the bucket is full again */
	__u64 pad[15];
};

/* Per CPU and rule: element cpu * POLICY_RULES + rule. Packets it acted on. */
struct policy_count {
	__u64 packets;
	__u64 bytes;
	__u64 flows;	     /* as in policy_decision */
	__u64 would_packets; /* shadow: those it would have acted on */
	__u64 would_bytes;
	__u64 would_flows;
	__u64 passed; /* POLICY_LIMIT: packets within the limit; POLICY_RESET: resets let through */
	__u32 last;   /* policy clock */
	__u32 pad;
};

/* ---- control: written by the core alone ---- */

enum policy_has {
	HAS_ADDR_PORT = 1,
	HAS_FLOW = 2,
	HAS_NAME = 4,
	HAS_LINEAR = 8,
};

#define POLICY_FAILSAFE_MAX 16u
/* One of policy_control.failsafe: IP protocol, port, and 1 if it's one that the node itself calls. */
#define POLICY_FAILSAFE(proto, port, out) ((__u32)(proto) << 24 | (__u32)(out) << 16 | (port))

/* What is said of listed things holds for this generation and the next: too much does no harm. */
struct policy_control {
	__u64 active;	   /* generation << 8; its low half is never 0; 0: nothing is enforced */
	__u32 lease_until; /* policy clock; later than this everything passes */
	__u32 has;	   /* enum policy_has */
	__u32 linear_end;  /* rules without key are below */
	__u32 index_mask;  /* buckets - 1 */
	__u32 other_order; /* lowest order of a rule that isn't reached by address */
	__u32 generation;  /* last one published */
	__u64 lengths4;	   /* bit n: a prefix of n bits (of 32) is listed */
	__u64 lengths6[3]; /* the same, of 128 */
	__u64 name_lengths[4]; /* bit n - 1: a NAME_SUFFIX of n bytes is */
	__u32 failsafe[POLICY_FAILSAFE_MAX];
	__u64 seed[12];	   /* random, made with the map */
	__u32 plain_until; /* policy clock: from then on the bits below say nothing */
	__u32 pad;
	/* bit per rule: it drops whatever leads to it, before all that is reached otherwise; ingress, egress */
	__u64 plain[2][POLICY_RULES / 64];
};

/* Policy clock: coarse ticks that never wrap. Live: jiffies64 >> 6; replay: ns >> 30. */
#define POLICY_JIFFIES_SHIFT 6
#define POLICY_REPLAY_SHIFT  30

/* ---- what became of dropped packets ---- */

/* Drops before the cache: per CPU a direct-mapped table by rule, source, port and interface. A row's
 * counters go on when it becomes another's: from_packets, from_bytes say where its own begin.
 */
#define DROP_ROWS 512u

struct drop_row {
	__u32 seq;  /* odd: being written; grows when the row is another's */
	__u16 rule; /* element of policy_rules */
	__u16 port; /* destination, host order; ICMP: type << 8 | code */
	__u8 src[16];
	__u32 ifindex;
	__u8 proto;
	__u8 hook;	  /* enum weir_hook | enum policy_action << 4 */
	__u16 netns;	  /* of flow_key */
	__u32 generation; /* the rule is of */
	__u32 rule_seq;	  /* seq when it became one of another rule */
	__u64 packets;
	__u64 bytes;
	__u32 from_packets; /* modulo 2^32 */
	__u32 from_bytes;
};

_Static_assert(sizeof(struct policy_bucket) == 64, "abi");
_Static_assert(sizeof(struct policy_presence) == 16, "abi");
_Static_assert(sizeof(struct policy_decision) == 64, "abi");
_Static_assert(sizeof(struct policy_version) == 192, "abi");
_Static_assert(sizeof(struct policy_slot) == 512, "abi");
_Static_assert(sizeof(struct policy_count) == 64, "abi");
_Static_assert(sizeof(struct policy_control) == 1288, "abi");
_Static_assert(sizeof(struct drop_row) == 64, "abi");

#endif
