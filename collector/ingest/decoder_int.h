/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decoder_int.h - what the files of decoder.h share.
 */
#ifndef WEIR_COLLECTOR_INGEST_DECODER_INT_H
#define WEIR_COLLECTOR_INGEST_DECODER_INT_H

#include "collector/block.h"
#include "collector/ingest/columns.h"
#include "collector/ingest/decoder.h"
#include "collector/ingest/sequence.h"
#include "collector/ingest/template.h"

#define SESSION_BUCKETS 4096u
#define SESSION_FIELDS	65536u /* of all templates of a session */

/* A data set whose template has yet to come. */
struct held {
	struct held *next;
	int64_t since_us;
	int64_t export_us;
	uint32_t uptime;
	uint16_t id;
	uint32_t len;
	uint8_t p[];
};

/* One exporting process: address, port, domain and format. */
struct session {
	struct session *next; /* of the bucket */
	struct session *newer, *older;
	struct source from;
	uint32_t domain;
	uint8_t format; /* enum ingest_format */
	struct exporter *e;
	struct template_store templates;
	struct template_counts told; /* of templates.counts, those that are in e->count */
	struct sequence sequence;
	struct sequence sequence_told;
	struct sampling sampling;
	/* records that were taken of a numbering since the last mark */
	uint64_t mark_from, mark_to;
	uint32_t mark_rows;
	bool marking;
	struct numbering *numbering; /* a weir waits for acknowledgements; else NULL */
	int64_t boot_us;	     /* the exporter's start, where options tell */
	struct held *held;
	struct held **held_last;
	uint32_t held_bytes;
};

/* Records of one session and template, of several messages. */
#define PENDING	      24u
#define PENDING_HINTS 128u

struct pending {
	struct session *s;
	const struct template *t;
	uint16_t id;
	size_t octets;
	int64_t now_us;
	struct records r;
};

/* Rows of flow logs that were taken, by file. */
#define LOGS_MAX 4096u

struct log_taken {
	uint64_t epoch;
	uint64_t rows;
};

struct decoder {
	struct decoder_cfg cfg;
	struct block *b;
	int64_t b_since_us;
	uint64_t count[_IC_MAX];
	uint64_t generation;
	uint32_t sessions;
	uint32_t held_bytes;
	struct session *bucket[SESSION_BUCKETS];
	struct session *newest, *oldest;
	const struct session *at_work; /* of the latest message: gives way to none */
	struct template *v5;
	struct records records; /* of one set */
	uint32_t pending_n;
	struct pending pending[PENDING];
	uint8_t pending_hint[PENDING_HINTS]; /* by template: its place, perhaps */
	uint32_t logs_n;
	struct log_taken *logs; /* LOGS_MAX, a ring; NULL: none was read */
	uint32_t unmarked_n;	/* sessions whose records have yet to be told the store */
	struct session *unmarked[PENDING];
};

/* A message being decoded. */
struct message {
	struct decoder *d;
	struct session *s;
	int64_t now_us;
	int64_t export_us;
	uint32_t uptime; /* v5, v9 */
	uint32_t number; /* sequence */
	uint32_t n;	 /* records so far, options too */
	bool unknown;	 /* some could not be counted */
	bool late;	 /* what had waited for a template: not numbered */
	uint32_t rate;	 /* of the message; 0: none */
	/* of s->numbering */
	uint64_t at;   /* number of the next record */
	uint64_t skip; /* records before this number had been taken */
};

struct session *session_get(struct decoder *d, const struct source *from, uint32_t domain,
			    enum ingest_format format);
void session_remove(struct decoder *d, struct session *s);

/* The same process with another port, as far as it is clear: for templates. NULL: none. */
const struct session *session_alike(const struct decoder *d, const struct session *s);

/**
 * block_room - a block with room for @rows and the text of @octets
 *
 * Return: NULL: there is none to be had.
 */
struct block *block_room(struct decoder *d, uint32_t rows, size_t octets, int64_t now_us);

/* Records of one set that a template describes. Return: 0 or -EBADMSG. */
int decode_records(struct message *m, const struct template *t, const uint8_t *p, size_t len);

/* Data of a template that is not there (yet). */
void held_keep(struct message *m, uint16_t id, const uint8_t *p, size_t len);
void held_try(struct message *m);
void held_drop(struct decoder *d, struct session *s, enum ingest_count why);

/* What is pending goes into blocks: before a template, a rate or a session changes. */
void pending_settle(struct decoder *d);

/* Records of @r are those of numbers up to @m->at. */
void pending_mark(struct message *m, uint32_t rows, uint32_t n);

/* Records of a set, to be decoded with those of others. Return: 0 or -EBADMSG. */
int pending_add(struct message *m, const struct template *t, const uint8_t *p, size_t len);

/* The same, where records of template @id are pending: it is what it was. Return: false: none are. */
bool pending_add_more(struct message *m, uint16_t id, const uint8_t *p, size_t len, int *ret);

/* @r into a block, or counted as lost. */
void take_rows(struct message *m, const struct template *t, const struct records *r, size_t octets);

/* One options record. */
void options_record(struct message *m, const struct template *t, uint32_t i);

int decode_ipfix(struct decoder *d, const struct source *from, const uint8_t *p, size_t len,
		 int64_t now_us);
int decode_netflow9(struct decoder *d, const struct source *from, const uint8_t *p, size_t len,
		    int64_t now_us);
int decode_netflow5(struct decoder *d, const struct source *from, const uint8_t *p, size_t len,
		    int64_t now_us);
int decode_sflow5(struct decoder *d, const struct source *from, const uint8_t *p, size_t len,
		  int64_t now_us);

/* The exporter is known: count the message, its numbers and its clock. */
void message_begin(struct message *m, size_t len);
void message_end(struct message *m);

/* A message that is refused for @why. Return: -EBADMSG. */
int message_bad(struct message *m, enum ingest_count why);

#endif
