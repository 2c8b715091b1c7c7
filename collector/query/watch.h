/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - looks after a running query from a thread of its own, since the engine may be silent for
 * long: tells the sink how far it is, and stops it when the sink wants no more.
 */
#ifndef WEIR_COLLECTOR_QUERY_WATCH_H
#define WEIR_COLLECTOR_QUERY_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include "collector/query/answer.h"
#include "collector/store/store.h"

#define WATCH_MS 200

struct watch {
	const struct answer_sink *k;
	struct store_result *result;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool running, done;
	int error; /* what the sink said */
};

/* Without a sink's progress(), or without threads, nobody watches. */
void watch_begin(struct watch *w, const struct answer_sink *k, struct store_result *result);

/* Before the result is freed. Return: 0, or why the query was stopped. */
int watch_end(struct watch *w);

#endif
