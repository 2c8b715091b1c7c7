/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture_file.h - reads captures frame by frame: pcap and pcapng of either byte order, plain or
 * gzip, from a file, a pipe or memory. Memory is bounded whatever the file says.
 * Not thread-safe: one owner.
 */
#ifndef WEIR_LOADER_CAPTURE_FILE_H
#define WEIR_LOADER_CAPTURE_FILE_H

#include <stdint.h>

struct byte_reader;

#define CAPTURE_FRAME_MAX     (1u << 18) /* longer frames are delivered cut to this */
#define CAPTURE_INTERFACE_MAX 65536u	 /* interfaces of one pcapng section */

/**
 * struct capture_frame - one frame
 * @time_ns:   since 1970; a pcapng block without a time has that of the frame before
 * @caplen:    bytes at @data
 * @wire_len:  bytes the frame had, at least @caplen
 * @linktype:  LINKTYPE_ number, as registered at tcpdump.org
 * @interface: pcapng: number of the interface in its section; else 0
 * @data:      valid until the next call
 */
struct capture_frame {
	uint64_t time_ns;
	uint32_t caplen;
	uint32_t wire_len;
	uint32_t linktype;
	uint32_t interface;
	const uint8_t *data;
};

struct capture;

/**
 * capture_new - read a capture through a callback
 * Return: 0, -ENOMEM, or the reader's -errno. What is wrong with the content is said by
 *         capture_next().
 */
int capture_new(struct byte_reader reader, struct capture **ret_capture);

/**
 * capture_open - read a capture from @path, "-" for standard input
 * Return: 0, -ENOMEM, or why it could not be opened.
 */
int capture_open(const char *path, struct capture **ret_capture);

struct capture *capture_free(struct capture *c);

/**
 * capture_next - the next frame
 * Return: 1 and a frame; 0 at the end; -EBADMSG when the file is damaged from here on, -EPROTO when
 *         it is no capture, or the reader's -errno: capture_error() then has the sentence. Errors
 *         are final.
 * Source: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
 */
int capture_next(struct capture *c, struct capture_frame *ret_frame);

/* What went wrong, with the byte offset in the unzipped file; "" while nothing has. */
const char *capture_error(const struct capture *c);

#endif
