/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address.h - "192.0.2.1:80" and "[2001:db8::1]:80" as socket addresses. No names: nothing is looked
 * up. Any thread.
 */
#ifndef WEIR_COMMON_ADDRESS_H
#define WEIR_COMMON_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>

struct address {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

/* Return: 0, -EINVAL: no such text, or a port that is not 1 to 65535. */
int address_parse(const char *text, struct address *ret);

/* An address alone, IPv4 as ::ffff:a.b.c.d. Return: 0, -EINVAL. */
int address_ip(const char *text, unsigned char ret[16]);

#endif
