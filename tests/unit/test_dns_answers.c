/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_dns_answers.c - addresses in DNS answers: chains, compression, records that are not asked for,
 * and messages that are not what they say.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/num_text.h"
#include "loader/name/dns_answers.h"

/* A message put together piece by piece. */
struct msg {
	uint8_t b[4096];
	size_t len;
	struct dns_answers found;
};

static struct msg m;

static void be(unsigned long v, unsigned int n)
{
	while (n)
		m.b[m.len++] = (uint8_t)(v >> 8 * --n);
}

/* "www.a.test"; a final "@12" is a pointer there. */
static void name(const char *s)
{
	while (*s && *s != '@') {
		const size_t n = strcspn(s, ".@");

		be(n, 1);
		memcpy(m.b + m.len, s, n);
		m.len += n;
		s += n + (s[n] == '.');
	}
	if (*s == '@')
		be(0xc000 + (unsigned long)(s[1] - '0') * 10 + (unsigned long)(s[2] - '0'), 2);
	else
		be(0, 1);
}

static void question(const char *qname, unsigned int type, unsigned int answers)
{
	m.len = 0;
	be(0x1234, 2);
	be(0x8180, 2);
	be(1, 2);
	be(answers, 2);
	be(0, 4);
	name(qname);
	be(type, 2);
	be(1, 2);
}

static void head(const char *owner, unsigned int type, unsigned long ttl, unsigned int len)
{
	name(owner);
	be(type, 2);
	be(1, 2);
	be(ttl, 4);
	be(len, 2);
}

static void a(const char *owner, unsigned long ttl, unsigned long ip)
{
	head(owner, 1, ttl, 4);
	be(ip, 4);
}

static void cname(const char *owner, unsigned long ttl, const char *to)
{
	size_t at;

	head(owner, 5, ttl, 0);
	at = m.len;
	name(to);
	m.b[at - 1] = (uint8_t)(m.len - at);
}

/* A copy of its size: who reads past the end is seen by the sanitizers. */
static int read_all(void)
{
	uint8_t *copy = malloc(m.len ? m.len : 1);
	int r;

	cr_assert(copy != NULL);
	memcpy(copy, m.b, m.len);
	r = dns_answers_read(copy, m.len, &m.found);
	free(copy);
	return r;
}

static const char *address(unsigned int i)
{
	static char buf[4][IP_TEXT + U64_TEXT];
	char *p = buf[i % 4];
	const size_t n = ip_text(m.found.v[i].ip, 0, p);

	p[n] = ' ';
	p[n + 1 + u64_text(m.found.v[i].ttl, p + n + 1)] = 0;
	return p;
}

Test(dns_answers, reads_the_addresses_of_the_name_that_was_asked_for)
{
	memset(&m, 0, sizeof(m));
	question("WWW.a.test", 1, 2);
	a("@12", 300, 0xc0000201);
	a("www.A.test", 60, 0xc0000202);
	cr_assert(eq(int, read_all(), 2));
	cr_expect(eq(u16, m.found.id, 0x1234));
	cr_expect(eq(u16, m.found.qtype, 1));
	cr_expect(eq(u16, m.found.qname_len, 12));
	cr_expect(zero(int, memcmp(m.found.qname, "\3WWW\1a\4test", 12)));
	cr_expect(eq(str, (char *)address(0), "192.0.2.1 300"));
	cr_expect(eq(str, (char *)address(1), "192.0.2.2 60"));
}

Test(dns_answers, follows_a_chain_in_any_order_and_takes_the_shortest_ttl)
{
	memset(&m, 0, sizeof(m));
	question("www.a.test", 1, 5);
	a("edge.c.test", 300, 0xc0000201);
	cname("cdn.b.test", 30, "edge.c.test");
	a("edge.c.test", 7, 0xc0000202);
	cname("@12", 600, "CDN.b.test");
	a("other.test", 600, 0xc0000203); /* nobody asked for it */
	cr_assert(eq(int, read_all(), 2));
	cr_expect(eq(str, (char *)address(0), "192.0.2.1 30"));
	cr_expect(eq(str, (char *)address(1), "192.0.2.2 7"));
}

Test(dns_answers, a_chain_that_leads_round_ends)
{
	memset(&m, 0, sizeof(m));
	question("a.test", 1, 3);
	cname("a.test", 60, "b.test");
	cname("b.test", 60, "a.test");
	a("c.test", 60, 0xc0000201);
	cr_expect(eq(int, read_all(), 0));
}

Test(dns_answers, reads_ipv6_and_leaves_other_types_and_classes)
{
	memset(&m, 0, sizeof(m));
	question("six.test", 28, 4);
	head("@12", 28, 0x80000001, 16); /* RFC 2181: 0 */
	be(0x20010db8, 4);
	be(0, 8);
	be(1, 4);
	a("@12", 60, 0xc0000201);
	head("@12", 28, 60, 4); /* no address of that length */
	be(0, 4);
	head("@12", 28, 60, 16);
	m.b[m.len - 7] = 3; /* class CH */
	be(0, 8);
	be(2, 8);
	cr_assert(eq(int, read_all(), 1));
	cr_expect(eq(str, (char *)address(0), "2001:db8::1 0"));
}

Test(dns_answers, keeps_at_most_so_many)
{
	memset(&m, 0, sizeof(m));
	question("many.test", 1, 100);
	for (unsigned int i = 0; i < 100; i++)
		a("@12", 60, 0xc0000200 + i);
	cr_expect(eq(int, read_all(), (int)DNS_ADDRESSES_MAX));
}

Test(dns_answers, what_was_cut_off_does_not_count)
{
	memset(&m, 0, sizeof(m));
	question("cut.test", 1, 2);
	a("@12", 60, 0xc0000201);
	a("@12", 60, 0xc0000202);
	for (size_t len = m.len; len > 0; len--) {
		m.len = len - 1;
		cr_assert(eq(int, read_all(),
			     m.len >= 42   ? 1
			     : m.len >= 26 ? 0
					   : -EINVAL),
			  "%zu octets", m.len);
	}
}

Test(dns_answers, refuses_what_is_no_answer_to_one_question)
{
	memset(&m, 0, sizeof(m));
	question("a.test", 1, 1);
	a("@12", 60, 0xc0000201);
	cr_expect(eq(int, read_all(), 1));
	m.b[2] = 1; /* a query */
	cr_expect(eq(int, read_all(), -EINVAL));
	m.b[2] = 0x81;
	m.b[5] = 2;
	cr_expect(eq(int, read_all(), -EINVAL));
	m.b[5] = 1;
	m.b[12] = 0x41; /* a label type that was never used (RFC 6891 section 5) */
	cr_expect(eq(int, read_all(), -EINVAL));
	question("a.test", 15, 1); /* MX */
	a("@12", 60, 0xc0000201);
	cr_expect(eq(int, read_all(), 0));
}

Test(dns_answers, pointers_lead_back_or_the_name_is_none)
{
	static const uint16_t to[] = {0xc000 + 12, 0xc000 + 24, 0xc000 + 26, 0xc000 + 4000, 0xffff};

	memset(&m, 0, sizeof(m));
	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		question("a.test", 1, 1); /* 24 octets */
		a("@12", 60, 0xc0000201);
		m.b[24] = (uint8_t)(to[i] >> 8);
		m.b[25] = (uint8_t)to[i];
		cr_expect(eq(int, read_all(), i == 0), "pointer %#x", to[i]);
	}
	/* back and forth: 30 -> 28 -> 30 */
	question("a.test", 1, 1);
	m.b[12] = 0xc0;
	m.b[13] = 12;
	cr_expect(eq(int, read_all(), -EINVAL));
}

Test(dns_answers, names_are_as_long_as_names_can_be)
{
	memset(&m, 0, sizeof(m));
	for (unsigned int extra = 0; extra < 2; extra++) {
		question("", 1, 1);
		m.len = 12;
		for (unsigned int i = 0; i < 3; i++) {
			be(63, 1);
			memset(m.b + m.len, 'a' + (int)i, 63);
			m.len += 63;
		}
		be(61 + extra, 1);
		memset(m.b + m.len, 'z', 61 + extra);
		m.len += 61 + extra;
		be(0, 1);
		be(1, 2);
		be(1, 2);
		a("@12", 60, 0xc0000201);
		cr_expect(eq(int, read_all(), extra ? -EINVAL : 1));
	}
}
