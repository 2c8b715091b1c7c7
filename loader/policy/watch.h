/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - the worker's side of agents' rules: flows that have changed are held against their filters, and
 * what they pick is told to the core, which decides. Fixed memory: a queue of changed flows (merge.h), and
 * what has been told lately. One thread; no system call but the message.
 */
#ifndef WEIR_LOADER_POLICY_WATCH_H
#define WEIR_LOADER_POLICY_WATCH_H

#include "loader/merge.h"
#include "loader/policy/agent_board.h"

#define WATCH_TOLD 1024u /* sources told lately; those that share a place are told again */

struct watch_told {
	uint64_t until_ns; /* not again before */
	uint8_t addr[16];
	uint32_t rule;
};

/* Start zeroed, but for the first three. */
struct watch {
	int fd; /* to the core */
	const struct agent_board *board;
	struct merge *merge;
	uint64_t look_ns; /* CLOCK_MONOTONIC: when it is time to look for changed flows again */
	uint32_t seq;	  /* of the rules at work */
	uint32_t sweep;	  /* flows known before them: looked at up to there */
	bool sweeping;
	uint32_t n;
	struct agent_rows rows;
	uint64_t known[POLICY_AGENTS_MAX];	  /* hashes of them */
	struct filter *filter[POLICY_AGENTS_MAX]; /* NULL: it could not be read, and picks nothing */
	struct watch_told told[WATCH_TOLD];
	struct agent_counts counts; /* but missed, made, refused */
};

/* Are there rules? Takes over those that have changed. */
bool watch_wanted(struct watch *w);

/* They have been looked for, since @from_ns: every 20 ms, and for a twentieth of the time at most. */
void watch_looked(struct watch *w, uint64_t from_ns);

/* The earlier of the two: @until_ns, and the next look. */
static inline uint64_t watch_until(const struct watch *w, uint64_t until_ns)
{
	return w->look_ns < until_ns ? w->look_ns : until_ns;
}

/* Some of the flows that have changed. Return: true: there are more. */
bool watch_some(struct watch *w);

/*
 * A record that is being written: flows that were gone before anybody looked. What a rule has picked as it was when
 * it last changed is not told again. @ref: merge_emitting()
 */
void watch_record(struct watch *w, uint32_t ref, const struct flow_record *r);

struct policy_state;

/* With what the core says of them. @w: NULL: nobody looks at flows */
void watch_counts(const struct watch *w, const struct policy_state *core, struct agent_counts *ret);

void watch_done(struct watch *w);

#endif
