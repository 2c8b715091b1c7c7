// SPDX-License-Identifier: Apache-2.0
#include "common/program.h"

#include <stdio.h>
#include <string.h>

#include "common/cli.h"

static const char *name_ = "weir";

void program_set_name(const char *name)
{
	name_ = name;
}

const char *program_name(void)
{
	return name_;
}

static int cmd_version(int argc, char **argv);

static const struct cli_option no_options[] = {{}};

const struct cli_command program_command_version = {
	.name = "version",
	.help = "which version of the program this is",
	.options = no_options,
	.run = cmd_version,
};

static int cmd_version(int argc, char **argv)
{
	struct cli c = {.cmd = &program_command_version, .argc = argc, .argv = argv};

	if (cli_next(&c) != CLI_END)
		return c.status;
	printf("%s %s\n", name_, WEIR_VERSION);
	return 0;
}

int program_run(const struct cli_command *top, int argc, char **argv)
{
	static char version[] = "version";

	if (argc == 2 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")))
		argv[1] = version;
	return cli_run(top, argc, argv);
}
