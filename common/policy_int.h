/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_int.h - from a filter to records: alternatives (policy_dnf.c) of conditions that a packet or a
 * name can meet, each of which becomes rules and entries (policy_filter.c).
 */
#ifndef WEIR_COMMON_POLICY_INT_H
#define WEIR_COMMON_POLICY_INT_H

#include "common/filter_int.h"
#include "common/policy.h"

#define LITERALS_MAX 32u

enum literal_kind {
	LIT_IPS,   /* src, dst or either, in the values of a node */
	LIT_PORT,  /* lo to hi; never negated: that becomes the other ranges */
	LIT_VALUE, /* proto, vlan, vni ...: lo */
	LIT_FLAGS, /* (flags & lo) == hi */
	LIT_IFACE, /* text of a value */
	LIT_NAMES, /* tls.sni ..., in the values of a node */
};

struct literal {
	uint8_t kind;  /* enum literal_kind */
	uint8_t field; /* enum flow_field */
	bool negate;
	bool either;	/* of the two ends; field is that of src */
	uint32_t at;	/* in the filter's text */
	uint32_t value; /* IPS, NAMES, IFACE: the first one */
	uint8_t op;	/* enum filter_op, of NAMES */
	uint64_t lo, hi;
};

struct alternative {
	uint32_t n;
	struct literal all[LITERALS_MAX]; /* all of them hold */
};

struct alternatives {
	uint32_t n;
	struct alternative any[POLICY_SPLIT_MAX];
};

/**
 * policy_alternatives - a tree as alternatives of conditions
 * @p:     parsed; its error is filled
 * @merge: `host X`, `port X` as one condition on either end
 *
 * Return: 0 with *ret to be freed, -EINVAL, -E2BIG, -ENOMEM.
 */
int policy_alternatives(struct filter_parser *p, bool merge, struct alternatives **ret);

typedef int prefix_fn(void *arg, const uint8_t addr[16], uint8_t bits);

/* An address, network or range as prefixes. Return: 0, or what @fn returned. */
int policy_prefixes(const struct filter_value *v, prefix_fn *fn, void *arg);

#endif
