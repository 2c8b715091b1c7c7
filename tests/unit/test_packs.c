// SPDX-License-Identifier: Apache-2.0
/*
 * test_packs.c - packs that are installed: put in, updated and taken away as a whole or not at all, never with more
 * rights than before, and marked when they are not as somebody has signed them.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collector/alerts/ruleset.h"
#include "collector/control/audit.h"
#include "pack_rig.h"

static struct pack_rig rig;
static struct pack_rig_file files[PACK_RIG_FILES];

static void begin(void)
{
	pack_rig_init(&rig);
	pack_rig_files(files);
	pack_rig_write(&rig, files, true);
}

static void end(void)
{
	pack_rig_done(&rig);
}

TestSuite(packs, .init = begin, .fini = end);

#define META(version)                                                           \
	"name: rig\nversion: " version "\nengine: 0.1.0\nlicence: Apache-2.0\n" \
	"params: { attempts: { default: 20, min: 5, max: 1000 } }\n"

static const char rule_head[] = "groups:\n- name: rig\n  rules:\n  - id: ";

/* rules/ssh.yaml with other first and last lines of its rule. */
static const char *rule(const char *id, const char *name, const char *more)
{
	static char text[1024];

	snprintf(text, sizeof(text),
		 "%s%s\n    name: %s\n    version: 1.0.1\n"
		 "    where: proto == tcp and dst.port == 22 and not (src.ip in @rig_known)\n"
		 "    window: { size: 60s, slide: 5s }\n    by: [src.ip]\n"
		 "    having: count() >= $attempts\n    labels: { severity: high }\n%s",
		 rule_head, id, name, more);
	return text;
}

#define ID "9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01"

static struct ruleset *load(void)
{
	static struct ruleset_errors errs;
	struct ruleset *set = NULL;

	cr_assert(eq(int, ruleset_load(rig.settings, &set, &errs), 0), "%s", errs.text);
	return set;
}

static const struct rule *only_rule(const struct ruleset *set)
{
	cr_assert(eq(u32, ruleset_rules(set)->n, 1));
	return &ruleset_rules(set)->v[0];
}

static unsigned int mode(void)
{
	struct ruleset *set = load();
	const unsigned int m = only_rule(set)->mode;

	ruleset_drop(set);
	return m;
}

static void expect_put(struct packs_change c, int want, const char *text)
{
	const int r = pack_rig_put(&rig, c);

	cr_expect(eq(int, r, want), "%s", rig.said);
	cr_expect(strstr(rig.said, text) != NULL, "'%s' is not in '%s'", text, rig.said);
}

/* "NAME VERSION STATE" of the only pack; "" there is none. */
static const char *installed(void)
{
	static char text[200];
	json_t *list = packs_list(rig.settings, rig.said), *o;

	cr_assert(list != NULL, "%s", rig.said);
	o = json_array_get(list, 0);
	text[0] = 0;
	if (o)
		snprintf(text, sizeof(text), "%s %s %s",
			 json_string_value(json_object_get(o, "name")),
			 json_string_value(json_object_get(o, "version")),
			 json_string_value(json_object_get(o, "state")));
	cr_expect(json_array_size(list) <= 1);
	json_decref(list);
	return text;
}

static void expect_installed(const char *want)
{
	cr_expect(eq(str, (char *)(uintptr_t)installed(), (char *)(uintptr_t)want));
}

Test(packs, are_installed_once_and_their_rules_are_at_work)
{
	struct ruleset *set;

	expect_put((struct packs_change){}, 0, "rig 1.0.0 is installed");
	expect_installed("rig 1.0.0 signed");
	set = load();
	cr_expect(eq(str, (char *)(uintptr_t)only_rule(set)->pack, "rig 1.0.0"));
	cr_expect(not(only_rule(set)->tainted));
	ruleset_drop(set);
	expect_put((struct packs_change){}, -EEXIST, "installed already");
}

Test(packs, are_refused_when_nobody_that_is_trusted_has_signed_them)
{
	struct ruleset *set;

	pack_rig_write(&rig, files, false);
	expect_put((struct packs_change){}, -EKEYREJECTED, "not signed");
	expect_installed("");
	expect_put((struct packs_change){.unsigned_too = true}, 0, "tainted");
	expect_installed("rig 1.0.0 unsigned");
	set = load();
	cr_expect(only_rule(set)->tainted);
	ruleset_drop(set);
}

Test(packs, are_refused_when_they_are_not_as_they_were_signed_whatever_is_said)
{
	char path[256];
	FILE *out = fopen(pack_rig_path(&rig, "pack/rules/ssh.yaml", path), "a");

	fputs("# more\n", out);
	fclose(out);
	expect_put((struct packs_change){.unsigned_too = true}, -EKEYREJECTED, "rules/ssh.yaml");
	expect_installed("");
}

Test(packs, are_tainted_once_somebody_has_changed_them)
{
	struct ruleset *set;
	char path[256];
	FILE *out;

	expect_put((struct packs_change){}, 0, "");
	out = fopen(pack_rig_path(&rig, "store/packs/rig/rules/ssh.yaml", path), "a");
	fputs("# more\n", out);
	fclose(out);
	expect_installed("rig 1.0.0 changed");
	set = load();
	cr_expect(only_rule(set)->tainted);
	ruleset_drop(set);
}

Test(packs, with_a_test_that_fails_are_refused)
{
	pack_rig_set(
		files, "tests/ssh.yaml",
		"rules: ../rules/ssh.yaml\ntests:\n- name: nineteen fire\n"
		"  flows: [ { series: \"tcp 192.0.2.7 -> 10.0.0.1:22 closed\", repeat: 19 } ]\n"
		"  expect: [ { filter: { count: 1 } } ]\n");
	pack_rig_write(&rig, files, true);
	expect_put((struct packs_change){}, -EBADMSG,
		   "1 of its 1 tests failed: tests/ssh.yaml:3: nineteen");
	expect_installed("");
	pack_rig_set(files, "tests/ssh.yaml", "rules: ../rules/ssh.yaml\n");
	pack_rig_write(&rig, files, true);
	expect_put((struct packs_change){}, -EBADMSG, "without tests");
}

Test(packs, have_tests_that_read_no_other_files)
{
	pack_rig_set(
		files, "tests/ssh.yaml",
		"rules: [ ../rules/ssh.yaml, ../../../key.pem ]\ntests:\n- name: a\n"
		"  flows: [ { file: /etc/hostname } ]\n  expect: [ { filter: { count: 0 } } ]\n");
	pack_rig_write(&rig, files, true);
	expect_put((struct packs_change){}, -EBADMSG,
		   "pack/tests/ssh.yaml:1:29: '../../../key.pem' is no file");
	cr_expect(strstr(rig.said, "'/etc/hostname' is no file of the pack") != NULL, "%s",
		  rig.said);
}

Test(packs, keep_to_their_directory)
{
	char path[256];

	cr_assert(
		eq(int, symlink("/etc/hostname", pack_rig_path(&rig, "pack/docs/a.md", path)), 0));
	expect_put((struct packs_change){}, -EBADMSG,
		   "docs/a.md: a pack has files and directories alone");
	unlink(path);
	cr_assert(eq(int, mkfifo(path, 0600), 0));
	expect_put((struct packs_change){}, -EBADMSG, "docs/a.md");
}

Test(packs, are_updated_and_not_to_something_older)
{
	expect_put((struct packs_change){.update = true}, -ENOENT, "not installed");
	expect_put((struct packs_change){}, 0, "");
	expect_put((struct packs_change){.update = true}, -ESTALE, "installed already");
	pack_rig_set(files, "pack.yaml", META("1.10.0"));
	pack_rig_write(&rig, files, true);
	expect_put((struct packs_change){.update = true}, 0, "rig 1.10.0 is updated");
	expect_installed("rig 1.10.0 signed");
	pack_rig_set(files, "docs/rig-ssh.md", "another page\n");
	pack_rig_write(&rig, files, true);
	expect_put((struct packs_change){.update = true}, -ESTALE, "no newer");
	pack_rig_set(files, "pack.yaml", META("1.9.0"));
	pack_rig_write(&rig, files, true);
	expect_put((struct packs_change){.update = true}, -ESTALE, "older");
	expect_installed("rig 1.10.0 signed");
	expect_put((struct packs_change){.update = true, .downgrade = true}, 0, "");
	expect_installed("rig 1.9.0 signed");
}

Test(packs, an_update_never_raises_a_mode)
{
	pack_rig_set(files, "rules/ssh.yaml", rule(ID, "rig-ssh", "    mode: prevent\n"));
	pack_rig_write(&rig, files, true);
	expect_put((struct packs_change){}, 0, "");
	cr_expect(eq(u32, mode(), RM_DETECT), "what a pack says does not count");
	rig.conf = "[rule rig-ssh]\nmode = shadow\n";
	pack_rig_settings(&rig);
	cr_expect(eq(u32, mode(), RM_SHADOW), "what the site says does");
	pack_rig_set(files, "pack.yaml", META("1.1.0"));
	pack_rig_write(&rig, files, true);
	expect_put((struct packs_change){.update = true}, 0, "");
	cr_expect(eq(u32, mode(), RM_SHADOW), "and stays");
	rig.conf = NULL;
	pack_rig_settings(&rig);
	cr_expect(eq(u32, mode(), RM_DETECT));
}

Test(packs, an_update_leaves_a_draft_a_draft)
{
	static char text[1024];

	snprintf(text, sizeof(text), "%s", rule(ID, "rig-ssh", "    mode: draft\n"));
	pack_rig_set(files, "rules/ssh.yaml", text);
	pack_rig_set(
		files, "tests/ssh.yaml",
		"rules: ../rules/ssh.yaml\ntests:\n- name: a draft is silent\n"
		"  flows: [ { series: \"tcp 192.0.2.7 -> 10.0.0.1:22 closed\", repeat: 20 } ]\n"
		"  expect: [ { filter: { count: 0 } } ]\n");
	pack_rig_write(&rig, files, true);
	expect_put((struct packs_change){}, 0, "");
	cr_expect(eq(u32, mode(), RM_DRAFT));
	pack_rig_files(files);
	for (int v = 1; v < 3; v++) { /* nor does the one after it */
		pack_rig_set(files, "pack.yaml", v == 1 ? META("1.1.0") : META("1.2.0"));
		pack_rig_write(&rig, files, true);
		expect_put((struct packs_change){.update = true}, 0, "");
		cr_expect(eq(u32, mode(), RM_DRAFT));
	}
	rig.conf = "[rule rig-ssh]\nmode = detect\n";
	pack_rig_settings(&rig);
	cr_expect(eq(u32, mode(), RM_DETECT), "somebody has looked at it");
}

Test(packs, a_rule_keeps_its_name_and_its_id)
{
	expect_put((struct packs_change){}, 0, "");
	pack_rig_set(files, "pack.yaml", META("1.1.0"));
	pack_rig_set(files, "rules/ssh.yaml",
		     rule("9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a02", "rig-ssh", ""));
	pack_rig_write(&rig, files, true);
	expect_put((struct packs_change){.update = true}, -EBADMSG, "keeps its name and its id");
	expect_installed("rig 1.0.0 signed");
}

Test(packs, ids_and_names_are_unique_over_packs)
{
	expect_put((struct packs_change){}, 0, "");
	pack_rig_set(files, "pack.yaml",
		     "name: other\nversion: 1.0.0\nengine: 0.1.0\nlicence: MIT\n"
		     "params: { attempts: { default: 20 } }\n");
	pack_rig_write(&rig, files, true);
	expect_put((struct packs_change){}, -EBADMSG, "a rule 'rig-ssh' is already in");
	expect_installed("rig 1.0.0 signed");
}

Test(packs, are_removed_unless_the_site_speaks_of_their_rules)
{
	const struct packs_change c = {.settings = rig.settings, .actor = "test", .name = "rig"};
	struct packs_change again = c;

	cr_expect(eq(int, packs_remove(&c, rig.said), -ENOENT));
	expect_put((struct packs_change){}, 0, "");
	rig.conf = "[rule rig-ssh]\nattempts = 7\n";
	pack_rig_settings(&rig);
	again.settings = rig.settings;
	cr_expect(eq(int, packs_remove(&again, rig.said), -EBADMSG));
	cr_expect(strstr(rig.said, "there is no rule 'rig-ssh'") != NULL, "%s", rig.said);
	expect_installed("rig 1.0.0 signed");
	rig.conf = NULL;
	pack_rig_settings(&rig);
	again.settings = rig.settings;
	cr_expect(eq(int, packs_remove(&again, rig.said), 0), "%s", rig.said);
	expect_installed("");
}

Test(packs, a_site_sets_their_parameters_and_lists)
{
	struct ruleset *set;

	expect_put((struct packs_change){}, 0, "");
	rig.conf = "[pack rig]\nattempts = 7\n[list rig_known]\nvalues = 192.0.2.1\n";
	pack_rig_settings(&rig);
	set = load();
	cr_expect(eq(str, (char *)(uintptr_t)set->packs.v[0].meta.params.v[0].value, "7"));
	cr_expect(eq(dbl, only_rule(set)->test->nodes[only_rule(set)->test->root].value, 7));
	ruleset_drop(set);
}

Test(packs, say_when_a_site_speaks_of_a_parameter_that_is_not_there)
{
	static struct ruleset_errors errs;
	struct ruleset *set = NULL;

	expect_put((struct packs_change){}, 0, "");
	rig.conf = "[pack rig]\nattempt = 7\n[pack other]\na = 1\n";
	pack_rig_settings(&rig);
	cr_expect(eq(int, ruleset_load(rig.settings, &set, &errs), -EINVAL));
	cr_expect(strstr(errs.text, "pack 'rig' has no parameter 'attempt'") != NULL, "%s",
		  errs.text);
	cr_expect(strstr(errs.text, "there is no pack 'other'") != NULL, "%s", errs.text);
}

Test(packs, every_change_is_in_the_audit_log)
{
	const struct packs_change c = {
		.settings = rig.settings, .actor = "uid=7 (a)", .name = "rig"};
	char path[256], error[DB_ERROR];
	struct audit_state st;
	struct db *d;
	json_t *list;

	expect_put((struct packs_change){}, 0, "");
	pack_rig_set(files, "pack.yaml", META("1.1.0"));
	pack_rig_write(&rig, files, true);
	expect_put((struct packs_change){.update = true}, 0, "");
	cr_assert(eq(int, packs_remove(&c, rig.said), 0), "%s", rig.said);
	cr_assert(eq(int, db_open(pack_rig_path(&rig, "store/control.db", path), error, &d), 0));
	list = audit_list(d, INT64_MAX, 10);
	cr_expect(eq(sz, json_array_size(list), 3));
	cr_expect(eq(str,
		     (char *)(uintptr_t)json_string_value(
			     json_object_get(json_array_get(list, 1), "action")),
		     "pack.updated"));
	cr_expect(eq(str,
		     (char *)(uintptr_t)json_string_value(
			     json_object_get(json_array_get(list, 2), "actor")),
		     "uid=7 (a)"));
	cr_expect(eq(int, audit_verify(d, "", &st), 0));
	cr_expect(eq(i64, st.broken, 0));
	json_decref(list);
	db_close(d);
}

/* One update after the other, there and back, until it is killed. */
static void update_for_ever(void)
{
	const struct packs_change c = {.update = true, .downgrade = true};

	for (unsigned int i = 0;; i++) {
		pack_rig_set(files, "pack.yaml", i % 2 ? META("1.0.0") : META("2.0.0"));
		pack_rig_write(&rig, files, true);
		(void)pack_rig_put(&rig, c);
	}
}

Test(packs, killed_in_the_midst_there_is_the_old_one_or_the_new_one, .timeout = 600)
{
	unsigned int olds = 0, news = 0;

	expect_put((struct packs_change){}, 0, "");
	for (unsigned int i = 0; i < 20; i++) {
		const struct timespec wait = {.tv_nsec = 3000000 + (i * 7919 % 40) * 1000000};
		const pid_t pid = fork();
		const char *state;

		if (!pid)
			update_for_ever();
		nanosleep(&wait, NULL);
		kill(pid, SIGKILL);
		cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
		state = installed();
		olds += !strcmp(state, "rig 1.0.0 signed");
		news += !strcmp(state, "rig 2.0.0 signed");
		ruleset_drop(load());
	}
	cr_expect(eq(u32, olds + news, 20));
	pack_rig_set(files, "pack.yaml", META("3.0.0"));
	pack_rig_write(&rig, files, true);
	expect_put((struct packs_change){.update = true}, 0, "rig 3.0.0 is updated");
	cr_expect(access(pack_rig_path(&rig, "store/packs/.new-rig", (char[256]){}), F_OK) != 0,
		  "nothing is left behind");
}
