/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - writes one JSON text into a buffer of fixed size. What comes out always parses
 * (RFC 8259): any bytes may go into a string, and a text that does not fit is refused as a whole.
 * No thread of its own, no memory of its own.
 */
#ifndef WEIR_COMMON_JSON_H
#define WEIR_COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char *buf;
	size_t cap;
	size_t len;
	uint32_t depth;
	bool comma; /* the next value needs one before it */
	bool full;
};

/* Start a text in @buf, which must stay until json_end(). */
void json_init(struct json *j, char *buf, size_t cap);

/* Open and close an object ('{', '}') or a list ('[', ']'). */
void json_open(struct json *j, char bracket);
void json_close(struct json *j, char bracket);

/* Member name; plain ASCII without quotes and backslashes (names are ours, not data). */
void json_key(struct json *j, const char *key, size_t len);

void json_u64(struct json *j, uint64_t v);
/* A number with a fraction; what is none (infinite) becomes null. */
void json_f64(struct json *j, double v);

void json_bool(struct json *j, bool v);

/**
 * json_str - a string of any bytes
 *
 * Valid UTF-8 is kept, each byte that is not part of it becomes U+FFFD; control characters (C0,
 * DEL, C1) are escaped, so that a line stays a line and a terminal is not spoken to.
 * Source: RFC 8259 section 7; RFC 3629.
 */
void json_str(struct json *j, const char *s, size_t len);

/**
 * json_end - close the text
 * @ret_len: bytes in the buffer; there is no terminating 0
 *
 * Return: 0, or -ENOSPC: it did not fit, @buf holds nothing of use.
 */
int json_end(struct json *j, size_t *ret_len);

/**
 * utf8_len - length of the UTF-8 character at @s
 *
 * Return: 1 to 4, or 0: not valid (overlong, surrogate, beyond U+10FFFF, cut short).
 */
unsigned int utf8_len(const char *s, size_t len);

#endif
