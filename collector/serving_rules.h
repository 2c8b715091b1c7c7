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
	void (*published)(void *arg);	 /* see book_cfg */
	uint32_t (*canaries)(void *arg); /* the same */
	void *arg;
};

/* Return: 0; -EINVAL: rules with errors, said in the log; -ENOMEM; -EAGAIN. */
int serving_rules_open(const struct settings *s, struct block_pool *pool,
		       const struct serving_rules_agents *agents, struct serving_rules **ret);
/* After the last block was offered; NULL is fine. */
void serving_rules_close(struct serving_rules *v);

/* Rules are read again; with an error in them the old ones stay, which is said in the log. */
void serving_rules_reload(struct serving_rules *v, const struct settings *s);

/* The same with the settings at work. @said: PACKS_SAID bytes. Return: 0; -EINVAL: @said; -ENOMEM. Any thread. */
int serving_rules_again(struct serving_rules *v, char *said);

/**
 * serving_rules_packs - packs_put(), or packs_remove() where there is no path, and its rules are at work or gone
 * @c:   its settings are filled in
 * @ret: as of packs_put()
 *
 * Return: as these, -EINVAL: the change is made and the rules could not be taken over: @said. Any thread.
 */
int serving_rules_packs(struct serving_rules *v, struct packs_change *c, char *said, json_t **ret);
/* own_rules_change(), whose rule is at work or gone then. Return: as of both. Any thread. */
struct own_change;
int serving_rules_own(struct serving_rules *v, struct own_change *c, char *said);
/* packs_list(), or packs_show() of one; NULL: @said. Any thread. */
json_t *serving_rules_packs_list(struct serving_rules *v, const char *name, char *said);

/* A block before it is sent. Any thread; never waits. */
static inline void serving_rules_offer(struct runner *r, struct block *b)
{
	if (r)
		runner_offer(r, b);
}

/* See book_node_decided(). */
struct node_decision;
int serving_rules_decided(struct serving_rules *v, const struct node_decision *d);

/* See book_resync(). */
int serving_rules_resync(struct serving_rules *v, int64_t above);

struct runner *serving_rules_runner(struct serving_rules *v);

/* The rules at work, held. Any thread. */
struct ruleset *serving_rules_set(struct serving_rules *v);

/* See endpoint_cfg.ask. Any thread. */
json_t *serving_rules_ask(struct serving_rules *v, const json_t *request,
			  const struct endpoint_peer *peer);

/**
 * serving_rules_backtest - a back-test as backtest_ask.h has it, with the rules at work and their site
 *
 * Return: as backtest_ask(); -EBUSY: there is one already, @error says so. Any thread; takes long.
 */
int serving_rules_backtest(struct serving_rules *v, struct store *store, const json_t *request,
			   const struct endpoint_answer *to, char *error);

/* Any thread. */
json_t *serving_rules_alerts(struct serving_rules *v);
json_t *serving_rules_decisions(struct serving_rules *v);
json_t *serving_rules_channels(struct serving_rules *v);
json_t *serving_rules_status(struct serving_rules *v);
void serving_rules_metrics(struct serving_rules *v, FILE *out);

#endif
