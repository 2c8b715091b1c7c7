/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.h - a question on its way: to the running collector or to the store, and its answer to standard
 * output. Progress goes to standard error where that is a terminal; Ctrl-C stops the query. One
 * thread.
 */
#ifndef WEIR_COLLECTOR_ASK_H
#define WEIR_COLLECTOR_ASK_H

#include "collector/endpoint/client.h"
#include "collector/query/spec.h"

struct ask {
	struct client_at at;
	struct spec spec;
	char filter[SPEC_FILTER_MAX + 1];
	const char *format, *order, *last;
	bool numeric, verbose, from_given;
};

/* Return: exit status; what is wrong was said. */
int ask_run(const struct ask *a);

#endif
