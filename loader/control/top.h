/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top.h - what the parts of `weir top` share: the wish, the last answer, its rows. top_rows.c reads
 * answers and makes columns, top_screen.c is the terminal, cmd_top.c the command. One thread.
 */
#ifndef WEIR_LOADER_CONTROL_TOP_H
#define WEIR_LOADER_CONTROL_TOP_H

#include "common/filter.h"
#include "loader/control/client.h"
#include "loader/control/request.h"

#define TOP_FILTER   4096u /* bytes of a filter on the screen */
#define TOP_DETAILS  64u
#define TOP_COLUMNS  8u
#define TOP_CELL     320u
#define TOP_ROWS_MAX TOP_LIMIT
#define ENDS_WIDTH   21 /* of an end of a flow: an IPv4 address and a port */
#define NAME_WIDTH   8	/* left for the name at least */

struct top_wish {
	char filter[TOP_FILTER];
	char by[TOP_BY_MAX];
	enum top_sort sort;
	uint32_t limit;
	bool follow;
};

struct top_answer {
	json_t *head;		       /* NULL: nothing has come yet */
	json_t *rows;		       /* array */
	json_t *next_head, *next_rows; /* being read */
	uint32_t rows_left;
};

enum top_units { UNITS_BITS, UNITS_BYTES, UNITS_PACKETS, _UNITS_MAX };

/* One column: title, and how to fill a cell. */
struct top_column {
	const char *title;
	int width;    /* < 0: to the left; -ENDS_WIDTH: an end of a flow; 0: takes what is left */
	bool is_rate; /* in the units chosen */
};

/* The request that says so. */
json_t *top_request(const struct top_wish *w);

/**
 * top_take - a line of the answer; taken over
 *
 * Return: 1: an answer is complete; 0: not yet; -1: it is an error, in *ret_error (the caller's).
 */
int top_take(struct top_answer *a, json_t *line, json_t **ret_error);
void top_answer_done(struct top_answer *a);

/* Columns for grouping @by; their number in *ret_n. */
const struct top_column *top_columns(const char *by, unsigned int *ret_n);

/* Title of a column, in those units. @buf: TOP_CELL bytes. Return: @buf. */
const char *top_title(const struct top_column *col, enum top_units u, char *buf);

/* Cell of a row; clean text for a terminal. @buf: TOP_CELL bytes. Return: @buf. */
const char *top_cell(const json_t *row, const char *by, unsigned int column, enum top_units u,
		     char *buf);

/* "rx 612.3 Mb/s 71.2 kpps" of a direction. */
const char *top_rate(const json_t *head, const char *dir, enum top_units u, char *buf);

/**
 * top_row_filter - a filter for the flows of a row
 *
 * Return: false: there is none (a row without a key).
 */
bool top_row_filter(const json_t *row, const char *by, char *buf, size_t cap);

/* What "and" makes of two filters, either of which may be empty. False: too long. */
bool top_and(const char *a, const char *b, char *buf, size_t cap);

/* Full screen, until the user leaves. Return: enum exit_code. */
int top_screen(struct control_client *client, const struct client_where *where, struct top_wish *w);

/* Columns of a character string on a terminal: characters, not bytes. */
size_t top_width(const char *s);

/* Bytes of @s that @width columns have room for, whole characters. */
size_t top_bytes(const char *s, size_t width);

#endif
