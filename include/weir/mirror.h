/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * mirror.h - the tables of the mirror in the kernel, as loader/mirror/ writes them and bpf/mirror.bpf.c
 * reads them, and the option that says in Geneve what the packet itself does not.
 *
 * A packet that a session's filter picks is cloned to a private veth pair. The programs of the pair touch
 * the clone alone: they cut it, put the tunnel's headers before it and send it on. A clone is known by its mark.
 */
#ifndef WEIR_MIRROR_H
#define WEIR_MIRROR_H

#include <linux/types.h>
#include "weir/policy_map.h"

#define MIRROR_SESSIONS	 15u /* at one time; in the order of their numbers */
#define MIRROR_RULES	 64u /* of one session */
#define MIRROR_PER_IFACE 3u  /* sessions of one interface at one time */
#define MIRROR_EXEMPTS	 16u

/* Lengths kept of a frame, in bytes from its Ethernet header on. */
#define MIRROR_LENGTH_MIN 64u
#define MIRROR_LENGTH_MAX 65535u

enum mirror_to {
	MIRROR_TO_VXLAN = 1,  /* RFC 7348 */
	MIRROR_TO_GENEVE = 2, /* RFC 8926, with struct mirror_option */
	MIRROR_TO_ERSPAN = 3, /* type III: draft-foschiano-erspan-03 section 4.3 */
	MIRROR_TO_IFACE = 4,
};

/* skb->mark of a clone: who it is for, and why. */
#define MIRROR_MARK	 0x57000000u
#define MIRROR_MARK_MASK 0xff000000u
#define MIRROR_EGRESS	 0x400u /* the packet left the interface */
#define MIRROR_HIT_BITS	 10u
#define MIRROR_HIT_MASK	 0x3ffu
/* session + 1 and element of its rules, in MIRROR_HIT_BITS; 0: none */
#define MIRROR_HIT(session, rule) (((session) + 1) << 6 | (rule))
#define MIRROR_HIT_SESSION(hit)	  ((((hit)&MIRROR_HIT_MASK) >> 6) - 1)
#define MIRROR_HIT_RULE(hit)	  ((hit)&63u)

struct mirror_session {
	__u32 rules;   /* 0: the session is off */
	__u32 until;   /* policy clock: from then on it picks nothing */
	__u32 ifindex; /* mirrored; 0: every interface that the programs are on */
	__u32 sample;  /* 1 in N */
	__u32 length;  /* bytes kept of a frame */
	__u32 vni;     /* ERSPAN: session id, 10 bits */
	__u32 out;     /* interface that leads to the target; 0: none does */
	__u8 to;       /* enum mirror_to */
	__u8 also;     /* picks packets that an earlier session has picked, too */
	__u8 v6;       /* the target's address is one of IPv6 */
	__u8 nh_v6;    /* the neighbour's is */
	__u16 port;    /* of the target, host order */
	__u16 pad;
	__u32 number;
	__u8 src[16]; /* IPv4: in the last four bytes */
	__u8 dst[16];
	__u8 nh[16];	/* the neighbour that the packets are handed to */
	__u64 cost;	/* of the budget: ns a byte, << 16; 0: there is none */
	__u64 burst;	/* ns */
	__u64 full;	/* ns: when the bucket is full again; the programs' */
	__u64 sequence; /* ERSPAN: the next number, of all CPUs; the programs' */
	__u64 pad2[3];
};

/* Traffic that is never mirrored: one end with its port. */
struct mirror_exempt {
	__u8 addr[16];
	__u16 port; /* network order; 0: the row is free */
	__u8 proto;
	__u8 pad[5];
};

/* The one element of mirror_table. */
struct mirror_table {
	__u64 order; /* elements below + 1, four bits each, the one to be asked first in the lowest; 0: no more */
	struct mirror_session
		session[MIRROR_SESSIONS + 1]; /* the last is never used: a mask bounds the index */
	struct mirror_exempt exempt[MIRROR_EXEMPTS];
};

/* Per CPU and session: element cpu * MIRROR_SESSIONS + session. Never reset while the session lasts. */
struct mirror_count {
#define MIRROR_COUNT(member, counter, help) __u64 member;
#include "weir/mirror_counts.def"
#undef MIRROR_COUNT
	__u64 queued; /* packets handed to the other end of the pair, where GSO packets become segments */
	__u64 dequeued; /* and that came out there */
	__u64 sampled;	/* matched since the last one that was taken */
	__u64 pad[3];
};

/* Geneve: data of the option (RFC 8926 section 3.5), big-endian. */
#define MIRROR_OPTION_CLASS 0xff77u /* of the range for experiments */
#define MIRROR_OPTION_TYPE  1u

struct mirror_option {
	__u32 length; /* of the frame before it was cut */
	__u8 egress;  /* the packet left the interface */
	__u8 session; /* its number, the low eight bits */
	__u16 rule;   /* number of the filter's entry */
	__u64 time;   /* CLOCK_MONOTONIC, ns */
} __attribute__((packed));

_Static_assert(sizeof(struct mirror_session) == 144, "abi");
_Static_assert(sizeof(struct mirror_exempt) == 24, "abi");
_Static_assert(sizeof(struct mirror_count) == 128, "abi");
_Static_assert(sizeof(struct mirror_option) == 16, "abi");

#endif
