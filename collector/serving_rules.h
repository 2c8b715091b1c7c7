/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serving_rules.h - the rules of the running collector: read, put to work, read again, and what
 * status and metrics say of them.
 */
#ifndef WEIR_COLLECTOR_SERVING_RULES_H
#define WEIR_COLLECTOR_SERVING_RULES_H

#include <jansson.h>
#include <stdio.h>

#include "collector/alerts/book.h"
#include "collector/alerts/runner.h"

struct serving_rules;

/* Whose addresses exporters and this host have: nothing is ever done about them. */
struct serving_rules_agents {
	bool (*is_agent)(void *arg, const uint8_t ip[16]);
	void (*published)(void *arg); /* see book_cfg */
	void *arg;
};

/* Return: 0; -EINVAL: rules with errors, said in the log; -ENOMEM; -EAGAIN. */
int serving_rules_open(const struct settings *s, struct block_pool *pool,
		       const struct serving_rules_agents *agents, struct serving_rules **ret);
/* After the last block was offered; NULL is fine. */
void serving_rules_close(struct serving_rules *v);

/* Rules are read again; with an error in them the old ones stay, which is said in the log. */
void serving_rules_reload(struct serving_rules *v, const struct settings *s);

/* A block before it is sent. Any thread; never waits. */
static inline void serving_rules_offer(struct runner *r, struct block *b)
{
	if (r)
		runner_offer(r, b);
}

/* See book_resync(). */
int serving_rules_resync(struct serving_rules *v, int64_t above);

struct runner *serving_rules_runner(struct serving_rules *v);

/* See endpoint_cfg.ask. Any thread. */
json_t *serving_rules_ask(struct serving_rules *v, const json_t *request,
			  const struct endpoint_peer *peer);

/* Any thread. */
json_t *serving_rules_alerts(struct serving_rules *v);
json_t *serving_rules_decisions(struct serving_rules *v);
json_t *serving_rules_channels(struct serving_rules *v);
json_t *serving_rules_status(struct serving_rules *v);
void serving_rules_metrics(struct serving_rules *v, FILE *out);

#endif
