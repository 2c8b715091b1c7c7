// SPDX-License-Identifier: Apache-2.0
#include "loader/merge_answers.h"

#include <string.h>

#include "common/answer_text.h"
#include "loader/name/name.h"

static bool grow(struct merge *m, struct merge_answers *a)
{
	const uint16_t cap = !a->cap			     ? 2
			     : a->cap * 4 < FLOW_ANSWERS_MAX ? a->cap * 4
							     : FLOW_ANSWERS_MAX;
	struct flow_str *v;
	uint16_t *id;

	if (a->cap == FLOW_ANSWERS_MAX)
		return false;
	v = kept_alloc(m, cap * sizeof(*v));
	id = kept_alloc(m, cap * sizeof(*id));
	if (!v || !id) {
		kept_free(m, v, cap * sizeof(*v));
		kept_free(m, id, cap * sizeof(*id));
		return false;
	}
	if (a->n) {
		memcpy(v, a->v, a->n * sizeof(*v));
		memcpy(id, a->id, a->n * sizeof(*id));
	}
	kept_free(m, a->v, a->cap * sizeof(*v));
	kept_free(m, a->id, a->cap * sizeof(*id));
	a->v = v;
	a->id = id;
	a->cap = cap;
	return true;
}

/* The answer to a repeated query, or the same answer again. */
static bool is_there(const struct merge_answers *a, const char *text, size_t len)
{
	for (unsigned int i = 0; i < a->n; i++)
		if (a->v[i].len == len && !memcmp(a->v[i].s, text, len))
			return true;
	return false;
}

bool merge_answers_add(struct merge *m, struct merge_answers *a, const struct name_answers *from)
{
	char text[ANSWER_TEXT(NAME_QNAME_TEXT_MAX)];
	struct answer one = {.name = {from->qname, from->qname_len}};

	if (!from->qname_len || from->qname_len > NAME_QNAME_TEXT_MAX)
		return true;
	for (unsigned int i = 0; i < from->n && i < DNS_ADDRESSES_MAX; i++) {
		size_t len;

		one.ttl = from->v[i].ttl;
		memcpy(one.ip, from->v[i].ip, sizeof(one.ip));
		len = answer_text(&one, text);
		if (is_there(a, text, len))
			continue;
		if ((a->n == a->cap && !grow(m, a)) || !kept_str(m, &a->v[a->n], text, len))
			return false;
		a->id[a->n++] = from->id;
	}
	return true;
}

void merge_answers_split(struct merge_answers *a, bool (*asked)(const void *arg, uint16_t id),
			 const void *arg)
{
	unsigned int told = 0;

	for (unsigned int i = 0; i < a->n; i++) {
		const struct flow_str s = a->v[i];
		const uint16_t id = a->id[i];

		if (!asked(arg, id))
			continue;
		a->v[i] = a->v[told];
		a->id[i] = a->id[told];
		a->v[told] = s;
		a->id[told++] = id;
	}
	a->told = (uint16_t)told;
}

void merge_answers_clear(struct merge *m, struct merge_answers *a)
{
	for (unsigned int i = 0; i < a->n; i++)
		kept_free(m, (char *)(uintptr_t)a->v[i].s, a->v[i].len);
	a->n = a->told = 0;
}

void merge_answers_free(struct merge *m, struct merge_answers *a)
{
	merge_answers_clear(m, a);
	kept_free(m, a->v, a->cap * sizeof(a->v[0]));
	kept_free(m, a->id, a->cap * sizeof(a->id[0]));
	*a = (struct merge_answers){0};
}
