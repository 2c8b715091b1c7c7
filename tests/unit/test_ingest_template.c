// SPDX-License-Identifier: Apache-2.0
/*
 * test_ingest_template.c - templates that come late, change, are withdrawn, belong to another domain or
 * port, and outlive a restart; sampling from options; records numbered for acknowledgement; every
 * malformed message has its reason.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/ipfix.h"
#include "common/ipfix_put.h"
#include "ingest_rig.h"

TestSuite(ingest_template, .timeout = 120);

static struct ingest_rig g;

/* A message being built. */
static uint8_t m[4096];
static uint32_t len;
static uint32_t number;

static void begin(uint32_t domain)
{
	memset(m, 0, sizeof(m));
	len = IPFIX_HEADER;
	put16(m, 10);
	put32(m + 4, 1700000000);
	put32(m + 8, number);
	put32(m + 12, domain);
}

/* A set of hex octets. */
static void set(uint16_t id, const char *hex)
{
	const size_t n = ingest_hex(hex, m + len + 4, sizeof(m) - len - 4);

	put16(m + len, id);
	put16(m + len + 2, (uint32_t)n + 4);
	len += (uint32_t)n + 4;
}

static int feed(void)
{
	put16(m + 2, len);
	return ingest_rig_feed(&g, m, len);
}

#define TEMPLATE_300 "012c0003 00080004 000c0004 00010004" /* addresses, bytes */
#define OTHER_300    "012c0003 00010004 00080004 000c0004" /* in another order */
#define RECORD	     "0a000001 0a000002 000001f4"
#define OTHER_RECORD "000001f4 0a000001 0a000002"

Test(ingest_template, data_before_its_template_waits_for_it)
{
	ingest_rig_new(&g, NULL);
	begin(7);
	set(300, RECORD " " RECORD);
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 0));
	cr_assert(eq(u64, ingest_rig_count(&g, 7, IC_HELD), 1));
	begin(8); /* another domain's is not it */
	set(2, TEMPLATE_300);
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 0));
	begin(7);
	set(2, TEMPLATE_300);
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 2));
	cr_assert(eq(u64, g.bytes, 1000));
	cr_assert(eq(u64, ingest_rig_count(&g, 7, IC_LATE), 1));
	cr_assert(eq(u64, ingest_rig_count(&g, 7, IC_SEQUENCE), 0));
	ingest_rig_free(&g);
}

Test(ingest_template, what_waits_is_bounded_and_given_up_in_time)
{
	ingest_rig_new(&g, &(struct decoder_cfg){.held_bytes = 100, .held_s = 60});
	for (unsigned int i = 0; i < 5; i++) {
		begin(7);
		set(300, RECORD RECORD RECORD);
		cr_assert(zero(int, feed()));
	}
	cr_assert(eq(u64, ingest_rig_count(&g, 7, IC_HELD), 2));
	cr_assert(eq(u64, ingest_rig_count(&g, 7, IC_HELD_FULL), 3));
	decoder_expire(g.d, RIG_NOW_US + 59000000);
	cr_assert(eq(u64, ingest_rig_count(&g, 7, IC_NO_TEMPLATE), 0));
	decoder_expire(g.d, RIG_NOW_US + 61000000);
	cr_assert(eq(u64, ingest_rig_count(&g, 7, IC_NO_TEMPLATE), 2));
	ingest_rig_free(&g);
}

Test(ingest_template, a_changed_template_is_used_from_then_on)
{
	ingest_rig_new(&g, NULL);
	begin(7);
	set(2, TEMPLATE_300);
	set(300, RECORD);
	set(2, OTHER_300);
	set(300, OTHER_RECORD);
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 2));
	cr_assert(eq(str, g.row[0], g.row[1]));
	cr_assert(eq(u64, ingest_rig_count(&g, 7, IC_CHANGED), 1));
	ingest_rig_free(&g);
}

/* What waits to be decoded with others is decoded as what it was when it came. */
Test(ingest_template, a_batch_has_each_record_as_its_template_was)
{
	ingest_rig_new(&g, &(struct decoder_cfg){.batch = true});
	begin(7);
	set(2, TEMPLATE_300);
	set(300, RECORD " " RECORD);
	set(2, OTHER_300);
	set(300, OTHER_RECORD);
	set(300, OTHER_RECORD);
	set(2, "012c0000"); /* withdrawn */
	set(2, TEMPLATE_300);
	set(300, RECORD);
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 5));
	for (uint32_t i = 1; i < 5; i++)
		cr_assert(eq(str, g.row[i], g.row[0]), "record %u", i);
	cr_assert(eq(u64, ingest_rig_count(&g, 7, IC_CHANGED), 1));
	cr_assert(eq(u64, ingest_rig_count(&g, 7, IC_WITHDRAWN), 1));
	ingest_rig_free(&g);
}

Test(ingest_template, domains_have_templates_of_their_own)
{
	ingest_rig_new(&g, NULL);
	begin(7);
	set(2, TEMPLATE_300);
	cr_assert(zero(int, feed()));
	begin(8);
	set(2, OTHER_300);
	cr_assert(zero(int, feed()));
	begin(7);
	set(300, RECORD);
	cr_assert(zero(int, feed()));
	begin(8);
	set(300, OTHER_RECORD);
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 2));
	cr_assert(eq(str, g.row[0], g.row[1]));
	ingest_rig_free(&g);
}

/* A process that begins again has another port, and may send data first. */
Test(ingest_template, another_port_of_the_same_exporter_knows_them)
{
	ingest_rig_new(&g, NULL);
	begin(7);
	set(2, TEMPLATE_300);
	cr_assert(zero(int, feed()));
	g.from.port++;
	begin(7);
	set(300, RECORD);
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 1));
	/* with two that say different things, neither is guessed */
	begin(7);
	set(2, OTHER_300);
	cr_assert(zero(int, feed()));
	g.from.port++;
	begin(7);
	set(300, RECORD);
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 0));
	ingest_rig_free(&g);
}

Test(ingest_template, a_withdrawn_template_is_gone)
{
	ingest_rig_new(&g, NULL);
	begin(7);
	set(2, TEMPLATE_300);
	set(2, "012c0000");
	set(300, RECORD);
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 0));
	cr_assert(eq(u64, ingest_rig_count(&g, 7, IC_WITHDRAWN), 1));
	begin(7);
	set(2, TEMPLATE_300 "012d0001 00020004");
	set(2, "00020000"); /* all of them */
	cr_assert(zero(int, feed()));
	cr_assert(eq(u64, ingest_rig_count(&g, 7, IC_WITHDRAWN), 3));
	ingest_rig_free(&g);
}

Test(ingest_template, templates_and_sampling_outlive_a_restart)
{
	struct ingest_rig old;
	uint8_t *p;
	size_t n;

	ingest_rig_new(&g, NULL);
	begin(7);
	set(2, TEMPLATE_300);
	set(3, "01900002 0001 00950004 00220004"); /* samplingInterval of the domain */
	set(400, "00000007 00000064");
	cr_assert(zero(int, feed()));
	cr_assert(zero(int, decoder_save(g.d, &p, &n)));
	old = g;
	ingest_rig_new(&g, NULL);
	cr_assert(zero(int, decoder_load(g.d, p, n)));
	begin(7);
	set(300, RECORD);
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 1));
	cr_assert(strstr(g.row[0], "sampling=100 ") != NULL);
	p[n - 1] ^= 1;
	cr_assert(eq(int, decoder_load(g.d, p, n), -EBADMSG));
	cr_assert(eq(int, decoder_load(g.d, p, n - 3), -EBADMSG));
	free(p);
	ingest_rig_free(&g);
	ingest_rig_free(&old);
}

static const char *sampled(const char *row)
{
	static char text[32];
	const char *p = strstr(row, "sampling=");

	memset(text, 0, sizeof(text));
	if (p)
		memcpy(text, p, strcspn(p, " ") < 31 ? strcspn(p, " ") : 31);
	return text;
}

Test(ingest_template, a_record_has_the_rate_of_its_sampler)
{
	ingest_rig_new(&g, NULL);
	begin(7);
	/* selectorId, samplingPacketInterval, samplingPacketSpace; and records with a samplerId */
	set(3, "01900003 0001 012e0008 01310004 01320004");
	set(400, "0000000000000005 00000001 00000063");
	set(400, "0000000000000006 00000002 000000c6");
	set(2, "012c0003 00080004 00300002 00010004");
	set(300,
	    "0a000001 0005 00000010 0a000001 0006 00000010 0a000001 0007 00000010 0a000001 0000 00000010");
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 4));
	cr_assert(eq(str, (char *)sampled(g.row[0]), "sampling=100"));
	cr_assert(eq(str, (char *)sampled(g.row[1]), "sampling=100"));
	cr_assert(eq(str, (char *)sampled(g.row[2]), "sampling=0"), "not known");
	cr_assert(eq(str, (char *)sampled(g.row[3]), ""), "not sampled");
	ingest_rig_free(&g);
}

Test(ingest_template, a_configured_rate_is_better_than_anything_told)
{
	ingest_rig_new(&g, NULL);
	cr_assert(zero(int, exporters_override(g.exporters, g.from.address, "edge", 512)));
	begin(7);
	set(2, "012c0002 00080004 00220004");
	set(300, "0a000001 00000064");
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 1));
	cr_assert(eq(str, (char *)sampled(g.row[0]), "sampling=512"));
	cr_assert(eq(str, exporters_get(g.exporters, g.from.address, 7)->node, "edge"));
	ingest_rig_free(&g);
}

Test(ingest_template, elements_without_a_column_are_kept_by_number)
{
	ingest_rig_new(&g, NULL);
	begin(7);
	set(2,
	    "012c0004 00080004 9234ffff 00000009 01600004 00d20002"); /* 9/4660, layer2OctetDelta, padding */
	set(300, "0a000001 03616263 00000102 ffff");
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 1));
	cr_assert(strstr(g.row[0], "unknown=9.4660=616263\\1f0.352=00000102 ") != NULL);
	ingest_rig_free(&g);
}

Test(ingest_template, malformed_messages_are_counted_by_reason)
{
	static const struct {
		const char *hex;
		enum ingest_count why;
		bool stray;
	} bad[] = {
		{"000a", IC_SHORT, true},
		{"000a0010 00000000", IC_SHORT, true},
		{"00070010 00000000 00000000 00000000", IC_VERSION, true},
		{"000a0008 00000000 00000000 00000007", IC_LENGTH, true},
		{"000a0050 00000000 00000000 00000007", IC_LENGTH, true},
		{"000a0010 00000000 00000000 00000007 0000", IC_LENGTH, false},
		{"000a0014 00000000 00000000 00000007 00020003", IC_SET, false},
		{"000a0014 00000000 00000000 00000007 00020008", IC_SET, false},
		{"000a0012 00000000 00000000 00000007 0002", IC_SET, false},
		{"000a001a 00000000 00000000 00000007 0002000a 01000002 0008", IC_TEMPLATE, false},
		{"000a001c 00000000 00000000 00000007 0002000c 00ff0001 00080004", IC_TEMPLATE,
		 false},
		{"000a002a 00000000 00000000 00000007 00020010 01000002 00080004 000cffff 0100000a 0a000001 0900",
		 IC_RECORD, false},
		{"0009", IC_SHORT, true},
		{"00090001 00000000 00000000", IC_SHORT, true},
		{"00050002 00000000 00000000 00000000 00000000 00000000 0000", IC_LENGTH, true},
		{"00000005 00000001 0a000001", IC_SHORT, true},
	};
	uint64_t before[_IC_MAX];

	ingest_rig_new(&g, NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t p[256];
		const size_t n = ingest_hex(bad[i].hex, p, sizeof(p));

		before[0] = bad[i].stray ? decoder_counts(g.d)[bad[i].why]
					 : ingest_rig_count(&g, 7, bad[i].why);
		cr_assert(eq(int, ingest_rig_feed(&g, p, n), -EBADMSG), "%s", bad[i].hex);
		cr_assert(eq(u64,
			     bad[i].stray ? decoder_counts(g.d)[bad[i].why]
					  : ingest_rig_count(&g, 7, bad[i].why),
			     before[0] + 1),
			  "%s", bad[i].hex);
	}
	ingest_rig_free(&g);
}

/* ---- acknowledged delivery ---- */

static struct numbering *asked;

static void ask(void *arg, struct numbering *n)
{
	(void)arg;
	asked = n;
}

/* A weir's first words: domain 7, start, no name, a label. */
static void hello(void)
{
	number = 0;
	begin(0);
	set(3, "01010004 0001 00950004 00a00008 012cffff 8019ffff 00007ed9");
	set(257, "00000007 000000000000002a 00 03613d62");
	cr_assert(zero(int, feed()));
}

Test(ingest_template, records_that_are_sent_again_are_taken_once)
{
	ingest_rig_new(&g, &(struct decoder_cfg){.numbering = ask});
	g.from.stream = true;
	hello();
	cr_assert(asked != NULL && asked->epoch == 42);
	number = 10;
	begin(7);
	set(2, TEMPLATE_300);
	set(300, RECORD RECORD RECORD);
	cr_assert(zero(int, feed()));
	cr_assert(eq(u64, asked->taken, 13));
	number = 11; /* two of them again, and two new ones */
	begin(7);
	set(300, RECORD RECORD RECORD RECORD);
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 5));
	cr_assert(eq(u64, ingest_rig_count(&g, 7, IC_REPEATED), 2));
	cr_assert(eq(u64, asked->taken, 15));
	/* another connection, from the beginning */
	decoder_end(g.d, &g.from);
	hello();
	number = 10;
	begin(7);
	set(2, TEMPLATE_300);
	set(300, RECORD RECORD RECORD RECORD RECORD RECORD);
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 1));
	cr_assert(eq(u64, asked->taken, 16));
	cr_assert(eq(u64, ingest_rig_count(&g, 7, IC_SEQUENCE), 0));
	ingest_rig_free(&g);
}

/* One message may name more domains than there is room for: its own session must not make that room. */
Test(ingest_template, a_message_that_names_many_domains_keeps_its_own)
{
	ingest_rig_new(&g, &(struct decoder_cfg){.numbering = ask, .sessions_max = 2});
	g.from.stream = true;
	number = 0;
	begin(0);
	set(3, "01010004 0001 00950004 00a00008 012cffff 8019ffff 00007ed9");
	set(257, "00000007 000000000000002a 00 03613d62"
		 "00000008 000000000000002a 00 03613d62"
		 "00000009 000000000000002a 00 03613d62");
	set(2, TEMPLATE_300);
	set(300, RECORD);
	cr_assert(zero(int, feed()));
	cr_assert(eq(u32, ingest_rig_take(&g), 1));
	cr_assert(eq(u64, ingest_rig_count(&g, 0, IC_MESSAGES), 1));
	ingest_rig_free(&g);
}
