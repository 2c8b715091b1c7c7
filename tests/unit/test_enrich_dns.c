/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_enrich_dns.c - names learnt from answers of DNS: which flows have them, for how long, and what is
 * said of where a name is from.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "enrich_rig.h"

static void start_at(struct block *b, uint32_t row, int64_t us)
{
	BLOCK_COLUMN(b, int64_t, BC_START)[row] = us;
	block_set_valid(b, BC_START, row);
}

/* A flow to a resolver, over at END_US, that got these answers. */
static void add_answers(struct block *b, const char *const *answers, uint32_t n)
{
	struct flow_str v[FLOW_ANSWERS_MAX];
	const struct flow_strs list = {v, n};

	for (uint32_t i = 0; i < n; i++)
		v[i] = (struct flow_str){answers[i], (uint32_t)strlen(answers[i])};
	add(b, "10.0.0.1", "10.0.0.53", NULL, END_US);
	start_at(b, b->rows - 1, END_US);
	cr_assert(eq(int, block_put_list(b, BC_DNS_ANSWERS, b->rows - 1, &list), 0));
}

static const char *named(const struct block *b, enum block_column c, uint32_t row)
{
	static const char *const words[] = {"", "site", "sni", "host", "dns"};

	return words[block_is_valid(b, c, row) ? BLOCK_COLUMN(b, uint8_t, c)[row] : 0];
}

Test(enrich, answers_of_dns_name_flows_to_their_addresses_until_the_ttl_is_over, .timeout = 120)
{
	static const char *const answers[] = {
		"Mail.Example.com 300 198.51.100.9",
		"six.example.com 300 2001:db8::9",
		"blocked.example 300 0.0.0.0",
		"blocked.example 300 127.0.0.1",
		"blocked.example 300 ::",
		"no\\032name 300 198.51.100.10",
		"short 198.51.100.11",
		"far.example.com x 198.51.100.12",
		"soon.example.com 1 198.51.100.13",
	};
	static const struct {
		const char *dst;
		int64_t start_s, end_s;
		const char *name;
	} flows[] = {
		{"198.51.100.9", 0, 1, "mail.example.com"},
		{"2001:db8::9", 300, 301, "six.example.com"},
		{"198.51.100.9", 302, 310, ""},
		{"198.51.100.9", -9, -8, ""},
		{"0.0.0.0", 0, 1, ""},
		{"127.0.0.1", 0, 1, ""},
		{"::", 0, 1, ""},
		{"198.51.100.10", 0, 1, ""},
		{"198.51.100.11", 0, 1, ""},
		{"198.51.100.12", 0, 1, ""},
		{"198.51.100.13", 59, 60, "soon.example.com"}, /* a minute at least */
		{"198.51.100.13", 200, 201, ""},
	};
	const uint32_t n = sizeof(flows) / sizeof(flows[0]);
	struct rig g;
	struct block *b;

	if (!open_rig(&g, "names-keep = 10m\n"))
		cr_skip_test("no libduckdb");
	b = take(&g);
	add_answers(b, answers, sizeof(answers) / sizeof(answers[0]));
	for (uint32_t i = 0; i < n; i++) {
		add(b, "10.0.0.2", flows[i].dst, NULL, END_US + flows[i].end_s * SECOND);
		start_at(b, b->rows - 1, END_US + flows[i].start_s * SECOND);
	}
	enrich_block(g.e, b);
	for (uint32_t i = 0; i < n; i++) {
		cr_expect(eq(str, (char *)text(b, BC_DST_NAME, i + 1), (char *)flows[i].name),
			  "%s at %lld", flows[i].dst, (long long)flows[i].start_s);
		cr_expect(eq(str, (char *)named(b, BC_DST_NAMED, i + 1),
			     *flows[i].name ? "dns" : ""));
	}
	block_put(g.q.store.pool, b);
	done(&g);
}

/* Its first record in the time of the answer, the others as it goes on; then somebody else. */
Test(enrich, a_flow_keeps_the_name_of_the_answer_that_it_began_with, .timeout = 120)
{
	static const char *const answers[] = {"db.example.com 30 198.51.100.9"};
	struct rig g;
	struct block *b;

	if (!open_rig(&g, ""))
		cr_skip_test("no libduckdb");
	b = take(&g);
	add_answers(b, answers, 1);
	enrich_block(g.e, b);
	block_put(g.q.store.pool, b);
	for (unsigned int i = 0; i < 30; i++) {
		b = take(&g);
		add(b, "10.0.0.2", "198.51.100.9", NULL, END_US + (i * 60 + 61) * SECOND);
		start_at(b, 0, END_US + (i * 60 + 1) * SECOND);
		enrich_block(g.e, b);
		cr_assert(eq(str, (char *)text(b, BC_DST_NAME, 0), "db.example.com"), "minute %u",
			  i);
		block_put(g.q.store.pool, b);
	}
	b = take(&g);
	add(b, "10.0.0.2", "198.51.100.9", NULL, END_US + 2400 * SECOND);
	start_at(b, 0, END_US + 2399 * SECOND);
	enrich_block(g.e, b);
	cr_expect(eq(str, (char *)text(b, BC_DST_NAME, 0), ""));
	block_put(g.q.store.pool, b);
	done(&g);
}

Test(enrich, says_where_a_name_is_from, .timeout = 120)
{
	static const char *const answers[] = {"www.example.com 30 198.51.100.7",
					      "alias.example.com 30 198.51.100.8"};
	struct rig g;
	struct block *b;

	if (!open_rig(&g, "names-keep = 10m\n"))
		cr_skip_test("no libduckdb");
	b = take(&g);
	add(b, "10.0.0.1", "198.51.100.7", "www.example.com", END_US - SECOND);
	add(b, "10.0.0.1", "198.51.100.8", "www.example.com", END_US - SECOND);
	add_answers(b, answers, 2);
	add(b, "10.0.0.53", "198.51.100.7", NULL, END_US + SECOND);
	enrich_block(g.e, b);
	cr_expect(eq(str, (char *)named(b, BC_SRC_NAMED, 3), "site"));
	block_put(g.q.store.pool, b);
	b = take(&g);
	add_answers(b, answers, 2);
	add(b, "10.0.0.2", "198.51.100.7", NULL, END_US + 500 * SECOND);
	add(b, "10.0.0.2", "198.51.100.8", NULL, END_US + SECOND);
	enrich_block(g.e, b);
	/* the same name: that it was asked for there says more; another one: the latest counts */
	cr_expect(eq(str, (char *)named(b, BC_DST_NAMED, 1), "sni"));
	cr_expect(eq(str, (char *)text(b, BC_DST_NAME, 2), "alias.example.com"));
	cr_expect(eq(str, (char *)named(b, BC_DST_NAMED, 2), "dns"));
	block_put(g.q.store.pool, b);
	done(&g);
}
