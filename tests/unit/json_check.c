// SPDX-License-Identifier: Apache-2.0
/*
 * json_check.c - see json_check.h.
 */
#include "json_check.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define DEPTH_MAX   8
#define MEMBERS_MAX 64

struct reader {
	const char *s, *end, *p;
	const char *path; /* searched for, or NULL */
	const char *found;
	size_t found_len;
};

static bool value(struct reader *r, int depth, const char *path);

static bool eat(struct reader *r, char c)
{
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

/* Decodes one character the slow way: the code point, then what RFC 3629 forbids. */
static bool utf8(struct reader *r)
{
	const unsigned char *p = (const unsigned char *)r->p;
	size_t left = (size_t)(r->end - r->p), n;
	uint32_t c;

	if (p[0] < 0x80) {
		r->p++;
		return p[0] >= 0x20 && p[0] != 0x7f;
	}
	if ((p[0] & 0xe0) == 0xc0) {
		n = 2;
		c = p[0] & 0x1f;
	} else if ((p[0] & 0xf0) == 0xe0) {
		n = 3;
		c = p[0] & 0x0f;
	} else if ((p[0] & 0xf8) == 0xf0) {
		n = 4;
		c = p[0] & 0x07;
	} else {
		return false;
	}
	if (left < n)
		return false;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return false;
		c = c << 6 | (p[i] & 0x3f);
	}
	r->p += n;
	if (c < (n == 2 ? 0xa0u : n == 3 ? 0x800u : 0x10000u) || c > 0x10ffff)
		return false; /* overlong, or a C1 control character */
	return c < 0xd800 || c > 0xdfff;
}

static bool escape(struct reader *r)
{
	if (r->p == r->end)
		return false;
	if (*r->p++ != 'u')
		return strchr("\"\\/bfnrt", r->p[-1]) != NULL && r->p[-1];
	for (int i = 0; i < 4; i++) {
		if (r->p == r->end || !strchr("0123456789abcdefABCDEF", *r->p) || !*r->p)
			return false;
		r->p++;
	}
	return true;
}

static bool string(struct reader *r)
{
	if (!eat(r, '"'))
		return false;
	while (r->p < r->end && *r->p != '"') {
		if (*r->p == '\\') {
			r->p++;
			if (!escape(r))
				return false;
		} else if (!utf8(r)) {
			return false;
		}
	}
	return eat(r, '"');
}

static bool number(struct reader *r)
{
	const char *from = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return r->p > from && (*from != '0' || r->p == from + 1);
}

static bool truth(struct reader *r)
{
	const size_t len = *r->p == 't' ? 4 : 5;

	if ((size_t)(r->end - r->p) < len || memcmp(r->p, len == 4 ? "true" : "false", len) != 0)
		return false;
	r->p += len;
	return true;
}

static bool list(struct reader *r, int depth)
{
	if (eat(r, ']'))
		return true;
	do {
		if (!value(r, depth + 1, NULL))
			return false;
	} while (eat(r, ','));
	return eat(r, ']');
}

static const char *below(const char *path, const char *key, size_t len)
{
	if (!path || strncmp(path, key, len) != 0)
		return NULL;
	return path[len] == '.' ? path + len + 1 : path[len] ? NULL : "";
}

static bool object(struct reader *r, int depth, const char *path)
{
	const char *key[MEMBERS_MAX];
	size_t key_len[MEMBERS_MAX], n = 0;

	if (eat(r, '}'))
		return true;
	do {
		if (n == MEMBERS_MAX)
			return false;
		key[n] = r->p;
		if (!string(r))
			return false;
		key_len[n] = (size_t)(r->p - key[n]);
		for (size_t i = 0; i < n; i++) {
			if (key_len[i] == key_len[n] && !memcmp(key[i], key[n], key_len[n]))
				return false;
		}
		if (!eat(r, ':') || !value(r, depth + 1, below(path, key[n] + 1, key_len[n] - 2)))
			return false;
		n++;
	} while (eat(r, ','));
	return eat(r, '}');
}

static bool value(struct reader *r, int depth, const char *path)
{
	const char *from = r->p;
	bool ok;

	if (depth > DEPTH_MAX || r->p == r->end)
		return false;
	if (eat(r, '{'))
		ok = object(r, depth, path);
	else if (eat(r, '['))
		ok = list(r, depth);
	else if (*r->p == '"')
		ok = string(r);
	else if (*r->p == 't' || *r->p == 'f')
		ok = truth(r);
	else
		ok = number(r);
	if (ok && path && !*path) {
		r->found = from;
		r->found_len = (size_t)(r->p - from);
	}
	return ok;
}

size_t json_check(const char *s, size_t len)
{
	struct reader r = {.s = s, .end = s + len, .p = s};

	return value(&r, 0, NULL) && r.p == r.end ? 0 : (size_t)(r.p - s) + 1;
}

size_t json_find(const char *s, size_t len, const char *path, const char **ret)
{
	struct reader r = {.s = s, .end = s + len, .p = s};

	value(&r, 0, path);
	*ret = r.found;
	return r.found_len;
}
