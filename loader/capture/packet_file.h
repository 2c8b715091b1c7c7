/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet_file.h - a pcapng file of recent packets (recent.h) that grows by whole blocks: whatever ends weir, what
 * is on the disk can be read. One thread each.
 */
#ifndef WEIR_LOADER_PACKET_FILE_H
#define WEIR_LOADER_PACKET_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "loader/capture/blocks.h"

struct packet_file {
	int fd;		  /* -1: none, or it could not be written */
	uint64_t bytes;	  /* of it, with what is in buf */
	size_t n;	  /* in buf, not yet in the file */
	uint32_t waiting; /* packets in buf */
	uint8_t *buf;
	struct blocks blocks;
};

/**
 * packet_file_begin - make a file that is not there yet; its blocks are put by the other calls
 * @f:       with blocks as blocks.h wants them
 * @dir:     a descriptor
 * @comment: of the file as a whole, or NULL
 *
 * Return: 0; -ENOMEM; -errno. After an error nothing is left to be freed.
 */
int packet_file_begin(struct packet_file *f, int dir, const char *name, const char *comment);

/**
 * packet_file_put - a packet
 * @max: bytes of the file at most, with its account
 *
 * Return: 1; 0: it would be longer than that, or have too many interfaces; -errno: as packet_file_flush().
 */
int packet_file_put(struct packet_file *f, const struct recent_packet *p, uint64_t max);

/* How many of its interface's packets were lost until now, in the middle of a file. Return: as above. */
int packet_file_lost(struct packet_file *f, uint64_t lost, uint64_t now_wall_ns);

/* What waits goes to the disk. Return: 0; -errno: those are not in it, it ends with a whole block, and is closed. */
int packet_file_flush(struct packet_file *f);

/* The account of each interface. @lost: packets. Return: as packet_file_flush(). */
int packet_file_account(struct packet_file *f, uint64_t lost, uint64_t now_wall_ns);

/* Packets in it. */
uint64_t packet_file_packets(const struct packet_file *f);

/* Closes it. */
void packet_file_done(struct packet_file *f);

#endif
