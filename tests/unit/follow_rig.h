/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow_rig.h - the two sides that `weir policy follow` stands between, each played by a thread: a core
 * that says what it is told to say, and a collector that answers questions by a script.
 */
#ifndef WEIR_UNIT_FOLLOW_RIG_H
#define WEIR_UNIT_FOLLOW_RIG_H

#include <pthread.h>
#include <stdbool.h>

#include "loader/follow/follow.h"

#define RIG_ISSUER    "central"
#define RIG_QUESTIONS 8u

/* ---- the core ---- */

struct fake_core {
	char socket[64]; /* the control socket it would have */
	int listener;
	pthread_t thread;
	pthread_mutex_t lock;	    /* what follows */
	struct policy_reply held;   /* answer to ASK_HELD */
	struct policy_reply apply;  /* to ASK_APPLY; what it takes is held from then on */
	struct policy_request last; /* that was not ASK_HELD */
	unsigned int applied, confirmed;
};

/* In the folder @dir. Ends the test on failure. */
void fake_core_open(struct fake_core *c, const char *dir);
void fake_core_close(struct fake_core *c);
/* What it holds, from now on: a generation, and why. */
void fake_core_hold(struct fake_core *c, uint64_t generation, enum policy_held why);
/* Requests to apply and to confirm so far. */
unsigned int fake_core_applied(struct fake_core *c);
unsigned int fake_core_confirmed(struct fake_core *c);

/* ---- the collector ---- */

struct fake_answer {
	int status; /* 0: none comes; the other side hangs up */
	const void *body;
	size_t len;
	void (*before)(void *arg); /* NULL: nothing */
};

/* A question as it came. */
struct fake_question {
	char path[32];
	struct node_text said; /* NODE_PATH_SYNC */
};

struct fake_collector {
	char dir[64]; /* ca.pem, node.pem, node.key */
	struct enrolment e;
	int listener;
	int end; /* becomes readable behind the last answer */
	pthread_t thread;
	bool started;
	const struct fake_answer *script;
	unsigned int n;
	void *arg; /* of before() */
	/* when it has ended */
	struct fake_question asked[RIG_QUESTIONS];
	unsigned int questions, connections;
	char wrong[NODE_MESSAGE_ERROR]; /* with a question */
};

/* Its folder in @dir, with certificates. Ends the test on failure. */
void fake_collector_open(struct fake_collector *c, const char *dir);
/* Answer by @script, of @n. */
void fake_collector_start(struct fake_collector *c, const struct fake_answer *script,
			  unsigned int n);
/* Until it has ended: all are answered, or something is wrong. */
void fake_collector_wait(struct fake_collector *c);
void fake_collector_close(struct fake_collector *c);

#endif
