/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_rig.h - the REST interface on a port of its own, with a token for each role (named as it) and a collector that
 * only writes down what it is asked: 25 of everything, the latest first.
 */
#ifndef WEIR_TESTS_API_RIG_H
#define WEIR_TESTS_API_RIG_H

#include "collector/api/api_int.h"

#define API_RIG_ROWS 25

extern struct api *api_rig;
extern char api_rig_dir[];
extern char api_rig_tokens[_ROLE_MAX][TOKEN_TEXT];

/* What the collector was asked last, and what it says. */
struct api_asked {
	json_t *request;
	char actor[48];
	uint32_t uid;
	const char *refuse; /* a code: the answer to all that changes something */
	bool none;	    /* there is nothing of what is asked for */
	int backtest; /* enum api_rig_backtest, atomic: what the next one does, and the next query */
	json_t *spec; /* of the last query, its pairs */
	int query;    /* atomic: 0, 1: one is at work, or what the last one returned */
};

enum api_rig_backtest {
	RIG_ANSWERS,
	RIG_SAYS_NOTHING,
	RIG_WAITS, /* at 50 per cent, until it is told otherwise or cancelled */
	RIG_FAILS,
	RIG_GOES_ON, /* lines without end */
};

extern struct api_asked api_asked;

/* Of a test suite. */
void api_rig_begin(void);
void api_rig_end(void);
/* After api_close(): it is there again, with the same database. */
void api_rig_serve(void);

/* http://127.0.0.1:PORT */
const char *api_rig_url(void);

struct api_reply {
	long status;
	size_t len, head_len;
	char body[65536], head[4096];
};

/* One request; the answer is good until the next. @head: "Name: value" lines, \n between them; @body NULL: none */
const struct api_reply *api_request(const char *method, const char *path, const char *head,
				    const char *body);
/* With the role's token; the body is JSON. */
const struct api_reply *api_as(enum api_role role, const char *method, const char *path,
			       const char *body);

/* A member of an answer that is an object, as JSON. */
const char *api_member(const struct api_reply *r, const char *key);
void api_expect(const struct api_reply *r, const char *key, const char *want);

#endif
