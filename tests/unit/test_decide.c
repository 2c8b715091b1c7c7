// SPDX-License-Identifier: Apache-2.0
/*
 * test_decide.c - from alerts to decisions and the policy that says them: every gate, the ladder, what ends a
 * decision, the breaker, people, the audit log; alerts that nobody confirms any more.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "collector/alerts/book_int.h"
#include "collector/control/audit.h"
#include "collector/control/decide_int.h"
#include "common/policy.h"

#define SECOND UINT64_C(1000000000)
#define ID     "9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a0"

#define HEAD(n, name, mode)                                                              \
	"  - id: " ID n "\n    name: " name "\n    version: 1.0.0\n    mode: " mode "\n" \
	"    where: proto == tcp\n    window: {size: 60s}\n    having: count() >= 3\n"   \
	"    exempt: [ \"@never_block\", \"@admin\" ]\n"
#define SOURCE                                                                \
	"    by: src.ip\n    evidence: {handshake: required}\n    actions:\n" \
	"    - drop: {scope: src.ip, direction: ingress, ttl: 10m, escalate: [10m, 1h, 24h]}\n"

static const char some_rules[] = "groups:\n- name: g\n  rules:\n" HEAD(
	"1", "act", "prevent") SOURCE HEAD("2", "count", "shadow") SOURCE HEAD("3", "some",
									       "canary") SOURCE
	HEAD("4", "slow",
	     "prevent") "    by: [dst.ip, dst.port]\n    actions:\n"
			"    - limit: {scope: dst.ip, direction: ingress, ttl: 5m, rate: 100pps}\n" HEAD(
				"5", "careless",
				"prevent") "    by: dst.ip\n    actions:\n"
					   "    - drop: {scope: dst.ip, ttl: 5m}\n" HEAD("6", "trusting", "prevent") "    by: src.ip\n    actions:\n    - drop: {scope: src.ip, ttl: 5m}\n" HEAD(
						   "7", "two",
						   "prevent") "    by: [src.ip, dst.ip]\n    evidence: {handshake: required}\n    actions:\n"
							      "    - drop: {scope: pair, ttl: 5m}\n" HEAD(
								      "8", "look", "detect") SOURCE;

static const char *rules = some_rules;
static char dir[] = "/tmp/weir-decide.XXXXXX";
static struct ruleset *set;
static struct book *book;
static const struct endpoint_peer root = {0, "uid=0 (root)"};

static void put_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	cr_assert(f != NULL);
	fputs(text, f);
	fclose(f);
}

static struct ruleset *load(const char *words)
{
	static struct settings_args args;
	static struct config_errors errs;
	static struct ruleset_errors wrong;
	char conf[128], in[128], text[2048];
	struct ruleset *ret;
	struct settings *s;

	snprintf(conf, sizeof(conf), "%s/conf", dir);
	snprintf(in, sizeof(in), "%s/rules", dir);
	(void)mkdir(in, 0700); /* it is there already the second time */
	put_file("rules/a.yaml", rules);
	snprintf(text, sizeof(text),
		 "[list local]\nvalues = 10.0.0.0/8\n[list never_block]\nvalues = "
		 "192.0.2.200, ::1\n%s",
		 words);
	put_file("conf", text);
	args = (struct settings_args){.config = conf};
	settings_option(&args, SETTINGS_OPTION + CSET_RULES_DIRECTORIES, in);
	cr_assert(eq(int, settings_load(&collector_settings, &args, &s, &errs), 0), "%s",
		  errs.list[0].text);
	cr_assert(eq(int, ruleset_load(s, &ret, &wrong), 0), "%s", wrong.text);
	settings_free(s);
	return ret;
}

static uint8_t agents; /* hosts of this network are */

static bool is_agent(void *arg, const uint8_t ip[16])
{
	(void)arg;
	return ip[12] == agents || (ip[12] == 192 && ip[15] == 100);
}

static void open_book(void)
{
	const struct book_cfg cfg = {
		.dir = dir,
		.queue = 100,
		.reopen_us = 600000000,
		.keep_us = UINT64_C(86400000000),
		.decide = {.rate = 5, .max = 20, .forget_us = 3600000000},
		.publish = {.dir = dir, .issuer = "test", .valid_us = 3600000000},
		.agent = is_agent};
	char error[DB_ERROR] = "";

	cr_assert(eq(int, book_open(&cfg, error, &book), 0), "%s", error);
}

/* As the runner says it: these rules are at work. */
static void at_work(struct ruleset *now)
{
	pthread_mutex_lock(&book->lock);
	ruleset_drop(book->set);
	book->set = now;
	set = now;
	book->epoch++;
	book->epoch_us = book_now_us();
	cr_assert(eq(int, db_run(book->db, "BEGIN IMMEDIATE", ""), 0));
	cr_assert(eq(int, decide_rules(book), 0));
	book->policy_dirty = true;
	cr_assert(eq(int, book_commit(book), 0));
	pthread_mutex_unlock(&book->lock);
}

static void begin(void)
{
	cr_assert(mkdtemp(dir) != NULL);
	open_book();
	at_work(load(""));
}

static void end(void)
{
	char path[128];

	book_close(book);
	for (unsigned int i = 0; i < 10; i++) {
		static const char *const names[] = {"policy/policy.pub.next",
						    "rules/a.yaml",
						    "rules",
						    "conf",
						    "control.db",
						    "policy/policy.key",
						    "policy/policy.pub",
						    "policy/policy.bin",
						    "policy/canary.bin",
						    "policy"};

		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)remove(path); /* not all tests make all of them */
	}
	rmdir(dir);
}

TestSuite(decide, .init = begin, .fini = end, .timeout = 30);

/* ---- alerts ---- */

static struct alert_value ip_value(enum flow_field f, uint8_t a, uint8_t d)
{
	struct alert_value v = {.field = (uint8_t)f, .present = true};

	memcpy(v.ip, (uint8_t[16]){[10] = 0xff, 0xff, a, 0, 2, d}, 16);
	return v;
}

struct firing {
	const char *rule;
	uint8_t net, host; /* of src.ip, or dst.ip where there is none */
	uint16_t port;
	bool proven, exempt;
};

static void write_alert(const struct firing *f, unsigned int state)
{
	const struct rule *r = rules_find(ruleset_rules(set), f->rule);
	struct alert_event ev = {.set = set, .proven = f->proven};

	cr_assert(r != NULL);
	ev.alert = (struct alert){.rule = r,
				  .state = (uint8_t)state,
				  .exempt = f->exempt,
				  .at_ns = (uint64_t)book_now_us() * 1000,
				  .since_ns = 1,
				  .fired_ns = 1,
				  .value = 3,
				  .n_by = r->by.n};
	for (uint32_t i = 0; i < r->by.n; i++) {
		if (r->by.v[i] == FF_DST_PORT)
			ev.alert.by[i] = (struct alert_value){
				.field = FF_DST_PORT, .present = true, .number = f->port};
		else
			ev.alert.by[i] = ip_value(r->by.v[i], i ? 10 : f->net, i ? 7 : f->host);
	}
	pthread_mutex_lock(&book->lock);
	cr_assert(eq(int, db_run(book->db, "BEGIN IMMEDIATE", ""), 0));
	cr_assert(eq(int, book_write(book, &ev), 0));
	cr_assert(eq(int, book_commit(book), 0));
	pthread_mutex_unlock(&book->lock);
}

static void fire(const char *rule, uint8_t host, bool proven)
{
	write_alert(&(struct firing){.rule = rule, .net = 192, .host = host, .proven = proven},
		    ALERT_FIRING);
}

/* ---- what has come of it ---- */

static json_t *ask(const char *command, const char *what, const char *key, const char *value)
{
	json_t *q = json_pack("{s:s,s:s}", "command", command, "what", what), *a;

	if (key && value[0] >= '0' && value[0] <= '9')
		json_object_set_new(q, key, json_integer((json_int_t)(value[0] - '0')));
	else if (key)
		json_object_set_new(q, key, json_string(value));
	a = book_ask(book, q, &root);
	json_decref(q);
	cr_assert(a != NULL);
	return a;
}

/* The latest decision in a state: "MODE REASON"; "": none. */
static const char *latest(const char *state)
{
	static char text[64];
	json_t *a = ask("decisions", "list", "state", state);
	const json_t *o = json_array_get(a, 0);

	text[0] = 0;
	if (!strcmp(json_string_value(json_object_get(o, "type")), "decision"))
		snprintf(text, sizeof(text), "%s %s", json_string_value(json_object_get(o, "mode")),
			 json_string_value(json_object_get(o, "reason")) ?: "");
	json_decref(a);
	return text;
}

static uint32_t number_of(const char *state)
{
	json_t *a = ask("decisions", "list", "state", state);
	const uint32_t n = (uint32_t)json_array_size(a) - 1;

	json_decref(a);
	return n;
}

static int64_t member_of(const char *state, const char *key)
{
	json_t *a = ask("decisions", "list", "state", state);
	const int64_t n = json_integer_value(json_object_get(json_array_get(a, 0), key));

	json_decref(a);
	return n;
}

/* All in force ends, as if its time had come. */
static void expire(void)
{
	pthread_mutex_lock(&book->lock);
	cr_assert(eq(int, db_run(book->db, "BEGIN IMMEDIATE", ""), 0));
	cr_assert(eq(int,
		     db_run(book->db, "UPDATE decision SET expires_us = 1 WHERE state = 'active'",
			    ""),
		     0));
	cr_assert(eq(int, decide_tick(book, book_now_us()), 0));
	cr_assert(eq(int, book_commit(book), 0));
	pthread_mutex_unlock(&book->lock);
}

/* A minute later: what was refused for the time being. */
static void look_again(void)
{
	static int64_t later;

	later += 61000000;
	pthread_mutex_lock(&book->lock);
	cr_assert(eq(int, db_run(book->db, "BEGIN IMMEDIATE", ""), 0));
	cr_assert(eq(int, decide_tick(book, book_now_us() + later), 0));
	cr_assert(eq(int, book_commit(book), 0));
	pthread_mutex_unlock(&book->lock);
}

/* The policy that nodes get: records in all, rules that act. */
static void policy_of(const char *file, uint32_t *ret_entries, uint32_t *ret_acting)
{
	const struct policy_bounds bounds = {.now = (uint64_t)time(NULL),
					     .expires_max = 31 * 86400};
	static uint8_t image[65536] __attribute__((aligned(16)));
	struct policy_error error;
	struct policy p;
	char path[128];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/policy/%s", dir, file);
	f = fopen(path, "r");
	cr_assert(f != NULL);
	n = fread(image, 1, sizeof(image), f);
	fclose(f);
	cr_assert(eq(int, policy_check(image, n, &bounds, &p, &error), 0), "%s", error.text);
	cr_assert(eq(int, policy_verify(image, n, book->publish.public, 1), 0));
	*ret_entries = p.n_addrs;
	*ret_acting = 0;
	for (uint32_t i = 0; i < p.n_rules; i++) {
		cr_expect(ne(u32, p.rules[i].flags & RULE_AUTOMATIC, 0));
		*ret_acting += !(p.rules[i].flags & RULE_SHADOW);
	}
}

static void expect_policy(const char *file, uint32_t entries, uint32_t acting)
{
	uint32_t e, a;

	policy_of(file, &e, &a);
	cr_expect(eq(u32, e, entries));
	cr_expect(eq(u32, a, acting));
}

/* ---- gates ---- */

Test(decide, a_proven_source_is_acted_on_and_a_forged_one_never)
{
	fire("act", 1, true);
	cr_expect(eq(str, (char *)latest("active"), "enforce "));
	expect_policy("policy.bin", 1, 1);
	fire("act", 2, false);
	cr_expect(eq(str, (char *)latest("refused"), "enforce forged"));
	fire("trusting", 3, true); /* its author did not ask for a handshake */
	cr_expect(eq(str, (char *)latest("refused"), "enforce forged"));
	cr_expect(eq(u32, number_of("refused"), 2));
	expect_policy("policy.bin", 1, 1);
}

Test(decide, what_is_exempt_stays_so)
{
	write_alert(&(struct firing){"act", 192, 1, 0, true, true}, ALERT_FIRING);
	cr_expect(eq(str, (char *)latest("refused"), "enforce exempt"));
	fire("act", 200, true);
	cr_expect(eq(str, (char *)latest("refused"), "enforce never_block"));
	fire("act", 100, true);
	cr_expect(eq(str, (char *)latest("refused"), "enforce agent"));
	fire("look", 1, true);
	cr_expect(eq(u32, number_of("all"), 3), "a rule that only detects proposes nothing");
}

Test(decide, who_was_attacked_is_not_blocked)
{
	write_alert(&(struct firing){"careless", 10, 5, 0, true, false}, ALERT_FIRING);
	cr_expect(eq(str, (char *)latest("refused"), "enforce victim"));
	write_alert(&(struct firing){"careless", 192, 5, 0, true, false}, ALERT_FIRING);
	cr_expect(eq(str, (char *)latest("active"), "enforce "), "a destination elsewhere is");
	write_alert(&(struct firing){"slow", 10, 5, 80, false, false}, ALERT_FIRING);
	cr_expect(eq(i64, member_of("active", "port"), 80), "a limit on its port is no block");
	expect_policy("policy.bin", 2, 2);
}

Test(decide, a_local_source_waits_for_somebody)
{
	write_alert(&(struct firing){"act", 10, 9, 0, true, false}, ALERT_FIRING);
	cr_expect(eq(str, (char *)latest("held"), "enforce internal"));
	expect_policy("policy.bin", 0, 0);
	json_decref(ask("decisions", "approve", "id", "1"));
	cr_expect(eq(str, (char *)latest("active"), "enforce "));
	expect_policy("policy.bin", 1, 1);
}

static void tick_at(int64_t us)
{
	pthread_mutex_lock(&book->lock);
	cr_assert(eq(int, db_run(book->db, "BEGIN IMMEDIATE", ""), 0));
	cr_assert(eq(int, decide_tick(book, us), 0));
	cr_assert(eq(int, book_commit(book), 0));
	pthread_mutex_unlock(&book->lock);
}

Test(decide, what_nobody_approves_does_not_wait_for_ever)
{
	const int64_t later = book_now_us() + INT64_C(601000000);

	write_alert(&(struct firing){"act", 10, 9, 0, true, false}, ALERT_FIRING);
	tick_at(later);
	cr_expect(eq(u32, number_of("held"), 1), "its alert goes on");
	write_alert(&(struct firing){"act", 10, 9, 0, true, false}, ALERT_RESOLVED);
	tick_at(later);
	cr_expect(eq(u32, number_of("held"), 0));
	cr_expect(eq(str, (char *)latest("expired"), "enforce internal"));
	write_alert(&(struct firing){"act", 10, 9, 0, true, false}, ALERT_FIRING);
	cr_expect(eq(i64, member_of("held", "ttl_s"), 600), "it was no offence");
	expect_policy("policy.bin", 0, 0);
}

Test(decide, approval_is_no_way_around_a_gate)
{
	write_alert(&(struct firing){"act", 10, 9, 0, true, false}, ALERT_FIRING);
	pthread_mutex_lock(&book->lock);
	book->cfg.decide.max = 0;
	pthread_mutex_unlock(&book->lock);
	json_decref(ask("decisions", "approve", "id", "1"));
	cr_expect(eq(u32, number_of("active"), 0));
	pthread_mutex_lock(&book->lock);
	book->cfg.decide.max = 20;
	agents = 10;
	pthread_mutex_unlock(&book->lock);
	json_decref(ask("decisions", "approve", "id", "1"));
	cr_expect(eq(u32, number_of("active"), 0), "it sends us flows by now");
	cr_expect(eq(u32, number_of("held"), 1));
}

Test(decide, modes_say_what_acts_where)
{
	fire("count", 1, true);
	fire("some", 2, true);
	cr_expect(eq(u32, number_of("active"), 2));
	expect_policy("policy.bin", 2, 0);
	expect_policy("canary.bin", 2, 1);
}

Test(decide, a_pair_is_one_rule)
{
	fire("two", 1, true);
	fire("two", 2, true);
	cr_expect(eq(u32, number_of("active"), 2));
	expect_policy("policy.bin", 2, 1);
}

/* ---- time ---- */

Test(decide, offenders_climb_the_ladder)
{
	static const int64_t ttl[] = {600, 3600, 86400, 86400};

	for (unsigned int i = 0; i < 4; i++) {
		fire("act", 1, true);
		cr_expect(eq(u32, number_of("active"), 1));
		cr_expect(eq(i64, member_of("active", "ttl_s"), ttl[i]));
		fire("act", 1, true);
		cr_expect(eq(u32, number_of("active"), 1), "one is enough");
		write_alert(&(struct firing){"act", 192, 1, 0, true, false}, ALERT_RESOLVED);
		expire();
		cr_expect(eq(u32, number_of("active"), 0));
	}
	expect_policy("policy.bin", 0, 0);
}

Test(decide, what_goes_on_is_decided_anew)
{
	fire("act", 1, true);
	expire();
	cr_expect(eq(u32, number_of("active"), 1));
	cr_expect(eq(i64, member_of("active", "ttl_s"), 3600));
}

/* ---- too many ---- */

Test(decide, a_rule_that_goes_wild_is_stopped)
{
	for (uint8_t i = 1; i <= 5; i++)
		fire("act", i, true);
	cr_expect(eq(u32, number_of("active"), 5));
	fire("act", 6, true);
	cr_expect(eq(str, (char *)latest("refused"), "enforce rate"));
	expect_policy("policy.bin", 5, 1);
	for (uint8_t i = 7; i <= 10; i++)
		fire("act", i, true);
	expect_policy("policy.bin", 5, 0); /* the breaker: all of it only counts */
	fire("act", 11, true);
	cr_expect(eq(str, (char *)latest("active"), "shadow "));
	json_decref(ask("decisions", "resume", NULL, NULL));
	expect_policy("policy.bin", 6, 1);
}

Test(decide, what_acts_already_stays_while_the_breaker_has_it_count)
{
	for (uint8_t i = 1; i <= 10; i++)
		fire("act", i, true);
	expect_policy("policy.bin", 5, 0);
	fire("act", 1, true);
	cr_expect(eq(u32, number_of("withdrawn"), 0));
	json_decref(ask("decisions", "resume", NULL, NULL));
	expect_policy("policy.bin", 5, 1);
}

Test(decide, none_at_all_is_no_reason_for_the_breaker)
{
	pthread_mutex_lock(&book->lock);
	book->cfg.decide.rate = 0;
	pthread_mutex_unlock(&book->lock);
	fire("act", 1, true);
	cr_expect(eq(str, (char *)latest("refused"), "enforce rate"));
	pthread_mutex_lock(&book->lock);
	cr_expect(not(decide_breaker(book)));
	pthread_mutex_unlock(&book->lock);
}

Test(decide, what_was_refused_for_want_of_room_is_looked_at_again)
{
	for (uint8_t i = 1; i <= 21; i++)
		fire("count", i, true);
	cr_expect(eq(str, (char *)latest("refused"), "shadow full"));
	look_again();
	cr_expect(eq(u32, number_of("refused"), 1), "no row for each time");
	json_decref(ask("decisions", "withdraw", "id", "1"));
	cr_expect(eq(u32, number_of("active"), 19));
	look_again();
	cr_expect(eq(u32, number_of("active"), 20));
	json_decref(ask("decisions", "withdraw", "id", "2"));
	look_again();
	cr_expect(eq(u32, number_of("active"), 19), "it was decided on once");
}

Test(decide, a_flood_of_refusals_is_a_number)
{
	json_t *a;

	for (unsigned int i = 0; i < 700; i++)
		fire("act", (uint8_t)(i % 90 + 1), false);
	cr_expect(eq(u64, book->decide.refused[GATE_FORGED], 700));
	a = ask("decisions", "list", "state", "refused");
	json_decref(a);
	pthread_mutex_lock(&book->lock);
	cr_expect(eq(i64, db_number(book->db, 0, "SELECT count(*) FROM decision", ""), 600));
	cr_expect(eq(i64, db_number(book->db, 0, "SELECT count(*) FROM audit", ""), 600));
	pthread_mutex_unlock(&book->lock);
	look_again();
	a = ask("audit", "list", NULL, NULL);
	cr_expect(eq(i64,
		     json_integer_value(json_object_get(
			     json_object_get(json_array_get(a, json_array_size(a) - 2), "detail"),
			     "forged")),
		     100));
	json_decref(a);
}

Test(decide, no_more_are_in_force_than_may_be)
{
	for (uint8_t i = 1; i <= 20; i++)
		fire("count", i, true);
	cr_expect(eq(u32, number_of("active"), 20));
	fire("count", 21, true);
	cr_expect(eq(str, (char *)latest("refused"), "shadow full"));
}

/* ---- rules and people ---- */

Test(decide, a_rule_takes_its_decisions_with_it)
{
	fire("act", 1, true);
	fire("act", 2, true);
	at_work(load("[rule act]\nmode = shadow\n"));
	cr_expect(eq(u32, number_of("active"), 0));
	cr_expect(eq(str, (char *)latest("withdrawn"), "enforce mode"));
	expect_policy("policy.bin", 0, 0);
	fire("act", 1, true);
	cr_expect(eq(str, (char *)latest("active"), "shadow "));
	cr_expect(eq(i64, member_of("active", "ttl_s"), 600), "what never acted is no offence");
}

Test(decide, who_comes_into_the_list_is_let_go)
{
	struct ruleset *now;

	fire("act", 1, true);
	now = load("");
	filter_free(now->never);
	now->never = set->never; /* of the old set, with another list */
	set->never = NULL;
	{
		static const char text[] = "src.ip in {192.0.2.1}";
		struct filter_error e;

		filter_free(now->never);
		cr_assert(eq(int, filter_parse(text, strlen(text), NULL, &now->never, &e), 0));
	}
	at_work(now);
	cr_expect(eq(str, (char *)latest("withdrawn"), "enforce never_block"));
}

Test(decide, who_becomes_exempt_is_let_go)
{
	fire("act", 1, true);
	fire("act", 2, true);
	at_work(load("[list admin]\nvalues = 192.0.2.1\n"));
	cr_expect(eq(str, (char *)latest("withdrawn"), "enforce exempt"));
	cr_expect(eq(u32, number_of("active"), 1), "the other is not");
	expect_policy("policy.bin", 1, 1);
	/* by another value of the rule's group than what it acts on */
	write_alert(&(struct firing){"act", 192, 2, 0, true, true}, ALERT_FIRING);
	cr_expect(eq(u32, number_of("active"), 0));
	expire();
	expect_policy("policy.bin", 0, 0);
}

Test(decide, an_exemption_holds_when_a_decision_is_renewed)
{
	fire("act", 1, true);
	write_alert(&(struct firing){"act", 192, 1, 0, true, true}, ALERT_FIRING);
	expire();
	cr_expect(eq(u32, number_of("active"), 0));
	expect_policy("policy.bin", 0, 0);
}

Test(decide, another_action_takes_the_place_of_what_was_decided)
{
	static char other[sizeof(some_rules) + 64];
	char *limit;

	write_alert(&(struct firing){"slow", 10, 5, 80, false, false}, ALERT_FIRING);
	fire("act", 1, true);
	memcpy(other, some_rules, sizeof(some_rules));
	limit = strstr(other, "100pps");
	cr_assert(limit != NULL);
	memcpy(limit, "200pps", 6);
	rules = other;
	at_work(load(""));
	cr_expect(eq(str, (char *)latest("withdrawn"), "enforce rule"));
	cr_expect(eq(u32, number_of("active"), 1), "what has not changed stays");
	write_alert(&(struct firing){"slow", 10, 5, 80, false, false}, ALERT_FIRING);
	cr_expect(eq(u32, number_of("active"), 2));
	expect_policy("policy.bin", 2, 2);
}

/* Rows as a collector of before has them: one rule, actions of two kinds, in turns. */
Test(decide, entries_of_different_actions_are_different_rules)
{
	static const char *const rates[] = {"100pps", "200pps"};

	for (uint8_t i = 1; i <= 4; i++)
		write_alert(&(struct firing){"slow", 10, i, 80, false, false}, ALERT_FIRING);
	pthread_mutex_lock(&book->lock);
	cr_assert(eq(int, db_run(book->db, "BEGIN IMMEDIATE", ""), 0));
	for (int64_t i = 1; i <= 4; i++)
		cr_assert(eq(int,
			     db_run(book->db, "UPDATE decision SET rate = ? WHERE id = ?", "ti",
				    rates[i % 2], i),
			     0));
	book->policy_dirty = true;
	cr_assert(eq(int, book_commit(book), 0));
	cr_expect(not(book->policy_dirty), "it could be made");
	pthread_mutex_unlock(&book->lock);
	expect_policy("policy.bin", 4, 2);
}

Test(decide, a_silenced_alert_is_not_acted_on)
{
	json_t *q = json_pack("{s:s,s:s,s:s,s:s}", "command", "alerts", "what", "silence", "rule",
			      "act", "for", "1h");

	json_decref(book_ask(book, q, &root));
	json_decref(q);
	fire("act", 1, true);
	cr_expect(eq(u32, number_of("all"), 1));
	cr_expect(eq(str, (char *)latest("refused"), "enforce silenced"));
	look_again();
	cr_expect(eq(u32, number_of("active"), 0), "it is silenced still");
	json_decref(ask("alerts", "unsilence", "id", "1"));
	look_again();
	cr_expect(eq(str, (char *)latest("active"), "enforce "), "the alert has outlasted it");
	cr_expect(eq(u32, number_of("all"), 2));
}

Test(decide, only_some_people_decide)
{
	const struct endpoint_peer guest = {geteuid() + 4711, "uid=4711 (guest)"};
	json_t *q = json_pack("{s:s,s:s,s:i}", "command", "decisions", "what", "withdraw", "id", 1),
	       *a;

	fire("act", 1, true);
	a = book_ask(book, q, &guest);
	cr_expect(eq(str, (char *)json_string_value(json_object_get(json_array_get(a, 0), "code")),
		     "permission"));
	json_decref(a);
	json_decref(q);
	cr_expect(eq(u32, number_of("active"), 1));
}

/* ---- alerts ---- */

static int64_t alerts_in(const char *state)
{
	json_t *a = ask("alerts", "list", "state", state);
	const int64_t n = (int64_t)json_array_size(a) - 1;

	json_decref(a);
	return n;
}

Test(decide, an_alert_that_no_engine_confirms_ends)
{
	fire("look", 1, true);
	at_work(load(""));
	pthread_mutex_lock(&book->lock);
	cr_assert(eq(int, book_tidy(book, book_now_us() + 60 * 1000000), 0));
	pthread_mutex_unlock(&book->lock);
	cr_expect(eq(i64, alerts_in("firing"), 1), "it has its window and a minute");
	pthread_mutex_lock(&book->lock);
	cr_assert(eq(int, book_tidy(book, book_now_us() + INT64_C(3600) * 1000000), 0));
	pthread_mutex_unlock(&book->lock);
	cr_expect(eq(i64, alerts_in("firing"), 0));
	cr_expect(eq(i64, alerts_in("resolved"), 1));
}

/* ---- files ---- */

Test(decide, a_database_that_is_gone_does_not_take_the_generation_with_it)
{
	char path[128];
	int64_t before;

	fire("act", 1, true);
	fire("act", 2, true);
	book_close(book);
	book = NULL;
	snprintf(path, sizeof(path), "%s/control.db", dir);
	cr_assert(eq(int, remove(path), 0));
	open_book();
	at_work(load(""));
	pthread_mutex_lock(&book->lock);
	before = book->publish.there;
	cr_expect(gt(i64, before, 1));
	cr_expect(gt(i64, book->publish.generation, before));
	pthread_mutex_unlock(&book->lock);
}

Test(decide, keys_are_whole_or_not_there)
{
	char key[128], next[128], text[200];
	uint8_t was[POLICY_KEY];
	struct stat st, later;

	snprintf(key, sizeof(key), "%s/policy/policy.pub", dir);
	snprintf(next, sizeof(next), "%s/policy/policy.key.next", dir);
	memcpy(was, book->publish.public, sizeof(was));
	cr_assert(eq(int, stat(key, &st), 0));
	book_close(book);
	book = NULL;
	put_file("policy/policy.pub.next", "half of a key"); /* of a crash */
	open_book();
	cr_assert(eq(int, stat(key, &later), 0));
	cr_expect(eq(u64, (uint64_t)later.st_ino, (uint64_t)st.st_ino), "it is right: it stays");
	cr_expect(eq(int, memcmp(was, book->publish.public, sizeof(was)), 0));
	book_close(book);
	book = NULL;
	put_file("policy/policy.pub", "half of a key");
	put_file("policy/policy.key.next", "half of a key");
	snprintf(text, sizeof(text), "%s/policy/policy.key", dir);
	cr_assert(eq(int, remove(text), 0));
	open_book();
	cr_assert(eq(int, stat(text, &st), 0));
	cr_expect(eq(u32, (uint32_t)(st.st_mode & 0777), 0600));
	cr_assert(eq(int, stat(key, &later), 0));
	cr_expect(gt(i64, (int64_t)later.st_size, 50));
	cr_expect(ne(int, access(next, F_OK), 0), "nothing is left of it");
	at_work(load(""));
	expect_policy("policy.bin", 0, 0);
}

/* ---- the log ---- */

Test(decide, the_audit_log_shows_what_was_changed)
{
	struct audit_state st;
	char head[AUDIT_HEX];

	fire("act", 1, true);
	fire("act", 2, false);
	pthread_mutex_lock(&book->lock);
	cr_assert(eq(int, audit_verify(book->db, "", &st), 0));
	cr_expect(eq(i64, st.entries, 2));
	cr_expect(eq(i64, st.broken, 0));
	memcpy(head, st.head, sizeof(head));
	cr_expect(ne(int, db_run(book->db, "DELETE FROM audit", ""), 0));
	cr_expect(ne(int, db_run(book->db, "UPDATE audit SET actor = 'x'", ""), 0));
	cr_assert(eq(int, db_run(book->db, "DROP TRIGGER audit_no_delete", ""), 0));
	cr_assert(eq(int, db_run(book->db, "DELETE FROM audit WHERE seq = 2", ""), 0));
	cr_assert(eq(int, audit_verify(book->db, head, &st), 0));
	cr_expect(not(st.found), "the end is missing");
	cr_assert(eq(int, db_run(book->db, "DELETE FROM audit", ""), 0));
	pthread_mutex_unlock(&book->lock);
}
