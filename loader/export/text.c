// SPDX-License-Identifier: Apache-2.0
/*
 * text.c - lines to standard output or to a file that rotates. Nothing is written twice or in part:
 * what a full disk or slow reader does not take stays in the queue and goes on where it stopped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/output.h"
#include "loader/export/gzip.h"
#include "loader/export/sink_int.h"

#define CHUNK_BYTES (3 * OUTPUT_LINE_MAX)
#define RETRY_NS    EXPORT_NS_PER_S
#define PIPE_WRITE  4096u /* what POLLOUT promises for a pipe that may not be made non-blocking */

struct text {
	int fd;
	bool regular;  /* writes never wait for a reader */
	bool nonblock; /* our own description of a pipe or terminal */
	bool socket;
	bool fresh; /* nothing written yet: the header comes first */
	uint64_t size;
	uint64_t opened_ns; /* monotonic */
	uint64_t retry_ns;  /* monotonic; 0 = no error */
	struct gzip *gzip;  /* an old file being compressed; NULL = none */
	size_t header_done;
	size_t header_len;
	char header[4096];
};

/* ---- opening ---- */

static void look_at(struct text *t)
{
	struct stat st;

	if (fstat(t->fd, &st))
		return;
	t->regular = S_ISREG(st.st_mode);
	t->socket = S_ISSOCK(st.st_mode);
	t->size = t->regular ? (uint64_t)st.st_size : 0;
	t->fresh = !t->size;
	t->header_done = 0;
	t->opened_ns = export_mono_ns();
}

/*
 * The description of a pipe or terminal is shared with whoever started us and must not be made
 * non-blocking for them; one of our own may.
 */
static void open_stdout(struct text *t)
{
	int fd;

	t->fd = STDOUT_FILENO;
	look_at(t);
	if (t->regular || t->socket)
		return;
	fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return;
	t->fd = fd;
	t->nonblock = true;
}

static int open_file(struct sink *s)
{
	struct text *t = s->out;
	int fd = sink_file(s, XF_OUTPUT, 0);

	if (fd < 0)
		return fd;
	if (t->fd >= 0)
		close(t->fd);
	t->fd = fd;
	t->nonblock = true; /* as export_file() opens it; a named pipe may be meant */
	look_at(t);
	s->n.connected = true;
	return 0;
}

static int text_open(struct sink *s, char *reterr)
{
	static const char *const formats[_FORMAT_MAX] = {"json", "eve", "csv", "table"};
	struct text *t = calloc(1, sizeof(*t));
	struct output *o = NULL;
	int r = t ? 0 : -ENOMEM;

	s->out = t;
	if (!r) {
		t->fd = -1;
		r = output_new(formats[s->cfg->format], STDOUT_FILENO, &o);
	}
	s->enc = o;
	r = r ?: queue_init(&s->q, s->cfg->queue_bytes, CHUNK_BYTES);
	if (r) {
		snprintf(reterr, EXPORT_ERR_MAX, "export %s: %s", s->cfg->name, strerror(-r));
		return r;
	}
	if (s->cfg->type == EXPORT_STDOUT) {
		open_stdout(t);
		s->n.connected = true;
	} else {
		r = open_file(s);
	}
	if (r)
		snprintf(reterr, EXPORT_ERR_MAX, "export %s: %.150s: %s", s->cfg->name,
			 s->cfg->path, strerror(-r));
	t->header_len = output_header(o, t->header);
	if (r)
		return r;
	sink_resume_file(s, t->fd);
	look_at(t);
	sink_mark(s, t->fd, s->x->env.resume_start);
	return 0;
}

static void text_close(struct sink *s)
{
	struct text *t = s->out;

	output_free(s->enc);
	s->enc = NULL;
	if (!t)
		return;
	gzip_free(t->gzip);
	if (t->fd >= 0 && t->fd != STDOUT_FILENO)
		close(t->fd);
	free(t);
	s->out = NULL;
}

static long text_encode(struct sink *s, const struct flow_record *r, struct chunk *c)
{
	ssize_t n;

	if (s->q.capacity - c->len < OUTPUT_LINE_MAX)
		return -ENOSPC;
	n = output_text(s->enc, r, (char *)c->data + c->len);
	return n < 0 ? -EMSGSIZE : n;
}

/* ---- writing ---- */

static ssize_t write_some(struct text *t, const void *p, size_t len)
{
	if (t->socket)
		return send(t->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!t->regular && !t->nonblock) {
		struct pollfd pfd = {.fd = t->fd, .events = POLLOUT};

		if (poll(&pfd, 1, 0) <= 0) {
			errno = EAGAIN;
			return -1;
		}
		if (len > PIPE_WRITE)
			len = PIPE_WRITE;
	}
	return write(t->fd, p, len);
}

/* Return: 0 all written, or -errno; *done counts on. */
static int write_from(struct sink *s, const void *p, size_t len, size_t *done)
{
	struct text *t = s->out;

	while (*done < len) {
		ssize_t n = write_some(t, (const char *)p + *done, len - *done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		*done += (size_t)n;
		t->size += (uint64_t)n;
	}
	return 0;
}

static int write_chunk(struct sink *s, struct chunk *c)
{
	struct text *t = s->out;
	size_t done = c->done;
	int r = 0;

	if (t->fresh)
		r = write_from(s, t->header, t->header_len, &t->header_done);
	if (r)
		return r;
	t->fresh = false;
	r = write_from(s, c->data, c->len, &done);
	c->done = (uint32_t)done;
	return r;
}

static void give_up(struct sink *s, int r)
{
	struct text *t = s->out;

	s->events = 0;
	if (s->cfg->type == EXPORT_STDOUT && r != -ENOSPC) {
		atomic_store(&s->error, r);
		for (; queue_waiting(&s->q); queue_pop(&s->q))
			sink_lost(s, queue_at(&s->q, 0)->flows, LOSS_IO_ERROR);
		s->n.connected = false;
		return;
	}
	if (s->cfg->type == EXPORT_STDOUT)
		atomic_store(&s->error, r);
	atomic_store(&s->blocked, r == -ENOSPC || r == -EDQUOT ? LOSS_DISK_FULL : LOSS_IO_ERROR);
	sink_error(s, "write", -r);
	t->retry_ns = export_mono_ns() + RETRY_NS;
	s->wake_ns = t->retry_ns;
}

static void rotate(struct sink *s)
{
	struct text *t = s->out;
	int r = sink_file(s, XF_ROTATE, 0);

	t->opened_ns = export_mono_ns(); /* in any case not again at once */
	if (!r)
		r = open_file(s);
	if (r) {
		sink_error(s, "rotate", -r);
		return;
	}
	if (s->cfg->gzip && gzip_new(s, &t->gzip))
		sink_error(s, "compress", ENOMEM);
}

static bool is_due(const struct sink *s, uint64_t next_bytes, uint64_t now)
{
	const struct text *t = s->out;

	if (s->cfg->type != EXPORT_FILE || t->gzip || !t->size)
		return false;
	if (s->cfg->rotate_bytes && next_bytes && t->size + next_bytes > s->cfg->rotate_bytes)
		return true;
	return s->cfg->rotate_ns && now - t->opened_ns >= s->cfg->rotate_ns;
}

static void write_waiting(struct sink *s, uint64_t now)
{
	const struct text *t = s->out;
	int r = 0;

	while (!r && queue_waiting(&s->q)) {
		struct chunk *c = queue_at(&s->q, 0);
		uint32_t before = c->done;

		if (!before && is_due(s, c->len, now))
			rotate(s);
		r = write_chunk(s, c);
		sink_sent(s, r ? 0 : c->flows, c->done - before);
		if (r)
			break;
		sink_mark(s, t->fd, c->upto);
		queue_pop(&s->q);
	}
	s->drained = !r;
	if (r == -EAGAIN) {
		s->events = POLLOUT;
		s->fd = ((struct text *)s->out)->fd;
	} else if (r) {
		give_up(s, r);
	} else {
		atomic_store(&s->blocked, LOSS_QUEUE_FULL);
	}
}

/* In the middle of a line the rest belongs to the old file. */
static void reopen(struct sink *s)
{
	int r;

	if (queue_waiting(&s->q) && queue_at(&s->q, 0)->done)
		return;
	r = open_file(s);
	if (r)
		sink_error(s, "reopen", -r);
	s->reopen = false;
}

static void text_work(struct sink *s, uint64_t now)
{
	struct text *t = s->out;

	s->events = 0;
	s->wake_ns = 0;
	s->drained = false;
	if (s->cfg->type == EXPORT_FILE && s->reopen)
		reopen(s);
	if (t->gzip && gzip_step(t->gzip) != -EAGAIN)
		t->gzip = gzip_free(t->gzip);
	if (t->retry_ns > now && !s->stopping) {
		s->wake_ns = t->retry_ns;
	} else {
		t->retry_ns = 0;
		if (!queue_waiting(&s->q) && is_due(s, 0, now))
			rotate(s);
		write_waiting(s, now);
	}
	if (t->gzip)
		s->wake_ns = now;
	else if (!s->wake_ns && s->cfg->rotate_ns && t->size)
		s->wake_ns = t->opened_ns + s->cfg->rotate_ns;
}

/* ---- the end ---- */

/* Lines that stand for a flow: an EVE flow's other events come before it. */
static uint32_t flows_in(const struct sink *s, const struct chunk *c, uint32_t *ret_end)
{
	static const char mark[] = "\"event_type\":\"flow\"";
	const char *p = (const char *)c->data, *end = p + c->done, *nl;
	uint32_t n = 0;

	*ret_end = 0;
	while ((nl = memchr(p, '\n', (size_t)(end - p)))) {
		if (s->cfg->format != FORMAT_EVE ||
		    memmem(p, (size_t)(nl - p), mark, sizeof(mark) - 1)) {
			n++;
			*ret_end = (uint32_t)(nl + 1 - (const char *)c->data);
		}
		p = nl + 1;
	}
	return n;
}

/* What was written of the chunk in part stays as far as it is whole records. */
static void text_abandon(struct sink *s)
{
	struct text *t = s->out;
	int why = atomic_load(&s->blocked);

	if (why == LOSS_QUEUE_FULL)
		why = LOSS_SHUTDOWN;
	for (; queue_waiting(&s->q); queue_pop(&s->q)) {
		struct chunk *c = queue_at(&s->q, 0);
		uint32_t end, whole = flows_in(s, c, &end);

		if (t->regular && c->done > end &&
		    ftruncate(t->fd, (off_t)(t->size - (c->done - end))))
			sink_error(s, "truncate", errno);
		sink_sent(s, whole, 0);
		sink_lost(s, c->flows - whole, (enum export_loss)why);
		sink_mark(s, t->fd, c->upto);
	}
}

static bool text_idle(struct sink *s)
{
	const struct text *t = s->out;

	return !queue_waiting(&s->q) && !t->gzip;
}

const struct sink_ops sink_text_ops = {
	.open = text_open,
	.close = text_close,
	.encode = text_encode,
	.work = text_work,
	.abandon = text_abandon,
	.idle = text_idle,
};
