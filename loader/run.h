/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - `weir run`: the privileged core attaches and waits; the worker drains and prints.
 */
#ifndef WEIR_LOADER_RUN_H
#define WEIR_LOADER_RUN_H

#include <stdint.h>
#include "loader/attach.h"
#include "loader/dataplane.h"

#define RUN_IFACES_MAX 64

struct run_cfg {
	struct dataplane_cfg dp;
	enum hook_mode hook;
	enum role role;
	struct attachment iface[RUN_IFACES_MAX];
	unsigned int ifaces;
	const char *format;
	uint64_t interval_ns;
	uint64_t active_ns;
	uint64_t idle_ns;
	uint64_t syn_ns;
	uint64_t duration_ns; /* 0 = until stopped */
	int summary_json;
};

int cmd_run(int argc, char **argv);

#endif
