/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sql.h - SQL text that grows, and the values bound to it. What users write never becomes text: it
 * is bound. Without memory the builder stays broken and sql_end() says so. One thread.
 */
#ifndef WEIR_COLLECTOR_QUERY_SQL_H
#define WEIR_COLLECTOR_QUERY_SQL_H

#include <stdbool.h>
#include "collector/store/store.h"

#define SQL_TEXT_MAX   (8u << 20)
#define SQL_VALUES_MAX 60000u

struct sql {
	char *text; /* terminated */
	size_t len, cap;
	struct store_value *values;
	uint32_t n, values_cap;
	char **owned; /* copies of bound texts */
	uint32_t n_owned, owned_cap;
	int error; /* -ENOMEM, -E2BIG */
};

void sql_add(struct sql *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "$N" with the value behind it. Texts are copied. */
void sql_u64(struct sql *s, uint64_t v);
void sql_i64(struct sql *s, int64_t v);
void sql_f64(struct sql *s, double v);
void sql_str(struct sql *s, struct flow_str v);

/* Return: 0, or what went wrong. */
int sql_end(const struct sql *s);

void sql_done(struct sql *s);

#endif
