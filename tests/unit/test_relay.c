// SPDX-License-Identifier: Apache-2.0
/* test_relay.c - blocks of one thread to several: each gets all of them, in order, and none before its time. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>

#include "collector/block.h"
#include "collector/rules/relay.h"

#define SENT 500u

struct taker {
	struct relay *relay;
	uint32_t n, taken, wrong;
	pthread_t thread;
};

static void *take(void *arg)
{
	struct taker *t = arg;
	const struct block *b;

	while ((b = relay_take(t->relay, t->n))) {
		/* each is slow at times of its own */
		for (volatile unsigned int i = 0; i < (t->taken % (5 + t->n) ? 0u : 200000u); i++)
			;
		t->wrong += b->rows != t->taken + 1 || b->text_len;
		t->taken++;
		relay_done(t->relay, t->n);
	}
	return NULL;
}

Test(relay, every_taker_gets_every_block_in_order, .timeout = 120)
{
	struct taker takers[3] = {};
	struct relay *r;

	cr_assert(eq(int, relay_new(3, &r), 0));
	for (uint32_t i = 0; i < 3; i++) {
		takers[i] = (struct taker){.relay = r, .n = i};
		cr_assert(eq(int, pthread_create(&takers[i].thread, NULL, take, &takers[i]), 0));
	}
	for (uint32_t i = 1; i <= SENT; i++) {
		struct block *b = relay_begin(r);

		cr_assert(eq(u32, b->rows, 0));
		b->rows = i;
		relay_send(r);
	}
	relay_begin(r)->text_len = 1; /* is never sent */
	relay_end(r);
	for (uint32_t i = 0; i < 3; i++) {
		pthread_join(takers[i].thread, NULL);
		cr_expect(eq(u32, takers[i].taken, SENT));
		cr_expect(eq(u32, takers[i].wrong, 0));
	}
	relay_free(r);
}

Test(relay, ends_before_anything_came)
{
	struct relay *r;

	cr_assert(eq(int, relay_new(1, &r), 0));
	relay_end(r);
	cr_expect(relay_take(r, 0) == NULL);
	relay_free(r);
	relay_free(NULL);
}
