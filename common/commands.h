/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands.h - commands that every program of ours has, made from its tables: config, completion,
 * and the hidden ones behind man pages and tests. The program's own command line files name them in
 * a struct cli_command and pass their struct program on.
 */
#ifndef WEIR_COMMON_COMMANDS_H
#define WEIR_COMMON_COMMANDS_H

#include "common/settings.h"

/* Exit status of a command (docs: EXIT STATUS). */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_PERM = 3,	    /* not permitted: a capability or permission is missing */
	EXIT_NOSUPPORT = 4, /* the kernel or driver can't */
	EXIT_PEER = 5,	    /* the other side can't be reached */
	EXIT_PARTLY = 6,    /* some of it done */
	EXIT_INTERRUPTED = 130,
};

/* A part of the man pages or a whole file that is made of tables of the program's own. */
struct reference_part {
	const char *name; /* NULL ends the list */
	void (*run)(void);
};

struct program {
	const char *name; /* "weir" */
	const struct cli_command *top;
	const struct settings_schema *settings;
	const char *conf_head; /* first lines of the default configuration file */
	const char *conf_tail; /* its last ones: sections with names, as comments */
	const struct reference_part *parts;
	bool added; /* its filters have the words that only the collector knows */
};

/* Options of `config show`; settings_options go behind them. */
extern const struct cli_option config_show_options[];

/* The words that completion scripts are there for. */
#define COMPLETION_SHELLS "bash|zsh|fish"

/* Bodies of commands: @c as cli_next() wants it. Return: exit status. */
int config_show(const struct program *p, struct cli *c);
int config_check(const struct program *p, struct cli *c);
int completion_print(const struct program *p, struct cli *c);

/* Of the hidden commands __complete, __reference, __check. */
int completion_words(const struct program *p, int argc, char **argv);
int reference_print(const struct program *p, int argc, char **argv);
int reference_check_line(const struct program *p, int argc, char **argv);

/* Text as scdoc(5) wants it; a sentence gets its capital and full stop. */
void reference_put(const char *s);
void reference_put_sentence(const char *s);

#endif
