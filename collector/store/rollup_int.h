/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rollup_int.h - what the files of rollup.h share.
 */
#ifndef WEIR_COLLECTOR_STORE_ROLLUP_INT_H
#define WEIR_COLLECTOR_STORE_ROLLUP_INT_H

#include <pthread.h>
#include "collector/store/sums.h"

#define TEXT_MAX (64u << 20) /* names of a window */

enum window_sums {
	WS_DIMS = 0, /* levels but RL_HOST; key: dim, key */
	WS_HOST = 0, /* RL_HOST; extra: sketch of peers */
	WS_PAIR,
	WS_NAME, /* key: two hashes; extra: place of the text + 1 << 16 | length */
	WINDOW_SUMS,
};

struct window {
	enum rollup_level level;
	int64_t ts;
	uint32_t from_batch;
	uint64_t touched_ms;
	bool saving; /* written in the transaction at hand */
	struct sums sums[WINDOW_SUMS];
	char *text;
	uint32_t text_len, text_cap;
	struct window *next;
	struct window *same; /* bucket */
};

#define WINDOW_BUCKETS 256u

struct rollup {
	struct store *s;
	pthread_mutex_t lock; /* the list, for rollup_open() */
	struct window *windows;
	struct window *bucket[WINDOW_BUCKETS];
	struct window *last[_RL_MAX]; /* of the row before */
	bool changed;		      /* which are open, since it was saved */
	bool close_all;
};

/* What is being added. */
struct adding {
	const struct block *b;
	const uint64_t
		*ids; /* flow_id of each row: only into windows that are open for it; or NULL */
	uint32_t batch;
	uint64_t now_ms;
};

void rollup_add_rows(struct rollup *r, const struct adding *a);

/* @batch 0: only if it is open. */
struct window *rollup_window(struct rollup *r, enum rollup_level level, int64_t ts, uint32_t batch);
void rollup_remove(struct rollup *r, struct window *w);

#endif
