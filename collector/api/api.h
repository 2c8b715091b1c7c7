/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - the REST interface of the running collector (docs/api.md): HTTP or HTTPS, bearer tokens, JSON. Most
 * of it is questions of the local socket (endpoint.h) in another dress. A thread for each connection.
 */
#ifndef WEIR_COLLECTOR_API_API_H
#define WEIR_COLLECTOR_API_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "collector/endpoint/endpoint.h"

#define API_ERROR 240u

struct api;
struct ruleset;
struct packs_change;
struct own_change;
struct fetch;
struct fetch_of;
struct fetch_wish;
struct fetch_refusal;

/* Of the collector that runs; any thread. */
struct api_ops {
	json_t *(*status)(void *arg);
	char *(*metrics)(void *arg, size_t *ret_len); /* NULL: no memory */
	/* As endpoint_cfg.ask. */
	json_t *(*ask)(void *arg, const json_t *request, const struct endpoint_peer *peer);
	json_t *(*rules)(void *arg);	   /* a list of objects with "rule", and their counts */
	struct ruleset *(*set)(void *arg); /* the rules at work, held */
	/* As serving_rules_own(). */
	int (*rule_change)(void *arg, struct own_change *c, char *said);
	/* As serving_rules_packs_list(), serving_rules_packs(). */
	json_t *(*packs)(void *arg, const char *name, char *said);
	int (*pack_change)(void *arg, struct packs_change *c, char *said, json_t **ret);
	/* As endpoint_cfg.backtest. */
	int (*backtest)(void *arg, const json_t *request, const struct endpoint_answer *to,
			char *error);
	/* As endpoint_query(), endpoint_lists(). */
	int (*query)(void *arg, const struct spec *q, const struct answer_sink *k, char *error);
	const struct filter_env *(*lists)(void *arg);
	/* As endpoint_cfg.fetch. */
	int (*fetch)(void *arg, const struct fetch_wish *w, struct fetch **ret,
		     struct fetch_of *ret_of, struct fetch_refusal *why);
};

struct api_cfg {
	int fd;			/* listening, taken over */
	const char *cert, *key; /* files, PEM; NULL: HTTP */
	const char *dir;	/* of the store */
	uint32_t clients;
	const struct api_ops *ops;
	void *arg;
};

/* Return: 0; -EIO with @error (API_ERROR bytes); -ENOMEM. Once it has failed, the socket is closed too. */
int api_open(const struct api_cfg *cfg, char *error, struct api **ret);
/* Nobody is answered over HTTP any more; waits for answers that are under way. NULL is fine. */
void api_stop(struct api *a);
void api_close(struct api *a); /* NULL is fine */

/* A request of the local socket, "command":"tokens"; as book_ask(). NULL: there is no interface. Any thread. */
json_t *api_ask(struct api *a, const json_t *request, const struct endpoint_peer *peer);

/* Any thread; NULL is fine. */
json_t *api_status(struct api *a);
void api_metrics(struct api *a, FILE *out);

/* For weir-collector-api(8) and weir-collector-token(8). */
void api_reference_routes(void);
void api_reference_roles(void);

#endif
