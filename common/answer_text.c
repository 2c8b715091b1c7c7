// SPDX-License-Identifier: Apache-2.0
#include "common/answer_text.h"

#include <errno.h>
#include <string.h>

#include "common/address.h"

#define TTL_DIGITS 10u

/* IANA: DNS resource record types */
enum { TYPE_A = 1, TYPE_AAAA = 28 };

size_t answer_text(const struct answer *a, char *buf)
{
	char *p = buf;

	memcpy(p, a->name.s, a->name.len);
	p += a->name.len;
	*p++ = ' ';
	p += u64_text(a->ttl, p);
	*p++ = ' ';
	return (size_t)(p - buf) + ip_text(a->ip, 0, p);
}

int answer_parse(struct flow_str s, struct answer *ret)
{
	const char *end = s.s + s.len, *p = memchr(s.s, ' ', s.len), *last;
	char ip[IP_TEXT];
	uint64_t ttl = 0;

	if (!p || p == s.s)
		return -EINVAL;
	ret->name = (struct flow_str){s.s, (uint32_t)(p - s.s)};
	last = ++p;
	for (; p < end && p - last < (ptrdiff_t)TTL_DIGITS && *p >= '0' && *p <= '9'; p++)
		ttl = ttl * 10 + (uint64_t)(*p - '0');
	if (p == last || p == end || *p != ' ' || ttl > UINT32_MAX)
		return -EINVAL;
	p++;
	if (p == end || (size_t)(end - p) >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, p, (size_t)(end - p));
	ip[end - p] = 0;
	ret->ttl = (uint32_t)ttl;
	return address_ip(ip, ret->ip);
}

uint16_t answer_type(const struct answer *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(a->ip, mapped, sizeof(mapped)) ? TYPE_AAAA : TYPE_A;
}
