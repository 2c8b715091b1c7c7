/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk.h - a command that asks the running collector: one request, lines of an answer, each given to
 * whoever prints it. What is wrong is said on standard error.
 */
#ifndef WEIR_COLLECTOR_TALK_H
#define WEIR_COLLECTOR_TALK_H

#include <jansson.h>

#include "collector/endpoint/client.h"
#include "common/cli.h"

enum { TALK_OUTPUT = 400 };

#define TALK_OUTPUT_OPTION                                                                       \
	{                                                                                        \
		TALK_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "how it is written" \
	}

/**
 * talk - ask
 * @request: taken over
 * @line:    each line of the answer but the last; the last one too if it is of type "done"
 *
 * Return: exit status.
 */
int talk(const struct client_at *at, json_t *request, void (*line)(void *arg, const json_t *o),
	 void *arg);

/* The same of a collector that was reached already; @c stays the caller's. */
int talk_to(struct client *c, json_t *request, void (*line)(void *arg, const json_t *o), void *arg);

#define TALK_IDS_MAX 256u

struct talk_ids {
	int64_t v[TALK_IDS_MAX];
	uint32_t n;
};

/*
 * One request for each of them, as talk(), until nobody answers or it is not permitted. Return: exit status:
 * EXIT_PARTLY where some were refused.
 */
int talk_each(const struct client_at *at, json_t *request, const struct talk_ids *ids,
	      void (*line)(void *arg, const json_t *o), void *arg);

/* A member, "" or 0 where it is missing. */
const char *talk_text(const json_t *o, const char *key);
int64_t talk_number(const json_t *o, const char *key);

/* "2026-09-01 12:41:08" of an RFC 3339 time, into @buf (20 bytes). Return: @buf. */
const char *talk_time(const json_t *o, const char *key, char *buf);

/* The object as a line of JSON on standard output, without "type". */
void talk_json(const json_t *o);

/* "  NAME   VALUE" on a line of its own; an empty value is left out. */
void talk_field(const char *name, const char *value);

/* ---- a command with options ---- */

/* An option becomes a member of the request. */
struct talk_word {
	int id; /* 0 ends the table */
	const char *key;
	uint64_t max; /* a number, 1 to max; 0: text, or true where the option takes no argument */
};

struct talk_call {
	struct cli c;
	struct client_at at;
	json_t *request;
	/* An operand "NAME" becomes the member name. */
	struct talk_ids ids; /* where its operands are "ID..." */
	char filter[4096];   /* where they are "[FILTER]" */
	uint32_t lines;	     /* that were shown */
	bool json;
	/* A line of the answer for people: texts without what a terminal would take as a command. */
	void (*show)(struct talk_call *k, const json_t *o);
	bool shows_json; /* @show sees lines that are written as JSON too */
	bool bad;	 /* for whoever shows */
};

/**
 * talk_begin - a command line
 * @command: of the requests, and what stands before the command's name: "alerts"
 * @words:   what the options other than --output and client_where_options stand for
 *
 * Return: -1 go on with talk_run(), else the exit status.
 */
int talk_begin(struct talk_call *k, const struct cli_command *cmd, const char *command,
	       const struct talk_word *words);

/* Return: exit status; @show has seen every line, unless it is JSON that is wanted. */
int talk_run(struct talk_call *k, void (*show)(struct talk_call *k, const json_t *o));

#endif
