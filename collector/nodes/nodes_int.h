/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodes_int.h - what the parts of nodes.h share. Everything in struct nodes is under its lock, but what
 * says otherwise.
 */
#ifndef WEIR_COLLECTOR_NODES_NODES_INT_H
#define WEIR_COLLECTOR_NODES_NODES_INT_H

#include <pthread.h>

#include "collector/control/db.h"
#include "collector/nodes/ca.h"
#include "collector/nodes/nodes.h"
#include "common/node_message.h"

#define NODES_GONE_US	INT64_C(60000000)
#define NODES_LABELS	256u /* octets of all labels of one */
#define NODES_CANARY	16u
#define NODES_HASH_TEXT 65u

/* A policy as it goes out. Counted; freed with the last one that has it. */
struct image {
	uint32_t refs; /* atomic */
	uint64_t generation;
	uint32_t rules, entries;
	char hash[NODES_HASH_TEXT];
	size_t len;
	uint8_t bytes[];
};

struct image *image_hold(struct image *i);
void image_drop(struct image *i); /* NULL is fine */

/* What a node has said last. */
struct node_report {
	uint64_t generation, highest, refused;
	uint32_t rules, entries;
	char hash[NODES_HASH_TEXT];
	enum node_state state;
	char error[256 + 1];
};

struct waiter; /* a question that waits: nodes_http.c */

struct node {
	int64_t id;
	char name[NODE_NAME + 1];
	char labels[NODES_LABELS];
	uint8_t key[CA_HASH];
	int64_t enrolled_us, expires_us, revoked_us, seen_us; /* since 1970; 0: never */
	char version[33], kernel[65];
	bool canary;
	/* since the start */
	int64_t heard_us; /* monotonic; 0: not yet */
	int64_t skew_us;  /* its clock less ours */
	int64_t saved_us; /* seen_us in the database */
	struct node_report report;
	int64_t again_us;  /* monotonic: before that no policy is made for its sake */
	uint32_t attempts; /* that were of no use */
	struct waiter *waiter;
	struct waiter *fetcher; /* the question that waits until some of a capture is wanted */
	int64_t fetcher_us;	/* monotonic: when that was asked last; 0: not yet */
	uint64_t asked;		/* number of the fetch that it is to answer; 0: none */
	struct node *next;
};

struct nodes_counts {
	uint64_t enrolled, enrol_refused, renewed, renew_refused, reports, sent, resyncs, denied;
	uint64_t fetched, fetched_octets, fetch_failed;
	uint64_t hits_unknown;
};

struct nodes {
	char dir[4000];
	char issuer[32];
	char canary[NODES_CANARY][64];
	uint32_t canary_n;
	uint64_t certificate_us, return_us;
	uint32_t max;
	int (*resync)(void *arg, int64_t above);
	int (*decided)(void *arg, const struct node_decision *d);
	void *arg;
	struct ca *ca; /* without the lock */
	struct MHD_Daemon *daemon;
	pthread_t thread;
	bool started, stop;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct db *db;
	struct node *first, **last;
	uint32_t n;
	struct image *image[2]; /* for others, for canaries; NULL: not made yet */
	int64_t resync_above;	/* -1: nobody asks for one */
	struct nodes_counts counts;
	struct fetch *fetches; /* FETCHES_MAX at most */
	uint64_t fetch_last;   /* number */
	bool fetch_stop;
};

/* Have a policy made with a generation above @above. */
void nodes_ask_policy(struct nodes *n, uint64_t above);

int64_t nodes_mono_us(void);
int64_t nodes_wall_us(void);

/* ---- nodes_table.c: rows. Return: 0, -EIO, -ENOMEM and what is said. ---- */

int table_load(struct nodes *n);
struct node *table_by_key(struct nodes *n, const uint8_t key[CA_HASH]);
struct node *table_by_name(struct nodes *n, const char *name);
/* Labels in one form: sorted, each once. -EINVAL: not labels. */
int table_labels(const char *text, char ret[NODES_LABELS]);
/* Is it a canary, by its labels? A policy is asked for if that has changed and it had the other one. */
void table_set_canary(struct nodes *n, struct node *x);

struct token {
	const char *name; /* "": the node says one */
	const char *labels;
	uint64_t valid_us;
};
int table_token(struct nodes *n, const struct token *t, const char *actor, char ret[NODE_TOKEN]);

/**
 * table_enrol - a token becomes a node; it is gone then
 *
 * Return: 0; -EACCES: no such token, or too old; -EEXIST: there is a node of this name, and the token is not
 * for it; -ENOSPC; -EINVAL: a name is wanted; -EIO. @issue makes the certificate, in the transaction.
 */
struct enrolling {
	const uint8_t *secret; /* NODE_SECRET */
	const char *wish;      /* the name that the node would like */
	const char *csr;
	struct ca_issued issued; /* filled in */
	char error[CA_ERROR];
};
int table_enrol(struct nodes *n, struct enrolling *e, struct node **ret);
int table_renewed(struct nodes *n, struct node *x, int64_t expires_us);
int table_revoke(struct nodes *n, struct node *x, const char *actor);
int table_relabel(struct nodes *n, struct node *x, const char *labels, const char *actor);
/* When it was seen, now and then. */
void table_save_seen(struct nodes *n);

/* ---- nodes_sync.c ---- */

enum verdict {
	VERDICT_HOLD,	/* it has what it shall have, or does not want it */
	VERDICT_SEND,	/* it shall have this one */
	VERDICT_RESYNC, /* it would refuse this one, as not new: another is made */
};

/* What a report means while @want is wanted. Pure. */
enum verdict sync_judge(const struct node_report *r, const struct image *want);
/* Does it enforce what it shall? Pure. */
bool sync_is_enforced(const struct node_report *r, const struct image *want);
/* How it stands with a node, as people see it. */
enum node_state sync_state(const struct nodes *n, const struct node *x);
/* The latest for this node; may be NULL. */
struct image *sync_wanted(const struct nodes *n, const struct node *x);

/* A body of NODE_PATH_SYNC; -EINVAL with @reterr. */
int sync_read(const char *text, size_t len, struct node_report *ret, struct node_text *ret_text,
	      char *reterr);
/* A body of NODE_PATH_DECIDED; the texts of *ret are those of *ret_text. -EINVAL with @reterr. */
int sync_read_decided(const char *text, size_t len, struct node_decision *ret,
		      struct node_text *ret_text, char *reterr);
/* It is what the node says now. Return: what follows of it; another policy may be asked for. */
enum verdict sync_heard(struct nodes *n, struct node *x, const struct node_report *r);

/* ---- nodes_http.c ---- */

int http_start(struct nodes *n, const struct address *listen, char *error);
/* Questions whose time has come, or that there is an answer to now, are answered. */
void http_wake(struct nodes *n);
void http_stop(struct nodes *n);

#endif
