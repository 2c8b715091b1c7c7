/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eve_lines.h - lines out of what comes in pieces, and files that are followed while somebody writes them:
 * renamed away and begun anew, or copied and cut. One thread.
 */
#ifndef WEIR_COLLECTOR_EVE_LINES_H
#define WEIR_COLLECTOR_EVE_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who gets lines: without their end; @s NULL: one that is longer than EVE_LINE_MAX. */
struct eve_sink {
	void (*line)(void *arg, const char *s, size_t len);
	void *arg;
};

struct eve_lines {
	char *buf; /* EVE_LINE_MAX + 1 */
	size_t len;
	bool skipping; /* up to the next line */
};

/* Return: 0, -ENOMEM. */
int eve_lines_init(struct eve_lines *l);
void eve_lines_done(struct eve_lines *l);

/* Where to put what comes next; there is always room for some. */
char *eve_lines_room(struct eve_lines *l, size_t *ret_room);

/* @n octets have been put there. */
void eve_lines_took(struct eve_lines *l, size_t n, const struct eve_sink *to);

/* No more will come: what there is is a line. */
void eve_lines_end(struct eve_lines *l, const struct eve_sink *to);

/* ---- files ---- */

/* A place in a file: behind so many octets, the last of which hash to @before. */
struct eve_position {
	uint64_t dev, ino;
	uint64_t offset;
	uint64_t before;
};

#define EVE_CHAIN 16u

/* A place, and the files that came after that one, in their order: each from its begin. */
struct eve_chain {
	uint32_t n;
	struct eve_position v[EVE_CHAIN];
};

enum eve_change { EVE_SAME, EVE_ROTATED, EVE_TRUNCATED };

struct eve_tail {
	const char *path;
	struct eve_lines lines;
	int fd; /* -EBADF: there is no file yet */
	uint64_t at;
	uint64_t before;	/* of what has been read */
	struct eve_chain chain; /* files to be read before that of the name */
};

/**
 * eve_tail_open - begin to follow a file
 * @path: stays
 * @from: where to go on, in this file or ones beside it that it has become; NULL: behind what is in it
 * @ret_gone: a file of @from is not there any more
 *
 * Return: 0, -ENOMEM.
 */
int eve_tail_open(struct eve_tail *t, const char *path, const struct eve_chain *from,
		  bool *ret_gone);
void eve_tail_done(struct eve_tail *t);

/**
 * eve_tail_read - what has been written since, a part of it where it is much
 * @ret_change: what had become of the file
 *
 * Return: is there more already?
 */
bool eve_tail_read(struct eve_tail *t, const struct eve_sink *to, enum eve_change *ret_change);

/* Up to where lines are done. False: there is no file. */
bool eve_tail_position(const struct eve_tail *t, struct eve_position *ret);

#endif
