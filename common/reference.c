// SPDX-License-Identifier: Apache-2.0
/*
 * reference.c - the hidden commands for what is made from the tables: parts of the man pages (scdoc(5)),
 * the default configuration file, and a check of command lines that are printed as examples.
 */
#include <stdio.h>
#include <string.h>

#include "common/commands.h"

/* ---- scdoc ---- */

/* Text in which _ and * mean nothing. */
void reference_put(const char *s)
{
	for (; *s; s++) {
		if (strchr("_*\\#~<`", *s))
			putchar('\\');
		putchar(*s);
	}
}

void reference_put_sentence(const char *s)
{
	if (*s >= 'a' && *s <= 'z' && s[1] != '_' && s[1] != ' ')
		putchar(*s++ - 'a' + 'A');
	reference_put(s);
	putchar('.');
}

static void put_words(const char *words)
{
	words += *words == '?';
	for (; *words; words++) {
		char one[2] = {*words, 0};

		if (*words == '|')
			fputs("*|*", stdout);
		else
			reference_put(one);
	}
}

static void man_option(const struct cli_option *o)
{
	if (o->letter)
		printf("*-%c*%s", o->letter, o->name ? ", " : "");
	if (o->name)
		printf("*--%s*", o->name);
	if (o->arg && o->words && !strchr("@?", o->words[0])) {
		fputs(" *", stdout);
		put_words(o->words);
		putchar('*');
	} else if (o->arg) {
		fputs(" _", stdout);
		reference_put(o->arg);
		putchar('_');
	}
	fputs("\n\t", stdout);
	reference_put_sentence(o->doc);
	if (o->def) {
		fputs(" Default: ", stdout);
		reference_put(o->def);
		putchar('.');
	}
	fputs("\n\n", stdout);
}

static void man_options(const struct cli_command *cmd, const struct cli_option *o)
{
	for (; o && o->id; o++)
		if ((o->name || o->letter) && o->doc && !cli_shadowed(cmd, o))
			man_option(o);
}

static void man_command(const struct program *p, const struct cli_command *cmd, const char *path)
{
	printf("# SYNOPSIS\n\n*%s%s%s %s*", p->name, *path ? " " : "", path, cmd->name);
	if (cmd->options && (cmd->options->id || cmd->more))
		fputs(" [_OPTION_...]", stdout);
	if (cmd->operands) {
		putchar(' ');
		reference_put(cmd->operands);
	}
	puts("\n\n# DESCRIPTION\n");
	reference_put(cmd->doc ?: cmd->help);
	puts("\n\n# OPTIONS\n");
	man_options(cmd, cmd->options);
	man_options(cmd, cmd->more);
	puts("*-h*, *--help*\n\tPrint a summary.\n");
}

/* One of several commands on a page: what it does, and its options. */
static void man_part(const struct cli_command *cmd, const char *path)
{
	printf("## %s %s\n\n", path, cmd->name);
	reference_put(cmd->doc ?: cmd->help);
	puts("\n");
	man_options(cmd, cmd->options);
	man_options(cmd, cmd->more);
}

static void man_examples(const struct cli_command *cmd)
{
	const char *s = cmd->examples ?: "";

	puts("# EXAMPLES\n\n```");
	fputs(s, stdout);
	puts("```\n");
}

static void man_commands(const struct program *p)
{
	for (const struct cli_command *const *c = p->top->sub; *c; c++) {
		if ((*c)->hidden)
			continue;
		printf("*%s*\n\t", (*c)->name);
		reference_put_sentence((*c)->help);
		puts("\n");
	}
}

static const char *type_name(const struct setting *d)
{
	static const char *const names[] = {
		[SV_BOOL] = "yes or no",
		[SV_U32] = "number",
		[SV_BYTES] = "bytes",
		[SV_DURATION] = "time",
		[SV_ENUM] = "word",
		[SV_STRING] = "text",
		[SV_LIST] = "list, with commas between the items",
		[SV_ITEMS] = "list",
		[SV_PATH] = "path",
		[SV_MODE] = "octal permissions",
		[SV_ADDRESS] = "IP address and port",
	};

	return names[d->type];
}

static void man_setting(const struct program *p, const struct setting *d)
{
	printf("*%s*\n\t", d->key);
	reference_put_sentence(d->doc);
	printf("++\nType: %s", type_name(d));
	if (d->words && d->words[0] != '@') {
		fputs(d->type == SV_ENUM ? ": *" : ", or *", stdout);
		put_words(d->words);
		putchar('*');
	}
	if (d->type == SV_U32)
		printf(", %llu to %llu", (unsigned long long)d->min, (unsigned long long)d->max);
	fputs(". Default: ", stdout);
	reference_put(*d->def ? d->def : "empty");
	if (d->flag)
		printf(". Flag: *--%s*", d->flag);
	fputs(". Environment: ", stdout);
	reference_put(d->env);
	if (d->flags & SF_SECTION)
		printf(". Also in [%s]", p->settings->kinds[0].kind);
	printf(".%s\n\n", d->flags & SF_RELOAD ? " Taken over by a reload." : "");
}

static void man_settings(const struct program *p)
{
	const char *section = "";

	for (unsigned int id = 0; id < p->settings->n; id++) {
		const struct setting *d = &p->settings->table[id];

		if (!d->key)
			continue;
		if (strcmp(section, d->section))
			printf("## [%s]\n\n", d->section);
		section = d->section;
		man_setting(p, d);
	}
}

/* ---- the default configuration file ---- */

static void conf(const struct program *p)
{
	const char *section = "";

	puts(p->conf_head);
	for (unsigned int id = 0; id < p->settings->n; id++) {
		const struct setting *d = &p->settings->table[id];

		if (!d->key)
			continue;
		if (strcmp(section, d->section))
			printf("\n[%s]\n", d->section);
		section = d->section;
		printf("# %s.\n#%s = %s\n", d->doc, d->key, *d->def ? d->def : "\"\"");
	}
	puts(p->conf_tail);
}

/* ---- commands ---- */

static const struct cli_command *find(const struct cli_command *const *list, const char *name)
{
	for (; list && *list; list++)
		if (!strcmp((*list)->name, name))
			return *list;
	return NULL;
}

static int about_command(const struct program *p, int argc, char **argv)
{
	const struct cli_command *cmd = find(p->top->sub, argv[2]);
	const char *path = "";

	if (cmd && cmd->sub && argc > 3) {
		path = cmd->name;
		cmd = find(cmd->sub, argv[3]);
	}
	if (!cmd)
		return EXIT_USAGE;
	if (!strcmp(argv[1], "command"))
		man_command(p, cmd, path);
	else if (!strcmp(argv[1], "options"))
		man_part(cmd, path);
	else if (!strcmp(argv[1], "examples"))
		man_examples(cmd);
	else
		return EXIT_USAGE;
	return EXIT_OK;
}

int reference_print(const struct program *p, int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(const struct program *p);
	} parts[] = {{"settings", man_settings}, {"commands", man_commands}, {"conf", conf}};

	for (size_t i = 0; argc == 2 && i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strcmp(argv[1], parts[i].name)) {
			parts[i].run(p);
			return EXIT_OK;
		}
	for (const struct reference_part *own = p->parts; argc == 2 && own && own->name; own++)
		if (!strcmp(argv[1], own->name)) {
			own->run();
			return EXIT_OK;
		}
	if (argc >= 3)
		return about_command(p, argc, argv);
	return EXIT_USAGE;
}

/* PROGRAM __check PROGRAM COMMAND OPTION...: would the command take these? Nothing is done. */
int reference_check_line(const struct program *p, int argc, char **argv)
{
	static struct settings_args args;
	static struct config_errors errs;
	const struct cli_command *cmd = argc > 2 ? find(p->top->sub, argv[2]) : NULL;
	struct cli c = {.cmd = cmd, .argc = argc - 2, .argv = argv + 2};
	struct settings *s;
	int id;

	if (cmd && cmd->sub && argc > 3) {
		c.path = cmd->name;
		c.cmd = find(cmd->sub, argv[3]);
		c.argc--;
		c.argv++;
	}
	if (!c.cmd)
		return EXIT_USAGE;
	while ((id = cli_next(&c)) != CLI_END) {
		if (id == CLI_STOP)
			return c.status;
		if (id > SETTINGS_OPTION)
			settings_option(&args, id, c.arg);
	}
	if (settings_load(p->settings, &args, &s, &errs)) {
		settings_print_errors(p->settings, &args, &errs, stderr);
		return EXIT_USAGE;
	}
	settings_free(s);
	return EXIT_OK;
}
