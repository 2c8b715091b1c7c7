// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "collector/block.h"
#include "collector/ingest/cloud.h"
#include "collector/ingest/decoder_int.h"
#include "collector/ingest/ingest_int.h"
#include "collector/ingest/ops.h"
#include "collector/ingest/reader_int.h"
#include "common/ipfix.h"

#define ROOM	       (1u << 20) /* octets read at once; grows when a line or value needs it */
#define ROOM_MAX       (64u << 20)
#define PROGRESS_EVERY (1u << 20)

static int open_file(struct reader *r, const char *path)
{
	struct stat st;
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	r->of = (uint64_t)st.st_size;
	r->inode = st.st_ino;
	r->gz = gzdopen(fd, "rb");
	if (!r->gz) {
		close(fd);
		return -ENOMEM;
	}
	/* what is no gzip is read as it is */
	r->buf = malloc(ROOM);
	r->room = ROOM;
	return r->buf ? 0 : -ENOMEM;
}

int reader_more(struct reader *r)
{
	int n;

	memmove(r->buf, r->buf + r->at, r->have - r->at);
	r->have -= r->at;
	r->at = 0;
	if (r->have == r->room) {
		uint8_t *p = r->room < ROOM_MAX ? realloc(r->buf, (size_t)r->room * 2) : NULL;

		if (!p)
			return -EMSGSIZE;
		r->buf = p;
		r->room *= 2;
	}
	n = gzread(r->gz, r->buf + r->have, r->room - r->have);
	if (n < 0)
		return -EBADMSG;
	r->have += (uint32_t)n;
	r->counts->octets += (uint64_t)n;
	r->end = !n;
	if (r->progress && r->counts->octets - r->told >= PROGRESS_EVERY) {
		const z_off_t done = gzoffset(r->gz);

		r->told = r->counts->octets;
		return r->progress->fn(r->progress->arg, done > 0 ? (uint64_t)done : 0, r->of);
	}
	return 0;
}

/* ---- IPFIX ---- */

/* Sums over the exporters of the file. */
static uint64_t sum(const struct reader *r, enum ingest_count c)
{
	uint64_t n = 0;

	for (const struct session *s = r->d->newest; s; s = s->older)
		n += exporter_counted(s->e, c);
	return n;
}

static int read_ipfix(struct reader *r)
{
	/* the file says nothing of addresses; templates are its own */
	const struct source from = {.stream = true, .file = true};
	const uint64_t before = sum(r, IC_RECORDS);
	uint64_t lost;
	int e = 0;

	while (!e) {
		struct ipfix_header h;
		const uint32_t left = r->have - r->at;

		if (left >= IPFIX_HEADER && ipfix_read_header(r->buf + r->at, left, &h)) {
			e = -EBADMSG;
		} else if (left < IPFIX_HEADER || left < h.len) {
			if (r->end)
				break;
			e = reader_more(r);
		} else {
			if (decoder_message(r->d, &from, r->buf + r->at, h.len, ingest_now_us()))
				r->counts->malformed++;
			r->counts->messages++;
			r->at += h.len;
		}
	}
	if (!e && r->at < r->have)
		e = -EBADMSG; /* cut off */
	r->counts->records += sum(r, IC_RECORDS) - before;
	lost = sum(r, IC_NO_TEMPLATE) + sum(r, IC_HELD_FULL);
	for (const struct session *s = r->d->newest; s; s = s->older)
		for (const struct held *h = s->held; h; h = h->next)
			lost++;
	r->counts->lost += lost;
	decoder_end(r->d, &from);
	return e;
}

/* ---- flow logs ---- */

#define LOG_DOMAIN UINT32_MAX /* of the stream that numbers rows of files */

/* FNV-1a over the name and the inode; never 0. */
static uint64_t epoch_of(const struct reader *r)
{
	const char *slash = strrchr(r->path, '/'), *p = slash ? slash + 1 : r->path;
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ r->inode;

	for (; *p; p++)
		h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	return h | 1;
}

/* What was taken of the file, in this run or in earlier ones. NULL: no memory. */
static struct log_taken *taken_of(struct decoder *d, uint64_t epoch, uint32_t stream)
{
	const struct ingest_ops *ops = d->cfg.ops;
	struct log_taken *l;
	uint64_t to = 0;

	if (!d->logs)
		d->logs = calloc(LOGS_MAX, sizeof(*d->logs));
	for (uint32_t i = 0; d->logs && i < LOGS_MAX; i++)
		if (d->logs[i].epoch == epoch)
			return &d->logs[i];
	if (!d->logs)
		return NULL;
	l = &d->logs[d->logs_n++ % LOGS_MAX];
	if (ops && ops->committed && ops->committed(d->cfg.arg, stream, epoch, &to))
		to = 0;
	*l = (struct log_taken){.epoch = epoch, .rows = to};
	return l;
}

static void one_line(struct reader *r, struct cloud *c)
{
	const char *s = (const char *)r->buf + r->at;
	const char *end = memchr(s, '\n', r->have - r->at);
	const size_t len = end ? (size_t)(end - s) : r->have - r->at;

	(void)cloud_aws_line(c, s, len); /* malformed: counted there */
	r->at += (uint32_t)len + (end ? 1 : 0);
}

/* Lines; the last one may have no end. */
static int read_lines(struct reader *r, struct cloud *c)
{
	int e = 0;

	for (;;) {
		const bool whole = memchr(r->buf + r->at, '\n', r->have - r->at);

		if (whole || (r->end && r->at < r->have))
			one_line(r, c);
		else if (r->end)
			return 0;
		else
			e = reader_more(r);
		if (e)
			return e;
	}
}

/* Azure's records are in an object of their own. */
static void skip_head(struct reader *r)
{
	static const char records[] = "\"records\"";
	const char *s = (const char *)r->buf;
	const char *p = memmem(s, r->have < 256 ? r->have : 256, records, sizeof(records) - 1);
	const char *list = p ? memchr(p, '[', r->have - (size_t)(p - s)) : NULL;

	if (list)
		r->at = (uint32_t)(list + 1 - s);
}

static int read_objects(struct reader *r, struct cloud *c)
{
	int e = 0;

	skip_head(r);
	while (!e) {
		const char *s = (const char *)r->buf + r->at;
		size_t at, len;
		const int found = cloud_object(s, r->have - r->at, &at, &len);

		if (!found) {
			(void)cloud_json(c, s + at, len); /* malformed: counted there */
			r->at += (uint32_t)(at + len);
		} else if (found == -EBADMSG) {
			e = found;
		} else if (r->end) {
			return found == -ENODATA ? 0 : -EBADMSG; /* cut off */
		} else {
			e = reader_more(r);
		}
	}
	return e;
}

static int read_log(struct reader *r, bool json)
{
	static const uint8_t unspecified[16];
	struct log_taken *taken = NULL;
	struct exporter *e;
	struct cloud c;
	int ret;

	cloud_init(&c, r->d, ingest_now_us());
	e = r->log ? exporters_get(r->d->cfg.exporters, unspecified, LOG_DOMAIN) : NULL;
	if (e) {
		c.stream = e->stream;
		c.epoch = epoch_of(r);
		taken = taken_of(r->d, c.epoch, c.stream);
		c.skip = taken ? taken->rows : 0;
	}
	ret = json ? read_objects(r, &c) : read_lines(r, &c);
	if (taken && c.number > taken->rows)
		taken->rows = c.number;
	r->counts->messages += c.lines;
	r->counts->records += c.rows;
	r->counts->malformed += c.malformed;
	r->counts->lost += c.skipped;
	/* no line of it was one */
	return ret || !c.malformed || c.number ? ret : -EBADMSG;
}

/* ---- any ---- */

static bool is_text(const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len && i < 64; i++)
		if (p[i] < ' ' && p[i] != '\n' && p[i] != '\r' && p[i] != '\t')
			return false;
	return true;
}

static int read_any(struct reader *r)
{
	uint32_t first = 0;
	int e = reader_more(r);

	if (e)
		return e;
	if (r->have >= 2 && r->buf[0] == 0 && r->buf[1] == IPFIX_VERSION)
		return r->log ? -EBADMSG : read_ipfix(r);
	/* a log that was made, and has yet to be written */
	if (!r->have)
		return 0;
	if (!is_text(r->buf, r->have))
		return -EBADMSG;
	while (first < r->have && memchr(" \t\r\n", r->buf[first], 4))
		first++;
	return read_log(r, first < r->have && (r->buf[first] == '{' || r->buf[first] == '['));
}

static int read_file(struct reader *r)
{
	int e = open_file(r, r->path);

	if (!e)
		e = read_any(r);
	if (r->gz)
		gzclose(r->gz);
	free(r->buf);
	return e;
}

int reader_file(struct decoder *d, const char *path, const struct ingest_progress *progress,
		struct ingest_file *counts)
{
	struct reader r = {.d = d, .progress = progress, .counts = counts, .path = path};

	return read_file(&r);
}

int reader_log(struct decoder *d, const char *path, struct ingest_file *counts)
{
	struct reader r = {.d = d, .counts = counts, .path = path, .log = true};

	return read_file(&r);
}

int ingest_import(const struct ingest_cfg *cfg, const char *path,
		  const struct ingest_progress *progress, struct ingest_file *ret)
{
	struct decoder_cfg dc = {
		.pool = cfg->pool,
		.ops = cfg->ops,
		.arg = cfg->arg,
		.own_pen = cfg->own_pen,
		.wait = true,
		.exporters = exporters_new(cfg->ops, cfg->arg, UINT16_MAX),
	};
	struct decoder *d = dc.exporters ? decoder_new(&dc) : NULL;
	int r = -ENOMEM;

	*ret = (struct ingest_file){};
	if (d)
		r = reader_file(d, path, progress, ret);
	decoder_free(d);
	exporters_free(dc.exporters);
	return r;
}
