// SPDX-License-Identifier: Apache-2.0
/*
 * test_ingest_clock.c - how far the clocks of exporters are from the collector's.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "ingest_rig.h"

TestSuite(ingest_clock, .timeout = 120);

#define SECOND_US INT64_C(1000000)

static struct ingest_rig g;
static struct exporter e;

/* A message that took @way_us, of an exporter whose clock is @behind_us behind. */
static void message(int64_t at_us, int64_t behind_us, int64_t way_us)
{
	exporter_clock_message(&e, RIG_NOW_US + at_us, RIG_NOW_US + at_us - behind_us - way_us);
}

static int64_t skew(void)
{
	int64_t us = 0;

	cr_assert(exporter_skew(&e, &us));
	return us;
}

Test(ingest_clock, is_not_known_before_a_message)
{
	int64_t us;

	cr_assert(not(exporter_skew(&e, &us)));
}

Test(ingest_clock, the_quickest_message_tells_it_best)
{
	message(0, 5 * SECOND_US, 700);
	message(SECOND_US, 5 * SECOND_US, 3);
	message(2 * SECOND_US, 5 * SECOND_US, 90000);
	cr_assert(eq(i64, skew(), 5 * SECOND_US + 3));
	message(65 * SECOND_US, 5 * SECOND_US, 400);
	cr_assert(eq(i64, skew(), 5 * SECOND_US + 3), "that of the minute before counts");
}

Test(ingest_clock, a_clock_that_is_ahead_is_less_than_none)
{
	message(0, -3600 * SECOND_US, 10);
	cr_assert(eq(i64, skew(), -3600 * SECOND_US + 10));
}

Test(ingest_clock, a_clock_that_is_set_is_followed_within_two_minutes)
{
	int64_t at = 0;

	for (; at < 10 * SECOND_US; at += SECOND_US)
		message(at, -3600 * SECOND_US, 10);
	for (; at < 130 * SECOND_US; at += SECOND_US)
		message(at, 0, 20);
	cr_assert(eq(i64, skew(), 20));
}

Test(ingest_clock, what_was_long_ago_does_not_count)
{
	message(0, -3600 * SECOND_US, 10);
	message(600 * SECOND_US, 0, 20);
	cr_assert(eq(i64, skew(), 20));
	message(590 * SECOND_US, 0, 30); /* the collector's own clock was set back */
	cr_assert(eq(i64, skew(), 30));
}

/* Of messages: v5 tells its time, sFlow none. */
Test(ingest_clock, messages_tell_it)
{
	uint8_t p[64];
	int64_t us;

	ingest_rig_new(&g, NULL);
	/* sent at 1699999995.25 s, no records */
	cr_assert(
		zero(int, ingest_rig_feed(&g, p,
					  ingest_hex("00050000 000f4240 6553f0fb 0ee6b280 00000063 "
						     "0102 0000",
						     p, sizeof(p)))));
	cr_assert(exporter_skew(exporters_get(g.exporters, g.from.address, 0x102), &us));
	cr_assert(eq(i64, us, 4750000));
	cr_assert(
		zero(int, ingest_rig_feed(&g, p,
					  ingest_hex("00000005 00000001 c0000201 00000000 00000007 "
						     "000003e8 00000000",
						     p, sizeof(p)))));
	cr_assert(eq(u64, ingest_rig_count(&g, 0, IC_MESSAGES), 1));
	cr_assert(not(exporter_skew(exporters_get(g.exporters, g.from.address, 0), &us)));
	ingest_rig_free(&g);
}
