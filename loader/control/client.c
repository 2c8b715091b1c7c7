// SPDX-License-Identifier: Apache-2.0
/*
 * client.c - see client.h.
 */
#include "loader/control/client.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/filter.h"
#include "loader/command.h"
#include "loader/control/control.h"
#include "loader/settings.h"

#define BUF_BYTES (1u << 20) /* several times the longest line */

enum { OPT_SOCKET = 901, OPT_CONFIG };

const struct cli_option client_options[] = {
	{OPT_SOCKET, 0, "socket", "PATH", CLI_FILE, NULL,
	 "control socket of the running weir; else control.socket of the configuration"},
	{OPT_CONFIG, 0, "config", "FILE", CLI_FILE, SETTINGS_FILE " if it is there",
	 "configuration file of the running weir"},
	{},
};

bool client_option(struct client_where *where, int id, const char *arg)
{
	if (id == OPT_SOCKET)
		where->socket = arg;
	else if (id == OPT_CONFIG)
		where->config = arg;
	else
		return false;
	return true;
}

int client_path(const struct client_where *where, const char **ret)
{
	static char path[CONTROL_PATH_MAX + 1]; /* one that is too long stays too long */
	static struct config_errors errs;
	const struct settings_args args = {.config = where->config};
	struct settings *s;
	char origin[300];
	int rc = 0;

	*ret = where->socket;
	if (where->socket)
		return 0;
	errs.count = 0;
	if (settings_one(&weir_settings, SET_CONTROL_SOCKET, where->config, &s, &errs)) {
		settings_print_errors(&weir_settings, &args, &errs, stderr);
		return EXIT_USAGE;
	}
	if (settings_is_word(s, SET_CONTROL_SOCKET)) {
		fprintf(stderr,
			"weir: control.socket is none (%s): there is nobody to ask — --socket "
			"names one\n",
			setting_origin(s, SET_CONTROL_SOCKET, origin, sizeof(origin)));
		rc = EXIT_PEER;
	}
	snprintf(path, sizeof(path), "%s", settings_text(s, SET_CONTROL_SOCKET));
	settings_free(s);
	*ret = path;
	return rc;
}

static int cannot_connect(const char *path, int err)
{
	if (err == EACCES || err == EPERM) {
		fprintf(stderr,
			"weir: %s: not permitted — be root, or in the group that owns the socket "
			"(control.group)\n",
			path);
		return EXIT_PERM;
	}
	if (err == ENOENT || err == ECONNREFUSED)
		fprintf(stderr,
			"weir: no weir is running here (%s: %s) — 'weir run' starts one; --socket "
			"names another\n",
			path, strerror(err));
	else
		fprintf(stderr, "weir: %s: %s\n", path, strerror(err));
	return EXIT_PEER;
}

int client_open(const struct client_where *where, struct control_client *ret)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const char *path;
	int fd, err;

	err = client_path(where, &path);
	if (err)
		return err;
	if (strlen(path) >= sizeof(a.sun_path))
		return cannot_connect(path, ENAMETOOLONG);
	memcpy(a.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return cannot_connect(path, errno);
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a))) {
		err = errno;
		close(fd);
		return cannot_connect(path, err);
	}
	*ret = (struct control_client){.fd = fd, .buf = malloc(BUF_BYTES)};
	if (ret->buf)
		return 0;
	close(fd);
	return cannot_connect(path, ENOMEM);
}

void client_close(struct control_client *c)
{
	if (!c->buf)
		return;
	free(c->buf);
	close(c->fd);
	*c = (struct control_client){.fd = -1};
}

int client_ask(struct control_client *c, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0, sent = 0;

	json_decref(request);
	if (text)
		text[len++] = '\n'; /* in place of the 0 */
	while (text && sent < len) {
		ssize_t n = send(c->fd, text + sent, len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	free(text);
	if (text && sent == len)
		return 0;
	return client_lost(-EPIPE);
}

/* Return: 1 something came; else as client_next(). */
static int fill(struct control_client *c, bool wait)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	ssize_t n;
	int r;

	if (c->done) {
		memmove(c->buf, c->buf + c->done, c->len - c->done);
		c->len -= c->done;
		c->done = 0;
	}
	if (c->len == BUF_BYTES)
		return -EBADMSG;
	r = poll(&p, 1, wait ? -1 : 0);
	if (r <= 0)
		return r < 0 ? -errno : 0;
	n = recv(c->fd, c->buf + c->len, BUF_BYTES - c->len, 0);
	if (n <= 0)
		return n < 0 && errno == EINTR ? -EINTR : -EPIPE;
	c->len += (size_t)n;
	return 1;
}

int client_next(struct control_client *c, bool wait, json_t **ret)
{
	size_t looked = 0;
	char *nl;
	int r;

	while (!(nl = memchr(c->buf + c->done + looked, '\n', c->len - c->done - looked))) {
		looked = c->len - c->done;
		r = fill(c, wait);
		if (r <= 0)
			return r;
	}
	*ret = json_loadb(c->buf + c->done, (size_t)(nl - (c->buf + c->done)), 0, NULL);
	c->done = (size_t)(nl + 1 - c->buf);
	return *ret ? 1 : -EBADMSG;
}

int client_block(struct control_client *c, const uint8_t **ret, size_t *ret_len)
{
	uint32_t len = 0;
	int r;

	for (;;) {
		const size_t have = c->len - c->done;

		if (have >= 8) {
			memcpy(&len, c->buf + c->done + 4, sizeof(len));
			len = le32toh(len);
			if (len < 12 || len & 3 || len > BUF_BYTES)
				return -EBADMSG;
			if (have >= len)
				break;
		}
		r = fill(c, true);
		if (r <= 0)
			return r;
	}
	*ret = (const uint8_t *)c->buf + c->done;
	*ret_len = len;
	c->done += len;
	return 1;
}

void client_end(struct control_client *c)
{
	shutdown(c->fd, SHUT_WR);
}

const char *client_type(const json_t *line)
{
	const char *type = json_string_value(json_object_get(line, "type"));

	return type ?: "";
}

int client_refused(const json_t *line)
{
	const char *code = json_string_value(json_object_get(line, "code"));
	const char *message = json_string_value(json_object_get(line, "message"));

	fprintf(stderr, "weir: the running weir refuses: %s\n", message ?: "no reason given");
	if (code && !strcmp(code, "permission"))
		return EXIT_PERM;
	return code && !strcmp(code, "busy") ? EXIT_PEER : EXIT_FAILED;
}

int client_lost(int r)
{
	if (r == -EBADMSG)
		fputs("weir: what answers on the socket is no weir of this version\n", stderr);
	else
		fputs("weir: the running weir has closed the connection\n", stderr);
	return EXIT_PEER;
}

bool client_join(char *buf, size_t cap, const char *word)
{
	const size_t len = strlen(buf), n = strlen(word);

	if (len + n + 2 > cap)
		return false;
	if (len)
		buf[len] = ' ';
	memcpy(buf + len + (len ? 1 : 0), word, n + 1);
	return true;
}

int client_check_filter(const char *text)
{
	char message[FILTER_ERROR_TEXT];
	struct filter_error err;
	struct filter *f;

	if (!*text)
		return 0;
	if (!filter_parse(text, strlen(text), NULL, &f, &err)) {
		filter_free(f);
		return 0;
	}
	fprintf(stderr, "weir: filter: %s — see weir-filter(5)\n",
		filter_error_text(&err, message));
	return EXIT_USAGE;
}
