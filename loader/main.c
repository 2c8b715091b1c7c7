// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - weir: the table of commands.
 */
#include <stdio.h>
#include <string.h>

#include "loader/replay.h"
#include "loader/run.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
};

static const struct command commands[] = {
	{"run", cmd_run, "attach to interfaces and print their flows"},
	{"replay", cmd_replay, "run a capture through the same programs and print its flows"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out)
{
	fputs("usage: weir COMMAND [OPTION...]\n\ncommands:\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("\n'weir COMMAND --help' lists the options of a command.\n"
	      "\nexamples:\n"
	      "  weir run -i eth0\n"
	      "  weir run -i eth0 -o json > flows.ndjson\n"
	      "  weir replay capture.pcap -o json\n",
	      out);
}

/* Letters that must change, at least; for the nearest command. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[32], n = strlen(b);

	if (n >= sizeof(row) / sizeof(row[0]))
		return n;
	for (unsigned int j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned int i = 1; *a; i++, a++) {
		unsigned int diagonal = row[0];

		row[0] = i;
		for (unsigned int j = 1; j <= n; j++) {
			unsigned int change = diagonal + (*a != b[j - 1]);

			diagonal = row[j];
			row[j] = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
			if (change < row[j])
				row[j] = change;
		}
	}
	return row[n];
}

static int unknown_command(const char *name)
{
	const struct command *nearest = NULL;
	unsigned int best = 4;

	for (size_t i = 0; i < COMMANDS; i++) {
		unsigned int d = distance(name, commands[i].name);

		if (d < best) {
			best = d;
			nearest = &commands[i];
		}
	}
	fprintf(stderr, "weir: unknown command '%s'", name);
	if (nearest)
		fprintf(stderr, ", did you mean '%s'?", nearest->name);
	fputs(" — see 'weir --help'\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return 2;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version") ||
	    !strcmp(argv[1], "-V")) {
		puts("weir " WEIR_VERSION);
		return 0;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help") || !strcmp(argv[1], "-h")) {
		print_help(stdout);
		return 0;
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	return unknown_command(argv[1]);
}
