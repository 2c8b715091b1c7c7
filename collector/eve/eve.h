/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eve.h - Suricata's alerts into flows: files that are followed, and sockets that Suricata connects to; one thread
 * reads them. Receiving threads give every block to eve_block() before it goes on.
 */
#ifndef WEIR_COLLECTOR_EVE_EVE_H
#define WEIR_COLLECTOR_EVE_EVE_H

#include <jansson.h>
#include <stdio.h>

#include "collector/block.h"
#include "collector/settings.h"
#include "collector/store/store.h"

struct eve;

struct eve_cfg {
	const char *const *files;
	uint32_t files_n;
	const char *stream, *datagram; /* sockets; NULL: none */
	const char *group;
	unsigned int mode;
	uint64_t window_ms;
	uint64_t skew_us;
	uint32_t waiting;
	uint64_t history;
	uint64_t durable_ms; /* after which a record that was sent is durable, or something is wrong */
	const char *state; /* file of places in files; NULL: none is kept */
	struct block_pool *pool;
	struct store *store; /* that is asked what it has; NULL: nothing */
	/* A block of further records, before it is sent. The thread of EVE. */
	void (*offer)(void *arg, struct block *b);
	void *arg;
};

/**
 * eve_open - begin to read
 * @ret: NULL where nothing is to be read
 *
 * Return: 0, -ENOMEM, -errno of a socket, said in the log.
 */
int eve_open(const struct eve_cfg *cfg, struct eve **ret);

/* The last alerts are looked for; nothing is sent afterwards. Returns NULL; NULL is fine. */
struct eve *eve_close(struct eve *e);

/* Rows get the alerts that are theirs. Before the block is shared or sent; any thread. NULL is fine. */
void eve_block(struct eve *e, struct block *b);

/* Of status, and metrics. Any thread; NULL is fine. */
json_t *eve_status(struct eve *e);
void eve_metrics(struct eve *e, FILE *out);

#endif
