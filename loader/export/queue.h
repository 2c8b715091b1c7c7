/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h - a bounded queue of chunks from one thread to one other, without locks. A chunk is
 * filled in place, handed over whole, and comes back when its receiver is done with it. Chunks are
 * reused last in first out, so memory that was never needed is never touched.
 */
#ifndef WEIR_LOADER_EXPORT_QUEUE_H
#define WEIR_LOADER_EXPORT_QUEUE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct chunk {
	uint32_t len;	    /* bytes of data[] */
	uint32_t done;	    /* of these written; receiver's */
	uint32_t flows;	    /* flows in it */
	uint32_t records;   /* IPFIX data records in it */
	uint64_t used[128]; /* IPFIX: bit per template used */
	uint64_t upto;	    /* number of the record after its last one; see struct export_mark */
	uint8_t data[];
};

struct queue {
	uint32_t n;	   /* chunks */
	uint32_t capacity; /* bytes of each chunk's data[] */
	size_t stride;
	char *mem;
	uint32_t *full;	 /* ring: filled chunks, sender to receiver */
	uint32_t *empty; /* ring: chunks on their way back */
	_Atomic uint64_t full_head, full_tail;
	_Atomic uint64_t empty_head, empty_tail;
	_Atomic uint64_t upto; /* of the last chunk that its receiver was done with */
	uint32_t *stack;       /* sender's: chunks to use next */
	uint32_t depth;
};

/**
 * queue_init - @bytes of memory at most, in chunks of @capacity
 *
 * Return: 0 or -ENOMEM. At least 4 chunks whatever @bytes says.
 */
int queue_init(struct queue *q, uint64_t bytes, uint32_t capacity);
void queue_done(struct queue *q);

/* Sender: an empty chunk (len, flows ... 0), or NULL: all are under way. */
struct chunk *queue_take(struct queue *q);
/* Sender: hand over what queue_take() gave. */
void queue_push(struct queue *q, struct chunk *c);
/* Sender: give it back unused. */
void queue_untake(struct queue *q, struct chunk *c);

/* Receiver: how many are waiting; the @i-th of them, oldest first. */
uint32_t queue_waiting(const struct queue *q);
struct chunk *queue_at(const struct queue *q, uint32_t i);
/* Receiver: done with the oldest. */
void queue_pop(struct queue *q);

#endif
