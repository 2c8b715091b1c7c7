// SPDX-License-Identifier: Apache-2.0
/*
 * put.c - see put.h.
 */
#include "collector/store/put.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/store.h"

#define ROWS	    2048u
#define COLUMNS_MAX 160u

struct put {
	duckdb_appender appender;
	duckdb_data_chunk chunk;
	char types[COLUMNS_MAX + 1];
	uint32_t columns, column, rows;
	duckdb_vector vector[COLUMNS_MAX];
	bool failed;
};

static duckdb_type type_of(char letter)
{
	switch (letter) {
	case 'b':
		return DUCKDB_TYPE_BOOLEAN;
	case '1':
		return DUCKDB_TYPE_UTINYINT;
	case '4':
		return DUCKDB_TYPE_UINTEGER;
	case '8':
		return DUCKDB_TYPE_UBIGINT;
	case 'i':
		return DUCKDB_TYPE_BIGINT;
	case 'f':
		return DUCKDB_TYPE_DOUBLE;
	case 't':
		return DUCKDB_TYPE_TIMESTAMP;
	default:
		return DUCKDB_TYPE_VARCHAR;
	}
}

static void fresh(struct put *p)
{
	duck.data_chunk_reset(p->chunk);
	p->rows = 0;
	for (uint32_t i = 0; i < p->columns; i++)
		p->vector[i] = duck.data_chunk_get_vector(p->chunk, i);
}

int put_begin(duckdb_connection c, const char *table, const char *types, char *error,
	      struct put **ret)
{
	const bool temporary = !strncmp(table, "temp.", 5);
	struct put *p = calloc(1, sizeof(*p));
	duckdb_logical_type logical[COLUMNS_MAX];

	if (!p)
		return -ENOMEM;
	if (duck.appender_create_ext(c, temporary ? "temp" : NULL, temporary ? "main" : NULL,
				     temporary ? table + 5 : table,
				     &p->appender) != DuckDBSuccess) {
		duck_words(error, duck.appender_error(p->appender));
		duck.appender_destroy(&p->appender);
		free(p);
		return -EIO;
	}
	p->columns = (uint32_t)strlen(types);
	memcpy(p->types, types, p->columns);
	for (uint32_t i = 0; i < p->columns; i++)
		logical[i] = duck.create_logical_type(type_of(types[i]));
	p->chunk = duck.create_data_chunk(logical, p->columns);
	for (uint32_t i = 0; i < p->columns; i++)
		duck.destroy_logical_type(&logical[i]);
	fresh(p);
	*ret = p;
	return 0;
}

static void send(struct put *p)
{
	duck.data_chunk_set_size(p->chunk, p->rows);
	if (p->rows && duck.append_data_chunk(p->appender, p->chunk) != DuckDBSuccess)
		p->failed = true;
	fresh(p);
}

static void next(struct put *p)
{
	if (++p->column < p->columns)
		return;
	p->column = 0;
	if (++p->rows == ROWS)
		send(p);
}

void put_number(struct put *p, uint64_t v)
{
	void *to = duck.vector_get_data(p->vector[p->column]);

	switch (p->types[p->column]) {
	case 'b':
		((bool *)to)[p->rows] = v != 0;
		break;
	case '1':
		((uint8_t *)to)[p->rows] = (uint8_t)v;
		break;
	case '4':
		((uint32_t *)to)[p->rows] = (uint32_t)v;
		break;
	default:
		((uint64_t *)to)[p->rows] = v;
		break;
	}
	next(p);
}

void put_double(struct put *p, double v)
{
	((double *)duck.vector_get_data(p->vector[p->column]))[p->rows] = v;
	next(p);
}

void put_null(struct put *p)
{
	duckdb_vector v = p->vector[p->column];

	duck.vector_ensure_validity_writable(v);
	duck.vector_get_validity(v)[p->rows / 64] &= ~(UINT64_C(1) << (p->rows % 64));
	next(p);
}

void put_text(struct put *p, const char *s, uint32_t len)
{
	uint32_t n;
	char *clean;

	if (!s) {
		put_null(p);
		return;
	}
	clean = duck_clean(s, len, &n);
	duck.vector_assign_string_element_len(p->vector[p->column], p->rows, clean ? clean : "", n);
	free(clean);
	next(p);
}

int put_end(struct put *p, char *error)
{
	int r = 0;

	send(p);
	if (p->failed || duck.appender_flush(p->appender) != DuckDBSuccess) {
		duck_words(error, duck.appender_error(p->appender));
		r = duck_errno(DUCKDB_ERROR_IO, error);
	}
	duck.appender_destroy(&p->appender);
	duck.destroy_data_chunk(&p->chunk);
	free(p);
	return r;
}
