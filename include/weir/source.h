/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * source.h - who sends packets in tunnels here, and how many of them by his own numbers (RFC 2890): what the packet
 * path writes and the loader reads.
 */
#ifndef WEIR_SOURCE_H
#define WEIR_SOURCE_H

#include <linux/types.h>

#define WEIR_SOURCES	  1024u /* rows, a power of two; the first is of all that there is no room for */
#define WEIR_SOURCE_TRIES 16u /* rows where one may be */
#define WEIR_SOURCE_BEGUN (1ULL << 32)
#define WEIR_SOURCE_AHEAD \
	(1u << 24) /* a number so far ahead follows, and what is between is missing */
#define WEIR_SOURCE_BEHIND \
	1024u /* one so far behind comes late; any other is of a sender that began anew */

/* One element of `sources`, of all CPUs. */
struct source_row {
	__u64 tag;	/* keyed hash of what is below, never 0 and never changed; 0: free */
	__u64 head;	/* WEIR_SOURCE_BEGUN | highest number; 0: none yet */
	__u64 sent;	/* numbers from the first to the highest, of all the sender's beginnings */
	__u32 restarts; /* beginnings after the first */
	__u32 ready;	/* all below is written */
	__u8 addr[16];	/* outer source */
	__u32 vni;	/* GRE key, ERSPAN session, VNI */
	__u32 netns;	/* of flow_key */
	__u8 type;	/* enum weir_tunnel */
	__u8 sampled;	/* some packets were passed over: numbers tell nothing */
	__u8 pad[6];
};

/* One element of `source_counts`: cpu * WEIR_SOURCES + row. Written by that CPU, never reset. */
struct source_count {
	__u64 packets;	/* all of them */
	__u64 arrived;	/* with a number, and not that of the packet before */
	__u64 repeated; /* with that */
	__u64 pad;
};

_Static_assert(sizeof(struct source_row) == 64, "abi");
_Static_assert(sizeof(struct source_count) == 32, "abi");

#endif
