// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - weir-collector: the table of commands.
 */
#include "collector/command.h"
#include "common/program.h"

static const struct cli_command *const commands[] = {
	&collector_command_serve,      &collector_command_query,
	&collector_command_flows,      &collector_command_status,
	&collector_command_import,     &collector_command_rules,
	&collector_command_pack,       &collector_command_alerts,
	&collector_command_decisions,  &collector_command_policy,
	&collector_command_nodes,      &collector_command_captures,
	&collector_command_channels,   &collector_command_token,
	&collector_command_audit,      &collector_command_config,
	&collector_command_completion, &program_command_version,
	&collector_command_complete,   &collector_command_reference,
	&collector_command_check_line, NULL,
};

const struct cli_command collector_commands = {
	.help = "take in every flow, keep it, and answer in a blink",
	.sub = commands,
	.examples = "weir-collector serve\n"
		    "weir-collector query 'tls.sni suffix \"example.com\"' --by src.ip --last 1h\n"
		    "weir-collector flows 'dst.port == 22' --last 10m\n"
		    "weir-collector status\n",
};

int main(int argc, char **argv)
{
	program_set_name("weir-collector");
	return program_run(&collector_commands, argc, argv);
}
