// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_rules.c - `weir-collector rules`: check, test, compile; what of it needs neither a
 * collector that runs nor a store.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/cmd_rules.h"
#include "collector/rules/alert_json.h"
#include "collector/rules/compile.h"
#include "collector/rules/explain.h"
#include "collector/rules/test_run.h"
#include "common/record_json.h"

static const struct cli_option check_options[] = {
	{RULES_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "format on standard output"},
	{RULES_QUIET, 'q', "quiet", NULL, NULL, NULL, "errors alone, no notes"},
	RULES_SITE_OPTIONS,
	{},
};

static const struct cli_option test_options[] = {
	{RULES_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "format on standard output"},
	{RULES_FLOWS, 'f', "flows", "FILE", CLI_FILE, NULL,
	 "instead: what the rules say to these records (JSON lines, '-': standard input)"},
	RULES_SITE_OPTIONS,
	{},
};

static const struct cli_option compile_options[] = {
	{RULES_WRITE, 'w', "write", "FILE", CLI_FILE, NULL,
	 "the records of the rules of class K and A, as weir policy apply takes them"},
	RULES_SITE_OPTIONS,
	{},
};

static int cmd_rules(int argc, char **argv);
static int cmd_check(int argc, char **argv);
static int cmd_test(int argc, char **argv);
static int cmd_compile(int argc, char **argv);

static const struct cli_command command_check = {
	.name = "check",
	.help = "check files of rules",
	.operands = "FILE...",
	.words = CLI_FILE,
	.doc = "FILE may be a directory: all *.yaml in it and below. Prints every error as "
	       "FILE:LINE:COLUMN: TEXT, then what an author should know about rules that are right, and "
	       "exits with 1 if there is an error.",
	.options = check_options,
	.examples = "weir-collector rules check rules/\n"
		    "weir-collector rules check scan.yaml -o json\n",
	.run = cmd_check,
};

static const struct cli_command command_test = {
	.name = "test",
	.help = "run the tests of rules",
	.operands = "FILE...",
	.words = CLI_FILE,
	.doc = "Runs the tests in FILE, in virtual time. With --flows, FILE are rules, and the alerts that "
	       "they raise for these records are printed as JSON lines.",
	.options = test_options,
	.examples =
		"weir-collector rules test scan.yaml\n"
		"weir replay scan.pcap -o json | weir-collector rules test --flows - scan.yaml\n",
	.run = cmd_test,
};

static const struct cli_command command_compile = {
	.name = "compile",
	.help = "rules that nodes can decide as a policy",
	.operands = "FILE...",
	.words = CLI_FILE,
	.doc = "Prints the policy in the form of weir-policy(5). Rules of class K with an action and a mode "
	       "beyond detect become records, those of class A what agents decide by: shadow and canary "
	       "count, prevent acts.",
	.options = compile_options,
	.examples = "weir-collector rules compile tunnel.yaml\n",
	.run = cmd_compile,
};

static const struct cli_command *const commands[] = {&command_check,	    &rules_command_explain,
						     &command_test,	    &rules_command_backtest,
						     &command_compile,	    &rules_command_diff,
						     &rules_command_mode,   &rules_command_promote,
						     &rules_command_demote, NULL};

const struct cli_command collector_command_rules = {
	.name = "rules",
	.help = "rules: check, explain, test, compare, try on what is stored",
	.sub = commands,
	.run = cmd_rules,
};

static int cmd_rules(int argc, char **argv)
{
	return cli_run(&collector_command_rules, argc, argv);
}

/* ---- what all have in common ---- */

static int take(struct rules_call *k, int id)
{
	char *text = (char *)(uintptr_t)k->c.arg; /* of argv */
	const char *why = "";
	int r = 0;

	if (id == RULES_LIST)
		r = site_list(&k->site, text, &why);
	else if (id == RULES_PARAM)
		r = site_param(&k->site, text, &why);
	else if (id == RULES_OUTPUT)
		k->format = text;
	else if (id == RULES_FLOWS)
		k->flows = text;
	else if (id == RULES_WRITE)
		k->write = text;
	else if (id == RULES_QUIET)
		k->quiet = true;
	else if (id > 0)
		return rules_take_time(k, id);
	else if (k->n == RULES_PATHS_MAX)
		return cli_error(&k->c, "more than %u files", RULES_PATHS_MAX);
	else
		k->paths[k->n++] = text;
	return r ? cli_error(&k->c, "%s: %s", text, why) : 0;
}

int rules_begin(struct rules_call *k, const struct cli_command *cmd, int argc, char **argv)
{
	struct timespec now;
	int id, rc;

	*k = (struct rules_call){.c = {.cmd = cmd, .argc = argc, .argv = argv, .path = "rules"},
				 .format = "table"};
	site_init(&k->site);
	clock_gettime(CLOCK_REALTIME, &now);
	spec_init(&k->spec, SPEC_FLOWS, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	k->spec.top = 20;
	while ((id = cli_next(&k->c)) != CLI_END) {
		if (id == CLI_STOP)
			return k->c.status;
		rc = take(k, id);
		if (rc)
			return rc;
	}
	return k->n || *cmd->operands == '[' ? -1 : cli_error(&k->c, "which files?");
}

static void print_error(void *arg, const char *text)
{
	fprintf(arg, "%s\n", text);
}

uint32_t rules_print_errors(const struct rule_files *f)
{
	uint32_t n = 0;

	rule_files_each_error(f, print_error, stderr);
	for (uint32_t i = 0; i < f->n_errors; i++)
		n += f->errors[i].errs.count;
	return n;
}

int rules_no_memory(void)
{
	fputs("weir-collector: out of memory\n", stderr);
	return EXIT_FAILED;
}

/* All files into a set. Return: 0; -EINVAL: there are errors, not printed; -ENOMEM. */
static int read_all(struct rules_call *k, struct rule_files *f)
{
	int r = 0;

	rule_files_init(f, &k->site);
	for (uint32_t i = 0; i < k->n && !r; i++)
		r = rule_files_read(f, k->paths[i]);
	return r ?: rule_files_link(f);
}

/* The same for commands that need them all right. Return: 0, or the exit status. */
int rules_need_all(struct rules_call *k, struct rule_files *f)
{
	const int r = read_all(k, f);

	if (r == -ENOMEM)
		return rules_no_memory();
	return r ? rules_print_errors(f), EXIT_FAILED : 0;
}

int rules_finish(struct rules_call *k, struct rule_files *f, int rc)
{
	rule_files_done(f);
	site_done(&k->site);
	return rc;
}

/* ---- check ---- */

static void check_table(const struct rules_call *k, const struct rule_files *f, uint32_t errors)
{
	for (uint32_t i = 0; !k->quiet && i < f->set.n_notes; i++) {
		const struct rule_note *n = &f->set.notes[i];

		fprintf(stderr, "%s:%u:%u: note: %s\n", n->file, n->line, n->column, n->text);
	}
	printf("%u rule%s ok, %u error%s", f->set.n, f->set.n == 1 ? "" : "s", errors,
	       errors == 1 ? "" : "s");
	if (f->set.n_notes)
		printf(", %u note%s", f->set.n_notes, f->set.n_notes == 1 ? "" : "s");
	putchar('\n');
}

static int cmd_check(int argc, char **argv)
{
	static struct rules_call k;
	struct rule_files f;
	uint32_t errors = 0;
	int rc = rules_begin(&k, &command_check, argc, argv);

	if (rc >= 0)
		return rc;
	if (read_all(&k, &f) == -ENOMEM)
		return rules_finish(&k, &f, rules_no_memory());
	for (uint32_t i = 0; i < f.n_errors; i++)
		errors += f.errors[i].errs.count;
	if (!strcmp(k.format, "json")) {
		explain_check_json(&f, stdout);
	} else {
		rules_print_errors(&f);
		check_table(&k, &f, errors);
	}
	return rules_finish(&k, &f, errors ? EXIT_FAILED : EXIT_OK);
}

/* ---- test ---- */

struct tally {
	const char *file;
	bool json;
	uint32_t passed, failed;
};

static void tell_json(const struct tally *t, const struct test_result *r)
{
	json_t *o = test_result_json(r, t->file);

	json_dumpf(o, stdout, JSON_COMPACT);
	json_decref(o);
	putchar('\n');
}

static void tell(void *arg, const struct test_result *r)
{
	struct tally *t = arg;

	t->passed += r->ok;
	t->failed += !r->ok;
	if (t->json)
		tell_json(t, r);
	else if (r->ok)
		printf("ok    %s\n", r->name);
	else
		printf("FAIL  %s (%s:%u)\n      %s\n", r->name, t->file, r->line, r->why);
}

static int test_file(struct rules_call *k, const char *path, struct tally *t)
{
	struct rule_files f;
	int r;

	t->file = path;
	rule_files_init(&f, &k->site);
	r = tests_run(&f, path, tell, t);
	if (r == -ENOMEM)
		rules_no_memory();
	else if (r == -ENOENT)
		fprintf(stderr, "%s: no tests in it\n", path);
	else if (r)
		rules_print_errors(&f);
	rule_files_done(&f);
	return r;
}

static int run_tests(struct rules_call *k)
{
	struct tally t = {.json = !strcmp(k->format, "json")};
	struct timespec from, to;
	bool ok = true;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (uint32_t i = 0; i < k->n; i++)
		ok &= !test_file(k, k->paths[i], &t);
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (!t.json)
		printf("%u passed, %u failed (%lld ms)\n", t.passed, t.failed,
		       (long long)(to.tv_sec - from.tv_sec) * 1000 +
			       (to.tv_nsec - from.tv_nsec) / 1000000);
	site_done(&k->site);
	return ok && !t.failed ? EXIT_OK : EXIT_FAILED;
}

static void print_alert(void *arg, const struct alert *a)
{
	static char buf[ALERT_JSON];
	const size_t len = alert_json(a, buf);

	(void)arg;
	printf("%.*s\n", (int)len, buf);
}

static int feed(void *arg, const struct flow_record *r)
{
	return engine_flow(arg, r);
}

static int run_flows(struct rules_call *k)
{
	struct rule_files f;
	struct engine_cfg cfg = {.rules = &f.set, .alert = print_alert, .seed = 1};
	struct engine *e = NULL;
	char why[RECORD_JSON_ERROR] = "";
	int rc = rules_need_all(k, &f), r;

	if (rc)
		return rules_finish(k, &f, rc);
	r = engine_new(&cfg, &e);
	if (!r)
		r = flows_feed(k->flows, feed, e, why);
	if (!r)
		engine_flush(e);
	engine_free(e);
	if (r == -ENOMEM)
		return rules_finish(k, &f, rules_no_memory());
	if (r)
		fprintf(stderr, "weir-collector: %s: %s\n", k->flows, *why ? why : strerror(-r));
	return rules_finish(k, &f, r ? EXIT_FAILED : EXIT_OK);
}

static int cmd_test(int argc, char **argv)
{
	static struct rules_call k;
	const int rc = rules_begin(&k, &command_test, argc, argv);

	if (rc >= 0)
		return rc;
	return k.flows ? run_flows(&k) : run_tests(&k);
}

/* ---- compile ---- */

static int cmd_compile(int argc, char **argv)
{
	static struct rules_call k;
	struct rule_files f;
	char why[240] = "";
	int rc = rules_begin(&k, &command_compile, argc, argv), r;

	if (rc >= 0)
		return rc;
	rc = rules_need_all(&k, &f);
	if (rc)
		return rules_finish(&k, &f, rc);
	r = rules_compile(&f.set, &f.binding, k.write, stdout, why);
	if (r)
		fprintf(stderr, "weir-collector: %s\n", *why ? why : strerror(-r));
	return rules_finish(&k, &f, r ? EXIT_FAILED : EXIT_OK);
}
