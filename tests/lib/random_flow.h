/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_flow.h - flow records of any shape from a seed, or from a fuzzer's bytes.
 */
#ifndef WEIR_TESTS_RANDOM_FLOW_H
#define WEIR_TESTS_RANDOM_FLOW_H

#include "common/flow.h"

struct random_flow {
	struct flow_record r;
	char text[4096];
	struct flow_str hosts[FLOW_HOSTS_MAX];
	struct flow_query queries[FLOW_QUERIES_MAX];
	struct flow_str answers[FLOW_ANSWERS_MAX];
};

/* The next record of the sequence that starts with *state; texts and lists are in *f. */
void random_flow(struct random_flow *f, uint64_t *state);

#endif
