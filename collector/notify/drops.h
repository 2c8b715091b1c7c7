/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drops.h - decisions in force as other programs take them: sets of nftables, routes of ExaBGP. Only
 * drops that act: what only counts, limits and resets are not said. Pure, but for the list's memory; one thread.
 */
#ifndef WEIR_COLLECTOR_NOTIFY_DROPS_H
#define WEIR_COLLECTOR_NOTIFY_DROPS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define DROP_KEY 240u

enum drop_form { DROP_NFT, DROP_FLOWSPEC, DROP_RTBH };

/* One element or route; @until_us is the last end of the decisions that say it. */
struct drop_entry {
	char key[DROP_KEY]; /* "src4 192.0.2.9"; of a route what stands behind "announce" up to its end */
	uint64_t until_us;
};

struct drop_set {
	struct drop_entry *v;
	uint32_t n, cap;
};

/**
 * drops_add - a decision, as 'decisions show -o json' has it
 *
 * Passed over: what the form has no words for, and what does not act or has ended at @now_us.
 * Return: 0, -ENOMEM.
 */
int drops_add(struct drop_set *s, enum drop_form form, const json_t *decision, uint64_t now_us);

/* In order, each key once with its last end; without what has ended. */
void drops_settle(struct drop_set *s, uint64_t now_us);

void drops_done(struct drop_set *s);

/* A whole file for nft(8): the sets, empty, then their elements with the time that is left. */
void drops_put_nft(FILE *out, const struct drop_set *s, uint64_t now_us);

/* What leads from @was to @now, both settled. @next_hop4, @next_hop6: of rtbh. */
struct drop_hops {
	const char *v4, *v6;
};
void drops_put_changes(FILE *out, enum drop_form form, const struct drop_set *was,
		       const struct drop_set *now, const struct drop_hops *hops);

#endif
