/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_text.c - domain names as text. Pure.
 */
#include "loader/name/name.h"

#include <errno.h>

#define LABEL_MAX 63u
#define WIRE_MAX  255u

/* One byte of a label. Return: characters written, at most 4. */
static size_t put_byte(uint8_t c, char *out)
{
	if (c == '.' || c == '\\') {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	if (c >= 0x21 && c <= 0x7e) {
		out[0] = (char)c;
		return 1;
	}
	out[0] = '\\';
	out[1] = (char)('0' + c / 100);
	out[2] = (char)('0' + c / 10 % 10);
	out[3] = (char)('0' + c % 10);
	return 4;
}

int dns_name_text(const uint8_t *wire, size_t len, char *out, size_t cap)
{
	size_t in = 0, n = 0;

	if (len == 0 || len > WIRE_MAX)
		return -EINVAL;
	while (wire[in] != 0) {
		size_t label = wire[in++];

		/* A byte of the next length, or of the root, has to follow. */
		if (label > LABEL_MAX || label >= len - in)
			return -EINVAL;
		if (n) {
			if (cap - n < 2)
				return -ENOSPC;
			out[n++] = '.';
		}
		for (; label; label--) {
			if (cap - n < 5)
				return -ENOSPC;
			n += put_byte(wire[in++], out + n);
		}
	}
	if (in + 1 != len)
		return -EINVAL;
	if (n == 0) {
		if (cap < 2)
			return -ENOSPC;
		out[n++] = '.';
	}
	out[n] = '\0';
	return (int)n;
}
