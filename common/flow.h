/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow.h - the flow record: what the loader makes of a flow's counters and everything that writes,
 * filters or exports flows reads. Members are described in weir/fields.def. A record holds no
 * memory of its own: strings and lists belong to whoever made it and live until its callback
 * returns. No thread owns it.
 */
#ifndef WEIR_COMMON_FLOW_H
#define WEIR_COMMON_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOW_QUERIES_MAX 32u /* dns.queries */
#define FLOW_HOSTS_MAX	 16u /* http.hosts */
#define FLOW_ANSWERS_MAX 32u /* dns.answers */
#define FLOW_VLANS_MAX	 2u

enum flow_field {
#define FIELD(id, ...) FF_##id,
#include "weir/fields.def"
#undef FIELD
	_FF_MAX
};

enum flow_type {
	FT_TIME, /* uint64_t, ns since 1970 UTC */
	FT_U8,
	FT_U16,
	FT_U32,
	FT_U64,
	FT_IP,	      /* uint8_t[16], IPv4 as ::ffff:a.b.c.d */
	FT_STR,	      /* struct flow_str: any bytes, not terminated */
	FT_STRS,      /* struct flow_strs */
	FT_ALPN,      /* struct flow_str in wire form: length-prefixed strings */
	FT_QUERIES,   /* struct flow_queries */
	FT_VLAN,      /* uint16_t[FLOW_VLANS_MAX], 0 = none */
	FT_PROTO,     /* uint8_t */
	FT_FLAGS,     /* uint8_t, RFC 9293 bits */
	FT_STATE,     /* uint8_t, enum conn_state */
	FT_REASON,    /* uint8_t, enum flow_reason */
	FT_TUNNEL,    /* uint8_t, enum weir_tunnel */
	FT_NONAME,    /* uint8_t, enum no_name */
	FT_VERDICT,   /* uint8_t, enum flow_verdict */
	FT_NAMED,     /* uint8_t, enum flow_named */
	FT_DIRECTION, /* uint8_t, enum flow_direction */
	FT_ECH,	      /* uint8_t, 1 = ECH, 2 = ESNI */
	FT_TLSVER,    /* uint16_t as on the wire: 0x0303 = TLS 1.2, 0xfefd = DTLS 1.2 */
	FT_QTYPE,     /* uint16_t */
	FT_RCODE,     /* uint16_t */
	FT_QUICVER,   /* uint32_t */
	FT_COUNTRY,   /* uint16_t, two letters, the first in the upper octet */
	FT_CID,	      /* no member: community_id.h */
	_FT_MAX
};

enum flow_reason {
	FLOW_IDLE = 1,
	FLOW_ACTIVE,
	FLOW_END,
	FLOW_EVICTED,
	FLOW_SHUTDOWN,
	FLOW_DROPPED, /* no flow: packets dropped before they were in any */
	FLOW_IDS,     /* no packets: a signature came after the record that it is of */
	_FLOW_REASON_MAX
};

enum flow_verdict {
	FLOW_DROP = 1,
	FLOW_LIMIT,
	FLOW_REFUSE, /* reset */
	FLOW_WOULD_DROP,
	FLOW_WOULD_LIMIT,
	FLOW_WOULD_RESET,
	_FLOW_VERDICT_MAX
};

/* Where the name of an address is from. */
enum flow_named {
	FLOW_NAMED_SITE = 1,
	FLOW_NAMED_SNI,
	FLOW_NAMED_HOST,
	FLOW_NAMED_DNS,
	_FLOW_NAMED_MAX
};

/* IANA: flowDirection */
enum flow_direction { FLOW_INGRESS, FLOW_EGRESS };

enum conn_state {
	FLOW_NEW = 1,
	FLOW_ESTABLISHED,
	FLOW_CLOSED,
	FLOW_RESET,
	FLOW_NO_REPLY,
	FLOW_ONE_WAY,
	_FLOW_STATE_MAX
};

struct flow_str {
	const char *s;
	uint32_t len;
};

struct flow_strs {
	const struct flow_str *v;
	uint32_t n;
};

/* One DNS query. rcode and latency only where the matching flag says so. */
struct flow_query {
	struct flow_str qname; /* presentation form */
	uint64_t latency_us;
	uint16_t qtype;
	uint16_t rcode;
	uint8_t has_rcode;
	uint8_t has_latency;
};

struct flow_queries {
	const struct flow_query *v;
	uint32_t n;
};

struct flow_dir {
	uint64_t packets;
	uint64_t bytes;
	uint32_t retransmits;
	uint32_t out_of_order;
	uint32_t zero_windows;
	uint64_t copied_packets;
	uint64_t copied_bytes;
	uint8_t ttl_min;
	uint8_t ttl_max;
	uint8_t dscp;
	uint8_t tcp_flags; /* of this direction alone; no field of its own in JSON */
};

/* What an earlier record of the same flow had. For formats in which a name is an event. */
enum { FLOW_TOLD_TLS = 1, FLOW_TOLD_HTTP = 2 };

/* Only members whose bit is set in present[] hold anything; see flow_has(). */
struct flow_record {
	uint64_t present[2];
	uint64_t start_ns;
	uint64_t end_ns;
	uint64_t packets;
	uint64_t bytes;
	struct flow_dir out;
	struct flow_dir in;
	uint8_t src_ip[16];
	uint8_t dst_ip[16];
	uint8_t tunnel_src[16];
	uint16_t src_port; /* host order, as all numbers here */
	uint16_t dst_port;
	uint16_t ethertype;
	uint16_t vlan[FLOW_VLANS_MAX];
	uint16_t tls_version;
	uint16_t tls_offered;
	uint16_t dns_qtype;
	uint16_t dns_rcode;
	uint16_t src_country;
	uint16_t dst_country;
	uint8_t family; /* 4, 6, or 0: not IP; always set */
	uint8_t proto;
	uint8_t tcp_flags;
	uint8_t state;
	uint8_t reason;
	uint8_t icmp_type;
	uint8_t icmp_code;
	uint8_t tls_ech;
	uint8_t no_name;
	uint8_t tunnel_type;
	uint8_t told;	    /* FLOW_TOLD_x; always set, no field of its own */
	uint8_t hosts_told; /* of http_hosts, so many at its front */
	uint8_t verdict;
	uint8_t src_name_from;
	uint8_t dst_name_from;
	uint8_t ids_severity;
	uint8_t direction;
	uint32_t vni;
	uint32_t quic_version;
	uint32_t sampling;
	uint32_t src_as;
	uint32_t if_in;
	uint32_t if_out;
	uint32_t dst_as;
	uint32_t ids_sid;
	uint32_t ifindex; /* always set; 0 = none */
	uint64_t duration_us;
	uint64_t pps;
	uint64_t bps;
	uint64_t bpp;
	uint64_t rtt_client_us;
	uint64_t rtt_server_us;
	uint64_t response_us;
	uint64_t dns_latency_us;
	uint64_t dropped_packets;
	uint64_t dropped_bytes;
	uint64_t ids_time_ns;
	struct flow_str src_name;
	struct flow_str dst_name;
	struct flow_str src_as_org;
	struct flow_str dst_as_org;
	struct flow_str src_zone;
	struct flow_str dst_zone;
	struct flow_str tls_sni;
	struct flow_str tls_alpn;
	struct flow_str http_host;
	struct flow_str http_method;
	struct flow_str http_path;
	struct flow_str dns_qname;
	struct flow_str rule;
	struct flow_str ids_signature;
	struct flow_str ids_category;
	struct flow_str ids_action;
	struct flow_str iface;
	struct flow_str node;
	struct flow_strs labels;
	struct flow_strs seen_on;
	struct flow_strs http_hosts;
	struct flow_strs dns_answers;
	struct flow_queries dns_queries;
};

_Static_assert(_FF_MAX <= 128, "flow_record.present is full");

static inline void flow_set(struct flow_record *r, enum flow_field f)
{
	r->present[f / 64] |= UINT64_C(1) << (f % 64);
}

static inline bool flow_has(const struct flow_record *r, enum flow_field f)
{
	return r->present[f / 64] >> (f % 64) & 1;
}

/* Packets and bytes, altogether and of each direction, are there, 0 too. */
static inline void flow_set_counts(struct flow_record *r)
{
	flow_set(r, FF_PACKETS);
	flow_set(r, FF_BYTES);
	flow_set(r, FF_OUT_PACKETS);
	flow_set(r, FF_OUT_BYTES);
	flow_set(r, FF_IN_PACKETS);
	flow_set(r, FF_IN_BYTES);
}

/* How many fields are lists of strings (FT_STRS). */
#define FLOW_LISTS 4u

/* One row of weir/fields.def. */
struct flow_field_info {
	const char *path; /* "tls.sni" */
	const char *unit;
	const char *doc;
	uint32_t offset; /* in struct flow_record; no meaning for FT_CID */
	uint32_t pen;
	uint16_t element;
	uint16_t element6;
	uint8_t type; /* enum flow_type */
	bool added;   /* by weir-collector: no node knows it */
};

/* Indexed by enum flow_field. Read-only. */
extern const struct flow_field_info flow_fields[_FF_MAX];

/* The fields of type FT_STRS. */
extern const enum flow_field flow_lists[FLOW_LISTS];

/* One of them; its n means something only where flow_has() says so. */
static inline struct flow_strs *flow_list(const struct flow_record *r, unsigned int i)
{
	return (struct flow_strs *)(void *)((char *)(uintptr_t)r +
					    flow_fields[flow_lists[i]].offset);
}

static inline uint32_t flow_list_n(const struct flow_record *r, unsigned int i)
{
	return flow_has(r, flow_lists[i]) ? flow_list(r, i)->n : 0;
}

#endif
