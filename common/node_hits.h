/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_hits.h - what a node says that its decisions have hit (docs/nodes.md): counts since each began, so that
 * what comes twice, or not at all, is made good by what comes next. Pure; any thread.
 */
#ifndef WEIR_COMMON_NODE_HITS_H
#define WEIR_COMMON_NODE_HITS_H

#include "common/node_message.h"

#define NODE_HITS_MAX 64u /* in one message; with the longest numbers they fit */

/* One entry in the kernel, from when it came until it goes. */
struct node_hit {
	uint8_t id[16];	  /* of the rule's record */
	uint8_t addr[16]; /* of the entry */
	int64_t entry;	  /* which of those that this address has had under this rule */
	int64_t packets, bytes, flows;
	int64_t last_us; /* since 1970, by the node's clock */
};

/* A body of NODE_PATH_HITS; free() it. NULL: no memory. */
char *node_hits_write(const struct node_hit *v, size_t n);

/**
 * node_hits_read - a body of NODE_PATH_HITS
 * @ret: NODE_HITS_MAX of them
 *
 * Return: 0; -EINVAL with @reterr (NODE_MESSAGE_ERROR); -ENOMEM.
 */
int node_hits_read(const char *text, size_t len, struct node_hit *ret, size_t *ret_n, char *reterr);

#endif
