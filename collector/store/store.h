/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - the store of flows: blocks in, durable, with roll-ups; answers to SQL out, column at a
 * time. No type of an engine is in here: the embedded one is DuckDB, another may follow. What tables
 * there are is schema.h.
 *
 * One process holds a store. One thread of the store's own takes blocks from the pool (the writer);
 * everything else may be called from any thread.
 */
#ifndef WEIR_COLLECTOR_STORE_STORE_H
#define WEIR_COLLECTOR_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "collector/block.h"

#define STORE_ERROR 512u /* octets of a message, terminated */

struct store;

struct store_cfg {
	const char *dir;       /* made when it is not there */
	uint64_t memory_bytes; /* of the engine; 0: 512 MB */
	uint32_t threads;      /* of the engine; 0: as many as there are CPUs */
	uint32_t partition_s;  /* span of a file of raw flows; 0: an hour; a multiple of 300 */
	uint32_t flush_rows;   /* 0: 1,000,000 */
	uint32_t flush_ms;     /* 0: 5000; what a flow waits at most until it is durable */
	uint32_t top_n;	       /* rows kept of hosts, pairs and names per 5 minutes; 0: 1000 */
	uint64_t keep_s;       /* raw flows; 0: for ever */
	uint64_t keep_bytes;   /* all files together; 0: no bound */
	uint64_t free_bytes;   /* of the file system, kept free by removing the oldest partitions */
	uint64_t cold_s;       /* partitions older than this become Parquet; 0: never */
	uint64_t keep_1m_s, keep_5m_s, keep_1h_s; /* roll-ups; 0: 14 days, 90 days, 2 years */
	uint32_t upkeep_ms;			  /* how often retention is looked at; 0: 10,000 */
	uint32_t hold_ms;			  /* how long store_hold() holds; 0: 10 minutes */
	bool read_only;		 /* queries of a store that nobody holds; no writer */
	struct block_pool *pool; /* where blocks come from; NULL: no writer */
	/* Everything of (stream, epoch) before @to is durable. Writer thread; may be NULL. */
	void (*committed)(void *arg, uint32_t stream, uint64_t epoch, uint64_t to);
	/* What an administrator has to know (a damaged partition, a full disk), once each. */
	void (*complain)(void *arg, const char *message);
	void *arg;
};

/**
 * store_open - open or create a store, migrate it, bring its roll-ups up to date, start the writer
 * @error: STORE_ERROR octets: why not, for people
 *
 * A partition that can't be opened is renamed to *.damaged, reported and left out.
 * Return: 0; -EBUSY another process holds it; -ENOSPC; -EPROTO a newer weir wrote it; -EIO; -ENOSYS
 *         the engine's library is not there; ...
 */
int store_open(const struct store_cfg *cfg, char *error, struct store **ret);

/* Everything that was sent becomes durable, if it can; @pool is closed by then. Returns NULL. */
struct store *store_close(struct store *s);

/* Make durable what has been received so far, and wait for it. Return: 0, or why it failed. */
int store_flush(struct store *s);

/* ---- who and where: small tables beside the flows ---- */

struct store_exporter {
	uint8_t address[16];
	uint32_t domain;
	struct flow_str node;	/* name of the host that saw the flows; else the configured name */
	struct flow_str labels; /* list as in columns.def */
};

/**
 * store_exporter - number of an exporter as it is now
 * @ret_id:     for BC_EXPORTER; another one when node or labels are others than before
 * @ret_stream: for block_mark.stream: one per (address, domain), for ever
 *
 * Durable with the next flush at the latest. Return: 0, -ENOMEM, -ENOSPC: too many (65535).
 */
int store_exporter(struct store *s, const struct store_exporter *e, uint32_t *ret_id,
		   uint32_t *ret_stream);

/* Up to where (stream, epoch) is durable. Return: 0, or -ENOENT: nothing of it is. */
int store_committed(struct store *s, uint32_t stream, uint64_t epoch, uint64_t *ret_to);

/* The interface @index of @exporter is called @name from now on. */
int store_interface(struct store *s, uint32_t exporter, uint32_t index, struct flow_str name);

/* Number of a zone's name, for BC_SRC_ZONE and BC_DST_ZONE. */
int store_zone(struct store *s, struct flow_str name, uint16_t *ret);

/* The autonomous system @number is called @name from now on; once for each, and after changes. */
int store_as(struct store *s, uint32_t number, struct flow_str name);

/* ---- asking ---- */

enum store_type {
	ST_NULL, /* bound values only */
	ST_BOOL,
	ST_I64, /* all signed numbers */
	ST_U64, /* all unsigned numbers */
	ST_F64,
	ST_TIME, /* int64_t, microseconds since 1970 UTC */
	ST_TEXT,
	ST_BLOB,
};

struct store_value {
	enum store_type type;
	union {
		bool b;
		int64_t i; /* ST_I64, ST_TIME */
		uint64_t u;
		double f;
		struct flow_str s; /* ST_TEXT, ST_BLOB */
	};
};

struct store_query {
	const char *
		sql; /* one statement; values as $1, $2, ...; one that is a column of its own: cast */
	const struct store_value *values;
	uint32_t values_n;
	uint32_t timeout_ms; /* 0: none; then -ETIMEDOUT */
};

struct store_result;

/**
 * store_select - prepare a query; store_next() runs it
 * @error: STORE_ERROR octets
 *
 * The answer is taken while the engine computes; writes go on beside it.
 * Return: 0; -EINVAL: the SQL is wrong; -ESTALE: it names a partition that is gone; -EIO; -ENOMEM. Of -ESTALE
 * and -EIO, the first store_next()'s too, a partition that has just been removed or has become Parquet may be
 * the reason: whoever asks makes the text once more (store_source()) and asks again.
 */
int store_select(struct store *s, const struct store_query *q, char *error,
		 struct store_result **ret);

/* Until the other call no partition is removed or becomes another file: for a query that found some gone again
 * and again. They are counted; any thread. Not for longer than store_cfg.hold_ms, and not where the file system
 * has no more room than it is to have.
 */
void store_hold(struct store *s);
void store_release(struct store *s);

uint32_t store_columns(const struct store_result *r);
const char *store_column_name(const struct store_result *r, uint32_t column);
enum store_type store_column_type(const struct store_result *r, uint32_t column);

/**
 * store_next - the next rows
 * @ret_rows: how many, 1 at least
 *
 * Return: 0; -ENODATA: that was all; -ECANCELED; -ETIMEDOUT; -ENOMEM; -ERANGE: see
 *         flow_source_cfg.wide; -ESTALE, -EIO: store_error() says why.
 */
int store_next(struct store_result *r, uint32_t *ret_rows);
const char *store_error(const struct store_result *r);

/* Value of the rows at hand. False: NULL. Texts live until the next store_next(). */
bool store_get(const struct store_result *r, uint32_t column, uint32_t row,
	       struct store_value *ret);

/*
 * The values of a column of the rows at hand as they lie, @ret_width octets each; @ret_valid: a bit for
 * each row, NULL: all have one. NULL: they are no numbers of up to 64 bits.
 */
const void *store_values(const struct store_result *r, uint32_t column, uint32_t *ret_width,
			 const uint64_t **ret_valid);

/* 0 to 100, or -1: not known. Any thread while the query runs. */
double store_progress(const struct store_result *r);

/* Stop it: store_next() returns -ECANCELED soon. Any thread. */
void store_cancel(struct store_result *r);
struct store_result *store_result_free(struct store_result *r);

/* ---- Parquet ---- */

#define STORE_FILE_COLUMNS 160u

struct store_file_column {
	const char *name;
	enum store_type type; /* ST_BOOL, ST_U64, ST_F64, ST_TIME, ST_TEXT */
};

struct store_file;

/**
 * store_file_new - a table that becomes a Parquet file (zstd)
 *
 * One thread. Return: 0, -EINVAL: too many columns, -ENOMEM, -EIO.
 */
int store_file_new(struct store *s, const struct store_file_column *columns, uint32_t n,
		   char *error, struct store_file **ret);

/* The next row. Each value has its column's type, or ST_NULL. */
void store_file_put(struct store_file *f, const struct store_value *row);

/* @path: made or replaced, never half. Return: 0, or what went wrong since store_file_new(). */
int store_file_write(struct store_file *f, const char *path, char *error);
struct store_file *store_file_free(struct store_file *f);

/* ---- how it is ---- */

struct store_stats {
	uint64_t rows;	   /* raw flows there are */
	uint64_t bytes;	   /* of all files */
	uint64_t appended; /* rows durable since store_open() */
	uint64_t pending;  /* rows received, not durable yet */
	uint64_t flushes;
	uint64_t failed; /* flushes that had to be tried again */
	uint64_t late;	 /* rows whose partition was not the current one */
	uint64_t partitions, damaged, expired, cold;
	uint64_t first_us, last_us; /* of `end`; 0: no flows */
	uint64_t days_left_x10; /* until retention begins, at the rate of the last day; 0: not known */
};

void store_stats(struct store *s, struct store_stats *ret);

/* Has a flow ever come that was sampled, one that has a rate? Sums that pass over it are too small. Any thread. */
bool store_is_sampled(const struct store *s);

#endif
