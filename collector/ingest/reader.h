/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.h - files of flows into blocks: IPFIX (RFC 5655) and flow logs of clouds, gzip or plain, told
 * apart by their first octets. One thread per decoder.
 */
#ifndef WEIR_COLLECTOR_INGEST_READER_H
#define WEIR_COLLECTOR_INGEST_READER_H

#include <stdint.h>

struct decoder;
struct ingest_file;
struct ingest_progress;

/**
 * reader_file - all of a file
 * @progress: called about every megabyte; or NULL
 * @counts:   added to
 *
 * Return: 0; what @progress returned; -EBADMSG: no format that is known, or damaged; -errno.
 */
int reader_file(struct decoder *d, const char *path, const struct ingest_progress *progress,
		struct ingest_file *counts);

/**
 * reader_log - what is new in a flow log of a cloud
 *
 * Rows that an earlier call took, or that the store has from an earlier run, are left out: a file may
 * be read each time it has grown. Known again by name and inode. Return: as reader_file().
 */
int reader_log(struct decoder *d, const char *path, struct ingest_file *counts);

#endif
