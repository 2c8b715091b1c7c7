/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.h - the filter language: one expression over the fields of a flow record, the same in
 * every command, export and rule. weir-filter(5) is the reference; the words are the paths of
 * weir/fields.def. Parsed once into a tree, checked against the fields' types, and compiled into
 * a table of tests with jump targets.
 */
#ifndef WEIR_COMMON_FILTER_H
#define WEIR_COMMON_FILTER_H

#include "common/flow.h"

#define FILTER_TEXT_MAX	 65536u	    /* bytes of a filter */
#define FILTER_DEPTH_MAX 64u	    /* parentheses and nots inside each other */
#define FILTER_NODES_MAX 4096u	    /* comparisons and connectives */
#define FILTER_VALUE_MAX (4u << 20) /* values in all sets together, those of lists included */

struct filter;

/* line and column begin with 1; a column is a character, not a byte. The message is one line. */
struct filter_error {
	unsigned int line;
	unsigned int column;
	char message[240];
};

/*
 * What `@name` and `$name` stand for. resolve() returns text of the language: for '@' values with
 * commas between them ("10.0.0.0/8, 192.0.2.1"), for '$' one value; NULL: there is none. The text
 * must stay until filter_parse() returns. Without resolve() there is nothing of either.
 */
struct filter_env {
	const char *(*resolve)(void *arg, char kind, const char *name);
	void *arg;
	bool added; /* words that only the collector knows (ADDED in weir/fields.def) are known */
};

/**
 * filter_parse - text to filter
 * @text:   @len bytes, not terminated; an empty one is an error, for "everything" pass NULL to
 *          filter_match()
 * @env:    NULL: no lists and no parameters here
 * @reterr: filled when it fails, also for lack of memory
 *
 * Return: 0; -EINVAL: @reterr says where and why; -E2BIG: beyond a limit above; -ENOMEM; -EIO: a
 *         filter by community_id, and libcrypto has no SHA-1. Filters by community_id must be
 *         parsed before system calls are given up (community_id.h).
 */
int filter_parse(const char *text, size_t len, const struct filter_env *env, struct filter **ret,
		 struct filter_error *reterr);

#define FILTER_ERROR_TEXT 280u

/* "col 15: unknown field ...", "line 2 col 3: ..." into @buf (FILTER_ERROR_TEXT bytes). Return: @buf */
const char *filter_error_text(const struct filter_error *e, char *buf);

/* NULL is fine. Returns NULL. */
struct filter *filter_free(struct filter *f);

/**
 * filter_match - is it true for this record?
 * @f: NULL matches every record
 *
 * Thread: any; one at a time per filter (community_id needs its digest).
 */
bool filter_match(const struct filter *f, const struct flow_record *r);

/* @word can stand where the cursor is; @doc is one line about it, or "". */
typedef void filter_word_fn(void *arg, const char *word, const char *doc);

/**
 * filter_complete - the words that are possible at the cursor
 * @text:   what stands before the cursor, @len bytes; what is behind it does not matter
 * @env:    as for filter_parse(); may be NULL
 *
 * Calls @add for every word that goes on from the letters right before the cursor. Nothing is
 * offered where any number or text could stand, or when there is a mistake before the cursor.
 * Return: offset at which the word under the cursor begins (@len: at the cursor).
 */
size_t filter_complete(const char *text, size_t len, const struct filter_env *env,
		       filter_word_fn *add, void *arg);

#endif
