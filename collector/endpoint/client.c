// SPDX-License-Identifier: Apache-2.0
#include "collector/endpoint/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "collector/endpoint/endpoint.h"
#include "collector/query/answer_line.h"
#include "common/commands.h"

struct client {
	int fd, passed;	  /* passed: a descriptor that came, -1 */
	size_t done, len; /* octets in buf, of these taken */
	char buf[ANSWER_LINE_MAX];
};

const struct cli_option client_where_options[] = {
	{CLIENT_SOCKET, 0, "socket", "PATH", CLI_FILE, NULL,
	 "local socket of the collector to ask"},
	{CLIENT_CONFIG, 0, "config", "FILE", CLI_FILE, COLLECTOR_FILE " if it is there",
	 "configuration file that says where the socket and the store are"},
	{CLIENT_STORE, 0, "store", "DIR", CLI_DIR, NULL, "open this store, and ask no collector"},
	{},
};

bool client_where_option(struct client_at *at, int id, const char *arg)
{
	if (id == CLIENT_SOCKET)
		at->socket = arg;
	else if (id == CLIENT_CONFIG)
		at->config = arg;
	else if (id == CLIENT_STORE)
		at->store = arg;
	else
		return false;
	return true;
}

/* The socket's path, "" for none. */
static int find_path(const struct client_at *at, char *ret, size_t cap)
{
	static struct config_errors errs;
	const struct settings_args args = {.config = at->config};
	struct settings *s;

	if (at->socket) {
		snprintf(ret, cap, "%s", at->socket);
		return 0;
	}
	errs.count = 0;
	if (settings_one(&collector_settings, CSET_CONTROL_SOCKET, at->config, &s, &errs)) {
		settings_print_errors(&collector_settings, &args, &errs, stderr);
		return EXIT_USAGE;
	}
	snprintf(ret, cap, "%s", collector_path(s, CSET_CONTROL_SOCKET) ?: "");
	settings_free(s);
	return 0;
}

static int cannot(const char *path, int err)
{
	if (err == EACCES || err == EPERM) {
		fprintf(stderr,
			"weir-collector: %s: not permitted — be root, or in the group that owns the "
			"socket (control.group)\n",
			path);
		return EXIT_PERM;
	}
	fprintf(stderr, "weir-collector: %s: %s\n", path, strerror(err));
	return EXIT_PEER;
}

int client_connect(const struct client_at *at, struct client **ret)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char path[sizeof(a.sun_path) + 1];
	struct client *c;
	int rc;

	*ret = NULL;
	if (at->store)
		return 0;
	rc = find_path(at, path, sizeof(path));
	if (rc || !*path)
		return rc;
	if (strlen(path) >= sizeof(a.sun_path))
		return cannot(path, ENAMETOOLONG);
	memcpy(a.sun_path, path, strlen(path));
	c = calloc(1, sizeof(*c));
	if (!c)
		return cannot(path, ENOMEM);
	c->passed = -1;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd >= 0 && !connect(c->fd, (const struct sockaddr *)&a, sizeof(a))) {
		*ret = c;
		return 0;
	}
	rc = errno;
	client_free(c);
	/* Nobody there: the store can be opened, unless a socket was asked for by name. */
	return (rc == ENOENT || rc == ECONNREFUSED) && !at->socket ? 0 : cannot(path, rc);
}

void client_free(struct client *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	if (c->passed >= 0)
		close(c->passed);
	free(c);
}

int client_send(struct client *c, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0, sent = 0;

	json_decref(request);
	if (len >= ENDPOINT_REQUEST_MAX) {
		fputs("weir-collector: that is more than a collector takes at once\n", stderr);
		free(text);
		return EXIT_USAGE;
	}
	if (text)
		text[len++] = '\n'; /* in place of the 0 */
	while (text && sent < len) {
		const ssize_t n = send(c->fd, text + sent, len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	free(text);
	if (text && sent == len)
		return 0;
	fprintf(stderr, "weir-collector: the collector does not listen any more\n");
	return EXIT_PEER;
}

static void take_descriptor(struct client *c, struct msghdr *m)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(m);

	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS ||
	    cmsg->cmsg_len != CMSG_LEN(sizeof(int)))
		return;
	if (c->passed >= 0)
		close(c->passed);
	memcpy(&c->passed, CMSG_DATA(cmsg), sizeof(c->passed));
}

static int receive(struct client *c)
{
	struct iovec iov = {c->buf + c->len, sizeof(c->buf) - c->len};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.buf,
			   .msg_controllen = sizeof(control.buf)};
	ssize_t n;

	if (!iov.iov_len)
		return -EBADMSG;
	n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EINTR ? -EINTR : -EPIPE;
	if (!n)
		return -EPIPE;
	take_descriptor(c, &m);
	c->len += (size_t)n;
	return 0;
}

int client_line(struct client *c, json_t **ret, int *ret_fd)
{
	char *nl;
	size_t n;

	*ret_fd = -1;
	while (!(nl = memchr(c->buf + c->done, '\n', c->len - c->done))) {
		int r;

		memmove(c->buf, c->buf + c->done, c->len - c->done);
		c->len -= c->done;
		c->done = 0;
		r = receive(c);
		if (r)
			return r;
	}
	n = (size_t)(nl - c->buf) - c->done;
	*ret = json_loadb(c->buf + c->done, n, JSON_ALLOW_NUL, NULL);
	c->done += n + 1;
	if (!*ret)
		return -EBADMSG;
	*ret_fd = c->passed;
	c->passed = -1;
	return 0;
}

int client_settings(const struct client_at *at, struct settings **ret)
{
	static struct config_errors errs;
	struct settings_args args = {.config = at->config};

	errs.count = 0;
	if (at->store)
		settings_option(&args, SETTINGS_OPTION + CSET_STORE_DIR, at->store);
	if (!settings_load(&collector_settings, &args, ret, &errs))
		return 0;
	settings_print_errors(&collector_settings, &args, &errs, stderr);
	return EXIT_USAGE;
}
