/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide_int.h - what the parts of decisions share.
 */
#ifndef WEIR_COLLECTOR_CONTROL_DECIDE_INT_H
#define WEIR_COLLECTOR_CONTROL_DECIDE_INT_H

#include "collector/alerts/book_int.h"
#include "collector/control/decide.h"

#define NODE_DECISION_ACTOR 80u /* "node:" and a name */

/* What a rule's action would do to one value. */
struct proposal {
	const struct rule *rule;
	const struct rule_action *action;
	uint32_t at; /* of it in rule->actions */
	int64_t alert;
	uint8_t a[16]; /* the address, of a pair its source */
	uint8_t b[16]; /* of a pair its destination */
	bool has_a, has_b;
	uint16_t port; /* beside a destination; 0: none */
	bool exempt, proven, silenced;
};

/* What action @at of an alert's rule would do. */
void decide_read(const struct alert_event *ev, uint32_t at, struct proposal *ret);

/* Through the gates; a decision, a refusal, or nothing (there is one already). Return: 0, -EIO. */
int decide_propose(struct book *b, const struct proposal *p);

/* Actions that stop nothing, for SQL. */
#define DECIDE_LOOKS "'capture', 'mirror'"

/* The same of an action that captures or mirrors: it stops nothing, and no other gates are asked. Return: 0, -EIO. */
int decide_look(struct book *b, const struct proposal *p);

/* Is everything automatic only counted, since there were too many decisions? */
bool decide_breaker(struct book *b);

/* A decision ends. @state: "expired", "withdrawn". Return: 0, -EIO. */
int decide_end(struct book *b, int64_t id, const char *state, const char *reason,
	       const char *actor);

/* Once a minute: how many more were refused than there are rows of. Return: 0, -EIO. */
int decide_tell_refusals(struct book *b, int64_t now_us);

/* ---- decide_gates.c ---- */

#define DECIDE_RETRY_US INT64_C(60000000) /* what was refused for want of room is looked at again */

const char *decide_action(const struct rule_action *a);
const char *decide_scope(const struct proposal *p);
const char *decide_rule_mode(const struct rule *r);
const char *decide_mode(struct book *b, const struct rule *r); /* with the breaker's word */

/* Addresses that nothing is done about, whatever was decided before. GATE_NONE: they are none. */
enum decide_gate decide_spared(struct book *b, const struct proposal *p);

/* @old: one decision in force that it would take the place of. GATE_NONE: nothing is in its way. */
enum decide_gate decide_gate(struct book *b, const struct proposal *p, const char *mode, bool old);

/* Is it about a source of this site? */
bool decide_is_local(struct book *b, const struct proposal *p);

/* Room may come, and the alert goes on. */
bool decide_is_retried(enum decide_gate gate);

/* Everything automatic only counts from now on. @detail: for the audit log, taken over. Return: 0, -EIO. */
int decide_stop(struct book *b, const char *actor, json_t *detail);

/* Twice as many as are allowed: a rule is wrong, rather than so many attackers there. Return: 0, -EIO. */
int decide_trip(struct book *b);

/* ---- decide_end.c ---- */

/* decide_spared() of a decision's addresses. */
enum decide_gate decide_spared_by_now(struct book *b, int64_t id);

/* A decision as people see it; NULL: there is none. */
json_t *decide_json(struct book *b, int64_t id);

/* The entry's detail is taken over. */
int decide_audit(struct book *b, const char *actor, const char *action, int64_t id, json_t *detail);

#endif
