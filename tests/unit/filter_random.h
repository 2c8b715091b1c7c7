/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter_random.h - filters and records by chance, the same in every run, for tests of properties
 * that hold for any of them.
 */
#ifndef WEIR_TESTS_FILTER_RANDOM_H
#define WEIR_TESTS_FILTER_RANDOM_H

#include "common/filter_int.h"

uint32_t random_below(uint32_t n);
uint64_t random_u64(void);

/* A tree of @depth at most below its root. Return: its index. */
int random_node(struct filter_parser *p, unsigned int depth);

/* The rig's records with other numbers and addresses, and fields taken away. */
struct flow_record random_record(void);

#endif
