/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gquic.c - Google's QUIC before it took the IETF's packets: Q024 ... Q043, Q046.
 *
 * The first client packets are not encrypted, only hashed (the hash is not checked). Facts from
 * draft-hamilton-early-deployment-quic-00, draft-tsvwg-quic-protocol-02 and the captures in tests.
 */
#include "loader/name/quic.h"

#include <errno.h>
#include <string.h>

#define FLAG_VERSION	   0x01u
#define FLAG_RESET	   0x02u
#define FLAG_CID8	   0x08u
#define FLAG_PN_SHIFT	   4
#define HASH_LEN	   12u /* FNV-1a, cut to 96 bits */
#define Q046		   46u
#define LAST_PRIVATE_FLAGS 33u /* versions up to here have a byte of private flags */
#define FIRST_BIG_ENDIAN   39u
#define STREAM_FRAME	   0x80u
#define CRYPTO_STREAM_ID   1u
#define CHLO_TAGS_MAX	   128u /* the specification's own limit */

struct cur {
	const uint8_t *p;
	size_t left;
};

static int cur_skip(struct cur *c, size_t n)
{
	if (c->left < n)
		return -EPROTO;
	c->p += n;
	c->left -= n;
	return 0;
}

/* "Q043" as a number, 0 when it isn't one. */
static unsigned int version_number(const uint8_t *p)
{
	if (p[0] != 'Q' || p[1] != '0' || p[2] < '0' || p[2] > '9' || p[3] < '0' || p[3] > '9')
		return 0;
	return (p[2] - '0') * 10u + (p[3] - '0');
}

int gquic_detect(const uint8_t *data, size_t len)
{
	if (len < 13)
		return 0;
	/* Q044, Q046 ...: the IETF's form bit, then the version. Q050 has the IETF's layout. */
	if (data[0] & 0x80)
		return version_number(data + 1) != 0 && version_number(data + 1) < 50;
	return (data[0] & (FLAG_VERSION | FLAG_RESET | FLAG_CID8)) == (FLAG_VERSION | FLAG_CID8) &&
	       version_number(data + 9) != 0;
}

static uint64_t number(const uint8_t *p, size_t n, unsigned int version)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[version >= FIRST_BIG_ENDIAN ? i : n - 1 - i];
	return v;
}

/* Leave the cursor at the first frame. */
static int skip_header(struct cur *c, unsigned int *ret_version)
{
	static const uint8_t pn_len[4] = {1, 2, 4, 6};
	unsigned int v;
	int r;

	if (c->left < 13)
		return -EPROTO;
	if (c->p[0] & 0x80) {
		v = version_number(c->p + 1);
		*ret_version = v;
		if (v != Q046)
			return -ENOTSUP;
		/* Connection ID lengths in nibbles, each + 3: clients send 8 and 0 bytes. */
		if (c->p[5] != 0x50)
			return -ENODATA;
		return cur_skip(c, 6 + 8 + (c->p[0] & 3u) + 1 + HASH_LEN);
	}
	v = version_number(c->p + 9);
	*ret_version = v;
	r = cur_skip(c, 13 + pn_len[c->p[0] >> FLAG_PN_SHIFT & 3u] + HASH_LEN);
	if (r == 0 && v <= LAST_PRIVATE_FLAGS)
		r = cur_skip(c, 1);
	return r;
}

/* Frame type 1fdooossB: f FIN, d length present, o offset bytes, s stream id bytes. */
static int read_stream_frame(struct cur *c, unsigned int version, struct gquic_piece *ret)
{
	unsigned int type = c->p[0];
	size_t id_len = (type & 3u) + 1;
	size_t off_len = type >> 2 & 7u;
	size_t len_len = type & 0x20u ? 2 : 0;
	uint64_t off;

	off_len = off_len ? off_len + 1 : 0;
	if (c->left < 1 + id_len + off_len + len_len)
		return -EPROTO;
	if (number(c->p + 1, id_len, version) != CRYPTO_STREAM_ID)
		return -ENODATA;
	off = number(c->p + 1 + id_len, off_len, version);
	if (off >= STREAM_MAX)
		return -ENODATA;
	ret->offset = (uint32_t)off;
	ret->len = (uint32_t)number(c->p + 1 + id_len + off_len, len_len, version);
	if (cur_skip(c, 1 + id_len + off_len + len_len) < 0)
		return -EPROTO;
	if (len_len == 0)
		ret->len = (uint32_t)c->left;
	if (ret->len > c->left)
		return -EPROTO;
	ret->data = c->p;
	return 0;
}

int gquic_parse(const uint8_t *data, size_t len, struct gquic_piece *ret)
{
	struct cur c = {data, len};
	unsigned int version = 0;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = skip_header(&c, &version);
	ret->version = 0x51303030u + ((version / 10) << 8) + version % 10;
	if (r < 0)
		return r;
	while (c.left && *c.p == 0) /* PADDING */
		cur_skip(&c, 1);
	/* A packet that starts with an ACK is a later one: the name was in the first. */
	if (c.left == 0 || !(*c.p & STREAM_FRAME))
		return -ENODATA;
	return read_stream_frame(&c, version, ret);
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

int gquic_chlo(const uint8_t *buf, size_t len, uint32_t *ret_len, struct gquic_piece *ret_sni)
{
	uint32_t tags, base, start = 0;

	*ret_len = 0;
	memset(ret_sni, 0, sizeof(*ret_sni));
	if (memcmp(buf, "CHLO", len < 4 ? len : 4) != 0)
		return -EPROTO;
	if (len < 8)
		return 0;
	tags = (uint32_t)buf[4] | (uint32_t)buf[5] << 8;
	if (tags == 0 || tags > CHLO_TAGS_MAX)
		return -EPROTO;
	base = 8 + 8 * tags;
	if (len < base)
		return 0;
	for (uint32_t i = 0; i < tags; i++) {
		const uint8_t *tag = buf + 8 + 8 * i;
		uint32_t end = le32(tag + 4);

		if (end < start || end > STREAM_MAX - base)
			return -EPROTO;
		if (memcmp(tag, "SNI", 4) == 0 && base + end <= len) {
			ret_sni->data = buf + base + start;
			ret_sni->len = end - start;
		}
		start = end;
	}
	*ret_len = base + start;
	return 0;
}
