// SPDX-License-Identifier: Apache-2.0
/*
 * test_enrich.c - what is added to flows: systems and countries of databases made here, zones and
 * names of a list, names that clients asked for; how sources are replaced, and what is wrong with them.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "enrich_rig.h"

#define COUNTRY(a, b) ((uint64_t)((a) << 8 | (b)))

Test(enrich, adds_what_the_sources_know, .timeout = 120)
{
	struct rig g;
	struct block *b;

	if (!open_rig(&g, ""))
		cr_skip_test("no libduckdb");
	b = take(&g);
	add(b, "10.0.0.53", "198.51.100.1", NULL, END_US);
	add(b, "198.51.100.200", "203.0.113.9", NULL, END_US);
	add(b, "2001:db8:1::1", "2001:dead::1", NULL, END_US);
	add(b, "192.0.2.1", "10.9.9.9", NULL, END_US);
	BLOCK_COLUMN(b, uint32_t, BC_DST_AS)[1] = 65000; /* as exported */
	block_set_valid(b, BC_DST_AS, 1);
	enrich_block(g.e, b);
	cr_expect(eq(u64, number(b, BC_SRC_AS, 0), 0));
	cr_expect(eq(u64, number(b, BC_DST_AS, 0), 64500));
	cr_expect(eq(u64, number(b, BC_DST_COUNTRY, 0), COUNTRY('D', 'E')));
	cr_expect(eq(str, (char *)text(b, BC_SRC_NAME, 0), "resolver.example"));
	cr_expect(gt(u64, number(b, BC_SRC_ZONE, 0), 0));
	cr_expect(eq(u64, number(b, BC_DST_ZONE, 0), 0));
	cr_expect(eq(u64, number(b, BC_SRC_AS, 1), 64501));
	cr_expect(eq(u64, number(b, BC_SRC_COUNTRY, 1), COUNTRY('C', 'Z')));
	cr_expect(eq(u64, number(b, BC_DST_AS, 1), 65000));
	cr_expect(eq(u64, number(b, BC_DST_COUNTRY, 1), COUNTRY('A', 'T')));
	cr_expect(eq(u64, number(b, BC_SRC_AS, 2), 64503));
	cr_expect(eq(u64, number(b, BC_SRC_COUNTRY, 2), COUNTRY('S', 'K')));
	cr_expect(eq(u64, number(b, BC_DST_AS, 2), 0));
	cr_expect(eq(u64, number(b, BC_SRC_AS, 3), 0));
	cr_expect(eq(u64, number(b, BC_SRC_COUNTRY, 3), COUNTRY('H', 'U')));
	cr_expect(eq(u64, number(b, BC_DST_ZONE, 3), number(b, BC_SRC_ZONE, 0)));
	cr_expect(eq(str, (char *)text(b, BC_DST_NAME, 3), ""));
	block_put(g.q.store.pool, b);
	done(&g);
}

/* More addresses than a thread remembers, each several times, against one network after the other. */
Test(enrich, says_the_same_of_every_address_however_many_there_are, .timeout = 120)
{
	struct rig g;
	uint32_t seed = 1, rows = 0;

	if (!open_rig(&g, ""))
		cr_skip_test("no libduckdb");
	for (unsigned int n = 0; n < 6; n++) {
		struct block *b = take(&g);

		while (b->rows < BLOCK_ROWS) {
			char src[INET_ADDRSTRLEN], dst[INET_ADDRSTRLEN];

			seed = seed * 1103515245 + 12345;
			snprintf(src, sizeof(src), "198.51.%u.%u", 99 + (seed >> 16) % 3,
				 seed >> 24);
			snprintf(dst, sizeof(dst), "203.%u.%u.%u", (seed >> 8) % 2,
				 seed >> 20 & 0xff, seed >> 12 & 0xff);
			add(b, src, dst, NULL, END_US);
		}
		enrich_block(g.e, b);
		for (uint32_t row = 0; row < b->rows; row++, rows++) {
			const uint32_t src = (uint32_t)BLOCK_COLUMN(b, uint64_t, BC_SRC_LO)[row];
			const uint32_t dst = (uint32_t)BLOCK_COLUMN(b, uint64_t, BC_DST_LO)[row];
			const uint64_t want = src >> 7 == 0xc6336480 >> 7   ? 64501
					      : src >> 8 == 0xc6336400 >> 8 ? 64500
									    : 0;

			cr_assert(eq(u64, number(b, BC_SRC_AS, row), want), "%08x", src);
			cr_assert(eq(u64, number(b, BC_DST_AS, row),
				     dst >> 8 == 0xcb007100 >> 8 ? 64502 : 0),
				  "%08x", dst);
		}
		block_put(g.q.store.pool, b);
	}
	cr_expect(eq(u32, rows, 6 * BLOCK_ROWS));
	done(&g);
}

/* ---- replacing sources ---- */

static uint64_t as_of(struct rig *g, const char *address)
{
	struct block *b = take(g);
	uint64_t as;

	add(b, address, "10.1.1.1", NULL, END_US);
	enrich_block(g->e, b);
	as = number(b, BC_SRC_AS, 0);
	block_put(g->q.store.pool, b);
	return as;
}

Test(enrich, a_new_database_takes_over_and_a_bad_one_does_not, .timeout = 120)
{
	static const struct mmdb_network other[] = {{"198.51.100.0/24", 64999, "Other", NULL}};
	struct rig g;
	int fd;

	if (!open_rig(&g, ""))
		cr_skip_test("no libduckdb");
	cr_expect(eq(u64, as_of(&g, "198.51.100.1"), 64500));
	cr_assert(eq(int, mmdb_make(g.asn, other, 1), 0));
	/* written over where it was: what is in force is not touched */
	cr_expect(eq(u64, as_of(&g, "198.51.100.2"), 64500));
	enrich_reload(g.e, g.s);
	cr_expect(eq(u64, as_of(&g, "198.51.100.1"), 64999));
	write_text(g.asn, "this is no database");
	enrich_reload(g.e, g.s);
	cr_expect(eq(u64, as_of(&g, "198.51.100.1"), 64999));
	unlink(g.asn);
	enrich_reload(g.e, g.s);
	cr_expect(eq(u64, as_of(&g, "198.51.100.1"), 64999));
	/* the tree of one that looks well is destroyed */
	cr_assert(eq(int, mmdb_make(g.asn, rig_networks, RIG_NETWORKS), 0));
	fd = open(g.asn, O_WRONLY);
	for (int at = 800; at < 1600; at += 4)
		cr_assert(eq(i64, pwrite(fd, "\xff\xff\xff\xf0", 4, at), 4));
	close(fd);
	enrich_reload(g.e, g.s);
	cr_expect(eq(u64, as_of(&g, "198.51.100.1"), 64999));
	unlink(g.asn);
	snprintf(g.asn, sizeof(g.asn), "none");
	configure(&g, "");
	enrich_reload(g.e, g.s);
	cr_expect(eq(u64, as_of(&g, "198.51.100.1"), 0));
	done(&g);
}

Test(enrich, a_database_that_is_none_stops_the_start, .timeout = 120)
{
	struct enrich *e = NULL;
	struct rig g;

	if (!open_rig(&g, ""))
		cr_skip_test("no libduckdb");
	write_text(g.country, "no database");
	cr_expect(eq(int, enrich_new(g.s, g.q.store.s, &e), -EINVAL));
	unlink(g.country);
	cr_expect(eq(int, enrich_new(g.s, g.q.store.s, &e), -EINVAL));
	cr_expect(e == NULL);
	/* for filters alone it is not wanted */
	cr_expect(eq(int, enrich_new(g.s, NULL, &e), 0));
	enrich_free(e);
	done(&g);
}

/* ---- names that clients asked for ---- */

Test(enrich, flows_without_a_name_get_the_one_that_was_asked_for_last, .timeout = 120)
{
	struct rig g;
	struct block *b;

	if (!open_rig(&g, "names-keep = 10m\n"))
		cr_skip_test("no libduckdb");
	b = take(&g);
	add(b, "10.0.0.1", "198.51.100.7", "WWW.Example.com", END_US);
	add(b, "10.0.0.2", "198.51.100.7", NULL, END_US + SECOND);
	add(b, "10.0.0.2", "198.51.100.8", "bad name!", END_US);
	add(b, "10.0.0.2", "198.51.100.8", NULL, END_US);
	enrich_block(g.e, b);
	/* not twice in one flow */
	cr_expect(eq(str, (char *)text(b, BC_DST_NAME, 0), ""));
	cr_expect(eq(str, (char *)text(b, BC_DST_NAME, 1), "www.example.com"));
	cr_expect(eq(str, (char *)text(b, BC_DST_NAME, 3), ""));
	block_put(g.q.store.pool, b);
	b = take(&g);
	add(b, "198.51.100.7", "10.0.0.1", NULL, END_US + 60 * SECOND);
	add(b, "10.0.0.1", "198.51.100.7", NULL, END_US + 599 * SECOND);
	enrich_block(g.e, b);
	cr_expect(eq(str, (char *)text(b, BC_SRC_NAME, 0), "www.example.com"));
	cr_expect(eq(str, (char *)text(b, BC_DST_NAME, 1), "www.example.com"));
	block_put(g.q.store.pool, b);
	b = take(&g);
	add(b, "10.0.0.1", "198.51.100.7", NULL, END_US + 601 * SECOND);
	enrich_block(g.e, b);
	cr_expect(eq(str, (char *)text(b, BC_DST_NAME, 0), ""), "it has expired");
	block_put(g.q.store.pool, b);
	b = take(&g);
	add(b, "10.0.0.1", "198.51.100.7", "new.example.com", END_US + 700 * SECOND);
	add(b, "10.0.0.1", "198.51.100.7", NULL, END_US + 700 * SECOND);
	enrich_block(g.e, b);
	cr_expect(eq(str, (char *)text(b, BC_DST_NAME, 1), "new.example.com"));
	block_put(g.q.store.pool, b);
	done(&g);
}

static struct learn_name asked_name(const char *text, int64_t us)
{
	return (struct learn_name){
		.text = text, .len = (uint32_t)strlen(text), .from = FLOW_NAMED_SNI, .us = us};
}

Test(enrich, learnt_names_are_bounded, .timeout = 120)
{
	struct learn *l = learn_new(1024);
	char longest[LEARN_NAME + 2];
	struct learn_name name;
	struct learn_stats st;
	struct learnt found;

	cr_assert(l != NULL);
	memset(longest, 'a', sizeof(longest));
	longest[LEARN_NAME + 1] = 0;
	for (uint64_t i = 1; i <= 50000; i++) {
		name = asked_name("name", (int64_t)i);
		learn_put(l, (struct learn_ip){0, i}, &name);
	}
	name = asked_name(longest, 1);
	learn_put(l, (struct learn_ip){0, 1}, &name);
	learn_stats(l, &st);
	cr_expect(eq(u64, st.names, 1024));
	cr_expect(eq(u64, st.replaced, 50000 - 1024));
	cr_expect(eq(u64, st.too_long, 1));
	/* the latest are there, the first are not */
	cr_expect(eq(u32, learn_find(l, (struct learn_ip){0, 50000}, 1, &found), 4));
	cr_expect(eq(u32, learn_find(l, (struct learn_ip){0, 7}, 1, &found), 0));
	/* what is older does not take its place */
	name = asked_name("older", 3);
	learn_put(l, (struct learn_ip){0, 50000}, &name);
	cr_expect(eq(u32, learn_find(l, (struct learn_ip){0, 50000}, 1, &found), 4));
	learn_free(l);
}

/* ---- asked for ---- */

static void ask(struct rig *g, const char *filter, const char *by, const char *want)
{
	static struct query_answer a;
	const char *pairs[] = {"from",	  "2023-11-14T00:00:00Z",
			       "to",	  "2023-11-15T00:00:00Z",
			       "filter",  filter,
			       "by",	  by,
			       "measure", "flows",
			       NULL};
	char got[512] = "";
	size_t at = 0;
	struct spec q;

	cr_assert(eq(int, query_rig_ask(&g->q, &q, pairs, &a), 0), "%s", filter);
	for (uint32_t i = 0; i < a.n; i++)
		at += (size_t)snprintf(got + at, sizeof(got) - at, "%s%g ",
				       a.rows[i].other ? "other" : a.rows[i].key, a.rows[i].v[0]);
	cr_expect(eq(str, got, (char *)want), "%s by %s", filter, by);
}

/* Start and end of a flow, and what there was of it, as each row says. */
Test(enrich, rates_are_over_the_time_of_the_record, .timeout = 120)
{
	static const struct {
		int64_t lasts_us; /* negative: no start */
		uint64_t packets, bytes;
	} flows[] = {
		{2000000, 10, 1500}, {0, 1, 40}, {-1, 5, 500}, {1, UINT64_MAX / 2, UINT64_MAX / 2},
		{1500000, 0, 0},
	};
	struct rig g;
	struct block *b;

	if (!open_rig(&g, ""))
		cr_skip_test("no libduckdb");
	b = take(&g);
	for (uint32_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++) {
		add(b, "10.0.0.1", "10.0.0.2", NULL, END_US);
		BLOCK_COLUMN(b, uint64_t, BC_OUT_PACKETS)[i] = flows[i].packets;
		BLOCK_COLUMN(b, uint64_t, BC_OUT_BYTES)[i] = flows[i].bytes;
		BLOCK_COLUMN(b, int64_t, BC_START)[i] = END_US - flows[i].lasts_us;
		if (flows[i].lasts_us >= 0)
			block_set_valid(b, BC_START, i);
	}
	block_send(g.q.store.pool, b);
	cr_assert(eq(int, store_flush(g.q.store.s), 0));
	ask(&g, "duration > 1999", "duration_us,pps,bps,bpp", "2000000|5|6000|150|1 ");
	ask(&g, "duration 0", "duration_us,pps,bps,bpp", "0|0|0|40|1 ");
	ask(&g, "not exists(pps)", "packets,bpp", "5|100|1 ");
	ask(&g, "pps > 5", "pps", "18446744073709551615|1 ");
	ask(&g, "duration = 1500 and pps 0 and not exists(bpp)", "bps", "0|1 ");
	done(&g);
}

Test(enrich, what_was_added_can_be_asked_for, .timeout = 120)
{
	static const struct mmdb_network renamed[] = {{"198.51.100.0/24", 64500, "Wider", "DE"}};
	struct rig g;
	struct block *b;

	if (!open_rig(&g, ""))
		cr_skip_test("no libduckdb");
	b = take(&g);
	for (unsigned int i = 0; i < 5; i++)
		add(b, "10.0.0.53", "198.51.100.1", NULL, END_US);
	for (unsigned int i = 0; i < 3; i++)
		add(b, "10.0.0.7", "203.0.113.4", "shop.example.com", END_US);
	for (unsigned int i = 0; i < 2; i++)
		add(b, "10.0.0.7", "203.0.113.4", NULL, END_US);
	add(b, "198.51.100.129", "10.0.0.7", NULL, END_US);
	enrich_block(g.e, b);
	block_send(g.q.store.pool, b);
	cr_assert(eq(int, store_flush(g.q.store.s), 0));
	ask(&g, "exists(dst.as)", "dst.as", "64500|5 64502|5 ");
	ask(&g, "as 64501", "src.as_org", "Narrow Net|1 ");
	ask(&g, "src.zone = \"local\"", "dst.country", "AT|5 DE|5 ");
	ask(&g, "dst country AT", "dst.name,dst.name_from", "shop.example.com|sni|5 ");
	ask(&g, "src.name_from = site", "dst.name_from", "|5 ");
	ask(&g, "src country CZ or dst country de", "dst.zone,src.country", "||5 local|CZ|1 ");
	ask(&g, "src.name suffix \"example\"", "src.name,dst.as_org",
	    "resolver.example|Wide Net|5 ");
	/* the organisation has another name from now on */
	cr_assert(eq(int, mmdb_make(g.asn, renamed, 1), 0));
	enrich_reload(g.e, g.s);
	b = take(&g);
	add(b, "10.0.0.1", "198.51.100.1", NULL, END_US);
	enrich_block(g.e, b);
	block_send(g.q.store.pool, b);
	cr_assert(eq(int, store_flush(g.q.store.s), 0));
	ask(&g, "dst as 64500", "dst.as_org", "Wider|6 ");
	store_rig_reopen(&g.q.store);
	ask(&g, "dst as 64500", "dst.as_org", "Wider|6 ");
	done(&g);
}
