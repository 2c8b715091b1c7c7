/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns_answers.h - the addresses that a DNS answer gives for the name that was asked for. Pure: bytes
 * in, bounded results out, whatever the bytes are.
 */
#ifndef WEIR_LOADER_NAME_DNS_ANSWERS_H
#define WEIR_LOADER_NAME_DNS_ANSWERS_H

#include <stddef.h>
#include <stdint.h>

#define DNS_WIRE_MAX	  255u /* octets of a name, RFC 1035 section 3.1 */
#define DNS_RECORDS_MAX	  64u  /* records of the answer section that are looked at */
#define DNS_CHAIN_MAX	  16u  /* CNAMEs that are followed */
#define DNS_ADDRESSES_MAX 16u

struct dns_address {
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint32_t ttl;	/* seconds; the shortest on the way there */
};

struct dns_answers {
	uint16_t id;
	uint16_t flags; /* header flags word */
	uint16_t qtype;
	uint16_t qname_len;	     /* octets, root label included */
	uint8_t qname[DNS_WIRE_MAX]; /* wire form, as asked */
	uint8_t n;
	struct dns_address v[DNS_ADDRESSES_MAX];
};

/**
 * dns_answers_read - addresses in the answer section of a response
 * @msg, @len: the message without a length in front; its end may be missing, then what is there counts
 *
 * Only records count that CNAMEs lead to from the name in the question, in whatever order they are, of
 * class IN, and A or AAAA as was asked.
 * Return: how many addresses; 0: none; -EINVAL: no response to one question, or it contradicts itself
 *         before the answers.
 * Source: RFC 1035 sections 3.2.1, 4.1, 4.1.4; RFC 1034 section 3.6.2; RFC 2181 section 8 (TTL).
 */
int dns_answers_read(const uint8_t *msg, size_t len, struct dns_answers *ret);

#endif
