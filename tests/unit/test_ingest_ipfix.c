// SPDX-License-Identifier: Apache-2.0
/*
 * test_ingest_ipfix.c - IPFIX into columns: every record that weir can write comes out as the row that
 * the record makes; templates, lists, sampling, numbers and malformed messages of other exporters.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ipfix.h"
#include "ingest_rig.h"
#include "random_flow.h"

TestSuite(ingest_ipfix, .timeout = 120);

static struct ingest_rig g;
static uint8_t buf[IPFIX_MESSAGE_MAX], announce[IPFIX_MESSAGE_MAX];
static struct ipfix_used used;

static void templates(const struct ipfix_cfg *cfg)
{
	struct ipfix_used want = used;
	struct ipfix_msg a;

	ipfix_begin(&a, announce, sizeof(announce), NULL);
	cr_assert(zero(int, ipfix_put_templates(cfg, &a, &want)));
	ipfix_finish(cfg, announce, a.len, 1, 0);
	cr_assert(zero(int, ingest_rig_feed(&g, announce, a.len)));
}

/* The row that the record itself makes. */
static void want_of(const struct flow_record *from, char to[static RIG_ROW])
{
	static struct block_pool *pool;
	struct flow_record r = *from;
	struct block *b;

	pool = pool ? pool : block_pool_new(1);
	b = block_get(pool);
	/* times are told to the microsecond; interfaces by number */
	if (flow_has(&r, FF_TLS_ALPN) && !r.tls_alpn.len)
		r.present[FF_TLS_ALPN / 64] &= ~(UINT64_C(1) << FF_TLS_ALPN % 64);
	r.present[FF_SEEN_ON / 64] &= ~(UINT64_C(1) << FF_SEEN_ON % 64);
	flow_set(&r, FF_IN_PACKETS);
	flow_set(&r, FF_IN_BYTES);
	if (!r.tcp_flags)
		r.present[FF_TCP_FLAGS / 64] &= ~(UINT64_C(1) << FF_TCP_FLAGS % 64);
	if (flow_has(&r, FF_DNS_QNAME))
		flow_set(&r, FF_DNS_QTYPE);
	cr_assert(zero(int, block_add_flow(b, &r, 1)));
	ingest_row_text(b, 0, to);
	block_put(pool, b);
}

Test(ingest_ipfix, every_flow_becomes_the_row_that_its_record_makes)
{
	static const struct ipfix_cfg cfg = {.pen = 55555, .domain = 7, .form = 7};
	static struct random_flow f;
	static char want[RIG_ROW];
	uint64_t state = 1;
	uint32_t sequence = 0;

	ingest_rig_new(&g, &(struct decoder_cfg){.own_pen = 55555});
	for (unsigned int i = 0; i < 20000; i++) {
		struct ipfix_msg m;

		random_flow(&f, &state);
		ipfix_begin(&m, buf, sizeof(buf), &used);
		cr_assert(zero(int, ipfix_put_flow(&cfg, &m, &f.r)));
		ipfix_finish(&cfg, buf, m.len, 1700000000, sequence);
		sequence += m.records;
		templates(&cfg);
		ingest_rig_forget(&g);
		cr_assert(zero(int, ingest_rig_feed(&g, buf, m.len)));
		cr_assert(eq(u32, ingest_rig_take(&g), 1));
		want_of(&f.r, want);
		cr_assert(eq(str, g.row[0], want), "record %u", i);
	}
	ingest_rig_free(&g);
}

/* Many records of many templates in messages of any size: as many rows, and the same sums. */
Test(ingest_ipfix, whole_messages_add_up)
{
	static const struct ipfix_cfg cfg = {.pen = 32473, .domain = 7, .form = 3};
	static struct random_flow f;
	uint64_t state = 77, packets = 0, bytes = 0;
	uint32_t records = 0;

	ingest_rig_new(&g, &(struct decoder_cfg){.batch = true});
	for (unsigned int i = 0; i < 400; i++) {
		struct ipfix_msg m;

		ipfix_begin(&m, buf, 1420 + i * 150, &used);
		for (;;) {
			random_flow(&f, &state);
			if (ipfix_put_flow(&cfg, &m, &f.r) < 0)
				break;
			packets += f.r.packets;
			bytes += f.r.bytes;
		}
		ipfix_finish(&cfg, buf, m.len, 1700000000, records);
		records += m.records;
		templates(&cfg);
		cr_assert(zero(int, ingest_rig_feed(&g, buf, m.len)));
		ingest_rig_take(&g);
	}
	cr_assert(gt(u32, records, 10000));
	cr_assert(eq(u32, g.rows, records));
	cr_assert(eq(u64, g.packets, packets));
	cr_assert(eq(u64, g.bytes, bytes));
	cr_assert(eq(u64, ingest_rig_count(&g, 7, IC_RECORDS), records));
	ingest_rig_free(&g);
}
