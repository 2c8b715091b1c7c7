/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - the unprivileged half of `weir run`: drains, merges, names and prints flows until
 * the core says stop or is gone.
 */
#ifndef WEIR_LOADER_WORKER_H
#define WEIR_LOADER_WORKER_H

#include "loader/dataplane.h"
#include "loader/core.h"

/* Flows that the merge has room for. */
uint32_t worker_flows(const struct run_cfg *cfg);

/* What the worker is born with; all of it is inherited. */
struct worker_start {
	const struct run_cfg *cfg;
	const struct run_cfg *news; /* shared with the core: what IPC_RELOAD tells of */
	struct dataplane *dp;
	struct iface_table *ifaces; /* shared with the core; progress is told there */
	int ipc;
	int broker;
	int names; /* to the core: names that the kernel has not read, struct enforce_name */
	struct control_fds control; /* listening sockets */
};

/* Body of the worker process. Return: its exit status. */
int worker_main(const struct worker_start *start);

#endif
