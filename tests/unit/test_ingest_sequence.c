// SPDX-License-Identifier: Apache-2.0
/*
 * test_ingest_sequence.c - loss, reordering, restarts and repeats from sequence numbers; exporters that
 * count otherwise than they should.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "collector/ingest/sequence.h"

TestSuite(ingest_sequence, .timeout = 120);

static struct sequence s;

/* @n messages of @records from @number on. */
static uint32_t go(uint32_t number, uint32_t n, uint32_t records)
{
	for (uint32_t i = 0; i < n; i++, number += records)
		sequence_message(&s, number, records, true);
	return number;
}

Test(ingest_sequence, an_unbroken_run_loses_nothing_over_the_end_of_the_numbers)
{
	sequence_init(&s, SEQUENCE_RECORDS);
	go(UINT32_MAX - 100, 100, 7);
	cr_assert(eq(u64, s.lost + s.gaps + s.restarts + s.reordered + s.repeated, 0));
}

Test(ingest_sequence, what_is_left_out_is_lost_until_it_comes_late)
{
	uint32_t at;

	sequence_init(&s, SEQUENCE_RECORDS);
	at = go(1000, 10, 20);
	go(at + 60, 5, 20);
	cr_assert(eq(u64, s.lost, 60));
	cr_assert(eq(u64, s.gaps, 1));
	sequence_message(&s, at + 20, 20, true);
	cr_assert(eq(u64, s.lost, 40));
	cr_assert(eq(u64, s.reordered, 1));
	sequence_message(&s, at, 20, true);
	sequence_message(&s, at + 40, 20, true);
	cr_assert(eq(u64, s.lost, 0));
	cr_assert(eq(u64, s.restarts + s.repeated, 0));
}

Test(ingest_sequence, a_repeated_message_is_one_and_changes_nothing)
{
	uint32_t at;

	sequence_init(&s, SEQUENCE_RECORDS);
	at = go(5000, 50, 20);
	sequence_message(&s, at - 20, 20, true);
	go(at, 5, 20);
	cr_assert(eq(u64, s.repeated, 1));
	cr_assert(eq(u64, s.lost + s.restarts, 0));
}

Test(ingest_sequence, seconds_of_a_fast_exporter_are_lost_and_no_restart)
{
	uint32_t at;

	sequence_init(&s, SEQUENCE_RECORDS);
	at = go(UINT32_MAX - 1000000, 10, 20);
	go(at + 5000000, 5, 20);
	cr_assert(eq(u64, s.lost, 5000000));
	cr_assert(eq(u64, s.restarts, 0));
}

Test(ingest_sequence, a_restart_is_no_loss)
{
	sequence_init(&s, SEQUENCE_RECORDS);
	go(1000000, 50, 20);
	go(0, 50, 20);
	cr_assert(eq(u64, s.restarts, 1));
	go(77, 50, 20); /* near by, and not from 0 */
	cr_assert(eq(u64, s.restarts, 2));
	cr_assert(eq(u64, s.lost, 0));
	cr_assert(eq(u64, s.repeated, 0));
}

Test(ingest_sequence, a_message_that_could_not_be_counted_makes_no_loss)
{
	sequence_init(&s, SEQUENCE_RECORDS);
	go(0, 3, 20);
	sequence_message(&s, 60, 0, false);
	go(75, 3, 20);
	cr_assert(eq(u64, s.lost, 0));
	cr_assert(eq(u64, s.restarts, 0));
}

Test(ingest_sequence, messages_are_counted_where_records_should_be)
{
	sequence_init(&s, SEQUENCE_RECORDS);
	for (uint32_t i = 0; i < 50; i++)
		sequence_message(&s, i, 20 + i % 3, true);
	cr_assert(eq(u8, s.unit, SEQUENCE_MESSAGES));
	cr_assert(eq(u64, s.lost + s.gaps, 0));
	sequence_message(&s, 60, 20, true);
	cr_assert(eq(u64, s.lost, 10));
}

Test(ingest_sequence, records_are_counted_where_messages_should_be)
{
	uint32_t at = 0;

	sequence_init(&s, SEQUENCE_MESSAGES);
	for (uint32_t i = 0; i < 50; i++) {
		sequence_message(&s, at, 20 + i % 3, true);
		at += 20 + i % 3;
	}
	cr_assert(eq(u8, s.unit, SEQUENCE_RECORDS));
	cr_assert(eq(u64, s.lost, 0));
}

/* As softflowd numbers IPFIX. */
Test(ingest_sequence, a_message_may_count_its_own_records)
{
	static const uint32_t n[] = {19, 30, 29, 31, 29, 32, 32, 32, 30, 31};
	uint32_t number = 18;

	sequence_init(&s, SEQUENCE_RECORDS);
	sequence_message(&s, number, n[0], true);
	for (unsigned int i = 1; i < sizeof(n) / sizeof(n[0]); i++) {
		number += n[i];
		sequence_message(&s, number, n[i], true);
	}
	cr_assert(eq(u8, s.unit, SEQUENCE_AFTER));
	cr_assert(eq(u64, s.lost, 0));
	sequence_message(&s, number + 25 + 17, 17, true);
	cr_assert(eq(u64, s.lost, 25));
}
