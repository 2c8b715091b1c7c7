// SPDX-License-Identifier: Apache-2.0
#include "loader/capture/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "loader/bytes.h"
#include "loader/capture/pcapng.h"

#define SECTION_BODY 24u /* of the section block, up to its options */

bool store_is_id(const char *text)
{
	return strspn(text, "0123456789abcdef") == STORE_ID && !text[STORE_ID];
}

void store_new_id(uint64_t *last, char ret[STORE_ID + 1])
{
	struct timespec ts;
	uint64_t id;

	clock_gettime(CLOCK_REALTIME, &ts);
	id = (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
	*last = id > *last ? id : *last + 1;
	snprintf(ret, STORE_ID + 1, "%016" PRIx64, *last);
}

void store_name(const char *id, bool part, char ret[STORE_NAME])
{
	snprintf(ret, STORE_NAME, "%.16s.%s", id, part ? "part" : "pcapng");
}

/* False: the name is not one of ours. */
static bool take_name(const char *name, struct store_file *f)
{
	const char *dot = strchr(name, '.');

	if (!dot || dot - name != STORE_ID)
		return false;
	snprintf(f->id, sizeof(f->id), "%.16s", name);
	f->part = !strcmp(dot, ".part");
	return store_is_id(f->id) && (f->part || !strcmp(dot, ".pcapng"));
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct store_file *)a)->id, ((const struct store_file *)b)->id);
}

static int add_file(int dir, const char *name, struct store_file **files, size_t *n)
{
	struct store_file f = {};
	struct store_file *more;
	struct stat st;

	if (!take_name(name, &f) || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(st.st_mode) || *n == STORE_FILES_MAX)
		return 0;
	f.bytes = (uint64_t)st.st_size;
	f.ended_us = st.st_mtim.tv_sec * INT64_C(1000000) + st.st_mtim.tv_nsec / 1000;
	if (!(*n & (*n - 1))) { /* full at each power of two */
		more = reallocarray(*files, *n ? *n * 2 : 1, sizeof(f));
		if (!more)
			return -ENOMEM;
		*files = more;
	}
	(*files)[(*n)++] = f;
	return 0;
}

int store_list(int dir, struct store_file **ret, size_t *ret_n)
{
	struct store_file *files = NULL;
	const struct dirent *e;
	size_t n = 0;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (!r && (e = readdir(d)))
		r = add_file(dir, e->d_name, &files, &n);
	closedir(d);
	if (r) {
		free(files);
		return r;
	}
	if (n)
		qsort(files, n, sizeof(*files), by_id);
	*ret = files;
	*ret_n = n;
	return 0;
}

int store_mend(int dir)
{
	char part[STORE_NAME], whole[STORE_NAME];
	struct store_file *f = NULL;
	size_t n = 0;
	int r = store_list(dir, &f, &n);

	for (size_t i = 0; !r && i < n; i++) {
		store_name(f[i].id, true, part);
		store_name(f[i].id, false, whole);
		if (f[i].part && renameat(dir, part, dir, whole))
			r = -errno;
	}
	free(f);
	return r;
}

int store_room(int dir, uint64_t quota, uint64_t held, uint64_t want, uint64_t *removed)
{
	char name[STORE_NAME];
	struct store_file *f = NULL;
	uint64_t sum = held;
	size_t n = 0;
	int r;

	if (want > quota || held > quota - want)
		return -ENOSPC;
	r = store_list(dir, &f, &n);
	for (size_t i = 0; i < n; i++)
		sum += f[i].part ? 0 : f[i].bytes;
	for (size_t i = 0; !r && i < n && sum > quota - want; i++) {
		if (f[i].part)
			continue;
		store_name(f[i].id, false, name);
		if (unlinkat(dir, name, 0) && errno != ENOENT) {
			r = -errno;
			break;
		}
		sum -= f[i].bytes;
		++*removed;
	}
	free(f);
	return r;
}

int store_open_file(int dir, const char *id)
{
	char name[STORE_NAME];
	int fd = -1;

	/* it may be named anew in between, once */
	for (unsigned int i = 0; i < 3 && fd < 0; i++) {
		store_name(id, i == 1, name);
		fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 && errno != ENOENT)
			break;
	}
	return fd < 0 ? -errno : fd;
}

int store_remove_file(int dir, const char *id)
{
	char name[STORE_NAME];

	store_name(id, false, name);
	if (!unlinkat(dir, name, 0))
		return 0;
	if (errno != ENOENT)
		return -errno;
	store_name(id, true, name);
	return faccessat(dir, name, F_OK, 0) ? -ENOENT : -EBUSY;
}

/* The comment among the options of the section block. */
static json_t *comment_of(const uint8_t *block, size_t len)
{
	size_t at = SECTION_BODY;

	while (at + 4 <= len) {
		const uint32_t code = get_le16(block + at), n = get_le16(block + at + 2);

		if (!code || at + 4 + n > len)
			break;
		if (code == 1)
			return json_loadb((const char *)block + at + 4, n, 0, NULL);
		at += 4 + ((n + 3) & ~3u);
	}
	return NULL;
}

json_t *store_tell(int dir, const struct store_file *f)
{
	uint8_t block[PCAPNG_BLOCK_MAX];
	char name[STORE_NAME];
	json_t *o = NULL;
	ssize_t n;
	int fd;

	store_name(f->id, f->part, name);
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return NULL;
	n = pread(fd, block, sizeof(block), 0);
	close(fd);
	errno = EBADMSG;
	if (n > (ssize_t)SECTION_BODY && get_le32(block) == 0x0a0d0d0a)
		o = comment_of(block,
			       (size_t)n < get_le32(block + 4) ? (size_t)n : get_le32(block + 4));
	if (o && !json_is_object(o)) {
		json_decref(o);
		o = NULL;
	}
	return o;
}
