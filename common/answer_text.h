/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer_text.h - one element of dns.answers: "NAME TTL ADDRESS". A name in presentation form has no
 * blank in it. Pure.
 */
#ifndef WEIR_COMMON_ANSWER_TEXT_H
#define WEIR_COMMON_ANSWER_TEXT_H

#include "common/flow.h"
#include "common/num_text.h"

#define ANSWER_TEXT(name_len) ((name_len) + 1u + U64_TEXT + 1u + IP_TEXT)

struct answer {
	struct flow_str name;
	uint32_t ttl;	/* seconds */
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
};

/* @buf: ANSWER_TEXT(a->name.len) octets. Return: length; it is terminated. */
size_t answer_text(const struct answer *a, char *buf);

/* @ret: the name points into @s. Return: 0, -EINVAL: no such text. */
int answer_parse(struct flow_str s, struct answer *ret);

/* Of the record that it is from: A or AAAA, as a number. */
uint16_t answer_type(const struct answer *a);

#endif
