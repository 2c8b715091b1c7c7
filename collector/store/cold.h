/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cold.h - old partitions become Parquet, sorted by address so that one host's flows lie together. A
 * thread of its own writes the file; the writer thread lets it take the database's place.
 */
#ifndef WEIR_COLLECTOR_STORE_COLD_H
#define WEIR_COLLECTOR_STORE_COLD_H

#include "collector/store/store_int.h"

struct cold;

/* NULL: no memory, no thread. */
struct cold *cold_new(struct store *s);

/* Ends soon: a file that is half written is dropped. Returns NULL. */
struct cold *cold_free(struct cold *c);

/*
 * Start what is due, finish what is written. The lock is held; writer thread.
 */
void cold_upkeep(struct cold *c);

/* Is it being written? @c may be NULL; the lock is held. */
bool cold_has(const struct cold *c, const struct partition *p);

#endif
