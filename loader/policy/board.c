// SPDX-License-Identifier: Apache-2.0
#include "loader/policy/board.h"

#include <string.h>

#define TRIES 100

void board_put(struct policy_board *b, const struct policy_state *s)
{
	__atomic_store_n(&b->seq, b->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy(&b->state, s, sizeof(b->state));
	__atomic_store_n(&b->seq, b->seq + 1, __ATOMIC_RELEASE);
}

bool board_get(const struct policy_board *b, struct policy_state *ret)
{
	for (int i = 0; i < TRIES; i++) {
		const uint32_t seq = __atomic_load_n(&b->seq, __ATOMIC_ACQUIRE);

		if (seq & 1)
			continue;
		memcpy(ret, &b->state, sizeof(*ret));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&b->seq, __ATOMIC_RELAXED) == seq)
			return true;
	}
	return false;
}
