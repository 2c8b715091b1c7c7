/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_int.h - the screen of `weir top`: top_screen.c has its keys and its loop, top_draw.c what it
 * looks like. One thread.
 */
#ifndef WEIR_LOADER_CONTROL_TOP_INT_H
#define WEIR_LOADER_CONTROL_TOP_INT_H

#include "loader/control/top.h"

#define HEAD_ROWS 2 /* lines above the list */

enum mode { MODE_LIST, MODE_FILTER, MODE_DETAILS, MODE_HELP };

struct screen {
	struct control_client *client;
	const struct client_where *where;
	struct top_wish *wish;
	struct top_answer answer; /* the latest */
	json_t *head, *rows;	  /* what is shown */
	enum mode mode;
	enum top_units units;
	bool paused, quit;
	bool asked; /* a request is under way */
	bool stale; /* what is shown is no answer to it: also shown while paused */
	size_t selected, scroll;
	int seen[TOP_COLUMNS]; /* widest cells so far of columns to the left */
	char edit[TOP_FILTER]; /* the filter being typed */
	char message[320];     /* below the list, until the next key */
	json_t *details;       /* record of the selected flow */
	size_t details_scroll;
	struct top_wish back[4]; /* what was asked before Enter */
	unsigned int backs;
	int rc;
};

void top_draw(struct screen *s);

#endif
