/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lab.h - a data plane of the product's own making (dataplane.h) with the benchmark's programs on its
 * maps, and the real drain and merge behind it, on another CPU if asked.
 */
#ifndef WEIR_BENCH_LAB_H
#define WEIR_BENCH_LAB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "common/clock.h"
#include "loader/dataplane.h"
#include "loader/drain.h"
#include "loader/merge.h"
#include "loader/name/name.h"

#define LAB_PACKET_CPU 1 /* where programs run */
#define LAB_DRAIN_CPU  0

struct bench_bpf;
struct bpf_object;
struct weir_bpf__rodata;

struct lab {
	struct dataplane dp;
	struct bench_bpf *plain; /* tunnels are not opened */
	struct bench_bpf *decap; /* four levels of them are */
	struct bench_bpf *kept;	 /* as plain, and the last packets are kept */
	struct clock clock;
	struct merge *merge;
	struct names *names;
	struct drain *drain;
	pthread_t thread;
	atomic_bool stop;
	bool scans; /* the thread scans too, once a second */
	uint32_t merge_flows;
	uint32_t policy_entries; /* room for decisions; 0: no verdicts */
	uint64_t records;	 /* emitted since lab_clear() */
	uint64_t packets;	 /* in those records */
	uint64_t named;		 /* of those records, with tls.sni */
};

/**
 * lab_open - load everything
 * @l:     zeroed, but for policy_entries
 * @flows: room for so many on one CPU, at half load
 *
 * Return: 0 or -errno; lab_close() in either case.
 */
int lab_open(struct lab *l, uint32_t flows);
void lab_close(struct lab *l);

/* Forget all flows, and what was counted here. Return: 0 or -errno. */
int lab_clear(struct lab *l);

/* Have the rings drained (and the cache scanned) by a thread. Return: 0 or -errno. */
int lab_drain_start(struct lab *l, bool scans);
void lab_drain_stop(struct lab *l);

/* Set the clock of drain and merge to now. */
void lab_tell_time(struct lab *l);

/* Scan what is there, and make records of everything. */
void lab_finish(struct lab *l);

/* Use the maps of @donor where they have the same name. Return: 0 or -errno. */
int lab_share_maps(struct bpf_object *obj, const struct bpf_object *donor);

/* The settings that the product's loader made. */
const struct weir_bpf__rodata *lab_settings(const struct lab *l);

#endif
