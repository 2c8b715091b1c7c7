/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.h - the last records, with their texts, in a ring of fixed size: the oldest make room.
 * Records have a number, counted from 0. One thread.
 */
#ifndef WEIR_LOADER_CONTROL_HISTORY_H
#define WEIR_LOADER_CONTROL_HISTORY_H

#include <stddef.h>
#include "common/flow.h"

#define HISTORY_MIN	     1024u
#define HISTORY_RECORD_BYTES 864u /* memory a record; longer ones take the room of others */

struct history {
	char *mem;
	size_t cap;
	size_t head;   /* where the next one goes */
	uint64_t *pos; /* of record number i: pos[i % max] */
	uint32_t max;
	uint64_t first; /* numbers kept: [first, next) */
	uint64_t next;
};

/* Bytes that it takes in the end. */
uint64_t history_memory(uint32_t max);

/**
 * history_init - room for @max records (HISTORY_MIN at least)
 *
 * Memory is taken as it is first used, see history_memory().
 * Return: 0 or -ENOMEM.
 */
int history_init(struct history *h, uint32_t max);
void history_done(struct history *h);

/* Keep a copy. One that is larger than the whole ring is not kept and has no number. */
void history_add(struct history *h, const struct flow_record *r);

/* Number @i, first <= i < next; valid until the next history_add(). */
const struct flow_record *history_get(const struct history *h, uint64_t i);

#endif
