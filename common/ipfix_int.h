/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipfix_int.h - the tables that writer and reader share.
 */
#ifndef WEIR_COMMON_IPFIX_INT_H
#define WEIR_COMMON_IPFIX_INT_H

#include "common/ipfix.h"

/* Groups, in the order in which a record has them. */
enum ipfix_group {
	IG_MICRO,
	IG_MILLI,
	IG_BASE,
	IG_BIFLOW,
	IG_ETHER,
	IG_IP,
	IG_IPBIFLOW,
	IG_PORTS,
	IG_ICMP,
	IG_TCP,
	IG_TCPBIFLOW,
	IG_MIRRORBIFLOW,
	IG_TIMING,
	IG_PLACE,
	IG_TLS,
	IG_HTTP,
	IG_DNS,
	IG_MORE,
	IG_POLICY,
	IG_ANSWERS,
	IG_MIRROR,
	_IG_MAX
};

enum ipfix_encoding {
	IE_TIME, /* RFC 7011 section 6.1.9: NTP format */
	IE_STARTMS,
	IE_ENDMS,
	IE_U8,
	IE_U16,
	IE_U32,
	IE_U64,
	IE_IFINDEX, /* flow_record.ifindex */
	IE_TYPECODE,
	IE_REASON, /* flowEndReason's numbers */
	IE_IP,	   /* 4 or 16 octets */
	IE_IP16,
	IE_OUTFLAGS, /* of one direction */
	IE_INFLAGS,
	IE_US32, /* microseconds in 4 octets, the longest for longer; absent: all ones */
	IE_VLAN0,
	IE_VLAN1,
	IE_VNI, /* absent: all ones */
	IE_SEGMENT,
	IE_FORWARDING, /* RFC 7270 section 4.12, of `verdict` */
	IE_RCODE,      /* absent: all ones */
	IE_DIRECTION,  /* the same */
	IE_STRING,     /* variable length from here on */
	IE_ALPN,
	IE_STRINGS,
	IE_QUERIES,
	_IE_MAX
};

/* IANA: IPFIX information element data types. */
enum ipfix_type {
	IT_OCTETS = 0,
	IT_U8 = 1,
	IT_U16 = 2,
	IT_U32 = 3,
	IT_U64 = 4,
	IT_STRING = 13,
	IT_MILLISECONDS = 15,
	IT_MICROSECONDS = 16,
	IT_IPV4 = 18,
	IT_IPV6 = 19,
	IT_BASICLIST = 20,
	IT_SUBTEMPLATELIST = 21,
};

/* IANA: forwardingStatus */
enum {
	FORWARDING_FORWARDED = 64,
	FORWARDING_DROPPED = 128, /* to 191 */
	FORWARDING_ACL_DENY = 129,
	FORWARDING_ACL_DROP = 130,
	FORWARDING_POLICER = 138,
};

#define IPFIX_VARIABLE	 65535u
#define IPFIX_NO_FIELD	 0xffu
#define IPFIX_ENTERPRISE 0x8000u
#define LIST_ALL_OF	 3u /* RFC 6313 section 4.4: semantics of a list */
#define LIST_ORDERED	 4u
#define NTP_UNIX	 UINT64_C(2208988800) /* seconds from 1900 to 1970 */

/* A row of weir/ipfix.def. */
struct ipfix_row {
	const char *name;
	const char *name6;
	uint32_t pen;
	uint16_t element;
	uint16_t element6; /* 0 = the same */
	uint8_t group;
	uint8_t field; /* enum flow_field; IPFIX_NO_FIELD */
	uint8_t encoding;
	uint8_t len; /* 0 = variable */
	uint8_t type;
};

struct ipfix_option_row {
	const char *name;
	uint32_t pen;
	uint16_t element;
	uint8_t option;
	uint8_t scope;
	uint8_t len;
	uint8_t type;
};

extern const struct ipfix_row ipfix_rows[];
extern const unsigned int ipfix_rows_n;
extern const struct ipfix_option_row ipfix_option_rows[];
extern const unsigned int ipfix_option_rows_n;

/* First row of a group, rows of a group stand together; octets of its fields of fixed length. Filled
 * before main(), IPv4's.
 */
extern uint8_t ipfix_group_at[_IG_MAX + 1];
extern uint16_t ipfix_group_fixed[_IG_MAX];

/* Fields of a query in the list dns.queries. */
#define QUERY_FIELDS 4u
extern const struct ipfix_field ipfix_query_fields[QUERY_FIELDS];

/* What a record's template has, packed into its id; see ipfix_table.c. */
uint32_t ipfix_groups(const struct ipfix_cfg *cfg, uint32_t key); /* bit per enum ipfix_group */
bool ipfix_key_v6(uint32_t key);

#endif
