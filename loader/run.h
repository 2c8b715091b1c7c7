/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - `weir run`: from options and settings to struct run_cfg, and on to core_run().
 */
#ifndef WEIR_LOADER_RUN_H
#define WEIR_LOADER_RUN_H

struct run_cfg;

int cmd_run(int argc, char **argv);

/**
 * run_reload - read the configuration again, with the command line of the start
 * @ret: zeroed; what holds from now on. Settings that take a restart (no SF_RELOAD) keep their value,
 *       which is said in a message. Its pointers, and those of the one before, stay until the next
 *       but one
 *
 * Return: 0, or -EINVAL: every error of the file has been said, and nothing changes.
 */
int run_reload(struct run_cfg *ret);

#endif
