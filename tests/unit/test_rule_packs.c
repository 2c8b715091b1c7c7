// SPDX-License-Identifier: Apache-2.0
/*
 * test_rule_packs.c - the rules that come with weir: their tests pass, and each rule has one that fires
 * and one that must not.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rules/test_run.h"
#include "collector/rules/yaml.h"

#define PACKS "packaging/rules/*.yaml"

static void tell(void *arg, const struct test_result *r)
{
	++*(unsigned int *)arg;
	cr_expect(r->ok, "%s: %s", r->name, r->why);
	cr_expect(r->flows > 0, "%s", r->name);
}

static void run_file(const char *path)
{
	struct rule_files files;
	struct site site;
	unsigned int tests = 0;

	site_init(&site);
	rule_files_init(&files, &site);
	cr_expect(eq(int, tests_run(&files, path, tell, &tests), 0), "%s: line %u: %s", path,
		  files.n_errors ? files.errors[0].errs.list[0].line : 0,
		  files.n_errors ? files.errors[0].errs.list[0].text : "");
	cr_expect(tests > 0, "%s", path);
	for (uint32_t i = 0; i < files.set.n; i++) {
		cr_expect(files.set.v[i].description != NULL, "%s", files.set.v[i].name);
		cr_expect(files.set.v[i].mode == RM_DETECT, "%s", files.set.v[i].name);
	}
	rule_files_done(&files);
	site_done(&site);
}

Test(rule_packs, pass_their_tests)
{
	glob_t g = {};

	cr_assert(eq(int, glob(PACKS, 0, NULL, &g), 0));
	cr_assert(g.gl_pathc >= 7);
	for (size_t i = 0; i < g.gl_pathc; i++)
		run_file(g.gl_pathv[i]);
	globfree(&g);
}

/* Do the file's tests expect alerts of the rule (@fires), or none? No rule named: of any. */
static bool has_test(const struct yaml *y, const char *rule, bool fires)
{
	const uint32_t tests = yaml_get(y, y->root, "tests");

	for (uint32_t t = y->nodes[tests].first; t; t = y->nodes[t].next) {
		const uint32_t expect = yaml_get(y, t, "expect");

		for (uint32_t e = y->nodes[expect].first; e; e = y->nodes[e].next) {
			const uint32_t filter = yaml_get(y, e, "filter");
			const uint32_t match = yaml_get(y, filter, "match");
			const uint32_t name = yaml_get(y, match, "rule");
			const bool some = strcmp(yaml_text(y, yaml_get(y, filter, "count")), "0");

			if (some == fires && (name ? !strcmp(yaml_text(y, name), rule) : !fires))
				return true;
		}
	}
	return false;
}

static void check_covered(const char *path)
{
	static struct config_errors errs;
	const char *why;
	struct yaml y;
	size_t len;
	char *text = rule_file_text(path, &len, &why);
	uint32_t groups;

	cr_assert(text != NULL);
	cr_assert(eq(int, yaml_parse(text, len, &y, &errs), 0));
	groups = yaml_get(&y, y.root, "groups");
	for (uint32_t g = y.nodes[groups].first; g; g = y.nodes[g].next) {
		const uint32_t rules = yaml_get(&y, g, "rules");

		for (uint32_t r = y.nodes[rules].first; r; r = y.nodes[r].next) {
			const char *name = yaml_text(&y, yaml_get(&y, r, "name"));

			cr_expect(has_test(&y, name, true), "%s: no test of %s that fires", path,
				  name);
			cr_expect(has_test(&y, name, false), "%s: no silent test of %s", path,
				  name);
		}
	}
	yaml_done(&y);
	free(text);
}

Test(rule_packs, have_a_firing_and_a_silent_test_for_each_rule)
{
	glob_t g = {};

	cr_assert(eq(int, glob(PACKS, 0, NULL, &g), 0));
	for (size_t i = 0; i < g.gl_pathc; i++)
		check_covered(g.gl_pathv[i]);
	globfree(&g);
}
