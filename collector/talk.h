/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk.h - a command that asks the running collector: one request, lines of an answer, each given to
 * whoever prints it. What is wrong is said on standard error.
 */
#ifndef WEIR_COLLECTOR_TALK_H
#define WEIR_COLLECTOR_TALK_H

#include <jansson.h>

#include "collector/endpoint/client.h"
#include "common/cli.h"

/**
 * talk - ask
 * @request: taken over
 * @line:    each line of the answer but the last; the last one too if it is of type "done"
 *
 * Return: exit status.
 */
int talk(const struct client_at *at, json_t *request, void (*line)(void *arg, const json_t *o),
	 void *arg);

#define TALK_IDS_MAX 256u

struct talk_ids {
	int64_t v[TALK_IDS_MAX];
	uint32_t n;
};

/* An operand is one more of them, the number of a @what. Return: 0, or the exit status. */
int talk_take_id(struct cli *c, struct talk_ids *ids, const char *what);

/*
 * One request for each of them, as talk(), until nobody answers or it is not permitted. Return: exit status:
 * EXIT_PARTLY where some were refused.
 */
int talk_each(const struct client_at *at, json_t *request, const struct talk_ids *ids,
	      void (*line)(void *arg, const json_t *o), void *arg);

/* A member, "" or 0 where it is missing. */
const char *talk_text(const json_t *o, const char *key);
int64_t talk_number(const json_t *o, const char *key);

/* "2026-09-01 12:41:08" of an RFC 3339 time, into @buf (20 bytes). Return: @buf. */
const char *talk_time(const json_t *o, const char *key, char *buf);

/* The object as a line of JSON on standard output, without "type". */
void talk_json(const json_t *o);

#endif
