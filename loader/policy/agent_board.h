/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_board.h - agents' rules that are in force, in memory that core and worker share: the core has checked
 * and writes them, the worker reads their filters and looks at flows. A sequence number tells a torn
 * read. What the worker finds goes back as a struct agent_hit; the core decides.
 */
#ifndef WEIR_LOADER_POLICY_AGENT_BOARD_H
#define WEIR_LOADER_POLICY_AGENT_BOARD_H

#include <stdbool.h>
#include <stdint.h>
#include "common/policy.h"

struct agent_row {
	uint8_t id[16]; /* of the rule */
	uint32_t slot;	/* of its issuer */
	bool any;	/* also sources that may have been forged: nothing is stopped by it */
	char where[POLICY_WHERE_MAX];
};

struct agent_rows {
	uint32_t n;
	struct agent_row row[POLICY_AGENTS_MAX];
};

struct agent_board {
	uint32_t seq; /* odd while it is written; another one when rules have changed; 0: there were none yet */
	struct agent_rows rows;
};

/* A flow that a rule picks, and whose source has proven to be real. */
struct agent_hit {
	uint8_t id[16];
	uint32_t slot;
	uint8_t addr[16]; /* of the source */
	uint8_t to[16];	  /* what it talked to */
	uint16_t port;	  /* host order; 0: none */
	uint8_t proto;
	uint8_t pad;
	uint64_t seen_ns; /* CLOCK_MONOTONIC: when the flow was evaluated */
};

/* Since the start. The last two are the core's, the others the worker's. */
struct agent_counts {
#define COUNTED(member, metric, help) uint64_t member;
#include "loader/policy/agent_counts.def"
#undef COUNTED
};

/* Core. */
void agent_board_put(struct agent_board *b, const struct agent_rows *rows);

/* Worker: have they changed since @seq? One load. */
static inline bool agent_board_is_new(const struct agent_board *b, uint32_t seq)
{
	return __atomic_load_n(&b->seq, __ATOMIC_ACQUIRE) != seq;
}

/* Worker. False: it was being written each time that it was tried. */
bool agent_board_get(const struct agent_board *b, struct agent_rows *ret, uint32_t *ret_seq);

#endif
