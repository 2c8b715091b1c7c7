/* SPDX-License-Identifier: Apache-2.0 */
/*
 * captures.h - files of packets on nodes: which there are (rows of control.db, as nodes tell of them), and their
 * octets, fetched from the node piece by piece over a question of its own that waits for that. A fetch holds one
 * piece in memory; whoever reads slowly keeps nobody else waiting. What is fetched and removed is in the audit
 * log, before the first octet goes out.
 */
#ifndef WEIR_COLLECTOR_NODES_CAPTURES_H
#define WEIR_COLLECTOR_NODES_CAPTURES_H

#include <sys/types.h>

#include "collector/nodes/nodes.h"
#include "common/node_capture.h"

#define FETCHES_MAX	 16u
#define FETCH_AGAIN_S	 10u /* what who is refused is told to wait */
#define CAPTURES_OF_NODE 65536

struct fetch;

/* Why there is none: a word that programs look at, and a sentence. */
struct fetch_refusal {
	const char *code; /* unknown, gone, offline, busy, open, store, off, beyond */
	char text[240];
};

struct fetch_wish {
	int64_t id;
	uint64_t from;	   /* octets of it that are not wanted */
	const char *actor; /* for the audit log */
};

/* What is fetched. */
struct fetch_of {
	uint64_t size;	/* of the file, as it was when it was asked for */
	char name[120]; /* for a file of it: "weir-NODE-ID.pcapng" */
};

/**
 * fetch_open - until the first piece is there
 *
 * The same node may be fetched from several times at once. Return: 0; -1 with @why. Any thread; it waits for the
 * node, ten seconds at most.
 */
int fetch_open(struct nodes *n, const struct fetch_wish *w, struct fetch **ret,
	       struct fetch_of *ret_of, struct fetch_refusal *why);

/* Some of what comes next. Return: octets; 0 the end; -EIO the node has gone, -ENOENT the file. As above. */
ssize_t fetch_read(struct fetch *f, uint8_t *buf, size_t max);

/* NULL is fine. */
void fetch_close(struct fetch *f);

/* Whoever waits for a node waits no more, from now on. NULL is fine. */
void fetch_stop(struct nodes *n);

/* A request of the local socket, "command":"captures": list, show, rm; as nodes_ask(). rm waits as a fetch does. */
json_t *captures_ask(struct nodes *n, const json_t *request, const struct endpoint_peer *peer);

/* ---- for nodes_http.c and captures_http.c; locked ---- */

struct node;
struct who_tells {
	struct nodes *n;
	const char *node;
};

/* A body of NODE_PATH_CAPTURES becomes rows, all or none. Return: 0; -EINVAL with @reterr; -ENOSPC; -EIO. */
int captures_heard(const struct who_tells *who, const char *text, size_t len, char *reterr);

/* The octets that this node was to bring; what nobody waits for is left out. */
void fetch_heard(struct nodes *n, struct node *x, const struct node_text *piece,
		 const struct node_octets *octets);
/* Is something of this node wanted, which it has not been asked for? */
bool fetch_is_due(const struct nodes *n, const struct node *x);
/* What it shall bring next. False: nothing. */
bool fetch_next(struct nodes *n, struct node *x, struct node_text *ret);

/* ---- for captures_fetch.c; locked ---- */

struct capture_row {
	int64_t id;
	char node[65], file[NODE_CAPTURE_ID + 1], rule[64];
	enum node_capture_state state;
	char reason[64];
};
/* Return: 1, 0 there is none, -EIO. */
int captures_find(struct nodes *n, int64_t id, struct capture_row *ret);
/* It is in the audit log. Return: 0, -EIO. */
int captures_fetched(struct nodes *n, const struct capture_row *row, const struct fetch_wish *w);
int captures_removed(struct nodes *n, const struct capture_row *row, const char *actor);
/* Somebody has removed it on the node: @why is "". */
void captures_gone(struct nodes *n, const struct capture_row *row);
/* Is the node there, to be fetched from? */
bool captures_is_here(const struct node *x);

/* captures_fetch.c; not locked: the file goes. Return: 0, -1 with @why. */
int fetch_remove(struct nodes *n, const struct fetch_wish *w, struct fetch_refusal *why);

#endif
