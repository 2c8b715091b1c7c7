/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_check_int.h - what the files of the check share: policy_check.c has the table of members and the kernel's
 * records, policy_check_node.c those that a node acts on by itself. Pure.
 */
#ifndef WEIR_COMMON_POLICY_CHECK_INT_H
#define WEIR_COMMON_POLICY_CHECK_INT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/policy.h"

struct check {
	const struct policy_bounds *bounds;
	struct policy_error *err;
	const char *record; /* "rule" */
	uint32_t number;    /* of it in its kind, from 1; 0: there is one only */
	const char *of;	    /* name of the rule, or NULL */
};

/* -EINVAL, with the record, its member and why in words. */
__attribute__((format(printf, 3, 4))) int policy_fail(const struct check *c, const char *member,
						      const char *fmt, ...);

/* Records of those types, whose members are in order. 0 or -EINVAL. */
int policy_check_capture(const struct check *c, const void *record);
int policy_check_mirror(const struct check *c, const void *record);
int policy_check_agent(const struct check *c, const void *record);

/* The rule of an agent's. */
int policy_check_agent_rule(const struct check *c, const struct policy *p,
			    const struct policy_rule *r);

/* The kernel knows no capture and no mirror: no record of @type is to lead it to one. */
int policy_check_stops(const struct check *c, unsigned int type, const struct policy_rule *r);

static inline bool policy_all_zero(const uint8_t *p, size_t n)
{
	while (n && !*p) {
		p++;
		n--;
	}
	return !n;
}

#endif
