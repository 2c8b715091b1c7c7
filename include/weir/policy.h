/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * policy.h - policy records: what a collector, a file or `weir block` asks the kernel to do.
 *
 * A policy is a header, then the records of each type in the order of their numbers, then an ed25519
 * signature over all of it. Everything has a fixed size, so that the privileged core checks it without
 * parsing. Integers are little-endian; addresses are in network order, IPv4 ones IPv4-mapped; times
 * are seconds since 1970; text is UTF-8, filled up with NUL. Numbers are append-only.
 *
 * A *rule* says what is done. How it is reached is its key: a rule without one is tried on every new
 * flow, the others when an entry (address, address and port, flow, name) that names them is found.
 * Either way its conditions must hold too. Of the rules that match a packet the one with the lowest
 * number acts; a shadow rule acts on nothing, and is counted where it would have been the one.
 * Conditions and addresses are about the packet: src is who sent it.
 */
#ifndef WEIR_POLICY_H
#define WEIR_POLICY_H

#include <linux/types.h>

#define POLICY_MAGIC	  "weirpol1"
#define POLICY_VERSION	  1u
#define POLICY_TYPES	  12u
#define POLICY_SIGNATURE  64u /* bytes, ed25519 (RFC 8032) */
#define POLICY_NAME_MAX	  256u
#define POLICY_NUMBER_MAX 65535u /* 0 is no rule */

enum policy_type {
	POLICY_RULE = 1,
	POLICY_ADDR = 2,
	POLICY_ADDR_PORT = 3,
	POLICY_FLOW = 4,
	POLICY_NAME = 5,
	POLICY_MIRROR = 6,
	POLICY_CAPTURE = 7,
	POLICY_AGENT_RULE = 8,
	POLICY_AGENT_EXEMPT =
		9, /* a struct policy_addr: a source that the agent's rule is not for */
};

enum policy_action {
	POLICY_PASS = 0,
	POLICY_NEVER = 1, /* never-block: beats every other rule; by address only */
	POLICY_DROP = 2,
	POLICY_LIMIT = 3,
	POLICY_RESET = 4,
	POLICY_DO_MIRROR = 5,  /* nothing in policy tables: see struct policy_mirror */
	POLICY_DO_CAPTURE = 6, /* nothing in the kernel: see struct policy_capture */
};

enum policy_key {
	RULE_BY_NONE = 0,
	RULE_BY_ADDR = 1,
	RULE_BY_ADDR_PORT = 2,
	RULE_BY_FLOW = 3,
	RULE_BY_NAME = 4
};

enum policy_rule_flag {
	RULE_SHADOW = 1,
	RULE_AUTOMATIC = 2, /* no person decided: the breadth and rate caps hold */
	RULE_FAILSAFE = 4,  /* POLICY_NEVER: the failsafe ports alone */
};

enum policy_direction { DIR_INGRESS = 1, DIR_EGRESS = 2, DIR_BOTH = 3 };

enum policy_limit { LIMIT_PPS = 1, LIMIT_BPS = 2, LIMIT_PER_SOURCE = 4 };

/* Bits of policy_match.have and .negate. A condition on what the packet has not (a port of ICMP, flags
 * of UDP) is false, negated too.
 */
enum policy_condition {
	COND_SRC = 1 << 0,
	COND_DST = 1 << 1,
	COND_PROTO = 1 << 2,
	COND_SRC_PORT = 1 << 3,
	COND_DST_PORT = 1 << 4,
	COND_IFACE = 1 << 5,
	COND_VNI = 1 << 6,
	COND_VLAN = 1 << 7, /* the outermost */
	COND_ETHERTYPE = 1 << 8,
	COND_TCP_FLAGS = 1 << 9, /* of this packet, as those below */
	COND_ICMP_TYPE = 1 << 10,
	COND_ICMP_CODE = 1 << 11,
	COND_LENGTH = 1 << 12,
	COND_ANY_PORT = 1 << 13, /* src or dst, range in src_port */
	_COND_ALL = (1 << 14) - 1
};

/* Conditions that can differ between two packets of one direction of a flow. */
#define COND_PER_PACKET (COND_TCP_FLAGS | COND_ICMP_TYPE | COND_ICMP_CODE | COND_LENGTH)

struct policy_match {
	__u32 have; /* enum policy_condition */
	__u32 negate;
	__u8 src[16]; /* bits beyond the prefix are zero */
	__u8 dst[16];
	__u8 src_bits; /* prefix length, of 128 */
	__u8 dst_bits;
	__u8 proto;
	__u8 tcp_mask;	/* (flags & tcp_mask) == tcp_flags */
	__u8 tcp_flags; /* FIN = 1 ... CWR = 128 */
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 pad;
	__u16 src_port[2]; /* lowest and highest */
	__u16 dst_port[2];
	__u16 length[2]; /* IP bytes of the packet */
	__u16 vlan;
	__u16 ethertype;
	__u32 vni;
	__u32 ifindex;	/* zero in a record; set by the core from iface */
	__u8 iface[16]; /* name of the interface */
};

struct policy_header {
	__u8 magic[8];
	__u32 version;
	__u32 pad;
	__u64 generation; /* of this issuer; must grow */
	__u64 not_before;
	__u64 not_after;
	__u8 issuer[32]; /* whose rules these are: a policy replaces all rules of its issuer */
	__u8 key_id[8];	 /* first bytes of the SHA-256 of the raw public key */
	__u32 count[POLICY_TYPES]; /* records, by enum policy_type */
};

struct policy_rule {
	__u8 id[16];	 /* of the rule or decision at its source; stays over generations */
	__u32 number;	 /* order; 1 to POLICY_NUMBER_MAX, unique in the issuer's policy */
	__u8 action;	 /* enum policy_action */
	__u8 flags;	 /* enum policy_rule_flag */
	__u8 direction;	 /* enum policy_direction */
	__u8 key;	 /* enum policy_key */
	__u32 limit;	 /* enum policy_limit */
	__u32 burst;	 /* packets, or bytes */
	__u64 rate;	 /* packets or bits a second */
	__u64 expires;	 /* never 0, but for POLICY_NEVER */
	__u8 name[64];	 /* what `weir why` calls it */
	__u8 origin[64]; /* who decided: "local:uid=0", "rule:ssh-scan@collector1" */
	struct policy_match match;
};

enum policy_role { ROLE_SRC = 1, ROLE_DST = 2, ROLE_EITHER = 3 };

struct policy_addr {
	__u8 addr[16]; /* bits beyond the prefix are zero */
	__u8 bits;     /* prefix length, of 128 */
	__u8 role;     /* enum policy_role */
	__u16 pad;
	__u32 rule;    /* its number */
	__u64 expires; /* 0: the rule's */
};

struct policy_addr_port {
	__u8 addr[16];
	__u16 port;
	__u8 proto;
	__u8 role; /* enum policy_role: whose address and port these are */
	__u32 rule;
	__u64 expires;
};

/* Both directions of one flow, on every interface. */
struct policy_flow {
	__u8 addr[2][16];
	__u16 port[2];
	__u8 proto;
	__u8 pad[3];
	__u64 expires;
	__u32 rule;
	__u32 pad2;
};

enum policy_name_kind { NAME_SNI = 1, NAME_HOST = 2, NAME_DNS = 4 };

enum policy_name_how {
	NAME_EXACT = 1,
	NAME_BELOW = 2,	 /* the name itself and all names below it */
	NAME_SUFFIX = 3, /* the text's end, wherever it begins in a label */
};

struct policy_name {
	__u8 name[POLICY_NAME_MAX]; /* lower case, no final dot */
	__u16 length;
	__u8 kinds; /* enum policy_name_kind */
	__u8 how;   /* enum policy_name_how */
	__u32 rule;
	__u64 expires;
};

#define POLICY_WHERE_MAX 1024u

/*
 * What the node decides by itself: each source of a flow that the filter picks becomes an entry of a rule by
 * address, for a time. Only a source that has proven to be real: both ends of its connection were heard.
 */
struct policy_agent {
	__u32 rule;   /* its number; a rule by address, automatic, without conditions */
	__u32 ttl;    /* seconds that an entry lasts */
	__u16 length; /* of where */
	__u8 pad[6];
	__u8 where[POLICY_WHERE_MAX]; /* weir-filter(5), without lists and parameters */
};

enum policy_capture_scope { CAPTURE_SRC = 1, CAPTURE_DST = 2, CAPTURE_PAIR = 3 };

#define CAPTURE_TIME_MAX 3600u /* seconds */

/*
 * Packets for a file of this node, of before and after. Without addresses: of a flow that the agent's rule of
 * the same number picks, the end that scope says, or both. With: of the one address, or between the two, when
 * the record comes for the first time, and not later than `post` after `made`.
 */
struct policy_capture {
	__u32 rule; /* its number; action POLICY_DO_CAPTURE, by address, without conditions */
	__u32 pre;  /* seconds, CAPTURE_TIME_MAX at most, as post */
	__u32 post;
	__u8 scope; /* enum policy_capture_scope */
	__u8 ends;  /* addresses: 0, 1, of scope pair 2 */
	__u8 pad[2];
	__u64 max_bytes;
	__u64 made; /* seconds since 1970, as those below with addresses alone */
	__u64 alert;
	__u64 decision;
	__u8 addr[2][16];
};

#define POLICY_TARGET_MAX 32u

/*
 * Packets for a mirror that the node has a target for, from when the record comes until `ttl` after `made`, or of
 * agent's hits until `ttl` after the hit; not longer than the record is there. Addresses as in struct policy_capture.
 */
struct policy_mirror {
	__u32 rule; /* its number; action POLICY_DO_MIRROR, by address, without conditions */
	__u32 ttl;  /* seconds */
	__u8 scope; /* enum policy_capture_scope */
	__u8 ends;
	__u8 pad[6];
	__u64 made;
	__u64 alert;
	__u64 decision;
	__u8 addr[2][16];
	__u8 to[POLICY_TARGET_MAX]; /* NAME of [mirror-target NAME] in the node's configuration */
};

_Static_assert(sizeof(struct policy_match) == 88, "abi");
_Static_assert(sizeof(struct policy_header) == 128, "abi");
_Static_assert(sizeof(struct policy_rule) == 264, "abi");
_Static_assert(sizeof(struct policy_addr) == 32, "abi");
_Static_assert(sizeof(struct policy_addr_port) == 32, "abi");
_Static_assert(sizeof(struct policy_flow) == 56, "abi");
_Static_assert(sizeof(struct policy_name) == 272, "abi");
_Static_assert(sizeof(struct policy_agent) == 1040, "abi");
_Static_assert(sizeof(struct policy_capture) == 80, "abi");
_Static_assert(sizeof(struct policy_mirror) == 104, "abi");

#endif
