// SPDX-License-Identifier: Apache-2.0
/*
 * num_text.c - numbers and addresses as text; see num_text.h.
 */
#include "common/num_text.h"

#include <stdbool.h>
#include <string.h>

size_t u64_text(uint64_t v, char *buf)
{
	char tmp[U64_TEXT];
	size_t n = 0;

	do {
		tmp[U64_TEXT - ++n] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	memcpy(buf, tmp + U64_TEXT - n, n);
	return n;
}

static char *ip4_text(const uint8_t *ip, char *p)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			*p++ = '.';
		p += u64_text(ip[i], p);
	}
	return p;
}

static char *hex_group(unsigned int v, char *p)
{
	static const char hex[] = "0123456789abcdef";
	bool any = false;

	for (int shift = 12; shift >= 0; shift -= 4) {
		unsigned int d = v >> shift & 15;

		if (d || any || !shift) {
			*p++ = hex[d];
			any = true;
		}
	}
	return p;
}

/* RFC 5952 section 4.2: the longest run of two or more zero groups, the first of equals. */
static int longest_zero_run(const unsigned int *g, int n, int *ret_len)
{
	int best = -1, best_len = 1;

	for (int i = 0; i < n; i++) {
		int len = 0;

		while (i + len < n && !g[i + len])
			len++;
		if (len > best_len) {
			best = i;
			best_len = len;
		}
		i += len;
	}
	*ret_len = best_len;
	return best;
}

static char *ip6_text(const uint8_t *ip, bool mapped, char *p)
{
	const int n = mapped ? 6 : 8; /* RFC 5952 section 5: ::ffff:192.0.2.1 */
	unsigned int g[8];
	int run, run_len;

	for (int i = 0; i < 8; i++)
		g[i] = (unsigned int)ip[2 * i] << 8 | ip[2 * i + 1];
	run = longest_zero_run(g, n, &run_len);
	for (int i = 0; i < n; i++) {
		if (i == run) {
			*p++ = ':';
			*p++ = ':';
			i += run_len - 1;
			continue;
		}
		if (i && i != run + run_len)
			*p++ = ':';
		p = hex_group(g[i], p);
	}
	if (mapped) {
		*p++ = ':';
		p = ip4_text(ip + 12, p);
	}
	return p;
}

size_t ip_text(const uint8_t ip[16], int family, char *buf)
{
	static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	bool mapped = !memcmp(ip, prefix, sizeof(prefix));
	char *p;

	if (family == 4 || (family == 0 && mapped))
		p = ip4_text(ip + 12, buf);
	else
		p = ip6_text(ip, mapped, buf);
	*p = 0;
	return (size_t)(p - buf);
}
