// SPDX-License-Identifier: Apache-2.0
/*
 * enforce_iface.c - rules as they go into the tables: an interface's name becomes the index that it has
 * now, and in the breaker's shadow all that would act is only counted.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "loader/policy/enforce_int.h"

/* 0: there is none of this name now. */
static uint32_t index_of(const struct policy_rule *r)
{
	char name[sizeof(r->match.iface) + 1] = "";

	if (!(r->match.have & COND_IFACE))
		return 0;
	memcpy(name, r->match.iface, sizeof(r->match.iface));
	return if_nametoindex(name);
}

uint64_t enforce_ifaces(const struct policy_rule *rules, uint32_t n)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		if (rules[i].match.have & COND_IFACE)
			sum = sum * 0x100000001b3 + index_of(&rules[i]) + 1;
	return sum;
}

int enforce_rules(const struct policy_set *set, bool shadow, struct policy_rule **ret)
{
	struct policy_rule *rules;

	*ret = NULL;
	if (!shadow && !enforce_ifaces(set->rules, set->rules_n))
		return 0;
	rules = calloc(set->rules_n ?: 1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	for (uint32_t i = 0; i < set->rules_n; i++) {
		struct policy_rule *r = &rules[i];

		*r = set->rules[i];
		r->match.ifindex = index_of(r);
		if (shadow && r->action != POLICY_PASS && r->action != POLICY_NEVER)
			r->flags |= RULE_SHADOW;
	}
	*ret = rules;
	return 0;
}
