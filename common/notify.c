// SPDX-License-Identifier: Apache-2.0
#include "common/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/scan.h"

static uint64_t watchdog_ns(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t v;

	if (!usec || scan_u64(usec, 1, UINT64_MAX / 1000, &v))
		return 0;
	if (pid) {
		uint64_t who;

		if (scan_u64(pid, 1, INT32_MAX, &who) || who != (uint64_t)getpid())
			return 0;
	}
	return v * 1000;
}

int notify_open(uint64_t *ret_watchdog_ns)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t len;
	int fd;

	*ret_watchdog_ns = 0;
	if (!path || !*path)
		return -ENOENT;
	len = strlen(path);
	if (len >= sizeof(a.sun_path) || (*path != '/' && *path != '@'))
		return -EINVAL;
	memcpy(a.sun_path, path, len);
	if (*path == '@') /* abstract */
		a.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&a,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len))) {
		int r = -errno;

		close(fd);
		return r;
	}
	*ret_watchdog_ns = watchdog_ns();
	return fd;
}

void notify_send(int fd, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	if (fd < 0)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n <= 0)
		return;
	/* nothing can be done about a manager that is gone or does not read */
	(void)send(fd, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1, MSG_NOSIGNAL);
}
