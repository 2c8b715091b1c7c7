// SPDX-License-Identifier: Apache-2.0
/*
 * spool.c - see spool.h. Appending and reading; what the files are and how an earlier run's are
 * taken up is in spool_files.c.
 */
#include "loader/export/spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#include "common/ipfix_get.h"
#include "loader/export/sink_int.h"
#include "loader/export/spool_int.h"

/* ---- the list of segments ---- */

struct segment *spool_segment(struct spool *sp, uint32_t n)
{
	for (uint32_t i = 0; i < sp->n; i++)
		if (sp->seg[i].number == n)
			return &sp->seg[i];
	return NULL;
}

static void forget_first(struct spool *sp)
{
	struct segment *first = &sp->seg[0];

	if (first->write_fd >= 0)
		close(first->write_fd);
	if (sp->read_fd >= 0 && sp->read.segment == first->number) {
		close(sp->read_fd);
		sp->read_fd = -1;
	}
	if (sink_file(sp->s, XF_SPOOL_UNLINK, first->number))
		sink_error(sp->s, "spool: remove a segment", errno);
	sp->bytes -= first->size;
	sink_add(&sp->s->n.spool_bytes, -first->size);
	sp->n--;
	memmove(sp->seg, sp->seg + 1, sp->n * sizeof(*sp->seg));
}

static void count_lost(struct spool *sp, const struct segment *g, uint64_t flows,
		       enum export_loss why)
{
	if (g->old)
		sink_add(&sp->s->n.old_lost, flows);
	else
		sink_lost(sp->s, flows, why);
}

/* Positions in segments that are gone mean the start of the first there is. */
static void move_up(struct spool *sp)
{
	uint32_t first = sp->n ? sp->seg[0].number : sp->next_number;

	if ((int32_t)(sp->confirmed.segment - first) < 0)
		sp->confirmed = (struct spool_pos){first, 0};
	if ((int32_t)(sp->read.segment - first) < 0)
		sp->read = (struct spool_pos){first, 0};
}

static void give_up_first(struct spool *sp)
{
	count_lost(sp, &sp->seg[0], sp->seg[0].flows, LOSS_SPOOL_FULL);
	sink_error(sp->s, "spool: full, the oldest segment is given up", 0);
	forget_first(sp);
	move_up(sp);
}

/* ---- appending ---- */

static int write_at_end(struct spool *sp, struct segment *g, const struct iovec *v, int n)
{
	size_t want = 0;
	ssize_t got;

	for (int i = 0; i < n; i++)
		want += v[i].iov_len;
	got = pwritev(g->write_fd, v, n, (off_t)g->size);
	if (got == (ssize_t)want) {
		g->size += want;
		sp->bytes += want;
		sink_add(&sp->s->n.spool_bytes, want);
		return 0;
	}
	if (got < 0)
		return -errno;
	/* the part that fitted would be read as damage */
	if (ftruncate(g->write_fd, (off_t)g->size))
		return -errno;
	return -ENOSPC;
}

static int write_message(struct spool *sp, struct segment *g, struct ipfix_msg *m)
{
	struct iovec v = {m->buf, m->len};

	ipfix_finish(&sp->cfg, m->buf, m->len, (uint32_t)(export_wall_ns() / EXPORT_NS_PER_S), 0);
	return write_at_end(sp, g, &v, 1);
}

static int new_segment(struct spool *sp)
{
	struct ipfix_msg m;
	struct segment *g;
	int fd, r;

	if (sp->n == SPOOL_SEGMENTS)
		give_up_first(sp);
	fd = sink_file(sp->s, XF_SPOOL_NEW, sp->next_number);
	if (fd < 0)
		return fd;
	g = &sp->seg[sp->n++];
	*g = (struct segment){.number = sp->next_number++, .write_fd = fd};
	memset(&sp->announced, 0, sizeof(sp->announced));
	if (sp->n == 1)
		sp->read = sp->confirmed = (struct spool_pos){g->number, 0};
	ipfix_begin(&m, sp->buf, IPFIX_MESSAGE_MAX, NULL);
	(void)ipfix_put_option_template(&sp->cfg, &m, IPFIX_OPT_SPOOLED); /* fits */
	r = write_message(sp, g, &m);
	if (r) {
		close(g->write_fd);
		(void)sink_file(sp->s, XF_SPOOL_UNLINK,
				g->number); /* empty; it only takes a name */
		sp->n--;
	}
	return r;
}

static int write_templates(struct spool *sp, struct segment *g, const struct ipfix_used *used)
{
	struct ipfix_used want;
	uint64_t any = 0;
	int r = 0;

	for (unsigned int i = 0; i < sizeof(want.bits) / sizeof(want.bits[0]); i++)
		any |= want.bits[i] = used->bits[i] & ~sp->announced.bits[i];
	if (!any)
		return 0;
	for (;;) {
		struct ipfix_msg m;
		int more;

		ipfix_begin(&m, sp->buf, IPFIX_MESSAGE_MAX, NULL);
		more = ipfix_put_templates(&sp->cfg, &m, &want);
		r = write_message(sp, g, &m);
		if (r || !more)
			break;
	}
	for (unsigned int i = 0; !r && i < sizeof(want.bits) / sizeof(want.bits[0]); i++)
		sp->announced.bits[i] |= used->bits[i];
	return r;
}

static int write_item(struct spool *sp, struct segment *g, const uint8_t *msg,
		      const struct spool_item *item)
{
	struct ipfix_arg args[] = {
		{.number = sp->cfg.domain},
		{.number = item->flows},
		{.number = item->records},
		{.number = crc32(0, msg, item->len)},
	};
	struct ipfix_msg m;
	struct iovec v[2];

	ipfix_begin(&m, sp->buf, IPFIX_MESSAGE_MAX, NULL);
	(void)ipfix_put_option(&sp->cfg, &m, IPFIX_OPT_SPOOLED, args); /* fits */
	ipfix_finish(&sp->cfg, m.buf, m.len, get32(msg + 4), get32(msg + 8));
	v[0] = (struct iovec){m.buf, m.len};
	v[1] = (struct iovec){(void *)msg, item->len}; /* only read */
	return write_at_end(sp, g, v, 2);
}

static struct segment *open_segment(struct spool *sp)
{
	struct segment *last = sp->n ? &sp->seg[sp->n - 1] : NULL;

	return last && last->write_fd >= 0 ? last : NULL;
}

int spool_append(struct spool *sp, const uint8_t *msg, const struct spool_item *item,
		 const struct ipfix_used *used, const struct spool_numbers *numbers)
{
	struct segment *g = open_segment(sp);
	int r = 0;

	if (g && g->size + item->len > sp->segment_bytes) {
		close(g->write_fd);
		g->write_fd = -1;
		g = NULL;
	}
	while (sp->n > (g ? 1u : 0u) && sp->bytes + item->len > sp->s->cfg->spool_bytes)
		give_up_first(sp);
	g = open_segment(sp);
	if (!g) {
		r = new_segment(sp);
		g = r ? NULL : &sp->seg[sp->n - 1];
	}
	r = r ?: write_templates(sp, g, used);
	r = r ?: write_item(sp, g, msg, item);
	if (r)
		return r;
	g->flows += item->flows;
	g->unread += item->flows;
	sp->numbers = *numbers;
	spool_save(sp);
	return 0;
}

/* ---- reading ---- */

static void corrupt(struct spool *sp, struct segment *g, uint64_t flows, const char *what)
{
	char text[120];

	count_lost(sp, g, flows, LOSS_SPOOL_CORRUPT);
	g->flows -= flows;
	g->unread -= flows;
	snprintf(text, sizeof(text), "spool: segment %u, octet %llu: %s, %llu flows lost",
		 g->number, (unsigned long long)sp->read.offset, what, (unsigned long long)flows);
	sink_error(sp->s, text, 0);
}

static int read_at(struct spool *sp, uint64_t offset, uint8_t *p, uint32_t len)
{
	ssize_t n;

	if (sp->read_fd < 0)
		sp->read_fd = sink_file(sp->s, XF_SPOOL_OPEN, sp->read.segment);
	if (sp->read_fd < 0)
		return sp->read_fd;
	n = pread(sp->read_fd, p, len, (off_t)offset);
	return n < 0 ? -errno : n < (ssize_t)len ? -EBADMSG : 0;
}

/* One message, whatever is in it. Return: 0 or -errno. */
static int read_message(struct spool *sp, const struct segment *g, uint8_t *buf, uint32_t *ret_len)
{
	struct ipfix_header h;
	int r = read_at(sp, sp->read.offset, buf, IPFIX_HEADER);

	r = r ?: ipfix_read_header(buf, IPFIX_HEADER, &h);
	if (!r && sp->read.offset + h.len > g->size)
		r = -EBADMSG;
	r = r ?: read_at(sp, sp->read.offset, buf, h.len);
	if (!r)
		*ret_len = h.len;
	return r;
}

bool spool_read_mark(const uint8_t *msg, uint32_t len, struct spool_item *item, uint32_t *ret_crc)
{
	if (len != SPOOL_MARK || get16(msg + IPFIX_HEADER) != IPFIX_ID_OPTION(IPFIX_OPT_SPOOLED))
		return false;
	item->flows = get32(msg + IPFIX_HEADER + 8);
	item->records = get32(msg + IPFIX_HEADER + 12);
	*ret_crc = get32(msg + IPFIX_HEADER + 16);
	return true;
}

/* Return: 1 with *ret, 0: the segment's end, -EBADMSG: the rest of it is of no use. */
static int next_of(struct spool *sp, struct segment *g, uint8_t *buf, struct spool_item *ret)
{
	bool marked = false;
	uint32_t crc = 0, len;
	int r;

	while (sp->read.offset < g->size) {
		r = read_message(sp, g, buf, &len);
		if (r)
			return r;
		sp->read.offset += len;
		if (spool_read_mark(buf, len, ret, &crc)) {
			marked = ret->flows <= g->unread;
			continue;
		}
		if (!marked)
			continue; /* templates */
		marked = false;
		if (crc32(0, buf, len) != crc) {
			corrupt(sp, g, ret->flows, "damaged message");
			continue;
		}
		ret->len = len;
		ret->end = sp->read;
		g->unread -= ret->flows;
		return 1;
	}
	return 0;
}

static bool next_segment(struct spool *sp)
{
	for (uint32_t i = 0; i < sp->n; i++) {
		if ((int32_t)(sp->seg[i].number - sp->read.segment) <= 0)
			continue;
		if (sp->read_fd >= 0)
			close(sp->read_fd);
		sp->read_fd = -1;
		sp->read = (struct spool_pos){sp->seg[i].number, 0};
		return true;
	}
	return false;
}

bool spool_next(struct spool *sp, uint8_t *buf, struct spool_item *ret)
{
	do {
		struct segment *g = spool_segment(sp, sp->read.segment);
		int r = g ? next_of(sp, g, buf, ret) : 0;

		if (r > 0)
			return true;
		if (g && (r < 0 || (g->unread && g->write_fd < 0))) {
			corrupt(sp, g, g->unread,
				r < 0 && r != -EBADMSG ? strerror(-r) : "not readable from here");
			sp->read.offset = g->size;
		}
	} while (next_segment(sp));
	return false;
}

bool spool_has_more(const struct spool *sp)
{
	for (uint32_t i = 0; i < sp->n; i++) {
		int32_t ahead = (int32_t)(sp->seg[i].number - sp->read.segment);

		if (ahead > 0 || (!ahead && sp->read.offset < sp->seg[i].size))
			return true;
	}
	return false;
}

bool spool_is_empty(const struct spool *sp)
{
	for (uint32_t i = 0; i < sp->n; i++) {
		int32_t ahead = (int32_t)(sp->seg[i].number - sp->confirmed.segment);

		if (ahead > 0 || (!ahead && sp->confirmed.offset < sp->seg[i].size))
			return false;
	}
	return true;
}

void spool_rewind(struct spool *sp)
{
	if (sp->read_fd >= 0)
		close(sp->read_fd);
	sp->read_fd = -1;
	sp->read = sp->confirmed;
	for (uint32_t i = 0; i < sp->n; i++)
		if ((int32_t)(sp->seg[i].number - sp->read.segment) >= 0)
			sp->seg[i].unread = sp->seg[i].flows;
}

/* ---- confirming ---- */

void spool_confirm(struct spool *sp, const struct spool_item *item)
{
	struct segment *g = spool_segment(sp, item->end.segment);

	if (!g)
		return; /* given up, and counted as lost */
	g->flows -= item->flows;
	if (g->old) {
		sink_add(&sp->s->n.replayed, item->flows);
		sink_add(&sp->s->n.bytes, item->len);
	} else {
		sink_sent(sp->s, item->flows, item->len);
	}
	sp->confirmed = item->end;
	sp->unsaved = true;
}

void spool_tidy(struct spool *sp, bool all_confirmed)
{
	if (all_confirmed && !spool_has_more(sp)) {
		sp->confirmed = sp->read;
		/* behind the last segment's end everything is of no use */
		if (sp->n &&
		    (sp->n > 1 || sp->seg[0].size >= sp->segment_bytes / 4 || !sp->keep_open))
			sp->confirmed = (struct spool_pos){sp->next_number, 0};
	}
	while (sp->n && (int32_t)(sp->seg[0].number - sp->confirmed.segment) < 0) {
		forget_first(sp);
		sp->unsaved = true;
	}
	move_up(sp);
	if (sp->unsaved)
		spool_save(sp);
}
