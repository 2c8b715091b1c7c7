/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db.h - control.db in the store's directory: alerts, silences, decisions, the audit log, generations.
 * SQLite with a write-ahead log; what a transaction has committed is on the disk. Schemas only grow:
 * each step is applied once, in order. One thread at a time.
 */
#ifndef WEIR_COLLECTOR_CONTROL_DB_H
#define WEIR_COLLECTOR_CONTROL_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define DB_ERROR 240u

struct db;

/**
 * db_open - make or open it
 * @path:  of the file; NULL: in memory
 * @error: DB_ERROR bytes; what is wrong
 *
 * Return: 0, -EIO: damaged, not to be opened, or of a newer version; -ENOMEM.
 */
int db_open(const char *path, char *error, struct db **ret);
void db_close(struct db *d); /* NULL is fine */

/**
 * db_begin - a statement with its values
 * @sql:    a literal: statements are kept by its address
 * @values: a letter for each ?: i int64_t, f double (NAN: NULL), t text (NULL: NULL), b blob (pointer,
 *          int length)
 *
 * Return: to be stepped with db_step() until that is no 1, or ended with db_end(); NULL: see db_error().
 */
sqlite3_stmt *db_begin(struct db *d, const char *sql, const char *values, ...);
/* Return: 1 a row, 0 no more, -EIO. The statement has ended unless it is 1. */
int db_step(struct db *d, sqlite3_stmt *s);
void db_end(sqlite3_stmt *s);

/* db_begin() to the end, rows passed over. Return: 0, -EIO. */
int db_run(struct db *d, const char *sql, const char *values, ...);
/* The first column of the first row; @none without a row. */
int64_t db_number(struct db *d, int64_t none, const char *sql, const char *values, ...);

int64_t db_last_id(struct db *d);
/* Rows that the last statement has changed. */
int64_t db_changes(struct db *d);
const char *db_error(struct db *d);

/* Text of a column, never NULL. */
const char *db_text(sqlite3_stmt *s, int column);

#endif
