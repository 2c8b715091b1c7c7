/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - rules over a stream of flows, in event time: a flow counts when it ended. What comes out
 * are alerts and what becomes of them. The clock is the latest end of all flows so far, never a wall
 * clock, so the same flows in the same order give the same alerts.
 *
 * A rule's time is cut into steps of its slide, counted from 1970. An arriving flow is added to the
 * step in which it ended and its group is looked at over the last size/slide steps, the one under way
 * among them; when a step is over, groups with an alert are looked at over size/slide whole steps.
 * What may become false by adding flows (<, ==, not, ratio) is looked at only then, in all groups.
 * A flow that ended before the window is late: counted, not used. Steps of a rule without a window are of a
 * second, or of a sixtieth of what its alerts fire on for, up to a minute.
 *
 * Bounded: groups_max groups for each rule; beyond, one of about a dozen goes that was not seen again
 * since it was last considered (an alert of it is resolved, reason "evicted") and is counted. One thread.
 */
#ifndef WEIR_COLLECTOR_RULES_ENGINE_H
#define WEIR_COLLECTOR_RULES_ENGINE_H

#include "collector/rules/rule.h"

struct block;
struct engine;

enum alert_state { ALERT_NONE, ALERT_PENDING, ALERT_FIRING, ALERT_RESOLVED };
enum alert_end { ALERT_ENDED, ALERT_EVICTED };

/* One value of by. */
struct alert_value {
	uint8_t field; /* enum flow_field */
	bool present;
	uint8_t ip[16];	      /* of addresses */
	uint64_t number;      /* of numbers, and of words */
	struct flow_str text; /* of texts */
};

struct alert {
	const struct rule *rule;
	uint8_t state;	   /* enum alert_state: what it has just become; never ALERT_NONE */
	uint8_t end;	   /* enum alert_end, of a resolved one */
	bool known;	   /* it fires on: engine_retell() */
	bool exempt;	   /* an address of it is exempt: nothing is done about it */
	uint64_t at_ns;	   /* when, event time, ns since 1970 UTC */
	uint64_t since_ns; /* when it began to hold */
	uint64_t fired_ns; /* 0: not yet */
	double value;	   /* of the first aggregate of having; NAN: none */
	struct alert_value
		by[RULE_BY_MAX]; /* rule->by; of a correlation the shared value, field _FF_MAX: host */
	uint32_t n_by;
};

/* What @a and its texts point to is valid for the length of the call. */
typedef void engine_alert_fn(void *arg, const struct alert *a);

struct engine_cfg {
	const struct rule_set *rules; /* linked; stays */
	engine_alert_fn *alert;
	void *arg;
	uint64_t ahead_ns; /* a flow that ends so much later than the wall clock ends then */
	uint64_t seed;	   /* of hashes; 0: by chance */
	bool drafts;	   /* rules in mode draft too */
	const bool *only;  /* by rule, these alone; stays. NULL: all */
};

/* Return: 0, -ENOMEM. */
int engine_new(const struct engine_cfg *cfg, struct engine **ret);
struct engine *engine_free(struct engine *e); /* NULL is fine; returns NULL */

/**
 * engine_flow - one flow
 * @r: copied as far as any rule looks at it
 *
 * Flows are gathered; alerts come out of some later call, of engine_flush() at the latest.
 * Return: 0; -ENOMEM: the flow is counted as lost.
 */
int engine_flow(struct engine *e, const struct flow_record *r);

/**
 * engine_block - the flows of a block, columns at a time
 * @now_ns: wall clock, for flows that claim to be of the future; 0: any time is fine
 *
 * Return: 0; -ENOMEM: the flows are counted as lost.
 */
int engine_block(struct engine *e, const struct block *b, uint64_t now_ns);

/* Everything gathered is looked at. */
void engine_flush(struct engine *e);

/* Nothing came for a while: the clock goes on to @ns, if that is later. */
void engine_advance(struct engine *e, uint64_t ns);

/**
 * engine_adopt - windows, counts and alerts of rules that are what they were go on
 * @e:    new, with the seed of @from; no flow has come yet
 * @from: with nothing gathered; it loses them, and is to be freed
 */
void engine_adopt(struct engine *e, struct engine *from);
/* Alerts that fire are said again, as known. */
void engine_retell(struct engine *e);

/* Event time: the latest end so far; 0: no flow yet. */
uint64_t engine_clock(const struct engine *e);

enum engine_use {
	ENGINE_NOT,
	ENGINE_IF_THERE, /* whether there is one */
	ENGINE_VALUE,
};

/* What rules look at of this member. What none looks at need not be in a block. */
enum engine_use engine_uses(const struct engine *e, enum flow_field f);

struct engine_rule_stats {
	uint64_t matched; /* flows that where picked */
	uint64_t late;	  /* of them, too old for the window */
	uint64_t evicted; /* groups that went before their time */
	uint64_t fired;
	uint64_t groups; /* now */
	uint64_t firing; /* now */
	uint64_t bytes;	 /* of state, now */
};

struct engine_stats {
	uint64_t flows;
	uint64_t future; /* that claimed to be of the future */
	uint64_t lost;	 /* for lack of memory */
};

void engine_stats(const struct engine *e, struct engine_stats *ret);
void engine_rule_stats(const struct engine *e, uint32_t rule, struct engine_rule_stats *ret);

#endif
