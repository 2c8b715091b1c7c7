/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_extract.h - packets of a time and a filter out of the files of the disk ring (disk_ring.h), as one pcapng
 * file. What the indexes rule out is not opened. Also while the files are written, removed and named anew.
 */
#ifndef WEIR_LOADER_DISK_EXTRACT_H
#define WEIR_LOADER_DISK_EXTRACT_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>

struct filter_tree;

/* What became of a file. */
enum disk_fate {
	DISK_OUTSIDE, /* its packets are of another time */
	DISK_PASSED,  /* no packet of it can be wanted, by its index */
	DISK_READ,
	DISK_DAMAGED, /* read, up to where it is */
	DISK_GONE,    /* removed meanwhile, for room */
	_DISK_FATES
};

extern const char *const disk_fate_words[_DISK_FATES];

struct disk_ask {
	uint64_t from_ns, to_ns;	  /* since 1970; up to before to_ns */
	const struct filter_tree *filter; /* NULL: every packet */
	uint64_t count;			  /* packets at most; 0: any number */
	uint32_t snaplen;		  /* bytes of each at most; 0: as they are */
	const volatile sig_atomic_t *end; /* when it is not 0, that was all */
	void (*tell)(const char *id, enum disk_fate fate, uint64_t packets); /* or NULL */
};

struct disk_found {
	uint64_t files[_DISK_FATES];
	uint64_t packets, bytes; /* written */
	uint64_t lost;		 /* packets that the files of that time say are missing in them */
	uint64_t first_ns, last_ns; /* of those written; 0: none */
};

/**
 * disk_extract - write them
 * @dir: of the ring
 * @out: flushed at the end
 *
 * Return: 0; -ENOMEM; -errno: of the directory or of @out. @ret is right as far as it went.
 */
int disk_extract(int dir, const struct disk_ask *ask, FILE *out, struct disk_found *ret);

#endif
