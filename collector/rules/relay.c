// SPDX-License-Identifier: Apache-2.0
#include "collector/rules/relay.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "collector/block.h"

#define BLOCKS 4u /* under way: a wait of either side is made up for */

struct relay {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct block_pool *pool;
	struct block *ring[BLOCKS];
	uint64_t sent;
	uint64_t done[RELAY_TAKERS];
	uint32_t takers;
	bool over;
};

int relay_new(uint32_t takers, struct relay **ret)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->takers = takers;
	r->pool = block_pool_new(BLOCKS);
	if (!r->pool) {
		free(r);
		return -ENOMEM;
	}
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->moved, NULL);
	*ret = r;
	return 0;
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	block_pool_free(r->pool);
	pthread_cond_destroy(&r->moved);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* Blocks that all are done with. Called under the lock. */
static uint64_t slowest(const struct relay *r)
{
	uint64_t least = r->done[0];

	for (uint32_t i = 1; i < r->takers; i++)
		least = r->done[i] < least ? r->done[i] : least;
	return least;
}

struct block *relay_begin(struct relay *r)
{
	struct block **at = &r->ring[r->sent % BLOCKS];

	pthread_mutex_lock(&r->lock);
	while (r->sent - slowest(r) == BLOCKS)
		pthread_cond_wait(&r->moved, &r->lock);
	pthread_mutex_unlock(&r->lock);
	if (*at)
		block_put(r->pool, *at);
	*at = block_get(r->pool); /* there are as many as places */
	return *at;
}

static void step(struct relay *r, uint64_t *count)
{
	pthread_mutex_lock(&r->lock);
	++*count;
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
}

void relay_send(struct relay *r)
{
	step(r, &r->sent);
}

void relay_end(struct relay *r)
{
	pthread_mutex_lock(&r->lock);
	r->over = true;
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
}

const struct block *relay_take(struct relay *r, uint32_t taker)
{
	const struct block *b;

	pthread_mutex_lock(&r->lock);
	while (r->done[taker] == r->sent && !r->over)
		pthread_cond_wait(&r->moved, &r->lock);
	b = r->done[taker] == r->sent ? NULL : r->ring[r->done[taker] % BLOCKS];
	pthread_mutex_unlock(&r->lock);
	return b;
}

void relay_done(struct relay *r, uint32_t taker)
{
	step(r, &r->done[taker]);
}
