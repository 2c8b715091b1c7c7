// SPDX-License-Identifier: Apache-2.0
/*
 * serve_client.c - the requests of one client of the local socket, one after the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "collector/endpoint/endpoint_int.h"
#include "collector/query/answer_line.h"
#include "collector/query/query.h"

struct request {
	struct endpoint_client *c;
	struct answer_lines *lines;
	struct spec spec;
	bool parquet;
};

int endpoint_send(struct endpoint_client *c, const char *s, size_t len)
{
	int r = 0;

	pthread_mutex_lock(&c->write_lock);
	while (len && !r) {
		const ssize_t n = send(c->fd, s, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = -EPIPE;
			break;
		}
		s += n;
		len -= (size_t)n;
	}
	pthread_mutex_unlock(&c->write_lock);
	return r;
}

static int put_line(void *arg, const char *line, size_t len)
{
	return endpoint_send(arg, line, len);
}

/* ---- a query ---- */

static int progress(void *arg, double percent)
{
	struct request *q = arg;
	struct pollfd p = {.fd = q->c->fd, .events = POLLRDHUP};

	if (poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR))
		return -ECANCELED;
	return answer_lines_progress(q->lines, percent) ? -ECANCELED : 0;
}

static const char *code_of(int r)
{
	return r == -EINVAL ? "query" : r == -ETIMEDOUT ? "timeout" : "store";
}

static void count(struct endpoint *e, int r, uint64_t us)
{
	__atomic_fetch_add(&e->stats.queries, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&e->stats.query_us, us, __ATOMIC_RELAXED);
	if (r == -ECANCELED || r == -EPIPE)
		__atomic_fetch_add(&e->stats.cancelled, 1, __ATOMIC_RELAXED);
	else if (r)
		__atomic_fetch_add(&e->stats.failed, 1, __ATOMIC_RELAXED);
}

/* The file's descriptor goes with the line; nothing is left of its name. */
static int send_file(struct endpoint_client *c, int fd)
{
	static char line[] = "{\"type\":\"file\"}\n";
	struct iovec iov = {line, sizeof(line) - 1};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.buf,
			   .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&m);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(c->fd, &m, MSG_NOSIGNAL) == (ssize_t)iov.iov_len ? 0 : -EPIPE;
}

static int export_file(struct request *q, const struct query_env *env, char *error)
{
	char path[4096];
	int fd, r;

	snprintf(path, sizeof(path), "%s/answer-XXXXXX", q->c->e->cfg.dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0) {
		snprintf(error, STORE_ERROR, "%s: %s", q->c->e->cfg.dir, strerror(errno));
		return -EIO;
	}
	close(fd);
	r = query_export(
		env, &q->spec,
		&(struct query_export){.path = path, .progress = progress, .progress_arg = q},
		error);
	fd = r ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (!r && fd < 0)
		r = -errno;
	/* What is left of it would be removed with the store's other remains. */
	(void)unlink(path);
	if (!r)
		r = send_file(q->c, fd);
	if (fd >= 0)
		close(fd);
	return r;
}

static int run_query(struct request *q)
{
	struct endpoint *e = q->c->e;
	const struct query_env env = {.store = e->cfg.store,
				      .timeout_ms =
					      __atomic_load_n(&e->timeout_ms, __ATOMIC_RELAXED)};
	struct answer_sink k = answer_lines_sink(q->lines);
	char error[STORE_ERROR] = "";
	struct timespec a, b;
	int r;

	k.progress = progress;
	k.progress_arg = q;
	clock_gettime(CLOCK_MONOTONIC, &a);
	__atomic_fetch_add(&e->stats.running, 1, __ATOMIC_RELAXED);
	r = q->parquet ? export_file(q, &env, error) : query_run(&env, &q->spec, &k, error);
	__atomic_fetch_sub(&e->stats.running, 1, __ATOMIC_RELAXED);
	clock_gettime(CLOCK_MONOTONIC, &b);
	count(e, r, (uint64_t)((b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000));
	if (r && r != -ECANCELED && r != -EPIPE)
		return answer_lines_error(q->lines, code_of(r), error);
	return r;
}

/* ---- requests ---- */

static int refuse(struct request *q, const char *what)
{
	return answer_lines_error(q->lines, "request", what);
}

static int take_query(struct request *q, const json_t *line)
{
	const json_t *spec = json_object_get(line, "spec");
	const char *output = json_string_value(json_object_get(line, "output")) ?: "rows";
	char why[SPEC_ERROR];
	struct timespec now;
	const char *key;
	json_t *v;

	clock_gettime(CLOCK_REALTIME, &now);
	spec_init(&q->spec, SPEC_TOP, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	q->spec.env = q->c->e->cfg.lists;
	json_object_foreach((json_t *)(uintptr_t)spec, key, v)
	{
		if (!json_is_string(v))
			return refuse(q, "a value of spec is no text");
		if (spec_set(&q->spec, key, json_string_value(v), why))
			return refuse(q, why);
	}
	if (spec_finish(&q->spec, why))
		return refuse(q, why);
	q->parquet = !strcmp(output, "parquet");
	return run_query(q);
}

static int take_status(struct request *q)
{
	json_t *status = q->c->e->cfg.status(q->c->e->cfg.arg);
	char *text = NULL;
	size_t len;
	int r = -ENOMEM;

	if (status && !json_object_set_new(status, "type", json_string("status")))
		text = json_dumps(status, JSON_COMPACT);
	if (text) {
		len = strlen(text);
		text[len++] = '\n'; /* in place of the 0 */
		r = endpoint_send(q->c, text, len);
	}
	free(text);
	json_decref(status);
	return r;
}

static void peer_of(int fd, struct endpoint_peer *ret)
{
	struct ucred c = {.uid = UINT32_MAX};
	socklen_t len = sizeof(c);
	struct passwd pw, *found = NULL;
	char buf[1024];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len))
		c.uid = UINT32_MAX;
	ret->uid = c.uid;
	if (getpwuid_r(c.uid, &pw, buf, sizeof(buf), &found) || !found)
		snprintf(ret->name, sizeof(ret->name), "uid=%u", c.uid);
	else
		snprintf(ret->name, sizeof(ret->name), "uid=%u (%.30s)", c.uid, found->pw_name);
}

static int take_other(struct request *q, const json_t *line)
{
	const struct endpoint_cfg *cfg = &q->c->e->cfg;
	struct endpoint_peer peer;
	json_t *answer = NULL, *one;
	size_t i;
	int r = 0;

	peer_of(q->c->fd, &peer);
	if (cfg->ask)
		answer = cfg->ask(cfg->arg, line, &peer);
	if (!answer)
		return refuse(q, "no such command");
	json_array_foreach(answer, i, one)
	{
		char *text = r ? NULL : json_dumps(one, JSON_COMPACT);
		size_t len = text ? strlen(text) : 0;

		if (!text) {
			r = r ?: -ENOMEM;
			break;
		}
		text[len++] = '\n'; /* in place of the 0 */
		r = endpoint_send(q->c, text, len);
		free(text);
	}
	json_decref(answer);
	return r;
}

static int take_line(struct request *q, const char *text, size_t len)
{
	json_error_t why;
	json_t *line = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	const char *command = json_string_value(json_object_get(line, "command")) ?: "";
	int r;

	if (!line)
		r = refuse(q, why.text);
	else if (json_integer_value(json_object_get(line, "v")) != ENDPOINT_VERSION)
		r = refuse(q, "this collector speaks version 1");
	else if (!strcmp(command, "query"))
		r = take_query(q, line);
	else if (!strcmp(command, "status"))
		r = take_status(q);
	else
		r = take_other(q, line);
	json_decref(line);
	return r;
}

void endpoint_serve(struct endpoint_client *c)
{
	struct request *q = calloc(1, sizeof(*q));
	char *in = malloc(ENDPOINT_REQUEST_MAX);
	size_t len = 0;
	int r = q && in ? answer_lines_new(put_line, c, &q->lines) : -ENOMEM;

	while (!r) {
		const ssize_t n = recv(c->fd, in + len, ENDPOINT_REQUEST_MAX - len, 0);
		char *nl;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
		q->c = c;
		while (!r && (nl = memchr(in, '\n', len))) {
			r = take_line(q, in, (size_t)(nl - in));
			len -= (size_t)(nl + 1 - in);
			memmove(in, nl + 1, len);
		}
		if (len == ENDPOINT_REQUEST_MAX)
			r = refuse(q, "the line is too long") ?: -EMSGSIZE;
	}
	if (q)
		answer_lines_free(q->lines);
	free(q);
	free(in);
}
