/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_members.h - the members of policy records as a table, for policy_check.c. Read-only.
 */
#ifndef WEIR_COMMON_POLICY_MEMBERS_H
#define WEIR_COMMON_POLICY_MEMBERS_H

#include "common/policy.h"

enum member_kind {
	M_RANGE, /* min <= number <= max */
	M_MASK,	 /* no bits but those of max */
	M_ZERO,	 /* padding */
	M_TEXT,	 /* UTF-8 without control characters, filled up with NUL; min: letters at least */
	M_ANY,	 /* checked elsewhere, or any bytes */
	M_TIME,	 /* 0, or not later than the receiver allows; min 1: not 0 */
};

struct member {
	const char *name;
	uint16_t offset;
	uint16_t size;
	enum member_kind kind;
	uint64_t min, max;
};

struct policy_record_type {
	const char *name; /* NULL: unknown */
	const struct member *members;
	size_t n_members, size; /* size 0: reserved */
	uint32_t max;		/* records of it in one policy */
};

extern const struct policy_record_type policy_header_type;
extern const struct policy_record_type policy_types[POLICY_TYPES];

#endif
