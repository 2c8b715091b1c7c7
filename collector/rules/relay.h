/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h - blocks from one thread that fills them to several that each look at all of them, in order. A few
 * blocks are under way: who fills waits for the slowest, who looks for the next. See block.h.
 */
#ifndef WEIR_COLLECTOR_RULES_RELAY_H
#define WEIR_COLLECTOR_RULES_RELAY_H

#include <stdint.h>

#define RELAY_TAKERS 8u

struct block;
struct relay;

/* Return: 0, -ENOMEM. @takers: up to RELAY_TAKERS */
int relay_new(uint32_t takers, struct relay **ret);
/* No taker is at work any more. NULL is fine. */
void relay_free(struct relay *r);

/* An empty block to fill, once all takers are done with what was in it. Thread: the one that fills. */
struct block *relay_begin(struct relay *r);
/* What relay_begin() gave is full. */
void relay_send(struct relay *r);
/* No more blocks come. */
void relay_end(struct relay *r);

/* The next block, not to be changed; NULL: that was all. Thread: the taker's. */
const struct block *relay_take(struct relay *r, uint32_t taker);
/* The taker is done with it. */
void relay_done(struct relay *r, uint32_t taker);

#endif
