// SPDX-License-Identifier: Apache-2.0
/*
 * query.c - one query: prepared, run task by task so that it can be stopped, read chunk by chunk. Each
 * has a connection of its own.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/store/store_int.h"

#define COLUMNS_MAX 256u

struct column {
	const uint64_t *valid;
	const void *data;
	duckdb_type type; /* of the values at hand */
	enum store_type as;
	uint8_t scale; /* of decimals */
	const char *name;
};

struct store_result {
	struct store *s;
	duckdb_connection c;
	duckdb_prepared_statement p;
	duckdb_result result;
	duckdb_data_chunk chunk;
	bool running, done;
	atomic_bool cancelled;
	uint64_t deadline_ms;
	pthread_t guard;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool guarded, over;
	uint32_t n;
	struct column *column;
	char error[STORE_ERROR];
};

static enum store_type type_as(duckdb_type t)
{
	switch (t) {
	case DUCKDB_TYPE_BOOLEAN:
		return ST_BOOL;
	case DUCKDB_TYPE_TINYINT:
	case DUCKDB_TYPE_SMALLINT:
	case DUCKDB_TYPE_INTEGER:
	case DUCKDB_TYPE_BIGINT:
		return ST_I64;
	case DUCKDB_TYPE_UTINYINT:
	case DUCKDB_TYPE_USMALLINT:
	case DUCKDB_TYPE_UINTEGER:
	case DUCKDB_TYPE_UBIGINT:
	case DUCKDB_TYPE_HUGEINT:
	case DUCKDB_TYPE_UHUGEINT:
		return ST_U64;
	case DUCKDB_TYPE_FLOAT:
	case DUCKDB_TYPE_DOUBLE:
	case DUCKDB_TYPE_DECIMAL:
		return ST_F64;
	case DUCKDB_TYPE_TIMESTAMP:
	case DUCKDB_TYPE_TIMESTAMP_TZ:
		return ST_TIME;
	case DUCKDB_TYPE_VARCHAR:
		return ST_TEXT;
	case DUCKDB_TYPE_BLOB:
		return ST_BLOB;
	default:
		return ST_NULL;
	}
}

static int describe(struct store_result *r)
{
	r->n = (uint32_t)duck.prepared_statement_column_count(r->p);
	if (!r->n || r->n > COLUMNS_MAX) {
		snprintf(r->error, sizeof(r->error), "%u columns", r->n);
		return -EINVAL;
	}
	r->column = calloc(r->n, sizeof(*r->column));
	if (!r->column)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->n; i++) {
		struct column *c = &r->column[i];

		c->name = duck.prepared_statement_column_name(r->p, i);
		c->type = duck.prepared_statement_column_type(r->p, i);
		c->as = type_as(c->type);
		if (c->as == ST_NULL && c->type != DUCKDB_TYPE_SQLNULL) {
			snprintf(r->error, sizeof(r->error),
				 "column %s: a type that is not given out", c->name);
			return -EINVAL;
		}
	}
	return 0;
}

/* A partition that was detached, or whose file has gone, after the query was made. */
static bool is_stale(const char *message)
{
	static const char *const words[] = {"was not attached", "No such file", "No files found",
					    "does not exist"};

	for (size_t i = 0; message && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strstr(message, words[i]))
			return true;
	}
	return false;
}

static int unprepared(struct store_result *r, const char *message)
{
	duck_words(r->error, message);
	if (is_stale(message))
		return -ESTALE;
	return message && !strncmp(message, "IO Error", 8) ? -EIO : -EINVAL;
}

static int prepare(struct store *s, const struct store_query *q, struct store_result *r)
{
	int e;

	pthread_mutex_lock(&s->lock);
	e = s->db && duck.connect(s->db, &r->c) == DuckDBSuccess ? 0 : -EIO;
	if (!e) {
		r->s = s;
		s->readers++;
	}
	pthread_mutex_unlock(&s->lock);
	if (e)
		return e;
	if (duck.prepare(r->c, q->sql, &r->p) != DuckDBSuccess)
		return unprepared(r, duck.prepare_error(r->p));
	e = duck_bind(r->p, q->values, q->values_n);
	if (e) {
		snprintf(r->error, sizeof(r->error), "values do not fit the query");
		return e;
	}
	if (q->timeout_ms)
		r->deadline_ms = store_now_ms() + q->timeout_ms;
	return 0;
}

int store_select(struct store *s, const struct store_query *q, char *error,
		 struct store_result **ret)
{
	struct store_result *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->ended, NULL);
	e = prepare(s, q, r);
	if (!e)
		e = describe(r);
	if (e) {
		snprintf(error, STORE_ERROR, "%s", r->error[0] ? r->error : strerror(-e));
		store_result_free(r);
		return e;
	}
	*ret = r;
	return 0;
}

/* Why it has to stop, or 0. */
static int stopped(struct store_result *r)
{
	if (atomic_load(&r->cancelled)) {
		snprintf(r->error, sizeof(r->error), "cancelled");
		return -ECANCELED;
	}
	if (r->deadline_ms && store_now_ms() > r->deadline_ms) {
		snprintf(r->error, sizeof(r->error), "it took longer than it may");
		return -ETIMEDOUT;
	}
	return 0;
}

#define GUARD_MS 50u

/* Interrupts the engine when it has to stop, again and again: one that comes too early is forgotten. */
static void *guard(void *arg)
{
	struct store_result *r = arg;
	struct timespec until;

	pthread_mutex_lock(&r->lock);
	while (!r->over) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += (long)GUARD_MS * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&r->ended, &r->lock, &until);
		if (atomic_load(&r->cancelled) ||
		    (r->deadline_ms && store_now_ms() > r->deadline_ms))
			duck.interrupt(r->c);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static void guard_end(struct store_result *r)
{
	if (!r->guarded)
		return;
	pthread_mutex_lock(&r->lock);
	r->over = true;
	pthread_cond_signal(&r->ended);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->guard, NULL);
	r->guarded = false;
}

static int failed(struct store_result *r, duckdb_error_type type, const char *message)
{
	int e = stopped(r);

	if (e)
		return e;
	duck_words(r->error, message);
	if (is_stale(message))
		return -ESTALE;
	return duck_errno(type, message);
}

static int run(struct store_result *r)
{
	duckdb_pending_result pending = NULL;
	duckdb_pending_state state = DUCKDB_PENDING_RESULT_NOT_READY;
	int e = 0;

	r->guarded = pthread_create(&r->guard, NULL, guard, r) == 0;
	if (duck.pending_prepared_streaming(r->p, &pending) != DuckDBSuccess) {
		e = failed(r, DUCKDB_ERROR_INVALID, duck.pending_error(pending));
		duck.destroy_pending(&pending);
		return e;
	}
	while (!e && (state == DUCKDB_PENDING_RESULT_NOT_READY ||
		      state == DUCKDB_PENDING_NO_TASKS_AVAILABLE)) {
		state = duck_step(pending);
		e = stopped(r);
	}
	if (!e && state == DUCKDB_PENDING_ERROR)
		e = failed(r, DUCKDB_ERROR_INVALID, duck.pending_error(pending));
	if (!e && duck.execute_pending(pending, &r->result) != DuckDBSuccess) {
		e = failed(r, duck.result_error_type(&r->result), duck.result_error(&r->result));
		duck.destroy_result(&r->result);
	}
	duck.destroy_pending(&pending);
	r->running = e == 0;
	return e;
}

static void look(struct store_result *r)
{
	for (uint32_t i = 0; i < r->n; i++) {
		duckdb_vector v = duck.data_chunk_get_vector(r->chunk, i);
		struct column *c = &r->column[i];
		duckdb_logical_type t = duck.column_logical_type(&r->result, i);

		c->valid = duck.vector_get_validity(v);
		c->data = duck.vector_get_data(v);
		c->type = duck.get_type_id(t);
		if (c->type == DUCKDB_TYPE_DECIMAL) {
			c->scale = duck.decimal_scale(t);
			c->type = duck.decimal_internal_type(t);
		}
		duck.destroy_logical_type(&t);
	}
}

int store_next(struct store_result *r, uint32_t *ret_rows)
{
	int e = 0;

	if (r->chunk)
		duck.destroy_data_chunk(&r->chunk);
	if (r->done)
		return -ENODATA;
	if (!r->running)
		e = run(r);
	if (!e)
		e = stopped(r);
	if (e) {
		r->done = true;
		return e;
	}
	r->chunk = duck.fetch_chunk(r->result);
	*ret_rows = r->chunk ? (uint32_t)duck.data_chunk_get_size(r->chunk) : 0;
	if (*ret_rows) {
		look(r);
		return 0;
	}
	r->done = true;
	if (duck.result_error(&r->result) && duck.result_error(&r->result)[0])
		return failed(r, duck.result_error_type(&r->result), duck.result_error(&r->result));
	return -ENODATA;
}

const char *store_error(const struct store_result *r)
{
	return r->error;
}

uint32_t store_columns(const struct store_result *r)
{
	return r->n;
}

const char *store_column_name(const struct store_result *r, uint32_t column)
{
	return r->column[column].name;
}

enum store_type store_column_type(const struct store_result *r, uint32_t column)
{
	return r->column[column].as;
}

static void get_text(const struct column *c, uint32_t row, struct store_value *ret)
{
	const duckdb_string_t *s = (const duckdb_string_t *)c->data + row;

	ret->s.len = s->value.inlined.length;
	ret->s.s = ret->s.len <= 12 ? s->value.inlined.inlined : s->value.pointer.ptr;
}

/* 128 bits: sums. What does not fit 64 becomes a double. */
static void get_huge(const struct column *c, uint32_t row, struct store_value *ret)
{
	duckdb_hugeint h = ((const duckdb_hugeint *)c->data)[row];

	if (h.upper == 0) {
		ret->u = h.lower;
	} else if (h.upper == -1 && h.lower >> 63) {
		ret->type = ST_I64;
		ret->i = (int64_t)h.lower;
	} else {
		ret->type = ST_F64;
		ret->f = (double)h.upper * 18446744073709551616.0 + (double)h.lower;
	}
}

static void get_number(const struct column *c, uint32_t row, struct store_value *ret)
{
	switch (c->type) {
#define NUMBER(id, type, member)                            \
	case DUCKDB_TYPE_##id:                              \
		ret->member = ((const type *)c->data)[row]; \
		break;
		NUMBER(BOOLEAN, bool, b)
		NUMBER(TINYINT, int8_t, i)
		NUMBER(SMALLINT, int16_t, i)
		NUMBER(INTEGER, int32_t, i)
		NUMBER(BIGINT, int64_t, i)
		NUMBER(TIMESTAMP, int64_t, i)
		NUMBER(TIMESTAMP_TZ, int64_t, i)
		NUMBER(UTINYINT, uint8_t, u)
		NUMBER(USMALLINT, uint16_t, u)
		NUMBER(UINTEGER, uint32_t, u)
		NUMBER(UBIGINT, uint64_t, u)
		NUMBER(FLOAT, float, f)
		NUMBER(DOUBLE, double, f)
	default:
		get_huge(c, row, ret);
		break;
	}
}

/* A decimal is a number of its internal type, divided by ten so many times. */
static void get_decimal(const struct column *c, uint32_t row, struct store_value *ret)
{
	struct store_value v = {.type = ST_I64};

	get_number(c, row, &v);
	if (c->type == DUCKDB_TYPE_HUGEINT && v.type == ST_I64)
		ret->f = (double)v.u;
	else
		ret->f = v.type == ST_F64 ? v.f : (double)v.i;
	for (uint8_t i = 0; i < c->scale; i++)
		ret->f /= 10;
}

bool store_get(const struct store_result *r, uint32_t column, uint32_t row, struct store_value *ret)
{
	const struct column *c = &r->column[column];

	if (c->as == ST_NULL || (c->valid && !(c->valid[row / 64] >> (row % 64) & 1)))
		return false;
	ret->type = c->as;
	if (c->as == ST_TEXT || c->as == ST_BLOB)
		get_text(c, row, ret);
	else if (c->as == ST_F64 && c->type != DUCKDB_TYPE_DOUBLE && c->type != DUCKDB_TYPE_FLOAT)
		get_decimal(c, row, ret);
	else
		get_number(c, row, ret);
	return true;
}

static uint32_t width_of(duckdb_type t)
{
	switch (t) {
	case DUCKDB_TYPE_TINYINT:
	case DUCKDB_TYPE_UTINYINT:
		return 1;
	case DUCKDB_TYPE_SMALLINT:
	case DUCKDB_TYPE_USMALLINT:
		return 2;
	case DUCKDB_TYPE_INTEGER:
	case DUCKDB_TYPE_UINTEGER:
		return 4;
	case DUCKDB_TYPE_BIGINT:
	case DUCKDB_TYPE_UBIGINT:
		return 8;
	default:
		return 0;
	}
}

const void *store_values(const struct store_result *r, uint32_t column, uint32_t *ret_width,
			 const uint64_t **ret_valid)
{
	const struct column *c = &r->column[column];

	*ret_width = width_of(c->type);
	*ret_valid = c->valid;
	return *ret_width ? c->data : NULL;
}

double store_progress(const struct store_result *r)
{
	duckdb_query_progress_type p = duck.query_progress(r->c);

	return p.percentage > 100 ? 100 : p.percentage;
}

void store_cancel(struct store_result *r)
{
	atomic_store(&r->cancelled, true);
	duck.interrupt(r->c);
}

struct store_result *store_result_free(struct store_result *r)
{
	if (!r)
		return NULL;
	guard_end(r);
	pthread_cond_destroy(&r->ended);
	pthread_mutex_destroy(&r->lock);
	if (r->chunk)
		duck.destroy_data_chunk(&r->chunk);
	if (r->running)
		duck.destroy_result(&r->result);
	for (uint32_t i = 0; i < r->n && r->column; i++)
		duck.free((void *)(uintptr_t)r->column[i].name);
	free(r->column);
	if (r->p)
		duck.destroy_prepare(&r->p);
	if (r->c)
		duck.disconnect(&r->c);
	if (r->s) {
		pthread_mutex_lock(&r->s->lock);
		r->s->readers--;
		pthread_cond_signal(&r->s->idle);
		pthread_mutex_unlock(&r->s->lock);
	}
	free(r);
	return NULL;
}
