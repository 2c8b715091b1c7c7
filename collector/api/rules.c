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
#include "collector/packs/packs.h"
#include "collector/rules/compile.h"
#include "collector/rules/diff.h"
#include "collector/rules/explain.h"
#include "collector/rules/test_run.h"

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

/* Where it stands, and that file as it is now. */
static void put_source(json_t *o, const struct rule *rule)
{
	const char *why;
	size_t len;
	char *text = rule_file_text(rule->file, &len, &why);

	json_object_set_new(o, "file", json_string(rule->file));
	json_object_set_new(o, "line", json_integer(rule->at.line));
	json_object_set_new(o, "own", json_boolean(rule->own));
	if (rule->pack)
		json_object_set_new(o, "pack", json_string(rule->pack));
	if (text)
		json_object_set_new(o, "text", json_stringn(text, len) ?: json_string(""));
	free(text);
}

int api_run_rule(struct api_call *call)
{
	const char *name = api_text(call, "name");
	struct ruleset *set = call->api->cfg.ops->set(call->api->cfg.arg);
	const struct explained e = {ruleset_rules(set), rules_find(ruleset_rules(set), name)};
	json_t *o;
	int r;

	if (e.rule) {
		o = written(write_rule, &e);
		if (o)
			put_source(o, e.rule);
		r = api_answer(call, o);
	} else {
		r = api_problem(&call->problem, MHD_HTTP_NOT_FOUND, "unknown",
				"there is no rule '%.64s'", name);
	}
	ruleset_drop(set);
	return r;
}

/* ---- files that somebody brings ---- */

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

/* A file of rules in a request, with the lists and parameters of the rules at work. */
struct brought {
	struct ruleset *set;
	struct rule_files f;
};

static void brought_done(struct brought *b)
{
	rule_files_done(&b->f);
	ruleset_drop(b->set);
}

/* Return: 0; -1 with what is wrong, it is done then. */
static int bring(struct api_call *call, const json_t *text, struct brought *b)
{
	int r;

	b->set = call->api->cfg.ops->set(call->api->cfg.arg);
	rule_files_init(&b->f, &b->set->site);
	r = rule_files_text(&b->f, &(struct rule_source){"text", json_string_value(text),
							 json_string_length(text)});
	r = r ?: rule_files_link(&b->f);
	if (!r)
		return 0;
	r = r == -EINVAL ? wrong(call, &b->f) : api_answer(call, NULL);
	brought_done(b);
	return r;
}

static int bring_text(struct api_call *call, struct brought *b)
{
	return bring(call, json_object_get(call->values, "text"), b);
}

int api_rules_wrong(struct api_call *call, const json_t *text)
{
	struct brought b;
	const int r = bring(call, text, &b);

	if (!r)
		brought_done(&b);
	return r;
}

int api_run_rules_check(struct api_call *call)
{
	struct brought b;
	int r = bring_text(call, &b);

	if (r)
		return r;
	r = api_answer(call, written(write_check, &b.f));
	brought_done(&b);
	return r;
}

int api_run_rules_explain(struct api_call *call)
{
	json_t *items = json_array();
	struct brought b;
	int r = bring_text(call, &b);

	if (r) {
		json_decref(items);
		return r;
	}
	for (uint32_t i = 0; i < b.f.set.n; i++) {
		const struct explained e = {&b.f.set, &b.f.set.v[i]};

		json_array_append_new(items, written(write_rule, &e));
	}
	brought_done(&b);
	return api_answer(call, json_pack("{s:o}", "items", items));
}

/* With the rules at work, or with another file. */
int api_run_rules_diff(struct api_call *call)
{
	const json_t *old = json_object_get(call->values, "old");
	struct brought is, was;
	json_t *list;

	if (bring_text(call, &is))
		return -1;
	if (old && bring(call, old, &was)) {
		snprintf(call->problem.member, sizeof(call->problem.member), "old");
		brought_done(&is);
		return -1;
	}
	list = rules_diff(old ? &was.f.set : ruleset_rules(is.set), &is.f.set, old != NULL);
	if (old)
		brought_done(&was);
	brought_done(&is);
	return api_answer(call, list ? json_pack("{s:o}", "items", list) : NULL);
}

int api_run_rules_compile(struct api_call *call)
{
	char why[240] = "", *text = NULL;
	struct brought b;
	size_t len;
	FILE *out;
	int r;

	if (bring_text(call, &b))
		return -1;
	out = open_memstream(&text, &len);
	r = out ? rules_compile(&b.f.set, &b.f.binding, NULL, out, why) : -ENOMEM;
	if (out && fclose(out))
		r = -ENOMEM;
	brought_done(&b);
	if (r == -EINVAL || r == -E2BIG)
		r = api_problem(&call->problem, MHD_HTTP_BAD_REQUEST, "rules", "%s", why);
	else
		r = api_answer(call, r ? NULL : json_pack("{s:s#}", "policy", text, (int)len));
	free(text);
	return r;
}

/* ---- their tests ---- */

struct tally {
	json_t *items;
	json_int_t passed, failed;
};

static void on_test(void *arg, const struct test_result *r)
{
	struct tally *t = arg;

	t->passed += r->ok;
	t->failed += !r->ok;
	json_array_append_new(t->items, test_result_json(r, "text"));
}

int api_run_rules_test(struct api_call *call)
{
	const json_t *text = json_object_get(call->values, "text");
	const struct rule_source src = {"text", json_string_value(text), json_string_length(text)};
	struct tally t = {};
	struct rule_files f;
	struct brought b;
	int r = bring_text(call, &b);

	if (r)
		return r;
	t.items = json_array();
	rule_files_init(&f, &b.set->site);
	r = tests_run_text(&f, &src, on_test, &t);
	if (r == -EINVAL)
		r = wrong(call, &f);
	else
		r = api_answer(call, r == -ENOMEM
					     ? NULL
					     : json_pack("{s:I,s:I,s:O}", "passed", t.passed,
							 "failed", t.failed, "items", t.items));
	json_decref(t.items);
	rule_files_done(&f);
	brought_done(&b);
	return r;
}

/* ---- rules of this site's own ---- */

static int change(struct api_call *call, struct own_change *c)
{
	static const struct api_refusal refusals[] = {
		{-EBADMSG, MHD_HTTP_BAD_REQUEST, "rules"},
		{-ENOENT, MHD_HTTP_NOT_FOUND, "unknown"},
		{-EEXIST, MHD_HTTP_CONFLICT, "conflict"},
		{-ESTALE, MHD_HTTP_CONFLICT, "conflict"},
		{0, MHD_HTTP_SERVICE_UNAVAILABLE, "rules"},
	};
	char said[PACKS_SAID] = "", actor[80];
	int r;

	snprintf(actor, sizeof(actor), "token:%s", call->who.name);
	c->actor = actor;
	c->to.name = api_text(call, "name");
	r = call->api->cfg.ops->rule_change(call->api->cfg.arg, c, said);
	return r ? api_refused(&call->problem, refusals, r, said) : 0;
}

int api_run_rule_put(struct api_call *call)
{
	const json_t *text = json_object_get(call->values, "text");
	struct own_change c = {
		.to = {.text = json_string_value(text), .len = json_string_length(text)}};

	if (change(call, &c) || api_run_rule(call))
		return -1;
	if (c.made)
		call->status = MHD_HTTP_CREATED;
	return 0;
}

int api_run_rule_end(struct api_call *call)
{
	struct own_change c = {};

	if (change(call, &c))
		return -1;
	call->status = MHD_HTTP_NO_CONTENT;
	return 0;
}
