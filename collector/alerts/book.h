/* SPDX-License-Identifier: Apache-2.0 */
/*
 * book.h - alerts, kept: what the rules' thread says is queued here, and a thread of its own writes it
 * to control.db, many at a time; what a question is answered with is durable. One open alert for each
 * rule and value of by: one that fires again soon after its end is the same again. Alerts of an engine
 * that is gone (a reload, a restart) end when a new one has not confirmed them in their rule's time.
 */
#ifndef WEIR_COLLECTOR_ALERTS_BOOK_H
#define WEIR_COLLECTOR_ALERTS_BOOK_H

#include <jansson.h>

#include "collector/alerts/runner.h"
#include "collector/control/decide.h"
#include "collector/control/promote.h"
#include "collector/control/publish.h"
#include "collector/endpoint/endpoint.h"
#include "collector/notify/notifier.h"

struct book;

struct book_cfg {
	const char *dir;    /* of control.db; NULL: in memory */
	uint32_t queue;	    /* alerts that may wait to be written; twice as many ends of them */
	uint64_t reopen_us; /* an alert that fires so soon after its end goes on */
	uint64_t keep_us;   /* ended ones are removed after that */
	struct decide_cfg decide;
	struct promote_cfg promote;
	struct publish_cfg publish;
	/* Canaries that enforce what they shall. Any thread, under the book's lock; NULL: nobody knows. */
	uint32_t (*canaries)(void *arg);
	/* Is it an address of an exporter, or of this host? Any thread; NULL: nobody knows. */
	bool (*agent)(void *arg, const uint8_t ip[16]);
	/* New policy files are there. The book's lock is held: no question to the book. Any thread; or NULL. */
	void (*published)(void *arg);
	void *arg;
	struct notifier *notifier; /* hears what is to be told; NULL: nobody does */
};

struct book_stats {
	uint64_t fired, resolved, reopened; /* since the start */
	uint64_t lost_queue;		    /* of the queue that was full */
	uint64_t failed;		    /* transactions that were tried again */
	uint64_t firing, silenced, acked;   /* now */
	uint64_t waiting;
	uint64_t active, shadow, held; /* decisions now; shadow: of the active ones */
	struct decide_stats decide;
	int64_t generation;
	bool breaker;
	bool policy_failed;   /* nodes are told what was before */
	int64_t audit_broken; /* entry of the audit log that was wrong at the start; 0: none */
};

/* Return: 0, -EIO with @error (DB_ERROR bytes), -ENOMEM, -EAGAIN. */
int book_open(const struct book_cfg *cfg, char *error, struct book **ret);
/* Everything queued is written; NULL is fine. */
void book_close(struct book *b);

/* As runner_cfg.event: @arg is the book. Never waits. */
void book_event(void *arg, struct alert_event *ev);

/* Times and bounds of another configuration; where things are stays. */
void book_reload(struct book *b, const struct book_cfg *cfg);

/**
 * book_resync - have a policy made whose generation is above @above, and above all before it
 *
 * Return: 0, -EIO. Any thread.
 */
int book_resync(struct book *b, int64_t above);

/* What a node has decided by itself, see decide_node(). Return: 0, -EIO. Any thread; durable then. */
int book_node_decided(struct book *b, const struct node_decision *d);

/* Modes that people have given its rules, into a set that is not at work yet. Return: 0, -EIO, -ENOMEM. Any thread. */
int book_modes(struct book *b, struct ruleset *set);

/* Whether flows come is asked of this one from now on; NULL: of nobody, when this is over. Any thread. */
void book_watch(struct book *b, struct runner *r);

void book_stats(struct book *b, struct book_stats *ret);

/* Firing alerts of each rule, for metrics. Any thread. */
typedef void book_firing_fn(void *arg, const char *rule, const char *severity, uint64_t n);
void book_each_firing(struct book *b, book_firing_fn *fn, void *arg);

/**
 * book_ask - a request of the local socket
 *
 * Commands: alerts, decisions, policy, rules, audit. Any thread; waits for writing that is under way.
 * Return: lines of the answer, each an object with "type", the last of type end, done or error; NULL:
 *         no memory.
 */
json_t *book_ask(struct book *b, const json_t *request, const struct endpoint_peer *peer);

#endif
