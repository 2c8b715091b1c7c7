/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - commands and their options, described once: the parser, --help, shell completion and the
 * option lists of the man pages all read these tables. Errors are one line on standard error with
 * the nearest known word. No global state but what it writes to standard output and error.
 */
#ifndef WEIR_COMMON_CLI_H
#define WEIR_COMMON_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Words that completion asks the machine for. */
#define CLI_FILE   "@file"
#define CLI_DIR	   "@dir"
#define CLI_IFACE  "@iface"
#define CLI_FILTER "@filter"
#define CLI_FIELD  "@field"

struct cli_option {
	int id;		  /* > 0; a row with 0 ends the table */
	char letter;	  /* 0 = none */
	const char *name; /* without --; NULL and no letter: the row is no option */
	const char *arg;  /* what help calls its argument; NULL = it takes none */
	const char *
		words; /* "a|b|c": nothing else is allowed; "?a|b": other text too; CLI_...; NULL */
	const char *def; /* shown by help in parentheses, or NULL */
	const char *doc; /* one line */
};

struct cli_command {
	const char *name;
	const char *help;     /* one line, for the list of commands */
	const char *operands; /* as in usage: "FILE", "[FILTER]"; NULL = none are taken */
	const char *words;    /* what completes an operand, as cli_option.words */
	const char *doc;      /* a paragraph, or NULL */
	const char *examples; /* one command a line, each ends with \n; or NULL */
	const struct cli_option *options;
	const struct cli_option *more;	      /* a second table; the first goes before; or NULL */
	const struct cli_command *const *sub; /* commands of its own, ends with NULL; or NULL */
	int (*run)(int argc, char **argv);    /* argv[0] is the name; NULL: only sub */
	bool hidden;			      /* in no list */
};

enum { CLI_OPERAND = -1, CLI_END = 0, CLI_STOP = -2 };

/* Parsing one command line; begin with {.cmd = &command_x, .argc = argc, .argv = argv}. */
struct cli {
	const struct cli_command *cmd;
	int argc;
	char **argv;
	const char *path; /* words before the command's name, such as "config"; or NULL */
	const char *arg;  /* of the option or operand returned */
	int status;	  /* with CLI_STOP: what main() shall return, 0 or 2 */
	int next;
	const char *letters; /* rest of a group such as -no */
	bool operands_only;
};

/**
 * cli_next - next option or operand
 *
 * Return: the id of an option (its argument in c->arg, checked against its words), CLI_OPERAND,
 *         CLI_END, or CLI_STOP: --help was printed, or the error was; return c->status.
 */
int cli_next(struct cli *c);

/**
 * cli_error - "PROGRAM: TEXT — see 'PROGRAM COMMAND --help'" on standard error
 *
 * Return: 2, the exit status of a usage error.
 */
int cli_error(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "weir run", "weir config show" */
void cli_put_path(const struct cli *c, FILE *out);

/* Help of a command, or of the program when @cmd has no run and no path. */
void cli_help(const struct cli *c);

/**
 * cli_run - pick a sub-command of @top by argv[1] and run it; knows help, version and completion
 * @top: name of the program and the commands; its examples close the list of commands
 *
 * Return: exit status.
 */
int cli_run(const struct cli_command *top, int argc, char **argv);

/* Does a row of the command's first table have the name of this one of its second? */
bool cli_shadowed(const struct cli_command *cmd, const struct cli_option *o);

/* Is @word one of "a|b|c"? Its index, or -1. */
int cli_word(const char *words, const char *word);

/**
 * cli_complete - the words that may stand at the end of a command line
 * @argv: what has been typed, argv[0] the program; the last may be empty
 * @dynamic: prints the words for CLI_... that the machine knows, or NULL
 *
 * One word a line on standard output, with a tab and its help where there is some; "@file" or "@dir"
 * alone on a line: the shell's own completion of files.
 */
void cli_complete(const struct cli_command *top, int argc, char **argv,
		  void (*dynamic)(const char *kind, const char *prefix));

#endif
