// SPDX-License-Identifier: Apache-2.0
/*
 * feed.c - see feed.h. Some blocks at a time are inserted with one statement, whose rows the engine
 * fetches from them (feed_scan.c): its appender would copy them once more, and waits by spinning.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/feed_int.h"
#include "collector/store/store.h"

static void forget_pieces(struct feed *f)
{
	for (uint32_t i = 0; i < f->pieces; i++)
		free(f->piece[i].list);
	f->pieces = 0;
	f->rows = 0;
	memset(f->any, 0, sizeof(f->any));
}

int feed_begin(struct feeder *r, duckdb_database db, const char *catalog, char *error,
	       struct feed **ret)
{
	struct feed *f = calloc(1, sizeof(*f));
	int e;

	if (!f)
		return -ENOMEM;
	if (duck.connect(db, &f->c) != DuckDBSuccess) {
		free(f);
		return -ENOMEM;
	}
	f->feeder = r;
	snprintf(f->catalog, sizeof(f->catalog), "%s", catalog);
	e = duck_exec(f->c, error, "BEGIN");
	if (e) {
		feed_abort(f);
		return e;
	}
	*ret = f;
	return 0;
}

static int prepare(struct feed *f, enum layout_table t, char *error)
{
	const char *name = layout_of(t)->name;
	char sql[128];

	if (f->insert[t])
		return 0;
	snprintf(sql, sizeof(sql), "INSERT INTO %s.%s FROM " FEED_FUNCTION "()", f->catalog, name,
		 name);
	if (duck.prepare(f->c, sql, &f->insert[t]) == DuckDBSuccess)
		return 0;
	duck_words(error, duck.prepare_error(f->insert[t]));
	return duck_errno(DUCKDB_ERROR_IO, error);
}

/* What has come into the tables. */
static int insert(struct feed *f, char *error)
{
	int e = 0;

	f->feeder->current = f;
	for (unsigned int t = 0; t < _LT_MAX && !e; t++) {
		if (!f->any[t])
			continue;
		e = prepare(f, t, error);
		if (!e)
			e = duck_finish(f->insert[t], error);
	}
	f->feeder->current = NULL;
	forget_pieces(f);
	return e;
}

static bool all_ascii(const char *s, uint32_t len)
{
	unsigned char any = 0;

	for (uint32_t i = 0; i < len; i++)
		any |= (unsigned char)s[i];
	return any < 0x80;
}

int feed_rows(struct feed *f, const struct block *b, uint64_t number,
	      const struct layout_rows *rows, char *error)
{
	struct feed_piece *p = &f->piece[f->pieces];
	uint64_t bits[BLOCK_WORDS];

	*p = (struct feed_piece){.b = b, .number = number, .rows = *rows};
	p->ascii = all_ascii(b->text, b->text_len);
	if (rows->rows) {
		p->list = malloc(rows->n * sizeof(*p->list));
		if (!p->list)
			return -ENOMEM;
		memcpy(p->list, rows->rows, rows->n * sizeof(*p->list));
		p->rows.rows = p->list;
	}
	f->any[LT_FLOWS] = true;
	for (unsigned int t = LT_FLOWS + 1; t < _LT_MAX; t++)
		f->any[t] |= layout_side_rows(b, t, bits);
	f->rows += rows->n;
	f->pieces++;
	return f->pieces == FEED_PIECES || f->rows >= FEED_ROWS ? insert(f, error) : 0;
}

int feed_commit(struct feed *f, char *error)
{
	int e = f->pieces ? insert(f, error) : 0;

	if (!e)
		e = duck_commit(f->c, error);
	feed_abort(f);
	return e;
}

void feed_abort(struct feed *f)
{
	char error[STORE_ERROR];

	forget_pieces(f);
	for (unsigned int t = 0; t < _LT_MAX; t++)
		duck.destroy_prepare(&f->insert[t]);
	duck_exec(f->c, error, "ROLLBACK"); /* nothing to do after a COMMIT */
	duck.disconnect(&f->c);
	free(f);
}
