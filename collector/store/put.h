/* SPDX-License-Identifier: Apache-2.0 */
/*
 * put.h - rows into a table, value by value, through the engine's chunk appender. In the transaction
 * of the connection, and of its thread.
 */
#ifndef WEIR_COLLECTOR_STORE_PUT_H
#define WEIR_COLLECTOR_STORE_PUT_H

#include "collector/store/duck.h"

struct put;

/*
 * @table: of state.db, or "temp.NAME"
 * @types: a letter per column, at most 160: b BOOLEAN, 1 UTINYINT, 4 UINTEGER, 8 UBIGINT, i BIGINT,
 *         f DOUBLE, t TIMESTAMP, s VARCHAR
 */
int put_begin(duckdb_connection c, const char *table, const char *types, char *error,
	      struct put **ret);

/* The next value of the row at hand; after the last one the row is complete. */
void put_number(struct put *p, uint64_t v);
void put_double(struct put *p, double v);
void put_text(struct put *p, const char *s, uint32_t len); /* NULL: NULL */
void put_null(struct put *p);

/* Return: 0, or what went wrong since put_begin(). @p is gone. */
int put_end(struct put *p, char *error);

#endif
