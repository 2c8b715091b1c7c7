// SPDX-License-Identifier: Apache-2.0
#include "common/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/program.h"
#include "common/suggest.h"

#define USAGE 2

void cli_put_path(const struct cli *c, FILE *out)
{
	fputs(program_name(), out);
	if (c->path)
		fprintf(out, " %s", c->path);
	if (c->cmd && c->cmd->name)
		fprintf(out, " %s", c->cmd->name);
}

int cli_error(const struct cli *c, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s%s: ", log_mark(LEVEL_ERROR), program_name());
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs(" — see '", stderr);
	cli_put_path(c, stderr);
	fputs(" --help'\n", stderr);
	return USAGE;
}

int cli_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (int i = 0;; i++) {
		size_t n = strcspn(words, "|");

		if (n == len && !strncmp(words, word, n))
			return i;
		if (!words[n])
			return -1;
		words += n + 1;
	}
}

/* ---- errors ---- */

static int stop(struct cli *c, int status)
{
	c->status = status;
	return CLI_STOP;
}

static void try_options(struct suggest *s, const struct cli_option *o)
{
	for (; o && o->id; o++)
		if (o->name)
			suggest_try(s, o->name);
}

static int unknown_option(struct cli *c, const char *name, size_t len)
{
	struct suggest s;

	suggest_init(&s, name, len);
	try_options(&s, c->cmd->options);
	try_options(&s, c->cmd->more);
	if (s.best)
		return stop(c, cli_error(c, "unknown option '--%.*s', did you mean '--%s'?",
					 (int)len, name, s.best));
	return stop(c, cli_error(c, "unknown option '--%.*s'", (int)len, name));
}

/* "auto|xdp|tc" as "auto, xdp or tc" */
static void list_words(const char *words, char *buf, size_t cap)
{
	size_t at = 0;

	while (*words && at < cap) {
		size_t n = strcspn(words, "|");
		const char *rest = words + n + (words[n] == '|');
		const char *sep = !*rest ? "" : strchr(rest, '|') ? ", " : " or ";

		at += (size_t)snprintf(buf + at, cap - at, "%.*s%s", (int)n, words, sep);
		words = rest;
	}
}

static int bad_word(struct cli *c, const struct cli_option *o)
{
	char want[160] = "", name[48], one[SUGGEST_WORD_MAX + 1], best[SUGGEST_WORD_MAX + 1] = "";
	unsigned int nearest = ~0u;

	if (o->name)
		snprintf(name, sizeof(name), "--%s", o->name);
	else
		snprintf(name, sizeof(name), "-%c", o->letter);
	list_words(o->words, want, sizeof(want));
	for (const char *w = o->words; *w; w += w[0] == '|') {
		struct suggest s;
		size_t n = strcspn(w, "|");

		snprintf(one, sizeof(one), "%.*s", (int)n, w);
		suggest_init(&s, c->arg, strlen(c->arg));
		suggest_try(&s, one);
		if (s.best && s.distance < nearest) {
			nearest = s.distance;
			snprintf(best, sizeof(best), "%s", one);
		}
		w += n;
	}
	if (*best)
		return stop(c, cli_error(c, "%s '%s': want %s; did you mean '%s'?", name, c->arg,
					 want, best));
	return stop(c, cli_error(c, "%s '%s': want %s", name, c->arg, want));
}

/* ---- options ---- */

static const struct cli_option *by_name(const struct cli_option *o, const char *name, size_t len)
{
	for (; o && o->id; o++)
		if (o->name && strlen(o->name) == len && !strncmp(o->name, name, len))
			return o;
	return NULL;
}

static const struct cli_option *by_letter(const struct cli_option *o, char letter)
{
	for (; o && o->id; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

bool cli_shadowed(const struct cli_command *cmd, const struct cli_option *o)
{
	const struct cli_option *first = NULL;

	if (o->name)
		first = by_name(cmd->options, o->name, strlen(o->name));
	return first && first != o;
}

static int take(struct cli *c, const struct cli_option *o)
{
	if (c->arg && o->words && !strchr("@?", o->words[0]) && cli_word(o->words, c->arg) < 0)
		return bad_word(c, o);
	return o->id;
}

static int long_option(struct cli *c, const char *text)
{
	size_t len = strcspn(text, "=");
	const struct cli_option *o = by_name(c->cmd->options, text, len);

	if (!o)
		o = by_name(c->cmd->more, text, len);
	if (!o && len == 4 && !strncmp(text, "help", 4)) {
		cli_help(c);
		return stop(c, 0);
	}
	if (!o)
		return unknown_option(c, text, len);
	c->arg = text[len] ? text + len + 1 : NULL;
	if (!o->arg && c->arg)
		return stop(c, cli_error(c, "--%s takes no value", o->name));
	if (o->arg && !c->arg) {
		if (c->next >= c->argc)
			return stop(c, cli_error(c, "--%s wants %s", o->name, o->arg));
		c->arg = c->argv[c->next++];
	}
	return take(c, o);
}

static int letter_option(struct cli *c)
{
	char letter = *c->letters++;
	const struct cli_option *o = by_letter(c->cmd->options, letter);

	if (!o)
		o = by_letter(c->cmd->more, letter);
	if (!o && letter == 'h') {
		cli_help(c);
		return stop(c, 0);
	}
	if (!o)
		return stop(c, cli_error(c, "unknown option '-%c'", letter));
	c->arg = NULL;
	if (o->arg) {
		if (*c->letters)
			c->arg = c->letters;
		else if (c->next < c->argc)
			c->arg = c->argv[c->next++];
		else
			return stop(c, cli_error(c, "-%c wants %s", letter, o->arg));
		c->letters = NULL;
	} else if (!*c->letters) {
		c->letters = NULL;
	}
	return take(c, o);
}

static int operand(struct cli *c, const char *text)
{
	c->arg = text;
	if (!c->cmd->operands)
		return stop(c, cli_error(c, "'%s' is not an option", text));
	return CLI_OPERAND;
}

int cli_next(struct cli *c)
{
	const char *text;

	if (c->letters)
		return letter_option(c);
	if (!c->next)
		c->next = 1;
	if (c->next >= c->argc)
		return CLI_END;
	text = c->argv[c->next++];
	if (c->operands_only || text[0] != '-' || !text[1])
		return operand(c, text);
	if (!strcmp(text, "--")) {
		c->operands_only = true;
		return cli_next(c);
	}
	if (text[1] == '-')
		return long_option(c, text + 2);
	c->letters = text + 1;
	return letter_option(c);
}

/* ---- the program ---- */

static int unknown_command(const struct cli *c, const char *name)
{
	struct suggest s;

	suggest_init(&s, name, strlen(name));
	for (const struct cli_command *const *p = c->cmd->sub; *p; p++)
		if (!(*p)->hidden)
			suggest_try(&s, (*p)->name);
	if (s.best)
		return cli_error(c, "unknown command '%s', did you mean '%s'?", name, s.best);
	return cli_error(c, "unknown command '%s'", name);
}

int cli_run(const struct cli_command *top, int argc, char **argv)
{
	struct cli c = {.cmd = top, .argc = argc, .argv = argv};

	if (argc < 2) {
		fprintf(stderr, "usage: ");
		cli_put_path(&c, stderr);
		fprintf(stderr, " COMMAND [OPTION...] — ");
		cli_put_path(&c, stderr);
		fputs(" --help lists the commands\n", stderr);
		return USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		cli_help(&c);
		return 0;
	}
	for (const struct cli_command *const *p = top->sub; *p; p++)
		if (!strcmp(argv[1], (*p)->name))
			return (*p)->run(argc - 1, argv + 1);
	if (argv[1][0] == '-')
		return cli_error(&c, "unknown option '%s'", argv[1]);
	return unknown_command(&c, argv[1]);
}
