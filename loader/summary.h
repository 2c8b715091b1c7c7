/* SPDX-License-Identifier: Apache-2.0 */
/*
 * summary.h - the account at the end of a run or replay: what was seen, what became records, and
 * what is missing, by name. Text for people, one JSON object for programs.
 */
#ifndef WEIR_LOADER_SUMMARY_H
#define WEIR_LOADER_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "common/flow.h"
#include "loader/dataplane.h"
#include "loader/export/sink.h"
#include "loader/merge.h"
#include "loader/name/name.h"

/* What one export made of them. */
struct summary_export {
	char target[160];
	struct export_stats stats;
};

/* What went out, summed over records. */
struct summary {
	uint64_t counted[WEIR_CNT_SLOTS]; /* dataplane.counted, by enum counter */
	uint64_t records;
	uint64_t packets;
	uint64_t bytes;
	uint64_t flows;
	uint64_t unguarded; /* --pin: records that a kill could lose, see struct ledger_head */
	uint64_t unguarded_packets; /* in them */
	uint64_t undo_full;	    /* --pin: of the same, must stay 0 */
	struct merge_stats merge;
	struct name_stats names;
	struct summary_export exports[EXPORTS_MAX];
	uint32_t n_exports;
};

/* Add a record that was written. */
void summary_add(struct summary *s, const struct flow_record *r);

/**
 * summary_text - one or two lines: packets, flows, lost, not parsed by reason; one for each export
 * @dp: for the counters
 */
void summary_text(const struct summary *s, const struct dataplane *dp, FILE *out);

/* One JSON object on one line: every counter, and the sums of the records. */
void summary_json(const struct summary *s, const struct dataplane *dp, FILE *out);

#endif
