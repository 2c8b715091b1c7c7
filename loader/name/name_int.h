/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_int.h - state behind name.h: the table of flows under assembly, and what waits to be told.
 * Drain thread only.
 */
#ifndef WEIR_LOADER_NAME_NAME_INT_H
#define WEIR_LOADER_NAME_NAME_INT_H

#include "loader/name/dtls.h"
#include "loader/name/hello.h"
#include "loader/name/name.h"
#include "loader/name/quic.h"
#include "loader/name/stream.h"

#define NAME_LATE_MAX 256u

/* A flow that handed payload over. Its assembly state goes as soon as it is named; what stays until
 * the flow ends keeps repeated payload from starting all over.
 */
struct name_flow {
	struct flow_key key;
	struct name_flow *next; /* in its bucket */
	struct name_flow *newer;
	struct name_flow *older;
	uint64_t last_ns;
	uint32_t tick;
	uint8_t proto;	  /* enum l7_proto */
	uint8_t dir;	  /* of the last payload */
	uint8_t told;	  /* enum name_told */
	uint8_t tcp_done; /* bit per direction: its first message was read */
	struct quic_flow *quic;
	struct dtls_flow *dtls;
	struct stream *tcp[2];
};

enum name_told { TOLD_CLIENT = 1, TOLD_SERVER = 2, TOLD_MISSING = 4 };

struct names {
	struct name_limits limits;
	struct name_stats stats;
	struct name_pool pool;
	struct quic quic;
	struct dtls dtls;
	uint64_t seed[2];
	uint32_t flows;
	uint32_t mask;
	struct name_flow **bucket;
	struct name_flow *newest;
	struct name_flow *oldest;
	uint32_t late_head; /* next to hand out */
	uint32_t late_count;
	struct name_result late[NAME_LATE_MAX];
	uint8_t records[STREAM_MAX]; /* scratch: a hello out of its records */
	struct hello_buf hello;	     /* scratch */
};

/* ---- name_table.c ---- */

int name_table_init(struct names *n);
void name_table_done(struct names *n);
struct name_flow *name_table_find(struct names *n, const struct flow_key *key);

/* Found or made, and the newest then; NULL when out of memory (counted). */
struct name_flow *name_table_get(struct names *n, const struct event_hdr *ev);

/* Takes the flow out and frees it with all it holds. */
void name_table_drop(struct names *n, struct name_flow *f);

/* Assembly state only. */
void name_flow_clear(struct names *n, struct name_flow *f);

/* The oldest go, all but @keep, until a whole hello more would fit. */
void name_table_make_room(struct names *n, const struct name_flow *keep);

/* Room in the list that names_next() empties; NULL when it is full (counted). */
struct name_result *name_late(struct names *n);

/* ---- name_event.c ---- */

int name_is_printable(const uint8_t *p, size_t len);
void name_result_init(struct name_result *ret, const struct event_hdr *ev, unsigned int kind,
		      unsigned int proto);

/* The flow has no name, because. Return: 1. */
int name_tell_missing(struct names *n, struct name_result *ret, unsigned int reason);

/* Return: as name_feed(). */
int name_feed_tls(struct names *n, const struct ev_tls *e, size_t len, struct name_result *ret);
int name_feed_http(struct names *n, const struct ev_http *e, size_t len, struct name_result *ret);
int name_feed_dns(struct names *n, const struct ev_dns *e, size_t len, struct name_result *ret);

/* A response as it came, of which the question was told before. */
int name_feed_answers(struct names *n, const struct ev_payload *e, struct name_result *ret);

/* ---- name.c ---- */

/* What is to be said about a flow that ends now. Return: 1 with *ret filled, else 0. */
int name_flow_finish(struct names *n, struct name_flow *f, struct name_result *ret);

#endif
