// SPDX-License-Identifier: Apache-2.0
/*
 * spool_files.c - a spool's folder at start: segments of an earlier run, and how far they were
 * confirmed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/scan.h"
#include "loader/export/sink_int.h"
#include "loader/export/spool_int.h"

#define SEGMENT_MIN   (64u << 10)
#define SEGMENT_MAX   (64u << 20)
#define STATE_MAGIC   0x5753504cu
#define NUMBER_DIGITS 10u
#define SUFFIX	      ".ipfix"

/* The state file; of this machine, so in its byte order. */
struct state {
	uint32_t magic;
	uint32_t segment;
	uint64_t offset;
	uint64_t start_ms;
	uint32_t sequence;
	uint32_t crc; /* of what stands before */
};

void spool_save(struct spool *sp)
{
	struct state st = {
		.magic = STATE_MAGIC,
		.segment = sp->confirmed.segment,
		.offset = sp->confirmed.offset,
		.start_ms = sp->numbers.start_ms,
		.sequence = sp->numbers.sequence,
	};

	st.crc = (uint32_t)crc32(0, (const uint8_t *)&st, offsetof(struct state, crc));
	sp->unsaved = false;
	/* a full disk does not matter: the file has its size already */
	if (sp->state_fd >= 0 && pwrite(sp->state_fd, &st, sizeof(st), 0) != sizeof(st))
		sink_error(sp->s, "spool: state", errno);
}

static bool load_state(struct spool *sp, struct state *st)
{
	return pread(sp->state_fd, st, sizeof(*st), 0) == sizeof(*st) && st->magic == STATE_MAGIC &&
	       st->crc == (uint32_t)crc32(0, (const uint8_t *)st, offsetof(struct state, crc));
}

/* Return: true and the number: a segment of ours. */
static bool is_segment(const struct spool *sp, const char *file, uint32_t *ret)
{
	const char *name = sp->s->cfg->name;
	const size_t len = strlen(name);
	char digits[NUMBER_DIGITS + 1];
	uint64_t v;

	if (strncmp(file, name, len) || file[len] != '-' ||
	    strlen(file) != len + 1 + NUMBER_DIGITS + strlen(SUFFIX) ||
	    strcmp(file + len + 1 + NUMBER_DIGITS, SUFFIX))
		return false;
	memcpy(digits, file + len + 1, NUMBER_DIGITS);
	digits[NUMBER_DIGITS] = 0;
	if (scan_u64(digits, 0, UINT32_MAX, &v))
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* Where flows are, by the marks; stops at what is no message. */
static void look_through(struct spool *sp, struct segment *g, int fd, uint64_t at)
{
	uint8_t head[SPOOL_MARK];
	struct spool_item item;
	struct ipfix_header h;
	uint32_t crc;

	while (at + IPFIX_HEADER <= g->size) {
		ssize_t n = pread(fd, head, sizeof(head), (off_t)at);

		if (n < (ssize_t)IPFIX_HEADER || ipfix_read_header(head, IPFIX_HEADER, &h))
			return;
		if (n == sizeof(head) && spool_read_mark(head, h.len, &item, &crc))
			g->flows += item.flows;
		at += h.len;
	}
	g->unread = g->flows;
	(void)sp;
}

static int add_old(struct spool *sp, uint32_t number)
{
	struct segment g = {.number = number, .write_fd = -1, .old = true};
	int fd = sink_file(sp->s, XF_SPOOL_OPEN, number);
	struct stat st;
	uint32_t i;

	if (fd < 0)
		return fd;
	if (!fstat(fd, &st))
		g.size = (uint64_t)st.st_size;
	close(fd);
	if (sp->n == SPOOL_SEGMENTS)
		return -E2BIG;
	for (i = sp->n; i && sp->seg[i - 1].number > number; i--)
		sp->seg[i] = sp->seg[i - 1];
	sp->seg[i] = g;
	sp->n++;
	sp->bytes += g.size;
	sink_add(&sp->s->n.spool_bytes, g.size);
	if (number >= sp->next_number)
		sp->next_number = number + 1;
	return 0;
}

static int list_old(struct spool *sp)
{
	int fd = sink_file(sp->s, XF_SPOOL_LIST, 0), r = 0;
	const struct dirent *e;
	uint32_t number;
	DIR *d;

	if (fd < 0)
		return fd;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -errno;
	}
	while (!r && (e = readdir(d)))
		if (is_segment(sp, e->d_name, &number))
			r = add_old(sp, number);
	closedir(d);
	return r;
}

static void count_old(struct spool *sp)
{
	for (uint32_t i = 0; i < sp->n; i++) {
		struct segment *g = &sp->seg[i];
		bool at = g->number == sp->confirmed.segment;
		int fd = sink_file(sp->s, XF_SPOOL_OPEN, g->number);

		if (fd < 0)
			continue;
		look_through(sp, g, fd, at ? sp->confirmed.offset : 0);
		g->unread = g->flows;
		close(fd);
	}
}

static int take_up(struct spool *sp, struct spool_numbers *ret_numbers)
{
	struct state st;
	int r = list_old(sp);
	bool known;

	if (r)
		return r;
	sp->state_fd = sink_file(sp->s, XF_SPOOL_STATE, 0);
	if (sp->state_fd < 0)
		return sp->state_fd;
	known = load_state(sp, &st);
	if (known) {
		*ret_numbers = (struct spool_numbers){st.start_ms, st.sequence};
		sp->numbers = *ret_numbers;
		sp->confirmed = (struct spool_pos){st.segment, st.offset};
		if (st.segment > sp->next_number)
			sp->next_number = st.segment;
	} else {
		sp->confirmed = (struct spool_pos){sp->n ? sp->seg[0].number : 0, 0};
	}
	count_old(sp);
	sp->read = sp->confirmed;
	spool_tidy(sp, spool_is_empty(sp));
	return 0;
}

int spool_new(struct sink *s, const struct ipfix_cfg *cfg, struct spool **ret,
	      struct spool_numbers *ret_numbers, char *reterr)
{
	struct spool *sp = calloc(1, sizeof(*sp));
	int r;

	if (!sp)
		return -ENOMEM;
	sp->s = s;
	sp->cfg = *cfg;
	sp->read_fd = -1;
	sp->state_fd = -1;
	sp->keep_open = s->cfg->acknowledge;
	sp->segment_bytes = s->cfg->spool_bytes / 16;
	if (sp->segment_bytes < SEGMENT_MIN)
		sp->segment_bytes = SEGMENT_MIN;
	if (sp->segment_bytes > SEGMENT_MAX)
		sp->segment_bytes = SEGMENT_MAX;
	sp->buf = malloc(IPFIX_MESSAGE_MAX);
	r = sp->buf ? take_up(sp, ret_numbers) : -ENOMEM;
	if (r) {
		snprintf(reterr, EXPORT_ERR_MAX, "export %s: spool %.120s: %s", s->cfg->name,
			 s->cfg->spool, strerror(-r));
		spool_free(sp);
		return r;
	}
	*ret = sp;
	return 0;
}

struct spool *spool_free(struct spool *sp)
{
	if (!sp)
		return NULL;
	if (sp->unsaved)
		spool_save(sp);
	for (uint32_t i = 0; i < sp->n; i++)
		if (sp->seg[i].write_fd >= 0)
			close(sp->seg[i].write_fd);
	if (sp->read_fd >= 0)
		close(sp->read_fd);
	if (sp->state_fd >= 0)
		close(sp->state_fd);
	free(sp->buf);
	free(sp);
	return NULL;
}
