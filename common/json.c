// SPDX-License-Identifier: Apache-2.0
/*
 * json.c - see json.h.
 */
#include "common/json.h"

#include <errno.h>
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

unsigned int utf8_len(const char *str, size_t len)
{
	const unsigned char *s = (const unsigned char *)str;
	unsigned int n, low = 0x80, high = 0xbf;

	if (!len)
		return 0;
	if (s[0] < 0x80)
		return 1;
	n = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
	if (!n || n > len)
		return 0;
	/* The second byte rules out overlong forms, surrogates and what is beyond U+10FFFF. */
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
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
