/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prog_runs.h - how long the programs run, where the kernel measures it (kernel.bpf_stats_enabled).
 * It costs every packet a few dozen nanoseconds: weir doesn't switch it on. The core asks, the
 * worker's metrics tell. One thread, the core's.
 */
#ifndef WEIR_LOADER_PROG_RUNS_H
#define WEIR_LOADER_PROG_RUNS_H

#include <stdbool.h>
#include "loader/dataplane.h"
#include "loader/iface_table.h"

#define PROG_RUNS_MS 5000u /* how often is often enough */

/* Did the kernel measure it when @dp was loaded? */
bool prog_runs_measured(const struct dataplane *dp);

/* What has run so far, to t->programs. */
void prog_runs_read(const struct dataplane *dp, struct iface_table *t);

#endif
