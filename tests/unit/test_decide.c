// SPDX-License-Identifier: Apache-2.0
/*
 * test_decide.c - from alerts to decisions and the policy that says them: every gate, the ladder, what ends a
 * decision, the breaker, people.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "book_rig.h"

TestSuite(decide, .init = rig_begin, .fini = rig_end, .timeout = 120);

/* ---- gates ---- */

Test(decide, a_proven_source_is_acted_on_and_a_forged_one_never)
{
	rig_fire("act", 1, true);
	cr_expect(eq(str, (char *)rig_latest("active"), "enforce "));
	rig_expect_policy("policy.bin", 1, 1);
	rig_fire("act", 2, false);
	cr_expect(eq(str, (char *)rig_latest("refused"), "enforce forged"));
	rig_fire("trusting", 3, true); /* its author did not ask for a handshake */
	cr_expect(eq(str, (char *)rig_latest("refused"), "enforce forged"));
	cr_expect(eq(u32, rig_number_of("refused"), 2));
	rig_expect_policy("policy.bin", 1, 1);
}

Test(decide, what_is_exempt_stays_so)
{
	rig_write_alert(&(struct rig_alert){"act", 192, 1, 0, true, true}, ALERT_FIRING);
	cr_expect(eq(str, (char *)rig_latest("refused"), "enforce exempt"));
	rig_fire("act", 200, true);
	cr_expect(eq(str, (char *)rig_latest("refused"), "enforce never_block"));
	rig_fire("act", 100, true);
	cr_expect(eq(str, (char *)rig_latest("refused"), "enforce agent"));
	rig_fire("look", 1, true);
	cr_expect(eq(u32, rig_number_of("all"), 3), "a rule that only detects proposes nothing");
}

Test(decide, who_was_attacked_is_not_blocked)
{
	rig_write_alert(&(struct rig_alert){"careless", 10, 5, 0, true, false}, ALERT_FIRING);
	cr_expect(eq(str, (char *)rig_latest("refused"), "enforce victim"));
	rig_write_alert(&(struct rig_alert){"careless", 192, 5, 0, true, false}, ALERT_FIRING);
	cr_expect(eq(str, (char *)rig_latest("active"), "enforce "), "a destination elsewhere is");
	rig_write_alert(&(struct rig_alert){"slow", 10, 5, 80, false, false}, ALERT_FIRING);
	cr_expect(eq(i64, rig_member_of("active", "port"), 80), "a limit on its port is no block");
	rig_expect_policy("policy.bin", 2, 2);
}

Test(decide, a_local_source_waits_for_somebody)
{
	rig_write_alert(&(struct rig_alert){"act", 10, 9, 0, true, false}, ALERT_FIRING);
	cr_expect(eq(str, (char *)rig_latest("held"), "enforce internal"));
	rig_expect_policy("policy.bin", 0, 0);
	json_decref(rig_ask("decisions", "approve", "id", "1"));
	cr_expect(eq(str, (char *)rig_latest("active"), "enforce "));
	rig_expect_policy("policy.bin", 1, 1);
}

Test(decide, what_nobody_approves_does_not_wait_for_ever)
{
	const int64_t later = book_now_us() + INT64_C(601000000);

	rig_write_alert(&(struct rig_alert){"act", 10, 9, 0, true, false}, ALERT_FIRING);
	rig_tick_at(later);
	cr_expect(eq(u32, rig_number_of("held"), 1), "its alert goes on");
	rig_write_alert(&(struct rig_alert){"act", 10, 9, 0, true, false}, ALERT_RESOLVED);
	rig_tick_at(later);
	cr_expect(eq(u32, rig_number_of("held"), 0));
	cr_expect(eq(str, (char *)rig_latest("expired"), "enforce internal"));
	rig_write_alert(&(struct rig_alert){"act", 10, 9, 0, true, false}, ALERT_FIRING);
	cr_expect(eq(i64, rig_member_of("held", "ttl_s"), 600), "it was no offence");
	rig_expect_policy("policy.bin", 0, 0);
}

Test(decide, approval_is_no_way_around_a_gate)
{
	rig_write_alert(&(struct rig_alert){"act", 10, 9, 0, true, false}, ALERT_FIRING);
	pthread_mutex_lock(&rig.book->lock);
	rig.book->cfg.decide.max = 0;
	pthread_mutex_unlock(&rig.book->lock);
	json_decref(rig_ask("decisions", "approve", "id", "1"));
	cr_expect(eq(u32, rig_number_of("active"), 0));
	pthread_mutex_lock(&rig.book->lock);
	rig.book->cfg.decide.max = 20;
	rig.agents = 10;
	pthread_mutex_unlock(&rig.book->lock);
	json_decref(rig_ask("decisions", "approve", "id", "1"));
	cr_expect(eq(u32, rig_number_of("active"), 0), "it sends us flows by now");
	cr_expect(eq(u32, rig_number_of("held"), 1));
}

Test(decide, packets_are_kept_of_whom_an_alert_is_about)
{
	rig.book->cfg.decide.max = 0; /* it is in no decision's way, and none in its */
	rig_fire("keep", 1, false);
	rig_fire("keep", 1, false);
	cr_expect(eq(u32, rig_number_of("active"), 1), "one is enough");
	cr_expect(eq(i64, rig_member_of("active", "ttl_s"), 120));
	cr_expect(eq(str, (char *)rig_latest("active"), "enforce "));
	rig_fire("keep", 2, false);
	rig_expect_policy("policy.bin", 0,
			  1); /* one rule, and nothing that leads the kernel to it */
	rig_write_alert(&(struct rig_alert){"keep", 192, 3, 0, true, true}, ALERT_FIRING);
	cr_expect(eq(u32, rig_number_of("all"), 2), "who is exempt is not captured");
	rig_expire();
	cr_expect(eq(u32, rig_number_of("active"), 0), "an alert that goes on has its file");
	cr_expect(eq(u32, rig_number_of("all"), 2));
	rig_expect_policy("policy.bin", 0, 0);
}

Test(decide, modes_say_what_acts_where)
{
	rig_fire("count", 1, true);
	rig_fire("some", 2, true);
	cr_expect(eq(u32, rig_number_of("active"), 2));
	rig_expect_policy("policy.bin", 2, 0);
	rig_expect_policy("canary.bin", 2, 1);
}

Test(decide, a_pair_is_one_rule)
{
	rig_fire("two", 1, true);
	rig_fire("two", 2, true);
	cr_expect(eq(u32, rig_number_of("active"), 2));
	rig_expect_policy("policy.bin", 2, 1);
}

/* ---- time ---- */

Test(decide, offenders_climb_the_ladder)
{
	static const int64_t ttl[] = {600, 3600, 86400, 86400};

	for (unsigned int i = 0; i < 4; i++) {
		rig_fire("act", 1, true);
		cr_expect(eq(u32, rig_number_of("active"), 1));
		cr_expect(eq(i64, rig_member_of("active", "ttl_s"), ttl[i]));
		rig_fire("act", 1, true);
		cr_expect(eq(u32, rig_number_of("active"), 1), "one is enough");
		rig_write_alert(&(struct rig_alert){"act", 192, 1, 0, true, false}, ALERT_RESOLVED);
		rig_expire();
		cr_expect(eq(u32, rig_number_of("active"), 0));
	}
	rig_expect_policy("policy.bin", 0, 0);
}

Test(decide, what_goes_on_is_decided_anew)
{
	rig_fire("act", 1, true);
	rig_expire();
	cr_expect(eq(u32, rig_number_of("active"), 1));
	cr_expect(eq(i64, rig_member_of("active", "ttl_s"), 3600));
}

/* One decision of each kind; the first is held. */
static void fire_all(void)
{
	rig_write_alert(&(struct rig_alert){"act", 10, 9, 0, true, false}, ALERT_FIRING);
	rig_fire("count", 2, true);
	rig_fire("some", 3, true);
	rig_fire("two", 4, true);
	rig_write_alert(&(struct rig_alert){"slow", 10, 5, 80, false, false}, ALERT_FIRING);
}

Test(decide, no_decision_without_an_end)
{
	static const char endless[] =
		"SELECT count(*) FROM decision WHERE state = 'active' AND (expires_us IS NULL"
		" OR expires_us <= made_us OR expires_us - made_us > 86400000000)";

	fire_all();
	json_decref(rig_ask("decisions", "approve", "id", "1"));
	cr_expect(eq(u32, rig_number_of("active"), 5));
	pthread_mutex_lock(&rig.book->lock);
	cr_expect(eq(i64, db_number(rig.book->db, -1, endless, ""), 0));
	pthread_mutex_unlock(&rig.book->lock);
	/* nor an entry that a node gets: policy_check() wants one of each */
	rig_expect_policy("policy.bin", 5, 3);
}

/* ---- too many ---- */

Test(decide, a_rule_that_goes_wild_is_stopped)
{
	for (uint8_t i = 1; i <= 5; i++)
		rig_fire("act", i, true);
	cr_expect(eq(u32, rig_number_of("active"), 5));
	rig_fire("act", 6, true);
	cr_expect(eq(str, (char *)rig_latest("refused"), "enforce rate"));
	rig_expect_policy("policy.bin", 5, 1);
	for (uint8_t i = 7; i <= 10; i++)
		rig_fire("act", i, true);
	rig_expect_policy("policy.bin", 5, 0); /* the breaker: all of it only counts */
	rig_fire("act", 11, true);
	cr_expect(eq(str, (char *)rig_latest("active"), "shadow "));
	json_decref(rig_ask("decisions", "resume", NULL, NULL));
	rig_expect_policy("policy.bin", 6, 1);
}

Test(decide, what_acts_already_stays_while_the_breaker_has_it_count)
{
	for (uint8_t i = 1; i <= 10; i++)
		rig_fire("act", i, true);
	rig_expect_policy("policy.bin", 5, 0);
	rig_fire("act", 1, true);
	cr_expect(eq(u32, rig_number_of("withdrawn"), 0));
	json_decref(rig_ask("decisions", "resume", NULL, NULL));
	rig_expect_policy("policy.bin", 5, 1);
}

Test(decide, somebody_stops_them_all)
{
	json_t *a;

	rig_fire("act", 1, true);
	rig_expect_policy("policy.bin", 1, 1);
	json_decref(rig_ask("decisions", "panic", NULL, NULL));
	cr_expect(decide_breaker(rig.book));
	rig_expect_policy("policy.bin", 1, 0);
	rig_fire("act", 2, true);
	cr_expect(eq(str, (char *)rig_latest("active"), "shadow "));
	json_decref(rig_ask("decisions", "panic", NULL, NULL)); /* is no mistake */
	a = rig_ask("audit", "list", NULL, NULL);
	for (size_t i = 0, n = 0; i < json_array_size(a); i++) {
		const json_t *o = json_array_get(a, i);

		n += !strcmp(book_text(o, "action"), "breaker.tripped");
		if (i + 1 == json_array_size(a))
			cr_expect(eq(sz, n, 1));
		if (!strcmp(book_text(o, "action"), "breaker.tripped"))
			cr_expect(
				eq(str, (char *)(uintptr_t)book_text(o, "actor"), "uid=0 (root)"));
	}
	json_decref(a);
	json_decref(rig_ask("decisions", "resume", NULL, NULL));
	cr_expect(not(decide_breaker(rig.book)));
	rig_expect_policy("policy.bin", 2, 1);
}

Test(decide, none_at_all_is_no_reason_for_the_breaker)
{
	pthread_mutex_lock(&rig.book->lock);
	rig.book->cfg.decide.rate = 0;
	pthread_mutex_unlock(&rig.book->lock);
	rig_fire("act", 1, true);
	cr_expect(eq(str, (char *)rig_latest("refused"), "enforce rate"));
	pthread_mutex_lock(&rig.book->lock);
	cr_expect(not(decide_breaker(rig.book)));
	pthread_mutex_unlock(&rig.book->lock);
}

Test(decide, what_was_refused_for_want_of_room_is_looked_at_again)
{
	for (uint8_t i = 1; i <= 21; i++)
		rig_fire("count", i, true);
	cr_expect(eq(str, (char *)rig_latest("refused"), "shadow full"));
	rig_look_again();
	cr_expect(eq(u32, rig_number_of("refused"), 1), "no row for each time");
	json_decref(rig_ask("decisions", "withdraw", "id", "1"));
	cr_expect(eq(u32, rig_number_of("active"), 19));
	rig_look_again();
	cr_expect(eq(u32, rig_number_of("active"), 20));
	json_decref(rig_ask("decisions", "withdraw", "id", "2"));
	rig_look_again();
	cr_expect(eq(u32, rig_number_of("active"), 19), "it was decided on once");
}

Test(decide, a_flood_of_refusals_is_a_number)
{
	json_t *a;

	rig_many("act", 700);
	cr_expect(eq(u64, rig.book->decide.refused[GATE_FORGED], 700));
	a = rig_ask("decisions", "list", "state", "refused");
	json_decref(a);
	pthread_mutex_lock(&rig.book->lock);
	cr_expect(eq(i64, db_number(rig.book->db, 0, "SELECT count(*) FROM decision", ""), 600));
	cr_expect(eq(i64, db_number(rig.book->db, 0, "SELECT count(*) FROM audit", ""), 600));
	pthread_mutex_unlock(&rig.book->lock);
	rig_look_again();
	a = rig_ask("audit", "list", NULL, NULL);
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
		rig_fire("count", i, true);
	cr_expect(eq(u32, rig_number_of("active"), 20));
	rig_fire("count", 21, true);
	cr_expect(eq(str, (char *)rig_latest("refused"), "shadow full"));
}

/* ---- rules and people ---- */

Test(decide, a_rule_takes_its_decisions_with_it)
{
	rig_fire("act", 1, true);
	rig_fire("act", 2, true);
	rig_at_work(rig_load("[rule act]\nmode = shadow\n"));
	cr_expect(eq(u32, rig_number_of("active"), 0));
	cr_expect(eq(str, (char *)rig_latest("withdrawn"), "enforce mode"));
	rig_expect_policy("policy.bin", 0, 0);
	rig_fire("act", 1, true);
	cr_expect(eq(str, (char *)rig_latest("active"), "shadow "));
	cr_expect(eq(i64, rig_member_of("active", "ttl_s"), 600), "what never acted is no offence");
}

Test(decide, who_comes_into_the_list_is_let_go)
{
	struct ruleset *now;

	rig_fire("act", 1, true);
	now = rig_load("");
	filter_free(now->never);
	now->never = rig.book->set->never; /* of the old rig.book->set, with another list */
	rig.book->set->never = NULL;
	{
		static const char text[] = "src.ip in {192.0.2.1}";
		struct filter_error e;

		filter_free(now->never);
		cr_assert(eq(int, filter_parse(text, strlen(text), NULL, &now->never, &e), 0));
	}
	rig_at_work(now);
	cr_expect(eq(str, (char *)rig_latest("withdrawn"), "enforce never_block"));
}

Test(decide, who_becomes_exempt_is_let_go)
{
	rig_fire("act", 1, true);
	rig_fire("act", 2, true);
	rig_at_work(rig_load("[list admin]\nvalues = 192.0.2.1\n"));
	cr_expect(eq(str, (char *)rig_latest("withdrawn"), "enforce exempt"));
	cr_expect(eq(u32, rig_number_of("active"), 1), "the other is not");
	rig_expect_policy("policy.bin", 1, 1);
	/* by another value of the rule's group than what it acts on */
	rig_write_alert(&(struct rig_alert){"act", 192, 2, 0, true, true}, ALERT_FIRING);
	cr_expect(eq(u32, rig_number_of("active"), 0));
	rig_expire();
	rig_expect_policy("policy.bin", 0, 0);
}

Test(decide, an_exemption_holds_when_a_decision_is_renewed)
{
	rig_fire("act", 1, true);
	rig_write_alert(&(struct rig_alert){"act", 192, 1, 0, true, true}, ALERT_FIRING);
	rig_expire();
	cr_expect(eq(u32, rig_number_of("active"), 0));
	rig_expect_policy("policy.bin", 0, 0);
}

Test(decide, another_action_takes_the_place_of_what_was_decided)
{
	static char other[8192];
	char *limit;

	rig_write_alert(&(struct rig_alert){"slow", 10, 5, 80, false, false}, ALERT_FIRING);
	rig_fire("act", 1, true);
	snprintf(other, sizeof(other), "%s", rig.rules);
	limit = strstr(other, "100pps");
	cr_assert(limit != NULL);
	memcpy(limit, "200pps", 6);
	rig.rules = other;
	rig_at_work(rig_load(""));
	cr_expect(eq(str, (char *)rig_latest("withdrawn"), "enforce rule"));
	cr_expect(eq(u32, rig_number_of("active"), 1), "what has not changed stays");
	rig_write_alert(&(struct rig_alert){"slow", 10, 5, 80, false, false}, ALERT_FIRING);
	cr_expect(eq(u32, rig_number_of("active"), 2));
	rig_expect_policy("policy.bin", 2, 2);
}

/* Rows as a collector of before has them: one rule, actions of two kinds, in turns. */
Test(decide, entries_of_different_actions_are_different_rules)
{
	static const char *const rates[] = {"100pps", "200pps"};

	for (uint8_t i = 1; i <= 4; i++)
		rig_write_alert(&(struct rig_alert){"slow", 10, i, 80, false, false}, ALERT_FIRING);
	pthread_mutex_lock(&rig.book->lock);
	cr_assert(eq(int, db_run(rig.book->db, "BEGIN IMMEDIATE", ""), 0));
	for (int64_t i = 1; i <= 4; i++)
		cr_assert(eq(int,
			     db_run(rig.book->db, "UPDATE decision SET rate = ? WHERE id = ?", "ti",
				    rates[i % 2], i),
			     0));
	rig.book->policy_dirty = true;
	cr_assert(eq(int, book_commit(rig.book), 0));
	cr_expect(not(rig.book->policy_dirty), "it could be made");
	pthread_mutex_unlock(&rig.book->lock);
	rig_expect_policy("policy.bin", 4, 2);
}

Test(decide, a_silenced_alert_is_not_acted_on)
{
	json_t *q = json_pack("{s:s,s:s,s:s,s:s}", "command", "alerts", "what", "silence", "rule",
			      "act", "for", "1h");

	json_decref(book_ask(rig.book, q, &rig_root));
	json_decref(q);
	rig_fire("act", 1, true);
	cr_expect(eq(u32, rig_number_of("all"), 1));
	cr_expect(eq(str, (char *)rig_latest("refused"), "enforce silenced"));
	rig_look_again();
	cr_expect(eq(u32, rig_number_of("active"), 0), "it is silenced still");
	json_decref(rig_ask("alerts", "unsilence", "id", "1"));
	rig_look_again();
	cr_expect(eq(str, (char *)rig_latest("active"), "enforce "), "the alert has outlasted it");
	cr_expect(eq(u32, rig_number_of("all"), 2));
}

Test(decide, only_some_people_decide)
{
	const struct endpoint_peer guest = {geteuid() + 4711, "uid=4711 (guest)"};
	json_t *q = json_pack("{s:s,s:s,s:i}", "command", "decisions", "what", "withdraw", "id", 1),
	       *a;

	rig_fire("act", 1, true);
	a = book_ask(rig.book, q, &guest);
	cr_expect(eq(str, (char *)json_string_value(json_object_get(json_array_get(a, 0), "code")),
		     "permission"));
	json_decref(a);
	json_decref(q);
	cr_expect(eq(u32, rig_number_of("active"), 1));
}
