/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture_int.h - what the readers of the two formats share; included by them alone.
 */
#ifndef WEIR_LOADER_CAPTURE_INT_H
#define WEIR_LOADER_CAPTURE_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/capture_file.h"

#define PCAPNG_SECTION 0x0a0d0d0au

struct byte_source;

/* One Interface Description Block. */
struct capture_interface {
	uint32_t linktype;
	uint32_t snaplen; /* 0 = no limit */
	int64_t offset_s; /* added to every time */
	uint64_t units;	  /* of time in a second */
};

struct capture {
	struct byte_source *source;
	int fd;	    /* ours to close, or -EBADF */
	int failed; /* the error that ended it */
	bool begun;
	bool pcapng;
	bool big_endian;
	bool nanoseconds;
	uint16_t version_major;
	uint16_t version_minor;
	uint32_t linktype;
	uint32_t record_extra;
	uint64_t pending; /* bytes still to be taken before the next record */
	uint64_t last_ns; /* pcapng: for blocks without a time */
	struct capture_interface *interfaces;
	uint32_t interface_count;
	uint32_t interface_room;
	char error[192];
};

/* Keeps the error for good, "…, at byte N" appended; returns @r. */
int capture_fail(struct capture *c, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* byte_source_need() whose failure is final and says what was cut short. */
int capture_need(struct capture *c, uint32_t len, const char *what, const uint8_t **ret_data);

/* Takes what the previous block left; 1 when more follows, 0 at the end, or an error. */
int capture_block_begin(struct capture *c);

/* capture_next() for pcapng. */
int pcapng_next(struct capture *c, struct capture_frame *ret_frame);

#endif
