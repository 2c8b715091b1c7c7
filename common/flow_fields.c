// SPDX-License-Identifier: Apache-2.0
/*
 * flow_fields.c - weir/fields.def as a table, and the text of a record's members.
 */
#include "common/flow_text.h"

#include <string.h>

#include "common/flow_words.h"
#include "common/num_text.h"

/* A computed member has no place in the record: any other's does, nobody looks at it. */
#define NONE present

const enum flow_field flow_lists[FLOW_LISTS] = {FF_HTTP_HOSTS, FF_DNS_ANSWERS, FF_LABELS,
						FF_SEEN_ON};

const struct flow_field_info flow_fields[_FF_MAX] = {
#define ROW(id, path_, type_, member, unit_, pen_, element_, element6_, doc_, added_) \
	[FF_##id] = {                                                                 \
		.path = path_,                                                        \
		.unit = unit_,                                                        \
		.doc = doc_,                                                          \
		.offset = offsetof(struct flow_record, member),                       \
		.pen = pen_,                                                          \
		.element = element_,                                                  \
		.element6 = element6_,                                                \
		.type = FT_##type_,                                                   \
		.added = added_,                                                      \
	},
#define FIELD(...) ROW(__VA_ARGS__, false)
#define ADDED(...) ROW(__VA_ARGS__, true)
#include "weir/fields.def"
#undef FIELD
};

static const void *member(const struct flow_record *r, enum flow_field f)
{
	return (const char *)r + flow_fields[f].offset;
}

bool flow_type_number(enum flow_type t)
{
	return t == FT_U8 || t == FT_U16 || t == FT_U32 || t == FT_U64;
}

bool flow_type_list(enum flow_type t)
{
	return t == FT_STRS || t == FT_ALPN || t == FT_QUERIES || t == FT_VLAN;
}

unsigned int flow_number_width(enum flow_type t)
{
	switch (t) {
	case FT_TIME:
	case FT_U64:
		return 8;
	case FT_U32:
	case FT_QUICVER:
		return 4;
	case FT_U16:
	case FT_TLSVER:
	case FT_QTYPE:
	case FT_RCODE:
	case FT_COUNTRY:
		return 2;
	case FT_U8:
	case FT_PROTO:
	case FT_FLAGS:
	case FT_STATE:
	case FT_REASON:
	case FT_TUNNEL:
	case FT_NONAME:
	case FT_VERDICT:
	case FT_NAMED:
	case FT_DIRECTION:
	case FT_ECH:
		return 1;
	default:
		return 0;
	}
}

uint64_t flow_number(const struct flow_record *r, enum flow_field f)
{
	const void *p = member(r, f);
	uint64_t v64;
	uint32_t v32;
	uint16_t v16;

	switch (flow_number_width(flow_fields[f].type)) {
	case 8:
		memcpy(&v64, p, sizeof(v64));
		return v64;
	case 4:
		memcpy(&v32, p, sizeof(v32));
		return v32;
	case 2:
		memcpy(&v16, p, sizeof(v16));
		return v16;
	case 1:
		return *(const uint8_t *)p;
	default:
		return 0;
	}
}

const char *flow_word(enum flow_type t, uint64_t v, char *buf)
{
	switch (t) {
	case FT_PROTO:
		return proto_word((uint8_t)v, buf);
	case FT_FLAGS:
		return tcp_flags_word((uint8_t)v, buf);
	case FT_STATE:
		return state_word((uint8_t)v, buf);
	case FT_REASON:
		return reason_word((uint8_t)v, buf);
	case FT_VERDICT:
		return verdict_word((uint8_t)v, buf);
	case FT_NAMED:
		return named_word((uint8_t)v, buf);
	case FT_DIRECTION:
		return direction_word((uint8_t)v, buf);
	case FT_TUNNEL:
		return tunnel_word((uint8_t)v, buf);
	case FT_NONAME:
		return no_name_word((uint8_t)v, buf);
	case FT_ECH:
		return ech_word((uint8_t)v, buf);
	case FT_TLSVER:
		return tls_version_word((uint16_t)v, buf);
	case FT_QTYPE:
		return dns_type_word((uint16_t)v, buf);
	case FT_RCODE:
		return dns_rcode_word((uint16_t)v, buf);
	case FT_QUICVER:
		return quic_version_word((uint32_t)v, buf);
	case FT_COUNTRY:
		return country_word((uint16_t)v, buf);
	default:
		return "";
	}
}

struct flow_str flow_text(const struct flow_record *r, enum flow_field f, char *buf)
{
	const enum flow_type t = flow_fields[f].type;
	struct flow_str s = {buf, 0};

	if (flow_type_list(t) || t == FT_CID)
		return s;
	if (t == FT_STR) {
		memcpy(&s, member(r, f), sizeof(s));
	} else if (t == FT_IP) {
		/* A tunnel's outer addresses are of either family. */
		s.len = (uint32_t)ip_text(member(r, f), f == FF_TUNNEL_SRC ? 0 : r->family, buf);
	} else if (t == FT_TIME) {
		s.len = (uint32_t)time_text(flow_number(r, f), buf);
	} else if (flow_type_number(t)) {
		s.len = (uint32_t)u64_text(flow_number(r, f), buf);
	} else {
		s.s = flow_word(t, flow_number(r, f), buf);
		s.len = (uint32_t)strlen(s.s);
	}
	return s;
}
