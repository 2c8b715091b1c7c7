/* SPDX-License-Identifier: Apache-2.0 */
/*
 * having.h - what a window of flows must add up to: comparisons of aggregates, with and, or, not.
 *
 *   having = or;  or = and {"or" and};  and = not {"and" not};  not = ["not"] prim
 *   prim   = "(" or ")" | agg op value
 *   agg    = "count" "(" [filter] ")" | "sum" "(" field ")" | "rate" "(" field ")" | "max" "(" field ")"
 *          | "distinct" "(" field {"," field} ")" | "ratio" "(" agg "," agg ")"
 *
 * The tokens, lists and parameters are the filter's (filter.h). A comparison with an aggregate that
 * has no value (a ratio to nothing, a maximum of nothing) is false, under `not` too.
 */
#ifndef WEIR_COMMON_HAVING_H
#define WEIR_COMMON_HAVING_H

#include "common/filter.h"

#define HAVING_AGGS_MAX	  16u
#define HAVING_NODES_MAX  64u
#define HAVING_FIELDS_MAX 4u

enum having_agg_type { HA_COUNT, HA_SUM, HA_RATE, HA_MAX, HA_DISTINCT, HA_RATIO };

struct having_agg {
	uint8_t type; /* enum having_agg_type */
	uint8_t n_fields;
	uint8_t fields[HAVING_FIELDS_MAX]; /* enum flow_field; of a ratio: two aggregates */
	struct filter *where;		   /* of count(filter), or NULL */
	uint32_t at, len;		   /* in the text */
};

enum having_node_type { HN_OR, HN_AND, HN_NOT, HN_CMP };

struct having_node {
	uint8_t type; /* enum having_node_type */
	uint8_t op;   /* enum filter_op */
	uint8_t agg;
	uint32_t first, next; /* child, sibling; index 0 is none */
	double value;
};

struct having {
	struct having_agg aggs[HAVING_AGGS_MAX];
	struct having_node nodes[HAVING_NODES_MAX];
	uint32_t n_aggs, n_nodes, root;
	/* It can only become true when flows are added, and only false when they leave the window. */
	bool monotone;
};

/* As filter_parse(). */
int having_parse(const char *text, size_t len, const struct filter_env *env, struct having **ret,
		 struct filter_error *reterr);

struct having *having_free(struct having *h); /* NULL is fine; returns NULL */

/* What one aggregate is; NAN: it has no value. */
typedef double having_value_fn(void *arg, unsigned int agg);

bool having_true(const struct having *h, having_value_fn *value, void *arg);

/* A number as in filters, or one with a fraction (0.9). Return: 0, -EINVAL, -ERANGE. */
int having_scan_number(const char *s, double *ret);

#endif
