// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_disk.c - files of the disk ring from anywhere: 'i' an index, with or without its right checksum; else a file
 * of packets.
 *
 * An index that is accepted answers any filter, is written as small as it can be, and read again says yes wherever it
 * did. Packets of a file are within its blocks; each is written again, and the reader of captures finds as many.
 *
 * Covers: loader/capture/disk_index.c loader/capture/disk_filter.c loader/capture/disk_file.c
 * Options: -max_len=4096
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "common/filter_tree.h"
#include "loader/byte_source.h"
#include "loader/capture/disk_file.h"
#include "loader/capture/disk_index.h"
#include "loader/capture_file.h"

#define AT_CRC	8u
#define BEHIND	12u
#define OUT_MAX (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const filters[] = {
	"host 10.1.0.1",
	"net 10.1.0.0/24 and not port 53",
	"port {53, 80} or src.ip in 2001:db8::/64",
	"dst.port in 1-100 and bytes > 7",
};

#define FILTERS (sizeof(filters) / sizeof(filters[0]))

static int file_of(const uint8_t *data, size_t size)
{
	const int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || (size && write(fd, data, size) != (ssize_t)size))
		abort();
	return fd;
}

static unsigned int answers(const struct disk_index *x)
{
	unsigned int yes = 0;

	for (size_t i = 0; i < FILTERS; i++) {
		struct filter_tree t = {};
		struct filter_error err;

		if (filter_parse_tree(filters[i], strlen(filters[i]), NULL, &t, &err))
			abort();
		yes |= (unsigned int)disk_index_may(x, &t.ast) << i;
		filter_tree_done(&t);
	}
	return yes;
}

/* Smaller it may say yes more often, and not less. */
static void write_again(struct disk_index *x)
{
	const unsigned int yes = answers(x);
	const int fd = file_of(NULL, 0);
	struct disk_index y;

	if (disk_index_write(x, fd) < 0 || disk_index_read(fd, &y))
		abort();
	if ((answers(&y) & yes) != yes || y.packets != x->packets || y.last_ns != x->last_ns)
		abort();
	disk_index_done(&y);
	close(fd);
}

static void index_of(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size + 1);
	struct disk_index x;
	int fd;

	if (!bytes)
		abort();
	memcpy(bytes, data, size);
	if (size > BEHIND && bytes[AT_CRC] == 'c') { /* the right one */
		const uint32_t crc = (uint32_t)crc32(0, bytes + BEHIND, (uInt)(size - BEHIND));

		memcpy(bytes + AT_CRC, &crc, sizeof(crc));
	}
	fd = file_of(bytes, size);
	if (!disk_index_read(fd, &x)) {
		write_again(&x);
		disk_index_done(&x);
	}
	close(fd);
	free(bytes);
}

struct memory {
	const uint8_t *data;
	size_t left;
};

static ssize_t read_memory(void *ctx, void *buf, size_t len)
{
	struct memory *m = ctx;

	len = len < m->left ? len : m->left;
	memcpy(buf, m->data, len);
	m->data += len;
	m->left -= len;
	return (ssize_t)len;
}

/* How many packets the reader of captures finds. */
static unsigned int frames_of(const uint8_t *data, size_t size)
{
	struct memory m = {data, size};
	struct capture_frame f;
	struct capture *c;
	unsigned int n = 0;
	int r;

	if (capture_new((struct byte_reader){.read = read_memory, .ctx = &m}, &c))
		abort();
	while ((r = capture_next(c, &f)) == 1)
		n++;
	if (r)
		abort();
	capture_free(c);
	return n;
}

static void packets_of(const uint8_t *data, size_t size)
{
	static uint8_t out[OUT_MAX];
	size_t len = pcapng_section(out, "fuzz", "Linux", NULL);
	struct disk_file *f = malloc(sizeof(*f));
	const int fd = file_of(data, size);
	struct pcapng_packet p;
	unsigned int n = 0;

	if (!f || disk_file_open(f, fd))
		abort();
	len += pcapng_interface(out + len, "any", 0);
	while (len + BLOCKS_ROOM < OUT_MAX && disk_file_next(f, &p) == 1) {
		if (p.iface >= f->ifaces || p.wire_len < p.len || f->at > size)
			abort();
		p.iface = 0;
		len += pcapng_packet(out + len, &p);
		n++;
	}
	if (f->at > size || frames_of(out, len) != n)
		abort();
	disk_file_close(f);
	free(f);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size && data[0] == 'i')
		index_of(data + 1, size - 1);
	else if (size)
		packets_of(data + 1, size - 1);
	return 0;
}
