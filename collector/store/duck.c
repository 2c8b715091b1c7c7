// SPDX-License-Identifier: Apache-2.0
/*
 * duck.c - see duck.h.
 */
#include "collector/store/duck.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/store/store.h"
#include "common/json.h"

#define DUCK_FILE "libduckdb.so"
#define NAP_US	  200

struct duck_api duck;

static const char *const symbols[] = {
#define DUCK(name) "duckdb_" #name,
#include "collector/store/duck.def"
#undef DUCK
};

static void *open_library(char *error)
{
	const char *const at[] = {getenv("WEIR_LIBDUCKDB"), DUCK_FILE,
				  WEIR_PRIVATE_LIB "/" DUCK_FILE, WEIR_BUILD_LIB "/" DUCK_FILE};

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		void *lib = at[i] ? dlopen(at[i], RTLD_NOW | RTLD_LOCAL) : NULL;

		if (lib)
			return lib;
		if (at[i] && i == 0)
			break;
	}
	snprintf(error, STORE_ERROR, "%s can't be loaded (%s): install it, or run `make deps`",
		 DUCK_FILE, dlerror());
	return NULL;
}

/*
 * The engine takes and gives back blocks of 256 KB all the time: by default the C library hands each
 * to the kernel, which clears it when it is wanted again.
 */
static void keep_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	mallopt(M_TOP_PAD, 16 << 20);
}

static int load(char *error)
{
	void *lib = open_library(error);
	void **to = (void **)(void *)&duck;

	if (!lib)
		return -ENOSYS;
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		to[i] = dlsym(lib, symbols[i]);
		if (!to[i]) {
			snprintf(error, STORE_ERROR, "%s is too old: it has no %s", DUCK_FILE,
				 symbols[i]);
			return -ENOSYS;
		}
	}
	keep_memory();
	return 0;
}

int duck_load(char *error)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool loaded;
	int r = 0;

	pthread_mutex_lock(&lock);
	if (!loaded)
		r = load(error);
	loaded |= r == 0;
	pthread_mutex_unlock(&lock);
	return r;
}

void duck_words(char *error, const char *message)
{
	size_t n = message ? strcspn(message, "\n") : 0;

	snprintf(error, STORE_ERROR, "%.*s", (int)(n < STORE_ERROR ? n : STORE_ERROR - 1),
		 message ? message : "");
}

int duck_errno(duckdb_error_type type, const char *message)
{
	if (!message)
		message = "";
	if (strstr(message, "No space left") || strstr(message, "Disk quota"))
		return -ENOSPC;
	if (strstr(message, "Could not set lock") || strstr(message, "Conflicting lock"))
		return -EBUSY;
	if (!strncmp(message, "Out of Range Error", 18) ||
	    (!strncmp(message, "Conversion Error", 16) && strstr(message, "out of range")))
		return -ERANGE;
	switch (type) {
	case DUCKDB_ERROR_INTERRUPT:
		return -ECANCELED;
	case DUCKDB_ERROR_OUT_OF_MEMORY:
		return -ENOMEM;
	case DUCKDB_ERROR_PARSER:
	case DUCKDB_ERROR_BINDER:
	case DUCKDB_ERROR_CATALOG:
	case DUCKDB_ERROR_SYNTAX:
	case DUCKDB_ERROR_CONVERSION:
	case DUCKDB_ERROR_MISMATCH_TYPE:
	case DUCKDB_ERROR_INVALID_INPUT:
	case DUCKDB_ERROR_INVALID_TYPE:
	case DUCKDB_ERROR_PARAMETER_NOT_RESOLVED:
	case DUCKDB_ERROR_EXPRESSION:
		return -EINVAL;
	default:
		return -EIO;
	}
}

static int run(duckdb_connection c, char *error, const char *sql, duckdb_result *ret)
{
	int r;

	if (duck.query(c, sql, ret) == DuckDBSuccess)
		return 0;
	r = duck_errno(duck.result_error_type(ret), duck.result_error(ret));
	duck_words(error, duck.result_error(ret));
	duck.destroy_result(ret);
	return r;
}

duckdb_pending_state duck_step(duckdb_pending_result pending)
{
	const struct timespec nap = {.tv_nsec = NAP_US * 1000};
	const duckdb_pending_state state = duck.pending_execute_task(pending);

	if (state == DUCKDB_PENDING_NO_TASKS_AVAILABLE)
		nanosleep(&nap, NULL);
	return state;
}

int duck_finish(duckdb_prepared_statement p, char *error)
{
	duckdb_pending_result pending = NULL;
	duckdb_pending_state state;
	duckdb_result result;
	int r = 0;

	if (duck.pending_prepared(p, &pending) != DuckDBSuccess) {
		r = -EIO;
		duck_words(error, duck.pending_error(pending));
		duck.destroy_pending(&pending);
		return r;
	}
	do
		state = duck_step(pending);
	while (state == DUCKDB_PENDING_RESULT_NOT_READY ||
	       state == DUCKDB_PENDING_NO_TASKS_AVAILABLE);
	if (duck.execute_pending(pending, &result) != DuckDBSuccess) {
		r = duck_errno(duck.result_error_type(&result), duck.result_error(&result));
		duck_words(error, duck.result_error(&result));
	}
	duck.destroy_result(&result);
	duck.destroy_pending(&pending);
	return r;
}

int duck_commit(duckdb_connection c, char *error)
{
	duckdb_prepared_statement p = NULL;
	int r;

	if (duck.prepare(c, "COMMIT", &p) == DuckDBSuccess) {
		r = duck_finish(p, error);
	} else {
		r = -EIO;
		duck_words(error, duck.prepare_error(p));
	}
	duck.destroy_prepare(&p);
	return r;
}

int duck_exec(duckdb_connection c, char *error, const char *format, ...)
{
	duckdb_result result;
	char *sql = NULL;
	va_list ap;
	int r;

	va_start(ap, format);
	r = vasprintf(&sql, format, ap);
	va_end(ap);
	if (r < 0)
		return -ENOMEM;
	r = run(c, error, sql, &result);
	if (!r)
		duck.destroy_result(&result);
	free(sql);
	return r;
}

/* Rows as they are computed: an answer may be larger than memory. */
static int stream(duckdb_connection c, char *error, const char *sql, duckdb_result *ret)
{
	duckdb_prepared_statement p = NULL;
	duckdb_pending_result pending = NULL;
	int r = -EINVAL;

	if (duck.prepare(c, sql, &p) != DuckDBSuccess) {
		duck_words(error, duck.prepare_error(p));
	} else if (duck.pending_prepared_streaming(p, &pending) != DuckDBSuccess) {
		duck_words(error, duck.pending_error(pending));
	} else if (duck.execute_pending(pending, ret) != DuckDBSuccess) {
		r = duck_errno(duck.result_error_type(ret), duck.result_error(ret));
		duck_words(error, duck.result_error(ret));
		duck.destroy_result(ret);
	} else {
		r = 0;
	}
	duck.destroy_pending(&pending);
	duck.destroy_prepare(&p);
	return r;
}

int duck_each(duckdb_connection c, char *error, const char *sql, const struct duck_taker *to)
{
	duckdb_result result;
	duckdb_data_chunk chunk;
	int r = stream(c, error, sql, &result);

	if (r)
		return r;
	while (!r && (chunk = duck.fetch_chunk(result)) != NULL) {
		uint64_t n = duck.data_chunk_get_size(chunk);

		for (uint64_t i = 0; i < n && !r; i++)
			r = to->fn(to->arg, &(struct duck_row){.chunk = chunk, .row = i});
		duck.destroy_data_chunk(&chunk);
		if (!n)
			break;
	}
	if (!r && duck.result_error(&result)) {
		r = duck_errno(duck.result_error_type(&result), duck.result_error(&result));
		duck_words(error, duck.result_error(&result));
	}
	duck.destroy_result(&result);
	return r;
}

static const void *value(const struct duck_row *r, unsigned int column, size_t size)
{
	duckdb_vector v = duck.data_chunk_get_vector(r->chunk, column);
	const uint64_t *valid = duck.vector_get_validity(v);

	if (valid && !(valid[r->row / 64] >> (r->row % 64) & 1))
		return NULL;
	return (const char *)duck.vector_get_data(v) + r->row * size;
}

uint64_t duck_u64(const struct duck_row *r, unsigned int column)
{
	const uint64_t *p = value(r, column, sizeof(*p));

	return p ? *p : 0;
}

uint32_t duck_u32(const struct duck_row *r, unsigned int column)
{
	const uint32_t *p = value(r, column, sizeof(*p));

	return p ? *p : 0;
}

const char *duck_text(const struct duck_row *r, unsigned int column, uint32_t *ret_len)
{
	const duckdb_string_t *s = value(r, column, sizeof(*s));

	*ret_len = s ? s->value.inlined.length : 0;
	if (!s)
		return "";
	return *ret_len <= 12 ? s->value.inlined.inlined : s->value.pointer.ptr;
}

static int first_number(void *arg, const struct duck_row *r)
{
	const uint64_t *p = value(r, 0, sizeof(*p));

	if (!p)
		return -ENODATA;
	*(uint64_t *)arg = *p;
	return 1; /* enough */
}

int duck_number(duckdb_connection c, char *error, const char *sql, uint64_t *ret)
{
	int r = duck_each(c, error, sql, &(struct duck_taker){first_number, ret});

	return r == 1 ? 0 : r ? r : -ENODATA;
}

bool duck_is_utf8(const char *s, uint32_t len)
{
	for (uint32_t i = 0; i < len;) {
		unsigned int n = utf8_len(s + i, len - i);

		if (!n)
			return false;
		i += n;
	}
	return true;
}

char *duck_clean(const char *s, uint32_t len, uint32_t *ret_len)
{
	char *clean = malloc((size_t)len * 3 + 1);
	uint32_t n = 0;

	for (uint32_t i = 0; clean && i < len;) {
		unsigned int k = utf8_len(s + i, len - i);

		memcpy(clean + n, k ? s + i : "\xef\xbf\xbd", k ? k : 3);
		n += k ? k : 3;
		i += k ? k : 1;
	}
	*ret_len = clean ? n : 0;
	return clean;
}

static duckdb_state bind_text(duckdb_prepared_statement p, idx_t i, const struct flow_str *s)
{
	duckdb_state r;
	uint32_t len;
	char *clean;

	if (duck_is_utf8(s->s, s->len))
		return duck.bind_varchar_length(p, i, s->s ? s->s : "", s->len);
	clean = duck_clean(s->s, s->len, &len);
	r = duck.bind_varchar_length(p, i, clean ? clean : "", len);
	free(clean);
	return r;
}

static duckdb_state bind_one(duckdb_prepared_statement p, idx_t i, const struct store_value *v)
{
	switch (v->type) {
	case ST_BOOL:
		return duck.bind_boolean(p, i, v->b);
	case ST_I64:
	case ST_TIME:
		return duck.bind_int64(p, i, v->i);
	case ST_U64:
		return duck.bind_uint64(p, i, v->u);
	case ST_F64:
		return duck.bind_double(p, i, v->f);
	case ST_TEXT:
		return bind_text(p, i, &v->s);
	case ST_BLOB:
		return duck.bind_blob(p, i, v->s.s, v->s.len);
	default:
		return duck.bind_null(p, i);
	}
}

int duck_bind(duckdb_prepared_statement p, const struct store_value *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (bind_one(p, i + 1, &v[i]) != DuckDBSuccess)
			return -EINVAL;
	}
	return 0;
}

int duck_run(duckdb_connection c, char *error, const char *sql, const struct store_value *v,
	     uint32_t n)
{
	duckdb_prepared_statement p = NULL;
	duckdb_result result;
	int r = -EINVAL;

	if (duck.prepare(c, sql, &p) != DuckDBSuccess) {
		duck_words(error, duck.prepare_error(p));
	} else if (duck_bind(p, v, n)) {
		duck_words(error, "a value can't be bound");
	} else {
		r = duck.execute_prepared(p, &result) == DuckDBSuccess
			    ? 0
			    : duck_errno(duck.result_error_type(&result),
					 duck.result_error(&result));
		if (r)
			duck_words(error, duck.result_error(&result));
		duck.destroy_result(&result);
	}
	duck.destroy_prepare(&p);
	return r;
}
