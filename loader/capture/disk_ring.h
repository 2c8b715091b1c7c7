/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_ring.h - all packets of the ring in memory, written to disk as they come: files of a size and an age, each
 * with its index, under a quota; the oldest go. Of the recorder's process alone, which looks at it in turn with
 * the files that rules ask for. Who reads them: disk_extract.h.
 */
#ifndef WEIR_LOADER_DISK_RING_H
#define WEIR_LOADER_DISK_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/capture/disk_board.h"
#include "loader/capture/disk_index.h"
#include "loader/capture/packet_file.h"
#include "loader/capture/store.h"

#define DISK_DIR   "disk" /* under capture.dir */
#define DISK_SHARE 8u	  /* no file takes more of it than one in so many */
#define DISK_FILES 32768u /* at most */

/* Start zeroed but for the first four. */
struct disk_ring {
	int dir;
	struct disk_board *board;
	const struct dataplane *dp;
	const struct iface_table *table;
	bool is_ours;	   /* no other weir writes there */
	bool is_told;	   /* that another one does */
	uint64_t again_ns; /* CLOCK_MONOTONIC: not before */
	uint64_t said_ns;  /* an error, at last */
	uint64_t last_id;
	struct disk_cfg of; /* what is wanted, as it was looked at last */
	struct recent_reader *reader;
	uint64_t lost_before;  /* of the reader's, said in files before */
	uint64_t lost_counted; /* of the reader's */
	uint64_t unwritten;    /* not yet said in a file */
	/* the file */
	bool open;
	char id[STORE_ID + 1];
	uint64_t max, end_ns, lost_said, packets_counted;
	struct packet_file file;
	struct disk_index index;
};

/**
 * disk_ring_step - some packets
 * @now_ns: CLOCK_MONOTONIC
 *
 * Return: true: there are more by now.
 */
bool disk_ring_step(struct disk_ring *d, uint64_t now_ns);

/* Its file gets its end. */
void disk_ring_stop(struct disk_ring *d);

/* Is something to be written? */
bool disk_ring_is_on(const struct disk_ring *d);

/**
 * disk_ring_mend - files that nobody ended are ended and get their index; indexes without a file go
 * @ret_last_ns: since 1970: the last packet of the newest file; 0: none
 *
 * Return: 0, -errno: of one of them; the others are done.
 */
int disk_ring_mend(int dir, uint64_t *ret_last_ns);

#endif
