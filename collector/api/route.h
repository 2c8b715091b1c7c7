/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h - the table of the REST interface (routes.def), which path is which row of it, and the checks of
 * what comes with a request. What is wrong becomes a problem (RFC 9457) with its place. Pure: bounded, no
 * I/O, any bytes may come in. Any thread.
 */
#ifndef WEIR_COLLECTOR_API_ROUTE_H
#define WEIR_COLLECTOR_API_ROUTE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "collector/api/role.h"

#define API_BASE	 "/api/v1"
#define API_PATH_MAX	 256u	      /* octets */
#define API_BODY_MAX	 (512u << 10) /* octets: the longest member, with every octet escaped */
#define API_CURSOR_MAX	 64u
#define API_PAGE_DEFAULT 100
#define API_TYPE_PACKETS "application/x-pcapng"

enum api_route_id {
#define ROUTE(id, method, path, right, run, command, what, doc) ROUTE_##id,
#define MEMBER(id, place, name, type, needed, words, max, doc)
#include "collector/api/routes.def"
#undef ROUTE
#undef MEMBER
	_ROUTE_MAX
};

enum api_method { METHOD_GET, METHOD_POST, METHOD_PUT, METHOD_DELETE, _METHOD_MAX };

enum api_place { IN_PATH, IN_QUERY, IN_BODY };

enum api_type {
	AT_TEXT,     /* no control characters but tabs and line ends */
	AT_LONG,     /* the same, a file */
	AT_NAME,     /* letters, digits, . _ - */
	AT_ADDRESS,  /* of IP */
	AT_ID,	     /* a whole number, 1 or more */
	AT_NUMBER,   /* a whole number */
	AT_COUNT,    /* 1 to max */
	AT_BOOL,     /* */
	AT_WORD,     /* one of words */
	AT_DURATION, /* scan.h */
	AT_FILTER,   /* weir-filter(5) */
	AT_TIME,     /* RFC 3339 */
	AT_NAMES,    /* a list of AT_NAME */
	AT_LABELS,   /* a list of texts; one text with commas for whom it is meant */
	AT_CURSOR,   /* next of a page */
	AT_FILE,     /* the whole body, octets; it has no name */
};

struct api_call;

struct api_route {
	enum api_method method;
	const char *path;
	enum api_right right;
	int (*run)(struct api_call *call);
	const char *command, *what;
	const char *doc;
	const char *id; /* "ALERT_ACK" */
};

struct api_member {
	enum api_route_id route;
	enum api_place place;
	const char *name;
	enum api_type type;
	bool needed;
	const char *words;
	uint64_t max;
	const char *doc;
};

extern const struct api_route api_routes[_ROUTE_MAX];
extern const struct api_member api_members[];
extern const unsigned int api_members_n;

/* "GET" ... */
const char *api_method_word(enum api_method m);
/* HEAD is GET. Return: enum api_method, or -1. */
int api_method_find(const char *word);

/* The member that is the whole body; NULL: the body is JSON. */
const struct api_member *api_route_file(enum api_route_id r);

/* Of what is put or taken away, the row that shows it: then If-Match is heeded. NULL: there is none. */
const struct api_route *api_route_shown(const struct api_route *route);

/* Members of a route's body: are there any? */
bool api_route_has_body(enum api_route_id r);

/* ---- what is wrong ---- */

struct api_problem {
	unsigned int status; /* of HTTP; 0: nothing is wrong */
	const char *code;    /* a word that programs look at; "" */
	char detail[440];
	char member[64];	   /* parameter or member that it is about; "" */
	unsigned int line, column; /* in the member's text, or the body; 0: no place */
	json_t *errors;		   /* more of them, {line, column, detail}; or NULL */
};

/* Return: -1 */
int api_problem(struct api_problem *p, unsigned int status, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* What a change that is refused says, by what its function returned. */
struct api_refusal {
	int r; /* -errno; 0: all others */
	unsigned int status;
	const char *code;
};

/* @said: lines, an error each; "text:LINE:COLUMN: " before one is its place in member text. Return: -1 */
int api_refused(struct api_problem *p, const struct api_refusal *as, int r, const char *said);

/* As application/problem+json; p->errors is taken over. */
json_t *api_problem_json(struct api_problem *p);

/* ---- matching ---- */

/* A part of the path that stands for something. */
struct api_part {
	const char *name, *at; /* name: of the member */
	size_t name_len, len;
};

struct api_match {
	enum api_route_id route;
	struct api_part part; /* name NULL: there is none */
};

/**
 * api_match - the row of a path
 * @ret_methods: of the rows that have this path, bits by enum api_method
 *
 * Return: 0, -ENOENT: no such path, -EPERM: it has other methods.
 */
int api_match(enum api_method method, const char *path, struct api_match *ret,
	      unsigned int *ret_methods);

/* ---- checks; Return: 0, or -1 with @p ---- */

/* The part of the path. */
int api_check_path(const struct api_match *m, json_t *values, struct api_problem *p);

/* A parameter; @value has @len octets and a 0. */
struct api_text {
	const char *s;
	size_t len;
};
int api_check_query(enum api_route_id route, const char *name, struct api_text value,
		    json_t *values, struct api_problem *p);

/* The body, JSON; an empty one is an object without members. */
int api_check_body(enum api_route_id route, struct api_text body, json_t *values,
		   struct api_problem *p);

/* Everything that is needed is there. */
int api_check_all(enum api_route_id route, const json_t *values, struct api_problem *p);

/* Is @etag, with its quotes, one of If-None-Match? Source: RFC 9110 13.1.2. */
bool api_etag_listed(const char *header, const char *etag);

#endif
