/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h - what clients of the socket and of the metrics ask, from bytes. Pure; errors say which
 * member is wrong. Any thread.
 */
#ifndef WEIR_LOADER_CONTROL_REQUEST_H
#define WEIR_LOADER_CONTROL_REQUEST_H

#include "common/filter.h"

#define REQUEST_MAX  (80u << 10) /* bytes of a line: a filter at its longest, and the rest */
#define HTTP_MAX     8192u	 /* bytes of a request's head */
#define REQUEST_LAST UINT32_MAX	 /* last: all that are kept */
#define TOP_LIMIT    1000u
#define TOP_BY_MAX   32u

enum request_command { REQUEST_FLOWS, REQUEST_STATUS, REQUEST_TOP, REQUEST_CAPTURE, _REQUEST_MAX };

/* How groups of `top` are made: a word, or the path of a field. */
enum top_by { BY_FLOW, BY_HOST, BY_NAME, BY_PORT, BY_FIELD };

enum top_sort { SORT_BYTES, SORT_RX, SORT_TX, SORT_PACKETS, SORT_FLOWS, SORT_KEY, _SORT_MAX };

extern const char *const top_sort_words[_SORT_MAX + 1]; /* ended by NULL */

struct request {
	enum request_command command;
	struct filter *filter; /* NULL: everything; the caller frees it */
	bool follow;	       /* flows: and those to come; top: again each interval */
	bool live;	       /* flows: those that have not ended */
	uint32_t last;	       /* flows: so many of the kept ones */
	uint64_t since_ns;     /* flows: ended at most so long ago; 0: whenever */
	enum top_by by;
	enum flow_field field;	    /* BY_FIELD */
	char by_member[TOP_BY_MAX]; /* what a row's key is called */
	enum top_sort sort;
	uint32_t limit;	  /* rows of top, live flows */
	uint64_t pre_ns;  /* capture: packets of so long before, too */
	uint32_t snaplen; /* capture: bytes of each at most; 0: all that is kept */
};

/* @code: "request", "version", "filter" or "memory". */
struct request_error {
	const char *code;
	struct filter_error at; /* line and column: of a filter, or of the JSON */
};

/**
 * request_parse - one line, without its end
 *
 * Return: 0 with @ret filled, or -EINVAL with @reterr.
 */
int request_parse(const char *line, size_t len, struct request *ret, struct request_error *reterr);

/* "flow", "host", "name", "port", "proto", "iface", or a field's path. Return: 0 or -EINVAL. */
int request_by(const char *word, struct request *ret);

/**
 * http_parse - the head of an HTTP/1 request
 * @len: bytes so far
 *
 * Return: 0: not complete yet; else the status to answer with: 200 (GET /metrics), 400, 404, 405,
 *         431 (too long).
 * Source: RFC 9112 sections 2.2 and 3.
 */
int http_parse(const char *text, size_t len);

#endif
