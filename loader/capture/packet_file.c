// SPDX-License-Identifier: Apache-2.0
#include "loader/capture/packet_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define BUF_BYTES    (256u << 10)
#define TOTALS_BYTES 128u /* of an interface at most */

static uint8_t *room(struct packet_file *f)
{
	return f->buf + f->n;
}

static void put(struct packet_file *f, size_t len)
{
	f->n += len;
	f->bytes += len;
}

static void close_file(struct packet_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

int packet_file_begin(struct packet_file *f, int dir, const char *name, const char *comment)
{
	f->n = f->waiting = 0;
	f->bytes = 0;
	f->fd = -1;
	f->buf = malloc(BUF_BYTES);
	if (!f->buf)
		return -ENOMEM;
	f->fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (f->fd < 0) {
		const int r = -errno;

		packet_file_done(f);
		return r;
	}
	put(f, pcapng_section(room(f), "weir " WEIR_VERSION, "Linux", comment));
	return 0;
}

int packet_file_flush(struct packet_file *f)
{
	size_t at = 0;
	int r = 0;

	while (at < f->n && !r) {
		const ssize_t n = write(f->fd, f->buf + at, f->n - at);

		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno != EINTR)
			r = -errno;
	}
	if (r && ftruncate(f->fd, (off_t)(f->bytes - f->n)))
		r = -errno;
	if (r) {
		f->bytes -= f->n;
		close_file(f);
	} else {
		f->waiting = 0;
	}
	f->n = 0;
	return r;
}

static int make_room(struct packet_file *f, size_t want)
{
	return f->n + want > BUF_BYTES ? packet_file_flush(f) : 0;
}

static uint64_t account_bytes(const struct packet_file *f)
{
	return (f->blocks.n + 1) * (uint64_t)TOTALS_BYTES;
}

int packet_file_put(struct packet_file *f, const struct recent_packet *p, uint64_t max)
{
	size_t len;
	int iface, r = make_room(f, 2 * BLOCKS_ROOM);
	uint64_t before;

	if (r)
		return r;
	before = f->bytes;
	iface = blocks_iface(&f->blocks, &p->head, room(f), &len);
	if (iface < 0)
		return 0;
	put(f, len);
	len = blocks_packet(&f->blocks, p, iface, room(f));
	if (f->bytes + len + account_bytes(f) > max) {
		f->blocks.iface[iface].taken--;
		if (f->blocks.iface[iface].seen == 1)
			f->blocks.n--; /* nobody has been told of it */
		f->n -= f->bytes - before;
		f->bytes = before;
		return 0;
	}
	put(f, len);
	f->waiting++;
	return 1;
}

int packet_file_lost(struct packet_file *f, uint64_t lost, uint64_t now_wall_ns)
{
	const int r = make_room(f, BLOCKS_ROOM);

	if (!r && f->blocks.n)
		put(f, blocks_totals(&f->blocks, 0, lost, now_wall_ns, room(f)));
	return r;
}

int packet_file_account(struct packet_file *f, uint64_t lost, uint64_t now_wall_ns)
{
	int r = 0;

	for (uint32_t i = 0; i < f->blocks.n && !r; i++) {
		r = make_room(f, BLOCKS_ROOM);
		if (!r)
			put(f, blocks_totals(&f->blocks, i, lost, now_wall_ns, room(f)));
	}
	return r ?: packet_file_flush(f);
}

uint64_t packet_file_packets(const struct packet_file *f)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < f->blocks.n; i++)
		n += f->blocks.iface[i].taken;
	return n;
}

void packet_file_done(struct packet_file *f)
{
	close_file(f);
	free(f->buf);
	f->buf = NULL;
}
