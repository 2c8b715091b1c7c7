// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/element.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "collector/block.h"
#include "common/ipfix_int.h"

#define BC_NONE ELEMENT_NONE

struct row {
	uint32_t pen;
	uint16_t number;
	struct element e;
	const char *name;
};

static const struct row rows[] = {
#define ELEMENT(pen, number, kind, column, rank, name) \
	{pen, number, {EK_##kind, BC_##column, rank}, name},
#include "collector/ingest/elements.def"
#undef ELEMENT
};

/* How weir's own are read. */
static const uint8_t kinds[_IE_MAX] = {
	[IE_TIME] = EK_NTP,
	[IE_STARTMS] = EK_MILLI,
	[IE_ENDMS] = EK_MILLI,
	[IE_U8] = EK_NUMBER,
	[IE_U16] = EK_NUMBER,
	[IE_U32] = EK_NUMBER,
	[IE_U64] = EK_NUMBER,
	[IE_IFINDEX] = EK_INDEX,
	[IE_TYPECODE] = EK_TYPECODE,
	[IE_REASON] = EK_REASON,
	[IE_IP] = EK_IP,
	[IE_IP16] = EK_HOP,
	[IE_OUTFLAGS] = EK_OUT_FLAGS,
	[IE_INFLAGS] = EK_IN_FLAGS,
	[IE_US32] = EK_US32,
	[IE_VLAN0] = EK_INDEX,
	[IE_VNI] = EK_VNI,
	[IE_SEGMENT] = EK_SEGMENT,
	[IE_RCODE] = EK_RCODE,
	[IE_DIRECTION] = EK_RCODE,
	[IE_STRING] = EK_STRING,
	[IE_ALPN] = EK_BASICLIST,
	[IE_STRINGS] = EK_BASICLIST,
	[IE_QUERIES] = EK_SUBTEMPLATELIST,
};

/* Where members of a flow record go. */
static const uint8_t columns[_FF_MAX] = {
#define FILLS(c) [FF_##c] = BC_##c + 1
	[FF_SRC_IP] = BC_SRC_HI + 1,
	[FF_DST_IP] = BC_DST_HI + 1,
	[FF_TUNNEL_SRC] = BC_TUNNEL_SRC_HI + 1,
	[FF_IFACE] = BC_IN_IF + 1,
	FILLS(START),
	FILLS(END),
	FILLS(SRC_PORT),
	FILLS(DST_PORT),
	FILLS(PROTO),
	FILLS(ETHERTYPE),
	FILLS(OUT_PACKETS),
	FILLS(OUT_BYTES),
	FILLS(OUT_RETRANSMITS),
	FILLS(OUT_OUT_OF_ORDER),
	FILLS(OUT_ZERO_WINDOWS),
	FILLS(OUT_TTL_MIN),
	FILLS(OUT_TTL_MAX),
	FILLS(OUT_DSCP),
	FILLS(IN_PACKETS),
	FILLS(IN_BYTES),
	FILLS(IN_RETRANSMITS),
	FILLS(IN_OUT_OF_ORDER),
	FILLS(IN_ZERO_WINDOWS),
	FILLS(IN_TTL_MIN),
	FILLS(IN_TTL_MAX),
	FILLS(IN_DSCP),
	FILLS(TCP_FLAGS),
	FILLS(STATE),
	FILLS(ICMP_TYPE),
	FILLS(ICMP_CODE),
	FILLS(TLS_SNI),
	FILLS(TLS_VERSION),
	FILLS(TLS_OFFERED),
	FILLS(TLS_ECH),
	FILLS(HTTP_HOST),
	FILLS(HTTP_METHOD),
	FILLS(HTTP_PATH),
	FILLS(DNS_QNAME),
	FILLS(DNS_QTYPE),
	FILLS(DNS_RCODE),
	FILLS(DNS_LATENCY_US),
	FILLS(QUIC_VERSION),
	FILLS(NO_NAME),
	FILLS(RTT_CLIENT_US),
	FILLS(RTT_SERVER_US),
	FILLS(RESPONSE_US),
	FILLS(VERDICT),
	FILLS(RULE),
	FILLS(DROPPED_PACKETS),
	FILLS(DROPPED_BYTES),
	FILLS(OUT_COPIED_PACKETS),
	FILLS(OUT_COPIED_BYTES),
	FILLS(IN_COPIED_PACKETS),
	FILLS(IN_COPIED_BYTES),
	FILLS(DIRECTION),
	FILLS(VNI),
	FILLS(TUNNEL_TYPE),
	FILLS(VLAN),
	FILLS(SAMPLING),
	FILLS(REASON),
#undef FILLS
};

/* 0 is a value of these; of the others it means absent. */
static bool zero_counts(uint8_t field)
{
	static const uint8_t always[] = {FF_OUT_PACKETS, FF_OUT_BYTES, FF_IN_PACKETS, FF_IN_BYTES,
					 FF_PROTO,	 FF_ETHERTYPE, FF_ICMP_TYPE,  FF_ICMP_CODE,
					 FF_SRC_PORT,	 FF_DST_PORT};

	return memchr(always, field, sizeof(always));
}

/* Rows that are no member of a record, but tell one in another way. */
static const struct {
	uint8_t encoding;
	struct element e;
} others[] = {
	{IE_STARTMS, {EK_MILLI, BC_START, 2}},	       {IE_ENDMS, {EK_MILLI, BC_END, 2}},
	{IE_TYPECODE, {EK_TYPECODE, BC_ICMP_TYPE, 1}}, {IE_SEGMENT, {EK_SEGMENT, BC_VNI, 1}},
	{IE_VLAN1, {EK_INDEX, BC_VLAN1, 0}},	       {IE_INFLAGS, {EK_IN_FLAGS, BC_NONE, 0}},
	{IE_FORWARDING, {EK_INDEX, BC_FORWARDING, 0}},
};

static struct element own(const struct ipfix_row *row)
{
	struct element e = {.kind = kinds[row->encoding], .column = BC_NONE};

	for (unsigned int i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (others[i].encoding == row->encoding)
			return others[i].e;
	if (row->field != IPFIX_NO_FIELD && columns[row->field])
		e.column = columns[row->field] - 1;
	if (e.kind == EK_NUMBER && !zero_counts(row->field))
		e.kind = EK_INDEX;
	if (row->field == FF_SAMPLING)
		e.kind = EK_RATE;
	return e;
}

static bool length_fits(uint8_t kind, uint16_t len)
{
	switch (kind) {
	case EK_UNKNOWN:
	case EK_SKIP:
	case EK_STRING:
		return true;
	case EK_IP:
	case EK_HOP:
		return len == 4 || len == 16;
	case EK_NTP:
		return len == 8;
	case EK_BASICLIST:
	case EK_SUBTEMPLATELIST:
		return len >= 5;
	default:
		return len >= 1 && len <= 8;
	}
}

static struct element lookup(uint32_t pen, uint16_t element, const char **ret_name)
{
	*ret_name = NULL;
	/* lists are told apart by what is in them */
	if (!pen && (element == 291 || element == 292)) {
		*ret_name = element == 291 ? "basicList" : "subTemplateList";
		return (struct element){element == 291 ? EK_BASICLIST : EK_SUBTEMPLATELIST,
					ELEMENT_NONE, 0};
	}
	for (unsigned int i = 0; i < ipfix_rows_n; i++) {
		const struct ipfix_row *row = &ipfix_rows[i];

		if (row->pen != pen || (row->element != element && row->element6 != element) ||
		    row->type == IT_BASICLIST)
			continue;
		*ret_name = row->element == element ? row->name : row->name6;
		return own(row);
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].pen != pen || rows[i].number != element)
			continue;
		*ret_name = rows[i].name;
		return rows[i].e;
	}
	return (struct element){EK_UNKNOWN, ELEMENT_NONE, 0};
}

struct element element_of(uint32_t own_pen, uint32_t pen, uint16_t element, uint16_t len)
{
	const char *name;
	struct element e = lookup(pen && pen == own_pen ? IPFIX_PEN_WEIR : pen, element, &name);

	return length_fits(e.kind, len) ? e : (struct element){EK_UNKNOWN, ELEMENT_NONE, 0};
}

const char *element_name(uint32_t own_pen, uint32_t pen, uint16_t element)
{
	const char *name;

	lookup(pen && pen == own_pen ? IPFIX_PEN_WEIR : pen, element, &name);
	return name;
}
