/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer_line.h - answers as lines of JSON, for the local socket: what one side writes the other
 * reads into a sink again.
 *
 *	{"type":"columns","columns":[{"name":"src.ip","kind":1,"unit":0}]}
 *	{"type":"row","other":false,"v":["192.0.2.1",1200]}
 *	{"type":"flow","flow":{...}}                            as weir's own JSON
 *	{"type":"note","text":"..."}
 *	{"type":"progress","percent":12}
 *	{"type":"end","rows":1,"us":1200,"source":"flows","cursor":""}
 *	{"type":"error","code":"...","message":"..."}
 */
#ifndef WEIR_COLLECTOR_QUERY_ANSWER_LINE_H
#define WEIR_COLLECTOR_QUERY_ANSWER_LINE_H

#include <jansson.h>
#include "collector/query/answer.h"
#include "common/output.h"

#define ANSWER_LINE_MAX (OUTPUT_LINE_MAX + 64u)

/* Writing: whole lines go to put(). Start with answer_line_new(). */
struct answer_lines;

/* @put: @len octets, a line with its end. Return: 0 or a negative error, which ends the answer. */
int answer_lines_new(int (*put)(void *arg, const char *line, size_t len), void *arg,
		     struct answer_lines **ret);
void answer_lines_free(struct answer_lines *l);

/* A sink that writes; progress() is the caller's to set. */
struct answer_sink answer_lines_sink(struct answer_lines *l);

/* Any thread, if put() is for any. */
int answer_lines_progress(struct answer_lines *l, double percent);
int answer_lines_error(struct answer_lines *l, const char *code, const char *message);

/* Reading. */
struct answer_reader;

struct answer_reader *answer_reader_new(void); /* NULL: no memory */
void answer_reader_free(struct answer_reader *r);

/**
 * answer_read - give one line to a sink
 * @ret_done: set when that was the end
 *
 * Return: what the sink returned; -EBADMSG: no such line; -EREMOTEIO: an error of the other side,
 *         answer_error() has it.
 */
int answer_read(struct answer_reader *r, const json_t *line, const struct answer_sink *k,
		bool *ret_done);
const char *answer_error(const struct answer_reader *r, const char **ret_code);

#endif
