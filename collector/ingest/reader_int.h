/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader_int.h - what the files of reader.h share.
 */
#ifndef WEIR_COLLECTOR_INGEST_READER_INT_H
#define WEIR_COLLECTOR_INGEST_READER_INT_H

#include <stdbool.h>
#include <zlib.h>
#include "collector/ingest/decoder.h"
#include "collector/ingest/ingest.h"
#include "collector/ingest/reader.h"

/* A file being read. */
struct reader {
	struct decoder *d;
	const char *path;
	gzFile gz;
	const struct ingest_progress *progress;
	struct ingest_file *counts;
	uint64_t of;   /* octets of the file on disk */
	uint64_t told; /* octets at the last word on progress */
	uint8_t *buf;
	uint32_t room, have, at; /* [at, have) has yet to be looked at */
	bool end;
	uint64_t inode;
	bool log; /* numbered: may have been read before */
};

/* More octets behind those there are. Return: 0 (r->end: there are none); -EBADMSG: damaged;
 * -EMSGSIZE: something is longer than can be kept; what progress returned.
 */
int reader_more(struct reader *r);

#endif
