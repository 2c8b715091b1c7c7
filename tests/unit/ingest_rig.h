/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest_rig.h - a decoder with exporters and a pool of its own; rows of blocks as text.
 */
#ifndef WEIR_TESTS_INGEST_RIG_H
#define WEIR_TESTS_INGEST_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "collector/block.h"
#include "collector/ingest/decoder.h"

#define RIG_NOW_US INT64_C(1700000000000000)
#define RIG_ROW	   16384u /* octets of a row's text */

struct ingest_rig {
	struct exporters *exporters;
	struct block_pool *pool;
	struct decoder *d;
	struct source from; /* 192.0.2.1, port 4000 */
	/* all rows so far */
	uint32_t rows;
	uint64_t packets, bytes; /* both directions */
	char (*row)[RIG_ROW];	 /* the first RIG_KEPT */
};

#define RIG_KEPT 256u

void ingest_rig_new(struct ingest_rig *g, const struct decoder_cfg *cfg);
void ingest_rig_free(struct ingest_rig *g);

/* One message; what it made is in g->rows, g->row after ingest_rig_take(). Return: as decoder's. */
int ingest_rig_feed(struct ingest_rig *g, const void *p, size_t len);

/* Flush; rows of all blocks sent are added to g. Return: how many came. */
uint32_t ingest_rig_take(struct ingest_rig *g);
void ingest_rig_forget(struct ingest_rig *g); /* the rows so far */

/* All valid columns of a row but `exporter`, as "name=value " in order. */
void ingest_row_text(const struct block *b, uint32_t row, char to[static RIG_ROW]);

/* Has a row's text these words, @all: and no others? In any order: columns may be put in another one. */
bool ingest_row_has(const char *row, const char *words, bool all);

/* A count of the exporter at g->from with @domain. */
uint64_t ingest_rig_count(struct ingest_rig *g, uint32_t domain, enum ingest_count c);

/* Octets from words of hex, spaces between. Return: how many. */
size_t ingest_hex(const char *hex, uint8_t *to, size_t room);

#endif
