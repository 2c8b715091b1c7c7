/* SPDX-License-Identifier: Apache-2.0 */
/*
 * duck.h - libduckdb: found and loaded when a store is opened, not when the program starts, so that
 * a client of a running collector needs neither. Small helpers around its C interface.
 */
#ifndef WEIR_COLLECTOR_STORE_DUCK_H
#define WEIR_COLLECTOR_STORE_DUCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <duckdb.h>

struct duck_api {
#define DUCK(name) __typeof__(duckdb_##name) *name;
#include "collector/store/duck.def"
#undef DUCK
};

extern struct duck_api duck;

/**
 * duck_load - load the library, once per process
 * @error: STORE_ERROR octets
 *
 * Looked for: what WEIR_LIBDUCKDB names, the system's, the one installed with weir, the one that
 * `make deps` fetched. Return: 0, -ENOSYS.
 */
int duck_load(char *error);

/* Run statements. Return: 0, or -errno and the engine's words in @error (STORE_ERROR octets). */
int duck_exec(duckdb_connection c, char *error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The next task of what is pending; sleeps a little when other threads have them all. */
duckdb_pending_state duck_step(duckdb_pending_result pending);

/* Run what was prepared, without spinning while other threads have its tasks. Return: as duck_exec(). */
int duck_finish(duckdb_prepared_statement p, char *error);

/* COMMIT without spinning while a thread of the engine does it. Return: as duck_exec(). */
int duck_commit(duckdb_connection c, char *error);

struct store_value;

/* Bind values $1, $2, ... Texts that are no UTF-8 are cleaned. Return: 0, -EINVAL. */
int duck_bind(duckdb_prepared_statement p, const struct store_value *v, uint32_t n);

/* Run one statement with values. Return: as duck_exec(). */
int duck_run(duckdb_connection c, char *error, const char *sql, const struct store_value *v,
	     uint32_t n);

/* Is it UTF-8? */
bool duck_is_utf8(const char *s, uint32_t len);

/* Octets that are no UTF-8 become U+FFFD. NULL: no memory; free() it. */
char *duck_clean(const char *s, uint32_t len, uint32_t *ret_len);

/* The engine's error as -errno: what can be told from its type and words. */
int duck_errno(duckdb_error_type type, const char *message);

/* One number of one row. Return: 0, -ENODATA: no row or NULL, -EIO. */
int duck_number(duckdb_connection c, char *error, const char *sql, uint64_t *ret);

/* Each row of a query. */
struct duck_row {
	duckdb_data_chunk chunk;
	uint64_t row;
};

struct duck_taker {
	int (*fn)(void *arg, const struct duck_row *row); /* other than 0 ends it */
	void *arg;
};

int duck_each(duckdb_connection c, char *error, const char *sql, const struct duck_taker *to);

/* A row's values; NULL is 0 or empty. The column's type is the caller's business. */
uint64_t duck_u64(const struct duck_row *r, unsigned int column);
uint32_t duck_u32(const struct duck_row *r, unsigned int column);
const char *duck_text(const struct duck_row *r, unsigned int column, uint32_t *ret_len);

/* The first line of what the engine says, without its advice. */
void duck_words(char *error, const char *message);

#endif
