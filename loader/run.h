/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - `weir run`: from options and settings to struct run_cfg, and on to core_run().
 */
#ifndef WEIR_LOADER_RUN_H
#define WEIR_LOADER_RUN_H

int cmd_run(int argc, char **argv);

#endif
