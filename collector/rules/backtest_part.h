/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backtest_part.h - some of a back-test's rules, with an engine and a thread of their own, and what they would have
 * done. Rules that a correlation joins are in one part, so that parts know nothing of each other.
 */
#ifndef WEIR_COLLECTOR_RULES_BACKTEST_PART_H
#define WEIR_COLLECTOR_RULES_BACKTEST_PART_H

#include <pthread.h>

#include "collector/rules/backtest.h"
#include "collector/rules/relay.h"

struct backtest_part {
	const struct backtest_cfg *cfg;
	const struct filter *local; /* NULL: nothing is */
	struct relay *relay;
	uint32_t taker;
	struct engine *engine;
	bool *only; /* by rule: is it of this part? */
	pthread_t thread;
	bool running;
	struct backtest_rule *rules; /* by rule: of all parts; these rules' are the part's own */
	struct backtest_hit *hits;
	uint32_t n_hits, cap_hits;
	uint64_t unkept;
	uint32_t *places; /* of hits, by hash; index and one */
	bool no_memory;
};

/*
 * Which part has which rule: @owner, one for each rule. The rules of a correlation have one, others are
 * dealt out. @parts: how many there are at most. Return: how many have any; 1 where there is no rule.
 */
uint32_t backtest_deal(const struct rule_set *rules, const bool *only, uint32_t parts,
		       uint8_t *owner);

/* @p: cfg, local, relay, taker and rules are there. Return: 0, -ENOMEM. */
int backtest_part_init(struct backtest_part *p, const uint8_t *owner);
/* It takes blocks until there are no more. Return: 0, -EAGAIN. */
int backtest_part_start(struct backtest_part *p);
/* Once the relay has ended. */
void backtest_part_join(struct backtest_part *p);
void backtest_part_done(struct backtest_part *p);

#endif
