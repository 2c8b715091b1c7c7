/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_rule.h - rules that nodes decide by themselves, flow by flow, as records of a policy: a rule by address
 * without entries, and the filter whose flows' sources become its entries there (struct policy_agent). Those of
 * class A, and of class K, whose packets the kernel could drop, but not know their source for the next ones.
 */
#ifndef WEIR_COLLECTOR_RULES_NODE_RULE_H
#define WEIR_COLLECTOR_RULES_NODE_RULE_H

#include "collector/rules/rule.h"
#include "common/policy.h"

#define NODE_RULE_WHY 240u

/* Of captures that say nothing else. */
#define NODE_RULE_POST	UINT64_C(60000000000) /* ns */
#define NODE_RULE_BYTES (UINT64_C(64) << 20)

/**
 * node_rule_why_not - why a node can't decide by this action of the rule; NULL: it can
 * @buf: NODE_RULE_WHY bytes
 *
 * The rule's mode is not looked at.
 */
const char *node_rule_why_not(const struct rule *r, const struct rule_action *a,
			      const struct rule_site *site, char *buf);

struct node_rule {
	const struct rule *rule;
	uint32_t at; /* of the action in it */
	const struct rule_site *site;
	uint32_t number; /* of the record */
	uint64_t expires; /* seconds since 1970: of the rule, and the latest end of what it leads to */
	bool shadow;	  /* it only counts */
	const char *issuer;    /* for its origin; NULL: none */
	const char *exempt[2]; /* more lists that are: words such as "@never_block"; or NULL */
};

/* What an action captures or mirrors, as a record without addresses; its rule is left 0. */
void node_rule_capture(const struct rule_action *a, struct policy_capture *ret);
void node_rule_mirror(const struct rule_action *a, struct policy_mirror *ret);

/* How long an action lasts, when it is done for the first time. */
uint64_t node_rule_seconds(const struct rule_action *a);

/* Its records into a draft. Return: 0, -ENOMEM, -E2BIG, -EINVAL. */
int node_rule_add(struct policy_draft *d, const struct node_rule *n);

/* A source that it is not for, until then (0: always). @bits of 128. Return: as above. */
int node_rule_exempt(struct policy_draft *d, uint32_t number, const uint8_t addr[16],
		     unsigned int bits, uint64_t until);

/* Of the record that a rule's action becomes; the last two bytes are 0. */
void node_rule_id(const struct rule *r, uint32_t at, uint8_t ret[16]);

/* By such an id. NULL: there is none; *ret_at: the action. */
const struct rule *node_rule_find(const struct rule_set *set, const uint8_t id[16],
				  uint32_t *ret_at);

#endif
