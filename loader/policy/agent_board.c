// SPDX-License-Identifier: Apache-2.0
#include "loader/policy/agent_board.h"

#include <string.h>

#define TRIES 100

void agent_board_put(struct agent_board *b, const struct agent_rows *rows)
{
	__atomic_store_n(&b->seq, b->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy(&b->rows, rows, sizeof(b->rows));
	__atomic_store_n(&b->seq, b->seq + 1, __ATOMIC_RELEASE);
}

bool agent_board_get(const struct agent_board *b, struct agent_rows *ret, uint32_t *ret_seq)
{
	for (int i = 0; i < TRIES; i++) {
		const uint32_t seq = __atomic_load_n(&b->seq, __ATOMIC_ACQUIRE);

		if (seq & 1)
			continue;
		memcpy(ret, &b->rows, sizeof(*ret));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&b->seq, __ATOMIC_RELAXED) != seq)
			continue;
		*ret_seq = seq;
		return true;
	}
	return false;
}
