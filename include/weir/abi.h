/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * abi.h - map values and ring records shared by the BPF programs and the loader.
 *
 * Fixed-width types only, no implicit padding; every size is asserted on both sides. Addresses and
 * ports are in network order unless a name says otherwise; IPv4 addresses are IPv4-mapped IPv6
 * (RFC 4291 section 2.5.5.2). Times named _ns are CLOCK_MONOTONIC (replay: capture time), times
 * in ticks are the low 32 bits of jiffies (replay: microseconds).
 */
#ifndef WEIR_ABI_H
#define WEIR_ABI_H

#include <linux/types.h>

#ifndef WEIR_ABI_VERSION /* a test makes a weir of another one */
#define WEIR_ABI_VERSION 7
#endif

#define WEIR_WAYS	  16u	 /* flow entries in one set */
#define WEIR_TAG_GEN_BITS 16u	 /* low bits of flow_hot.tag */
#define WEIR_L7_BUF	  4096u	 /* bytes of one direction that the kernel assembles */
#define WEIR_L7_USER_MAX  16384u /* bytes of one direction handed to userspace at most */
#define WEIR_NAME_MAX	  256u
#define WEIR_ALPN_MAX	  128u
#define WEIR_METHOD_MAX	  16u
#define WEIR_PATH_MAX	  512u
#define WEIR_DATAGRAM_MAX 2048u
#define WEIR_CNT_SLOTS	  128u

/* A direction is an index into the [2] arrays below: 0 = from key.addr[0] to key.addr[1]. */

enum weir_tunnel {
	TUN_NONE = 0,
	TUN_VXLAN = 1,
	TUN_GENEVE = 2,
	TUN_GRE = 3,
	TUN_ERSPAN = 4,
	TUN_IPIP = 5, /* IPv4 or IPv6 in IPv4 or IPv6; 6in4 has its own number */
	TUN_6IN4 = 6,
	TUN_TEREDO = 7,
	TUN_GTPU = 8,
	_TUN_MAX
};

/* The identity of a flow. Endpoints are ordered (see key_order in bpf/key.h), so that both
 * directions have one key. Compared bytewise: unused members are zero.
 */
struct flow_key {
	__u8 addr[2][16];
	__u8 tun_src[16]; /* outer source, when tun_type is set */
	__u16 port[2];	  /* network order; ICMP: both = request type << 8 | code, as be16 */
	__u32 vni;	  /* host order: VNI, GRE key, ERSPAN session, GTP-U TEID */
	__u32 ifindex;
	__u16 vlan[2];	 /* VLAN ids, outermost first, host order, 0 = none */
	__u16 ethertype; /* host order: 0x0800, 0x86dd, or the non-IP frame's */
	__u8 proto;	 /* IP protocol; 0 for non-IP */
	__u8 tun_type;	 /* enum weir_tunnel */
	__u32 netns;	 /* network namespace of the interface; 0 = the one weir was started in */
};

/* What every packet touches: one cache line, written by the owning CPU alone. */
struct flow_hot {
	__u64 tag;	/* fingerprint << 16 | generation; 0 = nothing here */
	__u64 bytes[2]; /* IP bytes */
	__u32 packets[2];
	__u32 last[2];	    /* ticks of the last packet; valid where packets != 0 */
	__u32 next_seq[2];  /* TCP: highest sequence number seen + its length */
	__u8 tcp_flags[2];  /* OR of all, in RFC 9293 order (FIN = 1 ... CWR = 128) */
	__u8 ttl[2];	    /* of the last packet; a change goes to flow_cold */
	__u8 dscp[2];	    /* of the last packet */
	__u8 l7;	    /* enum l7_phase bits: payload still wanted */
	__u8 extra;	    /* enum flow_extra: what else is not all zero */
	__u32 policy;	    /* verdict of each direction, see policy_map.h */
	__u16 cold_changes; /* grows when flow_cold does */
	__u16 pad;
};

enum flow_extra {
	EXTRA_TAIL = 1,	   /* the last line of flow_cold */
	EXTRA_DROPPED = 2, /* flow_dropped */
	EXTRA_LONE = 4,	   /* a lone SYN, see lone_syn.h: nothing but the hot line is its own */
	EXTRA_MOVED = 8,   /* the same, and its flow goes on in another slot */
};

/* What is written on insert and on rare events; parallel to the hot entry, same index. The last line
 * stays zero, untouched and out of the final record until EXTRA_TAIL is set.
 */
struct flow_cold {
	struct flow_key key;
	__u64 syn_ns;	   /* SYN, SYN-ACK, and the ACK that ends the handshake; 0 = not seen */
	__u32 first[2];	   /* ticks of the first packet; valid where packets != 0 */
	__u32 base_seq[2]; /* sequence number of the first stream byte */
	__u32 hole_end[2]; /* see hole_start */
	__u32 sampling;	   /* 1 in N; 0 and 1 = every packet */
	__u8 ttl_min[2];
	__u8 ttl_max[2];
	__u8 init_dir;	   /* direction whose source is the initiator */
	__u8 init_why;	   /* enum init_why */
	__u8 seq_known;	   /* bit d: next_seq[d] valid; bit d + 2: base_seq[d] from a SYN */
	__u8 l7_budget[2]; /* payload segments of each direction still looked at */
	__u8 icmp_type;	   /* of the first packet */
	__u8 icmp_code;
	__u8 hooks;  /* bit per enum weir_hook that saw the flow */
	__u8 l7_gap; /* enum l7_gap: why a name may be missing that no event tells of */
	__u8 pad[7];
	/* the last line */
	__u64 synack_ns;
	__u64 ack_ns;
	__u64 payload_ns[2]; /* first payload of each direction */
	__u32 retransmits[2];
	__u32 out_of_order[2];
	__u32 zero_windows[2];
	__u32 hole_start[2]; /* TCP: oldest range skipped and not yet seen; start == end: none */
};

enum init_why { INIT_FIRST_SEEN = 0, INIT_SYNACK = 1, INIT_SYN = 2, INIT_ICMP = 3 };

enum weir_hook { HOOK_XDP = 0, HOOK_TC_INGRESS = 1, HOOK_TC_EGRESS = 2, _HOOK_MAX };

/* flow_hot.l7 bits */
enum l7_phase {
	L7_WANT_0 = 1, /* payload of direction 0 is still looked at */
	L7_WANT_1 = 2,
	L7_HTTP = 4, /* HTTP/1 connection: later requests are looked for */
	L7_DNS = 8,  /* every message is a record of its own */
};

/* flow_cold.l7_gap bits; they mean something only while no name has come for that direction */
enum l7_gap {
	L7_OPEN_0 = 1, /* a hello or request of direction 0 began and is not complete */
	L7_OPEN_1 = 2,
	L7_LOST_0 = 4, /* an event of direction 0 did not fit the ring */
	L7_LOST_1 = 8,
};

struct flow_set {
	struct flow_hot way[WEIR_WAYS];
};

struct flow_cold_set {
	struct flow_cold way[WEIR_WAYS];
};

#define WEIR_COLD_HEAD 128u /* bytes of flow_cold before its last line */

#define WEIR_COLD_TAIL 64u

/* What policy did to the flow's packets. Those dropped are in flow_hot's counters too. Parallel to it;
 * made by drops, and by what shadow rules would have done, all zero without EXTRA_DROPPED.
 */
struct flow_dropped {
	__u64 bytes;
	__u32 packets;
	__u32 decision[2]; /* that each direction is dropped by; 0: by the rule alone */
	__u16 rule[2];	   /* its element of policy_rules; 0: none yet */
	__u32 generation;  /* all rules here are of */
	__u16 shadow;	   /* rule that would have acted, last */
	__u8 acts;	   /* enum policy_action: what was done last | what would have been << 4 */
	__u8 woulds;	   /* packets that a shadow rule would have acted on, modulo 256 */
};

/* One element of the `evicted` ring: a flow that lost its place, final totals. Cut short by what
 * hot.extra says is zero: behind cold without EXTRA_DROPPED, and without EXTRA_TAIL too before cold's
 * last WEIR_COLD_TAIL bytes; before cold if the flow is a lone SYN.
 */
struct flow_final {
	__u32 slot; /* set index * WEIR_WAYS + way */
	__u32 pad;
	struct flow_hot hot;
	struct flow_cold cold;
	struct flow_dropped dropped;
};

/* Length of one. */
static inline __u32 flow_final_size(const struct flow_hot *hot)
{
	if (hot->extra & EXTRA_LONE)
		return __builtin_offsetof(struct flow_final, cold);
	if (hot->extra & EXTRA_DROPPED)
		return sizeof(struct flow_final);
	return __builtin_offsetof(struct flow_final, dropped) -
	       (hot->extra & EXTRA_TAIL ? 0 : WEIR_COLD_TAIL);
}

/* One element of `control`: written by the loader, read by the programs. */
struct control {
	__u32 reap_before; /* ticks: a flow last seen before this has been read for good */
	__u32 reap_valid;  /* 0 until two scans are complete */
	__u64 replay_ns;   /* cfg_replay: the packet's time */
	__u32 replay_tick;
	__u32 replay_wire_len; /* cfg_replay: frame length on the wire (0: as given) */
	__u32 asleep; /* the loader looks at the rings rarely: who writes there clears it, and wakes */
	__u32 pad[9];
};

/* Context of the program read_clock. */
struct clock_sample {
	__u64 ns;
	__u64 jiffies;
};

/* One element of `counters` per CPU; indexes are enum counter of counters.h. */
struct counter_row {
	__u64 v[WEIR_CNT_SLOTS];
};

/* ---- the `events` ring: names found, and payload for userspace ---- */

enum event_kind {
	EV_TLS_CLIENT = 1, /* struct ev_tls */
	EV_TLS_SERVER = 2, /* struct ev_tls: version only */
	EV_HTTP = 3,	   /* struct ev_http */
	EV_DNS = 4,	   /* struct ev_dns */
	EV_NO_NAME = 5,	   /* struct event_hdr, reason in .reason */
	EV_SEGMENT = 6,	   /* struct ev_payload: TCP bytes at a stream offset */
	EV_DATAGRAM = 7,   /* struct ev_payload: one UDP payload (QUIC, DTLS, answers of DNS) */
};

struct event_hdr {
	__u8 kind;	 /* enum event_kind */
	__u8 dir;	 /* direction of the packet, as in flow_hot */
	__u8 reason;	 /* enum no_name, EV_NO_NAME only */
	__u8 proto_hint; /* enum l7_proto */
	__u32 tick;	 /* when the packet was seen */
	__u64 time_ns;	 /* the same, fine clock */
	struct flow_key key;
};

enum l7_proto { L7P_NONE = 0, L7P_TLS = 1, L7P_HTTP = 2, L7P_DNS = 3, L7P_QUIC = 4, L7P_DTLS = 5 };

/* Why a flow that should have a name has none (record member no_name). Append only. */
enum no_name {
	NN_NONE = 0,
	NN_NO_SNI = 1,	   /* ClientHello without the extension */
	NN_ENCRYPTED = 2,  /* ECH/ESNI and no outer name */
	NN_INCOMPLETE = 3, /* bytes missing when the flow ended */
	NN_TOO_LONG = 4,   /* beyond WEIR_L7_USER_MAX */
	NN_MALFORMED = 5,
	NN_NO_SLOT = 6,	      /* all assembly slots busy */
	NN_RING_FULL = 7,     /* event could not be handed over */
	NN_CONFLICT = 8,      /* overlapping segments with different bytes */
	NN_NO_HOST = 9,	      /* HTTP request without Host */
	NN_QUIC_VERSION = 10, /* QUIC version whose keys are unknown */
	NN_DECRYPT = 11,      /* QUIC Initial that does not authenticate */
	NN_TRUNCATED = 12,    /* captured short */
	_NN_MAX
};

struct ev_tls {
	struct event_hdr h;
	__u16 version; /* negotiated (server) or highest offered (client) */
	__u16 offered; /* bit 0..4: SSL 3.0, TLS 1.0, 1.1, 1.2, 1.3 */
	__u8 ech;      /* 1 = encrypted_client_hello, 2 = encrypted_server_name */
	__u8 flags;    /* enum tls_flag */
	__u16 sni_len;
	__u16 alpn_len; /* wire form: length-prefixed strings */
	__u16 pad[3];
	__u8 sni[WEIR_NAME_MAX];
	__u8 alpn[WEIR_ALPN_MAX];
};

enum tls_flag { TLSF_ALPN_CUT = 1, TLSF_CONFLICT = 2, TLSF_NO_SNI = 4 };

struct ev_http {
	struct event_hdr h;
	__u16 host_len;
	__u16 path_len;
	__u8 method_len;
	__u8 flags; /* enum http_flag */
	__u16 pad;
	__u8 method[WEIR_METHOD_MAX];
	__u8 host[WEIR_NAME_MAX];
	__u8 path[WEIR_PATH_MAX];
};

enum http_flag { HTTPF_PATH_CUT = 1, HTTPF_NO_HOST = 2, HTTPF_CONFLICT = 4 };

struct ev_dns {
	struct event_hdr h;
	__u16 id;    /* host order, as all below */
	__u16 flags; /* header flags word */
	__u16 qtype;
	__u16 rcode;
	__u16 qname_len; /* wire form, root label included */
	__u16 pad[3];
	__u8 qname[WEIR_NAME_MAX];
};

struct ev_payload {
	struct event_hdr h;
	__u32 offset;	/* EV_SEGMENT: from the first stream byte */
	__u16 len;	/* bytes that follow */
	__u16 orig_len; /* payload length on the wire */
	__u8 data[WEIR_DATAGRAM_MAX];
};

_Static_assert(sizeof(struct flow_key) == 72, "abi");
_Static_assert(sizeof(struct flow_hot) == 64, "abi");
_Static_assert(sizeof(struct flow_cold) == WEIR_COLD_HEAD + WEIR_COLD_TAIL, "abi");
_Static_assert(__builtin_offsetof(struct flow_cold, synack_ns) == WEIR_COLD_HEAD, "abi");
_Static_assert(sizeof(struct flow_dropped) == 32, "abi");
_Static_assert(sizeof(struct flow_final) == 296, "abi");
_Static_assert(sizeof(struct control) == 64, "abi");
_Static_assert(sizeof(struct event_hdr) == 88, "abi");
_Static_assert(sizeof(struct ev_tls) == 88 + 16 + 256 + 128, "abi");
_Static_assert(sizeof(struct ev_http) == 88 + 8 + 16 + 256 + 512, "abi");
_Static_assert(sizeof(struct ev_dns) == 88 + 16 + 256, "abi");
_Static_assert(sizeof(struct ev_payload) == 96 + 2048, "abi");

#endif
