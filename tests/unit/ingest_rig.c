// SPDX-License-Identifier: Apache-2.0
#include "ingest_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 4u

void ingest_rig_new(struct ingest_rig *g, const struct decoder_cfg *cfg)
{
	struct decoder_cfg own = cfg ? *cfg : (struct decoder_cfg){0};

	memset(g, 0, sizeof(*g));
	g->exporters = exporters_new(own.ops, own.arg, 1000);
	g->pool = block_pool_new(BLOCKS);
	own.exporters = g->exporters;
	own.pool = g->pool;
	g->d = decoder_new(&own);
	g->row = calloc(RIG_KEPT, sizeof(*g->row));
	g->from = (struct source){.address = {[10] = 0xff, 0xff, 192, 0, 2, 1}, .port = 4000};
	if (!g->exporters || !g->pool || !g->d || !g->row)
		abort();
}

void ingest_rig_free(struct ingest_rig *g)
{
	ingest_rig_take(g);
	decoder_free(g->d);
	block_pool_free(g->pool);
	exporters_free(g->exporters);
	free(g->row);
}

int ingest_rig_feed(struct ingest_rig *g, const void *p, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1); /* so that a sanitizer sees a byte too much */
	int r;

	memcpy(exact, p, len);
	r = decoder_message(g->d, &g->from, exact, len, RIG_NOW_US);
	decoder_settle(g->d);
	free(exact);
	return r;
}

static uint64_t number(const struct block *b, unsigned int c, uint32_t row)
{
	switch (block_columns[c].size) {
	case 1:
		return BLOCK_COLUMN(b, uint8_t, c)[row];
	case 2:
		return BLOCK_COLUMN(b, uint16_t, c)[row];
	case 4:
		return BLOCK_COLUMN(b, uint32_t, c)[row];
	default:
		return BLOCK_COLUMN(b, uint64_t, c)[row];
	}
}

static int put_text(const struct block *b, const struct block_str *s, char *to, size_t room)
{
	int n = 0;

	for (uint32_t i = 0; i < s->len && (size_t)n + 5 < room; i++) {
		const unsigned char ch = (unsigned char)b->text[s->at + i];

		if (ch > ' ' && ch < 127)
			to[n++] = (char)ch;
		else
			n += snprintf(to + n, room - (size_t)n, "\\%02x", ch);
	}
	to[n] = 0;
	return n;
}

void ingest_row_text(const struct block *b, uint32_t row, char to[static RIG_ROW])
{
	size_t n = 0;

	*to = 0;
	for (unsigned int c = 0; c < _BC_MAX && n + 64 < RIG_ROW; c++) {
		if (c == BC_EXPORTER || !block_is_used(b, c) || !block_is_valid(b, c, row))
			continue;
		n += (size_t)snprintf(to + n, RIG_ROW - n, "%s=", block_columns[c].name);
		if (block_columns[c].type == BT_STR)
			n += (size_t)put_text(b, &BLOCK_COLUMN(b, struct block_str, c)[row], to + n,
					      RIG_ROW - n - 32);
		else
			n += (size_t)snprintf(to + n, RIG_ROW - n, "%llu",
					      (unsigned long long)number(b, c, row));
		n += (size_t)snprintf(to + n, RIG_ROW - n, " ");
	}
}

static unsigned int count_words(const char *s)
{
	unsigned int n = 0;

	for (; *s; s++)
		n += *s == ' ';
	return n;
}

bool ingest_row_has(const char *row, const char *words, bool all)
{
	for (const char *w = words; *w; w += strcspn(w, " ") + 1) {
		const size_t len = strcspn(w, " ") + 1;
		const char *r = row;

		while (*r && strncmp(r, w, len) != 0)
			r += strcspn(r, " ") + 1;
		if (!*r) {
			fprintf(stderr, "no %.*s in: %s\n", (int)len, w, row);
			return false;
		}
	}
	return !all || count_words(row) == count_words(words);
}

static void add_up(struct ingest_rig *g, const struct block *b, uint32_t row)
{
	static const struct {
		uint8_t packets, bytes;
	} ways[] = {{BC_OUT_PACKETS, BC_OUT_BYTES}, {BC_IN_PACKETS, BC_IN_BYTES}};

	for (unsigned int i = 0; i < 2; i++) {
		if (block_is_valid(b, ways[i].packets, row))
			g->packets += number(b, ways[i].packets, row);
		if (block_is_valid(b, ways[i].bytes, row))
			g->bytes += number(b, ways[i].bytes, row);
	}
	if (g->rows < RIG_KEPT)
		ingest_row_text(b, row, g->row[g->rows]);
	g->rows++;
}

uint32_t ingest_rig_take(struct ingest_rig *g)
{
	const uint32_t before = g->rows;
	struct block *b;

	decoder_flush(g->d, INT64_MAX);
	for (;;) {
		struct block_pool_stats s;

		block_pool_stats(g->pool, &s);
		if (!s.queued)
			break;
		b = block_receive(g->pool, 1000);
		for (uint32_t i = 0; b && i < b->rows; i++)
			add_up(g, b, i);
		if (b)
			block_put(g->pool, b);
	}
	return g->rows - before;
}

void ingest_rig_forget(struct ingest_rig *g)
{
	g->rows = 0;
	g->packets = g->bytes = 0;
}

uint64_t ingest_rig_count(struct ingest_rig *g, uint32_t domain, enum ingest_count c)
{
	return exporter_counted(exporters_get(g->exporters, g->from.address, domain), c);
}

size_t ingest_hex(const char *hex, uint8_t *to, size_t room)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (unsigned int half = 0, v = 0; *hex; hex++) {
		const char *d = strchr(digits, *hex);

		if (!d)
			continue;
		v = v << 4 | (unsigned int)(d - digits);
		if (half++ % 2 == 0)
			continue;
		if (n < room)
			to[n++] = (uint8_t)v;
		v = 0;
	}
	return n;
}
