/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipfix_get.h - octets in network order, and values of a record, with bounds.
 */
#ifndef WEIR_COMMON_IPFIX_GET_H
#define WEIR_COMMON_IPFIX_GET_H

#include "common/ipfix.h"

struct cursor8 {
	const uint8_t *p;
	const uint8_t *end;
};

static inline uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

/* Unsigned number of 1 to 8 octets (reduced size, RFC 7011 section 6.2). */
static inline uint64_t get_number(const uint8_t *p, uint32_t len)
{
	uint64_t v = 0;

	while (len--)
		v = v << 8 | *p++;
	return v;
}

/* The next field, of the length that its template has. Return: 0 or -EBADMSG: beyond the end. */
int ipfix_read_value(struct cursor8 *c, uint16_t field_len, struct ipfix_value *v);

#endif
