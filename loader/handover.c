// SPDX-License-Identifier: Apache-2.0
#include "loader/handover.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ASKED_S 1  /* for the word of one that has connected */
#define LEAVE_S 20 /* for one that was asked: it may be in the middle of a reload */
#define PLACE_S 60 /* for one that puts its programs in place */

enum { MSG_LEAVE = 1, MSG_LEFT = 2, MSG_IN_PLACE = 3 };

/* Never changes its form: the two may be of different versions. */
struct message {
	uint32_t what;
	uint32_t zero;
	char tables[120];
};

/* The directory of each BPF file system has a number that no other one has. */
static socklen_t address(int dir, struct sockaddr_un *a)
{
	struct stat st;
	int n;

	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (fstat(dir, &st))
		return 0;
	n = snprintf(a->sun_path + 1, sizeof(a->sun_path) - 1, "weir-replace-%llx-%llx",
		     (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static void set_timeout(int fd, int seconds)
{
	struct timeval t = {.tv_sec = seconds};

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

static int put(int fd, uint32_t what, const char *tables)
{
	struct message m = {.what = what};

	snprintf(m.tables, sizeof(m.tables), "%s", tables);
	return send(fd, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m) ? 0 : -EPIPE;
}

/* Wait for one. 0 or -errno. */
static int get(int fd, uint32_t what, struct message *ret)
{
	ssize_t n;

	do
		n = recv(fd, ret, sizeof(*ret), 0);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(*ret) || ret->what != what)
		return -EPIPE;
	ret->tables[sizeof(ret->tables) - 1] = '\0';
	return 0;
}

int handover_listen(int dir)
{
	struct sockaddr_un a;
	socklen_t len = address(dir, &a);
	int fd = len ? socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
	int r;

	if (fd < 0)
		return -errno;
	if (!bind(fd, (struct sockaddr *)&a, len) && !listen(fd, 4))
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/* Who may send us a signal may ask. */
static bool may_ask(int fd, int *ret_pid)
{
	struct ucred who = {};
	socklen_t n = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n))
		return false;
	*ret_pid = who.pid;
	return !who.uid || who.uid == geteuid();
}

int handover_accept(int listening, int *ret_pid)
{
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	struct message m;

	if (fd < 0)
		return -EAGAIN;
	set_timeout(fd, ASKED_S);
	if (may_ask(fd, ret_pid) && !get(fd, MSG_LEAVE, &m))
		return fd;
	close(fd); /* it only looked whether we are here */
	return -EAGAIN;
}

void handover_left(int fd)
{
	(void)put(fd, MSG_LEFT, "");
}

bool handover_wait(int fd, const char *tables)
{
	struct message m;

	set_timeout(fd, PLACE_S);
	return !get(fd, MSG_IN_PLACE, &m) && strcmp(m.tables, tables);
}

static int reach(int dir)
{
	struct sockaddr_un a;
	socklen_t len = address(dir, &a);
	int fd = len ? socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) : -1, r;

	if (fd < 0)
		return -errno;
	set_timeout(fd, LEAVE_S);
	if (!connect(fd, (struct sockaddr *)&a, len))
		return fd;
	r = -errno;
	close(fd);
	return r;
}

bool handover_is_there(int dir)
{
	int fd = reach(dir);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int handover_ask(int dir)
{
	struct message m;
	int fd = reach(dir), r;

	if (fd < 0)
		return fd;
	r = put(fd, MSG_LEAVE, "");
	r = r ?: get(fd, MSG_LEFT, &m);
	if (!r)
		return fd;
	close(fd);
	return r;
}

void handover_done(int fd, const char *tables)
{
	(void)put(fd, MSG_IN_PLACE, tables);
	close(fd);
}
