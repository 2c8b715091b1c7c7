// SPDX-License-Identifier: Apache-2.0
/*
 * files.c - the files of an export, by kind and number: all paths are made here, from the
 * configuration alone. Runs with the rights of whoever calls it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/export/sink.h"

#define FILE_MODE  0640
#define PATH_BYTES (EXPORT_PATH_MAX + 64)
#define OPEN_FLAGS (O_CLOEXEC | O_NOFOLLOW | O_NOCTTY)

static int open_at(const char *path, int flags)
{
	int fd = open(path, flags | OPEN_FLAGS, FILE_MODE);

	return fd < 0 ? -errno : fd;
}

static void old_path(const struct export_cfg *cfg, uint64_t i, const char *suffix, char *buf)
{
	snprintf(buf, PATH_BYTES, "%s.%llu%s", cfg->path, (unsigned long long)i, suffix);
}

/* A missing file is no error: there need not be as many as are kept. */
static int move(const char *from, const char *to)
{
	return rename(from, to) && errno != ENOENT ? -errno : 0;
}

static int remove_if_there(const char *path)
{
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

static int shift(const struct export_cfg *cfg, const char *suffix)
{
	char from[PATH_BYTES], to[PATH_BYTES];
	int r;

	old_path(cfg, cfg->keep, suffix, to);
	r = remove_if_there(to);
	for (uint64_t i = cfg->keep; !r && i > 1; i--) {
		old_path(cfg, i - 1, suffix, from);
		old_path(cfg, i, suffix, to);
		r = move(from, to);
	}
	return r;
}

static int rotate(const struct export_cfg *cfg)
{
	char to[PATH_BYTES];
	int r = shift(cfg, "") ?: shift(cfg, ".gz");

	old_path(cfg, 1, "", to);
	return r ?: move(cfg->path, to);
}

static int spool_file(const struct export_cfg *cfg, uint32_t what, uint32_t n)
{
	char path[PATH_BYTES];

	if (!*cfg->spool)
		return -EINVAL;
	if (what == XF_SPOOL_LIST)
		return open_at(cfg->spool, O_RDONLY | O_DIRECTORY);
	if (what == XF_SPOOL_STATE) {
		snprintf(path, sizeof(path), "%s/%s.state", cfg->spool, cfg->name);
		return open_at(path, O_RDWR | O_CREAT);
	}
	snprintf(path, sizeof(path), "%s/%s-%010u.ipfix", cfg->spool, cfg->name, n);
	if (what == XF_SPOOL_NEW)
		return open_at(path, O_RDWR | O_CREAT | O_EXCL);
	if (what == XF_SPOOL_OPEN)
		return open_at(path, O_RDONLY);
	return remove_if_there(path);
}

static int old_file(const struct export_cfg *cfg, uint32_t what)
{
	char path[PATH_BYTES];

	old_path(cfg, 1, what == XF_OLD_GZIP ? ".gz" : "", path);
	if (what == XF_OLD_READ)
		return open_at(path, O_RDONLY);
	if (what == XF_OLD_GZIP)
		return open_at(path, O_WRONLY | O_CREAT | O_TRUNC);
	return remove_if_there(path);
}

int export_file(const struct export_cfg *cfg, uint32_t what, uint32_t n)
{
	switch (what) {
	case XF_OUTPUT:
		if (!*cfg->path)
			return -EINVAL;
		return open_at(cfg->path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK);
	case XF_ROTATE:
		return *cfg->path ? rotate(cfg) : -EINVAL;
	case XF_OLD_READ:
	case XF_OLD_GZIP:
	case XF_OLD_UNLINK:
		return *cfg->path ? old_file(cfg, what) : -EINVAL;
	case XF_SPOOL_LIST:
	case XF_SPOOL_NEW:
	case XF_SPOOL_OPEN:
	case XF_SPOOL_UNLINK:
	case XF_SPOOL_STATE:
		return spool_file(cfg, what, n);
	default:
		return -EINVAL;
	}
}
