/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query.h - answers a question (spec.h) from the store, into a sink. The thread that asks works
 * until the answer is complete; several may at once.
 */
#ifndef WEIR_COLLECTOR_QUERY_QUERY_H
#define WEIR_COLLECTOR_QUERY_QUERY_H

#include "collector/query/answer.h"
#include "collector/query/spec.h"
#include "collector/store/store.h"

struct query_env {
	struct store *store;
	uint32_t timeout_ms; /* 0: none */
};

/**
 * query_run - answer
 * @q:     checked by spec_finish()
 * @error: STORE_ERROR octets: why not, for people
 *
 * Return: 0; -ECANCELED: the sink wanted no more; -ETIMEDOUT; -EINVAL: the question is not one for
 *         the store; what a sink returned; -EIO, -ENOMEM ...
 */
int query_run(const struct query_env *env, const struct spec *q, const struct answer_sink *k,
	      char *error);

struct query_export {
	const char *path;			    /* made or replaced */
	int (*progress)(void *arg, double percent); /* as answer_sink has it */
	void *progress_arg;
};

/* The same answer as a Parquet file, see answer_file.h. Return: as query_run(). */
int query_export(const struct query_env *env, const struct spec *q, const struct query_export *to,
		 char *error);

#endif
