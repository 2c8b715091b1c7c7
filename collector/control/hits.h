/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hits.h - what decisions have hit, for who looks at them: sums of the rows that nodes' reports are
 * (collector/nodes/hits.h).
 */
#ifndef WEIR_COLLECTOR_CONTROL_HITS_H
#define WEIR_COLLECTOR_CONTROL_HITS_H

#include <jansson.h>

#include "collector/control/db.h"

/* A column: those of the decisions that @which picks, for hits_put(). */
#define HITS_OF(which)                                                                           \
	"(SELECT json_object('packets', sum(packets), 'bytes', sum(bytes), 'flows', sum(flows)," \
	" 'last', max(last_us), 'nodes', count(DISTINCT node)) FROM hit WHERE decision " which ")"

/* Member "hits" of that column; where nothing was hit there is none. */
void hits_put(json_t *o, const char *column);

/* The same of each node that has told of it, as a list. */
json_t *hits_by_node(struct db *d, int64_t decision);

#endif
