/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - how a question is answered: SQL for the store, and what the columns of its result are.
 * One thread.
 */
#ifndef WEIR_COLLECTOR_QUERY_PLAN_H
#define WEIR_COLLECTOR_QUERY_PLAN_H

#include "collector/query/answer.h"
#include "collector/query/spec.h"
#include "collector/query/bound.h"
#include "collector/store/schema.h"

/*
 * The result's columns of a plan with groups:
 *   rank      0: sums of all groups; else the place of the group; top + 1: all others
 *   step      number of the step (series), counted from first_us
 *   keys      of each spec_by one column, of addresses two
 *   measures  then, if asked for, the same of the time before
 */
struct plan {
	bool wide;   /* set before: flow_source_cfg.wide */
	bool scaled; /* set before: bytes and packets times the rate of each flow */
	struct bound sql;
	char source[32];  /* "flows", "rollup 5m" */
	int64_t first_us; /* where step 0 begins */
	int64_t steps;	  /* how many there are; 0: no series */
	bool ranked;	  /* there are groups, and so a row of sums before them (no series) */
};

/* Measures whose sums over groups mean something. */
bool plan_additive(const struct spec_measure *m);

/**
 * plan_make - for SPEC_TOP
 * @ret:   zero, but for what is set before
 * @error: STORE_ERROR octets
 *
 * Return: 0, -EINVAL, -E2BIG, -ENOMEM. End with plan_done(), also after errors.
 */
int plan_make(struct store *s, const struct spec *q, struct plan *ret, char *error);

/* A condition "(...) AND" of the filter; nothing where there is none. Return: as plan_make(). */
int plan_filter(struct bound *sql, const struct spec *q, struct flow_source_cfg *source,
		char *error);

void plan_done(struct plan *p);

/* A partition that is removed, or becomes Parquet, between text and reading: so often it is asked again. */
#define PLAN_TRIES 4

#endif
