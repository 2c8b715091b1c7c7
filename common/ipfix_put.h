/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipfix_put.h - octets in network order, and room in a message.
 */
#ifndef WEIR_COMMON_IPFIX_PUT_H
#define WEIR_COMMON_IPFIX_PUT_H

#include <string.h>
#include "common/ipfix.h"

#define ELEMENT_BASICLIST 291u

static inline void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/* @len octets of @v, the lowest ones. Return: behind it. */
static inline uint8_t *put_number(uint8_t *p, uint64_t v, unsigned int len)
{
	uint64_t be = __builtin_bswap64(v << (64 - 8 * len));

	memcpy(p, &be, len);
	return p + len;
}

/* RFC 7011 section 7: variable length. */
static inline uint32_t text_size(const struct flow_str *s)
{
	return s->len + (s->len < 255 ? 1 : 3);
}

static inline uint8_t *put_text(uint8_t *p, const struct flow_str *s)
{
	if (s->len < 255) {
		*p++ = (uint8_t)s->len;
	} else {
		*p = 255;
		put16(p + 1, s->len);
		p += 3;
	}
	if (s->len)
		memcpy(p, s->s, s->len);
	return p + s->len;
}

static inline uint16_t ipfix_flow_id(const struct ipfix_cfg *cfg, uint32_t key)
{
	return (uint16_t)(IPFIX_ID_FLOW(cfg->form) + key % 4096 + key / 4096 * 32768);
}

/* Room for @len octets in a set of that id, the open one or a new one. NULL: not in this message. */
uint8_t *ipfix_room(struct ipfix_msg *m, uint16_t set_id, uint32_t len);

/* Take back what came since @before was copied. */
static inline void ipfix_back(struct ipfix_msg *m, const struct ipfix_msg *before)
{
	*m = *before;
	if (m->set_at)
		put16(m->buf + m->set_at + 2, m->len - m->set_at);
}

#endif
