// SPDX-License-Identifier: Apache-2.0
/*
 * test_block.c - blocks of flows: columns, lists, marks, the pool and its queue.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

#include "collector/block.h"

static struct block_pool *pool;

static void setup(void)
{
	pool = block_pool_new(2);
	cr_assert(ne(ptr, pool, NULL));
}

static void teardown(void)
{
	block_pool_free(pool);
}

TestSuite(block, .init = setup, .fini = teardown);

static struct flow_str text(const char *s)
{
	return (struct flow_str){.s = s, .len = (uint32_t)strlen(s)};
}

static void expect_text(const struct block *b, enum block_column c, uint32_t row, const char *want)
{
	struct block_str s = BLOCK_COLUMN(b, struct block_str, c)[row];

	cr_assert(block_is_valid(b, c, row));
	cr_expect(eq(u32, s.len, (uint32_t)strlen(want)));
	cr_expect(eq(int, memcmp(b->text + s.at, want, s.len), 0), "%.*s", (int)s.len,
		  b->text + s.at);
}

Test(block, a_range_sets_its_rows_and_no_others)
{
	static const uint32_t ranges[][2] = {{0, 1},   {63, 2},	    {64, 64},	    {5, 200},
					     {100, 0}, {8000, 192}, {0, BLOCK_ROWS}};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		struct block *b = block_get(pool);
		uint32_t from = ranges[i][0], n = ranges[i][1];

		block_set_valid_range(b, BC_VNI, from, n);
		for (uint32_t row = 0; row < BLOCK_ROWS; row++)
			cr_assert(eq(int, block_is_valid(b, BC_VNI, row),
				     row >= from && row < from + n));
		cr_expect(eq(int, block_is_used(b, BC_VNI), n > 0));
		cr_expect(not(block_is_used(b, BC_VLAN)));
		block_put(pool, b);
	}
}

Test(block, a_flow_record_fills_the_columns_it_has)
{
	struct flow_str hosts[] = {{"a.test", 6}, {"b\x1f.test", 7}};
	struct flow_query queries[] = {
		{.qname = {"q.test", 6}, .qtype = 28, .has_rcode = 1},
		{.qname = {"", 0}, .qtype = 1, .has_latency = 1, .latency_us = 4321}};
	struct flow_record r = {.start_ns = 1700000000123456789,
				.end_ns = 1700000001000000999,
				.out = {.packets = 3, .bytes = 400},
				.src_port = 51000,
				.dst_port = 443,
				.proto = 6,
				.ifindex = 7,
				.vlan = {12, 13},
				.tls_sni = text("www.example.test"),
				.tls_alpn = {"\x02h2\x08http/1.1", 12},
				.http_hosts = {hosts, 2},
				.dns_queries = {queries, 2}};
	const enum flow_field have[] = {FF_START,      FF_END,	    FF_OUT_PACKETS, FF_OUT_BYTES,
					FF_SRC_IP,     FF_SRC_PORT, FF_DST_PORT,    FF_PROTO,
					FF_VLAN,       FF_TLS_SNI,  FF_TLS_ALPN,    FF_HTTP_HOSTS,
					FF_DNS_QUERIES};
	struct block *b = block_get(pool);
	struct flow_query q[4];
	struct flow_str v[4];
	struct block_str s;

	memcpy(r.src_ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\x02\x03", 16);
	for (size_t i = 0; i < sizeof(have) / sizeof(have[0]); i++)
		flow_set(&r, have[i]);
	cr_assert(eq(int, block_add_flow(b, &r, 9), 0));
	cr_expect(eq(u32, b->rows, 1));
	cr_expect(eq(i64, BLOCK_COLUMN(b, int64_t, BC_START)[0], 1700000000123456));
	cr_expect(eq(i64, BLOCK_COLUMN(b, int64_t, BC_END)[0], 1700000001000000));
	cr_expect(eq(u32, BLOCK_COLUMN(b, uint32_t, BC_EXPORTER)[0], 9));
	cr_expect(eq(u64, BLOCK_COLUMN(b, uint64_t, BC_SRC_HI)[0], 0));
	cr_expect(eq(u64, BLOCK_COLUMN(b, uint64_t, BC_SRC_LO)[0], UINT64_C(0xffff0a010203)));
	cr_expect(not(block_is_valid(b, BC_DST_HI, 0)));
	cr_expect(not(block_is_valid(b, BC_IN_BYTES, 0)));
	cr_expect(eq(u64, BLOCK_COLUMN(b, uint64_t, BC_OUT_BYTES)[0], 400));
	cr_expect(eq(u16, BLOCK_COLUMN(b, uint16_t, BC_DST_PORT)[0], 443));
	cr_expect(eq(u16, BLOCK_COLUMN(b, uint16_t, BC_VLAN1)[0], 13));
	expect_text(b, BC_TLS_SNI, 0, "www.example.test");
	expect_text(b, BC_TLS_ALPN, 0, "h2\x1fhttp/1.1");
	expect_text(b, BC_HTTP_HOSTS, 0,
		    "a.test\x1f"
		    "b\xef\xbf\xbd.test");
	s = BLOCK_COLUMN(b, struct block_str, BC_HTTP_HOSTS)[0];
	cr_assert(eq(u32, block_list(b->text + s.at, s.len, v, 4), 2));
	cr_expect(eq(u32, v[0].len, 6));
	s = BLOCK_COLUMN(b, struct block_str, BC_DNS_QUERIES)[0];
	cr_assert(eq(u32, block_queries(b->text + s.at, s.len, q, 4), 2));
	cr_expect(eq(u16, q[0].qtype, 28));
	cr_expect(q[0].has_rcode && !q[0].has_latency);
	cr_expect(not(q[1].has_rcode));
	cr_expect(eq(u64, q[1].latency_us, 4321));
	block_put(pool, b);
}

Test(block, a_full_arena_takes_no_half_of_a_row)
{
	static char big[60000];
	struct flow_record r = {.tls_sni = {big, sizeof(big)}};
	struct block *b = block_get(pool);
	uint32_t n = 0;

	flow_set(&r, FF_TLS_SNI);
	while (block_add_flow(b, &r, 1) == 0)
		n++;
	cr_expect(eq(u32, n, BLOCK_TEXT / sizeof(big)));
	cr_expect(eq(u32, b->rows, n));
	cr_expect(eq(u32, b->text_len, n * (uint32_t)sizeof(big)));
	cr_expect(not(block_is_valid(b, BC_TLS_SNI, n)));
	block_put(pool, b);
	b = block_get(pool);
	cr_expect(eq(u32, b->rows, 0));
	cr_expect(not(block_is_valid(b, BC_TLS_SNI, 0)));
	block_put(pool, b);
}

Test(block, marks_of_one_numbering_become_one_while_nothing_is_missing)
{
	struct block *b = block_get(pool);
	struct block_mark m = {.stream = 4, .epoch = 1, .from = 0, .to = 10, .rows = 10};

	cr_assert(eq(int, block_mark(b, &m), 0));
	m.stream = 5;
	cr_assert(eq(int, block_mark(b, &m), 0));
	m = (struct block_mark){.stream = 4, .epoch = 1, .from = 10, .to = 15, .rows = 5};
	cr_assert(eq(int, block_mark(b, &m), 0));
	cr_expect(eq(u32, b->marks_n, 2));
	cr_expect(eq(u64, b->marks[0].to, 15));
	cr_expect(eq(u32, b->marks[0].rows, 15));
	m.from = 16; /* a gap */
	m.to = 17;
	cr_assert(eq(int, block_mark(b, &m), 0));
	cr_expect(eq(u32, b->marks_n, 3));
	while (block_mark(b, &m) == 0)
		m.epoch++;
	cr_expect(eq(u32, b->marks_n, BLOCK_MARKS_MAX));
	block_put(pool, b);
}

Test(block, the_pool_is_bounded_and_the_queue_keeps_order)
{
	struct block *a = block_get(pool), *b = block_get(pool);
	struct block_pool_stats st;

	cr_assert(a && b);
	cr_expect(eq(ptr, block_get(pool), NULL));
	cr_expect(eq(ptr, block_get_wait(pool, 5), NULL));
	block_send(pool, b);
	block_send(pool, a);
	block_pool_stats(pool, &st);
	cr_expect(eq(u32, st.queued, 2));
	cr_expect(eq(u64, st.refused, 2));
	cr_expect(eq(ptr, block_receive(pool, 0), b));
	block_close(pool);
	cr_expect(eq(ptr, block_receive(pool, 10000), a));
	cr_expect(eq(ptr, block_receive(pool, 10000), NULL));
	cr_expect(block_closed(pool));
	block_put(pool, a);
	block_put(pool, b);
	block_pool_stats(pool, &st);
	cr_expect(eq(u32, st.free, 2));
}
