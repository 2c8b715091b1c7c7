/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h - files of packets, as the commands meet them: where weir keeps them, where they are to go. Says what is
 * wrong on standard error. One thread.
 */
#ifndef WEIR_LOADER_FILES_H
#define WEIR_LOADER_FILES_H

#include <stdio.h>

/**
 * files_dir_open - the directory of captures
 * @dir:    --dir, or NULL: capture.dir of the configuration
 * @config: --config, or NULL
 * @sub:    below it, or NULL
 *
 * Return: 0; EXIT_USAGE, EXIT_FAILED, EXIT_PERM: said.
 */
int files_dir_open(const char *dir, const char *config, const char *sub, int *ret_fd);

/**
 * files_create - for packets; "-" is standard output, a file that is there is written over
 *
 * Return: 0; EXIT_FAILED, EXIT_PERM: said.
 */
int files_create(const char *path, FILE **ret);

#endif
