/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.h - what both programs begin with: their name, as messages, help and usage errors say it, and
 * `version`. The name is set once, first thing in main(); "weir" otherwise.
 */
#ifndef WEIR_COMMON_PROGRAM_H
#define WEIR_COMMON_PROGRAM_H

struct cli_command;

/* @name must stay. */
void program_set_name(const char *name);

const char *program_name(void);

/* `version`; --version and -V, given alone, are the same. */
extern const struct cli_command program_command_version;

/* Run a command of @top's. Return: enum exit_code. */
int program_run(const struct cli_command *top, int argc, char **argv);

#endif
