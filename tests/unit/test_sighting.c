// SPDX-License-Identifier: Apache-2.0
/*
 * test_sighting.c - which interface counts a flow that several see.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "loader/dataplane.h"
#include "loader/sighting.h"

#define ROOM 64u

static struct sightings *s;

/* 1 to 9 uplinks, 10 to 19 veths, 20 to 29 mirrors. */
static int role_of(void *arg, const struct flow_key *key)
{
	const uint32_t ifindex = key->ifindex;

	(void)arg;
	return ifindex < 10   ? ROLE_UPLINK
	       : ifindex < 20 ? ROLE_VETH
	       : ifindex < 30 ? ROLE_MIRROR
			      : -1;
}

static void setup(void)
{
	cr_assert(zero(int, sightings_new(ROOM, role_of, NULL, &s)));
}

static void teardown(void)
{
	sightings_free(s);
}

TestSuite(sighting, .init = setup, .fini = teardown, .timeout = 120);

static struct flow_key on(uint32_t flow, uint32_t ifindex)
{
	struct flow_key k = {.ifindex = ifindex, .proto = 6, .ethertype = 0x0800};

	memcpy(k.addr[0], &flow, sizeof(flow));
	k.vlan[0] = ifindex == 2 ? 77 : 0;
	return k;
}

static void note(uint32_t flow, uint32_t ifindex, unsigned int dirs)
{
	struct flow_key k = on(flow, ifindex);

	for (int d = 0; d < 2; d++)
		if (dirs & 1u << d)
			sighting_note(s, &k, d, 100);
}

static unsigned int elsewhere(uint32_t flow, uint32_t ifindex)
{
	const struct sighting *seen;
	struct flow_key k = on(flow, ifindex);

	return sighting_elsewhere(s, &k, 100, &seen);
}

Test(sighting, an_uplink_counts_what_it_sees_whoever_came_first)
{
	note(1, 12, 3);
	note(1, 2, 3); /* tagged there */
	cr_expect(eq(uint, elsewhere(1, 12), 3));
	cr_expect(zero(uint, elsewhere(1, 2)));
	cr_expect(zero(uint, elsewhere(2, 12)), "another flow");
}

Test(sighting, each_direction_is_settled_for_itself)
{
	note(1, 12, 3);
	note(1, 2, 2); /* the way out leaves the node where nobody looks */
	cr_expect(eq(uint, elsewhere(1, 12), 2));
}

Test(sighting, of_two_veths_the_lower_index_counts)
{
	note(1, 14, 3);
	note(1, 11, 3);
	cr_expect(eq(uint, elsewhere(1, 14), 3));
	cr_expect(zero(uint, elsewhere(1, 11)));
}

Test(sighting, uplinks_and_mirrors_count_each_for_itself)
{
	note(1, 2, 3);
	note(1, 3, 3);
	note(1, 20, 3);
	note(1, 40, 3);
	cr_expect(zero(uint, elsewhere(1, 2)));
	cr_expect(zero(uint, elsewhere(1, 3)));
	cr_expect(zero(uint, elsewhere(1, 20)));
	cr_expect(zero(uint, elsewhere(1, 40)));
}

Test(sighting, more_interfaces_than_are_remembered_still_have_one_that_counts)
{
	for (uint32_t i = 19; i >= 10; i--)
		note(1, i, 1);
	note(1, 2, 1);
	for (uint32_t i = 10; i < 20; i++)
		cr_expect(eq(uint, elsewhere(1, i), 1), "interface %u", i);
	cr_expect(zero(uint, elsewhere(1, 2)));
}

Test(sighting, what_nobody_asks_for_is_forgotten_and_its_room_used_again)
{
	for (uint32_t f = 0; f < ROOM + 5; f++)
		note(f, 2, 1);
	cr_expect(eq(u64, sightings_stats(s)->full, 5));
	cr_expect(zero(uint, elsewhere(ROOM, 12)), "not known: counted where it is seen");
	for (int i = 0; i < 64; i++)
		sightings_tick(s, 150, 60);
	cr_expect(eq(uint, elsewhere(0, 12), 1), "not that old");
	for (int i = 0; i < 64; i++)
		sightings_tick(s, 161, 60);
	cr_expect(zero(uint, elsewhere(0, 12)));
	for (uint32_t f = 100; f < 100 + ROOM; f++)
		note(f, 2, 1);
	cr_expect(eq(u64, sightings_stats(s)->full, 5));
	for (uint32_t f = 100; f < 100 + ROOM; f++)
		cr_expect(eq(uint, elsewhere(f, 12), 1));
}
