// SPDX-License-Identifier: Apache-2.0
/*
 * cli_help.c - --help from the tables of cli.h: usage, a paragraph, options, examples; wrapped at
 * 80 columns.
 */
#include "common/cli.h"

#include <stdio.h>
#include <string.h>

#define WIDTH	  80
#define INDENT	  34 /* where the text of an option begins */
#define WORDS_MAX 24

/* @text wrapped at blanks; @col is where the cursor stands, @indent where later lines begin. */
static void put_wrapped(const char *text, int col, int indent)
{
	while (*text) {
		size_t n = strcspn(text, " \n");

		if (col > indent && col + 1 + (int)n > WIDTH) {
			printf("\n%*s", indent, "");
			col = indent;
		} else if (col > indent) {
			putchar(' ');
			col++;
		}
		printf("%.*s", (int)n, text);
		col += n;
		text += n;
		while (*text == ' ')
			text++;
		if (*text == '\n') {
			printf("\n%*s", indent, "");
			col = indent;
			text++;
		}
	}
	putchar('\n');
}

/* A short list of words says more than the name of the value. */
static const char *value_of(const struct cli_option *o)
{
	if (o->words && !strchr("@?", o->words[0]) && strlen(o->words) <= WORDS_MAX)
		return o->words;
	return o->arg;
}

static void put_option(const struct cli_option *o)
{
	char left[80], doc[400];
	int n = 0;

	if (o->letter)
		n = snprintf(left, sizeof(left), "  -%c%s", o->letter, o->name ? ", " : "");
	else
		n = snprintf(left, sizeof(left), "      ");
	if (o->name)
		n += snprintf(left + n, sizeof(left) - n, "--%s", o->name);
	if (o->arg)
		snprintf(left + n, sizeof(left) - n, "%s%s", o->name ? "=" : " ", value_of(o));
	snprintf(doc, sizeof(doc), "%s%s%s%s", o->doc, o->def ? " (" : "", o->def ?: "",
		 o->def ? ")" : "");
	n = printf("%-*s", INDENT - 1, left);
	if (n >= INDENT)
		n = printf("\n%*s", INDENT, "") - 1;
	else
		n += printf(" ");
	put_wrapped(doc, INDENT, INDENT);
}

static void put_options(const struct cli_command *cmd, const struct cli_option *o)
{
	for (; o && o->id; o++)
		if ((o->name || o->letter) && o->doc && !cli_shadowed(cmd, o))
			put_option(o);
}

static void put_commands(const struct cli_command *const *sub)
{
	puts("\ncommands:");
	for (; *sub; sub++)
		if (!(*sub)->hidden)
			printf("  %-12s %s\n", (*sub)->name, (*sub)->help);
}

static void put_examples(const char *text)
{
	puts("\nexamples:");
	while (*text) {
		size_t n = strcspn(text, "\n");

		printf("  %.*s\n", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

void cli_help(const struct cli *c)
{
	const struct cli_command *cmd = c->cmd;

	fputs("usage: ", stdout);
	cli_put_path(c, stdout);
	printf("%s%s%s%s\n", cmd->sub ? " COMMAND" : "",
	       cmd->options || cmd->sub ? " [OPTION...]" : "", cmd->operands ? " " : "",
	       cmd->operands ?: "");
	if (cmd->doc) {
		putchar('\n');
		put_wrapped(cmd->doc, 0, 0);
	}
	if (cmd->sub)
		put_commands(cmd->sub);
	if (cmd->options) {
		puts("\noptions:");
		put_options(cmd, cmd->options);
		put_options(cmd, cmd->more);
		printf("  %-*s%s\n", INDENT - 2, "-h, --help", "this text");
	}
	if (cmd->examples)
		put_examples(cmd->examples);
	if (cmd->sub) {
		fputs("\n'", stdout);
		cli_put_path(c, stdout);
		puts(" COMMAND --help' lists the options of a command.");
	}
}
