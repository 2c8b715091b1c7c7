/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodes.h - the nodes that this collector tells what to enforce (docs/nodes.md): tokens, certificates,
 * the policy that each shall have, and what each says it enforces. Listens with HTTPS; a node's question
 * waits until there is something new for it. Nodes and tokens are rows of control.db; what nodes say is
 * kept in memory, since they say it again.
 */
#ifndef WEIR_COLLECTOR_NODES_NODES_H
#define WEIR_COLLECTOR_NODES_NODES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "collector/endpoint/endpoint.h"
#include "common/address.h"

#define NODES_ERROR 240u

struct nodes;
struct node_decision; /* collector/control/decide.h */

struct nodes_cfg {
	const struct address *listen;
	const char *dir;	   /* of the store */
	const char *issuer;	   /* of its policies */
	const char *const *canary; /* labels of nodes where canary rules act; @canary_n of them */
	uint32_t canary_n;
	uint64_t certificate_us; /* how long one is good for */
	uint64_t return_us;	 /* after its end, good for another one alone */
	uint32_t max;		 /* nodes */
	/* Have a policy made with a generation above @above. Never called under a lock. */
	int (*resync)(void *arg, int64_t above);
	/* A node has decided by itself: durable when it returns 0. The same. */
	int (*decided)(void *arg, const struct node_decision *d);
	void *arg;
};

/* Return: 0; -EIO, -EADDRINUSE with @error (NODES_ERROR bytes); -ENOMEM; -EAGAIN. */
int nodes_open(const struct nodes_cfg *cfg, char *error, struct nodes **ret);
/* Nobody is answered any more, no policy asked for; nodes_published() may still come. NULL is fine. */
void nodes_stop(struct nodes *n);
void nodes_close(struct nodes *n); /* NULL is fine */

/* There are new policy files. Any thread. */
void nodes_published(struct nodes *n);

/* Nodes where canary rules act that are here and enforce what they shall. Any thread; NULL: 0. */
uint32_t nodes_canaries(struct nodes *n);

/* Settings that a reload takes over. */
void nodes_reload(struct nodes *n, const struct nodes_cfg *cfg);

/* A request of the local socket, "command":"nodes"; as book_ask(). Any thread. */
json_t *nodes_ask(struct nodes *n, const json_t *request, const struct endpoint_peer *peer);

/* Any thread. */
json_t *nodes_status(struct nodes *n);
void nodes_metrics(struct nodes *n, FILE *out);

#endif
