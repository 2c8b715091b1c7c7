/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_file.h - reads the packets of a file that packet_file.h wrote, also while that one goes on, or where
 * something ended it: what is no whole block at its end is left. Nothing of it is believed. One thread each.
 * Source: draft-ietf-opsawg-pcapng.
 */
#ifndef WEIR_LOADER_DISK_FILE_H
#define WEIR_LOADER_DISK_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/capture/blocks.h"

struct disk_file {
	int fd;
	uint64_t at;   /* bytes of whole blocks that were read */
	uint64_t lost; /* packets that the file says are missing in it, up to here */
	bool damaged;  /* what follows is no block */
	uint32_t ifaces;
	char iface[BLOCKS_IFACES_MAX][IFACE_NAME_MAX];
	size_t n, done; /* in buf; of these taken */
	uint8_t *buf;
};

/**
 * disk_file_open - the file of a descriptor, which stays the caller's
 *
 * Return: 0, -ENOMEM.
 */
int disk_file_open(struct disk_file *f, int fd);
void disk_file_close(struct disk_file *f);

/**
 * disk_file_next - the next packet
 * @ret: its bytes until the next call; iface is an index of f->iface
 *
 * Return: 1; 0: there are no more, or what follows is damaged; -errno.
 */
int disk_file_next(struct disk_file *f, struct pcapng_packet *ret);

#endif
