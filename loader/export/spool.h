/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool.h - IPFIX messages on disk while the collector is away, or until it confirms them.
 *
 * Segments NAME-<number>.ipfix in the format of RFC 5655, each readable by itself: templates come
 * before what needs them, and before each data message a small options message says how many flows
 * it holds and its CRC-32. NAME.state says how far everything is confirmed. Bounded: the oldest
 * segment is given up for new ones. Nothing is synced: it outlives the process, not a power cut.
 * Sink thread; spool_new() before the sandbox.
 */
#ifndef WEIR_LOADER_EXPORT_SPOOL_H
#define WEIR_LOADER_EXPORT_SPOOL_H

#include "common/ipfix.h"

struct sink;
struct spool;

struct spool_pos {
	uint32_t segment;
	uint64_t offset;
};

/* A message, and what was said of it when it was put there. */
struct spool_item {
	uint32_t len;
	uint32_t flows;
	uint32_t records;
	struct spool_pos end; /* behind it */
};

/* What is remembered over restarts, for numbering. */
struct spool_numbers {
	uint64_t start_ms;
	uint32_t sequence;
};

/**
 * spool_new - open the folder, take up what an earlier run left
 * @ret_numbers: as of then; start_ms 0: none
 *
 * Return: 0, -errno with @reterr.
 */
int spool_new(struct sink *s, const struct ipfix_cfg *cfg, struct spool **ret,
	      struct spool_numbers *ret_numbers, char *reterr);

/* Remember the position and close. Return: NULL. */
struct spool *spool_free(struct spool *sp);

/**
 * spool_append - one message at the end
 * @item:    its length, flows and records
 * @numbers: remembered with it
 *
 * Older segments may go to make room: counted (SPOOL_FULL).
 * Return: 0, or -errno: nothing was written; -ENOSPC: the disk is full.
 */
int spool_append(struct spool *sp, const uint8_t *msg, const struct spool_item *item,
		 const struct ipfix_used *used, const struct spool_numbers *numbers);

/**
 * spool_next - the next message to send
 * @buf: IPFIX_MESSAGE_MAX octets
 *
 * What can't be read is counted (SPOOL_CORRUPT), said in the sink's last error, and passed over.
 * Return: false: none there now.
 */
bool spool_next(struct spool *sp, uint8_t *buf, struct spool_item *ret);

/* Is there anything that spool_next() has not given yet? */
bool spool_has_more(const struct spool *sp);
/* Anything that is not confirmed? */
bool spool_is_empty(const struct spool *sp);

/* Next is again what follows the last confirmed message. */
void spool_rewind(struct spool *sp);

/**
 * spool_confirm - a message and all before it are with the collector
 *
 * Counts its flows as sent (of an earlier run: replayed), unless they were given up meanwhile.
 */
void spool_confirm(struct spool *sp, const struct spool_item *item);

/* Everything given out is confirmed: what follows may be forgotten files. Saves the position. */
void spool_tidy(struct spool *sp, bool all_confirmed);

#endif
