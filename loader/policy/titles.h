/* SPDX-License-Identifier: Apache-2.0 */
/*
 * titles.h - names of rules by their element of policy_rules, in memory that core and worker share: what
 * packets were dropped by is known by element and generation alone, and told when the element may
 * already be another rule's. The last few names of each are kept. Written by the core alone, before what
 * it names is in force; a sequence number an element tells a torn read.
 */
#ifndef WEIR_LOADER_POLICY_TITLES_H
#define WEIR_LOADER_POLICY_TITLES_H

#include <stdbool.h>
#include <stdint.h>
#include "weir/policy_map.h"

#define TITLES_KEPT 4u
#define TITLE_TEXT  65u

struct policy_title {
	uint32_t seq; /* odd while it is written */
	struct {
		uint32_t from; /* first generation; 0: none */
		char name[TITLE_TEXT + 3];
	} was[TITLES_KEPT]; /* the newest first */
};

struct policy_titles {
	struct policy_title of[POLICY_RULES];
};

/* Core: the rule's name from that generation on. @name: 64 bytes, filled up with NUL. */
void title_put(struct policy_titles *t, uint32_t rule, uint32_t generation, const uint8_t *name);

/**
 * title_get - the name that a rule had in a generation
 * @ret: its text; where it is older than all that is known, the oldest
 *
 * Any process that has the memory. Return: false: no such rule.
 */
bool title_get(const struct policy_titles *t, uint32_t rule, uint32_t generation,
	       char ret[TITLE_TEXT]);

#endif
