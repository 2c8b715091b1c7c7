/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.h - the rules at work: a thread with the engine. Receiving threads offer it blocks on their
 * way to the store; it reads them where they are, beside the store, and gives them back. They never
 * wait for it: when its queue is full, the rules do not see a block, and its flows are counted. New
 * rules take over between two blocks; their windows begin empty.
 */
#ifndef WEIR_COLLECTOR_ALERTS_RUNNER_H
#define WEIR_COLLECTOR_ALERTS_RUNNER_H

#include "collector/alerts/ruleset.h"
#include "collector/block.h"
#include "collector/rules/engine.h"

struct runner;

/*
 * An alert that has left the engine; whoever gets it frees it. Without a rule (alert.rule NULL): the set
 * has taken over, with an engine that knows of no alert yet.
 */
struct alert_event {
	struct alert_event *next;
	struct ruleset *set; /* held */
	struct alert alert;  /* its texts are behind it */
	uint32_t epoch;	     /* number of the engine */
	bool proven;	     /* its source is real: see proof.h */
	char text[];
};

void alert_event_free(struct alert_event *ev);

struct runner_cfg {
	struct block_pool *pool;
	uint32_t queue;	    /* blocks */
	uint64_t ahead_ns;  /* see engine_cfg */
	uint64_t behind_ns; /* without flows time goes on so far behind the clock */
	/* Taken over. The runner's thread; must not wait. */
	void (*event)(void *arg, struct alert_event *ev);
	void *arg;
};

/* Return: 0, -ENOMEM, -EAGAIN (no thread). */
int runner_new(const struct runner_cfg *cfg, struct runner **ret);
void runner_free(struct runner *r); /* what waits is looked at first; NULL is fine */

/* A block before it is sent. Any thread; never waits. */
void runner_offer(struct runner *r, struct block *b);

/**
 * runner_rules - these from now on
 * @set: a hold of it is taken over
 *
 * Return: 0; -ENOMEM: the old ones stay, @set has been dropped. Any thread.
 */
int runner_rules(struct runner *r, struct ruleset *set, uint64_t ahead_ns, uint64_t behind_ns);

/* Until the rules of the last runner_rules() have taken over: a block's time. Not the runner's thread. */
void runner_settle(struct runner *r);

struct runner_stats {
	uint64_t blocks;
	uint64_t flows;	     /* that the rules have seen */
	uint64_t future;     /* of them, of the future */
	uint64_t lost_queue; /* not seen: the queue was full */
	uint64_t lost_memory;
	uint64_t no_memory; /* alerts that there was no memory for */
	uint64_t clock_ns;  /* event time */
	uint32_t queued, epoch;
	uint64_t cpu_ns;
};

void runner_stats(struct runner *r, struct runner_stats *ret);

/**
 * runner_each - every rule with its counts, as of up to a second ago
 *
 * Any thread; @fn must not wait.
 */
void runner_each(struct runner *r,
		 void (*fn)(void *arg, const struct rule *rule, const struct engine_rule_stats *st),
		 void *arg);

#endif
