// SPDX-License-Identifier: Apache-2.0
/*
 * reference.c - hidden commands for what is made from the tables: parts of the man pages (scdoc(5)),
 * the default configuration file, and a check of command lines that are printed as examples.
 */
#include <stdio.h>
#include <string.h>

#include "loader/command.h"
#include "loader/export/sink.h"
#include "loader/settings.h"

static int cmd_reference(int argc, char **argv);
static int cmd_check(int argc, char **argv);

const struct cli_command command_reference = {
	.name = "__reference",
	.run = cmd_reference,
	.hidden = true,
};

const struct cli_command command_check_line = {
	.name = "__check",
	.run = cmd_check,
	.hidden = true,
};

/* ---- scdoc ---- */

/* Text in which _ and * mean nothing. */
static void put(const char *s)
{
	for (; *s; s++) {
		if (strchr("_*\\#~<`", *s))
			putchar('\\');
		putchar(*s);
	}
}

static void put_sentence(const char *s)
{
	if (*s >= 'a' && *s <= 'z' && s[1] != '_' && s[1] != ' ')
		putchar(*s++ - 'a' + 'A');
	put(s);
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
			put(one);
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
		put(o->arg);
		putchar('_');
	}
	fputs("\n\t", stdout);
	put_sentence(o->doc);
	if (o->def) {
		fputs(" Default: ", stdout);
		put(o->def);
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

static void man_command(const struct cli_command *cmd, const char *path)
{
	printf("# SYNOPSIS\n\n*weir%s%s %s*", *path ? " " : "", path, cmd->name);
	if (cmd->options && (cmd->options->id || cmd->more))
		fputs(" [_OPTION_...]", stdout);
	if (cmd->operands) {
		putchar(' ');
		put(cmd->operands);
	}
	puts("\n\n# DESCRIPTION\n");
	put(cmd->doc ?: cmd->help);
	puts("\n\n# OPTIONS\n");
	man_options(cmd, cmd->options);
	man_options(cmd, cmd->more);
	puts("*-h*, *--help*\n\tPrint a summary.\n");
}

static void man_examples(const struct cli_command *cmd)
{
	const char *s = cmd->examples ?: "";

	puts("# EXAMPLES\n\n```");
	fputs(s, stdout);
	puts("```\n");
}

static void man_commands(void)
{
	for (const struct cli_command *const *c = command_weir.sub; *c; c++) {
		if ((*c)->hidden)
			continue;
		printf("*%s*\n\t", (*c)->name);
		put_sentence((*c)->help);
		puts("\n");
	}
}

static const char *type_name(const struct setting *d)
{
	static const char *const names[] = {
		[ST_BOOL] = "yes or no",
		[ST_U32] = "number",
		[ST_BYTES] = "bytes",
		[ST_DURATION] = "time",
		[ST_ENUM] = "word",
		[ST_STRING] = "text",
		[ST_LIST] = "list, with commas between the items",
		[ST_ITEMS] = "list",
		[ST_PATH] = "path",
		[ST_MODE] = "octal permissions",
		[ST_ADDRESS] = "IP address and port",
	};

	return names[d->type];
}

static void man_setting(const struct setting *d)
{
	printf("*%s*\n\t", d->key);
	put_sentence(d->doc);
	printf("++\nType: %s", type_name(d));
	if (d->words && d->words[0] != '@') {
		fputs(d->type == ST_ENUM ? ": *" : ", or *", stdout);
		put_words(d->words);
		putchar('*');
	}
	if (d->type == ST_U32)
		printf(", %llu to %llu", (unsigned long long)d->min, (unsigned long long)d->max);
	fputs(". Default: ", stdout);
	put(*d->def ? d->def : "empty");
	if (d->flag)
		printf(". Flag: *--%s*", d->flag);
	fputs(". Environment: ", stdout);
	put(d->env);
	printf(".%s%s\n\n", d->flags & SF_IFACE ? " Also in [interface]." : "",
	       d->flags & SF_RELOAD ? " Taken over by a reload." : "");
}

static void man_settings(void)
{
	const char *section = "";

	for (int id = 0; id < _SET_MAX; id++) {
		const struct setting *d = &settings_table[id];

		if (!d->key)
			continue;
		if (strcmp(section, d->section))
			printf("## [%s]\n\n", d->section);
		section = d->section;
		man_setting(d);
	}
}

static void man_exports(void)
{
	for (size_t i = 0; i < export_keys_n; i++) {
		const struct export_key *k = &export_keys[i];

		fputc('*', stdout);
		for (const char *s = k->name; *s; s++)
			putchar(*s == '_' ? '-' : *s);
		fputs("*\n\t", stdout);
		put_sentence(k->doc);
		if (*k->fallback) {
			fputs(" Default: ", stdout);
			put(k->fallback);
			putchar('.');
		}
		puts("\n");
	}
}

/* ---- the default configuration file ---- */

static void conf(void)
{
	const char *section = "";

	puts("# weir.conf - what weir run does; weir.conf(5) says more, 'weir config check' checks it.\n"
	     "# Lines here are the defaults. systemctl reload weir takes changes over.");
	for (int id = 0; id < _SET_MAX; id++) {
		const struct setting *d = &settings_table[id];

		if (!d->key)
			continue;
		if (strcmp(section, d->section))
			printf("\n[%s]\n", d->section);
		section = d->section;
		printf("# %s.\n#%s = %s\n", d->doc, d->key, *d->def ? d->def : "\"\"");
	}
	puts("\n[labels]\n# Labels of this node, in every record.\n#site = north\n"
	     "\n# What is said for some interfaces; without run.interfaces these are watched.\n"
	     "#[interface eth*]\n#role = uplink\n"
	     "\n# Where flow records go; several at once.\n"
	     "#[export collector]\n#type = ipfix-tcp\n#host = 192.0.2.10\n"
	     "#[export file]\n#type = file\n#path = /var/log/weir/flows.ndjson\n"
	     "#rotate-bytes = 100M\n#gzip = yes");
}

/* ---- commands ---- */

static const struct cli_command *find(const struct cli_command *const *list, const char *name)
{
	for (; list && *list; list++)
		if (!strcmp((*list)->name, name))
			return *list;
	return NULL;
}

static int about_command(int argc, char **argv)
{
	const struct cli_command *cmd = find(command_weir.sub, argv[2]);
	const char *path = "";

	if (cmd && cmd->sub && argc > 3) {
		path = cmd->name;
		cmd = find(cmd->sub, argv[3]);
	}
	if (!cmd)
		return EXIT_USAGE;
	if (!strcmp(argv[1], "command"))
		man_command(cmd, path);
	else if (!strcmp(argv[1], "examples"))
		man_examples(cmd);
	else
		return EXIT_USAGE;
	return EXIT_OK;
}

static int cmd_reference(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} parts[] = {{"settings", man_settings},
		     {"exports", man_exports},
		     {"commands", man_commands},
		     {"conf", conf}};

	for (size_t i = 0; argc == 2 && i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strcmp(argv[1], parts[i].name)) {
			parts[i].run();
			return EXIT_OK;
		}
	if (argc >= 3)
		return about_command(argc, argv);
	return EXIT_USAGE;
}

/* weir __check weir COMMAND OPTION...: would the command take these? Nothing is done. */
static int cmd_check(int argc, char **argv)
{
	static struct settings_args args;
	static struct config_errors errs;
	const struct cli_command *cmd = argc > 2 ? find(command_weir.sub, argv[2]) : NULL;
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
	if (settings_load(&args, &s, &errs)) {
		settings_print_errors(&args, &errs, stderr);
		return EXIT_USAGE;
	}
	settings_free(s);
	return EXIT_OK;
}
