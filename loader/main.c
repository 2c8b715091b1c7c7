// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - weir: the table of commands.
 */
#include "common/program.h"
#include "loader/command.h"

static const struct cli_command *const commands[] = {
	&command_run,	     &command_reload,	       &command_status,
	&command_flows,	     &command_capture,	       &command_captures,
	&command_top,	     &command_replay,	       &command_block,
	&command_limit,	     &command_unblock,	       &command_why,
	&command_policy,     &command_mirror,	       &command_unmirror,
	&command_panic,	     &command_flush,	       &command_enrol,
	&command_detach,     &command_config,	       &command_doctor,
	&command_completion, &program_command_version, &command_complete,
	&command_reference,  &command_check_line,      NULL,
};

const struct cli_command command_weir = {
	.help = "count every packet of every flow of this host, with names",
	.sub = commands,
	.examples = "weir run -i eth0\n"
		    "weir run -i eth0 -o json > flows.ndjson\n"
		    "weir top\n"
		    "weir replay capture.pcap -o json\n",
};

int main(int argc, char **argv)
{
	return program_run(&command_weir, argc, argv);
}
