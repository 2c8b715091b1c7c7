/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dns.c - a UDP payload to the addresses that it gives as an answer, their text, and back.
 *
 * Covers: loader/name/dns_answers.c common/answer_text.c
 * Options: -max_len=2048
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/answer_text.h"
#include "loader/name/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

/* What is written is read as the same; and any bytes are, or are refused. */
static void check_text(const struct answer *a)
{
	char buf[ANSWER_TEXT(NAME_QNAME_TEXT_MAX)];
	const size_t len = answer_text(a, buf);
	struct answer b;

	must(len < sizeof(buf) && !buf[len]);
	must(!answer_parse((struct flow_str){buf, (uint32_t)len}, &b));
	must(b.ttl == a->ttl && !memcmp(a->ip, b.ip, sizeof(a->ip)));
	must(b.name.len == a->name.len && !memcmp(a->name.s, b.name.s, b.name.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_answers found;
	struct answer a;
	char text[NAME_QNAME_TEXT_MAX + 1];
	int r = dns_answers_read(data, size, &found), len;

	answer_parse((struct flow_str){(const char *)data, (uint32_t)size}, &a);
	if (r <= 0)
		return 0;
	must(r == found.n && found.n <= DNS_ADDRESSES_MAX);
	len = dns_name_text(found.qname, found.qname_len, text, sizeof(text));
	must(len > 0);
	a.name = (struct flow_str){text, (uint32_t)len};
	for (int i = 0; i < r; i++) {
		a.ttl = found.v[i].ttl;
		memcpy(a.ip, found.v[i].ip, sizeof(a.ip));
		check_text(&a);
	}
	return 0;
}
