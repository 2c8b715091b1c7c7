/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool_int.h - the parts of a spool, for spool.c and spool_files.c.
 */
#ifndef WEIR_LOADER_EXPORT_SPOOL_INT_H
#define WEIR_LOADER_EXPORT_SPOOL_INT_H

#include "loader/export/spool.h"

#define SPOOL_SEGMENTS 1024u
#define SPOOL_MARK     (IPFIX_HEADER + IPFIX_SET_HEADER + 16u) /* octets of an item's mark */

struct segment {
	uint32_t number;
	int write_fd; /* the last one's; -1 = closed */
	uint64_t size;
	uint64_t flows;	 /* not confirmed, not lost */
	uint64_t unread; /* of these not given out since the last rewind */
	bool old;	 /* of an earlier run */
};

struct spool {
	struct sink *s;
	struct ipfix_cfg cfg;
	struct segment seg[SPOOL_SEGMENTS]; /* oldest first */
	uint32_t n;
	uint32_t next_number;
	uint64_t bytes;
	uint64_t segment_bytes;
	struct ipfix_used announced; /* in the segment being written */
	struct spool_pos read, confirmed;
	int read_fd;
	int state_fd;
	bool unsaved;
	bool keep_open; /* all goes through the spool: not a new file for each message */
	struct spool_numbers numbers;
	uint8_t *buf;
};

struct segment *spool_segment(struct spool *sp, uint32_t n);

/* Write position and numbers to the state file. */
void spool_save(struct spool *sp);

/* Is it the message that stands before an item? Its flows, records and CRC. */
bool spool_read_mark(const uint8_t *msg, uint32_t len, struct spool_item *item, uint32_t *ret_crc);

#endif
