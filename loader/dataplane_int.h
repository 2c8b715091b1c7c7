/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataplane_int.h - what dataplane.c and dataplane_size.c share.
 */
#ifndef WEIR_LOADER_DATAPLANE_INT_H
#define WEIR_LOADER_DATAPLANE_INT_H

#include "loader/dataplane.h"

#define L7_BUCKETS  256u  /* of first payload bytes, see bpf/assemble.h */
#define NAMED_LINES 4096u /* flows dropped by name that all CPUs know of: four a line */
#define METER_LINES 4096u /* sources with a limit of their own: four a line */

/* What is the same for all objects: @dp's cfg, cpus, slots and the like. 0, -EINVAL: out of range. */
int dataplane_layout(struct dataplane *dp, const struct dataplane_cfg *cfg);

/* Of all maps of an object that is not loaded yet. 0 or -errno. */
int dataplane_sizes(struct dataplane *dp, struct weir_bpf *skel);

#endif
