/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flows.h - flows one by one, the latest first, page by page; each as the record it was.
 */
#ifndef WEIR_COLLECTOR_QUERY_FLOWS_H
#define WEIR_COLLECTOR_QUERY_FLOWS_H

#include "collector/query/query.h"

/* query_run() for SPEC_FLOWS. The end's cursor, given back with the same question, is the next page. */
int flows_run(const struct query_env *env, const struct spec *q, const struct answer_sink *k,
	      char *error);

/* For query_export(): the SQL is what flows_run() would ask for its rows. */
struct bound;
int flows_sql(const struct query_env *env, const struct spec *q, int64_t from_us, struct bound *s,
	      char *error);

#endif
