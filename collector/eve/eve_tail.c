// SPDX-License-Identifier: Apache-2.0
/*
 * eve_tail.c - files that are followed. A file is the one it was while device and inode are, it is no shorter
 * than what has been read of it, and the last octets that were read are still there: inodes are used again,
 * and a file that was cut may have grown past where it was.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/eve/eve_line.h"
#include "collector/eve/eve_lines.h"

#define BEFORE_MAX 64u	      /* octets that tell a file from what took its place */
#define READ_MAX   (4u << 20) /* octets in one go: other sources want their turn */
#define PATH_BYTES 4096u

/* The octets before @at as a number; 0: they can't be read. */
static uint64_t hash_before(int fd, uint64_t at)
{
	const size_t n = at < BEFORE_MAX ? (size_t)at : BEFORE_MAX;
	uint8_t buf[BEFORE_MAX];

	if (pread(fd, buf, n, (off_t)(at - n)) != (ssize_t)n)
		return 0;
	return eve_hash(EVE_HASH, buf, n);
}

static int open_file(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && (fstat(fd, st) || !S_ISREG(st->st_mode))) {
		close(fd);
		fd = -EBADF;
	}
	return fd >= 0 ? fd : -EBADF;
}

static void begin(struct eve_tail *t, int fd, uint64_t at)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = fd;
	t->at = at;
	t->before = fd >= 0 ? hash_before(fd, at) : 0;
}

/* ---- where to begin ---- */

static bool has_content(int fd, const struct stat *st, const struct eve_position *p)
{
	return (uint64_t)st->st_size >= p->offset && hash_before(fd, p->offset) == p->before;
}

static bool is_file(const struct stat *st, const struct eve_position *p)
{
	return st->st_dev == p->dev && st->st_ino == p->ino;
}

/* How a file may be the one that a place is in. */
enum match {
	BY_INODE,
	BY_CONTENT, /* a copy, from before it was cut: what was read last is in it */
};

static int open_if(const char *path, const struct eve_position *p, enum match how)
{
	struct stat st;
	const int fd = open_file(path, &st);

	if (fd < 0 ||
	    ((how == BY_CONTENT ? p->offset > 0 : is_file(&st, p)) && has_content(fd, &st, p)))
		return fd;
	close(fd);
	return -EBADF;
}

/* Among the files beside @path whose names begin like its own. */
static int find_beside(const char *path, const struct eve_position *p, enum match how)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	char dir[PATH_BYTES], name[PATH_BYTES];
	const struct dirent *e;
	int fd = -EBADF;
	DIR *d;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	d = opendir(dir);
	while (d && fd < 0 && (e = readdir(d)))
		if (!strncmp(e->d_name, base, strlen(base)) &&
		    snprintf(name, sizeof(name), "%s/%s", dir, e->d_name) < (int)sizeof(name))
			fd = open_if(name, p, how);
	if (d)
		closedir(d);
	return fd;
}

static int find(const char *path, const struct eve_position *p)
{
	const int fd = find_beside(path, p, BY_INODE);

	return fd >= 0 ? fd : find_beside(path, p, BY_CONTENT);
}

/* The first file of the chain that is there; the rest stays. -EBADF: none. */
static int take_chain(struct eve_tail *t, uint64_t *ret_at, bool *ret_gone)
{
	int fd = -EBADF;

	while (t->chain.n && fd < 0) {
		const struct eve_position p = t->chain.v[0];

		t->chain.n--;
		memmove(t->chain.v, t->chain.v + 1, t->chain.n * sizeof(*t->chain.v));
		fd = find(t->path, &p);
		*ret_at = p.offset;
		*ret_gone |= fd < 0 && p.ino;
	}
	return fd;
}

static void begin_at_end(struct eve_tail *t)
{
	char last = '\n';
	struct stat st;
	int fd = open_file(t->path, &st);
	const uint64_t size = fd >= 0 ? (uint64_t)st.st_size : 0;

	begin(t, fd, size);
	/* the rest of a line that was being written */
	t->lines.skipping = size && pread(fd, &last, 1, (off_t)size - 1) == 1 && last != '\n';
}

int eve_tail_open(struct eve_tail *t, const char *path, const struct eve_chain *from,
		  bool *ret_gone)
{
	uint64_t at = 0;
	struct stat st;
	int fd;

	*t = (struct eve_tail){.path = path, .fd = -EBADF};
	*ret_gone = false;
	if (eve_lines_init(&t->lines))
		return -ENOMEM;
	if (!from) {
		begin_at_end(t);
		return 0;
	}
	t->chain = *from;
	fd = take_chain(t, &at, ret_gone);
	if (fd < 0)
		begin(t, open_file(path, &st), 0);
	else
		begin(t, fd, at);
	return 0;
}

void eve_tail_done(struct eve_tail *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -EBADF;
	eve_lines_done(&t->lines);
}

/* ---- following ---- */

static bool was_cut(const struct eve_tail *t)
{
	struct stat st;

	return t->fd >= 0 && !fstat(t->fd, &st) &&
	       ((uint64_t)st.st_size < t->at || hash_before(t->fd, t->at) != t->before);
}

/* Another file has the name, and somebody has begun to write it; until then the old one may grow. */
static int open_next(struct eve_tail *t)
{
	struct stat now, was;
	bool gone = false;
	uint64_t at;
	int fd = take_chain(t, &at, &gone);

	if (fd >= 0)
		return fd;
	fd = open_file(t->path, &now);
	if (fd < 0)
		return -EBADF;
	if (t->fd < 0)
		return fd;
	if (!now.st_size || fstat(t->fd, &was) ||
	    (now.st_dev == was.st_dev && now.st_ino == was.st_ino)) {
		close(fd);
		return -EBADF;
	}
	return fd;
}

/* Return: true: there may be more than was read. */
static bool read_some(struct eve_tail *t, const struct eve_sink *to)
{
	size_t sum = 0, room;

	while (t->fd >= 0 && sum < READ_MAX) {
		char *p = eve_lines_room(&t->lines, &room);
		const ssize_t n = pread(t->fd, p, room, (off_t)t->at);

		if (n <= 0)
			break;
		t->at += (uint64_t)n;
		sum += (size_t)n;
		eve_lines_took(&t->lines, (size_t)n, to);
	}
	if (sum)
		t->before = hash_before(t->fd, t->at);
	return sum >= READ_MAX;
}

bool eve_tail_read(struct eve_tail *t, const struct eve_sink *to, enum eve_change *ret_change)
{
	int next;

	*ret_change = EVE_SAME;
	if (was_cut(t)) {
		*ret_change = EVE_TRUNCATED;
		t->lines.len = 0;
		t->lines.skipping = false;
		t->at = 0;
		t->before = hash_before(t->fd, 0); /* it may stay empty: it has been cut once */
	}
	if (read_some(t, to))
		return true;
	next = open_next(t);
	if (next < 0)
		return false;
	/* what was written before somebody began the next one */
	while (read_some(t, to))
		;
	if (t->fd >= 0) {
		*ret_change = EVE_ROTATED;
		eve_lines_end(&t->lines, to);
	}
	begin(t, next, 0);
	return true;
}

bool eve_tail_position(const struct eve_tail *t, struct eve_position *ret)
{
	struct stat st;

	if (t->fd < 0 || fstat(t->fd, &st))
		return false;
	*ret = (struct eve_position){st.st_dev, st.st_ino, t->at - t->lines.len, 0};
	ret->before = hash_before(t->fd, ret->offset);
	return true;
}
