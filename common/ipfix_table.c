// SPDX-License-Identifier: Apache-2.0
/*
 * ipfix_table.c - weir/ipfix.def as tables, and what a template id means: the id of a flow
 * template is a base plus a key whose bits say what its records have, so ids never change their
 * meaning, not over restarts either.
 */
#include "common/ipfix_int.h"
#include "common/ipfix_key.h"

#define NONE IPFIX_NO_FIELD

/* pen and element of a member, from fields.def */
#define FIELD(id, path, type, member, unit, pen_, element_, element6_, doc) \
	enum { PEN_##id = pen_, ELEMENT_##id = element_, ELEMENT6_##id = element6_ };
#include "weir/fields.def"
#undef FIELD

const struct ipfix_row ipfix_rows[] = {
#define ELEMENT(group_, field_, encoding_, len_, type_, name_, name6_) \
	{                                                              \
		.name = name_,                                         \
		.name6 = name6_,                                       \
		.pen = PEN_##field_,                                   \
		.element = ELEMENT_##field_,                           \
		.element6 = ELEMENT6_##field_,                         \
		.group = IG_##group_,                                  \
		.field = FF_##field_,                                  \
		.encoding = IE_##encoding_,                            \
		.len = len_,                                           \
		.type = IT_##type_,                                    \
	},
#define OTHER(group_, encoding_, len_, type_, pen_, element_, element6_, name_, name6_, doc) \
	{                                                                                    \
		.name = name_,                                                               \
		.name6 = name6_,                                                             \
		.pen = pen_,                                                                 \
		.element = element_,                                                         \
		.element6 = element6_,                                                       \
		.group = IG_##group_,                                                        \
		.field = NONE,                                                               \
		.encoding = IE_##encoding_,                                                  \
		.len = len_,                                                                 \
		.type = IT_##type_,                                                          \
	},
#define OPTION(...)
#include "weir/ipfix.def"
#undef ELEMENT
#undef OTHER
#undef OPTION
};
const unsigned int ipfix_rows_n = sizeof(ipfix_rows) / sizeof(ipfix_rows[0]);

_Static_assert(sizeof(ipfix_rows) / sizeof(ipfix_rows[0]) < 255, "ipfix_field.what");

const struct ipfix_option_row ipfix_option_rows[] = {
#define ELEMENT(...)
#define OTHER(...)
#define OPTION(template, scope_, len_, type_, pen_, element_, name_) \
	{                                                            \
		.name = name_,                                       \
		.pen = pen_,                                         \
		.element = element_,                                 \
		.option = IPFIX_OPT_##template,                      \
		.scope = scope_,                                     \
		.len = len_,                                         \
		.type = IT_##type_,                                  \
	},
#include "weir/ipfix.def"
#undef ELEMENT
#undef OTHER
#undef OPTION
};
const unsigned int ipfix_option_rows_n = sizeof(ipfix_option_rows) / sizeof(ipfix_option_rows[0]);

/* Order of struct flow_query's members on the wire. */
const struct ipfix_field ipfix_query_fields[QUERY_FIELDS] = {
	{.pen = PEN_DNS_QNAME, .element = ELEMENT_DNS_QNAME, .len = IPFIX_VARIABLE},
	{.pen = PEN_DNS_QTYPE, .element = ELEMENT_DNS_QTYPE, .len = 2},
	{.pen = PEN_DNS_RCODE, .element = ELEMENT_DNS_RCODE, .len = 1},
	{.pen = PEN_DNS_LATENCY_US, .element = ELEMENT_DNS_LATENCY_US, .len = 4},
};

uint8_t ipfix_group_at[_IG_MAX + 1];
uint16_t ipfix_group_fixed[_IG_MAX];

/* Before main(): what the table says, by group. */
__attribute__((constructor)) static void index_groups(void)
{
	for (unsigned int i = ipfix_rows_n; i-- > 0;) {
		ipfix_group_at[ipfix_rows[i].group] = (uint8_t)i;
		ipfix_group_fixed[ipfix_rows[i].group] += ipfix_rows[i].len;
	}
	ipfix_group_at[_IG_MAX] = (uint8_t)ipfix_rows_n;
}

static bool has_ports(uint8_t proto)
{
	return proto == 6 || proto == 17 || proto == 132 || proto == 33 || proto == 136;
}

static bool has_any(const struct flow_record *r, enum flow_field first, enum flow_field last)
{
	bool any = false;

	for (unsigned int f = first; f <= last; f++)
		any |= flow_has(r, f);
	return any;
}

static uint32_t layers(const struct flow_record *r)
{
	uint32_t key = r->family == 4 ? KEY_V4 : r->family == 6 ? KEY_V6 : KEY_ETHER;

	if (!r->family)
		return key;
	if (r->proto == 6)
		return key | KEY_TCP;
	if (flow_has(r, FF_ICMP_TYPE))
		return key | KEY_ICMP;
	return flow_has(r, FF_SRC_PORT) || has_ports(r->proto) ? key | KEY_PORTS : key;
}

uint32_t ipfix_key(const struct flow_record *r)
{
	static const struct {
		uint8_t first, last; /* any of these members ... */
		uint16_t key;	     /* ... needs this group */
	} needs[] = {
		{FF_RTT_CLIENT_US, FF_RESPONSE_US, KEY_TIMING},
		{FF_VNI, FF_VLAN, KEY_PLACE},
		{FF_SAMPLING, FF_SAMPLING, KEY_PLACE},
		{FF_TLS_SNI, FF_TLS_ECH, KEY_TLS},
		{FF_QUIC_VERSION, FF_NO_NAME, KEY_TLS},
		{FF_HTTP_HOST, FF_HTTP_HOST, KEY_HTTP},
		{FF_HTTP_METHOD, FF_HTTP_PATH, KEY_HTTP},
		{FF_HTTP_HOSTS, FF_HTTP_HOSTS, KEY_MORE},
		{FF_DNS_QNAME, FF_DNS_LATENCY_US, KEY_DNS},
		{FF_DNS_QUERIES, FF_DNS_QUERIES, KEY_MORE},
		{FF_DNS_ANSWERS, FF_DNS_ANSWERS, KEY_ANSWERS},
		{FF_VERDICT, FF_DROPPED_BYTES, KEY_POLICY},
		{FF_DIRECTION, FF_DIRECTION, KEY_MIRROR},
		{FF_OUT_COPIED_PACKETS, FF_OUT_COPIED_BYTES, KEY_MIRROR},
		{FF_IN_COPIED_PACKETS, FF_IN_COPIED_BYTES, KEY_MIRROR},
	};
	uint32_t key = layers(r);

	for (unsigned int i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (has_any(r, needs[i].first, needs[i].last))
			key |= needs[i].key;
	return key;
}

uint32_t ipfix_groups(const struct ipfix_cfg *cfg, uint32_t key)
{
	static const uint32_t l4[4] = {
		[KEY_PORTS >> KEY_L4_SHIFT] = 1u << IG_PORTS,
		[KEY_TCP >> KEY_L4_SHIFT] = 1u << IG_PORTS | 1u << IG_TCP | 1u << IG_TCPBIFLOW,
		[KEY_ICMP >> KEY_L4_SHIFT] = 1u << IG_ICMP,
	};
	uint32_t g = 1u << IG_BASE | 1u << IG_BIFLOW;

	g |= key & KEY_L3 ? 1u << IG_IP | 1u << IG_IPBIFLOW : 1u << IG_ETHER;
	g |= l4[(key & KEY_L4) >> KEY_L4_SHIFT];
	for (unsigned int i = 0; i < _IG_MAX - IG_TIMING; i++)
		if (key >> (KEY_FLAGS_SHIFT + i) & 1)
			g |= 1u << (IG_TIMING + i);
	if (key & KEY_MIRROR)
		g |= 1u << IG_MIRRORBIFLOW;
	if (cfg->form & IPFIX_FORM_MICRO)
		g |= 1u << IG_MICRO;
	if (cfg->form & IPFIX_FORM_MILLI)
		g |= 1u << IG_MILLI;
	if (!(cfg->form & IPFIX_FORM_BIFLOW))
		g &= ~(1u << IG_BIFLOW | 1u << IG_IPBIFLOW | 1u << IG_TCPBIFLOW |
		       1u << IG_MIRRORBIFLOW);
	return g;
}

bool ipfix_key_v6(uint32_t key)
{
	return (key & KEY_L3) == KEY_V6;
}
