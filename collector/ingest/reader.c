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
#include "collector/ingest/decoder_int.h"
#include "collector/ingest/ingest_int.h"
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
	const struct source from = {.stream = true};
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

/* ---- any ---- */

static int read_any(struct reader *r)
{
	int e = reader_more(r);

	if (e)
		return e;
	if (r->have >= 2 && r->buf[0] == 0 && r->buf[1] == IPFIX_VERSION)
		return read_ipfix(r);
	return -EBADMSG;
}

int reader_file(struct decoder *d, const char *path, const struct ingest_progress *progress,
		struct ingest_file *counts)
{
	struct reader r = {.d = d, .progress = progress, .counts = counts, .path = path};
	int e = open_file(&r, path);

	if (!e)
		e = read_any(&r);
	if (r.gz)
		gzclose(r.gz);
	free(r.buf);
	return e;
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
