/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h - the commands of weir: each file that has one describes it here as a struct
 * cli_command, and main.c lists them. A description is the only place for a command's options:
 * parser, help, completion and man page read it.
 */
#ifndef WEIR_LOADER_COMMAND_H
#define WEIR_LOADER_COMMAND_H

#include "common/commands.h"

extern const struct cli_command command_run;
extern const struct cli_command command_replay;
extern const struct cli_command command_config;
extern const struct cli_command command_detach;
extern const struct cli_command command_block;
extern const struct cli_command command_doctor;
extern const struct cli_command command_enrol;
extern const struct cli_command command_flush;
extern const struct cli_command command_limit;
extern const struct cli_command command_mirror;
extern const struct cli_command command_unmirror;
extern const struct cli_command command_panic;
extern const struct cli_command command_policy;
extern const struct cli_command command_unblock;
extern const struct cli_command command_why;
extern const struct cli_command command_capture;
extern const struct cli_command command_captures;
extern const struct cli_command command_flows;
extern const struct cli_command command_reload;
extern const struct cli_command command_status;
extern const struct cli_command command_top;
extern const struct cli_command command_completion;
extern const struct cli_command command_complete;   /* hidden: what the shells' scripts ask */
extern const struct cli_command command_reference;  /* hidden: for man pages and tests */
extern const struct cli_command command_check_line; /* hidden */

/* The program: all commands. */
extern const struct cli_command command_weir;

#endif
