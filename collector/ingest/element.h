/* SPDX-License-Identifier: Apache-2.0 */
/*
 * element.h - which information element fills which column of a block, and how its value is read:
 * weir's own (weir/ipfix.def) and those of others (elements.def). Pure.
 */
#ifndef WEIR_COLLECTOR_INGEST_ELEMENT_H
#define WEIR_COLLECTOR_INGEST_ELEMENT_H

#include <stdint.h>

#define ELEMENT_NONE 255u /* fills no column */

enum element_kind {
	EK_UNKNOWN,   /* kept by number */
	EK_SKIP,      /* says nothing more */
	EK_NUMBER,    /* unsigned, of 1 to 8 octets, 0 is a value */
	EK_IP,	      /* 4 or 16 octets */
	EK_NTP,	      /* RFC 7011 sections 6.1.9, 6.1.10 */
	EK_MILLI,     /* since 1970 */
	EK_SECONDS,   /* since 1970 */
	EK_UPTIME,    /* milliseconds since the exporter's start */
	EK_BEFORE_US, /* microseconds before the export */
	EK_LASTS_MS,  /* milliseconds behind the flow's start */
	EK_LASTS_US,
	EK_INIT_MS, /* the exporter's start: what EK_UPTIME counts from */
	EK_OUT_FLAGS,
	EK_IN_FLAGS,
	EK_REASON,   /* flowEndReason's numbers */
	EK_TOS,	     /* DSCP in the upper six bits */
	EK_TTL,	     /* lowest and highest */
	EK_TYPECODE, /* ICMP, type * 256 + code */
	EK_INDEX,    /* unsigned, 0 = absent */
	EK_HOP,	     /* 4 or 16 octets, zero = absent */
	EK_LABEL,    /* MPLS: the upper 20 of 24 bits */
	EK_US32,     /* microseconds, all ones = absent */
	EK_VNI,	     /* all ones = absent */
	EK_SEGMENT,
	EK_RCODE,   /* 255 = absent */
	EK_RATE,    /* 1 packet in so many */
	EK_SAMPLER, /* whose rate options tell */
	EK_STRING,
	EK_BASICLIST, /* RFC 6313 */
	EK_SUBTEMPLATELIST,
	_EK_MAX
};

struct element {
	uint8_t kind;	/* enum element_kind */
	uint8_t column; /* enum block_column or ELEMENT_NONE; of a pair the first */
	uint8_t rank;	/* lower is better */
};

/**
 * element_of - what an element of a template fills
 * @own_pen: the enterprise that weir's own elements have with this exporter
 * @len:     as in the template
 *
 * An element whose length its kind does not allow is EK_UNKNOWN.
 */
struct element element_of(uint32_t own_pen, uint32_t pen, uint16_t element, uint16_t len);

/* Name of an element as IANA has it, for @pen 0. NULL: not in the tables. */
const char *element_name(uint32_t own_pen, uint32_t pen, uint16_t element);

#endif
