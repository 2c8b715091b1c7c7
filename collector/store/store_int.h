/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_int.h - what the files of the store share.
 *
 * Files in the directory: state.db (numbers, names, roll-ups: the database itself), names.db (a copy of what of
 * it flows can't tell, see rebuild.h) and one flows-YYYYMMDDTHHMMSSZ.db for each partition, attached when it is needed. A flush writes a batch:
 * first the rows into the partitions they belong to, then, as one transaction of state.db, everything
 * that makes the batch count. Rows of a batch that state.db does not know yet are taken back when the
 * store is opened again.
 *
 * Locking: `lock` for partitions, names and numbers below; state.db's connection `c` and all that is
 * written belong to the writer thread once it runs.
 */
#ifndef WEIR_COLLECTOR_STORE_STORE_INT_H
#define WEIR_COLLECTOR_STORE_STORE_INT_H

#include <pthread.h>
#include "collector/store/duck.h"
#include "collector/store/layout.h"
#include "collector/store/schema.h"
#include "collector/store/store.h"

#define SCHEMA_VERSION 2u
#define CATALOG_MAX    24u
#define EXPORTERS_MAX  65535u
#define PATH_BYTES     4096u
#define BATCH_ROW(b)   ((uint64_t)(b) << 32)
#define FEEDS_MAX      16u /* partitions that one flush writes */

/* Of a partition: where its flows are; 0: in its database. */
#define COLD_FILE 1u /* in a Parquet file; a database is the one that it was made of */
#define COLD	  2u /* in both */

struct adder;
struct cold;
struct feed;
struct feeder;
struct rollup;

struct partition {
	int64_t start_s;
	char catalog[CATALOG_MAX];
	bool attached;
	bool writing; /* state.db says that it may have rows of an unfinished batch */
	uint8_t cold; /* COLD_... */
	bool odd;     /* rows of other spans go into it, which min_us and max_us do not tell yet */
	bool has_db;
	bool damaged; /* left out */
	uint64_t rows;
	int64_t min_us, max_us; /* of end */
	uint64_t bytes;
	uint64_t used_ms; /* last named in a query or written, CLOCK_MONOTONIC */
	/* of the flush at hand */
	struct feed *feed;
	uint64_t new_rows;
	int64_t new_min_us, new_max_us;
	struct partition *next; /* by start */
};

struct exporter {
	uint32_t id, stream, node;
	uint32_t domain;
	uint8_t address[16];
	char *name, *labels;
	uint32_t name_len, labels_len;
};

struct interface {
	uint32_t stream, index;
	char *name;
	uint32_t len;
};

/* A growing array; rows before `saved` are in state.db. */
struct names {
	void *v;
	uint32_t n, cap, saved;
};

struct committed {
	uint32_t stream;
	uint64_t epoch, to;
	bool changed;
};

struct store {
	struct store_cfg cfg;
	char *dir;
	duckdb_database db;
	duckdb_connection c;
	pthread_mutex_t lock;
	pthread_mutex_t names; /* exporters to committed: never held while something waits for a disk,
				* since receiving threads take it; the last to be taken
				*/
	pthread_cond_t flushed;
	struct partition *partitions;
	struct names exporters;	 /* struct exporter */
	struct names interfaces; /* struct interface; changed ones are appended */
	struct names zones;	 /* struct interface, stream 0 */
	struct names asns;	 /* struct interface: index is the number; of this run alone */
	uint64_t asns_before;	 /* rows of earlier runs in state.db */
	struct names committed;	 /* struct committed */
	uint32_t readers;	 /* queries that hold a connection */
	uint32_t holders;	 /* store_hold() less store_release() */
	uint64_t held_ms;	 /* since when there are any, CLOCK_MONOTONIC */
	pthread_cond_t idle;
	struct rollup *rollup;
	bool rebuild;	     /* state.db is being made anew */
	bool spare;	     /* names.db is attached */
	bool spare_failed;   /* it could not be written, which was told */
	uint32_t kept_names; /* exporters and others that it has, all together */
	uint32_t last_batch;
	bool sampled;	    /* some flow has a rate; atomic, never taken back */
	bool sampled_saved; /* state.db knows */
	struct store_stats stats;
	bool complained;
	/* writer */
	struct feeder *feeder;
	struct adder *adder;
	struct cold *cold;
	pthread_t thread;
	bool running;
	bool stop;
	uint64_t flush_asked, flush_done; /* counters of store_flush() */
	int flush_error;
	struct block **held; /* blocks of the batch at hand */
	uint32_t held_n, held_max;
	uint64_t held_rows;
	uint64_t first_ms; /* when its first block came */
	bool broken;	   /* appending failed: all over again */
	uint64_t upkeep_ms;
};

uint64_t store_now_ms(void);
int64_t store_wall_s(void);

/**
 * store_reopen - the engine once more: after a failed write it refuses everything
 *
 * Waits a while for queries to end. What state.db says is the last batch is in @ret_batch.
 * Return: 0; -EBUSY: queries are still running; what opening gave. Writer thread, no feed is open.
 */
int store_reopen(struct store *s, char *error, uint32_t *ret_batch);

/* Tell the administrator. */
void store_complain(struct store *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- state.c ---- */

/* Forget what state_open() read. */
void state_forget(struct store *s);

/* Tables of state.db, migrations, and what is in them into memory. */
int state_open(struct store *s, char *error);

/* Everything that makes batch @batch count, in one transaction. Writer thread. */
int state_commit(struct store *s, uint32_t batch, char *error);

/* How many exporters and zones state.db has: after a commit whose end is not known. */
int state_saved(struct store *s, char *error);

/* @p may have rows of an unfinished batch from now on, or no longer. */
int state_partition(struct store *s, const struct partition *p, char *error);
int state_forget_partition(struct store *s, const struct partition *p, char *error);

/* Room for one more at the end; NULL: no memory. Zeroed. */
void *names_add(struct names *n, size_t size);

/* ---- partition.c: with the lock held, unless it says otherwise ---- */

void partition_path(const struct store *s, const struct partition *p, const char *suffix,
		    char path[static PATH_BYTES]);

/* The partition that begins at @start_s; NULL: there is none. */
struct partition *partition_find(struct store *s, int64_t start_s);

/* The same, made known when there is none. NULL: no memory. */
struct partition *partition_make(struct store *s, int64_t start_s);

/* Did partitions begin without that column of a block, in an earlier version? */
bool partition_may_lack(unsigned int column);

/* Attach its database, create it and its tables where they are not there. @c: any connection. */
int partition_attach(struct store *s, struct partition *p, duckdb_connection c, char *error);
int partition_detach(struct store *s, struct partition *p, duckdb_connection c, char *error);

/* A Parquet file has what the database had: remove that. cold.c */
int partition_forget_db(struct store *s, struct partition *p, char *error);

/* Remove rows of batches after @batch. */
int partition_trim(struct store *s, struct partition *p, uint32_t batch, char *error);

/* What can't be read is renamed and left out. */
void partition_damaged(struct store *s, struct partition *p, const char *why);

/* Drop it: files, and what state.db knows of it. Writer thread. */
int partition_expire(struct store *s, struct partition *p, char *error);

/* At the start: unfinished batches, files that are gone. */
int partition_recover(struct store *s, char *error);

/* Retention, closing of partitions at rest; now and then, writer thread, without the lock. */
void partition_upkeep(struct store *s);
uint64_t store_file_bytes(const char *path);

/* ---- writer.c ---- */

int writer_start(struct store *s);
void writer_stop(struct store *s);

/* ---- rollup.c ---- */

struct rollup *rollup_new(struct store *s);
struct rollup *rollup_free(struct rollup *r);

#endif
