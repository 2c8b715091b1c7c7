// SPDX-License-Identifier: Apache-2.0
/*
 * feed.c - see feed.h. Values go through the engine's chunk appender: a column that no row of a block
 * has is one constant, the others are copied as they lie.
 */
#include "collector/store/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/store.h"

#define CHUNK 2048u /* rows of the engine's vectors */

struct table {
	duckdb_appender appender;
	duckdb_data_chunk chunk;
};

struct feed {
	duckdb_connection c;
	struct table table[_LT_MAX];
	duckdb_value none; /* NULL */
};

/* What is being filled: some rows of a block. */
struct fill {
	const struct block *b;
	struct layout_rows rows; /* CHUNK at most */
	uint64_t number;
	bool ascii; /* all of the block's text */
};

static int open_table(struct feed *f, const char *catalog, enum layout_table t, char *error)
{
	const struct layout *l = layout_of(t);
	duckdb_logical_type types[LAYOUT_COLUMNS_MAX];
	static const uint8_t ids[] = {
		[BT_U8] = DUCKDB_TYPE_UTINYINT,	 [BT_U16] = DUCKDB_TYPE_USMALLINT,
		[BT_U32] = DUCKDB_TYPE_UINTEGER, [BT_U64] = DUCKDB_TYPE_UBIGINT,
		[BT_TIME] = DUCKDB_TYPE_BIGINT,	 [BT_STR] = DUCKDB_TYPE_VARCHAR,
	};
	struct table *to = &f->table[t];

	if (duck.appender_create_ext(f->c, catalog, NULL, l->name, &to->appender) !=
	    DuckDBSuccess) {
		duck_words(error, duck.appender_error(to->appender));
		return duck_errno(DUCKDB_ERROR_IO, error);
	}
	for (uint32_t i = 0; i < l->n; i++)
		types[i] = duck.create_logical_type(ids[l->column[i].type]);
	to->chunk = duck.create_data_chunk(types, l->n);
	for (uint32_t i = 0; i < l->n; i++)
		duck.destroy_logical_type(&types[i]);
	return to->chunk ? 0 : -ENOMEM;
}

int feed_begin(duckdb_database db, const char *catalog, char *error, struct feed **ret)
{
	struct feed *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	if (duck.connect(db, &f->c) != DuckDBSuccess) {
		free(f);
		return -ENOMEM;
	}
	f->none = duck.create_null_value();
	r = duck_exec(f->c, error, "BEGIN");
	for (unsigned int t = 0; t < _LT_MAX && !r; t++)
		r = open_table(f, catalog, t, error);
	if (r) {
		feed_abort(f);
		return r;
	}
	*ret = f;
	return 0;
}

static uint32_t row_at(const struct layout_rows *r, uint32_t i)
{
	return r->rows ? r->rows[i] : r->from + i;
}

/* Contiguous rows begin at a multiple of 64, see feed_rows(). */
static void fill_validity(const struct fill *f, enum block_column c, duckdb_vector v)
{
	const uint64_t *valid = f->b->valid[c];
	uint64_t *to, all = UINT64_MAX;
	uint32_t n = f->rows.n;

	if (!f->rows.rows) {
		valid += f->rows.from / 64;
		for (uint32_t i = 0; i < n / 64; i++)
			all &= valid[i];
		if (n % 64)
			all &= valid[n / 64] | ~((UINT64_C(1) << (n % 64)) - 1);
		if (all == UINT64_MAX)
			return;
		duck.vector_ensure_validity_writable(v);
		memcpy(duck.vector_get_validity(v), valid, (n + 63) / 64 * sizeof(*valid));
		return;
	}
	duck.vector_ensure_validity_writable(v);
	to = duck.vector_get_validity(v);
	memset(to, 0, (n + 63) / 64 * sizeof(*to));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t row = f->rows.rows[i];

		to[i / 64] |= (valid[row / 64] >> (row % 64) & 1) << (i % 64);
	}
}

#define GATHER(type)                             \
	for (uint32_t i = 0; i < f->rows.n; i++) \
		((type *)to)[i] = ((const type *)f->b->data[c])[f->rows.rows[i]];

static void fill_numbers(const struct fill *f, enum block_column c, duckdb_vector v)
{
	uint32_t size = block_columns[c].size;
	void *to = duck.vector_get_data(v);

	if (!f->rows.rows) {
		memcpy(to, (const char *)f->b->data[c] + (size_t)f->rows.from * size,
		       (size_t)f->rows.n * size);
		return;
	}
	switch (size) {
	case 1:
		GATHER(uint8_t)
		break;
	case 2:
		GATHER(uint16_t)
		break;
	case 4:
		GATHER(uint32_t)
		break;
	default:
		GATHER(uint64_t)
		break;
	}
}

static void put_clean(duckdb_vector v, uint32_t row, const char *s, uint32_t len)
{
	uint32_t n = 0;
	char *clean = duck_clean(s, len, &n);

	duck.vector_assign_string_element_len(v, row, clean ? clean : "", n);
	free(clean);
}

/* The engine's strings point into the block's text: the appender copies them. */
static void fill_texts(const struct fill *f, enum block_column c, duckdb_vector v)
{
	const struct block_str *from = f->b->data[c];
	duckdb_string_t *to = duck.vector_get_data(v);

	for (uint32_t i = 0; i < f->rows.n; i++) {
		uint32_t row = row_at(&f->rows, i);
		bool has = block_is_valid(f->b, c, row);
		uint32_t len = has ? from[row].len : 0;
		const char *s = has ? f->b->text + from[row].at : "";

		if (!f->ascii && !duck_is_utf8(s, len)) {
			put_clean(v, i, s, len);
			continue;
		}
		to[i].value.inlined.length = len;
		if (len <= 12) {
			memset(to[i].value.inlined.inlined, 0, 12);
			memcpy(to[i].value.inlined.inlined, s, len);
		} else {
			memcpy(to[i].value.pointer.prefix, s, 4);
			to[i].value.pointer.ptr = (char *)(uintptr_t)s;
		}
	}
}

static void fill_column(const struct feed *f, const struct fill *fill,
			const struct layout_column *l, duckdb_vector v)
{
	uint64_t *numbers;

	if (l->kind == LK_ROW) {
		numbers = duck.vector_get_data(v);
		for (uint32_t i = 0; i < fill->rows.n; i++)
			numbers[i] = fill->number + row_at(&fill->rows, i);
	} else if (l->kind == LK_PACK) {
		if (layout_part_used(fill->b, l->of))
			layout_pack(fill->b, l->of, &fill->rows, duck.vector_get_data(v));
		else
			duck.vector_reference_value(v, f->none);
	} else if (!block_is_used(fill->b, l->of)) {
		duck.vector_reference_value(v, f->none);
	} else {
		if (l->type == BT_STR)
			fill_texts(fill, l->of, v);
		else
			fill_numbers(fill, l->of, v);
		fill_validity(fill, l->of, v);
	}
}

static int append(struct feed *f, enum layout_table t, const struct fill *fill, char *error)
{
	const struct layout *l = layout_of(t);
	struct table *to = &f->table[t];

	duck.data_chunk_reset(to->chunk);
	for (uint32_t i = 0; i < l->n; i++)
		fill_column(f, fill, &l->column[i], duck.data_chunk_get_vector(to->chunk, i));
	duck.data_chunk_set_size(to->chunk, fill->rows.n);
	if (duck.append_data_chunk(to->appender, to->chunk) == DuckDBSuccess)
		return 0;
	duck_words(error, duck.appender_error(to->appender));
	return duck_errno(DUCKDB_ERROR_IO, error);
}

/* All of @rows, chunk by chunk. */
static int append_all(struct feed *f, enum layout_table t, struct fill *fill,
		      const struct layout_rows *rows, char *error)
{
	int r = 0;

	for (uint32_t done = 0; done < rows->n && !r; done += fill->rows.n) {
		uint32_t left = rows->n - done;

		fill->rows.n = left < CHUNK ? left : CHUNK;
		fill->rows.rows = rows->rows ? rows->rows + done : NULL;
		fill->rows.from = rows->from + done;
		r = append(f, t, fill, error);
	}
	return r;
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
	struct fill fill = {.b = b, .number = number, .ascii = all_ascii(b->text, b->text_len)};
	static __thread uint32_t list[BLOCK_ROWS];
	uint64_t bits[BLOCK_WORDS];
	int r = append_all(f, LT_FLOWS, &fill, rows, error);

	for (unsigned int t = LT_FLOWS + 1; t < _LT_MAX && !r; t++) {
		struct layout_rows side = {.rows = list};

		if (!layout_side_rows(b, t, bits))
			continue;
		for (uint32_t i = 0; i < rows->n; i++) {
			uint32_t row = row_at(rows, i);

			list[side.n] = row;
			side.n += bits[row / 64] >> (row % 64) & 1;
		}
		r = append_all(f, t, &fill, &side, error);
	}
	return r;
}

static int close_tables(struct feed *f, char *error)
{
	int r = 0;

	for (unsigned int t = 0; t < _LT_MAX; t++) {
		struct table *to = &f->table[t];

		if (to->appender && duck.appender_destroy(&to->appender) != DuckDBSuccess && !r) {
			r = -EIO;
			if (error)
				duck_words(error, "appending failed");
		}
		if (to->chunk)
			duck.destroy_data_chunk(&to->chunk);
	}
	return r;
}

int feed_commit(struct feed *f, char *error)
{
	int r = close_tables(f, error);

	if (!r)
		r = duck_exec(f->c, error, "COMMIT");
	feed_abort(f);
	return r;
}

void feed_abort(struct feed *f)
{
	char error[STORE_ERROR];

	close_tables(f, NULL);
	duck_exec(f->c, error, "ROLLBACK"); /* nothing to do after a COMMIT */
	duck.destroy_value(&f->none);
	duck.disconnect(&f->c);
	free(f);
}
