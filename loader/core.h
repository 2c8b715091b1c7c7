/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h - the privileged half of `weir run`: loads, attaches, starts the worker, waits, and takes
 * everything off again. It parses nothing from the network and no files; what it does is decided
 * by struct run_cfg. One thread.
 */
#ifndef WEIR_LOADER_CORE_H
#define WEIR_LOADER_CORE_H

#include <stdint.h>
#include "loader/command.h"
#include "loader/capture/recorder.h"
#include "loader/control/control.h"
#include "loader/dataplane.h"
#include "loader/ifaces.h"
#include "loader/mirror/want.h"
#include "loader/policy/enforce.h"
#include "loader/export/sink.h"

struct run_cfg {
	struct dataplane_cfg dp;
	/* Names that must be there, and patterns; of other network namespaces too */
	struct iface_want iface[RUN_IFACES_MAX];
	unsigned int ifaces;
	iface_pick_fn pick; /* see struct ifaces; NULL: the patterns of iface[] decide */
	const void *pick_arg;
	uint32_t sample;			/* 1 in N, where an interface has no other */
	struct export_cfg exports[EXPORTS_MAX]; /* checked */
	unsigned int n_exports;
	struct control_cfg control;
	struct enforce_cfg policy;
	struct recorder_cfg recorder;
	struct mirror_images mirrors;
	const char *node;	 /* name in records; "" = the host's */
	struct flow_strs labels; /* in every record */
	uint64_t interval_ns;
	uint64_t active_ns;
	uint64_t idle_ns;
	uint64_t syn_ns;
	uint64_t duration_ns; /* 0 = until stopped */
	int summary_json;
	/* The settings again, see run_reload(); NULL: there are none to read */
	int (*reload)(struct run_cfg *ret);
	/* Directory (PIN_DIR or another) where all stays when we end; NULL: all goes. */
	const char *pin;
	bool replace; /* with pin: the weir that is at work there is asked to leave */
};

/**
 * core_run - body of `weir run`, from loading the programs to the summary
 * @cfg: copied; what its pointers point to must stay
 *
 * Return: enum exit_code; what went wrong has been said on standard error.
 */
int core_run(const struct run_cfg *cfg);

#endif
