/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide_int.h - what the parts of decisions share.
 */
#ifndef WEIR_COLLECTOR_CONTROL_DECIDE_INT_H
#define WEIR_COLLECTOR_CONTROL_DECIDE_INT_H

#include "collector/alerts/book_int.h"
#include "collector/control/decide.h"

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
	bool exempt, proven;
};

/* Through the gates; a decision, a refusal, or nothing (there is one already). Return: 0, -EIO. */
int decide_propose(struct book *b, const struct proposal *p);

/* Is everything automatic only counted, since there were too many decisions? */
bool decide_breaker(struct book *b);

/* A decision ends. @state: "expired", "withdrawn". Return: 0, -EIO. */
int decide_end(struct book *b, int64_t id, const char *state, const char *reason,
	       const char *actor);

/* The entry's detail is taken over. */
int decide_audit(struct book *b, const char *actor, const char *action, int64_t id, json_t *detail);

#endif
