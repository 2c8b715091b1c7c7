/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder_int.h - what the parts of the recorder share; its process alone.
 */
#ifndef WEIR_LOADER_RECORDER_INT_H
#define WEIR_LOADER_RECORDER_INT_H

#include "loader/capture/packet_file.h"
#include "loader/capture/recorder.h"
#include "loader/capture/store.h"

#define RECORDER_LOOK	   4096u	     /* packets looked at a step */
#define RECORDER_SETTLE_NS UINT64_C(5000000) /* no CPU still writes a packet so old */

/* One file. */
struct recording {
	bool used;
	struct record_order order;
	uint64_t from_ns, end_ns; /* CLOCK_MONOTONIC; end: no packet of later */
	char id[STORE_ID + 1];
	struct recent_reader *reader; /* NULL: it is as long as it may be */
	struct packet_file file;
};

struct recording_env {
	int dir;
	const struct recorder_cfg *cfg;
	const struct dataplane *dp;
	const struct iface_table *table;
	const char *node;
	struct record_counts *counts;
	uint64_t last_id; /* nanoseconds */
};

/* A file for the order. Return: 0, -errno. */
int recording_begin(struct recording *c, struct recording_env *env, const struct record_order *o);

/* Some packets. Return: true: there are more by now. */
bool recording_step(struct recording *c, struct recording_env *env, uint64_t now_ns);

/* Its account, its name. It is free then. */
void recording_end(struct recording *c, struct recording_env *env);

#endif
