// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - weir-collector: the table of commands.
 */
#include <stdio.h>
#include <string.h>

#include "collector/command.h"
#include "common/program.h"

static int cmd_version(int argc, char **argv);

static const struct cli_option no_options[] = {{}};

static const struct cli_command command_version = {
	.name = "version",
	.help = "which weir-collector this is",
	.options = no_options,
	.run = cmd_version,
};

static int cmd_version(int argc, char **argv)
{
	struct cli c = {.cmd = &command_version, .argc = argc, .argv = argv};

	if (cli_next(&c) != CLI_END)
		return c.status;
	puts("weir-collector " WEIR_VERSION);
	return 0;
}

static const struct cli_command *const commands[] = {
	&collector_command_serve,
	&collector_command_query,
	&collector_command_flows,
	&collector_command_status,
	&collector_command_import,
	&collector_command_rules,
	&collector_command_config,
	&collector_command_completion,
	&command_version,
	&collector_command_complete,
	&collector_command_reference,
	&collector_command_check_line,
	NULL,
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
	static char version[] = "version";

	program_set_name("weir-collector");
	if (argc == 2 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")))
		argv[1] = version;
	return cli_run(&collector_commands, argc, argv);
}
