// SPDX-License-Identifier: Apache-2.0
#include "collector/query/bound.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(struct bound *s, int error)
{
	if (!s->error)
		s->error = error;
}

static bool grow(struct bound *s, size_t more)
{
	size_t cap = s->cap ?: 1024;
	char *text;

	if (s->error)
		return false;
	if (more > BOUND_TEXT_MAX - s->len - 1) {
		fail(s, -E2BIG);
		return false;
	}
	while (cap < s->len + more + 1)
		cap *= 2;
	if (cap == s->cap)
		return true;
	text = realloc(s->text, cap);
	if (!text) {
		fail(s, -ENOMEM);
		return false;
	}
	s->text = text;
	s->cap = cap;
	return true;
}

void bound_add(struct bound *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !grow(s, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(s->text + s->len, s->cap - s->len, fmt, ap);
	va_end(ap);
	s->len += (size_t)n;
}

/* @array with room for one more element; NULL: no memory. */
static void *room(void *array, uint32_t n, uint32_t *cap, size_t size)
{
	const uint32_t want = *cap ? *cap * 2 : 16;

	if (n < *cap)
		return array;
	array = reallocarray(array, want, size);
	if (array)
		*cap = want;
	return array;
}

static void bind_value(struct bound *s, struct store_value v)
{
	static const char *const types[] = {
		[ST_U64] = "UBIGINT", [ST_I64] = "BIGINT", [ST_F64] = "DOUBLE", [ST_TEXT] = "VARCHAR"};
	struct store_value *values;

	if (s->error)
		return;
	if (s->n == BOUND_VALUES_MAX) {
		fail(s, -E2BIG);
		return;
	}
	values = room(s->values, s->n, &s->values_cap, sizeof(*values));
	if (!values) {
		fail(s, -ENOMEM);
		return;
	}
	s->values = values;
	s->values[s->n++] = v;
	/* with its type: the engine can't always tell it from where the value stands */
	bound_add(s, "$%u::%s", s->n, types[v.type]);
}

void bound_u64(struct bound *s, uint64_t v)
{
	bind_value(s, (struct store_value){.type = ST_U64, .u = v});
}

void bound_i64(struct bound *s, int64_t v)
{
	bind_value(s, (struct store_value){.type = ST_I64, .i = v});
}

void bound_f64(struct bound *s, double v)
{
	bind_value(s, (struct store_value){.type = ST_F64, .f = v});
}

void bound_str(struct bound *s, struct flow_str v)
{
	char **owned = room(s->owned, s->n_owned, &s->owned_cap, sizeof(*owned));
	char *copy = malloc(v.len + 1);

	if (owned)
		s->owned = owned;
	if (!owned || !copy) {
		free(copy);
		fail(s, -ENOMEM);
		return;
	}
	if (v.len)
		memcpy(copy, v.s, v.len);
	copy[v.len] = 0;
	s->owned[s->n_owned++] = copy;
	bind_value(s, (struct store_value){.type = ST_TEXT, .s = {copy, v.len}});
}

int bound_end(const struct bound *s)
{
	return s->error;
}

void bound_done(struct bound *s)
{
	for (uint32_t i = 0; i < s->n_owned; i++)
		free(s->owned[i]);
	free(s->owned);
	free(s->values);
	free(s->text);
	*s = (struct bound){};
}
