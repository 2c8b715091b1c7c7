/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bound.h - SQL text that grows, and the values bound to it. What users write never becomes text: it
 * is bound. Without memory the builder stays broken and bound_end() says so. One thread.
 */
#ifndef WEIR_COLLECTOR_QUERY_BOUND_H
#define WEIR_COLLECTOR_QUERY_BOUND_H

#include <stdbool.h>
#include "collector/store/store.h"

#define BOUND_TEXT_MAX	 (8u << 20)
#define BOUND_VALUES_MAX 60000u

struct bound {
	char *text; /* terminated */
	size_t len, cap;
	struct store_value *values;
	uint32_t n, values_cap;
	char **owned; /* copies of bound texts */
	uint32_t n_owned, owned_cap;
	int error; /* -ENOMEM, -E2BIG */
};

void bound_add(struct bound *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "$N" with the value behind it. Texts are copied. */
void bound_u64(struct bound *s, uint64_t v);
void bound_i64(struct bound *s, int64_t v);
void bound_f64(struct bound *s, double v);
void bound_str(struct bound *s, struct flow_str v);

/* Return: 0, or what went wrong. */
int bound_end(const struct bound *s);

void bound_done(struct bound *s);

#endif
