// SPDX-License-Identifier: Apache-2.0
/*
 * json.c - see json.h.
 */
#include "common/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/num_text.h"

void json_init(struct json *j, char *buf, size_t cap)
{
	*j = (struct json){.buf = buf, .cap = cap};
}

static char *take(struct json *j, size_t n)
{
	char *p = j->buf + j->len;

	if (j->full || n > j->cap - j->len) {
		j->full = true;
		return NULL;
	}
	j->len += n;
	return p;
}

static void put(struct json *j, const char *s, size_t n)
{
	char *p = take(j, n);

	if (p && n)
		memcpy(p, s, n);
}

static void comma(struct json *j)
{
	if (j->comma)
		put(j, ",", 1);
	j->comma = true;
}

void json_open(struct json *j, char bracket)
{
	comma(j);
	put(j, &bracket, 1);
	j->comma = false;
	j->depth++;
}

void json_close(struct json *j, char bracket)
{
	put(j, &bracket, 1);
	j->comma = true;
	j->depth--;
}

void json_key(struct json *j, const char *key, size_t len)
{
	char *p;

	comma(j);
	p = take(j, len + 3);
	if (!p)
		return;
	p[0] = '"';
	memcpy(p + 1, key, len);
	p[len + 1] = '"';
	p[len + 2] = ':';
	j->comma = false;
}

void json_u64(struct json *j, uint64_t v)
{
	char text[U64_TEXT];

	comma(j);
	put(j, text, u64_text(v, text));
}

void json_f64(struct json *j, double v)
{
	char text[40];

	comma(j);
	if (isfinite(v))
		put(j, text, (size_t)snprintf(text, sizeof(text), "%.17g", v));
	else
		put(j, "null", 4);
}

void json_bool(struct json *j, bool v)
{
	comma(j);
	put(j, v ? "true" : "false", v ? 4 : 5);
}

/* Length that the first byte promises, 0 = no first byte; and what the second one may be, which
 * rules out overlong forms, surrogates and what is beyond U+10FFFF.
 */
static unsigned int utf8_lead(unsigned int c, unsigned int *ret_low, unsigned int *ret_high)
{
	*ret_low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	*ret_high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

unsigned int utf8_len(const char *str, size_t len)
{
	const unsigned char *s = (const unsigned char *)str;
	unsigned int n, low, high;

	if (!len)
		return 0;
	if (s[0] < 0x80)
		return 1;
	n = utf8_lead(s[0], &low, &high);
	if (!n || n > len || s[1] < low || s[1] > high)
		return 0;
	for (unsigned int i = 2; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

static void put_escape(struct json *j, unsigned int c)
{
	static const char hex[] = "0123456789abcdef";
	char u[6] = {'\\', 'u', '0', '0', hex[c >> 4 & 15], hex[c & 15]};
	char two[2] = {'\\', (char)c};

	switch (c) {
	case '"':
	case '\\':
		break;
	case '\n':
		two[1] = 'n';
		break;
	case '\r':
		two[1] = 'r';
		break;
	case '\t':
		two[1] = 't';
		break;
	default:
		put(j, u, sizeof(u));
		return;
	}
	put(j, two, sizeof(two));
}

static inline bool plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* One character that is not plain; returns the bytes of it that were taken. */
static size_t put_odd(struct json *j, const char *s, size_t len)
{
	unsigned char c = (unsigned char)*s;
	unsigned int n;

	if (c < 0x80) {
		put_escape(j, c);
		return 1;
	}
	n = utf8_len(s, len);
	if (!n) {
		put(j, "\\ufffd", 6);
		return 1;
	}
	if (n == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0)
		put_escape(j, (unsigned char)s[1]);
	else
		put(j, s, n);
	return n;
}

void json_str(struct json *j, const char *s, size_t len)
{
	size_t i = 0;

	comma(j);
	put(j, "\"", 1);
	while (i < len && !j->full) {
		size_t from = i;

		while (i < len && plain((unsigned char)s[i]))
			i++;
		put(j, s + from, i - from);
		if (i < len)
			i += put_odd(j, s + i, len - i);
	}
	put(j, "\"", 1);
}

int json_end(struct json *j, size_t *ret_len)
{
	if (j->full || j->depth)
		return -ENOSPC;
	*ret_len = j->len;
	return 0;
}
