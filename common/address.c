// SPDX-License-Identifier: Apache-2.0
#include "common/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/scan.h"

int address_parse(const char *text, struct address *ret)
{
	const char *colon = strrchr(text, ':');
	struct address a = {};
	uint64_t port;
	char host[64];
	size_t len;
	bool v6;

	if (!colon || scan_u64(colon + 1, 1, 65535, &port))
		return -EINVAL;
	len = (size_t)(colon - text);
	v6 = len > 2 && text[0] == '[' && text[len - 1] == ']';
	if (len >= sizeof(host))
		return -EINVAL;
	snprintf(host, sizeof(host), "%.*s", (int)(len - 2 * v6), text + v6);
	a.sa.sa_family = v6 ? AF_INET6 : AF_INET;
	if (inet_pton(a.sa.sa_family, host, v6 ? (void *)&a.v6.sin6_addr : &a.v4.sin_addr) != 1)
		return -EINVAL;
	if (v6)
		a.v6.sin6_port = htons((uint16_t)port);
	else
		a.v4.sin_port = htons((uint16_t)port);
	a.len = v6 ? sizeof(a.v6) : sizeof(a.v4);
	*ret = a;
	return 0;
}

int address_ip(const char *text, unsigned char ret[16])
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (inet_pton(AF_INET, text, ret + 12) == 1) {
		memcpy(ret, mapped, sizeof(mapped));
		return 0;
	}
	return inet_pton(AF_INET6, text, ret) == 1 ? 0 : -EINVAL;
}
