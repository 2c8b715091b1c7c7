// SPDX-License-Identifier: Apache-2.0
#include "loader/capture/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "loader/command.h"
#include "loader/settings.h"

static int cannot_open(const char *dir, const char *sub, int err)
{
	fprintf(stderr, "weir: %s%s%s: %s%s\n", dir, sub ? "/" : "", sub ?: "", strerror(err),
		err == EACCES	? " — packets are for root, and the group of capture.group"
		: err == ENOENT ? " — it is made when weir runs with capture.ring"
				: "");
	return err == EACCES ? EXIT_PERM : EXIT_FAILED;
}

static int open_both(const char *dir, const char *sub, int *ret_fd)
{
	const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int below = fd, rc = EXIT_OK;

	if (fd < 0)
		return cannot_open(dir, NULL, errno);
	if (sub)
		below = openat(fd, sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (below < 0)
		rc = cannot_open(dir, sub, errno);
	if (sub)
		close(fd);
	*ret_fd = below;
	return rc;
}

int files_dir_open(const char *dir, const char *config, const char *sub, int *ret_fd)
{
	static struct config_errors errs;
	const struct settings_args args = {.config = config};
	struct settings *s = NULL;
	int rc;

	if (dir)
		return open_both(dir, sub, ret_fd);
	errs.count = 0;
	if (settings_one(&weir_settings, SET_CAPTURE_DIR, config, &s, &errs)) {
		settings_print_errors(&weir_settings, &args, &errs, stderr);
		return EXIT_USAGE;
	}
	if (settings_is_word(s, SET_CAPTURE_DIR)) {
		fputs("weir: capture.dir is none: there is no place for packets here\n", stderr);
		rc = EXIT_FAILED;
	} else {
		rc = open_both(settings_text(s, SET_CAPTURE_DIR), sub, ret_fd);
	}
	settings_free(s);
	return rc;
}

int files_create(const char *path, FILE **ret)
{
	const int fd = !strcmp(path, "-")
			       ? STDOUT_FILENO
			       : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	*ret = fd < 0 ? NULL : fdopen(fd, "w");
	if (*ret)
		return EXIT_OK;
	fprintf(stderr, "weir: %s: %s\n", path, strerror(errno));
	return errno == EACCES ? EXIT_PERM : EXIT_FAILED;
}
