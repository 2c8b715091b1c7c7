/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello.c - messages that were assembled in userspace, read by the packet path's parsers.
 */
#include "loader/name/hello.h"

#include <string.h>

#define L7_BUF_SIZE WEIR_L7_USER_MAX
#include "bpf/l7.h"

#define HELLO_HEADER 4u
#define FIXED_LEN    34u /* version, random */

_Static_assert(sizeof(struct hello_buf) == L7_BUF_SIZE + L7_BUF_PAD, "hello_buf is l7.h's buffer");

uint32_t hello_extensions(const uint8_t *body, uint32_t len, int server)
{
	uint32_t off = FIXED_LEN;

	if (off >= len)
		return len;
	off += 1u + body[off]; /* session id */
	if (server) {
		off += 3; /* the chosen suite and compression method */
	} else {
		if (off + 2 > len)
			return len;
		off += 2u + ((uint32_t)body[off] << 8 | body[off + 1]);
		if (off >= len)
			return len;
		off += 1u + body[off]; /* compression methods */
	}
	return off + 2 < len ? off + 2 : len;
}

static void set_length(uint8_t *p, unsigned int bytes, uint32_t v)
{
	while (bytes--) {
		p[bytes] = (uint8_t)v;
		v >>= 8;
	}
}

/* The first part of a hello as one that ends there. Its last extension may be cut: the parser then
 * says so, after it has taken down what came before.
 */
static void close_partial(uint8_t *msg, uint32_t len)
{
	uint32_t ext = HELLO_HEADER + hello_extensions(msg + HELLO_HEADER, len - HELLO_HEADER, 0);

	set_length(msg + 1, 3, len - HELLO_HEADER);
	if (ext < len)
		set_length(msg + ext - 2, 2, len - ext);
}

/* ALPN on the wire is what struct name_tls keeps: whole names, as many as fit. */
static void put_alpn(const uint8_t *p, uint32_t len, struct name_tls *ret)
{
	uint32_t off = 0;

	while (off < len && p[off] != 0 && off + 1u + p[off] <= len &&
	       off + 1u + p[off] <= WEIR_ALPN_MAX)
		off += 1u + p[off];
	if (off < len)
		ret->flags |= TLSF_ALPN_CUT;
	memcpy(ret->alpn, p, off);
	ret->alpn_len = (uint16_t)off;
}

int hello_read_client(const struct handshake *h, struct hello_buf *buf, struct name_tls *ret)
{
	struct l7_msg m = {.start = 0, .len = h->len};
	int partial = h->need == 0 || h->len < h->need;
	enum l7_result r;

	if (h->len < HELLO_HEADER || h->len > STREAM_MAX)
		return partial ? NN_INCOMPLETE : NN_MALFORMED;
	memcpy(buf->b, h->msg, h->len);
	if (partial)
		close_partial(buf->b, h->len);
	r = l7_tls_handshake(buf->b, &m, 0);
	if (m.type != TLS_CLIENT_HELLO || (r != L7_OK && !partial))
		return NN_MALFORMED;
	if (m.name_len > WEIR_NAME_MAX)
		return NN_MALFORMED;
	ret->version = (uint16_t)m.version;
	ret->offered = (uint16_t)m.offered;
	ret->ech = (uint8_t)m.ech;
	ret->sni_len = (uint16_t)m.name_len;
	memcpy(ret->sni, buf->b + m.name_off, m.name_len);
	if (m.alpn_len)
		put_alpn(buf->b + m.alpn_off, m.alpn_len, ret);
	if (m.name_len)
		return NN_NONE;
	if (partial)
		return NN_INCOMPLETE;
	ret->flags |= TLSF_NO_SNI;
	return m.ech ? NN_ENCRYPTED : NN_NO_SNI;
}

uint16_t hello_read_server(const struct handshake *h, struct hello_buf *buf)
{
	struct l7_msg m = {.start = 0, .len = h->len};

	if (h->len < HELLO_HEADER || h->len > STREAM_MAX)
		return 0;
	memcpy(buf->b, h->msg, h->len);
	if (l7_tls_handshake(buf->b, &m, 0) != L7_OK || m.type != TLS_SERVER_HELLO)
		return 0;
	return (uint16_t)m.version;
}

static uint32_t at_most(uint32_t len, uint32_t max)
{
	return len < max ? len : max;
}

enum hello_http hello_read_http(const uint8_t *data, size_t len, struct hello_buf *buf,
				struct name_http *ret)
{
	struct l7_msg m = {.start = 0, .len = at_most((uint32_t)len, STREAM_MAX)};

	memcpy(buf->b, data, m.len);
	l7_mirror(buf->b);
	switch (l7_http(buf->b, &m)) {
	case L7_OK:
		break;
	case L7_MORE:
		return HELLO_HTTP_MORE;
	case L7_LONG:
		return HELLO_HTTP_LONG;
	case L7_BAD:
		return HELLO_HTTP_BAD;
	default:
		return HELLO_HTTP_NOT;
	}
	ret->method_len = (uint8_t)at_most(m.method_len, WEIR_METHOD_MAX);
	ret->host_len = (uint16_t)at_most(m.name_len, WEIR_NAME_MAX);
	ret->path_len = (uint16_t)at_most(m.path_len, WEIR_PATH_MAX);
	ret->flags |= m.path_len > WEIR_PATH_MAX ? HTTPF_PATH_CUT : 0;
	ret->flags |= ret->host_len == 0 ? HTTPF_NO_HOST : 0;
	memcpy(ret->method, buf->b, ret->method_len);
	memcpy(ret->host, buf->b + m.name_off, ret->host_len);
	memcpy(ret->path, buf->b + m.path_off, ret->path_len);
	return HELLO_HTTP_OK;
}
