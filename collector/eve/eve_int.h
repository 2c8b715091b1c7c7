/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eve_int.h - what the files of eve.h share.
 */
#ifndef WEIR_COLLECTOR_EVE_INT_H
#define WEIR_COLLECTOR_EVE_INT_H

#include <pthread.h>
#include "collector/eve/eve.h"
#include "collector/eve/eve_join.h"
#include "collector/eve/eve_lines.h"
#include "collector/eve/eve_state.h"

enum eve_kind { EVE_FILE, EVE_STREAM, EVE_DATAGRAM };

/* Where lines come from. */
struct eve_source {
	struct eve *eve;
	char *name; /* path */
	uint32_t number;
	enum eve_kind kind;
	int fd; /* of sockets */
	struct eve_tail tail;
	struct eve_points points;
	uint64_t counts[_EC_MAX]; /* the thread's, atomic; others are of eve_join_count() */
};

/* A Suricata that has connected. */
struct eve_conn {
	int fd; /* -EBADF: none */
	struct eve_source *source;
	struct eve_lines lines;
};

#define EVE_CONNS 16u /* one for each Suricata; with threads of its own each has some */

struct eve {
	struct eve_cfg cfg;
	char *state;
	struct eve_join *join;
	struct community *community;
	struct eve_source *sources;
	uint32_t n;
	struct eve_conn conns[EVE_CONNS];
	char *datagram; /* EVE_LINE_MAX + 1 */
	int stop;
	bool running;
	pthread_t thread;
};

uint64_t eve_now_ms(void);

/* ---- eve_sockets.c ---- */

int eve_sockets_open(struct eve *e);
void eve_sockets_close(struct eve *e);

/* Waits up to @timeout_ms, and reads what has come. Return: false: it is to stop. */
bool eve_sockets_wait(struct eve *e, int timeout_ms);

/* A line of a source: parsed, counted, given to the join. An eve_sink. */
void eve_take_line(void *source, const char *s, size_t len);

#endif
