/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export_rig.h - exports with records from a formula, in a folder of their own.
 */
#ifndef WEIR_UNIT_EXPORT_RIG_H
#define WEIR_UNIT_EXPORT_RIG_H

#include "loader/export/sink.h"

struct export_rig {
	char dir[64];
	struct export_cfg cfg;
	struct exports *x;
	struct export_stats st;
	uint64_t packets, bytes; /* given to exports_flow() */
	uint32_t flows;
};

/* Make the folder; @url: one %s for it. Ends the test on failure. */
void rig_open(struct export_rig *rig, const char *url);

/* Give records number rig->flows on; of @n. Every one is different. */
void rig_flows(struct export_rig *rig, uint32_t n);

/* Record number @i, as rig_flows() gives it. */
void rig_record(uint32_t i, struct flow_record *r);

#define RIG_PATIENT 60u /* seconds, for what is there in one: the machine may be slow */

/* Until the sink has nothing waiting, or @seconds passed. Return: true if so. */
bool rig_settle(struct export_rig *rig, unsigned int seconds);

/* Stop, read the counts, and check that taken = sent + lost + waiting. */
void rig_stop(struct export_rig *rig);
uint64_t rig_lost(const struct export_rig *rig);

/* Free all; the folder goes with what is in it. */
void export_rig_close(struct export_rig *rig);

/* A file of the folder. Return: bytes read into @buf, or -errno. */
long rig_read(const struct export_rig *rig, const char *name, char *buf, size_t cap);

#endif
