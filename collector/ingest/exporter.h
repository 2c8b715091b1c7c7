/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exporter.h - exporters by address and observation domain: what came from each, and what did not.
 * The table is shared by all receiving threads; counts are atomic, names are under the table's lock.
 */
#ifndef WEIR_COLLECTOR_INGEST_EXPORTER_H
#define WEIR_COLLECTOR_INGEST_EXPORTER_H

#include <stdbool.h>
#include <stdint.h>
#include "common/flow.h"

#define EXPORTER_NAME	256u
#define EXPORTER_LABELS 1024u

enum ingest_count {
#define COUNT(id, ...) IC_##id,
#include "collector/ingest/counts.def"
#undef COUNT
	_IC_MAX
};

enum ingest_class {
	ICC_PLAIN,
	ICC_LOST,
	ICC_MALFORMED,
};

struct ingest_count_info {
	const char *name;
	const char *doc;
	uint8_t class; /* enum ingest_class */
};

extern const struct ingest_count_info ingest_counts[_IC_MAX];

enum ingest_format {
	INGEST_IPFIX,
	INGEST_NETFLOW9,
	INGEST_NETFLOW5,
	INGEST_SFLOW5,
	INGEST_FILE, /* flow logs of clouds */
	_INGEST_FORMATS
};

#define NUMBERINGS_MAX 256u /* of one exporter */

/* Numbers of the records of a weir that waits for acknowledgements (docs/export.md). */
struct numbering {
	struct numbering *next;
	struct exporter *e;
	uint64_t epoch;	    /* systemInitTimeMilliseconds */
	uint64_t taken;	    /* number behind the last record that was taken; stream thread */
	uint64_t committed; /* behind the last one that is durable, 0: none is; atomic */
};

/*
 * Received - exported: clocks apart, and the way. The least of some messages is nearest to the clocks
 * alone; of recent ones, as clocks are set. All atomic.
 */
struct exporter_clock {
	int64_t since_us; /* of those that least_us is of; 0: no message has told its time */
	int64_t least_us;
	int64_t before_us; /* the same of those before, INT64_MAX: there were none */
};

struct exporter {
	uint8_t address[16];
	uint32_t domain;
	struct exporter *next; /* of the table; never removed before its end */
	uint64_t count[_IC_MAX];
	/* all atomic, of the last message */
	uint64_t seen_us; /* since 1970 */
	struct exporter_clock clock;
	uint32_t formats; /* bit per enum ingest_format */
	uint32_t rate;	  /* sampling; 0: nothing is known of it */
	bool rate_configured;
	uint64_t gaps, reordered, repeated, restarts;
	uint64_t not_sent; /* flows that the exporter itself says it lost (IE 166) */
	/* numbers the store gave; atomic, may change when the names do */
	uint32_t id;
	uint32_t stream;
	struct numbering *numberings; /* under the table's lock; each lives as long as the table */
	/* names: under the table's lock */
	char node[EXPORTER_NAME];
	char labels[EXPORTER_LABELS];
	uint32_t labels_len;
};

static inline void exporter_count(struct exporter *e, enum ingest_count c, uint64_t n)
{
	__atomic_fetch_add(&e->count[c], n, __ATOMIC_RELAXED);
}

static inline uint64_t exporter_counted(const struct exporter *e, enum ingest_count c)
{
	return __atomic_load_n(&e->count[c], __ATOMIC_RELAXED);
}

/* A message that was sent at @export_us by the exporter's clock came at @now_us. Thread: any. */
void exporter_clock_message(struct exporter *e, int64_t now_us, int64_t export_us);

/**
 * exporter_skew - the collector's clock less the exporter's
 *
 * Too large by the way of the quickest of the last messages, and by what an exporter that tells whole
 * seconds (IPFIX, NetFlow v9) leaves out.
 * Return: false: it is not known: no message told its time. Thread: any.
 */
bool exporter_skew(const struct exporter *e, int64_t *ret_us);

struct exporters;
struct ingest_ops;

/* @max: more are refused. */
struct exporters *exporters_new(const struct ingest_ops *ops, void *arg, uint32_t max);
struct exporters *exporters_free(struct exporters *t); /* returns NULL */

/**
 * exporters_get - the exporter with that address and domain, made where there is none
 *
 * Return: NULL: too many, or no memory. Thread: any.
 */
struct exporter *exporters_get(struct exporters *t, const uint8_t address[static 16],
			       uint32_t domain);

/* A configured name and sampling rate (0: none) for an address, of all its domains. Before any
 * message comes. Return: 0 or -ENOMEM.
 */
int exporters_override(struct exporters *t, const uint8_t address[static 16], const char *name,
		       uint32_t rate);

/* The rate that was configured for an address. 0: none. */
uint32_t exporters_rate(struct exporters *t, const uint8_t address[static 16]);

/* What options said of it; texts may be empty. Thread: any. */
void exporters_name(struct exporters *t, struct exporter *e, const struct flow_str *node,
		    const struct flow_str *labels);

/* Interface @index of all exporters at @address, or of @domain's if it is not 0. Thread: any. */
void exporters_interface(struct exporters *t, const uint8_t address[static 16], uint32_t domain,
			 uint32_t index, const struct flow_str *name);

/* The numbering of @e that began at @epoch, with what the store has of it. NULL: too many. */
struct numbering *exporters_numbering(struct exporters *t, struct exporter *e, uint64_t epoch);

/* Everything of (stream, epoch) before @to is durable. Return: false: nobody waits for that. */
bool exporters_committed(struct exporters *t, uint32_t stream, uint64_t epoch, uint64_t to);

/* One after another: @e NULL: the first. Return: NULL: no more. Thread: any. */
struct exporter *exporters_next(struct exporters *t, const struct exporter *e);

/* A copy of its names. @ret_labels may be NULL. Thread: any. */
void exporters_names(struct exporters *t, const struct exporter *e,
		     char ret_node[static EXPORTER_NAME]);

#endif
