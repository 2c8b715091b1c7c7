// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_rules.c - files of rules, as people and packs bring them. A file that is right is explained, and run
 * over a few flows, and its tests are run; places of errors are within the file.
 *
 * Covers: collector/rules/yaml.c collector/rules/yaml_place.c collector/rules/rule_keys.c
 * Covers: collector/rules/rule_kinds.c collector/rules/rule_read.c collector/rules/rule_check.c
 * Covers: collector/rules/rule_class.c common/having.c
 * Options: -max_len=16384
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rules/alert_json.h"
#include "collector/rules/explain.h"
#include "collector/rules/series.h"
#include "collector/rules/yaml.h"
#include "random_flow.h"

#define FLOWS  64u
#define SECOND UINT64_C(1000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *list(void *arg, const char *name)
{
	(void)arg;
	return name[0] == 'l' ? "10.0.0.0/8, fc00::/7" : name[0] == 'e' ? "" : NULL;
}

static const char *param(void *arg, const char *rule, const char *name)
{
	(void)arg;
	(void)rule;
	return name[0] == 's' ? "7" : NULL;
}

static const struct rule_site site = {.list = list, .param = param};

static void on_alert(void *arg, const struct alert *a)
{
	static char buf[ALERT_JSON];

	(void)arg;
	if (a->state == ALERT_NONE || !a->rule)
		abort();
	if (alert_json(a, buf) && strchr(buf, '\n'))
		abort();
}

static void run(const struct rule_set *set, uint64_t seed)
{
	const struct engine_cfg cfg = {.rules = set, .alert = on_alert, .seed = 1};
	static struct random_flow f;
	struct engine *e;
	uint64_t at = UINT64_C(1767225600) * SECOND;

	if (engine_new(&cfg, &e))
		abort();
	for (uint32_t i = 0; i < FLOWS; i++) {
		random_flow(&f, &seed);
		at += seed % (3 * SECOND);
		f.r.end_ns = at;
		flow_set(&f.r, FF_END);
		engine_flow(e, &f.r);
	}
	engine_flush(e);
	engine_advance(e, at + 600 * SECOND);
	for (uint32_t i = 0; i < set->n; i++) {
		struct engine_rule_stats st;

		engine_rule_stats(e, i, &st);
		if (st.late > st.matched || st.groups > set->v[i].groups_max)
			abort();
	}
	engine_free(e);
}

static void explain(const struct rule_set *set)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		abort();
	for (uint32_t i = 0; i < set->n; i++) {
		explain_text(set, &set->v[i], out);
		explain_json(set, &set->v[i], out);
	}
	fclose(out);
	free(text);
}

/* Every place within every scalar is within the file. */
static void places(const char *text, size_t size)
{
	static struct config_errors errs;
	uint32_t lines = 1;
	struct yaml y;

	errs.count = 0;
	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n' || text[i] == '\r';
	if (!yaml_parse(text, size, &y, &errs)) {
		for (uint32_t i = 1; i < y.n_nodes && i < 50; i++)
			for (uint32_t c = 1; y.nodes[i].type == YAML_SCALAR && c < 20; c++) {
				const struct yaml_place p =
					yaml_place(&y, i, (struct yaml_place){1 + c / 15, c});

				if (!p.line || !p.column || p.line > lines + 1)
					abort();
			}
	}
	yaml_done(&y);
}

static void series(const char *text, size_t size)
{
	char one[SERIES_TEXT], buf[4096];
	const char *why;
	uint32_t n;

	snprintf(one, sizeof(one), "%.*s", (int)size, text);
	n = series_count(one, &why);
	if (n)
		series_json(one, n - 1, SECOND, buf, sizeof(buf));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config_errors errs;
	struct rule_set set = {};
	const struct rule_source src = {"fuzz.yaml", (const char *)data, size};

	errs.count = 0;
	if (!memchr(data, '\n', size))
		series(src.text, size);
	places(src.text, size);
	if (!rules_read(&set, &src, &site, &errs) && !rules_link(&set, &errs)) {
		explain(&set);
		run(&set, size);
	}
	for (uint32_t i = 0; i < errs.count && i < CONFIG_ERRORS_MAX; i++)
		if (!errs.list[i].text[0])
			abort();
	rules_done(&set);
	return 0;
}
