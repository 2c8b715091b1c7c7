// SPDX-License-Identifier: Apache-2.0
/*
 * test_own_rules.c - rules that are put in one by one: as a whole or not at all, never beyond detect, with the id that
 * they have always had, and never in the place of one that stands elsewhere.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/alerts/own_rules.h"
#include "collector/alerts/ruleset.h"
#include "collector/control/audit.h"
#include "pack_rig.h"

static struct pack_rig rig;

static void begin(void)
{
	struct pack_rig_file files[PACK_RIG_FILES];

	pack_rig_init(&rig);
	pack_rig_files(files);
	pack_rig_write(&rig, files, true);
}

static void end(void)
{
	pack_rig_done(&rig);
}

TestSuite(own_rules, .init = begin, .fini = end);

#define ID "9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a9"

/* A file with the rule, the last digit of its id, its version, and lines behind it. */
static const char *file(const char *name, char digit, const char *version, const char *more)
{
	static char text[2048];

	snprintf(text, sizeof(text),
		 "groups:\n- name: own\n  rules:\n  - id: " ID "%c\n    name: %s\n"
		 "    version: %s\n    where: proto == tcp and dst.port == 22\n"
		 "    window: { size: 60s, slide: 5s }\n    by: [src.ip]\n"
		 "    having: count() >= 5\n%s",
		 digit, name, version, more);
	return text;
}

/* @text NULL: it is taken away. */
static int change(const char *name, const char *text, bool *ret_made)
{
	struct own_change c = {.settings = rig.settings,
			       .actor = "token:x",
			       .to = {name, text, text ? strlen(text) : 0}};
	const int r = own_rules_change(&c, rig.said);

	if (ret_made)
		*ret_made = c.made;
	return r;
}

static void expect_change(const char *name, const char *text, int want, const char *says)
{
	cr_expect(eq(int, change(name, text, NULL), want), "%s", rig.said);
	cr_expect(strstr(rig.said, says) != NULL, "'%s' is not in '%s'", says, rig.said);
}

/* "NAME VERSION" of all rules, with commas. */
static const char *at_work(void)
{
	static struct ruleset_errors errs;
	static char text[400];
	struct ruleset *set = NULL;

	cr_assert(eq(int, ruleset_load(rig.settings, &set, &errs), 0), "%s", errs.text);
	text[0] = 0;
	for (uint32_t i = 0; i < ruleset_rules(set)->n; i++) {
		const struct rule *r = &ruleset_rules(set)->v[i];
		const size_t at = strlen(text);

		snprintf(text + at, sizeof(text) - at, "%s%s %s%s", at ? "," : "", r->name,
			 r->version, r->own ? "" : " of others");
		cr_expect(r->mode <= RM_DETECT);
	}
	ruleset_drop(set);
	return text;
}

static void expect_at_work(const char *want)
{
	cr_expect(eq(str, (char *)(uintptr_t)at_work(), (char *)(uintptr_t)want));
}

Test(own_rules, one_is_put_in_replaced_and_taken_away)
{
	bool made;

	expect_at_work("");
	cr_assert(eq(int, change("a", file("a", '1', "1.0.0", ""), &made), 0), "%s", rig.said);
	cr_expect(made);
	cr_assert(eq(int, change("b", file("b", '2', "1.0.0", "    mode: draft\n"), &made), 0),
		  "%s", rig.said);
	expect_at_work("a 1.0.0,b 1.0.0");
	cr_assert(eq(int, change("a", file("a", '1', "1.1.0", ""), &made), 0), "%s", rig.said);
	cr_expect(not(made));
	expect_at_work("a 1.1.0,b 1.0.0");
	cr_assert(eq(int, change("a", NULL, NULL), 0), "%s", rig.said);
	expect_at_work("b 1.0.0");
	expect_change("a", NULL, -ENOENT, "there is no rule 'a'");
	expect_change("../a", NULL, -ENOENT, "there is no rule");
}

Test(own_rules, what_is_wrong_has_its_place_and_changes_nothing)
{
	static char broken[2048];

	cr_assert(eq(int, change("a", file("a", '1', "1.0.0", ""), NULL), 0), "%s", rig.said);
	snprintf(broken, sizeof(broken), "%s", file("a", '1', "1.1.0", ""));
	memcpy(strstr(broken, "port"), "prot", 4);
	expect_change("a", broken, -EBADMSG,
		      "text:7:29: unknown field 'dst.prot', did you mean 'dst.port'?");
	expect_change("a", "", -EBADMSG, "text: no rules in it");
	expect_change("a", file("b", '1', "1.1.0", ""), -EBADMSG,
		      "text:4:5: rule 'b': want rule 'a' alone");
	expect_change("a", file("a", '1', "1.1.0", "    mode: shadow\n"), -EBADMSG,
		      "text:4:5: mode shadow: it detects at most");
	expect_change("a",
		      file("a", '1', "1.1.0",
			   "  - id: " ID "3\n    name: c\n    version: 1.0.0\n"
			   "    where: proto == tcp\n"),
		      -EBADMSG, "text:11:5: rule 'c': want rule 'a' alone");
	expect_change("a", file("a", '4', "1.1.0", ""), -EEXIST, "it keeps it");
	expect_at_work("a 1.0.0");
}

#define FIRES(n)                                                                            \
	"tests:\n- name: five fire\n  flows: [ { series: \"tcp 10.0.0.9 -> 10.0.0.1:22\", " \
	"repeat: 5, every: 1s } ]\n  expect: [ { filter: { count: " n " } } ]\n"

Test(own_rules, its_tests_have_passed)
{
	expect_change("a", file("a", '1', "1.0.0", FIRES("0")), -EBADMSG,
		      "text:12:1: test failed: five fire: line 14: 0 alerts expected, 1 came");
	expect_change("a",
		      file("a", '1', "1.0.0",
			   "tests:\n- name: x\n  flows: [ { file: /etc/passwd } ]\n"
			   "  expect: [ { filter: { count: 0 } } ]\n"),
		      -EBADMSG, "these tests name no files");
	expect_change("a", file("a", '1', "1.0.0", "rules: /etc/passwd\ntests: []\n"), -EBADMSG,
		      "not of files");
	expect_at_work("");
	expect_change("a", file("a", '1', "1.0.0", FIRES("1")), 0, "");
	expect_at_work("a 1.0.0");
}

Test(own_rules, one_of_a_pack_is_the_packs)
{
	cr_assert(eq(int, pack_rig_put(&rig, (struct packs_change){}), 0), "%s", rig.said);
	expect_change("rig-ssh", file("rig-ssh", '1', "1.0.0", ""), -EEXIST, "stands in");
	expect_change("rig-ssh", NULL, -EEXIST, "and is changed there");
	cr_expect(strstr(at_work(), "of others") != NULL);
}

Test(own_rules, one_that_others_need_stays)
{
	static const char chain[] =
		"groups:\n- name: own\n  rules:\n  - id: " ID "5\n    name: chain\n"
		"    version: 1.0.0\n"
		"    correlate: { type: temporal, rules: [a, b], by: host, within: 1h }\n";

	cr_assert(eq(int, change("a", file("a", '1', "1.0.0", ""), NULL), 0), "%s", rig.said);
	expect_change("chain", chain, -EBADMSG, "b");
	cr_assert(eq(int, change("b", file("b", '2', "1.0.0", ""), NULL), 0), "%s", rig.said);
	expect_change("chain", chain, 0, "");
	expect_change("a", NULL, -ESTALE, "'a'");
	expect_at_work("a 1.0.0,b 1.0.0,chain 1.0.0");
}

Test(own_rules, what_a_crash_has_left_is_no_rule)
{
	char path[256];
	int fd;

	cr_assert(eq(int, change("a", file("a", '1', "1.0.0", ""), NULL), 0), "%s", rig.said);
	fd = open(pack_rig_path(&rig, "store/rules/.next", path), O_WRONLY | O_CREAT, 0644);
	cr_assert(fd >= 0);
	cr_assert(eq(i64, write(fd, "groups:\n- ", 10), 10));
	close(fd);
	expect_at_work("a 1.0.0");
	cr_assert(eq(int, change("a", file("a", '1', "1.2.0", ""), NULL), 0), "%s", rig.said);
	expect_at_work("a 1.2.0");
}

Test(own_rules, who_did_what_is_written_down_first)
{
	static const char *const want[] = {"rule.removed", "rule.replaced", "rule.made"};
	char path[256], error[DB_ERROR];
	json_t *list;
	struct db *d;

	cr_assert(eq(int, change("a", file("a", '1', "1.0.0", ""), NULL), 0), "%s", rig.said);
	cr_assert(eq(int, change("a", file("a", '1', "1.1.0", ""), NULL), 0), "%s", rig.said);
	expect_change("a", file("a", '4', "1.1.0", ""), -EEXIST, "");
	cr_assert(eq(int, change("a", NULL, NULL), 0), "%s", rig.said);
	cr_assert(eq(int, db_open(pack_rig_path(&rig, "store/control.db", path), error, &d), 0),
		  "%s", error);
	list = audit_list(d, INT64_MAX, 10);
	cr_expect(eq(sz, json_array_size(list), 3));
	for (size_t i = 0; i < 3; i++) {
		const json_t *o = json_array_get(list, i);

		cr_expect(eq(str, (char *)json_string_value(json_object_get(o, "action")),
			     (char *)(uintptr_t)want[2 - i]));
		cr_expect(
			eq(str, (char *)json_string_value(json_object_get(o, "actor")), "token:x"));
		cr_expect(
			eq(str, (char *)json_string_value(json_object_get(o, "object")), "rule a"));
	}
	json_decref(list);
	db_close(d);
}
