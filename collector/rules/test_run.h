/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_run.h - tests of rules, as their files have them: flows in, alerts counted. Without root, store or
 * clock.
 */
#ifndef WEIR_COLLECTOR_RULES_TEST_RUN_H
#define WEIR_COLLECTOR_RULES_TEST_RUN_H

#include <jansson.h>

#include "collector/rules/rule_files.h"
#include "collector/rules/yaml.h"

struct test_result {
	const char *name;
	uint32_t line;
	bool ok;
	char why[512]; /* "": it is ok */
	uint64_t flows;
};

typedef void test_result_fn(void *arg, const struct test_result *r);

/**
 * tests_run - the tests of a file
 * @tell: called for each test
 *
 * Return: 0, also when tests failed; -EINVAL: @files has errors of the file or its rules; -ENOENT: no
 *         tests in it; -ENOMEM.
 */
int tests_run(struct rule_files *files, const char *path, test_result_fn *tell, void *arg);
/* The same of a text that somebody has brought: it names no files, and is not read on where there are no tests. */
int tests_run_text(struct rule_files *files, const struct rule_source *src, test_result_fn *tell,
		   void *arg);

/**
 * tests_about - names of the tests in a file that are about a rule
 * @fires: those that expect alerts of it; else those that expect none of it, or none at all
 * @ret:   @cap at most; they point into the tree
 *
 * Return: how many there are.
 */
uint32_t tests_about(const struct yaml *y, const char *rule, bool fires, const char **ret,
		     uint32_t cap);

/* {"file", "line", "test", "passed", "flows", "why"}; NULL: no memory. */
json_t *test_result_json(const struct test_result *r, const char *file);

/**
 * flows_feed - records of a file of JSON lines
 * @path: "-": standard input
 * @one:  is given each; not 0: stop
 *
 * Return: 0; of @one; -EIO, -EINVAL: @reterr (RECORD_JSON_ERROR bytes) says which line.
 */
typedef int flow_fn(void *arg, const struct flow_record *r);
int flows_feed(const char *path, flow_fn *one, void *arg, char *reterr);

#endif
