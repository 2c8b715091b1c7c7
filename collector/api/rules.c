// SPDX-License-Identifier: Apache-2.0
/*
 * rules.c - rules at work, and files of rules that are to be checked.
 */
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "collector/alerts/ruleset.h"
#include "collector/api/api_int.h"
#include "collector/rules/explain.h"

int api_run_rules(struct api_call *call)
{
	return api_pages(call, call->api->cfg.ops->rules(call->api->cfg.arg), "rule");
}

/* What a writer of JSON writes into a file. */
static json_t *written(void (*write)(const void *arg, FILE *out), const void *arg)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	json_t *o = NULL;

	if (!out)
		return NULL;
	write(arg, out);
	if (!fclose(out))
		o = json_loadb(text, len, 0, NULL);
	free(text);
	return o;
}

struct explained {
	const struct rule_set *set;
	const struct rule *rule;
};

static void write_rule(const void *arg, FILE *out)
{
	const struct explained *e = arg;

	explain_json(e->set, e->rule, out);
}

int api_run_rule(struct api_call *call)
{
	const char *name = api_text(call, "name");
	struct ruleset *set = call->api->cfg.ops->set(call->api->cfg.arg);
	const struct explained e = {ruleset_rules(set), rules_find(ruleset_rules(set), name)};
	int r;

	if (e.rule)
		r = api_answer(call, written(write_rule, &e));
	else
		r = api_problem(&call->problem, MHD_HTTP_NOT_FOUND, "unknown",
				"there is no rule '%.64s'", name);
	ruleset_drop(set);
	return r;
}

/* ---- check ---- */

static json_t *error_json(const struct config_error *e)
{
	json_t *o = json_object();

	if (e->line) {
		json_object_set_new(o, "line", json_integer(e->line));
		json_object_set_new(o, "column", json_integer(e->col));
	}
	json_object_set_new(o, "detail", json_string(e->text) ?: json_string("?"));
	return o;
}

/* The first error is the problem's own, all are in its list. */
static int wrong(struct api_call *call, const struct rule_files *f)
{
	struct api_problem *p = &call->problem;
	uint32_t n = 0;

	p->errors = json_array();
	for (uint32_t i = 0; i < f->n_errors; i++) {
		const struct config_errors *errs = &f->errors[i].errs;

		n += errs->count;
		for (uint32_t e = 0; e < errs->count && e < CONFIG_ERRORS_MAX; e++) {
			if (!json_array_size(p->errors)) {
				p->line = errs->list[e].line;
				p->column = errs->list[e].col;
				api_problem(p, MHD_HTTP_BAD_REQUEST, "rules", "%s",
					    errs->list[e].text);
			}
			json_array_append_new(p->errors, error_json(&errs->list[e]));
		}
	}
	snprintf(p->member, sizeof(p->member), "text");
	return n ? -1 : api_problem(p, MHD_HTTP_BAD_REQUEST, "rules", "no rules could be read");
}

static void write_check(const void *arg, FILE *out)
{
	explain_check_json(arg, out);
}

/* @answer: what is to be said of it where nothing is wrong. */
static int check(struct api_call *call, const json_t *text, bool answer)
{
	struct ruleset *set = call->api->cfg.ops->set(call->api->cfg.arg); /* for its site */
	struct rule_files f;
	int r;

	rule_files_init(&f, &set->site);
	r = rule_files_text(&f, &(struct rule_source){"text", json_string_value(text),
						      json_string_length(text)});
	r = r ?: rule_files_link(&f);
	if (r == -EINVAL)
		r = wrong(call, &f);
	else if (r || answer)
		r = api_answer(call, r ? NULL : written(write_check, &f));
	rule_files_done(&f);
	ruleset_drop(set);
	return r;
}

int api_rules_wrong(struct api_call *call, const json_t *text)
{
	return check(call, text, false);
}

int api_run_rules_check(struct api_call *call)
{
	return check(call, json_object_get(call->values, "text"), true);
}
