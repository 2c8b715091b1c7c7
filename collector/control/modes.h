/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modes.h - how far each rule may go, who said so, and what has been seen of it since. A rule climbs one mode at a
 * time, by somebody's act, once what promote.def asks for has been seen; it goes down at any time. What somebody has
 * given a rule outlasts restarts and is of the rule as it was then: one that has changed keeps a lower mode, and
 * falls back from a higher one. What the configuration says of a rule's mode beats it. Under the book's lock.
 */
#ifndef WEIR_COLLECTOR_CONTROL_MODES_H
#define WEIR_COLLECTOR_CONTROL_MODES_H

#include <jansson.h>

#include "collector/alerts/runner.h"
#include "collector/control/db.h"
#include "collector/control/promote.h"
#include "collector/endpoint/endpoint.h"

struct book;

/* For how long flows have come; times in microseconds. */
struct modes_watch {
	struct runner *runner; /* NULL: nobody knows */
	uint64_t flows, lost;
	int64_t came_us;	    /* when they came last; 0: not yet */
	int64_t seen_us, canary_us; /* not yet in the database */
};

/* See book_modes(). */
int modes_apply(struct db *db, struct ruleset *set);

/* In a transaction, return 0, -EIO, -ENOMEM: */

/* The book's set is a new one. */
int modes_settle(struct book *b);
/* Have flows come? */
int modes_tick(struct book *b, int64_t now_us);
/* An alert that has begun: in mode detect, what would it have been about? */
int modes_alert(struct book *b, const struct alert_event *ev);
/* The breaker has acted. */
int modes_stopped(struct book *b);
/* All rules at work have looked at flows for so long; those in canary for @canary_us. */
int modes_seen(struct book *b, int64_t seen_us, int64_t canary_us);

/* Requests "rules": list, show, mode; NULL: it is none of these. See book_ask(). */
json_t *modes_look(struct book *b, const json_t *request);
/* Requests "rules": promote, demote, set. The rules have to be read again then. */
json_t *modes_change(struct book *b, const json_t *request, const struct endpoint_peer *peer);

/* ---- what its parts share ---- */

struct mode_row {
	const struct rule *rule;
	enum rule_mode mode;
	int64_t since_us, seen_us, proposed, spared, breaker;
	char by[64], note[256];
};

/* Of a rule of the book's set. Return: 1, 0: it has none; -EIO. */
int modes_row(struct book *b, const struct rule *rule, struct mode_row *ret);
/* What has been seen of it. */
void modes_facts(struct book *b, const struct mode_row *row, struct promote_seen *ret);
/* Another mode, from now on; @asked: by a person. */
int modes_set(struct book *b, const struct mode_row *row, enum rule_mode to);

#endif
