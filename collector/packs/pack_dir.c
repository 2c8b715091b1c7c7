// SPDX-License-Identifier: Apache-2.0
/*
 * pack_dir.c - packs as directories: read without following anything, written so that they last.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/packs/pack.h"

#define KEY_FILE_MAX 4096u

static int said(char *why, int r, const char *name, const char *what)
{
	snprintf(why, PACK_WHY, "%.150s: %.80s", name, what);
	for (char *s = why; *s; s++)
		if ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f)
			*s = '?';
	return r;
}

/* ---- reading ---- */

/* All of a plain file, and room for one more; NULL: *ret_r. */
static char *read_fd(int fd, size_t max, size_t *ret_len, int *ret_r)
{
	struct stat st;
	char *bytes;
	size_t at = 0;
	ssize_t n = 1;

	*ret_r = -EINVAL;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return NULL;
	*ret_r = -E2BIG;
	if (st.st_size < 0 || (uint64_t)st.st_size > max)
		return NULL;
	bytes = malloc((size_t)st.st_size + 1);
	*ret_r = -ENOMEM;
	while (bytes && n > 0 && at < (size_t)st.st_size) {
		n = read(fd, bytes + at, (size_t)st.st_size - at);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			at += (size_t)n;
	}
	if (bytes && n < 0) {
		*ret_r = -EIO;
		free(bytes);
		return NULL;
	}
	*ret_len = at;
	return bytes;
}

static int read_file(struct pack *p, int dirfd, const char *name, const char *path, char *why)
{
	const int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	size_t len = 0;
	char *bytes;
	int r = -errno;

	if (fd < 0)
		return said(why, r, path, strerror(-r));
	bytes = read_fd(fd, PACK_FILE_MAX, &len, &r);
	close(fd);
	if (bytes)
		return pack_add(p, path, bytes, len, why);
	return said(why, r, path,
		    r == -EINVAL  ? "it is no plain file"
		    : r == -E2BIG ? "too large"
				  : strerror(-r));
}

/* A directory of the pack. */
struct place {
	int fd;
	const char *prefix; /* of names of what is in it */
	unsigned int depth;
};

static int read_below(struct pack *p, const struct place *at, char *why);

static int read_entry(struct pack *p, const struct place *at, const char *name, char *why)
{
	struct place below = {.depth = at->depth + 1};
	char path[PACK_PATH_MAX * 2];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s%s", at->prefix, name) + 1 >= (int)sizeof(path))
		return said(why, -E2BIG, at->prefix, "a name that is too long");
	if (fstatat(at->fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return said(why, -errno, path, strerror(errno));
	if (S_ISREG(st.st_mode))
		return read_file(p, at->fd, name, path, why);
	if (!S_ISDIR(st.st_mode))
		return said(why, -EINVAL, path, "a pack has files and directories alone, no links");
	if (at->depth == PACK_DEPTH_MAX)
		return said(why, -E2BIG, path, "directories are too deep");
	below.fd = openat(at->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (below.fd < 0)
		return said(why, -errno, path, strerror(errno));
	path[strlen(path) + 1] = 0;
	path[strlen(path)] = '/';
	below.prefix = path;
	return read_below(p, &below, why);
}

/* Its descriptor is taken over. */
static int read_below(struct pack *p, const struct place *at, char *why)
{
	DIR *dir = fdopendir(at->fd);
	const struct dirent *d;
	int r = 0;

	if (!dir) {
		close(at->fd);
		return said(why, -ENOMEM, at->prefix, strerror(errno));
	}
	while (!r && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			r = read_entry(p, at, d->d_name, why);
	closedir(dir);
	return r;
}

int pack_read_dir(struct pack *p, const char *path, char *why)
{
	const struct place top = {open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "", 1};

	return top.fd < 0 ? said(why, -errno, path, strerror(errno)) : read_below(p, &top, why);
}

int pack_read(struct pack *p, const char *path, char *why)
{
	const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	size_t len = 0;
	char *bytes;
	int r = -errno;

	if (fd < 0)
		return said(why, r, path, strerror(-r));
	if (!fstat(fd, &st) && S_ISDIR(st.st_mode)) {
		close(fd);
		return pack_read_dir(p, path, why);
	}
	bytes = read_fd(fd, PACK_BYTES_MAX, &len, &r);
	close(fd);
	if (!bytes)
		return said(why, r, path, r == -E2BIG ? "too large" : "no directory, no file");
	r = pack_read_tar(p, bytes, len, why);
	free(bytes);
	return r;
}

int pack_read_keys(struct pack_keys *k, const char *path, char *why)
{
	DIR *dir = opendir(path);
	const struct dirent *d;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : said(why, -errno, path, strerror(errno));
	while (!r && (d = readdir(dir))) {
		const size_t n = strlen(d->d_name);
		size_t len = 0;
		char *pem;
		int fd;

		if (n < 5 ||
		    (strcmp(d->d_name + n - 4, ".pem") && strcmp(d->d_name + n - 4, ".pub")))
			continue;
		if (k->n == PACK_KEYS_MAX) {
			r = said(why, -E2BIG, path, "too many keys");
			break;
		}
		fd = openat(dirfd(dir), d->d_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		pem = fd < 0 ? NULL : read_fd(fd, KEY_FILE_MAX, &len, &r);
		if (fd >= 0)
			close(fd);
		if (!pem || policy_read_public(pem, len, k->v[k->n]))
			r = said(why, -EINVAL, d->d_name, "no ed25519 public key in PEM");
		else
			k->n++, r = 0;
		free(pem);
	}
	closedir(dir);
	return r;
}

/* ---- writing ---- */

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		const ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* What root makes belongs to whom the directory around it belongs to. */
static void hand_over(int fd, const struct stat *owner)
{
	if (!geteuid())
		(void)!fchown(fd, owner->st_uid, owner->st_gid); /* root can read it all the same */
}

/* A directory that is there or is made. Return: its descriptor, -errno. */
static int step_into(int at, const char *name, const struct stat *owner)
{
	int fd;

	if (mkdirat(at, name, 0755) && errno != EEXIST)
		return -errno;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	hand_over(fd, owner);
	return fd;
}

static int write_file(int top, const struct pack_file *f, const struct stat *owner)
{
	char path[PACK_PATH_MAX + 1], *name = path, *slash;
	int at = dup(top), fd, r = 0;

	snprintf(path, sizeof(path), "%s", f->name);
	while (at >= 0 && (slash = strchr(name, '/'))) {
		*slash = 0;
		fd = step_into(at, name, owner);
		close(at);
		at = fd;
		name = slash + 1;
	}
	if (at < 0)
		return at;
	fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0) {
		r = -errno;
	} else {
		hand_over(fd, owner);
		r = write_all(fd, f->bytes, f->len);
		if (!r && fsync(fd))
			r = -errno;
		close(fd);
	}
	if (!r && fsync(at))
		r = -errno;
	close(at);
	return r;
}

int pack_write_dir(const struct pack *p, int dirfd, const char *name, char *why)
{
	struct stat owner;
	int top, r = 0;

	if (fstat(dirfd, &owner) || mkdirat(dirfd, name, 0755))
		return said(why, -errno, name, strerror(errno));
	top = step_into(dirfd, name, &owner);
	if (top < 0)
		return said(why, top, name, strerror(-top));
	for (uint32_t i = 0; i < p->n && !r; i++) {
		r = write_file(top, &p->files[i], &owner);
		if (r)
			said(why, r, p->files[i].name, strerror(-r));
	}
	if (!r && (fsync(top) || fsync(dirfd)))
		r = said(why, -errno, name, strerror(errno));
	close(top);
	return r;
}

int pack_remove_dir(int dirfd, const char *name)
{
	const int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	int r = 0;

	if (!dir) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (!r && (d = readdir(dir))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (unlinkat(fd, d->d_name, 0))
			r = errno == EISDIR || errno == EPERM ? pack_remove_dir(fd, d->d_name)
							      : -errno;
	}
	closedir(dir);
	return r ?: unlinkat(dirfd, name, AT_REMOVEDIR) ? -errno : 0;
}
