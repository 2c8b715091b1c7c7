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

#define REQUEST_FIRST (64u << 10) /* octets that there is room for at first */

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

/* One that ran: whoever sees that it runs no more sees it counted. */
static void count(struct endpoint *e, int r, uint64_t us)
{
	__atomic_fetch_add(&e->stats.queries, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&e->stats.query_us, us, __ATOMIC_RELAXED);
	if (r == -ECANCELED || r == -EPIPE)
		__atomic_fetch_add(&e->stats.cancelled, 1, __ATOMIC_RELAXED);
	else if (r)
		__atomic_fetch_add(&e->stats.failed, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&e->stats.running, 1, __ATOMIC_RELEASE);
}

int endpoint_send_fd(struct endpoint_client *c, const char *line, int fd)
{
	struct iovec iov = {(void *)(uintptr_t)line, strlen(line)};
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
	if (!r) /* nothing is left of its name */
		r = endpoint_send_fd(q->c, "{\"type\":\"file\"}\n", fd);
	if (fd >= 0)
		close(fd);
	return r;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static struct query_env env_of(struct endpoint *e)
{
	return (struct query_env){.store = e->cfg.store,
				  .timeout_ms = __atomic_load_n(&e->timeout_ms, __ATOMIC_RELAXED)};
}

int endpoint_query(struct endpoint *e, const struct spec *q, const struct answer_sink *k,
		   char *error)
{
	const struct query_env env = env_of(e);
	const uint64_t from = now_us();
	int r;

	__atomic_fetch_add(&e->stats.running, 1, __ATOMIC_RELAXED);
	r = query_run(&env, q, k, error);
	count(e, r, now_us() - from);
	return r;
}

const struct filter_env *endpoint_lists(const struct endpoint *e)
{
	return e->cfg.lists;
}

static int run_export(struct request *q, char *error)
{
	struct endpoint *e = q->c->e;
	const struct query_env env = env_of(e);
	const uint64_t from = now_us();
	int r;

	__atomic_fetch_add(&e->stats.running, 1, __ATOMIC_RELAXED);
	r = export_file(q, &env, error);
	count(e, r, now_us() - from);
	return r;
}

static int run_query(struct request *q)
{
	struct answer_sink k = answer_lines_sink(q->lines);
	char error[STORE_ERROR] = "";
	int r;

	k.progress = progress;
	k.progress_arg = q;
	r = q->parquet ? run_export(q, error) : endpoint_query(q->c->e, &q->spec, &k, error);
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

int endpoint_send_object(struct endpoint_client *c, const json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;
	int r;

	if (!text)
		return -ENOMEM;
	text[len++] = '\n'; /* in place of the 0 */
	r = endpoint_send(c, text, len);
	free(text);
	return r;
}

static int take_status(struct request *q)
{
	json_t *status = q->c->e->cfg.status(q->c->e->cfg.arg);
	int r = -ENOMEM;

	if (status && !json_object_set_new(status, "type", json_string("status")))
		r = endpoint_send_object(q->c, status);
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

static const char *text_of(const json_t *line, const char *key)
{
	return json_string_value(json_object_get(line, key)) ?: "";
}

static int take_other(struct request *q, const json_t *line)
{
	const struct endpoint_cfg *cfg = &q->c->e->cfg;
	struct endpoint_peer peer;
	json_t *answer = NULL, *one;
	size_t i;
	int r = 0;

	peer_of(q->c->fd, &peer);
	if (cfg->fetch && !strcmp(text_of(line, "command"), "captures") &&
	    !strcmp(text_of(line, "what"), "get"))
		return endpoint_fetch(q->c, line, &peer);
	if (cfg->ask)
		answer = cfg->ask(cfg->arg, line, &peer);
	if (!answer)
		return refuse(q, "no such command");
	json_array_foreach(answer, i, one) r = r ?: endpoint_send_object(q->c, one);
	json_decref(answer);
	return r;
}

static int put_object(void *arg, json_t *line)
{
	const int r = endpoint_send_object(((struct request *)arg)->c, line);

	json_decref(line);
	return r;
}

static int take_backtest(struct request *q, const json_t *line)
{
	const struct endpoint_answer to = {put_object, progress, q};
	struct endpoint *e = q->c->e;
	const uint64_t from = now_us();
	char error[STORE_ERROR] = "";
	int r;

	if (!e->cfg.backtest)
		return refuse(q, "no such command");
	__atomic_fetch_add(&e->stats.running, 1, __ATOMIC_RELAXED);
	r = e->cfg.backtest(e->cfg.arg, line, &to, error);
	count(e, r, now_us() - from);
	if (!r || r == -ECANCELED || r == -EPIPE)
		return r;
	return answer_lines_error(q->lines,
				  r == -EINVAL	  ? "request"
				  : r == -EBADMSG ? "rules"
				  : r == -EBUSY	  ? "busy"
						  : "store",
				  *error ? error : strerror(-r));
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
	else if (!strcmp(command, "backtest"))
		r = take_backtest(q, line);
	else
		r = take_other(q, line);
	json_decref(line);
	return r;
}

struct incoming {
	char *buf;
	size_t len, cap;
};

/* Room for more of a line. Return: 0, -ENOMEM, -EMSGSIZE. */
static int make_room(struct incoming *in)
{
	const size_t cap = in->cap ? in->cap * 2 : REQUEST_FIRST;
	char *more;

	if (in->len < in->cap)
		return 0;
	if (cap > ENDPOINT_REQUEST_MAX)
		return -EMSGSIZE;
	more = realloc(in->buf, cap);
	if (!more)
		return -ENOMEM;
	in->buf = more;
	in->cap = cap;
	return 0;
}

/* All lines that are there. */
static int take_lines(struct request *q, struct incoming *in)
{
	char *nl;
	int r = 0;

	while (!r && (nl = memchr(in->buf, '\n', in->len))) {
		r = take_line(q, in->buf, (size_t)(nl - in->buf));
		in->len -= (size_t)(nl + 1 - in->buf);
		memmove(in->buf, nl + 1, in->len);
	}
	return r;
}

void endpoint_serve(struct endpoint_client *c)
{
	struct request *q = calloc(1, sizeof(*q));
	struct incoming in = {};
	int r = q ? answer_lines_new(put_line, c, &q->lines) : -ENOMEM;

	while (!r && !(r = make_room(&in))) {
		const ssize_t n = recv(c->fd, in.buf + in.len, in.cap - in.len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		in.len += (size_t)n;
		q->c = c;
		r = take_lines(q, &in);
	}
	if (r == -EMSGSIZE)
		r = refuse(q, "the line is too long");
	if (q)
		answer_lines_free(q->lines);
	free(q);
	free(in.buf);
}
