// SPDX-License-Identifier: Apache-2.0
/*
 * rings.c - the steps of groups' windows, one by one: of one rule all are of one size, so that they are
 * taken from chunks, each larger than the one before, and come back to a list.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rules/engine_int.h"

#define FIRST 16u	 /* rings in the first chunk */
#define MOST  (2u << 20) /* octets of a chunk from which on they grow no more: large pages */

struct ring_chunk {
	struct ring_chunk *next;
	uint64_t pad[7]; /* rings begin at a line of the cache */
	uint64_t cells[];
};

static size_t ring_cells(const struct rule_state *s)
{
	return (size_t)s->n_leaves * (1 + s->panes);
}

static int more(struct rule_state *s)
{
	const size_t one = ring_cells(s) * sizeof(uint64_t), n = s->rings.n_next ?: FIRST;
	size_t bytes = sizeof(struct ring_chunk) + n * one;
	struct ring_chunk *c = slots_memory(&bytes);

	if (!c)
		return -ENOMEM;
	c->next = s->rings.chunks;
	s->rings.chunks = c;
	s->rings.fresh = c->cells;
	s->rings.n_fresh = (uint32_t)((bytes - sizeof(struct ring_chunk)) / one);
	s->rings.n_next = (uint32_t)(bytes < MOST ? 2 * n : n);
	s->stats.bytes += bytes;
	return 0;
}

uint64_t *rings_take(struct rule_state *s)
{
	const size_t cells = ring_cells(s);
	uint64_t *ring = s->rings.free;

	if (ring) {
		s->rings.free = (uint64_t *)(uintptr_t)ring[0];
	} else {
		if (!s->rings.n_fresh && more(s))
			return NULL;
		ring = s->rings.fresh;
		s->rings.fresh += cells;
		s->rings.n_fresh--;
	}
	memset(ring, 0, cells * sizeof(*ring));
	return ring;
}

void rings_give(struct rule_state *s, uint64_t *ring)
{
	ring[0] = (uintptr_t)s->rings.free;
	s->rings.free = ring;
}

void rings_done(struct rule_state *s)
{
	for (struct ring_chunk *c = s->rings.chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
}
