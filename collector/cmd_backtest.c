// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_backtest.c - `weir-collector rules backtest`: what rules would have said and done about the flows
 * that are stored. Asks the running collector; where none runs, reads the store itself.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/alerts/backtest_ask.h"
#include "collector/cmd_rules.h"
#include "collector/endpoint/endpoint.h"
#include "collector/local_store.h"
#include "collector/talk.h"

static int cmd_backtest(int argc, char **argv);

static const struct cli_option options[] = {
	{RULES_LAST, 'l', "last", "TIME", NULL, BACKTEST_LAST,
	 "flows that ended within so long, such as 10m or 7d"},
	{RULES_FROM, 0, "from", "TIME", NULL, NULL, "flows that ended then or later, RFC 3339"},
	{RULES_TO, 0, "to", "TIME", NULL, "now", "flows that ended before"},
	{RULES_RULE, 'r', "rule", "NAME", NULL, NULL,
	 "this rule alone, by name or id; may be given more than once"},
	{RULES_TOP, 't', "top", "N", NULL, "20", "addresses to name of each rule; all with json"},
	{RULES_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "format on standard output"},
	RULES_SITE_OPTIONS,
	{},
};

const struct cli_command rules_command_backtest = {
	.name = "backtest",
	.help = "what rules would have done about stored flows",
	.operands = "[FILE...]",
	.words = CLI_FILE,
	.doc = "Goes through the flows of the store in the order in which they came, with every rule as if it "
	       "had been there: alerts, and the addresses that its actions would have been about, those in "
	       "@local marked. Modes do not matter, and neither does what a decision asks for besides "
	       "(evidence, caps): it is the most that could have happened. The running collector does it, with "
	       "this site's lists and parameters, and without FILE for the rules at work; Ctrl-C stops it "
	       "there. Where no collector runs, the store is opened.",
	.options = options,
	.more = client_where_options,
	.examples = "weir-collector rules backtest scan.yaml --last 24h\n"
		    "weir-collector rules backtest --rule port-scan\n"
		    "weir-collector rules backtest rules/ --list local=192.0.2.0/24 -o json\n",
	.run = cmd_backtest,
};

int rules_take_time(struct rules_call *k, int id)
{
	static const char *const keys[] = {
		[RULES_FROM] = "from", [RULES_TO] = "to", [RULES_TOP] = "top"};
	char why[SPEC_ERROR];

	if (client_where_option(&k->at, id, k->c.arg))
		return 0;
	if (id == RULES_LAST) {
		k->last = k->c.arg;
		return 0;
	}
	if (id == RULES_RULE) {
		if (k->n_rules == RULES_NAMED_MAX)
			return cli_error(&k->c, "more than %u rules", RULES_NAMED_MAX);
		k->rules[k->n_rules++] = k->c.arg;
		return 0;
	}
	k->from_given |= id == RULES_FROM;
	return spec_set(&k->spec, keys[id], k->c.arg, why)
		       ? cli_error(&k->c, "--%s: %s", keys[id], why)
		       : 0;
}

static int finish_time(struct rules_call *k)
{
	char why[SPEC_ERROR];

	if (k->last && k->from_given)
		return cli_error(&k->c, "--last and --from are two ways to say the same");
	if (!k->from_given && spec_set(&k->spec, "last", k->last ?: BACKTEST_LAST, why))
		return cli_error(&k->c, "--last: %s", why);
	if (k->spec.from_us >= k->spec.to_us)
		return cli_error(&k->c, "the time from which is not before the time to which");
	return 0;
}

/* ---- output ---- */

struct printing {
	bool json, tty, progress;
	json_t *rule; /* json: waits for its targets */
	uint64_t shown, hits;
	bool no_memory;
};

static void forget_progress(struct printing *p)
{
	if (p->progress)
		fputs("\r\033[K", stderr);
	p->progress = false;
}

static int show_progress(void *arg, double percent)
{
	struct printing *p = arg;

	if (!p->tty)
		return 0;
	p->progress = true;
	if (percent >= 0)
		fprintf(stderr, "\rweir-collector: %3.0f %% ", percent);
	else
		fputs("\rweir-collector: working ", stderr);
	return 0;
}

/* Before anything else is said: what came of the rule before. */
static void finish_rule(struct printing *p)
{
	if (p->json && p->rule)
		talk_json(p->rule);
	else if (p->hits > p->shown)
		printf("    and %llu more\n", (unsigned long long)(p->hits - p->shown));
	json_decref(p->rule);
	p->rule = NULL;
	p->shown = p->hits = 0;
}

static void print_rule(const json_t *o)
{
	const int64_t alerts = talk_number(o, "alerts"), late = talk_number(o, "late"),
		      evicted = talk_number(o, "evicted");

	printf("%s %s: %lld alert%s of %lld flows", talk_text(o, "rule"), talk_text(o, "version"),
	       (long long)alerts, alerts == 1 ? "" : "s", (long long)talk_number(o, "flows"));
	if (json_is_true(json_object_get(o, "acts")) && alerts)
		printf("; would have acted on %lld, %lld of them internal, %lld exempt",
		       (long long)talk_number(o, "hits"), (long long)talk_number(o, "internal"),
		       (long long)talk_number(o, "exempt"));
	if (late)
		printf("; %lld flows too late", (long long)late);
	if (evicted)
		printf("; %lld groups had no room", (long long)evicted);
	putchar('\n');
}

static void take_rule(struct printing *p, const json_t *o)
{
	finish_rule(p);
	if (!p->json) {
		print_rule(o);
		/* of an action that is about none of what the rule is by there are none */
		p->hits = (uint64_t)talk_number(o, "hits");
		return;
	}
	p->rule = json_copy((json_t *)(uintptr_t)o);
	if (!p->rule || json_object_set_new(p->rule, "targets", json_array()))
		p->no_memory = true;
}

static void take_target(struct printing *p, const json_t *o)
{
	const int64_t alerts = talk_number(o, "alerts");
	json_t *copy;

	p->shown++;
	if (!p->json) {
		printf("    %-5s %-39s  first %.19sZ, %lld alert%s%s%s\n", talk_text(o, "action"),
		       talk_text(o, "target"), talk_text(o, "first"), (long long)alerts,
		       alerts == 1 ? "" : "s",
		       json_is_true(json_object_get(o, "internal")) ? ", internal" : "",
		       json_is_true(json_object_get(o, "exempt")) ? ", exempt: nothing" : "");
		return;
	}
	copy = json_copy((json_t *)(uintptr_t)o);
	json_object_del(copy, "type");
	if (json_array_append_new(json_object_get(p->rule, "targets"), copy))
		p->no_memory = true;
}

static void take_done(struct printing *p, const json_t *o)
{
	const int64_t unkept = talk_number(o, "unkept");

	finish_rule(p);
	if (p->json) {
		talk_json(o);
		return;
	}
	if (talk_number(o, "flows"))
		printf("%lld flows from %.19sZ to %.19sZ, in %.2f s\n",
		       (long long)talk_number(o, "flows"), talk_text(o, "from"), talk_text(o, "to"),
		       json_real_value(json_object_get(o, "seconds")));
	else
		puts("no flows of that time are stored");
	if (unkept)
		printf("%lld alerts were about addresses that there was no room for, which are not "
		       "counted\n",
		       (long long)unkept);
}

static void take_line(void *arg, const json_t *o)
{
	struct printing *p = arg;
	const char *type = talk_text(o, "type");
	const json_t *percent = json_object_get(o, "percent");

	if (!strcmp(type, "progress")) {
		(void)show_progress(p, json_number_value(percent)); /* says nothing else */
		return;
	}
	forget_progress(p);
	if (!strcmp(type, "rule"))
		take_rule(p, o);
	else if (!strcmp(type, "target"))
		take_target(p, o);
	else if (!strcmp(type, "done"))
		take_done(p, o);
	else if (!strcmp(type, "wrong"))
		fprintf(stderr, "%s\n", talk_text(o, "text"));
}

static void on_interrupt(int sig)
{
	static const char forget[] = "\r\033[K";

	(void)sig;
	if (isatty(STDERR_FILENO))
		(void)!write(STDERR_FILENO, forget, sizeof(forget) - 1); /* no matter if it can't */
	_exit(EXIT_INTERRUPTED); /* the collector sees that its client has gone */
}

/* ---- the request ---- */

struct making {
	const struct rules_call *k;
	json_t *request, *files;
};

static void put_pair(void *arg, const char *key, const char *value)
{
	const struct making *m = arg;
	const bool all = !strcmp(key, "top") && !strcmp(m->k->format, "json");
	char most[16];

	snprintf(most, sizeof(most), "%u", SPEC_TOP_MAX);
	if (cli_word("from|to|top", key) >= 0)
		json_object_set_new(m->request, key, json_string(all ? most : value));
}

static int add_file(void *arg, const char *path)
{
	struct making *m = arg;
	const char *why;
	size_t len;
	char *text = rule_file_text(path, &len, &why);
	json_t *one = text ? json_pack("{s:s, s:s%}", "name", path, "text", text, len) : NULL;

	if (!one)
		fprintf(stderr, "%s: %s\n", path,
			text ? "its text, or its name, is no UTF-8" : why);
	free(text);
	return json_array_append_new(m->files, one) ? -EINVAL : 0;
}

/* Of the site what was said on the command line, which is no text of site_init()'s. */
static json_t *said_values(const struct site_value *v, uint32_t n, const struct site_value *plain,
			   uint32_t n_plain)
{
	json_t *o = json_object();

	for (uint32_t i = 0; i < n; i++)
		if (!plain || i >= n_plain || v[i].value != plain[i].value)
			json_object_set_new(o, v[i].name, json_string(v[i].value));
	return o;
}

/* Only what is there: the collector refuses lists without files. */
static void put_table(json_t *request, const char *key, json_t *table)
{
	if (json_object_size(table))
		json_object_set(request, key, table);
	json_decref(table);
}

/* Return: 0, or the exit status; said. */
static int make_request(const struct rules_call *k, json_t **ret)
{
	struct making m = {.k = k, .request = json_pack("{s:s}", "command", "backtest")};
	json_t *rules = json_array();
	struct site plain;
	int r = 0;

	spec_each(&k->spec, put_pair, &m);
	m.files = json_array();
	for (uint32_t i = 0; !r && i < k->n; i++)
		r = rule_paths(k->paths[i], add_file, &m);
	if (k->n)
		json_object_set(m.request, "files", m.files);
	json_decref(m.files);
	for (uint32_t i = 0; i < k->n_rules; i++)
		json_array_append_new(rules, json_string(k->rules[i]));
	if (k->n_rules)
		json_object_set(m.request, "rules", rules);
	json_decref(rules);
	site_init(&plain);
	put_table(m.request, "lists",
		  said_values(k->site.lists, k->site.n_lists, plain.lists, plain.n_lists));
	put_table(m.request, "params", said_values(k->site.params, k->site.n_params, NULL, 0));
	if (r) {
		json_decref(m.request);
		return r == -ENOMEM ? rules_no_memory() : EXIT_FAILED;
	}
	*ret = m.request;
	return 0;
}

/* ---- the store itself ---- */

static int put_line(void *arg, json_t *line)
{
	take_line(arg, line);
	json_decref(line);
	return 0;
}

static int run_here(struct printing *p, const struct settings *s, struct store *store,
		    const json_t *request)
{
	static struct ruleset_errors errs;
	struct backtest_asker a = {
		.store = store, .put = put_line, .progress = show_progress, .arg = p};
	char error[STORE_ERROR] = "";
	struct ruleset *set;
	int r = ruleset_load(s, &set, &errs);

	if (r && r != -ENOMEM) {
		fputs(errs.text, stderr);
		return EXIT_FAILED;
	}
	if (!r) {
		a.set = set;
		r = backtest_ask(&a, request, error);
		ruleset_drop(set);
	}
	forget_progress(p);
	if (r)
		fprintf(stderr, "weir-collector: %s\n", *error ? error : strerror(-r));
	return !r ? EXIT_OK : r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

static int ask_store(struct printing *p, const struct client_at *at, const json_t *request)
{
	struct settings *settings;
	struct store *store = NULL;
	int rc = client_settings(at, &settings);

	if (rc)
		return rc;
	rc = local_store_open(settings, &store);
	if (!rc) {
		rc = run_here(p, settings, store, request);
		store_close(store);
	}
	settings_free(settings);
	return rc;
}

static int ask(const struct rules_call *k, json_t *request)
{
	const struct sigaction sa = {.sa_handler = on_interrupt};
	struct printing p = {.json = !strcmp(k->format, "json"), .tty = isatty(STDERR_FILENO)};
	struct client *c;
	int rc = client_connect(&k->at, &c);

	sigaction(SIGINT, &sa, NULL);
	if (!rc && c)
		rc = talk_to(c, json_incref(request), take_line, &p);
	else if (!rc)
		rc = ask_store(&p, &k->at, request);
	client_free(c);
	forget_progress(&p);
	json_decref(p.rule);
	return p.no_memory ? rules_no_memory() : rc;
}

static int cmd_backtest(int argc, char **argv)
{
	static struct rules_call k;
	json_t *request;
	int rc = rules_begin(&k, &rules_command_backtest, argc, argv);

	if (rc >= 0)
		return rc;
	rc = finish_time(&k);
	rc = rc ?: make_request(&k, &request);
	if (!rc) {
		rc = ask(&k, request);
		json_decref(request);
	}
	site_done(&k.site);
	return rc;
}
