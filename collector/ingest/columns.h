/* SPDX-License-Identifier: Apache-2.0 */
/*
 * columns.h - a set's data records into a block, a column at a time: one loop per operation of the
 * template, no record in between. Pure but for the block.
 */
#ifndef WEIR_COLLECTOR_INGEST_COLUMNS_H
#define WEIR_COLLECTOR_INGEST_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block;
struct template;
struct template_store;

#define RECORDS_AT_ONCE 256u
#define RECORD_REFS	(RECORDS_AT_ONCE * 8u) /* ends of variable fields, of all records together */

/* Where the records of a set are: starts, and for each variable field its end and length. */
struct records {
	uint32_t n;
	uint32_t stride; /* how many there is room for; of @end and @len, per variable field */
	const uint8_t *at[RECORDS_AT_ONCE];
	const uint8_t *end[RECORD_REFS];
	uint16_t len[RECORD_REFS];
};

/* No records yet, of template @t. */
void records_begin(struct records *r, const struct template *t);

/* Is there no room for another one? */
static inline bool records_full(const struct records *r)
{
	return r->n == r->stride;
}

/**
 * records_walk - find the next records of a set
 * @r: those found are added
 * @p: in and out: where to begin, where to go on; what is left at the end is padding
 *
 * Return: 0 (none added, or not full: there are no more), or -EBADMSG: a record goes beyond the set;
 *         those before it are in @r.
 */
int records_walk(struct records *r, const struct template *t, const uint8_t **p,
		 const uint8_t *end);

/* Rates by sampler, as options told them. */
#define SAMPLERS_MAX 64u

struct sampling {
	uint32_t rate;	   /* of the exporter, or of its one sampler; 0: nothing was told */
	uint32_t wide;	   /* told without a sampler */
	uint32_t override; /* configured; 0: none */
	uint32_t n;
	struct {
		uint64_t id;
		uint32_t rate;
	} sampler[SAMPLERS_MAX];
};

/* What holds for all records of a message. */
struct columns_cfg {
	const struct template_store *templates; /* for lists; NULL: none */
	const struct sampling *sampling;
	uint32_t own_pen;
	uint32_t exporter;   /* BC_EXPORTER */
	int64_t received_us; /* since 1970 */
	int64_t export_us;
	int64_t boot_us; /* what EK_UPTIME counts from */
	bool boot_known;
	bool uptime32;	 /* v5, v9: may be before the export by 2^32 ms at most */
	uint32_t uptime; /* then: of the message */
};

/* Octets of the arena that records of @octets can need. */
#define COLUMNS_TEXT(octets) (18u * (octets) + 4096u)

/**
 * columns_fill - @r's records as the next rows of a block that has room for them and their text
 *
 * Adds r->n to b->rows. Thread: the block's.
 */
void columns_fill(struct block *b, const struct columns_cfg *cfg, const struct template *t,
		  const struct records *r);

#endif
