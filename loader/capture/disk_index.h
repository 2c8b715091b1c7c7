/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_index.h - what is to be known of a file of the disk ring without opening it: when its packets came, and a
 * Bloom filter of their addresses, networks and ports. Says "not in it" or "may be in it". ID.index beside
 * ID.pcapng: 64 bytes, then the filter; numbers are little-endian. One thread each.
 */
#ifndef WEIR_LOADER_DISK_INDEX_H
#define WEIR_LOADER_DISK_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/capture/store.h"

#define DISK_INDEX_HEAD	  64u
#define DISK_INDEX_LEAST  512u	      /* bytes of a filter */
#define DISK_INDEX_MOST	  (16u << 20) /* the same */
#define DISK_INDEX_V4_NET 24u	      /* networks that it knows by themselves: prefix lengths */
#define DISK_INDEX_V6_NET 64u

struct filter_ast;
struct pkt;

enum disk_key { DISK_ADDR, DISK_NET, DISK_PORT };

struct disk_index {
	uint64_t bytes; /* of the file that it is of: of a longer one it knows not enough */
	uint64_t first_ns, last_ns; /* since 1970 */
	uint64_t packets, lost;
	uint32_t size; /* of the filter, a power of two */
	uint8_t *filter;
	uint8_t seen[37]; /* what the packet before had, and that there was one: most packets add nothing */
};

/**
 * disk_index_init - one without packets
 * @file_bytes: so long the file may become; the filter is a 64th of it
 *
 * Return: 0, -ENOMEM.
 */
int disk_index_init(struct disk_index *x, uint64_t file_bytes);
void disk_index_done(struct disk_index *x);

/* Bytes that the index of such a file has at most. */
uint64_t disk_index_most(uint64_t file_bytes);

/* A packet, as bpf/parse.h left it; NULL: nothing could be read of it. @ns: since 1970. */
void disk_index_add(struct disk_index *x, uint64_t ns, const struct pkt *k);

/**
 * disk_index_has - false: no packet of it has that
 * @ip:   DISK_ADDR: the address; DISK_NET: one in the network, IPv4 as ::ffff:a.b.c.d
 * @port: DISK_PORT
 */
bool disk_index_has(const struct disk_index *x, enum disk_key key, const uint8_t ip[16],
		    uint16_t port);

/* False: no packet of it meets the filter. */
bool disk_index_may(const struct disk_index *x, const struct filter_ast *filter);

/* "ID.index" */
void disk_index_name(const char *id, char ret[STORE_NAME]);

/* Into an empty file; the filter becomes as small as it can be. Return: bytes; -errno. */
int64_t disk_index_write(struct disk_index *x, int fd);

/* The same, beside the file of that id. Return: bytes; -errno, and there is none. */
int64_t disk_index_save(int dir, const char *id, struct disk_index *x);

void disk_index_remove(int dir, const char *id);

/**
 * disk_index_read - from an open file
 * @ret: to be ended with disk_index_done()
 *
 * Return: 0; -EBADMSG: it is none, or damaged; -ENOMEM; -errno.
 */
int disk_index_read(int fd, struct disk_index *ret);

/* The same, of the file of that id. */
int disk_index_load(int dir, const char *id, struct disk_index *ret);

#endif
