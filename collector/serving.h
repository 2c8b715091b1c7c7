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

struct api;
struct enrich;
struct eve;
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
	struct eve *eve; /* NULL: there are no alerts to read */
	struct serving_rules *rules;
	struct nodes *nodes; /* atomic: rules are there before it; NULL: nodes are told nothing */
	struct api *api;     /* atomic: the last to be there; NULL: there is none */
	uint32_t listeners;
	int64_t started_us;
	int notify; /* service manager */
};

/* See endpoint_cfg. Any thread. */
json_t *serving_status(void *arg);
char *serving_metrics(void *arg, size_t *ret_len);
/* See endpoint_cfg.ask. */
json_t *serving_ask(void *arg, const json_t *request, const struct endpoint_peer *peer);

/* See endpoint_cfg.backtest. */
int serving_backtest(void *arg, const json_t *request, const struct endpoint_answer *to,
		     char *error);

/* See endpoint_cfg.fetch. */
int serving_fetch(void *arg, const struct fetch_wish *w, struct fetch **ret,
		  struct fetch_of *ret_of, struct fetch_refusal *why);

/* serving_api.c: the REST interface, after all others. Return: 0, -errno; said in the log. */
int serving_api_open(struct serving *v);

#endif
