// SPDX-License-Identifier: Apache-2.0
/*
 * eve_past.c - records that have gone by: copies of their columns, as many as there is room for, and what
 * becomes of one when an alert comes late.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/eve/eve_join_int.h"

#define ALIGN 16u

/* What is of a record alone, not of its flow: a further one does not have it. */
static bool is_own(unsigned int c)
{
	switch (c) {
	case BC_END:
	case BC_START:
	case BC_REASON:
	case BC_VERDICT:
	case BC_RULE:
	case BC_DROPPED_PACKETS:
	case BC_DROPPED_BYTES:
	case BC_DNS_QUERIES:
	case BC_DNS_ANSWERS:
	case BC_UNKNOWN:
	case BC_IDS_TIME:
	case BC_IDS_SID:
	case BC_IDS_SEVERITY:
	case BC_IDS_SIGNATURE:
	case BC_IDS_CATEGORY:
	case BC_IDS_ACTION:
		return true;
	default:
		return block_columns[c].part == BP_COUNT;
	}
}

/* Times say which record an alert is of; the rest of what is a record's own need not be kept. */
static bool is_kept(const struct block *b, unsigned int c)
{
	return block_is_used(b, c) && (c == BC_END || c == BC_START || !is_own(c));
}

static size_t round_up(size_t n)
{
	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static size_t words_size(const struct block *b)
{
	return round_up((b->rows + 63) / 64 * sizeof(uint64_t));
}

static size_t size_of(const struct block *b)
{
	size_t n = round_up(b->rows * sizeof(uint16_t)) + round_up(b->text_len);

	for (unsigned int c = 0; c < _BC_MAX; c++)
		if (is_kept(b, c))
			n += round_up((size_t)b->rows * block_columns[c].size) + words_size(b);
	return n;
}

static void *take(uint8_t **at, size_t n)
{
	void *p = *at;

	*at += round_up(n);
	return p;
}

struct eve_past *eve_past_new(const struct eve_join *j, const struct block *b, uint16_t *places)
{
	const size_t size = sizeof(struct eve_past) + size_of(b);
	struct eve_past *p = size <= j->cfg.history ? malloc(size) : NULL;
	uint8_t *at;

	if (!p)
		return NULL;
	*p = (struct eve_past){.size = size, .b = {.rows = b->rows, .text_len = b->text_len}};
	at = p->data;
	p->places = take(&at, b->rows * sizeof(*places));
	memcpy(p->places, places, b->rows * sizeof(*places));
	p->b.text = take(&at, b->text_len);
	if (b->text_len)
		memcpy(p->b.text, b->text, b->text_len);
	for (unsigned int c = 0; c < _BC_MAX; c++) {
		const size_t n = (size_t)b->rows * block_columns[c].size;

		if (!is_kept(b, c))
			continue;
		p->b.used[c / 64] |= UINT64_C(1) << (c % 64);
		p->b.data[c] = take(&at, n);
		memcpy(p->b.data[c], b->data[c], n);
		p->b.valid[c] = take(&at, words_size(b));
		memcpy(p->b.valid[c], b->valid[c], (b->rows + 63) / 64 * sizeof(uint64_t));
	}
	return p;
}

/* ---- a further record ---- */

static void copy_column(const struct block *from, uint32_t from_row, struct block *to,
			unsigned int c)
{
	const size_t size = block_columns[c].size;

	memcpy((char *)to->data[c] + to->rows * size, (const char *)from->data[c] + from_row * size,
	       size);
	block_set_valid(to, c, to->rows);
}

static int copy_text(const struct block *from, uint32_t from_row, struct block *to, unsigned int c)
{
	const struct block_str s = BLOCK_COLUMN(from, const struct block_str, c)[from_row];

	return block_put_text(to, c, to->rows, from->text + s.at, s.len);
}

static int copy_row(const struct block *from, uint32_t row, struct block *to)
{
	int r = 0;

	for (unsigned int c = 0; c < _BC_MAX && !r; c++) {
		if (!block_is_used(from, c) || is_own(c) || !block_is_valid(from, c, row))
			continue;
		if (block_columns[c].type == BT_STR)
			r = copy_text(from, row, to, c);
		else
			copy_column(from, row, to, c);
	}
	return r;
}

static void put_no_packets(struct block *b, uint32_t row)
{
	static const uint8_t counts[] = {BC_OUT_PACKETS, BC_OUT_BYTES, BC_IN_PACKETS, BC_IN_BYTES};

	for (unsigned int i = 0; i < sizeof(counts); i++) {
		/* the way back only where the record had one */
		if (i >= 2 && !block_is_valid(b, counts[i], row))
			continue;
		BLOCK_COLUMN(b, uint64_t, counts[i])[row] = 0;
		block_set_valid(b, counts[i], row);
	}
}

static void put_time(struct block *b, enum block_column c, uint32_t row, uint64_t us)
{
	BLOCK_COLUMN(b, int64_t, c)[row] = (int64_t)us;
	block_set_valid(b, c, row);
}

int eve_put_alert(struct block *b, uint32_t row, const struct eve_wait *w)
{
	static const uint8_t columns[3] = {BC_IDS_SIGNATURE, BC_IDS_CATEGORY, BC_IDS_ACTION};
	const char *text = w->text;

	if (BLOCK_TEXT - b->text_len < w->len[0] + w->len[1] + w->len[2])
		return -ENOSPC;
	for (unsigned int i = 0; i < 3; text += w->len[i++])
		if (w->len[i] && block_put_text(b, columns[i], row, text, w->len[i]))
			return -ENOSPC;
	put_time(b, BC_IDS_TIME, row, w->time_us);
	BLOCK_COLUMN(b, uint32_t, BC_IDS_SID)[row] = w->sid;
	block_set_valid(b, BC_IDS_SID, row);
	if (w->severity) {
		BLOCK_COLUMN(b, uint8_t, BC_IDS_SEVERITY)[row] = w->severity;
		block_set_valid(b, BC_IDS_SEVERITY, row);
	}
	return 0;
}

int eve_past_again(const struct eve_past *p, uint32_t row, const struct eve_wait *w,
		   struct block *to)
{
	const uint32_t text_len = to->text_len;
	int r = to->rows == BLOCK_ROWS ? -ENOSPC : copy_row(&p->b, row, to);

	r = r ?: eve_put_alert(to, to->rows, w);
	if (r) {
		block_drop_row(to, to->rows);
		to->text_len = text_len;
		return r;
	}
	put_no_packets(to, to->rows);
	put_time(to, BC_START, to->rows, w->time_us);
	put_time(to, BC_END, to->rows, w->time_us);
	BLOCK_COLUMN(to, uint8_t, BC_REASON)[to->rows] = FLOW_IDS;
	block_set_valid(to, BC_REASON, to->rows);
	to->rows++;
	return 0;
}
