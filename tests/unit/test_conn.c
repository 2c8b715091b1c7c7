// SPDX-License-Identifier: Apache-2.0
/*
 * test_conn.c - how long an export waits before it connects again.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "loader/export/conn.h"
#include "loader/export/sink_int.h"

TestSuite(conn, .timeout = 120);

#define MS (EXPORT_NS_PER_S / 1000)

static struct conn c;
static uint64_t now = 1000 * EXPORT_NS_PER_S;

static void begin(void)
{
	const struct export_cfg cfg = {
		.type = EXPORT_IPFIX_TCP, .name = "test", .host = "127.0.0.1", .port = 4739};
	char error[EXPORT_ERR_MAX];

	cr_assert(zero(int, conn_open(&c, &cfg, error)));
}

/* It has been up for @up_ms and breaks: it is tried again in @wait_ms, as far as jitter goes. */
static void breaks(uint64_t up_ms, uint64_t wait_ms)
{
	c.state = CONN_UP;
	c.since_ns = now;
	now += up_ms * MS;
	conn_down(&c, now, "test", 0);
	cr_assert(ge(u64, c.retry_ns, now + wait_ms * MS / 2));
	cr_assert(le(u64, c.retry_ns, now + wait_ms * MS / 2 * 3));
	now = c.retry_ns;
}

Test(conn, waits_twice_as_long_each_time_but_not_for_ever)
{
	begin();
	for (uint64_t ms = 250; ms < 30000; ms *= 2)
		breaks(0, ms);
	breaks(0, 30000);
	breaks(0, 30000);
	conn_close(&c);
}

Test(conn, one_that_held_is_tried_again_soon)
{
	begin();
	for (uint64_t ms = 250; ms < 30000; ms *= 2)
		breaks(0, ms);
	breaks(30001, 250);
	conn_close(&c);
}

Test(conn, one_whose_other_side_stored_what_it_got_is_tried_again_soon)
{
	begin();
	for (uint64_t ms = 250; ms < 30000; ms *= 2)
		breaks(0, ms);
	conn_proved(&c);
	breaks(0, 250);
	breaks(0, 500);
	conn_close(&c);
}
