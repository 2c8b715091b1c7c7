/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes.h - unaligned integers of either byte order out of a buffer.
 * No bounds are checked here: the caller has.
 */
#ifndef WEIR_LOADER_BYTES_H
#define WEIR_LOADER_BYTES_H

#include <stdbool.h>
#include <stdint.h>

static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint16_t get_le16(const uint8_t *p)
{
	return (uint16_t)(p[1] << 8 | p[0]);
}

static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)get_be16(p) << 16 | get_be16(p + 2);
}

static inline uint32_t get_le32(const uint8_t *p)
{
	return (uint32_t)get_le16(p + 2) << 16 | get_le16(p);
}

static inline uint16_t get_16(const uint8_t *p, bool big_endian)
{
	return big_endian ? get_be16(p) : get_le16(p);
}

static inline uint32_t get_32(const uint8_t *p, bool big_endian)
{
	return big_endian ? get_be32(p) : get_le32(p);
}

#endif
