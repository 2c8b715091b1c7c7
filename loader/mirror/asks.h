/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asks.h - what rules would have mirrored: an address or a pair each, to one of the node's targets by name. Those of
 * one target are the entries of one session, behind all others in the order, and picking what others have picked too:
 * a rule takes no packet from anybody's session. What can't be done now is refused by name, counted once, and tried
 * again while it lasts. Core only; one thread.
 */
#ifndef WEIR_LOADER_MIRROR_ASKS_H
#define WEIR_LOADER_MIRROR_ASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "loader/mirror/want.h"

#define MIRROR_ASKS	 256u
#define MIRROR_ASKS_EACH (MIRROR_RULES / 2) /* addresses of one target: two entries each */

struct mirror_host;

/* Shared: the core's. */
struct mirror_rule_counts {
#define COUNTED(member, metric, help) uint64_t member;
#include "loader/mirror/rule_counts.def"
#undef COUNTED
	uint64_t open;	  /* mirrored now */
	uint64_t refused; /* asked for now, and refused */
};

enum mirror_ask_state {
	MIRROR_ASK_NEW = 0,
	MIRROR_ASK_OPEN = 1,
	MIRROR_ASK_NO_TARGET = 2,
	MIRROR_ASK_FULL = 3,
	MIRROR_ASK_FAILED = 4,
};

struct mirror_ask {
	uint8_t id[16];	   /* of the rule */
	uint32_t slot;	   /* of its issuer */
	uint8_t state;	   /* enum mirror_ask_state */
	uint8_t pair;	   /* between the two; else all of the first */
	uint64_t decision; /* of the collector; 0: an agent's rule has picked it */
	uint64_t until_ms; /* CLOCK_MONOTONIC */
	uint8_t addr[2][16];
	char to[POLICY_TARGET_MAX];
	char rule[64]; /* its name */
};

struct mirror_asks {
	uint32_t n;
	struct mirror_ask of[MIRROR_ASKS];
	uint32_t number[MIRROR_TARGETS];	 /* of the session of each target; 0: none */
	struct mirror_image put[MIRROR_TARGETS]; /* what it is */
	struct mirror_rule_counts *counts;	 /* or NULL: nobody asks */
	uint64_t said_ms;			 /* that a refusal was said */
};

/* One more, unless the same is there. Nothing happens before mirror_asks_put(). */
void mirror_ask(struct mirror_host *h, const struct mirror_ask *a);

typedef bool mirror_keep_fn(const void *arg, const struct mirror_ask *a);

/* Those that are not to be kept end with the next mirror_asks_put(). */
void mirror_asks_keep(struct mirror_host *h, mirror_keep_fn *keep, const void *arg);

/* Sessions become what is asked for. */
void mirror_asks_put(struct mirror_host *h);

/* What of issuer @slot is refused now, in words; "" in @buf: nothing. */
void mirror_asks_refusal(const struct mirror_host *h, uint32_t slot, char *buf, size_t size);

/* Targets may be others; what has been is @was. */
void mirror_asks_targets(struct mirror_host *h, const struct mirror_images *was);

/* Once a second. */
void mirror_asks_tick(struct mirror_host *h, uint64_t now_ms);

#endif
