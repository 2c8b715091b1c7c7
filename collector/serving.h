/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serving.h - the running collector: its parts, and what status and metrics say of them. Made by
 * cmd_serve.c; parts live from start to end, so that any thread may ask.
 */
#ifndef WEIR_COLLECTOR_SERVING_H
#define WEIR_COLLECTOR_SERVING_H

#include <jansson.h>
#include "collector/block.h"
#include "collector/endpoint/endpoint.h"
#include "collector/ingest/ingest.h"
#include "collector/settings.h"

struct enrich;
struct nodes;
struct serving_rules;

struct serving {
	struct settings *settings;
	const struct settings_args *args;
	struct block_pool *pool;
	struct store *store;
	struct ingest *ingest; /* atomic: the store's writer is there before it */
	struct endpoint *endpoint;
	struct enrich *enrich;
	struct serving_rules *rules;
	struct nodes *nodes; /* atomic: rules are there before it; NULL: nodes are told nothing */
	uint32_t listeners;
	int64_t started_us;
	int notify; /* service manager */
};

/* See endpoint_cfg. Any thread. */
json_t *serving_status(void *arg);
char *serving_metrics(void *arg, size_t *ret_len);

#endif
