/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block_facts.h - columns of a block from what is known of its addresses. An address is looked up when
 * it is not among the last few thousand that this thread has seen; its texts are in a block once.
 */
#ifndef WEIR_COLLECTOR_ENRICH_BLOCK_FACTS_H
#define WEIR_COLLECTOR_ENRICH_BLOCK_FACTS_H

#include <stdbool.h>
#include "collector/block.h"
#include "collector/enrich/facts.h"
#include "collector/enrich/learn.h"

struct store;

struct block_facts_cfg {
	struct store *store; /* learns the names of autonomous systems */
	/* see facts_source.find */
	void (*find)(void *arg, struct facts *f, uint32_t n, const struct facts_sink *to);
	void *arg;
	uint32_t names;	 /* learnt names to keep; 0: none are learnt */
	int64_t keep_us; /* for how long */
};

struct block_facts;

struct block_facts *block_facts_new(const struct block_facts_cfg *cfg); /* NULL: no memory */
void block_facts_free(struct block_facts *f);				/* NULL is fine */

/**
 * block_facts_add - fill columns of all rows of a block
 * @generation: changes when find() may say something else than before
 * @any:        does find() know anything?
 *
 * Thread: any, several at once.
 */
void block_facts_add(struct block_facts *f, struct block *b, uint64_t generation, bool any);

/* Any thread. */
void block_facts_set_keep(struct block_facts *f, int64_t keep_us);
void block_facts_names(const struct block_facts *f, struct learn_stats *ret);

#endif
