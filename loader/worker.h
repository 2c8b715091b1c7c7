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

/**
 * worker_main - body of the worker process
 * @dp:  the inherited mappings
 * @ifaces: names of interfaces, shared with the core; its progress is told there
 * @ipc: its end of the socket pair
 * @fds: listening sockets, taken over
 *
 * Return: exit status of the process.
 */
int worker_main(const struct run_cfg *cfg, struct dataplane *dp, struct iface_table *ifaces,
		int ipc, const struct control_fds *fds);

#endif
