/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lists.h - policies for the benchmarks: so many of the packet generator's sources listed, among strangers,
 * prefixes and names; put into a lab's tables.
 */
#ifndef WEIR_BENCH_LISTS_H
#define WEIR_BENCH_LISTS_H

#include <stdint.h>
#include "loader/policy/table.h"
#include "tests/bench/lab.h"

#define LISTS_ENTRIES (1u << 21) /* of lab.policy_entries */

struct lists {
	struct policy_rule rules[3]; /* drop by address, by prefix, by name */
	struct policy_addr *addrs;
	struct policy_name *names;
	struct policy_set set;
	struct policy_table *table;
	struct lab *lab;
};

struct lists_size {
	uint32_t listed;	  /* sources of the generator */
	uint32_t addrs;		  /* addresses altogether, 1 Mi at most */
	uint32_t prefixes, names; /* 100,000 at most */
};

/* @lab: opened with LISTS_ENTRIES. Return: 0 or -errno; lists_close() in either case. */
int lists_open(struct lists *l, struct lab *lab);
void lists_close(struct lists *l);

void lists_fill(struct lists *l, const struct lists_size *n);

/* What is filled in becomes the policy; of the one before nothing is left. Return: ms that it took, or -errno. */
double lists_apply(struct lists *l);

#endif
