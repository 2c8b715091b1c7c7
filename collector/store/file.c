// SPDX-License-Identifier: Apache-2.0
/*
 * file.c - rows that become a Parquet file: a temporary table of a connection of its own, which the
 * engine spills where it is large, copied at the end. See store.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/store/put.h"
#include "collector/store/source.h"
#include "collector/store/store_int.h"

struct store_file {
	struct store *s;
	duckdb_connection c;
	struct put *put;
	uint32_t n;
};

static const struct {
	char letter;
	const char *sql;
} types[] = {
	[ST_BOOL] = {'b', "BOOLEAN"},	[ST_U64] = {'8', "UBIGINT"},  [ST_F64] = {'f', "DOUBLE"},
	[ST_TIME] = {'t', "TIMESTAMP"}, [ST_TEXT] = {'s', "VARCHAR"},
};

/* Names are those of fields and measures: they have no quotes. */
static int create(struct store_file *f, const struct store_file_column *columns, char *error)
{
	char letters[STORE_FILE_COLUMNS + 1] = "";
	struct from q;
	char *sql;
	int r;

	from_begin(&q);
	for (uint32_t i = 0; i < f->n; i++) {
		from_add(&q, "%s\"%s\" %s", i ? ", " : "CREATE TEMP TABLE answer(", columns[i].name,
			 types[columns[i].type].sql);
		letters[i] = types[columns[i].type].letter;
	}
	from_add(&q, ")");
	r = from_end(&q, &sql);
	if (r)
		return r;
	r = duck_exec(f->c, error, "%s", sql);
	free(sql);
	return r ?: put_begin(f->c, "temp.answer", letters, error, &f->put);
}

int store_file_new(struct store *s, const struct store_file_column *columns, uint32_t n,
		   char *error, struct store_file **ret)
{
	struct store_file *f = calloc(1, sizeof(*f));
	int r = n && n <= STORE_FILE_COLUMNS ? 0 : -EINVAL;

	if (!f || r) {
		free(f);
		return r ?: -ENOMEM;
	}
	f->n = n;
	pthread_mutex_lock(&s->lock);
	r = s->db && duck.connect(s->db, &f->c) == DuckDBSuccess ? 0 : -EIO;
	if (!r) {
		f->s = s;
		s->readers++;
	}
	pthread_mutex_unlock(&s->lock);
	r = r ?: create(f, columns, error);
	if (r)
		f = store_file_free(f);
	*ret = f;
	return r;
}

void store_file_put(struct store_file *f, const struct store_value *row)
{
	for (uint32_t i = 0; i < f->n; i++) {
		switch (row[i].type) {
		case ST_BOOL:
			put_number(f->put, row[i].b);
			break;
		case ST_F64:
			put_double(f->put, row[i].f);
			break;
		case ST_TEXT:
			put_text(f->put, row[i].s.s, row[i].s.len);
			break;
		case ST_NULL:
			put_null(f->put);
			break;
		default:
			put_number(f->put, row[i].u);
		}
	}
}

int store_file_write(struct store_file *f, const char *path, char *error)
{
	struct put *put = f->put;
	char tmp[PATH_BYTES];
	int r;

	f->put = NULL;
	r = put_end(put, error);
	if (r)
		return r;
	if (strchr(path, '\'') || snprintf(tmp, sizeof(tmp), "%s.part", path) >= (int)sizeof(tmp)) {
		snprintf(error, STORE_ERROR, "%.200s: a path that can't be written to", path);
		return -EINVAL;
	}
	r = duck_exec(f->c, error, "COPY answer TO '%s' (FORMAT parquet, COMPRESSION zstd)", tmp);
	if (!r && rename(tmp, path)) {
		r = -errno;
		snprintf(error, STORE_ERROR, "%.200s: %s", path, strerror(-r));
	}
	if (r)
		unlink(tmp);
	return r;
}

struct store_file *store_file_free(struct store_file *f)
{
	char ignored[STORE_ERROR];

	if (!f)
		return NULL;
	if (f->put)
		put_end(f->put, ignored);
	if (f->c)
		duck.disconnect(&f->c);
	if (f->s) {
		pthread_mutex_lock(&f->s->lock);
		f->s->readers--;
		pthread_cond_signal(&f->s->idle);
		pthread_mutex_unlock(&f->s->lock);
	}
	free(f);
	return NULL;
}
