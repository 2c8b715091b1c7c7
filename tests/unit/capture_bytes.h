/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture_bytes.h - captures built in memory, and read from there in pieces of any size.
 * Test code; one owner.
 */
#ifndef WEIR_TESTS_UNIT_CAPTURE_BYTES_H
#define WEIR_TESTS_UNIT_CAPTURE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct capture;
struct capture_frame;

struct capture_bytes {
	uint8_t *data;
	size_t len;
	size_t room;
	size_t read_at;
	size_t piece; /* most bytes handed out by one read; 0 = any number */
	ssize_t fail; /* -errno at the end instead of 0 */
	bool big_endian;
};

void cb_done(struct capture_bytes *b);
void cb_put(struct capture_bytes *b, const void *p, size_t len);
void cb_put16(struct capture_bytes *b, uint16_t v);
void cb_put32(struct capture_bytes *b, uint32_t v);

/* Classic: file header; record header and bytes counted up from @first. */
void cb_pcap_header(struct capture_bytes *b, uint32_t magic, uint32_t linktype);
void cb_pcap_record(struct capture_bytes *b, uint32_t sec, uint32_t frac, uint32_t caplen,
		    uint32_t wire_len);

/* pcapng: a block around @body, padded, and the blocks most tests want. */
void cb_block(struct capture_bytes *b, uint32_t type, const struct capture_bytes *body);
void cb_section(struct capture_bytes *b);
void cb_interface(struct capture_bytes *b, uint16_t linktype, uint32_t snaplen, const void *options,
		  size_t options_len);
void cb_enhanced(struct capture_bytes *b, uint32_t interface, uint64_t stamp, uint32_t caplen,
		 uint32_t wire_len);

/* The whole thing as one gzip member, in place. */
void cb_gzip(struct capture_bytes *b);

/* Begins to read it. Asserts that this works. */
struct capture *cb_open(struct capture_bytes *b);

/* The bytes of a frame count up from 1. */
void cb_expect_counting(const struct capture_frame *f);

/* Reads to the end: number of frames; the last result in *ret_r. */
int cb_read_all(struct capture *c, int *ret_r);

/* Read @b to the end, with just so many frames, and free it. Damage: with @words in the sentence. */
void cb_expect_frames(struct capture_bytes *b, int frames);
void cb_expect_damage(struct capture_bytes *b, int frames, const char *words);

#endif
