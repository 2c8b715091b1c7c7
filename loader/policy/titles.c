// SPDX-License-Identifier: Apache-2.0
#include "loader/policy/titles.h"

#include <string.h>

#define TRIES 100

void title_put(struct policy_titles *t, uint32_t rule, uint32_t generation, const uint8_t *name)
{
	struct policy_title *e = &t->of[rule];

	if (e->was[0].from && !strncmp(e->was[0].name, (const char *)name, TITLE_TEXT - 1))
		return;
	__atomic_store_n(&e->seq, e->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	if (e->was[0].from != generation) /* else it was never in force */
		memmove(&e->was[1], &e->was[0], sizeof(e->was) - sizeof(e->was[0]));
	memset(&e->was[0], 0, sizeof(e->was[0]));
	memcpy(e->was[0].name, name, TITLE_TEXT - 1);
	e->was[0].from = generation;
	__atomic_store_n(&e->seq, e->seq + 1, __ATOMIC_RELEASE);
}

static bool find(const struct policy_title *e, uint32_t generation, char ret[TITLE_TEXT])
{
	unsigned int i = 0;

	if (!e->was[0].from)
		return false;
	while (e->was[i].from > generation && i + 1 < TITLES_KEPT && e->was[i + 1].from)
		i++;
	memcpy(ret, e->was[i].name, TITLE_TEXT);
	ret[TITLE_TEXT - 1] = '\0';
	return true;
}

bool title_get(const struct policy_titles *t, uint32_t rule, uint32_t generation,
	       char ret[TITLE_TEXT])
{
	const struct policy_title *e = &t->of[rule];
	struct policy_title copy;

	if (rule >= POLICY_RULES)
		return false;
	for (int i = 0; i < TRIES; i++) {
		const uint32_t seq = __atomic_load_n(&e->seq, __ATOMIC_ACQUIRE);

		copy = *e;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(seq & 1) && __atomic_load_n(&e->seq, __ATOMIC_RELAXED) == seq)
			return find(&copy, generation, ret);
	}
	return false;
}
