// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_diff.c - `weir-collector rules diff`: what is different between two files or directories of rules.
 */
#include <stdio.h>
#include <string.h>

#include "collector/cmd_rules.h"
#include "collector/rules/diff.h"

static int cmd_diff(int argc, char **argv);

static const struct cli_option options[] = {
	{RULES_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "format on standard output"},
	RULES_SITE_OPTIONS,
	{},
};

const struct cli_command rules_command_diff = {
	.name = "diff",
	.help = "what is different between two sets of rules",
	.operands = "OLD NEW",
	.words = CLI_FILE,
	.doc = "OLD and NEW are files or directories. Prints what has come (+), gone (-) and changed (~), key by "
	       "key, and exits with 1 if there is something. A rule that changed while its version did not is "
	       "pointed out.",
	.options = options,
	.examples = "weir-collector rules diff /usr/share/weir/rules rules/\n",
	.run = cmd_diff,
};

/* ---- for people ---- */

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static void print_keys(const json_t *keys)
{
	const json_t *o;
	size_t i;

	json_array_foreach(keys, i, o)
	{
		const char *key = text_of(o, "key"), *was = text_of(o, "was"),
			   *is = text_of(o, "is");

		printf("    %s: %s\n    %*s  %s\n", key, *was ? was : "(nothing)",
		       (int)strlen(key) + 1, "->", *is ? is : "(nothing)");
	}
}

static void print_one(const json_t *o)
{
	const char *change = text_of(o, "change"), *rule = text_of(o, "rule"),
		   *version = text_of(o, "version"), *before = text_of(o, "before");

	if (!strcmp(change, "gone"))
		printf("- %s %s\n", rule, version);
	else if (!strcmp(change, "new"))
		printf("+ %s %s (%s)\n", rule, version, text_of(o, "mode"));
	else if (strcmp(before, version) != 0)
		printf("~ %s %s -> %s\n", rule, before, version);
	else
		printf("~ %s %s, and the version is the same\n", rule, version);
	print_keys(json_object_get(o, "keys"));
}

/* Return: the exit status. */
static int print(const struct rules_call *k, json_t *list)
{
	const size_t n = json_array_size(list);
	const json_t *o;
	size_t i;

	if (!list)
		return rules_no_memory();
	json_array_foreach(list, i, o)
	{
		if (!strcmp(k->format, "json")) {
			json_dumpf(o, stdout, JSON_COMPACT);
			putchar('\n');
		} else {
			print_one(o);
		}
	}
	json_decref(list);
	return n ? EXIT_FAILED : EXIT_OK;
}

static int read_set(struct rules_call *k, const char *path, struct rule_files *f)
{
	k->paths[0] = path;
	k->n = 1;
	return rules_need_all(k, f);
}

static int cmd_diff(int argc, char **argv)
{
	static struct rules_call k;
	struct rule_files was = {}, is = {};
	const char *path[2];
	int rc = rules_begin(&k, &rules_command_diff, argc, argv);

	if (rc >= 0)
		return rc;
	if (k.n != 2) {
		site_done(&k.site);
		return cli_error(&k.c, "two files or directories are compared, not %u", k.n);
	}
	path[0] = k.paths[0];
	path[1] = k.paths[1];
	rc = read_set(&k, path[0], &was);
	if (!rc)
		rc = read_set(&k, path[1], &is);
	if (!rc)
		rc = print(&k, rules_diff(&was.set, &is.set, true));
	if (is.site)
		rule_files_done(&is);
	return rules_finish(&k, &was, rc);
}
