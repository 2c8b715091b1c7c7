/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rollup.h - questions that the store's sums answer exactly, without the flows.
 */
#ifndef WEIR_COLLECTOR_QUERY_ROLLUP_H
#define WEIR_COLLECTOR_QUERY_ROLLUP_H

#include "collector/query/plan.h"

/* Would a roll-up give the same answer? */
bool rollup_fits(const struct spec *q);

/* The groups of a plan (plan.c's put_groups()) from a roll-up. Return: as plan_make(). */
int rollup_groups(struct store *store, const struct spec *q, struct plan *p, char *error);

#endif
