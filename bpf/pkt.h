/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pkt.h - what parsing a frame yields. Pure: compiles for BPF, unit tests and fuzzers.
 */
#ifndef WEIR_BPF_PKT_H
#define WEIR_BPF_PKT_H

#include "weir/abi.h"

#undef __always_inline /* linux/stddef.h makes it a mere hint */
#define __always_inline inline __attribute__((__always_inline__))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum frag { FRAG_NONE = 0, FRAG_FIRST = 1, FRAG_LATER = 2 };

/*
 * struct l4 - the facts of one packet that accounting needs on every packet.
 * Lengths are those of the innermost IP header, never of what was captured.
 */
struct l4 {
	__u32 ip_bytes;	   /* length of the (innermost counted) IP packet; non-IP: L2 payload */
	__u32 hdr_off;	   /* offset in the frame where that IP header starts */
	__u32 payload_off; /* offset in the frame of the L4 payload */
	__u32 payload_len; /* L4 payload bytes by the IP length; 0 for later fragments */
	__u32 seq;	   /* TCP, host order */
	__u16 window;	   /* TCP, as on the wire, host order */
	__u8 tcp_flags;
	__u8 ttl;
	__u8 dscp;
	__u8 proto; /* same as key.proto */
	__u8 icmp_type;
	__u8 icmp_code;
};

/*
 * struct pkt - the whole of it. In key, addr[0]/port[0] are the source and addr[1]/port[1] the
 * destination, as on the wire: key_order() makes it a flow's key.
 */
struct pkt {
	struct flow_key key;
	struct l4 l4;
	__u32 frag_id; /* host order; IPv4: 16 bits */
	__u8 frag;     /* enum frag */
	__u8 layers;   /* tunnels decapsulated */
	__u16 note;    /* enum counter of class NOTED + 1 when something could not be read */
};

#endif
