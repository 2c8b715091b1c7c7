/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcapng.h - writes the blocks of a pcapng file into memory: little-endian, times in nanoseconds. Pure; any
 * thread. Source: draft-ietf-opsawg-pcapng.
 */
#ifndef WEIR_LOADER_PCAPNG_H
#define WEIR_LOADER_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

#define PCAPNG_TEXT_MAX	 1024u /* of a comment or name; longer ones are cut */
#define PCAPNG_BLOCK_MAX 4096u /* a block takes at most so much, and the bytes of its packet */

struct pcapng_packet {
	uint32_t iface; /* number of its interface block, from 0 */
	uint64_t ns;	/* since 1970 UTC */
	uint32_t wire_len;
	uint32_t len;
	const uint8_t *bytes; /* len of them */
	const uint8_t *tag;   /* four bytes that go in behind the addresses; NULL: none */
	uint32_t direction;   /* 0 unknown, 1 inbound, 2 outbound */
	uint8_t verdict_by;   /* 0: none; 1: an eBPF program of TC, 2: of XDP */
	int64_t verdict;      /* what that returned */
	const char *comment;  /* or NULL */
};

struct pcapng_totals {
	uint32_t iface;
	uint64_t ns;	   /* since 1970 UTC: now */
	uint64_t received; /* packets seen, wanted or not */
	uint64_t dropped;  /* lost before they could be looked at */
	uint64_t taken;	   /* in the file */
};

/* Each writes one block to @buf, which has room for PCAPNG_BLOCK_MAX (and the packet). Return: bytes. */
/* @comment: of the file as a whole, or NULL */
size_t pcapng_section(uint8_t *buf, const char *application, const char *os, const char *comment);
size_t pcapng_interface(uint8_t *buf, const char *name, uint32_t snaplen);
size_t pcapng_packet(uint8_t *buf, const struct pcapng_packet *p);
size_t pcapng_totals(uint8_t *buf, const struct pcapng_totals *t);

#endif
