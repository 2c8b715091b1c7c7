/* SPDX-License-Identifier: Apache-2.0 */
/*
 * byte_source.h - a stream of bytes read through a window: from a callback, unzipped where it is
 * gzip (RFC 1952, several members too). Memory is fixed: the window and one input buffer.
 * Not thread-safe: one owner.
 */
#ifndef WEIR_LOADER_BYTE_SOURCE_H
#define WEIR_LOADER_BYTE_SOURCE_H

#include <stdint.h>
#include <sys/types.h>

#define BYTE_SOURCE_WINDOW (1u << 19)

/**
 * struct byte_reader - where the bytes come from
 * @read: fills up to @len bytes of @buf; returns their number, 0 at the end, or -errno
 * @ctx:  handed to @read
 */
struct byte_reader {
	ssize_t (*read)(void *ctx, void *buf, size_t len);
	void *ctx;
};

struct byte_source;

/**
 * byte_source_new - begin to read
 * Return: 0, -ENOMEM, or what the reader returned when asked for the first bytes.
 */
int byte_source_new(struct byte_reader reader, struct byte_source **ret_source);
struct byte_source *byte_source_free(struct byte_source *s);

/**
 * byte_source_need - have the next @len bytes in one piece, without consuming them
 * @len:      at most BYTE_SOURCE_WINDOW
 * @ret_data: those bytes, valid until the next call with the same source
 *
 * Return: 0; -ENODATA when the stream ends before that (byte_source_left() says what there is);
 *         -EBADMSG when the gzip stream is damaged; or the reader's -errno.
 */
int byte_source_need(struct byte_source *s, uint32_t len, const uint8_t **ret_data);

/* Consumes bytes that byte_source_need() has shown. */
void byte_source_take(struct byte_source *s, uint32_t len);

/**
 * byte_source_skip - consume @len bytes unseen, however many
 * Return: as byte_source_need(); on an error all there was is consumed.
 */
int byte_source_skip(struct byte_source *s, uint64_t len);

/* Offset of the next byte in the (unzipped) stream. */
uint64_t byte_source_offset(const struct byte_source *s);

/* Bytes in the window, not consumed yet. */
uint32_t byte_source_left(const struct byte_source *s);

#endif
