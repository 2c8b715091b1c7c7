// SPDX-License-Identifier: Apache-2.0
/*
 * test_promote.c - how far rules may go: what each mode asks for, who says so, what takes it away again.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "book_rig.h"

/* ---- conditions ---- */

struct judged {
	const char *name;
	enum rule_mode mode;
	int64_t v[_PROMOTE_MAX]; /* seen, decided, spared, withdrawn, breaker */
	char unmet[64];		 /* names, in order */
};

ParameterizedTestParameters(promote, what_a_mode_asks_for)
{
	static struct judged rows[] = {
		{"a draft asks for nothing", RM_DRAFT, {0}, ""},
		{"nothing is beyond prevent", RM_PREVENT, {0}, ""},
		{"detect, new", RM_DETECT, {0}, "seen "},
		{"detect, a second too early", RM_DETECT, {99}, "seen "},
		{"detect, long enough: decisions are not asked for", RM_DETECT, {100}, ""},
		{"detect, about ourselves once", RM_DETECT, {100, 0, 1}, "spared "},
		{"detect, the breaker was of others", RM_DETECT, {100, 0, 0, 0, 1}, ""},
		{"shadow, new", RM_SHADOW, {0}, "seen decided "},
		{"shadow, nothing would have been done", RM_SHADOW, {200, 1}, "decided "},
		{"shadow, all well", RM_SHADOW, {200, 2}, ""},
		{"shadow, time of detect is not enough", RM_SHADOW, {199, 2}, "seen "},
		{"shadow, about ourselves", RM_SHADOW, {200, 2, 1}, "spared "},
		{"shadow, somebody withdrew one", RM_SHADOW, {200, 2, 0, 1}, "withdrawn "},
		{"shadow, others tripped the breaker", RM_SHADOW, {200, 2, 0, 0, 1}, ""},
		{"canary, all well", RM_CANARY, {300, 2}, ""},
		{"canary, the breaker has acted", RM_CANARY, {300, 2, 0, 0, 1}, "breaker "},
		{"canary, everything is wrong",
		 RM_CANARY,
		 {0, 0, 1, 1, 1},
		 "seen decided spared withdrawn breaker "},
	};

	return cr_make_param_array(struct judged, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct judged *row, promote, what_a_mode_asks_for)
{
	const struct promote_cfg cfg = {.seen_us = {[RM_DETECT] = 99000001, /* rounded up */
						    [RM_SHADOW] = 200000000,
						    [RM_CANARY] = 300000000},
					.decisions = 2};
	struct promote_seen seen = {.mode = row->mode};
	struct promote_condition c[_PROMOTE_MAX];
	char unmet[sizeof(row->unmet)] = "";
	uint32_t n;

	memcpy(seen.v, row->v, sizeof(seen.v));
	n = promote_judge(&cfg, &seen, c);
	for (uint32_t i = 0; i < n; i++)
		if (!c[i].met)
			snprintf(unmet + strlen(unmet), sizeof(unmet) - strlen(unmet), "%s ",
				 promote_rows[c[i].id].name);
	cr_expect(eq(str, unmet, row->unmet), "%s", row->name);
}

/* ---- a book ---- */

static void begin(void)
{
	rig_begin();
	rig.book->cfg.promote = (struct promote_cfg){
		.seen_us = {[RM_DETECT] = 60000000, [RM_SHADOW] = 60000000, [RM_CANARY] = 60000000},
		.decisions = 1};
}

TestSuite(modes, .init = begin, .fini = rig_end, .timeout = 600);

static json_t *ask_as(const struct endpoint_peer *who, const char *what, const char *rule,
		      const char *to, const char *forced)
{
	json_t *q = json_pack("{s:s,s:s,s:s,s:s}", "command", "rules", "what", what, "name", rule,
			      "to", to),
	       *a;

	if (forced) {
		json_object_set_new(q, "force", json_true());
		json_object_set_new(q, "note", json_string(forced));
	}
	a = book_ask(rig.book, q, who);
	json_decref(q);
	cr_assert(a != NULL);
	return a;
}

/* "done", or what is said against it. */
static const char *said(json_t *a)
{
	static char text[512];
	const json_t *o = json_array_get(a, 0);
	const char *type = json_string_value(json_object_get(o, "type"));

	snprintf(text, sizeof(text), "%s",
		 strcmp(type, "error") ? type : json_string_value(json_object_get(o, "message")));
	json_decref(a);
	return text;
}

static const char *change(const char *what, const char *rule, const char *to)
{
	return said(ask_as(&rig_root, what, rule, to, NULL));
}

static void expect_said(const char *text, const char *part)
{
	cr_expect(strstr(text, part) != NULL, "'%s' does not say '%s'", text, part);
}

/* As the collector reads its rules again. */
static void read_again(const char *words)
{
	struct ruleset *set = rig_load(words);

	cr_assert(eq(int, book_modes(rig.book, set), 0));
	rig_at_work(set);
}

static int mode_at_work(const char *rule)
{
	const struct rule *r = rules_find(ruleset_rules(rig.book->set), rule);

	cr_assert(r != NULL);
	return r->mode;
}

static void look(int64_t seconds, int64_t canary)
{
	pthread_mutex_lock(&rig.book->lock);
	cr_assert(eq(int, modes_seen(rig.book, seconds * 1000000, canary * 1000000), 0));
	pthread_mutex_unlock(&rig.book->lock);
}

static int64_t entries(const char *action, const char *part)
{
	int64_t n;

	pthread_mutex_lock(&rig.book->lock);
	n = db_number(rig.book->db, -1,
		      "SELECT count(*) FROM audit WHERE action = ? AND instr(detail, ?)", "tt",
		      action, part);
	pthread_mutex_unlock(&rig.book->lock);
	return n;
}

Test(modes, a_rule_climbs_one_mode_at_a_time_once_all_was_seen)
{
	expect_said(change("promote", "look", "shadow"), "stays in detect: seen 0 of 60 s");
	expect_said(change("promote", "look", "canary"), "one mode after the other");
	look(59, 59);
	expect_said(change("promote", "look", "shadow"), "seen 59 of 60 s");
	look(1, 1);
	cr_expect(eq(str, (char *)change("promote", "look", "shadow"), "done"));
	read_again("");
	cr_expect(eq(int, mode_at_work("look"), RM_SHADOW));
	cr_expect(eq(i64, entries("rule.promoted", "\"seen\":60"), 1));

	expect_said(change("promote", "look", "canary"), "seen 0 of 60 s; decided 0 of 1");
	look(60, 0);
	expect_said(change("promote", "look", "canary"), "stays in shadow: decided 0 of 1");
	rig_fire("look", 1, true);
	cr_expect(eq(str, (char *)rig_latest("active"), "shadow "));
	cr_expect(eq(str, (char *)change("promote", "look", "canary"), "done"));
	read_again("");
	rig_expect_policy("policy.bin", 1, 0);

	rig_fire("look", 1, true);
	rig_expect_policy("canary.bin", 1, 1);
	look(600, 0);
	expect_said(change("promote", "look", "prevent"), "seen 0 of 60 s");
	look(0, 60);
	cr_expect(eq(str, (char *)change("promote", "look", "prevent"), "done"));
	expect_said(change("promote", "look", "prevent"), "already");
	cr_expect(eq(i64, entries("rule.promoted", ""), 3));
}

Test(modes, what_was_about_ourselves_keeps_a_rule_where_it_is)
{
	look(60, 60);
	rig_write_alert(&(struct rig_alert){"look", 10, 9, 0, true, false}, ALERT_FIRING);
	expect_said(change("promote", "look", "shadow"), "spared 1, at most 0");
	rig_fire("count", 200, true); /* never_block */
	rig_fire("count", 1, true);
	expect_said(change("promote", "count", "canary"), "spared 1, at most 0");
	rig_write_alert(&(struct rig_alert){"count", 10, 9, 0, true, false}, ALERT_FIRING);
	expect_said(change("promote", "count", "canary"), "spared 2, at most 0");
}

Test(modes, what_is_exempt_or_forged_counts_as_nothing)
{
	look(60, 60);
	rig_write_alert(&(struct rig_alert){"look", 192, 1, 0, true, true}, ALERT_FIRING);
	rig_fire("look", 2, false);
	cr_expect(eq(str, (char *)change("promote", "look", "shadow"), "done"));
}

Test(modes, what_somebody_withdrew_was_wrong)
{
	look(60, 60);
	rig_fire("count", 1, true);
	json_decref(rig_ask("decisions", "withdraw", "id", "1"));
	expect_said(change("promote", "count", "canary"),
		    "stays in shadow: withdrawn 1, at most 0");
}

Test(modes, the_breaker_keeps_a_canary_where_it_is)
{
	look(60, 60);
	rig_fire("some", 1, true);
	json_decref(rig_ask("decisions", "panic", NULL, NULL));
	json_decref(rig_ask("decisions", "resume", NULL, NULL));
	expect_said(change("promote", "some", "prevent"), "stays in canary: breaker 1, at most 0");
}

Test(modes, force_takes_a_reason_and_is_written_down)
{
	expect_said(said(ask_as(&rig_root, "promote", "look", "shadow", "")), "wants a note");
	cr_expect(eq(str, (char *)said(ask_as(&rig_root, "promote", "look", "shadow", "attack")),
		     "done"));
	cr_expect(eq(i64, entries("rule.promoted", "\"forced\":true"), 1));
	expect_said(said(ask_as(&rig_root, "promote", "look", "prevent", "attack")),
		    "one mode after the other");
	cr_expect(eq(i64, entries("rule.promoted", ""), 1), "what is refused is undone");
}

Test(modes, a_rule_that_has_changed_falls_back)
{
	const char *as_it_was = rig.rules;
	char *other = strdup(rig.rules), *at;

	cr_expect(eq(str, (char *)said(ask_as(&rig_root, "promote", "look", "shadow", "why")),
		     "done"));
	read_again("");
	cr_expect(eq(int, mode_at_work("look"), RM_SHADOW));
	rig_fire("look", 1, true);
	cr_expect(eq(u32, rig_number_of("active"), 1));
	while ((at = strstr(other, ">= 3")))
		at[3] = '2';
	rig.rules = other;
	read_again("");
	cr_expect(eq(int, mode_at_work("look"), RM_DETECT));
	cr_expect(eq(u32, rig_number_of("active"), 0), "what it decided went with it");
	cr_expect(eq(i64, entries("rule.changed", "\"from\":\"shadow\",\"to\":\"detect\""), 1));
	rig.rules = as_it_was;
	read_again("");
	cr_expect(eq(int, mode_at_work("look"), RM_DETECT), "nobody has approved it again");
	free(other);
}

Test(modes, a_lower_mode_stays_whatever_changes)
{
	char *other = strdup(rig.rules), *at;

	cr_expect(eq(str, (char *)change("demote", "act", "shadow"), "done"));
	while ((at = strstr(other, ">= 3")))
		at[3] = '4';
	rig.rules = other;
	read_again("");
	cr_expect(eq(int, mode_at_work("act"), RM_SHADOW), "its file says prevent");
	free(other);
}

Test(modes, going_down_takes_decisions_back)
{
	rig_fire("act", 1, true);
	rig_expect_policy("policy.bin", 1, 1);
	cr_expect(eq(str, (char *)change("demote", "act", "detect"), "done"));
	read_again("");
	cr_expect(eq(str, (char *)rig_latest("withdrawn"), "enforce mode"));
	rig_expect_policy("policy.bin", 0, 0);
	expect_said(change("demote", "act", "shadow"), "to go up is 'promote'");
}

Test(modes, they_outlast_a_restart)
{
	cr_expect(eq(str, (char *)said(ask_as(&rig_root, "promote", "look", "shadow", "why")),
		     "done"));
	look(7, 0);
	book_close(rig.book);
	rig_open_book();
	read_again("");
	cr_expect(eq(int, mode_at_work("look"), RM_SHADOW));
	rig.book->cfg.promote.seen_us[RM_SHADOW] = 60000000;
	expect_said(change("promote", "look", "canary"), "seen 7 of 60 s");
}

Test(modes, the_configuration_has_the_last_word)
{
	cr_expect(eq(str, (char *)said(ask_as(&rig_root, "promote", "look", "shadow", "why")),
		     "done"));
	read_again("[rule look]\nmode = canary\n");
	cr_expect(eq(int, mode_at_work("look"), RM_CANARY));
	expect_said(change("demote", "look", "detect"), "stands in the configuration");
	read_again("");
	cr_expect(eq(int, mode_at_work("look"), RM_DETECT), "what it took the place of is gone");
}

static const json_t *condition(const json_t *mode, const char *name)
{
	const json_t *c;
	size_t i;

	json_array_foreach(json_object_get(mode, "conditions"), i,
			   c) if (!strcmp(json_string_value(json_object_get(c, "name")),
					  name)) return c;
	return NULL;
}

Test(modes, what_is_missing_is_said_with_its_numbers)
{
	json_t *a;
	const json_t *c;

	look(7, 7);
	rig_fire("look", 1, true);
	a = rig_ask("rules", "show", "name", "look");
	cr_expect(eq(str, (char *)json_string_value(json_object_get(json_array_get(a, 0), "next")),
		     "shadow"));
	cr_expect(eq(int, json_is_false(json_object_get(json_array_get(a, 0), "ready")), 1));
	cr_expect(eq(i64, json_integer_value(json_object_get(json_array_get(a, 0), "would_decide")),
		     1));
	c = condition(json_array_get(a, 0), "seen");
	cr_expect(eq(i64, json_integer_value(json_object_get(c, "have")), 7));
	cr_expect(eq(i64, json_integer_value(json_object_get(c, "at_least")), 60));
	cr_expect(eq(int, json_is_false(json_object_get(c, "met")), 1));
	cr_expect(condition(json_array_get(a, 0), "decided") == NULL);
	json_decref(a);
	a = rig_ask("rules", "list", NULL, NULL);
	cr_expect(eq(sz, json_array_size(a), ruleset_rules(rig.book->set)->n + 1),
		  "all rules and an end");
	c = condition(json_array_get(a, 1), "spared");
	cr_expect(eq(int, json_is_true(json_object_get(c, "met")), 1));
	json_decref(a);
}

Test(modes, only_some_people_and_an_author_up_to_detect)
{
	const struct endpoint_peer other = {1 << 30, "uid=1073741824"};

	expect_said(said(ask_as(&other, "demote", "act", "detect", NULL)), "may look");
	cr_expect(eq(str, (char *)change("set", "look", "draft"), "done"));
	read_again("");
	cr_expect(eq(str, (char *)change("set", "look", "detect"), "done"));
	expect_said(change("set", "act", "detect"), "it takes an approver");
	expect_said(change("promote", "nothing", "shadow"), "no rule 'nothing'");
	expect_said(change("promote", "look", "war"), "want draft");
}
