/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow.h - has the running weir enforce what collectors that this node is enrolled with say, and tells
 * them what it enforces (docs/nodes.md). A thread for each collector, and one for files of packets, with a
 * connection of its own. Policies are not looked into: the core checks signature and records.
 */
#ifndef WEIR_LOADER_FOLLOW_FOLLOW_H
#define WEIR_LOADER_FOLLOW_FOLLOW_H

#include "common/node_message.h"
#include "loader/follow/enrolment.h"
#include "loader/policy/client.h"

struct follow_cfg {
	const struct enrolment *enrolments;
	int n;
	const char *socket;   /* control socket of weir */
	const char *captures; /* where its files of packets are; NULL: collectors hear of none */
	bool json;
	int signals; /* readable: the end */
};

/* Until a signal comes. Return: exit status. */
int follow_collectors(const struct follow_cfg *cfg);

/* A line on standard output: this policy holds now. Any thread. */
void follow_say(bool json, const uint8_t *image, size_t len, const struct policy_reply *r);

/* ---- the parts of it ---- */

#define FOLLOW_HITS_MS	 5000 /* between two reports of what decisions hit */
#define FOLLOW_CONFIRM_S 20u  /* then the core goes back, if nobody has heard of the collector */

struct follow {
	const struct enrolment *e;
	const char *socket;
	bool json;
	bool stop; /* atomic */
	int wake;  /* readable: stop */
	struct https *h;
	struct node_text report; /* what holds, as it is told */
	int64_t refused;	 /* generation; 0: none */
	char error[257];	 /* why */
	int64_t pending;	 /* generation that waits to be confirmed; 0: none */
	uint64_t decided,
		told;	     /* made_us of the agent's last decision; of the last that was told */
	uint32_t hits_since; /* policy clock: what was told of them is as of then */
	int64_t hits_at_ms;  /* monotonic: when they are told again */
	bool hits_off;	     /* the collector does not know of that */
	int64_t renew_at_s;
	bool warned_clock;
	char complaint[HTTPS_ERROR]; /* the last one that was said */
};

/* What a round comes to. */
enum follow_round { ROUND_GOOD, ROUND_FAILED, ROUND_DENIED };

/* Turn after turn, with pauses after those that failed, until it is to stop. */
void follow_turns(struct follow *f, enum follow_round (*turn)(struct follow *f));
void follow_hang_up(struct follow *f);
/* What is wrong, of an answer; empty if it is not said. */
void follow_problem(const struct http_reply *reply, struct node_text *ret);
/* It is said, and the connection ends. */
enum follow_round follow_denied(struct follow *f, const struct http_reply *reply,
				const struct node_text *m);

/* One message (taken over; NULL: no memory) whose answer is no more than yes. @ret_status: of HTTP; 0: none came. */
enum follow_round follow_tell(struct follow *f, const char *path, char *body, int *ret_status);

/* ---- hits.c: is it time to tell them? Then do. ---- */
bool follow_hits_due(const struct follow *f);
enum follow_round follow_tell_hits(struct follow *f);

/* What the core has of this issuer now, into f->report. Return: has it changed? */
bool follow_look(struct follow *f);
/* Have it enforced until it is confirmed; what is wrong with it is told with the next report. */
void follow_apply(struct follow *f, const uint8_t *image, size_t len);
/* A decision of the agent as it is told; to be freed. NULL: no memory. */
char *follow_decided(const struct policy_decided *d);
/* Those that have not been told. 0 with *ret to be done, or no answer. */
int follow_news(const struct follow *f, struct policy_result *ret);
/* The collector has heard of it. */
void follow_confirm(struct follow *f);

/* ---- captures.c: files of packets, with a connection of their own ---- */

struct follow_captures {
	struct follow f; /* e, wake, stop; the first member */
	const char *dir;
	struct captures_told *told; /* what the collector knows, by id; told_n */
	size_t told_n;
	bool whole;		/* it has been told of all */
	int64_t round;		/* see NODE_CAPTURES */
	int64_t looked_ms;	/* at the directory; 0: look */
	int64_t changed_ns;	/* the directory, when it was read */
	bool unsettled;		/* it may change without that one changing */
	struct node_text *of;	/* NODE_CAPTURES_MAX, for messages */
	uint8_t *octets;	/* NODE_PIECE_OCTETS */
	struct node_text piece; /* the answer to what was wanted */
	size_t piece_n;
	bool complained;
};

/* A thread. @arg: struct follow_captures. */
void *follow_captures_run(void *arg);

#endif
