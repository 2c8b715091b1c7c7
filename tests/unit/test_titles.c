/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_titles.c - names of rules by element and generation: which of the last few is told, and that a reader
 * never gets half of one while it is written.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "loader/policy/titles.h"

static struct policy_titles titles;

static void put(uint32_t rule, uint32_t generation, const char *name)
{
	char text[65] = {};

	snprintf(text, sizeof(text), "%s", name);
	title_put(&titles, rule, generation, (const uint8_t *)text);
}

static const char *get(uint32_t rule, uint32_t generation)
{
	static char text[TITLE_TEXT];

	return title_get(&titles, rule, generation, text) ? text : NULL;
}

static void forget(void)
{
	memset(&titles, 0, sizeof(titles));
}

TestSuite(titles, .init = forget, .timeout = 600);

#define IS(rule, generation, want)                                                              \
	cr_expect(eq(str, (char *)get(rule, generation), want), "rule %u, generation %u", rule, \
		  generation)

Test(titles, a_rule_has_the_name_of_its_generation)
{
	put(7, 3, "first");
	put(7, 9, "second");
	put(8, 9, "neighbour");
	IS(7, 3, "first");
	IS(7, 8, "first");
	IS(7, 9, "second");
	IS(7, 4000000000u, "second");
	IS(8, 9, "neighbour");
	cr_expect(zero(ptr, (void *)get(9, 9)), "no such rule");
	cr_expect(zero(ptr, (void *)get(POLICY_RULES, 9)), "no such element");
}

Test(titles, the_oldest_known_stands_for_all_before_it)
{
	char name[8];

	for (uint32_t i = 1; i <= TITLES_KEPT + 2; i++) {
		snprintf(name, sizeof(name), "name%u", i);
		put(1, 10 * i, name);
	}
	IS(1, 60, "name6");
	IS(1, 49, "name4");
	IS(1, 30, "name3");
	IS(1, 29, "name3");
	IS(1, 10, "name3");
	IS(1, 1, "name3");
}

Test(titles, the_same_name_again_takes_no_place)
{
	put(1, 1, "old");
	for (uint32_t i = 2; i < 100; i++)
		put(1, i, "same");
	IS(1, 1, "old");
	IS(1, 2, "same");
	IS(1, 99, "same");
}

/* A change that did not fit is made again, for the same generation. */
Test(titles, what_was_never_in_force_is_not_told)
{
	put(1, 5, "before");
	put(1, 6, "refused");
	put(1, 6, "applied");
	IS(1, 5, "before");
	IS(1, 6, "applied");
	IS(1, 7, "applied");
}

Test(titles, a_name_may_fill_its_place)
{
	char full[65];

	memset(full, 'x', 64);
	full[64] = '\0';
	put(1, 1, full);
	IS(1, 1, full);
	put(1, 2, "short");
	IS(1, 2, "short");
	IS(1, 1, full);
}

Test(titles, one_that_is_being_written_is_not_read)
{
	put(1, 1, "whole");
	titles.of[1].seq++; /* as after a writer that was killed at work */
	cr_expect(zero(ptr, (void *)get(1, 1)));
	titles.of[1].seq++;
	IS(1, 1, "whole");
}

/* ---- two processes ---- */

#define CHANGES 200000u /* at least, and until some have been read, however the two are scheduled */
#define READS	1000u

static atomic_uint reads;
static atomic_bool done;

static void *writer(void *arg)
{
	uint32_t *ret_last = arg;

	for (uint32_t i = 1; i <= CHANGES || atomic_load(&reads) < READS; i++) {
		char name[65];

		memset(name, 'a' + (int)(i % 26), 64);
		name[64] = '\0';
		put(1, i, name);
		*ret_last = i;
	}
	atomic_store(&done, true);
	return NULL;
}

/* All letters of a name are one, and it is a generation's that the writer has had. */
Test(titles, a_reader_never_sees_half_a_name)
{
	uint32_t torn = 0, last = 0;
	pthread_t t;

	cr_assert(zero(int, pthread_create(&t, NULL, writer, &last)));
	while (!atomic_load(&done)) {
		const char *name = get(1, UINT32_MAX);

		if (!name)
			continue;
		atomic_fetch_add(&reads, 1);
		torn += strlen(name) != 64 || strspn(name, (char[]){name[0], '\0'}) != 64;
	}
	cr_assert(zero(int, pthread_join(t, NULL)));
	cr_expect(eq(u32, torn, 0));
	cr_expect(eq(chr, get(1, last)[0], (char)('a' + last % 26)));
}
