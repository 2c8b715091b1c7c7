// SPDX-License-Identifier: Apache-2.0
#include "common/program.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/commands.h"

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

/* What did not get to where it was sent is no success; whoever closes a pipe has seen enough. */
static int flush_output(int status)
{
	struct stat st;
	int err = 0;

	if (fflush(stdout))
		err = errno;
	else if (!ferror(stdout))
		return status;
	if (!fstat(STDOUT_FILENO, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
		return status;
	fprintf(stderr, "%s: standard output: %s\n", name_,
		err ? strerror(err) : "not all of it could be written");
	return status ?: EXIT_FAILED;
}

int program_run(const struct cli_command *top, int argc, char **argv)
{
	static char version[] = "version";

	if (argc == 2 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")))
		argv[1] = version;
	return flush_output(cli_run(top, argc, argv));
}
