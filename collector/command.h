/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h - the commands of weir-collector: each file that has one describes it here as a struct
 * cli_command, and main.c lists them.
 */
#ifndef WEIR_COLLECTOR_COMMAND_H
#define WEIR_COLLECTOR_COMMAND_H

#include "common/commands.h"

extern const struct cli_command collector_command_serve;
extern const struct cli_command collector_command_query;
extern const struct cli_command collector_command_flows;
extern const struct cli_command collector_command_status;
extern const struct cli_command collector_command_import;
extern const struct cli_command collector_command_reload;
extern const struct cli_command collector_command_rules;
extern const struct cli_command collector_command_pack;
extern const struct cli_command collector_command_alerts;
extern const struct cli_command collector_command_decisions;
extern const struct cli_command collector_command_policy;
extern const struct cli_command collector_command_export; /* of decisions */
extern const struct cli_command collector_command_nodes;
extern const struct cli_command collector_command_token;
extern const struct cli_command collector_command_captures;
extern const struct cli_command collector_command_channels;
extern const struct cli_command collector_command_audit;
extern const struct cli_command collector_command_config;
extern const struct cli_command collector_command_completion;
extern const struct cli_command collector_command_complete;   /* hidden */
extern const struct cli_command collector_command_reference;  /* hidden */
extern const struct cli_command collector_command_check_line; /* hidden */

/* The program: all commands. */
extern const struct cli_command collector_commands;

#endif
