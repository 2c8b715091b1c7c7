/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer.h - what comes of a question: a head, rows or flows, an end. Whoever computes an answer
 * calls a sink; sinks write it for people or for a peer (answer_line.h). One thread.
 */
#ifndef WEIR_COLLECTOR_QUERY_ANSWER_H
#define WEIR_COLLECTOR_QUERY_ANSWER_H

#include "common/flow.h"

#define ANSWER_COLUMNS 32u
#define ANSWER_NAME    64u

enum answer_kind { AK_NULL, AK_TEXT, AK_U64, AK_F64, AK_TIME };
enum answer_unit { AU_NONE, AU_BYTES, AU_COUNT, AU_US, AU_SHARE };

struct answer_column {
	char name[ANSWER_NAME];
	uint8_t kind; /* enum answer_kind of its cells, if they are not NULL */
	uint8_t unit; /* enum answer_unit */
};

struct answer_cell {
	uint8_t kind;
	union {
		struct flow_str s;
		uint64_t u;
		double f;
		int64_t us; /* since 1970 UTC */
	};
};

struct answer_end {
	uint64_t rows;
	uint64_t us;	 /* it took */
	char source[32]; /* "flows", or the roll-up that answered */
	char cursor[64]; /* flows: where the next page begins; "" there is none */
};

/*
 * Functions return 0 or a negative error, which ends the answer. progress() is called now and then
 * from a thread of its own: @percent 0 to 100, negative when it is not known; -ECANCELED: nobody
 * wants the rest. It may be NULL.
 */
struct answer_sink {
	int (*head)(void *arg, const struct answer_column *columns, uint32_t n);
	int (*row)(void *arg, const struct answer_cell *cells, bool other);
	int (*flow)(void *arg, const struct flow_record *r);
	int (*note)(void *arg, const char *text); /* of an explanation */
	int (*end)(void *arg, const struct answer_end *end);
	void *arg;
	int (*progress)(void *arg, double percent);
	void *progress_arg;
};

#endif
