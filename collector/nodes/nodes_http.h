/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodes_http.h - what the handlers of nodes' questions share. The thread of libmicrohttpd's alone; locked where
 * it says so.
 */
#ifndef WEIR_COLLECTOR_NODES_NODES_HTTP_H
#define WEIR_COLLECTOR_NODES_NODES_HTTP_H

#include <microhttpd.h>

#include "collector/nodes/nodes_int.h"

/* A question, from its head to the last octet of the answer. */
struct waiter {
	struct nodes *n;
	struct MHD_Connection *c;
	struct node *node;     /* that waits; NULL: it does not */
	struct waiter **place; /* where it is known by; with node */
	int64_t until_us;      /* monotonic */
	size_t len, cap, max;
	bool too_long,
		late; /* late: another one has come after it, which is answered in its place */
	char *body;
};

/* Who asks. */
struct who {
	struct node *node;
	struct ca_der der;
	struct ca_node shown;
	const char *code, *detail; /* of a problem; NULL: none */
};

/* Locked. @renewing: its certificate may have ended, for some time. */
void http_identify(struct nodes *n, struct MHD_Connection *c, bool renewing, struct who *ret);
enum MHD_Result http_deny(struct waiter *w, const struct who *who);

/* @text: taken over; NULL: no body. */
enum MHD_Result http_text(struct MHD_Connection *c, unsigned int status, const char *type,
			  char *text);
enum MHD_Result http_problem(struct MHD_Connection *c, unsigned int status, const char *code,
			     const char *detail);

/* Locked. It is answered later: @place has the one question of @x that waits there, the last. */
void http_wait(struct waiter *w, struct node *x, struct waiter **place, int64_t wait_ms);
/* Locked: what waits there is looked at again. NULL is fine. */
void http_resume(struct waiter *w);

/* ---- captures_http.c: locked ---- */

enum MHD_Result http_captures(struct waiter *w);
enum MHD_Result http_piece(struct waiter *w);
/* Is a piece of this node's under way? */
bool http_is_piece(struct nodes *n, struct MHD_Connection *c, const char *url);

#endif
