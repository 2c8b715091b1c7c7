/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequence.h - what an exporter's sequence numbers say: loss, reordering, restarts, repeats. IPFIX
 * counts data records (RFC 7011 section 3.1), NetFlow v9 packets (RFC 3954 section 5.1), v5 flows,
 * sFlow samples; exporters that count otherwise than they should are found out. Pure; one thread.
 */
#ifndef WEIR_COLLECTOR_INGEST_SEQUENCE_H
#define WEIR_COLLECTOR_INGEST_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#define SEQUENCE_GAPS 8u /* remembered, for what comes late */

enum sequence_unit {
	SEQUENCE_RECORDS,  /* before the message */
	SEQUENCE_MESSAGES, /* before it */
	SEQUENCE_AFTER,	   /* records, the message's own too: softflowd's IPFIX */
	_SEQUENCE_UNITS
};

struct sequence_gap {
	uint32_t at;
	uint32_t n;
};

struct sequence {
	bool any;
	bool lost_count; /* the last message's records are not known: no gap is told from it */
	uint8_t unit;	 /* enum sequence_unit */
	uint8_t like[_SEQUENCE_UNITS]; /* messages in a row that fit that unit */
	uint32_t next;
	uint32_t last;	     /* number of the message before */
	uint32_t last_n;     /* its records */
	uint64_t false_lost; /* counted in that run */
	uint32_t back;	     /* where a run of numbers that had been there goes on */
	uint32_t back_run;
	uint32_t next_gap;
	struct sequence_gap gap[SEQUENCE_GAPS];
	/* what it came to; in units */
	uint64_t lost;	    /* less what came late */
	uint64_t gaps;	    /* times numbers were left out */
	uint64_t reordered; /* messages that came late */
	uint64_t repeated;  /* messages whose number had been there */
	uint64_t restarts;
};

void sequence_init(struct sequence *s, enum sequence_unit unit);

/**
 * sequence_message - one message came
 * @number:  as in its header
 * @records: in it
 * @known:   false: it holds records that could not be counted
 */
void sequence_message(struct sequence *s, uint32_t number, uint32_t records, bool known);

#endif
