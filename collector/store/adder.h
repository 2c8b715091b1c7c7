/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adder.h - the thread that adds blocks to the roll-ups, beside the writer that appends them.
 */
#ifndef WEIR_COLLECTOR_STORE_ADDER_H
#define WEIR_COLLECTOR_STORE_ADDER_H

#include "collector/store/rollup.h"

struct adder;

/* @max: blocks that may wait. NULL: no memory, no thread. */
struct adder *adder_new(struct rollup *r, uint32_t max);

/* All that was pushed has been added before it ends. Returns NULL. */
struct adder *adder_free(struct adder *a);

/* Add a block, which stays as it is until adder_wait(). Writer thread, as the next. */
void adder_push(struct adder *a, const struct block *b, uint32_t batch);

/* Until everything pushed is added: then the roll-ups are the writer's. */
void adder_wait(struct adder *a);

#endif
