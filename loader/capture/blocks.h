/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks.h - recent packets (recent.h) as blocks of a pcapng file: the interfaces that they came by get their
 * numbers as they come. One thread each.
 */
#ifndef WEIR_LOADER_BLOCKS_H
#define WEIR_LOADER_BLOCKS_H

#include "loader/capture/pcapng.h"
#include "loader/capture/recent.h"
#include "loader/iface_table.h"

#define BLOCKS_IFACES_MAX 1024u
#define BLOCKS_RESET	  "weir: answered with a reset"	      /* a packet's comment */
#define BLOCKS_ROOM	  (PCAPNG_BLOCK_MAX + RECENT_LEN_MAX) /* that any block has room in */

struct blocks_iface {
	uint32_t netns, ifindex;
	char name[IFACE_NAME_MAX];
	uint64_t seen, taken; /* packets looked at, and in the file */
};

/* Start zeroed, but for the first three. */
struct blocks {
	const struct iface_table *table;
	int64_t wall_ns;  /* from CLOCK_MONOTONIC to 1970 */
	uint32_t snaplen; /* so much of a packet at most */
	uint32_t n;
	struct blocks_iface iface[BLOCKS_IFACES_MAX];
};

/**
 * blocks_iface - the number of the packet's interface
 * @buf:     BLOCKS_ROOM
 * @ret_len: bytes of the block that makes it known, 0: it is
 *
 * Counts the packet as seen. Return: the number, -1: there are too many.
 */
int blocks_iface(struct blocks *b, const struct recent_record *h, uint8_t *buf, size_t *ret_len);

/* A packet; counted as taken. @buf: BLOCKS_ROOM. Return: bytes. */
size_t blocks_packet(struct blocks *b, const struct recent_packet *p, int iface, uint8_t *buf);

/* The account of an interface. @lost: said with the first: of which one they were is not known. As above. */
size_t blocks_totals(const struct blocks *b, uint32_t iface, uint64_t lost, uint64_t now_wall_ns,
		     uint8_t *buf);

#endif
