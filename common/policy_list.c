// SPDX-License-Identifier: Apache-2.0
/*
 * policy_list.c - a file with one address, network or name a line, as entries. Lists have a million
 * lines: IPv4 is read by hand, everything else by libc. "#" and ";" begin a comment.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "common/policy.h"
#include "common/scan.h"

#define WORD_MAX 300u

/* "192.0.2.1" at @s, at most @len letters. Return: letters taken, 0: none. */
static size_t scan_ip4(const char *s, size_t len, uint8_t ip[4])
{
	size_t i = 0;

	for (unsigned int part = 0; part < 4; part++) {
		unsigned int v = 0, digits = 0;

		if (part && (i == len || s[i++] != '.'))
			return 0;
		for (; i < len && s[i] >= '0' && s[i] <= '9' && digits < 3; i++, digits++)
			v = v * 10 + (unsigned int)(s[i] - '0');
		if (!digits || v > 255 || (digits > 1 && s[i - digits] == '0'))
			return 0;
		ip[part] = (uint8_t)v;
	}
	return i;
}

static const char *mask(struct policy_addr *a)
{
	for (unsigned int i = 0; i < 16; i++) {
		const unsigned int keep = a->bits >= (i + 1) * 8 ? 8
					  : a->bits > i * 8	 ? a->bits - i * 8
								 : 0;

		if (a->addr[i] & (0xff >> keep))
			return "the network has bits behind its prefix";
	}
	return NULL;
}

/* Return: NULL, or what is wrong. */
static const char *scan_addr(const char *s, size_t len, struct policy_addr *a)
{
	const size_t n = scan_ip4(s, len, a->addr + 12);
	const char *slash = memchr(s, '/', len);
	char text[WORD_MAX];
	uint64_t bits;

	if (n && (n == len || s[n] == '/')) {
		a->addr[10] = a->addr[11] = 0xff;
	} else {
		const size_t ip = slash ? (size_t)(slash - s) : len;

		memcpy(text, s, ip);
		text[ip] = '\0';
		memset(a->addr, 0, sizeof(a->addr));
		if (inet_pton(AF_INET6, text, a->addr) != 1)
			return "neither an address nor a network";
	}
	a->bits = 128;
	if (!slash)
		return NULL;
	memcpy(text, slash + 1, len - (size_t)(slash + 1 - s));
	text[len - (size_t)(slash + 1 - s)] = '\0';
	if (scan_u64(text, 0, n ? 32 : 128, &bits))
		return n ? "the prefix length is 0 to 32" : "the prefix length is 0 to 128";
	a->bits = (uint8_t)(bits + (n ? 96 : 0));
	return mask(a);
}

static const char *put_name(const char *s, size_t len, struct policy_name *n)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] <= ' ' || s[i] >= 0x7f || s[i] == '*' || s[i] == '/')
			return "no name";
		n->name[i] = (uint8_t)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] | 0x20 : s[i]);
	}
	n->length = (uint16_t)len;
	return NULL;
}

/* "example.com": that name; ".example.com": it and all below; "*.example.com": those below. */
static const char *scan_name(const char *s, size_t len, struct policy_name *n)
{
	n->how = NAME_EXACT;
	if (len > 1 && s[0] == '.') {
		n->how = NAME_BELOW;
		s++;
		len--;
	} else if (len > 2 && s[0] == '*' && s[1] == '.') {
		n->how = NAME_SUFFIX;
		s++;
		len--;
	}
	if (len && s[len - 1] == '.')
		len--;
	if (!len || len >= POLICY_NAME_MAX)
		return "a name has 1 to 255 letters";
	return put_name(s, len, n);
}

static bool looks_like_address(const char *s, size_t len)
{
	uint8_t ip[4];

	return memchr(s, ':', len) || scan_ip4(s, len, ip);
}

static const char *add_word(struct policy_list *list, const char *s, size_t len)
{
	struct policy_draft d = {};
	const enum policy_type type = list->names ? POLICY_NAME : POLICY_ADDR;
	struct policy_addr a = {.role = ROLE_EITHER};
	struct policy_name n;
	const char *why;
	int r;

	if (len >= WORD_MAX)
		return "the line is too long";
	if (list->names) {
		n = (struct policy_name){.kinds = NAME_SNI};
		why = scan_name(s, len, &n);
	} else {
		why = scan_addr(s, len, &a);
	}
	if (why)
		return why;
	d.of[type] = list->items;
	r = policy_add(&d, type, list->names ? (const void *)&n : &a);
	list->items = d.of[type];
	return r ? r == -E2BIG ? "too many lines" : "out of memory" : NULL;
}

/* The word of a line: from the first that is no blank, up to a blank or a comment. */
static size_t find_word(const char **s, const char *stop)
{
	size_t n = 0;

	while (*s < stop && (**s == ' ' || **s == '\t'))
		++*s;
	while (*s + n < stop && !strchr("#; \t\r", (*s)[n]))
		n++;
	return n;
}

int policy_scan_list(const char *text, size_t len, struct policy_list *ret, unsigned int *ret_line,
		     const char **ret_why)
{
	const char *at = text, *end = text + len;
	bool first = true;

	for (*ret_line = 1; at < end; ++*ret_line) {
		const char *nl = memchr(at, '\n', (size_t)(end - at)), *s = at;
		const size_t n = find_word(&s, nl ?: end);

		at = nl ? nl + 1 : end;
		if (!n)
			continue;
		if (first)
			ret->names = !looks_like_address(s, n);
		first = false;
		*ret_why = add_word(ret, s, n);
		if (*ret_why)
			return -EINVAL;
	}
	return 0;
}
