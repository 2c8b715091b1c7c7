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

/* Of all rules together. */
struct covered {
	uint32_t rules, fire, silent;
};

static void check_covered(const char *path, struct covered *all)
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
			const uint32_t fire = tests_about(&y, name, true, NULL, 0);
			const uint32_t silent = tests_about(&y, name, false, NULL, 0);

			cr_expect(fire > 0, "%s: no test of %s that fires", path, name);
			cr_expect(silent > 0, "%s: no silent test of %s", path, name);
			all->rules++;
			all->fire += fire;
			all->silent += silent;
		}
	}
	yaml_done(&y);
	free(text);
}

Test(rule_packs, have_a_firing_and_a_silent_test_for_each_rule)
{
	struct covered all = {};
	glob_t g = {};

	cr_assert(eq(int, glob(PACKS, 0, NULL, &g), 0));
	for (size_t i = 0; i < g.gl_pathc; i++)
		check_covered(g.gl_pathv[i], &all);
	globfree(&g);
	cr_log_info("%u rules, %u tests in which one fires, %u silent ones", all.rules, all.fire,
		    all.silent);
	cr_expect(all.rules >= 29);
}
