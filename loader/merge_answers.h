/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge_answers.h - the addresses that DNS answers of a flow gave, until its next record: dns.answers.
 * Drain thread only.
 */
#ifndef WEIR_LOADER_MERGE_ANSWERS_H
#define WEIR_LOADER_MERGE_ANSWERS_H

#include "loader/merge_int.h"

struct name_answers;

struct merge_answers {
	struct flow_str *v; /* in the form of answer_text.h */
	uint16_t *id;	    /* of the message that each came in */
	uint16_t n, cap;
	uint16_t told; /* in the record being written, from the front */
};

/* Return: false: not all are kept. */
bool merge_answers_add(struct merge *m, struct merge_answers *a, const struct name_answers *from);

/* To the front with those that @asked says yes to: their query was seen, too. */
void merge_answers_split(struct merge_answers *a, bool (*asked)(const void *arg, uint16_t id),
			 const void *arg);

/* A record has had them; what nobody had asked for goes too. */
void merge_answers_clear(struct merge *m, struct merge_answers *a);
void merge_answers_free(struct merge *m, struct merge_answers *a);

#endif
