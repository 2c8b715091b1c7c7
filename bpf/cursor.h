/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cursor.h - where the full parser stands in a frame. All of it survives from step to step in one
 * struct, which in BPF is a map value: the verifier then has nothing to remember between steps.
 * Pure.
 */
#ifndef WEIR_BPF_CURSOR_H
#define WEIR_BPF_CURSOR_H

#include <linux/if_ether.h>
#include "access.h"
#include "pkt.h"
#include "weir/counters.h"

/* IANA protocol numbers; <linux/in.h> and <netinet/in.h> don't go together, so neither is used. */
enum ip_proto {
	PROTO_HOPOPTS = 0,
	PROTO_ICMP = 1,
	PROTO_IPIP = 4,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_DCCP = 33,
	PROTO_IPV6 = 41,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_GRE = 47,
	PROTO_AH = 51,
	PROTO_ICMPV6 = 58,
	PROTO_NONE = 59,
	PROTO_DSTOPTS = 60,
	PROTO_SCTP = 132,
	PROTO_MH = 135,
	PROTO_UDPLITE = 136,
	PROTO_HIP = 139,
	PROTO_SHIM6 = 140,
};

#define PPP_IP	 0x0021 /* RFC 1332 */
#define PPP_IPV6 0x0057 /* RFC 5072 */
#define PPP_HDLC 0xff03 /* RFC 1662: address and control, often left out */

/* How far each kind of header is followed, per tunnel level; beyond it is a counted reason. */
#define PARSE_VLAN_MAX	  8
#define PARSE_MPLS_MAX	  16
#define PARSE_EXT_MAX	  12 /* IPv6 extension headers, AH */
#define PARSE_OPT_MAX	  16 /* options looked at for the jumbo payload option */
#define PARSE_GTP_EXT_MAX 8
#define PARSE_DECAP_MAX	  8

/*
 * No level takes more steps than this. A frame may be walked four times: once more with a tunnel
 * left closed (parse_again), and both once more with all of the frame (parse_has_more).
 */
#define PARSE_LEVEL_MAX                                                                            \
	(PARSE_VLAN_MAX + 2 * PARSE_MPLS_MAX + PARSE_EXT_MAX + PARSE_OPT_MAX + PARSE_GTP_EXT_MAX + \
	 8)
#define PARSE_STEPS_MAX (PARSE_LEVEL_MAX * (PARSE_DECAP_MAX + 1) * 4)

/* What a step says: go on, all done, or -(counter + 1): the frame can't be counted as a flow. */
#define PARSE_MORE    0
#define PARSE_DONE    1
#define PARSE_SKIP(c) (-((int)CNT_##c + 1))

/* The header at parse.off. The order is that of parse_step(). */
enum layer {
	LAYER_ETH,
	LAYER_TYPE, /* what parse.type says */
	LAYER_MPLS,
	LAYER_IP4,
	LAYER_IP6,
	LAYER_EXT,   /* IPv6 extension header or AH, as parse.proto says */
	LAYER_JUMBO, /* hop-by-hop option at parse.opt */
	LAYER_L4,
	LAYER_TUNNEL, /* what parse.tunnel says */
	LAYER_GTP_EXT,
};

/* Which header a tunnel begins with. */
enum tunnel_head {
	HEAD_NONE,
	HEAD_VXLAN,
	HEAD_VXLAN_GPE,
	HEAD_GENEVE,
	HEAD_TEREDO,
	HEAD_GTPU,
	HEAD_GRE,
	HEAD_IP,
};

struct parse {
	__u32 frame_cap; /* bytes of the frame that can be read */
	__u32 frame_end; /* and that it had on the wire */
	__u32 ifindex;
	__u32 off; /* next header */
	__u32 cap; /* bytes readable: captured, and within every enclosing length */
	__u32 end; /* where the packet ends by its innermost length field */
	__u32 opt; /* next hop-by-hop option, and the end of that header */
	__u32 opt_end;
	__u32 vni;   /* of the tunnel being opened */
	int result;  /* PARSE_DONE, or a PARSE_SKIP() */
	__u16 tag;   /* VLAN id that is not in the frame, but beside it; 0 = none */
	__u16 type;  /* Ethertype */
	__u8 layer;  /* enum layer */
	__u8 proto;  /* IP protocol at off */
	__u8 tunnel; /* enum tunnel_head */
	__u8 v6;     /* the IP header is IPv6 */
	__u8 vlans;  /* ids kept on this level */
	__u8 tags;   /* headers seen on this level, against the limits above */
	__u8 labels;
	__u8 exts;
	__u8 opts;
	__u8 jumbo;    /* IPv6 payload length 0 and a hop-by-hop header: its option may tell */
	__u8 depth;    /* tunnels that may be opened */
	__u8 closed;   /* why not more: there was no packet in the next one */
	__u8 fragment; /* outer is an opened tunnel's first fragment */
	__u8 by_frame; /* a length was taken from the frame's */
	__u8 whole;    /* frame_cap is the whole frame */
	__u8 numbered; /* enum weir_tunnel of the header that the next three are of, or TUN_NONE */
	__u32 number;  /* in its sequence */
	__u32 from_vni;
	__u8 from[16]; /* outer source */
	struct pkt outer;
};

/* @n bytes at @off, or NULL if they aren't there. */
static __always_inline const __u8 *pull_at(const struct frame *f, const struct parse *p, __u32 off,
					   const __u32 n)
{
	if ((__u64)off + n > p->cap)
		return (const __u8 *)0;
	return frame_at(f, off, n);
}

static __always_inline const __u8 *pull(const struct frame *f, const struct parse *p, const __u32 n)
{
	return pull_at(f, p, p->off, n);
}

/* Something could not be read, but the flow is known. The first such thing is reported. */
static __always_inline void pkt_note(struct pkt *k, enum counter c)
{
	if (!k->note)
		k->note = c + 1;
}

/* Bytes from @off to the end of the packet. */
static __always_inline __u32 bytes_left(const struct parse *p)
{
	return p->off < p->end ? p->end - p->off : 0;
}

/* A header says that the packet ends at @end. What was captured may end before or after. */
static __always_inline void set_end(struct parse *p, __u32 end)
{
	p->end = end;
	if (p->cap > end)
		p->cap = end;
}

static __always_inline void set_type(struct parse *p, __u16 type)
{
	p->type = type;
	if (type == ETH_P_IP)
		p->layer = LAYER_IP4;
	else if (type == ETH_P_IPV6)
		p->layer = LAYER_IP6;
	else
		p->layer = LAYER_TYPE;
}

#endif
