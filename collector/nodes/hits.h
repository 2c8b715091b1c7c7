/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hits.h - what decisions have hit on the nodes, as rows of control.db: one for each entry that a kernel had, and
 * each decision that it stood for. The rows of an entry add up to what the node has counted; what comes twice
 * changes nothing.
 */
#ifndef WEIR_COLLECTOR_NODES_HITS_H
#define WEIR_COLLECTOR_NODES_HITS_H

#include <stdio.h>

#include "collector/control/db.h"
#include "collector/nodes/captures.h"

#define HITS_ENTRIES 64 /* of one decision on one node: it has gone and come so often */

/* A body of NODE_PATH_HITS becomes rows, all or none. Locked. Return: 0; -EINVAL with @reterr; -EIO, -ENOMEM. */
int hits_heard(const struct who_tells *who, const char *text, size_t len, char *reterr);

/* Sums by rule, action and mode, of all that was ever told. Locked. */
void hits_metrics(struct nodes *n, FILE *out);

#endif
