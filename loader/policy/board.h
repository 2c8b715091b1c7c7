/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board.h - what the core lets the worker know of policies, for `weir status` and the metrics: rules by name
 * with their counters, in memory that both share. Written by the core alone; a sequence number tells a
 * torn read. The names are those of policies: traffic chooses none.
 */
#ifndef WEIR_LOADER_POLICY_BOARD_H
#define WEIR_LOADER_POLICY_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#define BOARD_ROWS 128u

/* Rules of one name, issuer and action together. */
struct board_row {
	char name[64];
	char issuer[32];
	uint8_t action; /* enum policy_action */
	uint8_t shadow;
	uint8_t pad[6];
#define COUNTED(member, metric, help) uint64_t member;
#include "weir/policy_counts.def"
#undef COUNTED
	uint64_t last; /* seconds since 1970: last packet it acted on, or would have; 0: none yet */
};

struct policy_state {
	uint8_t on; /* there are tables */
	uint8_t stopped, breaker, lease;
	uint32_t rules, rules_max;
	uint32_t decisions, decisions_max;
	uint64_t agent_made, agent_refused; /* struct agent_counts */
	uint32_t n;			    /* rows */
	uint32_t more;			    /* rules that found no room in a row */
	struct board_row row[BOARD_ROWS];
};

struct policy_board {
	uint32_t seq; /* odd while it is written */
	uint32_t pad;
	struct policy_state state;
};

/* Core. */
void board_put(struct policy_board *b, const struct policy_state *s);

/* Worker. False: it was being written each time that it was tried. */
bool board_get(const struct policy_board *b, struct policy_state *ret);

#endif
