// SPDX-License-Identifier: Apache-2.0
/*
 * test_ingest_netflow.c - NetFlow v5 and v9, sFlow v5, octet by octet; a capture of real sFlow.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ipfix_get.h"
#include "ingest_rig.h"

TestSuite(ingest_netflow, .timeout = 120);

static struct ingest_rig g;
static uint8_t p[8192];

static void feed(const char *hex)
{
	const size_t n = ingest_hex(hex, p, sizeof(p));

	cr_assert(zero(int, ingest_rig_feed(&g, p, n)));
}

/* Uptime 1,000,000 ms at 1700000000.5 s; the flow ran from 990,000 to 999,000 ms of it. */
#define V5_HEAD "00050002 000f4240 6553f100 1dcd6500 00000063 0102 4064"
#define V5_TCP \
	"0a000001 0a000002 0a0000fe 0001 0002 0000000a 000003e8 000f1b30 000f3e58 04d2 01bb 00 1b 06 20 fbf4 fbf5 18 10 0000"
#define V5_PING \
	"0a000001 0a000002 00000000 0001 0002 00000003 000000fc 000f1b30 000f3e58 0000 0800 00 00 01 00 0000 0000 00 00 0000"

Test(ingest_netflow, v5_records)
{
	ingest_rig_new(&g, NULL);
	feed(V5_HEAD V5_TCP V5_PING);
	cr_assert(eq(u32, ingest_rig_take(&g), 2));
	cr_assert(ingest_row_has(
		g.row[0],
		"start_us=1699999990500000 end_us=1699999999500000 src_hi=0 src_lo=281470849515521 dst_hi=0 "
		"dst_lo=281470849515522 src_port=1234 dst_port=443 proto=6 out_packets=10 out_bytes=1000 "
		"in_if=1 out_if=2 sampling=100 src_as=64500 dst_as=64501 tcp_flags=27 out_dscp=8 "
		"next_hop_hi=0 next_hop_lo=281470849515774 src_mask=24 dst_mask=16 ",
		true));
	cr_assert(ingest_row_has(
		g.row[1],
		"start_us=1699999990500000 end_us=1699999999500000 src_hi=0 src_lo=281470849515521 dst_hi=0 "
		"dst_lo=281470849515522 proto=1 out_packets=3 out_bytes=252 in_if=1 out_if=2 sampling=100 "
		"icmp_type=8 icmp_code=0 ",
		true));
	cr_assert(eq(u64, ingest_rig_count(&g, 0x102, IC_RECORDS), 2),
		  "engine type and id are the domain");
	ingest_rig_free(&g);
}

/* Millisecond counters go over their end after 49 days. */
Test(ingest_netflow, a_flow_older_than_the_exporters_uptime_counter)
{
	ingest_rig_new(&g, NULL);
	feed("00050001 00000064 6553f100 00000000 00000063 0102 0000"
	     "0a000001 0a000002 00000000 0001 0002 0000000a 000003e8 fffffff0 00000032 04d2 01bb 00 1b 06 00 0000 0000 00 00 0000");
	cr_assert(eq(u32, ingest_rig_take(&g), 1));
	cr_assert(zero(int, strncmp(g.row[0], "start_us=1699999999884000 end_us=1699999999950000 ",
				    50)));
	ingest_rig_free(&g);
}

Test(ingest_netflow, v9_records_with_padding_and_a_sampler)
{
	ingest_rig_new(&g, NULL);
	feed("00090004 000f4240 6553f100 00000007 00000009"
	     "0000 0020 012c 0006 0008 0004 000c 0004 0002 0004 0016 0004 0015 0004 0030 0001" /* template */
	     "0001 0018 0190 0004 0008 0001 0004 0030 0001 0032 0004 0000" /* options, padded */
	     "0190 0010 00000001 05 00000200 000000"			   /* sampler 5: 512 */
	     "012c 0030 0a000001 0a000002 00000007 000f1b30 000f3e58 05"
	     "0a000003 0a000004 00000008 000f1b30 000f3e58 05 0000");
	cr_assert(eq(u32, ingest_rig_take(&g), 2));
	cr_assert(ingest_row_has(
		g.row[0],
		"start_us=1699999990000000 end_us=1699999999000000 src_hi=0 src_lo=281470849515521 dst_hi=0 "
		"dst_lo=281470849515522 out_packets=7 sampling=512 ",
		true));
	cr_assert(eq(u64, ingest_rig_count(&g, 9, IC_OPTIONS), 1));
	ingest_rig_free(&g);
}

#define SFLOW_HEAD "00000005 00000001 c0000209 00000000 00000007 000003e8"
#define FRAME                                                                                    \
	"ffffffffffff 020000000001 8100 0005 0800 45b80028 00010000 4006 0000 c0000201 c0000202" \
	"04d2 01bb 00000001 00000000 5012ffff 00000000"

Test(ingest_netflow, sflow_headers_and_fields)
{
	ingest_rig_new(&g, NULL);
	/* a flow sample with a header of 58 octets, and a router; counters; an expanded one with fields */
	feed(SFLOW_HEAD
	     "00000003"
	     "00000001 0000008c 00000001 00000003 00000190 00000000 00000000 00000003 00000004 00000002"
	     "00000001 0000004c 00000001 00000040 00000004 0000003a" FRAME "0000"
	     "000003ea 00000010 00000001 0a0000fe 00000018 00000010"
	     "00000002 00000004 00000000"
	     "00000003 00000054 00000002 00000000 00000003 00000400 00000000 00000000 00000000 00000007 00000000 "
	     "00000008 00000001"
	     "00000003 00000020 000005dc 00000011 0a000001 0a000002 00000035 00001388 00000000 00000000");
	cr_assert(eq(u32, ingest_rig_take(&g), 2));
	cr_assert(ingest_row_has(
		g.row[0],
		"src_hi=0 src_lo=281473902969345 dst_hi=0 dst_lo=281473902969346 src_port=1234 dst_port=443 "
		"proto=6 out_packets=1 out_bytes=40 in_if=3 out_if=4 sampling=400 ",
		false));
	cr_assert(ingest_row_has(
		g.row[0],
		"vlan=5 next_hop_hi=0 next_hop_lo=281470849515774 src_mask=24 dst_mask=16 ",
		false));
	cr_assert(ingest_row_has(
		g.row[1],
		"src_port=53 dst_port=5000 proto=17 out_packets=1 out_bytes=1500 in_if=7 out_if=8 "
		"sampling=1024 ",
		false));
	memcpy(g.from.address + 12, "\xc0\x00\x02\x09", 4); /* the agent is the exporter */
	cr_assert(eq(u64, ingest_rig_count(&g, 0, IC_COUNTERS), 1));
	cr_assert(eq(u64, ingest_rig_count(&g, 0, IC_SAMPLE), 0));
	ingest_rig_free(&g);
}

/* Datagrams to port 6343 of a capture in the old format, over IPv6 or IPv4. */
static unsigned int feed_capture(const char *file)
{
	static uint8_t all[1 << 20];
	FILE *f = fopen(file, "rb");
	unsigned int n = 0;
	size_t len;

	if (!f)
		return 0;
	len = fread(all, 1, sizeof(all), f);
	fclose(f);
	for (size_t at = 24; at + 16 <= len;) {
		uint32_t cap;
		const uint8_t *frame = all + at + 16;
		const uint32_t udp = 14 + 40;

		memcpy(&cap, all + at + 8, sizeof(cap));
		at += 16 + (size_t)cap;
		if (at > len || cap < udp + 8 || get16(frame + 12) != 0x86dd ||
		    get16(frame + udp + 2) != 6343)
			continue;
		cr_assert(zero(int,
			       ingest_rig_feed(&g, frame + udp + 8, get16(frame + udp + 4) - 8u)));
		n++;
	}
	return n;
}

Test(ingest_netflow, a_capture_of_real_sflow)
{
	const char *dir = getenv("WEIR_PCAPS");
	char file[512];

	if (!dir)
		cr_skip("WEIR_PCAPS is not set: no captures");
	snprintf(file, sizeof(file), "%s/tcpdump/tests/sflow-print-v6.pcap", dir);
	ingest_rig_new(&g, NULL);
	cr_assert(eq(uint, feed_capture(file), 25));
	ingest_rig_take(&g);
	cr_assert(gt(u32, g.rows, 0));
	ingest_rig_free(&g);
}
