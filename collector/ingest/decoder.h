/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decoder.h - messages of exporters into blocks: IPFIX, NetFlow v9 and v5, sFlow v5, told apart by
 * their first octets. A decoder belongs to one receiving thread, with its sessions, their templates
 * and the block being filled; exporters and the pool are shared. No sockets here, no files.
 */
#ifndef WEIR_COLLECTOR_INGEST_DECODER_H
#define WEIR_COLLECTOR_INGEST_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "collector/ingest/exporter.h"

struct block_pool;
struct ingest_ops;
struct decoder;

struct decoder_cfg {
	struct exporters *exporters;
	struct block_pool *pool;
	const struct ingest_ops *ops;
	void *arg;
	uint32_t own_pen; /* of weir's elements, see ipfix.h; 0: IPFIX_PEN_WEIR */
	bool batch;	  /* messages stay where they are until decoder_settle() */
	bool wait;	  /* no block: wait for one (streams, files) instead of losing records */
	/* No block, and not @wait: may it still be waited for, for a moment? NULL: no. */
	bool (*patient)(void *arg);
	void *patient_arg;
	uint32_t sessions_max; /* 0: 16384; the one longest unheard gives way */
	uint32_t held_bytes;   /* of data sets that wait for templates, all together; 0: 16 MiB */
	uint32_t held_s;       /* how long; 0: 1800 */
	/* Streams: a weir told its numbering, and wants to know what is stored of it. */
	void (*numbering)(void *arg, struct numbering *n);
	void *numbering_arg;
};

/* Where a message came from. */
struct source {
	uint8_t address[16];
	uint16_t port;
	bool stream; /* templates end with the connection */
	bool file;   /* its times are not those of the exporter's clock now */
};

struct decoder *decoder_new(const struct decoder_cfg *cfg);

/* Sends what it has. Returns NULL. */
struct decoder *decoder_free(struct decoder *d);

/**
 * decoder_message - one datagram, or one message of a stream
 * @now_us: since 1970
 *
 * Return: 0, or -EBADMSG: malformed (counted); what came before was taken. A stream can't go on.
 */
int decoder_message(struct decoder *d, const struct source *s, const uint8_t *p, size_t len,
		    int64_t now_us);

/* With cfg.batch: messages so far are in blocks, their octets may go. Records of one template, of all
 * messages of the batch, are decoded together.
 */
void decoder_settle(struct decoder *d);

/* A connection has ended. */
void decoder_end(struct decoder *d, const struct source *s);

/* Send the block being filled if it was begun before @before_us. */
void decoder_flush(struct decoder *d, int64_t before_us);

/* Now and then: data sets that waited too long are given up. */
void decoder_expire(struct decoder *d, int64_t now_us);

/* Counts of messages that are no exporter's. */
const uint64_t *decoder_counts(const struct decoder *d);

/* ---- templates over restarts ---- */

/* Grows whenever templates or sampling rates change; streams' do not count. */
uint64_t decoder_generation(const struct decoder *d);

/**
 * decoder_save - templates and sampling of all sessions but those of streams
 * @ret: free()
 *
 * Format: see state.c. Return: 0 or -ENOMEM.
 */
int decoder_save(const struct decoder *d, uint8_t **ret, size_t *ret_len);

/* As decoder_save() made it, also by several decoders, one behind the other. Return: 0; -EBADMSG: not
 * that, what came before is taken; -ENOMEM.
 */
int decoder_load(struct decoder *d, const uint8_t *p, size_t len);

#endif
