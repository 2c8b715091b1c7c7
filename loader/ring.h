/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - consumer of a BPF ring buffer by its mapped pages alone: no syscall, so it works in a
 * process that may not call bpf(2). One consumer. Layout: the kernel's
 * kernel/bpf/ringbuf.c: a consumer page, a producer page, the data pages twice in a row.
 */
#ifndef WEIR_LOADER_RING_H
#define WEIR_LOADER_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	unsigned long *consumer;
	unsigned long *producer;
	const uint8_t *data;
	size_t size;	   /* bytes of data, a power of two */
	unsigned long pos; /* read up to here */
	int fd;		   /* for poll(), if the caller has one; -1 = none */
};

/* Map the ring behind @fd. 0 or -errno. */
int ring_open(struct ring *r, int fd, size_t size);
void ring_close(struct ring *r);

/* Has more come than has been read? */
bool ring_has_more(const struct ring *r);

/* Where the producers are now: a bound for ring_next(). */
unsigned long ring_end(const struct ring *r);

/**
 * ring_next - the next record below @end
 * @ret_len: its length
 *
 * Return: the record, valid until ring_release(), or NULL: none, or one still being written.
 */
const void *ring_next(struct ring *r, unsigned long end, size_t *ret_len);

/* Give everything read so far back to the producers. */
void ring_release(struct ring *r);

#endif
