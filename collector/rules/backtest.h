/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backtest.h - rules over flows that are stored: what would have been said, and what would have been done
 * about it. Flows are read in the order in which they were stored, and of their columns those that
 * a rule looks at; rules in mode draft are evaluated like others. Nothing is changed anywhere. Each
 * has threads of its own besides the caller's: one for each CPU, up to RELAY_TAKERS, that has some of the
 * rules. Any number of back-tests may run, beside whatever else the store does.
 */
#ifndef WEIR_COLLECTOR_RULES_BACKTEST_H
#define WEIR_COLLECTOR_RULES_BACKTEST_H

#include "collector/rules/engine.h"

struct store;

#define BACKTEST_HITS_MAX 65536u /* things that are kept one by one: the first */

/* One thing that an action would have been done to. */
struct backtest_hit {
	uint32_t rule;	   /* index in the set */
	uint8_t action;	   /* RO_DROP ... RO_MIRROR */
	uint8_t scope;	   /* enum flow_field, or RULE_SCOPE_PAIR */
	bool internal;	   /* one of its addresses is in @local */
	bool exempt;	   /* nothing would have been done: the rule's own exemptions */
	uint8_t ip[2][16]; /* of a pair the source first; else [0] alone */
	uint64_t first_ns; /* when the first alert fired, event time */
	uint64_t alerts;
};

struct backtest_rule {
	uint64_t matched, alerts, late, evicted;
	uint64_t hits, internal,
		exempt; /* things that something would have been done to; of them */
};

struct backtest {
	uint64_t flows;
	uint64_t from_ns, to_ns; /* ends of the first and the last one; 0: there was none */
	uint64_t unkept;	 /* hits beyond what is kept one by one */
	double seconds;
	struct backtest_rule *rules; /* one for each of the set */
	struct backtest_hit *hits;   /* by rule, then by the first alert */
	uint32_t n_hits;
};

struct backtest_cfg {
	struct store *store;
	const struct rule_set *rules; /* linked */
	const bool *only;	      /* see engine_cfg */
	const char *local;	      /* what @local stands for */
	int64_t from_us, to_us;	      /* of the flows' ends */
	/* Per cent, -1: not known; now and then, another thread. Not 0: stop. NULL: it is not asked. */
	int (*progress)(void *arg, double percent);
	void *arg;
};

/**
 * backtest_run - go through them all
 * @error: STORE_ERROR octets
 *
 * Return: 0; what progress() returned; -ENOMEM; of the store: @error says what. End with
 * backtest_done(), also after errors.
 */
int backtest_run(const struct backtest_cfg *cfg, struct backtest *ret, char *error);
void backtest_done(struct backtest *b);

#endif
