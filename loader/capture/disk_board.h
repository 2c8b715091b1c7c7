/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_board.h - the disk ring (disk_ring.h) as the processes see it: what is wanted of it, and what it has done.
 */
#ifndef WEIR_LOADER_DISK_BOARD_H
#define WEIR_LOADER_DISK_BOARD_H

#include <stdint.h>

#define DISK_LEAST (1u << 20) /* bytes that a quota has at least */

/* What is wanted of it. */
struct disk_cfg {
	uint64_t quota;		      /* bytes of all files and indexes; 0: nothing is written */
	uint64_t file_bytes, file_ns; /* a file ends when it is as long, or as old */
};

/* In shared memory. cfg is the core's, at any time; all else the recorder's. */
struct disk_board {
	struct disk_cfg cfg;
#define COUNTED(member, metric, help) uint64_t member;
#include "loader/capture/disk_counts.def"
#undef COUNTED
	uint64_t kept_bytes, kept_files; /* now */
	uint64_t oldest_ns; /* since 1970: when the oldest of them was begun; 0: none */
	int64_t wall_ns; /* from CLOCK_MONOTONIC to 1970, in the last file; 0: no file of this weir */
};

#endif
