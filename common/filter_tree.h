/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter_tree.h - a filter as tree and as tests, for those who translate it into something else. The
 * leaves of the tree, from left to right, are filter->tests[filter->entry], the next one, and so on.
 * Negations above a leaf are in its test already; an `and` below an odd number of them means `or`.
 */
#ifndef WEIR_COMMON_FILTER_TREE_H
#define WEIR_COMMON_FILTER_TREE_H

#include "common/filter_code.h"

struct filter_tree {
	struct filter_ast ast;
	struct filter *filter;
};

/* As filter_parse(); end with filter_tree_done(). */
int filter_parse_tree(const char *text, size_t len, const struct filter_env *env,
		      struct filter_tree *ret, struct filter_error *reterr);

void filter_tree_done(struct filter_tree *t);

#endif
