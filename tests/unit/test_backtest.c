// SPDX-License-Identifier: Apache-2.0
/*
 * test_backtest.c - back-tests over a store: beside the engine over the same flows, and what requests may say.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/alerts/backtest_ask.h"
#include "collector/rules/backtest_part.h"
#include "query_rig.h"

#define FLOWS 3000u
#define TIME  "\"from\":\"2026-09-21T00:00:00Z\",\"to\":\"2026-09-23T00:00:00Z\""

static const char at_work[] =
	"groups:\n- name: g\n  rules:\n"
	"  - {id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01, name: busy, version: 1.0.0, mode: draft,\n"
	"     window: {size: 10m, slide: 1m}, by: src.ip, having: count() >= 5,\n"
	"     actions: [drop: {scope: src.ip, ttl: 10m}]}\n"
	"  - {id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a02, name: any-tcp, version: 1.0.0,\n"
	"     where: proto tcp and src.ip in @local, by: [src.ip, dst.ip],\n"
	"     actions: [limit: {scope: pair, ttl: 10m, rate: 10pps}]}\n"
	"  - {id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a03, name: both, version: 1.0.0,\n"
	"     correlate: {type: temporal, rules: [busy, any-tcp], within: 24h}}\n";

static struct query_rig g;
static struct ruleset set;
static struct answer {
	uint32_t rules, targets, wrong, done;
	uint64_t alerts[3], hits[3];
	uint64_t flows;
	char names[256], text[512], error[STORE_ERROR];
} got;

static void open_rig(void)
{
	if (!query_rig_open(&g, FLOWS))
		cr_skip_test("no libduckdb");
	set = (struct ruleset){.holders = 1};
	site_init(&set.site);
	rule_files_init(&set.files, &set.site);
	cr_assert(eq(int,
		     rule_files_text(&set.files, &(struct rule_source){"work.yaml", at_work,
								       sizeof(at_work) - 1}),
		     0));
	cr_assert(eq(int, rule_files_link(&set.files), 0), "%s",
		  set.files.n_errors ? set.files.errors[0].errs.list[0].text : "");
}

static void close_rig(void)
{
	rule_files_done(&set.files);
	if (g.flows)
		query_rig_done(&g);
}

TestSuite(backtest, .init = open_rig, .fini = close_rig, .timeout = 600);

static uint64_t number(const json_t *line, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(line, key));
}

static int on_line(void *arg, json_t *line)
{
	const char *type = json_string_value(json_object_get(line, "type"));
	const char *name = json_string_value(json_object_get(line, "rule")) ?: "";
	struct answer *a = arg;

	cr_assert(type != NULL);
	if (!strcmp(type, "rule")) {
		a->alerts[a->rules] = number(line, "alerts");
		a->hits[a->rules++] = number(line, "hits");
		snprintf(a->names + strlen(a->names), sizeof(a->names) - strlen(a->names), "%s ",
			 name);
	}
	a->targets += !strcmp(type, "target");
	a->wrong += !strcmp(type, "wrong");
	if (!strcmp(type, "wrong"))
		snprintf(a->text, sizeof(a->text), "%s",
			 json_string_value(json_object_get(line, "text")));
	if (!strcmp(type, "done")) {
		a->done++;
		a->flows = number(line, "flows");
	}
	json_decref(line);
	return 0;
}

static int ask(const char *request, int (*progress)(void *arg, double percent))
{
	const struct backtest_asker a = {
		.store = g.store.s, .set = &set, .put = on_line, .progress = progress, .arg = &got};
	json_error_t why;
	json_t *o = json_loads(request, 0, &why);
	int r;

	cr_assert(o != NULL, "%s: %s", request, why.text);
	got = (struct answer){};
	r = backtest_ask(&a, o, got.error);
	json_decref(o);
	return r;
}

static void on_alert(void *arg, const struct alert *a)
{
	uint64_t *alerts = arg;

	alerts[a->rule - set.files.set.v] += a->state == ALERT_FIRING;
}

Test(backtest, says_what_the_engine_says_of_the_same_flows)
{
	uint64_t alerts[3] = {};
	const struct engine_cfg cfg = {
		.rules = &set.files.set, .alert = on_alert, .arg = alerts, .drafts = true};
	struct engine *e;

	cr_assert(eq(int, engine_new(&cfg, &e), 0));
	for (uint32_t i = FLOWS; i-- > 0;) /* the rig has the latest first */
		cr_assert(eq(int, engine_flow(e, &g.flows[i]), 0));
	engine_flush(e);
	engine_free(e);
	cr_assert(eq(int, ask("{" TIME ",\"top\":\"7\"}", NULL), 0), "%s", got.error);
	cr_expect(eq(u32, got.rules, 3));
	cr_expect(eq(u32, got.done, 1));
	cr_expect(eq(u64, got.flows, FLOWS));
	for (unsigned int i = 0; i < 3; i++) {
		cr_expect(eq(u64, got.alerts[i], alerts[i]), "rule %u", i);
		cr_expect(alerts[i] > 5, "rule %u has %llu alerts: too few to tell", i,
			  (unsigned long long)alerts[i]);
	}
	cr_expect(got.hits[0] > 7 && got.hits[1] > 7);
	cr_expect(eq(u64, got.hits[2], 0));
	cr_expect(eq(u32, got.targets, 14)); /* of the two that act, as many as were asked for */
}

#define MANY 12u

/* Rules of their own, of which the first is joined with the last of its kind. */
static void read_many(struct rule_files *files, struct site *site)
{
	char text[8192];
	int n = snprintf(text, sizeof(text), "groups:\n- name: g\n  rules:\n");

	for (unsigned int i = 0; i < MANY; i++)
		n += snprintf(
			text + n, sizeof(text) - (size_t)n,
			"  - {id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8b%02u, name: r%u, version: 1.0.0,\n"
			"     window: {size: 10m, slide: 1m}, by: %s, having: count() >= %u,\n"
			"     actions: [drop: {scope: %s, ttl: 10m}]}\n",
			i, i, i % 2 ? "dst.ip" : "src.ip", 2 + i / 3, i % 2 ? "dst.ip" : "src.ip");
	n += snprintf(text + n, sizeof(text) - (size_t)n,
		      "  - {id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8c00, name: ends, version: 1.0.0,\n"
		      "     correlate: {type: temporal, rules: [r0, r%u], within: 24h}}\n",
		      MANY - 2);
	rule_files_init(files, site);
	cr_assert(eq(int,
		     rule_files_text(files, &(struct rule_source){"many.yaml", text, (size_t)n}),
		     0));
	cr_assert(eq(int, rule_files_link(files), 0));
}

static const struct rule *first_rule;

static void count_alert(void *arg, const struct alert *a)
{
	uint64_t *alerts = arg;

	alerts[a->rule - first_rule] += a->state == ALERT_FIRING;
}

static void no_alert(void *arg, const struct alert *a)
{
	(void)arg;
	(void)a;
}

Test(backtest, rules_of_several_threads_say_what_those_of_one_say)
{
	uint64_t alerts[MANY + 1] = {}, hits = 0;
	struct rule_files files;
	struct site site;
	struct engine *e;
	struct backtest b;
	char error[STORE_ERROR];

	site_init(&site);
	read_many(&files, &site);
	first_rule = files.set.v;
	cr_assert(eq(int,
		     engine_new(&(struct engine_cfg){.rules = &files.set,
						     .alert = count_alert,
						     .arg = alerts},
				&e),
		     0));
	for (uint32_t i = FLOWS; i-- > 0;)
		cr_assert(eq(int, engine_flow(e, &g.flows[i]), 0));
	engine_flush(e);
	cr_assert(eq(int,
		     backtest_run(&(struct backtest_cfg){.store = g.store.s,
							 .rules = &files.set,
							 .to_us = INT64_MAX},
				  &b, error),
		     0),
		  "%s", error);
	cr_expect(eq(u64, b.flows, FLOWS));
	for (uint32_t i = 0; i <= MANY; i++) {
		struct engine_rule_stats st;

		engine_rule_stats(e, i, &st);
		cr_expect(eq(u64, b.rules[i].alerts, alerts[i]), "rule %u", i);
		cr_expect(eq(u64, b.rules[i].matched, st.matched), "rule %u", i);
		cr_expect(gt(u64, alerts[i], 5), "rule %u: too few to tell", i);
		hits += b.rules[i].hits;
	}
	cr_expect(eq(u64, b.n_hits, hits));
	for (uint32_t i = 1; i < b.n_hits; i++)
		cr_expect(le(u32, b.hits[i - 1].rule, b.hits[i].rule));
	backtest_done(&b);
	engine_free(e);
	rule_files_done(&files);
}

/* Of a text that no rule looks into it is read whether it is there. */
Test(backtest, texts_that_only_have_to_be_there_are_not_read_and_count)
{
	static const char text[] =
		"groups:\n- name: g\n  rules:\n"
		"  - {id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8b01, name: named, version: 1.0.0,\n"
		"     where: exists(tls.sni), by: src.ip}\n"
		"  - {id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8b02, name: unnamed, version: 1.0.0,\n"
		"     where: not exists(tls.sni), by: src.ip}\n"
		"  - {id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8b03, name: hosts, version: 1.0.0,\n"
		"     where: exists(http.host) and http.host suffix \".test\", by: src.ip}\n";
	struct rule_files files;
	struct site site;
	struct engine *e;
	struct backtest b;
	char error[STORE_ERROR];

	site_init(&site);
	rule_files_init(&files, &site);
	cr_assert(
		eq(int,
		   rule_files_text(&files, &(struct rule_source){"x.yaml", text, sizeof(text) - 1}),
		   0));
	cr_assert(eq(int, rule_files_link(&files), 0));
	cr_assert(eq(int,
		     engine_new(&(struct engine_cfg){.rules = &files.set, .alert = no_alert}, &e),
		     0));
	cr_expect(eq(int, engine_uses(e, FF_TLS_SNI), ENGINE_IF_THERE));
	cr_expect(eq(int, engine_uses(e, FF_HTTP_HOST), ENGINE_VALUE));
	cr_expect(eq(int, engine_uses(e, FF_SRC_IP), ENGINE_VALUE));
	cr_expect(eq(int, engine_uses(e, FF_DNS_QNAME), ENGINE_NOT));
	for (uint32_t i = FLOWS; i-- > 0;)
		cr_assert(eq(int, engine_flow(e, &g.flows[i]), 0));
	engine_flush(e);
	cr_assert(eq(int,
		     backtest_run(&(struct backtest_cfg){.store = g.store.s,
							 .rules = &files.set,
							 .to_us = INT64_MAX},
				  &b, error),
		     0),
		  "%s", error);
	cr_expect(eq(u64, b.rules[0].matched + b.rules[1].matched, FLOWS));
	for (uint32_t i = 0; i < 3; i++) {
		struct engine_rule_stats st;

		engine_rule_stats(e, i, &st);
		cr_expect(eq(u64, b.rules[i].matched, st.matched), "rule %u", i);
		cr_expect(gt(u64, st.matched, 5), "rule %u: too few to tell", i);
	}
	backtest_done(&b);
	engine_free(e);
	rule_files_done(&files);
}

Test(backtest_deal, rules_that_are_joined_stay_together_and_others_are_dealt_out)
{
	struct rule v[7] = {};
	const struct rule_set rules = {.v = v, .n = 7};
	const bool only[7] = {[2] = true, [6] = true};
	uint8_t owner[7];

	/* 5 joins 1 and 3, 6 joins 5 and 0 */
	v[5].correlate = (struct rule_correlate){.at.line = 1, .rules.n = 2, .index = {1, 3}};
	v[6].correlate = (struct rule_correlate){.at.line = 1, .rules.n = 2, .index = {5, 0}};
	cr_expect(eq(u32, backtest_deal(&rules, NULL, 8, owner), 3)); /* all of those; 2; 4 */
	cr_expect(owner[0] == 0 && owner[1] == 0 && owner[3] == 0 && owner[5] == 0 &&
		  owner[6] == 0);
	cr_expect(owner[2] == 1 && owner[4] == 2);
	cr_expect(eq(u32, backtest_deal(&rules, NULL, 2, owner), 2));
	cr_expect(owner[0] == 0 && owner[2] == 1 && owner[4] == 0);
	cr_expect(eq(u32, backtest_deal(&rules, only, 8, owner), 2));
	cr_expect(owner[2] == 0 && owner[6] == 1);
	cr_expect(eq(u32, backtest_deal(&(struct rule_set){}, NULL, 8, owner), 1));
}

Test(backtest, tells_of_the_rules_that_were_asked_for)
{
	uint64_t joined;

	cr_assert(eq(int, ask("{" TIME "}", NULL), 0));
	joined = got.alerts[2];
	cr_assert(eq(int, ask("{" TIME ",\"rules\":[\"both\"]}", NULL), 0), "%s", got.error);
	cr_expect(eq(str, got.names, "both "));
	cr_expect(eq(u64, got.alerts[0], joined)); /* the rules that it joins were looked at */
	cr_assert(eq(int,
		     ask("{" TIME ",\"rules\":[\"9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a02\"]}", NULL),
		     0));
	cr_expect(eq(str, got.names, "any-tcp "));
}

/* Where it takes rules from, their lists and their parameters. */
Test(backtest, takes_rules_with_the_request)
{
#define FILES                                                                                      \
	"\"files\":[{\"name\":\"x.yaml\",\"text\":\"groups:\\n- name: g\\n  rules:\\n"             \
	"  - {id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a09, name: mine, version: 1.0.0,\\n"            \
	"     where: src.ip in @local and packets >= $least, by: src.ip, actions: [drop: {scope: " \
	"src.ip, ttl: 1m}],\\n     params: {least: {default: 0, max: 100}}}\\n\"}]"
	uint64_t some;

	cr_assert(eq(int, ask("{" TIME "," FILES "}", NULL), 0), "%s", got.error);
	cr_expect(eq(str, got.names, "mine "));
	some = got.hits[0];
	cr_expect(some > 0);
	cr_assert(eq(int,
		     ask("{" TIME "," FILES ",\"lists\":{\"local\":\"0.0.0.0/0, ::/0\"}}", NULL),
		     0));
	cr_expect(got.hits[0] > some);
	cr_assert(
		eq(int, ask("{" TIME "," FILES ",\"params\":{\"mine.least\":\"100\"}}", NULL), 0));
	cr_expect(got.hits[0] < some);
	cr_expect(eq(int, ask("{" TIME "," FILES ",\"params\":{\"mine.least\":\"101\"}}", NULL),
		     -EBADMSG));
	cr_expect(eq(u32, got.wrong, 1));
	cr_expect(strstr(got.text, "x.yaml:6:") && strstr(got.text, "not between"), "%s", got.text);
	cr_expect(eq(u32, got.done + got.rules, 0));
}

Test(backtest, refuses_what_it_does_not_understand)
{
	static const struct {
		const char *request, *why;
	} rows[] = {
		{"{\"from\":\"yesterday\"}", "from: "},
		{"{\"last\":7}", "want a text: last"},
		{"{\"last\":\"1h\",\"from\":\"2026-09-21T00:00:00Z\"}", "two ways"},
		{"{\"from\":\"2026-09-21T00:00:00Z\",\"to\":\"2026-09-21T00:00:00Z\"}",
		 "not before"},
		{"{\"rules\":\"busy\"}", "want a list: rules"},
		{"{\"rules\":[\"buzy\"]}", "no rule buzy"},
		{"{\"rules\":[5]}", "no rule "},
		{"{\"files\":{}}", "want a list: files"},
		{"{\"files\":[{\"text\":\"\"}]}", "name and text"},
		{"{\"lists\":{\"local\":\"::/0\"}}", "for rules in files"},
		{"{\"files\":[],\"lists\":[]}", "want an object: lists"},
		{"{\"files\":[],\"params\":{\"a.b\":1}}", "want a text: a.b"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect(eq(int, ask(rows[i].request, NULL), -EINVAL), "%s", rows[i].request);
		cr_expect(strstr(got.error, rows[i].why) != NULL, "%s: %s", rows[i].request,
			  got.error);
		cr_expect(eq(u32, got.rules + got.done + got.wrong, 0), "%s", rows[i].request);
	}
}

static int never(void *arg, json_t *line)
{
	(void)arg;
	json_decref(line);
	return -EPIPE;
}

Test(backtest, ends_when_nobody_wants_its_answer)
{
	const struct backtest_asker a = {.store = g.store.s, .set = &set, .put = never};
	json_t *o = json_loads("{" TIME "}", 0, NULL);

	cr_expect(eq(int, backtest_ask(&a, o, got.error), -EPIPE));
	json_decref(o);
}
