/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query_rig.h - for tests of questions to the store: flows kept as records beside a store that has
 * the same ones, answers as rows of text and numbers, and the same sums made one flow at a time.
 */
#ifndef WEIR_TESTS_QUERY_RIG_H
#define WEIR_TESTS_QUERY_RIG_H

#include "collector/query/query.h"
#include "store_rig.h"

#define QUERY_KEY     256u
#define QUERY_ROWS    20000u
#define QUERY_NUMBERS (2 * SPEC_MEASURES + 1)

struct query_row {
	char key[QUERY_KEY]; /* texts of the groups' fields with '|' behind each */
	double v[QUERY_NUMBERS];
	bool has[QUERY_NUMBERS];
	int64_t time_us; /* series */
	bool other;
};

struct query_answer {
	struct answer_column columns[ANSWER_COLUMNS];
	uint32_t n_columns, n;
	struct query_row rows[QUERY_ROWS];
	struct answer_end end;
	uint64_t flows;
};

struct query_rig {
	struct store_rig store;
	struct flow_record *flows;
	uint32_t n;
	int64_t first_us, last_us; /* of the flows' ends */
};

/* False: there is no engine. @n flows over about three hours. */
bool query_rig_open(struct query_rig *g, uint32_t n);
void query_rig_done(struct query_rig *g);

/* Pairs KEY, VALUE ..., NULL. Return: what query_run() says; -EINVAL also when the spec is wrong. */
int query_rig_ask(struct query_rig *g, struct spec *q, const char *const *pairs,
		  struct query_answer *ret);

/* Does the spec's filter take it, and is it in the spec's time? */
bool query_rig_takes(const struct spec *q, const struct filter *f, const struct flow_record *r);

/* Key of a flow as query_row has it. */
void query_rig_key(const struct spec *q, const struct flow_record *r, char *ret);

/* The @m-th measure over @n flows; one more: how many of them were sampled. False: there is none. */
bool query_rig_measure(const struct spec *q, uint32_t m, const struct flow_record *const *flows,
		       uint32_t n, double *ret);

#endif
