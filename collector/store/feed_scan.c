// SPDX-License-Identifier: Apache-2.0
/*
 * feed_scan.c - blocks as table functions of the engine, one per table of a partition: it asks for
 * rows, they are copied into its vectors column by column. A column that no row of a block has is one
 * constant.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/feed_int.h"
#include "collector/store/store.h"

/* What is being filled: some rows of a block. */
struct fill {
	const struct block *b;
	struct layout_rows rows; /* CHUNK at most */
	uint64_t number;
	bool ascii; /* all of the block's text */
};

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

static void fill_column(duckdb_value none, const struct fill *fill, const struct layout_column *l,
			duckdb_vector v)
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
			duck.vector_reference_value(v, none);
	} else if (!block_is_used(fill->b, l->of)) {
		duck.vector_reference_value(v, none);
	} else {
		if (l->type == BT_STR)
			fill_texts(fill, l->of, v);
		else
			fill_numbers(fill, l->of, v);
		fill_validity(fill, l->of, v);
	}
}

/* Rows of the piece at hand, of a side table those that have something for it. */
static void begin_piece(struct feed_scan *s)
{
	const struct feed_piece *p = &s->feeder->current->piece[s->piece];
	uint64_t bits[BLOCK_WORDS];

	s->done = 0;
	s->rows = p->rows;
	if (s->table == LT_FLOWS)
		return;
	s->rows = (struct layout_rows){.rows = s->list};
	if (!layout_side_rows(p->b, s->table, bits))
		return;
	for (uint32_t i = 0; i < p->rows.n; i++) {
		uint32_t row = row_at(&p->rows, i);

		s->list[s->rows.n] = row;
		s->rows.n += bits[row / 64] >> (row % 64) & 1;
	}
}

/* The next rows of a table; none: the end. */
static void scan(duckdb_function_info info, duckdb_data_chunk chunk)
{
	struct feed_scan *s = duck.function_get_extra_info(info);
	const struct layout *l = layout_of(s->table);
	const struct feed *f = s->feeder->current;
	const struct feed_piece *p;
	struct fill fill;
	uint32_t left;

	while (f && s->piece < f->pieces && s->done == s->rows.n) {
		if (++s->piece < f->pieces)
			begin_piece(s);
	}
	if (!f || s->piece >= f->pieces) {
		duck.data_chunk_set_size(chunk, 0);
		return;
	}
	p = &f->piece[s->piece];
	left = s->rows.n - s->done;
	fill = (struct fill){.b = p->b, .number = p->number, .ascii = p->ascii};
	fill.rows.n = left < CHUNK ? left : CHUNK;
	fill.rows.rows = s->rows.rows ? s->rows.rows + s->done : NULL;
	fill.rows.from = s->rows.from + s->done;
	s->done += fill.rows.n;
	for (uint32_t i = 0; i < l->n; i++)
		fill_column(s->feeder->none, &fill, &l->column[i],
			    duck.data_chunk_get_vector(chunk, i));
	duck.data_chunk_set_size(chunk, fill.rows.n);
}

static void begin(duckdb_init_info info)
{
	struct feed_scan *s = duck.init_get_extra_info(info);

	duck.init_set_max_threads(info, 1);
	s->piece = 0;
	if (s->feeder->current)
		begin_piece(s);
}

static void describe(duckdb_bind_info info)
{
	static const uint8_t ids[] = {
		[BT_U8] = DUCKDB_TYPE_UTINYINT,	 [BT_U16] = DUCKDB_TYPE_USMALLINT,
		[BT_U32] = DUCKDB_TYPE_UINTEGER, [BT_U64] = DUCKDB_TYPE_UBIGINT,
		[BT_TIME] = DUCKDB_TYPE_BIGINT,	 [BT_STR] = DUCKDB_TYPE_VARCHAR,
	};
	const struct feed_scan *s = duck.bind_get_extra_info(info);
	const struct layout *l = layout_of(s->table);

	for (uint32_t i = 0; i < l->n; i++) {
		duckdb_logical_type t = duck.create_logical_type(ids[l->column[i].type]);

		duck.bind_add_result_column(info, l->column[i].name, t);
		duck.destroy_logical_type(&t);
	}
}

int feeder_register(struct feeder *r, duckdb_connection c)
{
	duckdb_state state = DuckDBSuccess;

	for (unsigned int t = 0; t < _LT_MAX && state == DuckDBSuccess; t++) {
		duckdb_table_function f = duck.create_table_function();
		char name[32];

		snprintf(name, sizeof(name), FEED_FUNCTION, layout_of(t)->name);
		r->scan[t].table = t;
		r->scan[t].feeder = r;
		duck.table_function_set_name(f, name);
		duck.table_function_set_extra_info(f, &r->scan[t], NULL);
		duck.table_function_set_bind(f, describe);
		duck.table_function_set_init(f, begin);
		duck.table_function_set_function(f, scan);
		state = duck.register_table_function(c, f);
		duck.destroy_table_function(&f);
	}
	return state == DuckDBSuccess ? 0 : -ENOMEM;
}

struct feeder *feeder_new(void)
{
	struct feeder *r = calloc(1, sizeof(*r));

	if (r)
		r->none = duck.create_null_value();
	return r;
}

struct feeder *feeder_free(struct feeder *r)
{
	if (r)
		duck.destroy_value(&r->none);
	free(r);
	return NULL;
}
