// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_backtest.c - `weir-collector rules backtest`: what rules would have said and done about the flows
 * that are stored. Reads the store itself.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "collector/cmd_rules.h"
#include "collector/local_store.h"
#include "collector/rules/backtest.h"
#include "common/num_text.h"

static int cmd_backtest(int argc, char **argv);

static const struct cli_option options[] = {
	{RULES_LAST, 'l', "last", "TIME", NULL, "7d",
	 "flows that ended within so long, such as 10m or 7d"},
	{RULES_FROM, 0, "from", "TIME", NULL, NULL, "flows that ended then or later, RFC 3339"},
	{RULES_TO, 0, "to", "TIME", NULL, "now", "flows that ended before"},
	{RULES_TOP, 't', "top", "N", NULL, "20", "addresses to name of each rule; all with json"},
	{RULES_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "format on standard output"},
	{CLIENT_CONFIG, 0, "config", "FILE", CLI_FILE, COLLECTOR_FILE " if it is there",
	 "configuration file that says where the store is"},
	{CLIENT_STORE, 0, "store", "DIR", CLI_DIR, NULL, "this store"},
	RULES_SITE_OPTIONS,
	{},
};

const struct cli_command rules_command_backtest = {
	.name = "backtest",
	.help = "what rules would have done about stored flows",
	.operands = "FILE...",
	.words = CLI_FILE,
	.doc = "Goes through the flows of the store in the order in which they came, with every rule as if it "
	       "had been there: alerts, and the addresses that its actions would have been about, those in "
	       "@local marked. Modes do not matter, and neither does what a decision asks for besides "
	       "(evidence, caps): it is the most that could have happened. The store is read by this command; "
	       "no collector may have it open.",
	.options = options,
	.examples = "weir-collector rules backtest scan.yaml --last 24h\n"
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
	if (!k->from_given && spec_set(&k->spec, "last", k->last ?: "7d", why))
		return cli_error(&k->c, "--last: %s", why);
	if (k->spec.from_us >= k->spec.to_us)
		return cli_error(&k->c, "the time from which is not before the time to which");
	return 0;
}

/* ---- output ---- */

static const char *action_word(unsigned int action)
{
	return action == RO_DROP      ? "drop"
	       : action == RO_LIMIT   ? "limit"
	       : action == RO_RESET   ? "reset"
	       : action == RO_CAPTURE ? "capture"
				      : "mirror";
}

/* "198.51.100.7", of a pair "198.51.100.7 -> 10.0.0.1". */
static const char *target_text(const struct backtest_hit *h, char buf[2 * IP_TEXT + 8])
{
	size_t len = ip_text(h->ip[0], 0, buf);

	if (h->scope == RULE_SCOPE_PAIR) {
		memcpy(buf + len, " -> ", 4);
		len += 4 + ip_text(h->ip[1], 0, buf + len + 4);
	}
	buf[len] = 0;
	return buf;
}

static void print_hits(const struct backtest *b, uint32_t rule, uint32_t top)
{
	char target[2 * IP_TEXT + 8], when[TIME_TEXT];
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->n_hits; i++) {
		const struct backtest_hit *h = &b->hits[i];

		if (h->rule != rule || n++ >= top)
			continue;
		time_text(h->first_ns, when);
		printf("    %-5s %-39s  first %.19sZ, %llu alert%s%s%s\n", action_word(h->action),
		       target_text(h, target), when, (unsigned long long)h->alerts,
		       h->alerts == 1 ? "" : "s", h->internal ? ", internal" : "",
		       h->exempt ? ", exempt: nothing" : "");
	}
	if (n > top)
		printf("    and %u more\n", n - top);
}

static void print_rule(const struct rule *r, const struct backtest_rule *br)
{
	printf("%s %s: %llu alert%s of %llu flows", r->name, r->version,
	       (unsigned long long)br->alerts, br->alerts == 1 ? "" : "s",
	       (unsigned long long)br->matched);
	if (r->actions.n && br->alerts)
		printf("; would have acted on %llu, %llu of them internal, %llu exempt",
		       (unsigned long long)br->hits, (unsigned long long)br->internal,
		       (unsigned long long)br->exempt);
	if (br->late)
		printf("; %llu flows too late", (unsigned long long)br->late);
	if (br->evicted)
		printf("; %llu groups had no room", (unsigned long long)br->evicted);
	putchar('\n');
}

static void print_table(const struct rules_call *k, const struct rule_set *set,
			const struct backtest *b)
{
	char from[TIME_TEXT], to[TIME_TEXT];

	for (uint32_t i = 0; i < set->n; i++) {
		print_rule(&set->v[i], &b->rules[i]);
		print_hits(b, i, k->spec.top);
	}
	time_text(b->from_ns, from);
	time_text(b->to_ns, to);
	if (b->flows)
		printf("%llu flows from %.19sZ to %.19sZ, in %.2f s\n",
		       (unsigned long long)b->flows, from, to, b->seconds);
	else
		puts("no flows of that time are stored");
	if (b->unkept)
		printf("%llu alerts were about addresses beyond the first %u, which are not counted\n",
		       (unsigned long long)b->unkept, b->n_hits);
}

static json_t *hit_json(const struct backtest_hit *h)
{
	char target[2 * IP_TEXT + 8], when[TIME_TEXT];

	time_text(h->first_ns, when);
	target_text(h, target);
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:b, s:b}", "action", action_word(h->action),
			 "scope", h->scope == RULE_SCOPE_PAIR ? "pair" : flow_fields[h->scope].path,
			 "target", target, "first", when, "alerts", (json_int_t)h->alerts,
			 "internal", h->internal, "exempt", h->exempt);
}

/* A line for each rule, then one of all. Return: 0, -ENOMEM. */
static int print_json(const struct rule_set *set, const struct backtest *b)
{
	json_t *line;
	int r = 0;

	for (uint32_t i = 0; i < set->n && !r; i++) {
		const struct backtest_rule *br = &b->rules[i];
		json_t *hits = json_array();

		for (uint32_t h = 0; h < b->n_hits; h++)
			if (b->hits[h].rule == i)
				json_array_append_new(hits, hit_json(&b->hits[h]));
		line = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "rule",
				 set->v[i].name, "version", set->v[i].version, "flows",
				 (json_int_t)br->matched, "alerts", (json_int_t)br->alerts, "hits",
				 (json_int_t)br->hits, "internal", (json_int_t)br->internal,
				 "exempt", (json_int_t)br->exempt, "late", (json_int_t)br->late,
				 "evicted", (json_int_t)br->evicted, "targets", hits);
		r = line ? json_dumpf(line, stdout, JSON_COMPACT) : -ENOMEM;
		putchar('\n');
		json_decref(line);
	}
	line = json_pack("{s:I, s:I, s:f}", "flows", (json_int_t)b->flows, "unkept",
			 (json_int_t)b->unkept, "seconds", b->seconds);
	r = r ?: line ? json_dumpf(line, stdout, JSON_COMPACT) : -ENOMEM;
	putchar('\n');
	json_decref(line);
	return r ? -ENOMEM : 0;
}

/* ---- the command ---- */

static const char *local_of(const struct rules_call *k)
{
	for (uint32_t i = 0; i < k->site.n_lists; i++)
		if (!strcmp(k->site.lists[i].name, "local"))
			return k->site.lists[i].value;
	return NULL;
}

static int run(struct rules_call *k, const struct rule_files *f, struct store *store)
{
	const struct backtest_cfg cfg = {.store = store,
					 .rules = &f->set,
					 .local = local_of(k),
					 .from_us = k->spec.from_us,
					 .to_us = k->spec.to_us};
	char error[STORE_ERROR];
	struct backtest b;
	int r = backtest_run(&cfg, &b, error);

	if (!r && !strcmp(k->format, "json"))
		r = print_json(&f->set, &b);
	else if (!r)
		print_table(k, &f->set, &b);
	backtest_done(&b);
	if (r == -ENOMEM)
		return rules_no_memory();
	if (r)
		fprintf(stderr, "weir-collector: %s\n", *error ? error : strerror(-r));
	return r ? EXIT_FAILED : EXIT_OK;
}

static int cmd_backtest(int argc, char **argv)
{
	static struct rules_call k;
	struct settings *settings = NULL;
	struct store *store = NULL;
	struct rule_files f;
	int rc = rules_begin(&k, &rules_command_backtest, argc, argv);

	if (rc >= 0)
		return rc;
	rc = finish_time(&k);
	if (rc) {
		site_done(&k.site);
		return rc;
	}
	rc = rules_need_all(&k, &f);
	if (!rc)
		rc = client_settings(&k.at, &settings);
	if (!rc)
		rc = local_store_open(settings, &store);
	if (settings)
		settings_free(settings);
	if (!rc)
		rc = run(&k, &f, store);
	if (store)
		store_close(store);
	return rules_finish(&k, &f, rc);
}
