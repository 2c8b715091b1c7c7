// SPDX-License-Identifier: Apache-2.0
#include "loader/capture/disk_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/bytes.h"

#define BUF_BYTES (256u << 10)
#define LEAST	  12u /* type, length, length */
#define HEAD	  8u
#define TAIL	  4u

enum {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6,
};

/* Where the options of each begin. */
enum { INTERFACE_OPTIONS = 16, STATISTICS_OPTIONS = 20, PACKET_BYTES = 28 };

enum {
	OPT_COMMENT = 1,
	IF_NAME = 2,
	IF_TSRESOL = 9,
	EPB_FLAGS = 2,
	EPB_VERDICT = 7,
	ISB_DROPPED = 5,
};

#define RESOLUTION_NS 9u
#define TAG	      4u /* that was put back */

struct block {
	uint32_t type, len;
	const uint8_t *p; /* len of them, the length at its end among them */
};

struct option {
	uint32_t code, len;
	const uint8_t *p;
};

int disk_file_open(struct disk_file *f, int fd)
{
	*f = (struct disk_file){.fd = fd, .buf = malloc(BUF_BYTES)};
	return f->buf ? 0 : -ENOMEM;
}

void disk_file_close(struct disk_file *f)
{
	free(f->buf);
	f->buf = NULL;
}

/* So many bytes from where we are. Return: 1; 0: the file has fewer; -errno. */
static int need(struct disk_file *f, size_t want)
{
	if (f->n - f->done < want) {
		memmove(f->buf, f->buf + f->done, f->n - f->done);
		f->n -= f->done;
		f->done = 0;
	}
	while (f->n < want) {
		const ssize_t r =
			pread(f->fd, f->buf + f->n, BUF_BYTES - f->n, (off_t)(f->at + f->n));

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r ? -errno : 0;
		f->n += (size_t)r;
	}
	return 1;
}

/* Return: as disk_file_next(). */
static int next_block(struct disk_file *f, struct block *b)
{
	int r = f->damaged ? 0 : need(f, LEAST);

	if (r <= 0)
		return r;
	b->type = get_le32(f->buf + f->done);
	b->len = get_le32(f->buf + f->done + 4);
	if (b->len < LEAST || b->len & 3 || b->len > BLOCKS_ROOM) {
		f->damaged = true;
		return 0;
	}
	r = need(f, b->len);
	if (r <= 0)
		return r;
	b->p = f->buf + f->done;
	if (get_le32(b->p + b->len - TAIL) != b->len) {
		f->damaged = true;
		return 0;
	}
	f->done += b->len;
	f->at += b->len;
	return 1;
}

/* The next of a block's options, from *at on. */
static bool next_option(const struct block *b, uint32_t *at, struct option *ret)
{
	const uint32_t end = b->len - TAIL;

	if (*at > end || end - *at < 4)
		return false;
	ret->code = get_le16(b->p + *at);
	ret->len = get_le16(b->p + *at + 2);
	ret->p = b->p + *at + 4;
	if (!ret->code || ret->len > end - *at - 4)
		return false;
	*at += 4 + ((ret->len + 3) & ~3u);
	return true;
}

static uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get_le32(p + 4) << 32 | get_le32(p);
}

/* Times in nanoseconds, as they are written here; another one's file is none of ours. */
static bool take_interface(struct disk_file *f, const struct block *b)
{
	uint32_t at = INTERFACE_OPTIONS;
	bool is_ours = false;
	struct option o;
	char *name;

	if (b->len < INTERFACE_OPTIONS + TAIL || f->ifaces == BLOCKS_IFACES_MAX)
		return false;
	name = f->iface[f->ifaces++];
	name[0] = '\0';
	while (next_option(b, &at, &o)) {
		if (o.code == IF_TSRESOL)
			is_ours = o.len == 1 && o.p[0] == RESOLUTION_NS;
		if (o.code != IF_NAME || o.len >= IFACE_NAME_MAX)
			continue;
		memcpy(name, o.p, o.len);
		name[o.len] = '\0';
	}
	return is_ours;
}

/* Each says how many there are until then. */
static void take_statistics(struct disk_file *f, const struct block *b)
{
	uint32_t at = STATISTICS_OPTIONS;
	struct option o;

	while (b->len >= STATISTICS_OPTIONS + TAIL && next_option(b, &at, &o))
		if (o.code == ISB_DROPPED && o.len == 8 && get64(o.p) > f->lost)
			f->lost = get64(o.p);
}

static bool take_packet(const struct disk_file *f, const struct block *b, struct pcapng_packet *ret)
{
	struct option o;
	uint32_t at;

	if (b->len < PACKET_BYTES + TAIL)
		return false;
	*ret = (struct pcapng_packet){
		.iface = get_le32(b->p + 8),
		.ns = (uint64_t)get_le32(b->p + 12) << 32 | get_le32(b->p + 16),
		.len = get_le32(b->p + 20),
		.wire_len = get_le32(b->p + 24),
		.bytes = b->p + PACKET_BYTES,
	};
	if (ret->iface >= f->ifaces || ret->len > b->len - PACKET_BYTES - TAIL ||
	    ret->len > RECENT_LEN_MAX + TAG)
		return false;
	if (ret->wire_len < ret->len)
		ret->wire_len = ret->len;
	at = PACKET_BYTES + ((ret->len + 3) & ~3u);
	while (next_option(b, &at, &o)) {
		if (o.code == EPB_FLAGS && o.len == 4)
			ret->direction = get_le32(o.p) & 3;
		if (o.code == EPB_VERDICT && o.len == 9) {
			ret->verdict_by = o.p[0];
			ret->verdict = (int64_t)get64(o.p + 1);
		}
		if (o.code == OPT_COMMENT && o.len == strlen(BLOCKS_RESET) &&
		    !memcmp(o.p, BLOCKS_RESET, o.len))
			ret->comment = BLOCKS_RESET;
	}
	return true;
}

int disk_file_next(struct disk_file *f, struct pcapng_packet *ret)
{
	struct block b;
	int r;

	while ((r = next_block(f, &b)) > 0) {
		const bool first = f->at == b.len;

		if (first != (b.type == BLOCK_SECTION)) /* one section, at the beginning */
			f->damaged = true;
		else if (b.type == BLOCK_INTERFACE)
			f->damaged = !take_interface(f, &b);
		else if (b.type == BLOCK_STATISTICS)
			take_statistics(f, &b);
		else if (b.type == BLOCK_PACKET && take_packet(f, &b, ret))
			return 1;
		else if (b.type == BLOCK_PACKET)
			f->damaged = true;
		if (f->damaged) { /* that one is not taken */
			f->at -= b.len;
			return 0;
		}
	}
	return r;
}
