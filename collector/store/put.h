/* SPDX-License-Identifier: Apache-2.0 */
/*
 * put.h - rows into a table of state.db, value by value, through the engine's chunk appender. In the
 * transaction of the connection. Writer thread.
 */
#ifndef WEIR_COLLECTOR_STORE_PUT_H
#define WEIR_COLLECTOR_STORE_PUT_H

#include "collector/store/duck.h"

struct put;

/* @types: a letter per column: b BOOLEAN, 1 UTINYINT, 4 UINTEGER, 8 UBIGINT, i BIGINT, s VARCHAR */
int put_begin(duckdb_connection c, const char *table, const char *types, char *error,
	      struct put **ret);

/* The next value of the row at hand; after the last one the row is complete. */
void put_number(struct put *p, uint64_t v);
void put_text(struct put *p, const char *s, uint32_t len); /* NULL: NULL */

/* Return: 0, or what went wrong since put_begin(). @p is gone. */
int put_end(struct put *p, char *error);

#endif
