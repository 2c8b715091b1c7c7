/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * l7_http.h - HTTP/1 request: method, target, Host. Eight bytes a step; pure.
 * RFC 9112 sections 3 and 5, RFC 9110 section 5.5.
 */
#ifndef WEIR_BPF_L7_HTTP_H
#define WEIR_BPF_L7_HTTP_H

#include "l7_class.h"

/* "GET /path HTTP/1.1": the target is all between the first space and the version. */
static __always_inline long l7_http_request_line(const __u8 *buf, struct l7_msg *m, __u32 len)
{
	__u32 n = m->method_len;

	if (len < n + 11 ||
	    l7_word(buf, m->start + len - 9) != L7_WORD(' ', 'H', 'T', 'T', 'P', '/', '1', '.'))
		return l7_stop(m, L7_NOT);
	m->path_off = n + 1;
	m->path_len = len - 9 - m->path_off;
	return 0;
}

/* A line of the head, [m->line, eol). */
static __always_inline long l7_http_line(const __u8 *buf, struct l7_msg *m, __u32 eol)
{
	const __u64 host = L7_WORD('h', 'o', 's', 't', ':', 0, 0, 0), mask = 0xffffffffffull;
	const __u64 lower = L7_WORD(0x20, 0x20, 0x20, 0x20, 0, 0, 0, 0);
	__u32 line = m->line, len = eol - line;

	if (len && l7_u8(buf, m->start + eol - 1) == '\r')
		len--;
	m->line = eol + 1;
	if (!m->lines++)
		return l7_http_request_line(buf, m, len);
	if (!len)
		return l7_stop(m, L7_OK);
	if (len < 5 || m->found || ((l7_word(buf, m->start + line) | lower) & mask) != host)
		return 0;
	m->found = 1;
	m->name_off = line + 5;
	m->name_len = len - 5;
	return 0;
}

/* One step looks at eight bytes, or ends at the first line feed among them. */
static inline long l7_http_step(__u32 i, void *arg)
{
	const struct l7_ctx *c = arg;
	struct l7_msg *m = c->m;
	__u32 pos = m->pos, n;

	(void)i;
	if (pos >= m->len)
		return l7_stop(m, L7_MORE);
	n = l7_find_byte(l7_word(c->buf, m->start + pos), '\n');
	if (n == 8 || n >= m->len - pos) {
		m->pos = pos + 8;
		return 0;
	}
	m->pos = pos + n + 1;
	return l7_http_line(c->buf, m, pos + n);
}

static inline long l7_method_step(__u32 i, void *arg)
{
	const struct l7_ctx *c = arg;
	struct l7_msg *m = c->m;
	__u32 b;

	if (i >= m->len)
		return l7_stop(m, L7_MORE);
	b = l7_u8(c->buf, m->start + i);
	m->method_len = i;
	if (b == ' ')
		return l7_stop(m, i ? L7_OK : L7_NOT);
	return l7_is_method_char(b) ? 0 : l7_stop(m, L7_NOT);
}

/* Optional white space around a field value is not part of it (RFC 9110 section 5.5). */
static inline long l7_trim_step(__u32 i, void *arg)
{
	const struct l7_ctx *c = arg;
	struct l7_msg *m = c->m;
	__u32 b;

	(void)i;
	if (!m->name_len)
		return 1;
	b = l7_u8(c->buf, m->start + m->name_off);
	if (b == ' ' || b == '\t') {
		m->name_off++;
		m->name_len--;
		return 0;
	}
	b = l7_u8(c->buf, m->start + m->name_off + m->name_len - 1);
	if (b != ' ' && b != '\t')
		return 1;
	m->name_len--;
	return 0;
}

/* Where the authority in a target ends; what is malformed may have a space there. */
static inline long l7_authority_step(__u32 i, void *arg)
{
	const struct l7_ctx *c = arg;
	struct l7_msg *m = c->m;
	__u32 b;

	(void)i;
	if (m->pos >= m->end)
		return 1;
	b = l7_u8(c->buf, m->start + m->pos);
	if (b == '/' || b == '?' || b == '#' || b == ' ')
		return 1;
	m->pos++;
	return 0;
}

/* RFC 9112 section 3.2: absolute-form and authority-form name the host; Host wins if there is one. */
static __always_inline void l7_http_target(const struct l7_ctx *c)
{
	struct l7_msg *m = c->m;
	__u32 p = m->start + m->path_off, off = 0, connect = 0;
	__u64 lower = L7_ONES * 0x20, w = l7_word(c->buf, p) | lower;

	m->pos = m->path_off;
	m->end = m->path_off + m->path_len;
	if (m->method_len == 7 &&
	    l7_word(c->buf, m->start) == L7_WORD('C', 'O', 'N', 'N', 'E', 'C', 'T', ' ')) {
		connect = 1;
	} else if (m->path_len > 7 && !((w ^ L7_WORD('h', 't', 't', 'p', ':', '/', '/', 0)) << 8)) {
		off = 7;
	} else if (m->path_len > 8 &&
		   w == (L7_WORD('h', 't', 't', 'p', 's', ':', '/', '/') | lower)) {
		off = 8;
	} else {
		return;
	}
	m->pos += off;
	L7_LOOP(WEIR_PATH_MAX, l7_authority_step, (void *)c);
	if (!m->found) {
		m->found = 1;
		m->name_off = m->path_off + off;
		m->name_len = m->pos - m->name_off;
	}
	if (connect)
		m->pos = m->end;
	m->path_off = m->pos;
	m->path_len = m->end - m->pos;
}

/**
 * l7_http - read an HTTP/1 request
 * @buf: L7_BUF_SIZE + L7_BUF_PAD bytes, mirrored
 * @m:   .start, .len; the rest is overwritten
 *
 * Return: L7_OK: method_len, path, name (Host, or the target's authority); .found = there is one;
 *         .need = length of the head, or of what was seen when the Host is known and the head goes
 *         on (then .need == .len); L7_MORE, L7_LONG, L7_NOT, L7_BAD (Host too long).
 * Source: RFC 9112 sections 3 and 5.
 */
static __always_inline enum l7_result l7_http(const __u8 *buf, struct l7_msg *m)
{
	struct l7_ctx c = {.buf = buf, .m = m};

	m->found = m->lines = m->line = m->pos = m->method_len = 0;
	m->name_off = m->name_len = m->path_off = m->path_len = 0;
	m->result = L7_NOT;
	L7_LOOP(WEIR_METHOD_MAX + 1, l7_method_step, &c);
	if (m->result == L7_OK) {
		m->result = L7_MORE;
		L7_LOOP(L7_BUF_SIZE / 4, l7_http_step, &c);
	}
	m->need = m->pos;
	if (m->result == L7_MORE) {
		m->need = m->len + 1;
		if (!m->found) /* the Host line is complete, or there is none yet */
			return m->len >= L7_BUF_SIZE ? L7_LONG : L7_MORE;
		m->need = m->len;
	} else if (m->result != L7_OK) {
		return m->result;
	}
	L7_LOOP(L7_BUF_SIZE, l7_trim_step, &c);
	l7_http_target(&c);
	if (m->name_len > L7_HOST_MAX)
		return L7_BAD;
	if (!m->name_len)
		m->found = 0;
	return L7_OK;
}

#endif
