/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quic_packet.c - long headers of QUIC packets.
 */
#include "loader/name/quic_packet.h"

#include <errno.h>
#include <stddef.h>

int quic_get_varint(struct quic_cur *c, uint64_t *ret)
{
	size_t n;
	uint64_t v;

	if (c->left == 0)
		return -EPROTO;
	n = (size_t)1 << (c->p[0] >> 6);
	if (c->left < n)
		return -EPROTO;
	v = c->p[0] & 0x3f;
	for (size_t i = 1; i < n; i++)
		v = v << 8 | c->p[i];
	c->p += n;
	c->left -= n;
	*ret = v;
	return 0;
}

int quic_skip(struct quic_cur *c, uint64_t n)
{
	if (c->left < n)
		return -EPROTO;
	c->p += n;
	c->left -= n;
	return 0;
}

static int get_cid(struct quic_cur *c, const uint8_t **ret, uint8_t *ret_len)
{
	if (c->left < 1)
		return -EPROTO;
	*ret_len = *c->p;
	*ret = c->p + 1;
	return quic_skip(c, 1u + *ret_len);
}

/* The part of the header that no version changes (RFC 8999 section 5.1). */
static int parse_invariant(struct quic_cur *c, struct quic_packet *p)
{
	const uint8_t *scid;
	uint8_t scid_len;
	unsigned int type;

	p->data = c->p;
	if (c->left < 7 || !(c->p[0] & QUIC_LONG_HEADER))
		return -EPROTO;
	type = c->p[0] >> 4 & 3u;
	p->version = (uint32_t)c->p[1] << 24 | (uint32_t)c->p[2] << 16 | (uint32_t)c->p[3] << 8 |
		     c->p[4];
	p->v = quic_version_find(p->version);
	/* RFC 9369 section 3.2: each type's number is one higher. */
	p->type = (uint8_t)(p->v && p->v->v2 ? (type + 3) & 3u : type);
	quic_skip(c, 5);
	if (get_cid(c, &p->dcid, &p->dcid_len) < 0 || get_cid(c, &scid, &scid_len) < 0)
		return -EPROTO;
	if (p->v && (p->dcid_len > QUIC_CID_MAX || scid_len > QUIC_CID_MAX))
		return -EPROTO;
	return 0;
}

/* Return: 0, -EPROTO, -ENODATA when the packet goes on behind what was captured. */
static int parse_lengths(struct quic_cur *c, struct quic_packet *p)
{
	uint64_t len;

	if (p->type == QT_INITIAL &&
	    (quic_get_varint(c, &p->token_len) < 0 || quic_skip(c, p->token_len) < 0))
		return -EPROTO;
	if (quic_get_varint(c, &len) < 0)
		return -EPROTO;
	p->pn_off = (uint32_t)(c->p - p->data);
	if (quic_skip(c, len) < 0)
		return -ENODATA;
	p->len = (uint32_t)(c->p - p->data);
	return 0;
}

int quic_parse_packet(struct quic_cur *c, struct quic_packet *p)
{
	int r = parse_invariant(c, p);

	if (r < 0 || !p->v)
		return r;
	if (p->type == QT_RETRY) { /* no length: it is the whole rest (section 17.2.5) */
		p->len = (uint32_t)(c->left + (size_t)(c->p - p->data));
		return quic_skip(c, c->left);
	}
	return parse_lengths(c, p);
}
