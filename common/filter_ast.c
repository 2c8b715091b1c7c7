// SPDX-License-Identifier: Apache-2.0
/*
 * filter_ast.c - the arrays that a filter's tree lives in.
 */
#include <stdlib.h>
#include <string.h>

#include "common/filter_int.h"

#define BYTES_MAX (64u << 20)

/* @array with room for @more elements behind @n: moved, or as it was; NULL: no memory. */
static void *grow(void *array, uint32_t *cap, uint32_t n, uint32_t more, size_t size)
{
	uint64_t want = (uint64_t)n + more;

	if (want <= *cap)
		return array;
	want = want < 16 ? 16 : want * 2;
	array = reallocarray(array, want, size);
	if (array)
		*cap = (uint32_t)want;
	return array;
}

int filter_add_node(struct filter_parser *p, const struct filter_node *n)
{
	struct filter_ast *a = p->ast;
	struct filter_node *to;

	if (a->n_nodes > FILTER_NODES_MAX)
		return filter_fail_limit(p, "too many comparisons in one filter");
	to = grow(a->nodes, &a->cap_nodes, a->n_nodes, 2, sizeof(*to));
	if (!to)
		return filter_fail_memory(p);
	a->nodes = to;
	if (!a->n_nodes)
		a->nodes[a->n_nodes++] = (struct filter_node){};
	a->nodes[a->n_nodes] = *n;
	return (int)a->n_nodes++;
}

int filter_add_value(struct filter_parser *p, const struct filter_value *v)
{
	struct filter_ast *a = p->ast;
	struct filter_value *to;

	if (a->n_values > FILTER_VALUE_MAX)
		return filter_fail_limit(p, "too many values in one filter");
	to = grow(a->values, &a->cap_values, a->n_values, 2, sizeof(*to));
	if (!to)
		return filter_fail_memory(p);
	a->values = to;
	if (!a->n_values)
		a->values[a->n_values++] = (struct filter_value){};
	a->values[a->n_values] = *v;
	return (int)a->n_values++;
}

int filter_add_bytes(struct filter_parser *p, const char *s, uint32_t len)
{
	struct filter_ast *a = p->ast;
	const uint32_t at = a->n_bytes ?: 1;
	char *to;

	if (len > BYTES_MAX - at)
		return filter_fail_limit(p, "too much text in one filter");
	to = grow(a->bytes, &a->cap_bytes, at, len + 1, 1);
	if (!to)
		return filter_fail_memory(p);
	a->bytes = to;
	a->bytes[0] = 0;
	if (len)
		memcpy(a->bytes + at, s, len);
	a->bytes[at + len] = 0;
	a->n_bytes = at + len + 1;
	return (int)at;
}

void filter_ast_done(struct filter_ast *a)
{
	free(a->nodes);
	free(a->values);
	free(a->bytes);
	*a = (struct filter_ast){};
}
