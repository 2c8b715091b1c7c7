/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer_print.h - answers for people and programs on standard output: a table, JSON (one object a
 * row), CSV (RFC 4180). One thread.
 */
#ifndef WEIR_COLLECTOR_QUERY_ANSWER_PRINT_H
#define WEIR_COLLECTOR_QUERY_ANSWER_PRINT_H

#include <stdio.h>
#include "collector/query/answer.h"

enum print_format { PRINT_TABLE, PRINT_JSON, PRINT_CSV };

struct answer_print;

struct print_cfg {
	enum print_format format;
	bool numeric; /* tables: all digits, no k, M, G */
	bool bars;    /* tables: shares as bars too */
	FILE *out;
};

/* Return: NULL: no memory. */
struct answer_print *answer_print_new(const struct print_cfg *cfg);
void answer_print_free(struct answer_print *p);

/* Everything but flow() and progress(). */
struct answer_sink answer_print_sink(struct answer_print *p);

/* How it ended; rows is 0 before the end. */
const struct answer_end *answer_print_end(const struct answer_print *p);

#endif
