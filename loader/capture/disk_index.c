// SPDX-License-Identifier: Apache-2.0
#include "loader/capture/disk_index.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "bpf/parse.h"
#include "loader/bytes.h"

#define MAGIC	      "weirdsk1"
#define PROBES	      4u
#define SHARE	      64u /* of the file's bytes */
#define FOLD_BELOW    8u  /* a filter is halved while less than one bit in so many is set */
#define V4_MAPPED     96u /* bits before an IPv4 address */
#define MAPPED_PREFIX "\0\0\0\0\0\0\0\0\0\0\xff\xff"

/* Where the numbers are in the head. */
enum {
	AT_CRC = 8,
	AT_SIZE = 12,
	AT_BYTES = 16,
	AT_FIRST = 24,
	AT_LAST = 32,
	AT_PACKETS = 40,
	AT_LOST = 48
};

/* ---- the filter ---- */

static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

static uint64_t hash(enum disk_key key, uint64_t high, uint64_t low)
{
	return mix(mix(high + (key + 1) * UINT64_C(0x9e3779b97f4a7c15)) ^ low);
}

static uint64_t hash_ip(enum disk_key key, const uint8_t ip[16])
{
	const bool v4 = !memcmp(ip, MAPPED_PREFIX, 12);
	const unsigned int bits = v4 ? V4_MAPPED + DISK_INDEX_V4_NET : DISK_INDEX_V6_NET;
	uint8_t a[16] = {};
	uint64_t half[2];

	memcpy(a, ip, key == DISK_NET ? bits / 8 : 16);
	memcpy(half, a, sizeof(half));
	return hash(key, be64toh(half[0]), be64toh(half[1]));
}

/* Two halves of the hash make all probes; of a filter that is folded, the lower bits of the same. */
static uint64_t probe(const struct disk_index *x, uint64_t h, unsigned int i)
{
	return ((h & UINT32_MAX) + i * (h >> 32 | 1)) & (x->size * UINT64_C(8) - 1);
}

static void set(struct disk_index *x, uint64_t h)
{
	for (unsigned int i = 0; i < PROBES; i++) {
		const uint64_t bit = probe(x, h, i);

		x->filter[bit / 8] |= (uint8_t)(1u << bit % 8);
	}
}

bool disk_index_has(const struct disk_index *x, enum disk_key key, const uint8_t ip[16],
		    uint16_t port)
{
	const uint64_t h = key == DISK_PORT ? hash(key, 0, port) : hash_ip(key, ip);

	for (unsigned int i = 0; i < PROBES; i++) {
		const uint64_t bit = probe(x, h, i);

		if (!(x->filter[bit / 8] >> bit % 8 & 1))
			return false;
	}
	return true;
}

static uint64_t bits_set(const struct disk_index *x)
{
	uint64_t n = 0, word;

	for (uint32_t at = 0; at < x->size; at += sizeof(word)) {
		memcpy(&word, x->filter + at, sizeof(word));
		n += (unsigned int)__builtin_popcountll(word);
	}
	return n;
}

static void fold(struct disk_index *x)
{
	while (x->size > DISK_INDEX_LEAST && bits_set(x) < x->size * UINT64_C(8) / FOLD_BELOW) {
		x->size /= 2;
		for (uint32_t i = 0; i < x->size; i++)
			x->filter[i] |= x->filter[x->size + i];
	}
}

/* ---- its packets ---- */

static uint32_t size_for(uint64_t file_bytes)
{
	uint32_t size = DISK_INDEX_LEAST;

	while (size < DISK_INDEX_MOST && size < file_bytes / SHARE)
		size *= 2;
	return size;
}

uint64_t disk_index_most(uint64_t file_bytes)
{
	return DISK_INDEX_HEAD + size_for(file_bytes);
}

int disk_index_init(struct disk_index *x, uint64_t file_bytes)
{
	*x = (struct disk_index){.size = size_for(file_bytes)};
	x->filter = calloc(1, x->size);
	return x->filter ? 0 : -ENOMEM;
}

void disk_index_done(struct disk_index *x)
{
	free(x->filter);
	x->filter = NULL;
}

void disk_index_add(struct disk_index *x, uint64_t ns, const struct pkt *k)
{
	uint8_t now[sizeof(x->seen)];

	x->first_ns = !x->packets || ns < x->first_ns ? ns : x->first_ns;
	x->last_ns = ns > x->last_ns ? ns : x->last_ns;
	x->packets++;
	if (!k || (k->key.ethertype != ETH_P_IP && k->key.ethertype != ETH_P_IPV6))
		return;
	memcpy(now, k->key.addr, 32);
	memcpy(now + 32, k->key.port, 4);
	now[36] = 1;
	if (!memcmp(now, x->seen, sizeof(now)))
		return;
	memcpy(x->seen, now, sizeof(now));
	for (unsigned int i = 0; i < 2; i++) {
		set(x, hash_ip(DISK_ADDR, k->key.addr[i]));
		set(x, hash_ip(DISK_NET, k->key.addr[i]));
		set(x, hash(DISK_PORT, 0, be16toh(k->key.port[i])));
	}
}

/* ---- the file ---- */

static void put32(uint8_t *to, uint32_t v)
{
	v = htole32(v);
	memcpy(to, &v, sizeof(v));
}

static void put64(uint8_t *to, uint64_t v)
{
	put32(to, (uint32_t)v);
	put32(to + 4, (uint32_t)(v >> 32));
}

static uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get_le32(p + 4) << 32 | get_le32(p);
}

/* Of all that is behind it. */
static uint32_t checksum(const uint8_t *head, const struct disk_index *x)
{
	const uint32_t crc = (uint32_t)crc32(0, head + AT_SIZE, DISK_INDEX_HEAD - AT_SIZE);

	return (uint32_t)crc32(crc, x->filter, x->size);
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		const ssize_t r = write(fd, p, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

void disk_index_name(const char *id, char ret[STORE_NAME])
{
	snprintf(ret, STORE_NAME, "%.16s.index", id);
}

int64_t disk_index_write(struct disk_index *x, int fd)
{
	uint8_t head[DISK_INDEX_HEAD] = MAGIC;
	int r;

	fold(x);
	put32(head + AT_SIZE, x->size);
	put64(head + AT_BYTES, x->bytes);
	put64(head + AT_FIRST, x->first_ns);
	put64(head + AT_LAST, x->last_ns);
	put64(head + AT_PACKETS, x->packets);
	put64(head + AT_LOST, x->lost);
	put32(head + AT_CRC, checksum(head, x));
	r = write_all(fd, head, sizeof(head));
	r = r ?: write_all(fd, x->filter, x->size);
	return r ?: (int64_t)sizeof(head) + x->size;
}

void disk_index_remove(int dir, const char *id)
{
	char name[STORE_NAME];

	disk_index_name(id, name);
	unlinkat(dir, name, 0);
}

int64_t disk_index_save(int dir, const char *id, struct disk_index *x)
{
	char name[STORE_NAME];
	int64_t n;
	int fd;

	disk_index_name(id, name);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -errno;
	n = disk_index_write(x, fd);
	close(fd);
	if (n < 0)
		unlinkat(dir, name, 0);
	return n;
}

/* @at: from the file's beginning. */
static int read_all(int fd, uint8_t *p, size_t n, off_t at)
{
	while (n) {
		const ssize_t r = pread(fd, p, n, at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r ? -errno : -EBADMSG;
		p += r;
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

int disk_index_read(int fd, struct disk_index *ret)
{
	uint8_t head[DISK_INDEX_HEAD];
	struct disk_index x = {};
	struct stat st;
	int r = read_all(fd, head, sizeof(head), 0);

	if (r)
		return r;
	x.size = get_le32(head + AT_SIZE);
	x.bytes = get64(head + AT_BYTES);
	x.first_ns = get64(head + AT_FIRST);
	x.last_ns = get64(head + AT_LAST);
	x.packets = get64(head + AT_PACKETS);
	x.lost = get64(head + AT_LOST);
	if (memcmp(head, MAGIC, AT_CRC) != 0 || x.size < DISK_INDEX_LEAST ||
	    x.size > DISK_INDEX_MOST || (x.size & (x.size - 1)) != 0 || fstat(fd, &st) ||
	    st.st_size != (off_t)(DISK_INDEX_HEAD + x.size))
		return -EBADMSG;
	x.filter = malloc(x.size);
	r = x.filter ? read_all(fd, x.filter, x.size, DISK_INDEX_HEAD) : -ENOMEM;
	if (!r && checksum(head, &x) != get_le32(head + AT_CRC))
		r = -EBADMSG;
	if (r)
		disk_index_done(&x);
	else
		*ret = x;
	return r;
}

int disk_index_load(int dir, const char *id, struct disk_index *ret)
{
	char name[STORE_NAME];
	int fd, r;

	disk_index_name(id, name);
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	r = disk_index_read(fd, ret);
	close(fd);
	return r;
}
