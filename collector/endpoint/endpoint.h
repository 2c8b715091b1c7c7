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
 *	{"v":1,"command":"backtest",...}                 see backtest_ask.h
 *	{"v":1,"command":"captures","what":"get","id":N}   answer: {"type":"file","size":N} with a descriptor that
 *			has the octets, then {"type":"end"}, or an error: they were not all
 *
 * Answers are answer_line.h's, {"type":"file"}, {"type":"status",...}, or what cfg.ask and cfg.backtest say.
 */
#ifndef WEIR_COLLECTOR_ENDPOINT_ENDPOINT_H
#define WEIR_COLLECTOR_ENDPOINT_ENDPOINT_H

#include <jansson.h>
#include "collector/store/store.h"
#include "common/filter.h"

#define ENDPOINT_VERSION     1u
#define ENDPOINT_REQUEST_MAX (4u << 20) /* with files of rules in it */

struct endpoint;
struct fetch; /* collector/nodes/captures.h */
struct fetch_of;
struct fetch_wish;
struct fetch_refusal;

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

/* Where a command that takes long puts its answer. Not 0: the client has gone, stop. */
struct endpoint_answer {
	int (*line)(void *arg, json_t *line);	    /* taken over */
	int (*progress)(void *arg, double percent); /* -1: not known. Any thread */
	void *arg;
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
	/*
	 * Any thread. It counts as a query. Return: 0; what @to returned; -EINVAL, -EBADMSG (its rules), -EBUSY,
	 * of the store: @error (STORE_ERROR octets) says what.
	 */
	int (*backtest)(void *arg, const json_t *request, const struct endpoint_answer *to,
			char *error);
	/* Any thread. As fetch_open() of collector/nodes/captures.h. */
	int (*fetch)(void *arg, const struct fetch_wish *w, struct fetch **ret,
		     struct fetch_of *ret_of, struct fetch_refusal *why);
	/* Any thread. Prometheus text, free() it; NULL: no memory. */
	char *(*metrics)(void *arg, size_t *ret_len);
	void *arg;
};

/* Return: 0, -ENOMEM, -EAGAIN (no thread). */
int endpoint_start(const struct endpoint_cfg *cfg, struct endpoint **ret);

/* Stops queries, waits for their threads. NULL is fine. */
void endpoint_stop(struct endpoint *e);

/**
 * endpoint_query - a query as clients of the socket put it: counted, ended at its time
 * @q, @error: as query_run() has them
 *
 * Return: as query_run(). Any thread; takes long.
 */
struct spec;
struct answer_sink;
int endpoint_query(struct endpoint *e, const struct spec *q, const struct answer_sink *k,
		   char *error);

/* Lists of filters, for spec.env. */
const struct filter_env *endpoint_lists(const struct endpoint *e);

void endpoint_set_timeout(struct endpoint *e, uint32_t timeout_ms);
void endpoint_stats(struct endpoint *e, struct endpoint_stats *ret);

#endif
