// SPDX-License-Identifier: Apache-2.0
#include "loader/capture/account.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/bytes.h"

#define BLOCKS_MAX \
	1024u /* looked at from either end: a section, an interface or its statistics each */
#define HEAD \
	20u /* octets of a block up to what is looked at of it: type, length, interface, time */
#define LEAST 12u /* type, length, length */

enum { BLOCK_INTERFACE = 1, BLOCK_STATISTICS = 5, BLOCK_PACKET = 6 };
enum { OPT_END = 0, ISB_DROPPED = 5, ISB_TAKEN = 8 };

struct block {
	uint32_t type, len;
	uint64_t ns;
	uint8_t bytes[256]; /* as far as there is room; n of them */
	size_t n;
};

/* False: there is none at @at. */
static bool block_at(int fd, uint64_t at, uint64_t size, struct block *b)
{
	const ssize_t n = pread(fd, b->bytes, sizeof(b->bytes), (off_t)at);

	if (n < (ssize_t)LEAST)
		return false;
	b->type = get_le32(b->bytes);
	b->len = get_le32(b->bytes + 4);
	if (b->len < LEAST || b->len & 3 || b->len > size - at)
		return false;
	b->n = (size_t)n < b->len ? (size_t)n : b->len;
	b->ns = b->n >= HEAD ? (uint64_t)get_le32(b->bytes + 12) << 32 | get_le32(b->bytes + 16)
			     : 0;
	return true;
}

/* The one that ends where @end is. */
static bool block_before(int fd, uint64_t end, struct block *b)
{
	uint8_t tail[4];
	uint32_t len;

	if (end < LEAST || pread(fd, tail, sizeof(tail), (off_t)(end - 4)) != sizeof(tail))
		return false;
	len = get_le32(tail);
	return len <= end && block_at(fd, end - len, end, b) && b->len == len;
}

static void count(const struct block *b, struct capture_account *ret)
{
	size_t at = HEAD;

	while (at + 12 <= b->n) {
		const uint16_t code = get_le16(b->bytes + at), n = get_le16(b->bytes + at + 2);
		const uint64_t v = (uint64_t)get_le32(b->bytes + at + 8) << 32 |
				   get_le32(b->bytes + at + 4);

		if (code == OPT_END)
			break;
		ret->packets += code == ISB_TAKEN && n == 8 ? v : 0;
		ret->dropped += code == ISB_DROPPED && n == 8 ? v : 0;
		at += 4 + ((n + 3u) & ~3u);
	}
}

int account_read(int fd, struct capture_account *ret)
{
	struct block b;
	struct stat st;
	uint64_t size, at = 0;

	*ret = (struct capture_account){};
	if (fstat(fd, &st))
		return -errno;
	size = (uint64_t)st.st_size;
	for (unsigned int i = 0; i < BLOCKS_MAX && block_at(fd, at, size, &b); i++) {
		if (b.type == BLOCK_PACKET) {
			ret->first_ns = b.ns;
			break;
		}
		at += b.len;
	}
	ret->head = at;
	at = size;
	for (unsigned int i = 0; i < BLOCKS_MAX && block_before(fd, at, &b); i++) {
		if (b.type == BLOCK_PACKET) {
			ret->last_ns = b.ns;
			break;
		}
		if (b.type == BLOCK_STATISTICS)
			count(&b, ret);
		else if (b.type != BLOCK_INTERFACE)
			break;
		at -= b.len;
	}
	return 0;
}
