/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint.h - answers on the local socket, and metrics over HTTP. A thread of its own takes clients,
 * each client has a thread; a client that goes away stops its query. Requests are lines of JSON:
 *
 *	{"v":1,"command":"query","spec":{"filter":"...","by":"src.ip",...}}     spec.h's keys
 *	{"v":1,"command":"query","spec":{...},"output":"parquet"}   answer: a line with a descriptor
 *	{"v":1,"command":"status"}
 *
 *	{"v":1,"command":"alerts","what":"list",...}     others: cfg.ask knows them
 *
 * Answers are answer_line.h's, {"type":"file"}, {"type":"status",...}, or what cfg.ask says.
 */
#ifndef WEIR_COLLECTOR_ENDPOINT_ENDPOINT_H
#define WEIR_COLLECTOR_ENDPOINT_ENDPOINT_H

#include <jansson.h>
#include "collector/store/store.h"
#include "common/filter.h"

#define ENDPOINT_VERSION     1u
#define ENDPOINT_REQUEST_MAX (64u << 10)

struct endpoint;

struct endpoint_stats {
	uint64_t queries, failed, cancelled, refused; /* refused: too many clients */
	uint64_t query_us;			      /* all of them together */
	uint64_t running;			      /* now */
};

/* Whose socket it is at the other end. */
struct endpoint_peer {
	uint32_t uid;
	char name[48]; /* "uid=0 (root)" */
};

struct endpoint_cfg {
	int socket, http; /* listening, taken over; -1: none */
	uint32_t clients;
	uint32_t timeout_ms; /* of a query; may change, see endpoint_set_timeout() */
	struct store *store;
	const char *dir;		/* for files that are made for clients */
	const struct filter_env *lists; /* of filters */
	/* Any thread. An object without "type"; NULL: no memory. */
	json_t *(*status)(void *arg);
	/* Any thread. Another command's answer: a list of objects, a line each; NULL: no such command. */
	json_t *(*ask)(void *arg, const json_t *request, const struct endpoint_peer *peer);
	/* Any thread. Prometheus text, free() it; NULL: no memory. */
	char *(*metrics)(void *arg, size_t *ret_len);
	void *arg;
};

/* Return: 0, -ENOMEM, -EAGAIN (no thread). */
int endpoint_start(const struct endpoint_cfg *cfg, struct endpoint **ret);

/* Stops queries, waits for their threads. NULL is fine. */
void endpoint_stop(struct endpoint *e);

void endpoint_set_timeout(struct endpoint *e, uint32_t timeout_ms);
void endpoint_stats(struct endpoint *e, struct endpoint_stats *ret);

#endif
