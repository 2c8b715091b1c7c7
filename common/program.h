/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.h - the name of the running program, as its messages, help and usage errors say it. Set
 * once, first thing in main(); "weir" otherwise.
 */
#ifndef WEIR_COMMON_PROGRAM_H
#define WEIR_COMMON_PROGRAM_H

/* @name must stay. */
void program_set_name(const char *name);

const char *program_name(void);

#endif
