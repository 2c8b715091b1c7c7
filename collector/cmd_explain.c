// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_explain.c - `weir-collector rules explain`: rules of files, or by name, of those that are at work here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/alerts/ruleset.h"
#include "collector/cmd_rules.h"
#include "collector/rules/explain.h"
#include "common/suggest.h"

static int cmd_explain(int argc, char **argv);

static const struct cli_option options[] = {
	{RULES_OUTPUT, 'o', "output", "FORMAT", "table|json|markdown", "table",
	 "format on standard output"},
	RULES_SITE_OPTIONS,
	{CLIENT_CONFIG, 0, "config", "FILE", CLI_FILE, COLLECTOR_FILE " if it is there",
	 "configuration file that says which rules are at work"},
	{},
};

const struct cli_command rules_command_explain = {
	.name = "explain",
	.help = "what rules do, where they run, how soon, and what that costs",
	.operands = "FILE|NAME...",
	.words = CLI_FILE,
	.doc = "NAME is a rule's name or id: of the files that stand beside it or, where there are none, of "
	       "the rules that the configuration puts to work, installed packs among them. As markdown it is "
	       "the rule's page: what it finds, what else looks like it, how to tune it, its tests.",
	.options = options,
	.examples = "weir-collector rules explain scan.yaml\n"
		    "weir-collector rules explain port-scan -o markdown\n",
	.run = cmd_explain,
};

static void put_one(const struct rules_call *k, const struct rule_set *set, const struct rule *r)
{
	static const char *group = "";

	if (!strcmp(k->format, "markdown") && strcmp(r->group, group) != 0)
		printf("# %s\n\n", r->group);
	group = r->group;
	if (!strcmp(k->format, "json"))
		explain_json(set, r, stdout);
	else if (!strcmp(k->format, "markdown"))
		explain_page(set, r, stdout);
	else
		explain_text(set, r, stdout);
}

static int unknown(const struct rule_set *set, const char *name)
{
	struct suggest near;

	suggest_init(&near, name, strlen(name));
	for (uint32_t i = 0; i < set->n; i++)
		suggest_try(&near, set->v[i].name);
	fprintf(stderr, "weir-collector: %s: no such file or rule", name);
	if (near.best)
		fprintf(stderr, ", did you mean '%s'?\n", near.best);
	else if (!set->n)
		fputs(", and no rules are at work here (rules.directories): name their file too\n",
		      stderr);
	else
		fputc('\n', stderr);
	return EXIT_FAILED;
}

/* Those named; without a name all. */
static int put_all(const struct rules_call *k, const struct rule_set *set)
{
	const bool table = !strcmp(k->format, "table");
	const uint32_t n = k->n_rules ?: set->n;
	int rc = EXIT_OK;

	for (uint32_t i = 0; i < n; i++) {
		const struct rule *r = k->n_rules ? rules_find(set, k->rules[i]) : &set->v[i];

		if (!r) {
			rc = unknown(set, k->rules[i]);
			continue;
		}
		put_one(k, set, r);
		if (table && i + 1 < n)
			putchar('\n');
	}
	return rc;
}

/* Names among the operands are no paths any more. Return: 0, or the exit status. */
static int take_names(struct rules_call *k)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < k->n; i++) {
		const char *word = k->paths[i];

		if (!access(word, F_OK) || strpbrk(word, "/."))
			k->paths[n++] = word;
		else if (k->n_rules == RULES_NAMED_MAX)
			return cli_error(&k->c, "more than %u rules", RULES_NAMED_MAX);
		else
			k->rules[k->n_rules++] = word;
	}
	k->n = n;
	return 0;
}

static int of_files(struct rules_call *k)
{
	struct rule_files f;
	int rc = rules_need_all(k, &f);

	return rules_finish(k, &f, rc ?: put_all(k, &f.set));
}

static int of_those_at_work(struct rules_call *k)
{
	static struct ruleset_errors errs;
	struct settings *settings;
	struct ruleset *set = NULL;
	int rc = client_settings(&k->at, &settings), r;

	site_done(&k->site);
	if (rc)
		return rc;
	r = ruleset_load(settings, &set, &errs);
	if (r) {
		fputs(errs.text, stderr);
		rc = r == -ENOMEM ? rules_no_memory() : EXIT_FAILED;
	} else {
		rc = put_all(k, ruleset_rules(set));
		ruleset_drop(set);
	}
	settings_free(settings);
	return rc;
}

static int cmd_explain(int argc, char **argv)
{
	static struct rules_call k;
	int rc = rules_begin(&k, &rules_command_explain, argc, argv);

	if (rc >= 0)
		return rc;
	rc = take_names(&k);
	if (rc)
		return rc;
	return k.n ? of_files(&k) : of_those_at_work(&k);
}
