/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer_file.h - an answer as a Parquet file: the columns that JSON and CSV have, by the same names.
 * Addresses and words are text, counts UBIGINT, shares and averages DOUBLE, times TIMESTAMP in UTC; of
 * flows what CSV has of them. One thread.
 */
#ifndef WEIR_COLLECTOR_QUERY_ANSWER_FILE_H
#define WEIR_COLLECTOR_QUERY_ANSWER_FILE_H

#include "collector/query/answer.h"
#include "collector/store/store.h"

struct answer_file;

/* @flows: what comes are flows. @error: STORE_ERROR octets, for as long as the sink is used. */
struct answer_file *answer_file_new(struct store *s, bool flows, char *error);
void answer_file_free(struct answer_file *f);

/* Everything but progress(). Groups have a column more, `other`: the rest of all groups. */
struct answer_sink answer_file_sink(struct answer_file *f);

/* After the end. @path: made or replaced. Return: 0, or -errno with words in @error. */
int answer_file_write(struct answer_file *f, const char *path);

#endif
