// SPDX-License-Identifier: Apache-2.0
/*
 * completion.c - `completion SHELL` prints a script that asks the program's `__complete` for the
 * words, so that the tables of the commands are the only list of them. In the scripts @P@ is the
 * program's name and @F@ that of the shell's function.
 */
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "common/commands.h"
#include "common/filter_int.h"
#include "common/flow_text.h"

/* "@file" and "@dir" are the shell's own job. */
static const char bash_script[] =
	"# bash completion for @P@; made by '@P@ completion bash'\n"
	"_@F@()\n"
	"{\n"
	"\tlocal line word=${COMP_WORDS[COMP_CWORD]}\n"
	"\n"
	"\tCOMPREPLY=()\n"
	"\t[ \"$word\" = = ] && word=\n"
	"\twhile IFS= read -r line; do\n"
	"\t\tcase $line in\n"
	"\t\t@file)\n"
	"\t\t\tcompopt -o filenames\n"
	"\t\t\tmapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -f -- \"$word\")\n"
	"\t\t\t;;\n"
	"\t\t@dir)\n"
	"\t\t\tcompopt -o filenames\n"
	"\t\t\tmapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -d -- \"$word\")\n"
	"\t\t\t;;\n"
	"\t\t*)\n"
	"\t\t\tline=${line%%$'\\t'*}\n"
	"\t\t\t[[ $line == *= ]] && compopt -o nospace\n"
	"\t\t\tCOMPREPLY+=(\"$line\")\n"
	"\t\t\t;;\n"
	"\t\tesac\n"
	"\tdone < <(\"${COMP_WORDS[0]}\" __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
	"}\n"
	"complete -F _@F@ @P@\n";

static const char zsh_script[] =
	"#compdef @P@\n"
	"# zsh completion for @P@; made by '@P@ completion zsh'\n"
	"_@F@()\n"
	"{\n"
	"\tlocal line name doc\n"
	"\tlocal -a plain pending\n"
	"\n"
	"\twhile IFS= read -r line; do\n"
	"\t\tcase $line in\n"
	"\t\t@file) _files ;;\n"
	"\t\t@dir) _files -/ ;;\n"
	"\t\t*)\n"
	"\t\t\tname=${line%%$'\\t'*}\n"
	"\t\t\tdoc=${line#*$'\\t'}\n"
	"\t\t\tif [[ $name == *= ]]; then\n"
	"\t\t\t\tpending+=(\"${name//:/\\\\:}:$doc\")\n"
	"\t\t\telse\n"
	"\t\t\t\tplain+=(\"${name//:/\\\\:}:$doc\")\n"
	"\t\t\tfi\n"
	"\t\t\t;;\n"
	"\t\tesac\n"
	"\tdone < <(\"${words[1]}\" __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
	"\t(( ${#plain} )) && _describe @P@ plain\n"
	"\t(( ${#pending} )) && _describe @P@ pending -S ''\n"
	"}\n"
	"if [ \"$funcstack[1]\" = _@F@ ]; then\n"
	"\t_@F@ \"$@\"\n"
	"else\n"
	"\tcompdef _@F@ @P@\n"
	"fi\n";

static const char fish_script[] =
	"# fish completion for @P@; made by '@P@ completion fish'\n"
	"function __@F@_complete\n"
	"\tset -l typed (commandline -opc)\n"
	"\tset -l word (commandline -ct)\n"
	"\tfor line in ($typed[1] __complete $typed[2..-1] \"$word\" 2>/dev/null)\n"
	"\t\tswitch $line\n"
	"\t\t\tcase @file\n"
	"\t\t\t\t__fish_complete_path \"$word\"\n"
	"\t\t\tcase @dir\n"
	"\t\t\t\t__fish_complete_directories \"$word\"\n"
	"\t\t\tcase '*'\n"
	"\t\t\t\techo -- $line\n"
	"\t\tend\n"
	"\tend\n"
	"end\n"
	"complete -c @P@ -f -a '(__@F@_complete)'\n";

/* The script with the names in it; a shell's function has no hyphens. */
static void put_script(const char *s, const char *name)
{
	for (; *s; s++) {
		const bool function = !strncmp(s, "@F@", 3);

		if (!function && strncmp(s, "@P@", 3) != 0) {
			putchar(*s);
			continue;
		}
		for (const char *c = name; *c; c++)
			putchar(function && *c == '-' ? '_' : *c);
		s += 2;
	}
}

int completion_print(const struct program *p, struct cli *c)
{
	static const char *const scripts[] = {bash_script, zsh_script, fish_script};
	int id = cli_next(c), shell;

	if (id == CLI_STOP)
		return c->status;
	if (id != CLI_OPERAND)
		return cli_error(c, "which shell? give bash, zsh or fish");
	shell = cli_word(COMPLETION_SHELLS, c->arg);
	if (shell < 0)
		return cli_error(c, "no script for '%s', but for bash, zsh and fish", c->arg);
	id = cli_next(c);
	if (id != CLI_END)
		return id == CLI_STOP ? c->status : cli_error(c, "one shell at a time");
	put_script(scripts[shell], p->name);
	return 0;
}

static void offer_interfaces(const char *prefix)
{
	struct if_nameindex *list = if_nameindex();

	for (struct if_nameindex *i = list; i && i->if_index; i++)
		if (!strncmp(i->if_name, prefix, strlen(prefix)))
			puts(i->if_name);
	if (list)
		if_freenameindex(list);
}

/* A filter is one word of the shell: what is before the word at the cursor comes back with it. */
struct filter_words {
	char text[256][48];
	const char *doc[256];
	unsigned int n;
};

static void add_word(void *arg, const char *word, const char *doc)
{
	struct filter_words *w = arg;

	if (w->n < sizeof(w->text) / sizeof(w->text[0])) {
		snprintf(w->text[w->n], sizeof(w->text[0]), "%s", word);
		w->doc[w->n++] = doc;
	}
}

static struct filter_env words_env;

static void offer_filter(const char *prefix)
{
	static struct filter_words w;
	size_t at = filter_complete(prefix, strlen(prefix), &words_env, add_word, &w);

	for (unsigned int i = 0; i < w.n; i++)
		printf("%.*s%s%s%s\n", (int)at, prefix, w.text[i], *w.doc[i] ? "\t" : "", w.doc[i]);
}

/* A list with commas: what is before the last one comes back with it. */
static void offer_field(const char *prefix)
{
	const char *comma = strrchr(prefix, ',');
	const size_t at = comma ? (size_t)(comma + 1 - prefix) : 0;

	for (int f = 0; f < _FF_MAX; f++)
		if (filter_field_known(&words_env, f) && !flow_type_list(flow_fields[f].type) &&
		    !strncmp(flow_fields[f].path, prefix + at, strlen(prefix + at)))
			printf("%.*s%s\t%s\n", (int)at, prefix, flow_fields[f].path,
			       flow_fields[f].doc);
}

static void dynamic(const char *kind, const char *prefix)
{
	if (!strcmp(kind, CLI_IFACE))
		offer_interfaces(prefix);
	else if (!strcmp(kind, CLI_FILTER))
		offer_filter(prefix);
	else if (!strcmp(kind, CLI_FIELD))
		offer_field(prefix);
}

int completion_words(const struct program *p, int argc, char **argv)
{
	words_env.added = p->added;
	cli_complete(p->top, argc, argv, dynamic);
	return 0;
}
