/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish_int.h - what the parts of publish.h share: a policy that is being made.
 */
#ifndef WEIR_COLLECTOR_CONTROL_PUBLISH_INT_H
#define WEIR_COLLECTOR_CONTROL_PUBLISH_INT_H

#include "collector/control/publish.h"

struct making {
	struct db *db;
	struct policy_draft draft;
	const struct publish *p;
	bool canary;  /* for nodes where canary rules act */
	bool breaker; /* everything automatic only counts */
	uint64_t now;
	struct policy_rule rule;   /* of the rows at hand */
	char group[PUBLISH_GROUP]; /* all that its entries have in common */
	uint32_t number, left_out;
};

/* Does what is decided in this mode only count? */
bool making_is_shadow(const struct making *m, const char *mode);

/* publish_looks.c: packets that alerts have kept, or mirrored. Return: 0, -EIO, -ENOMEM, -E2BIG. */
int making_looks(struct making *m);

/* publish_agents.c: rules that nodes decide by themselves, behind the others. Return: 0, -EIO, -ENOMEM, -E2BIG. */
int making_agents(struct making *m);

#endif
