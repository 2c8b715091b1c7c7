// SPDX-License-Identifier: Apache-2.0
/*
 * cli_complete.c - what can stand at the cursor, from the tables of cli.h. The shells' scripts ask
 * the program itself, so that they never know less than it does.
 */
#include "common/cli.h"

#include <stdio.h>
#include <string.h>

struct completion {
	const struct cli_command *cmd;
	const struct cli_option *pending; /* its argument is next */
	bool operands_only;
	void (*dynamic)(const char *kind, const char *prefix);
};

static const struct cli_option *find(const struct cli_command *cmd, const char *word)
{
	const struct cli_option *tables[2] = {cmd->options, cmd->more};
	size_t len = strcspn(word, "=");

	for (int i = 0; i < 2; i++)
		for (const struct cli_option *o = tables[i]; o && o->id; o++) {
			if (word[1] == '-' && o->name && strlen(o->name) == len - 2 &&
			    !strncmp(o->name, word + 2, len - 2))
				return o;
			if (word[1] != '-' && o->letter && word[1] == o->letter)
				return o;
		}
	return NULL;
}

/* A word before the one at the cursor. */
static void pass(struct completion *p, const char *word)
{
	const struct cli_option *o;

	if (!strcmp(word, "=")) /* bash makes --hook=xdp three words */
		return;
	if (p->pending) {
		p->pending = NULL;
		return;
	}
	if (!strcmp(word, "--")) {
		p->operands_only = true;
		return;
	}
	if (word[0] == '-' && !p->operands_only) {
		o = find(p->cmd, word);
		if (o && o->arg && !strchr(word, '=') && (word[1] == '-' || !word[2]))
			p->pending = o;
		return;
	}
	for (const struct cli_command *const *s = p->cmd->sub; s && *s; s++)
		if (!strcmp((*s)->name, word)) {
			p->cmd = *s;
			return;
		}
}

static bool starts(const char *word, const char *prefix)
{
	return !strncmp(word, prefix, strlen(prefix));
}

/* The values an option or operand can have, each behind @before. */
static void offer_words(const struct completion *p, const char *words, const char *prefix,
			const char *before)
{
	char one[64];

	if (!words)
		return;
	if (!strcmp(words, CLI_FILE) || !strcmp(words, CLI_DIR)) {
		puts(words);
		return;
	}
	if (words[0] == '@') {
		if (p->dynamic)
			p->dynamic(words, prefix);
		return;
	}
	words += *words == '?';
	while (*words) {
		size_t n = strcspn(words, "|");

		snprintf(one, sizeof(one), "%.*s", (int)n, words);
		if (starts(one, prefix))
			printf("%s%s\n", before, one);
		words += n + (words[n] == '|');
	}
}

static void offer_options(const struct cli_command *cmd, const struct cli_option *o,
			  const char *prefix)
{
	char name[64];

	for (; o && o->id; o++) {
		if (!o->name || !o->doc || cli_shadowed(cmd, o))
			continue;
		snprintf(name, sizeof(name), "--%s%s", o->name, o->arg ? "=" : "");
		if (starts(name, prefix))
			printf("%s\t%s\n", name, o->doc);
	}
}

static void offer_commands(const struct cli_command *const *sub, const char *prefix)
{
	for (; sub && *sub; sub++)
		if (!(*sub)->hidden && starts((*sub)->name, prefix))
			printf("%s\t%s\n", (*sub)->name, (*sub)->help);
}

/* --hook=x: the whole word is replaced, so it comes back whole. */
static void offer_value(const struct completion *p, const char *word)
{
	const struct cli_option *o = find(p->cmd, word);
	char before[64];
	size_t len = strcspn(word, "=") + 1;

	if (!o || !o->arg)
		return;
	snprintf(before, sizeof(before), "%.*s", (int)len, word);
	offer_words(p, o->words, word + len, before);
}

void cli_complete(const struct cli_command *top, int argc, char **argv,
		  void (*dynamic)(const char *kind, const char *prefix))
{
	struct completion p = {.cmd = top, .dynamic = dynamic};
	const char *word = argc > 1 ? argv[argc - 1] : "";

	for (int i = 1; i < argc - 1; i++)
		pass(&p, argv[i]);
	if (!strcmp(word, "="))
		word = "";
	if (p.pending) {
		offer_words(&p, p.pending->words, word, "");
	} else if (word[0] == '-' && !p.operands_only) {
		if (strchr(word, '=')) {
			offer_value(&p, word);
			return;
		}
		offer_options(p.cmd, p.cmd->options, word);
		offer_options(p.cmd, p.cmd->more, word);
		if (starts("--help", word))
			puts("--help\tthis command's options");
	} else {
		offer_commands(p.cmd->sub, word);
		if (p.cmd->operands)
			offer_words(&p, p.cmd->words, word, "");
	}
}
