// SPDX-License-Identifier: Apache-2.0
/*
 * disk_mend.c - the disk ring's files that nobody ended, as after a kill: up to the last whole block, with an index
 * of what is there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/parse.h"
#include "loader/capture/disk_file.h"
#include "loader/capture/disk_ring.h"

/* All its packets. Return: 0, -errno. */
static int read_packets(struct disk_file *f, struct disk_index *x)
{
	static const struct parse_cfg outer;
	struct pcapng_packet p;
	int r;

	while ((r = disk_file_next(f, &p)) > 0) {
		struct pkt k = {};
		const bool parsed = !parse_frame(p.bytes, p.len, p.wire_len, &outer, &k);

		disk_index_add(x, p.ns, parsed ? &k : NULL);
	}
	x->bytes = f->at;
	x->lost = f->lost;
	return r;
}

/* Its packets, and its end behind the last whole block. Return: 0, -errno. */
static int cut(int dir, const char *part, struct disk_index *x)
{
	struct disk_file *f = malloc(sizeof(*f));
	const int fd = openat(dir, part, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int r = fd < 0 ? -errno : f ? disk_file_open(f, fd) : -ENOMEM;

	if (!r) {
		r = read_packets(f, x);
		disk_file_close(f);
	}
	if (!r && x->packets && ftruncate(fd, (off_t)x->bytes))
		r = -errno;
	if (fd >= 0)
		close(fd);
	free(f);
	return r;
}

/* One without packets goes. */
static int mend(int dir, const struct store_file *file)
{
	char part[STORE_NAME], whole[STORE_NAME];
	struct disk_index x;
	int r = disk_index_init(&x, file->bytes);

	store_name(file->id, true, part);
	store_name(file->id, false, whole);
	r = r ?: cut(dir, part, &x);
	if (!r && x.packets) {
		disk_index_save(dir, file->id, &x); /* without one, all of the file is read */
		r = renameat(dir, part, dir, whole) ? -errno : 0;
	} else if (!r) {
		disk_index_remove(dir, file->id); /* of a longer one, that somebody has cut */
		r = unlinkat(dir, part, 0) ? -errno : 0;
	}
	disk_index_done(&x);
	return r;
}

/* Somebody has removed the file, and not its index. */
static void remove_orphans(int dir)
{
	char name[STORE_NAME], id[STORE_ID + 1];
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d))) {
		if (strlen(e->d_name) != STORE_ID + 6 ||
		    strcmp(e->d_name + STORE_ID, ".index") != 0)
			continue;
		snprintf(id, sizeof(id), "%.16s", e->d_name);
		store_name(id, false, name);
		if (store_is_id(id) && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) &&
		    errno == ENOENT)
			unlinkat(dir, e->d_name, 0);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

/* 0: there is none, or nothing is known of it. */
static uint64_t last_ns_of(int dir, const struct store_file *f)
{
	struct disk_index x = {};

	if (!disk_index_load(dir, f->id, &x))
		disk_index_done(&x);
	return x.last_ns;
}

int disk_ring_mend(int dir, uint64_t *ret_last_ns)
{
	struct store_file *f = NULL;
	size_t n = 0;
	int r = store_list(dir, &f, &n), one;

	*ret_last_ns = 0;
	for (size_t i = 0; i < n; i++) {
		one = f[i].part ? mend(dir, &f[i]) : 0;
		r = r ?: one;
	}
	for (size_t i = n; i-- && !*ret_last_ns;)
		*ret_last_ns = last_ns_of(dir, &f[i]);
	free(f);
	remove_orphans(dir);
	return r;
}
