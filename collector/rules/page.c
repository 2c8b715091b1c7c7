// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "collector/rules/explain.h"
#include "collector/rules/rule_int.h"
#include "collector/rules/test_run.h"
#include "common/filter_int.h"

#define TESTS_MAX 32u /* named on a page, of each kind */
#define LISTS_MAX 16u

static void put_list(const char *head, const struct rule_texts *t, FILE *out)
{
	for (uint32_t i = 0; i < t->n; i++)
		fprintf(out, "%s- %s\n", i ? "" : head, t->v[i]);
	if (t->n)
		fputc('\n', out);
}

/* ---- how to tune it ---- */

struct list_names {
	char v[LISTS_MAX][RULE_NAME_MAX];
	uint32_t n;
};

static void add_name(struct list_names *l, const char *name, size_t len)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (strlen(l->v[i]) == len && !memcmp(l->v[i], name, len))
			return;
	if (l->n < LISTS_MAX && len < RULE_NAME_MAX)
		snprintf(l->v[l->n++], RULE_NAME_MAX, "%.*s", (int)len, name);
}

static void add_lists(struct list_names *l, const char *text)
{
	struct filter_parser p = {.text = text, .len = text ? (uint32_t)strlen(text) : 0};

	for (filter_next(&p); text && p.tok.type != TOK_END; filter_next(&p))
		if (p.tok.type == TOK_LIST)
			add_name(l, text + p.tok.at + 1, p.tok.len - 1);
}

static void put_lists(const struct rule *r, FILE *out)
{
	struct list_names l = {};

	add_lists(&l, r->where.s);
	add_lists(&l, r->exempt_text.s);
	for (uint32_t i = 0; i < l.n; i++)
		fprintf(out, "%s`@%s`", i ? ", " : "Lists of this site that it asks for: ", l.v[i]);
	if (l.n)
		fputs(" (`[list NAME]`).\n\n", out);
}

static void put_tuning(const struct rule *r, FILE *out)
{
	if (r->params.n)
		fputs("How to tune it:\n\n| parameter | default | from | to | what |\n|---|---|---|---|---|\n",
		      out);
	for (uint32_t i = 0; i < r->params.n; i++) {
		const struct rule_param *p = &r->params.v[i];

		fprintf(out, "| `%s` | %s | %s | %s | %s |\n", p->name, p->def.s ?: p->value,
			p->min.s ?: "", p->max.s ?: "", p->doc ?: "");
	}
	if (r->params.n)
		fprintf(out, "\n```ini\n[rule %s]\n", r->name);
	for (uint32_t i = 0; i < r->params.n; i++)
		fprintf(out, "%s = %s\n", r->params.v[i].name, r->params.v[i].value);
	if (r->params.n)
		fputs("```\n\n", out);
	put_lists(r, out);
}

/* ---- its tests ---- */

uint32_t tests_about(const struct yaml *y, const char *rule, bool fires, const char **ret,
		     uint32_t cap)
{
	const uint32_t tests = yaml_get(y, y->root, "tests");
	uint32_t n = 0;

	for (uint32_t t = y->nodes[tests].first; t; t = y->nodes[t].next) {
		const uint32_t expect = yaml_get(y, t, "expect");
		bool about = false;

		for (uint32_t e = y->nodes[expect].first; e; e = y->nodes[e].next) {
			const uint32_t filter = yaml_get(y, e, "filter");
			const uint32_t match = yaml_get(y, filter, "match");
			const uint32_t name = yaml_get(y, match, "rule");
			const bool some = strcmp(yaml_text(y, yaml_get(y, filter, "count")), "0");

			about |= some == fires &&
				 (name ? !strcmp(yaml_text(y, name), rule) : !fires);
		}
		if (about && n < cap)
			ret[n] = yaml_text(y, yaml_get(y, t, "name"));
		n += about;
	}
	return n;
}

static void put_tests_of(const struct yaml *y, const char *rule, bool fires, FILE *out)
{
	const char *names[TESTS_MAX];
	const uint32_t n = tests_about(y, rule, fires, names, TESTS_MAX);

	if (n)
		fprintf(out, "Tests in which it %s:\n\n", fires ? "fires" : "stays silent");
	for (uint32_t i = 0; i < n && i < TESTS_MAX; i++)
		fprintf(out, "- %s\n", names[i]);
	if (n)
		fputc('\n', out);
}

static void put_tests(const struct rule *r, FILE *out)
{
	struct config_errors *errs = calloc(1, sizeof(*errs));
	const char *why;
	struct yaml y = {};
	size_t len;
	char *text = rule_file_text(r->file, &len, &why);

	if (errs && text && !yaml_parse(text, len, &y, errs) && y.root) {
		put_tests_of(&y, r->name, true, out);
		put_tests_of(&y, r->name, false, out);
	}
	yaml_done(&y);
	free(text);
	free(errs);
}

/* ---- all of it ---- */

void explain_page(const struct rule_set *set, const struct rule *r, FILE *out)
{
	const size_t len = r->description ? strlen(r->description) : 0;

	fprintf(out, "## %s\n\n`%s` %s, %s, mode %s; id %s\n\n", r->title ?: r->name, r->name,
		r->version, rule_word(RO_RULE, "status", r->status),
		rule_word(RO_RULE, "mode", r->mode), r->id);
	if (len)
		fprintf(out, "%s%s\n", r->description, r->description[len - 1] == '\n' ? "" : "\n");
	put_list("What else looks like it:\n\n", &r->false_positives, out);
	fputs("```\n", out);
	explain_rule(set, r, false, out);
	fputs("```\n\n", out);
	put_tuning(r, out);
	put_tests(r, out);
	put_list("To read on:\n\n", &r->references, out);
}
