/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter_sql.h - a filter as a condition of SQL, with bound values. The condition is true exactly
 * for the flows that filter_match() takes; for others it is false or NULL. Pure.
 */
#ifndef WEIR_COLLECTOR_QUERY_FILTER_SQL_H
#define WEIR_COLLECTOR_QUERY_FILTER_SQL_H

#include "collector/query/bound.h"
#include "collector/store/schema.h"
#include "common/filter_tree.h"

/**
 * filter_sql - append the condition
 * @source: gets the columns it names
 *
 * What goes wrong is in @s, see bound_end(): -E2BIG more values than can be bound; -EOPNOTSUPP:
 * a field that the store has not (community_id).
 */
void filter_sql(struct bound *s, const struct filter_tree *t, struct flow_source_cfg *source);

#endif
