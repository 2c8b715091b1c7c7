/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay_run.h - frames of a capture through the XDP program by BPF_PROG_TEST_RUN, on one CPU, one
 * system call a frame; drains in capture time.
 */
#ifndef WEIR_LOADER_REPLAY_RUN_H
#define WEIR_LOADER_REPLAY_RUN_H

#include <stdint.h>

#include "loader/dataplane.h"
#include "loader/linktype.h"
#include "loader/summary.h"

struct capture;
struct filter;
struct output;
struct replay;
struct replay_policy;

struct replay_cfg {
	struct dataplane_cfg dp; /* names, flows; the rest is set here */
	struct dataplane_variant programs;
	uint64_t interval_ns;
	uint64_t active_ns;
	uint64_t idle_ns;
	uint64_t syn_ns;
	struct replay_policy *policy; /* or NULL. Must outlive it */
	const struct filter *where; /* records that match are written; NULL: all. Must outlive it */
};

/* frames = taken + all of refused + run_failed */
struct replay_stats {
	uint64_t frames;
	uint64_t taken;		     /* handed to the program */
	uint64_t refused[_LINK_MAX]; /* by enum link_result */
	uint64_t run_failed;	     /* the kernel would not run the program on it */
	uint64_t clock_steps;	     /* times that the capture went back by a second or more */
	uint64_t drains;
	int policy;	      /* -errno: the policy could not be put in force */
	uint64_t matched;     /* records that were written */
	uint32_t unsupported; /* link type of the last frame refused for it */
};

struct replay_cfg replay_cfg_default(void);

/**
 * replay_new - load the programs, pin this thread to a CPU
 * @out: records go there; must outlive the replay
 *
 * Return: 0; -EPERM without the capabilities; -errno.
 */
int replay_new(const struct replay_cfg *cfg, struct output *out, struct replay **ret);
struct replay *replay_free(struct replay *r);

/**
 * replay_all - every frame up to the end, the damage, or SIGINT
 * Return: 0, or what capture_next() returned.
 */
int replay_all(struct replay *r, struct capture *c);

/* Drain and write all that is left. 0, or -errno of the output. */
int replay_finish(struct replay *r);

const struct replay_stats *replay_stats(const struct replay *r);
const struct summary *replay_summary(struct replay *r);
const struct dataplane *replay_dataplane(const struct replay *r);

#endif
