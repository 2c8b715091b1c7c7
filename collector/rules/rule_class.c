// SPDX-License-Identifier: Apache-2.0
/*
 * rule_class.c - where a rule can be decided: K in the kernel, from the packet or its name; A on the node
 * that has the flow; C in the collector, which sees all flows over time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rules/rule_int.h"
#include "common/filter_int.h"
#include "common/policy.h"

static const char *param_value(const struct rule *r, const char *name, size_t len)
{
	for (uint32_t i = 0; i < r->params.n; i++)
		if (strlen(r->params.v[i].name) == len && !memcmp(r->params.v[i].name, name, len))
			return r->params.v[i].value;
	return "";
}

/* A list becomes its values, in braces where it does not stand in some already. */
static void put_list(struct rule_reader *rr, const char *name, size_t len, bool inside, FILE *out)
{
	char word[RULE_NAME_MAX];
	const char *values = NULL;

	snprintf(word, sizeof(word), "%.*s", (int)len, name);
	if (rr->site && rr->site->list)
		values = rr->site->list(rr->site->arg, word);
	fprintf(out, inside ? "%s" : "{%s}", values ?: "");
}

char *rule_where_bound(struct rule_reader *rr, const struct rule *r)
{
	struct filter_parser p = {.text = r->where.s, .len = (uint32_t)strlen(r->where.s)};
	char *text = NULL;
	uint32_t done = 0;
	bool inside = false;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	for (filter_next(&p); p.tok.type != TOK_END; filter_next(&p)) {
		const char *name = p.text + p.tok.at + 1;

		inside = p.tok.type == TOK_SET_OPEN || (inside && p.tok.type != TOK_SET_CLOSE);
		if (p.tok.type != TOK_PARAM && p.tok.type != TOK_LIST)
			continue;
		fwrite(p.text + done, 1, p.tok.at - done, out);
		if (p.tok.type == TOK_PARAM)
			fputs(param_value(r, name, p.tok.len - 1), out);
		else
			put_list(rr, name, p.tok.len - 1, inside, out);
		done = p.tok.at + p.tok.len;
	}
	fputs(p.text + done, out);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

/* Does the kernel's form of policies hold all that the filter says? *ret_why: what does not fit. */
static int fits_kernel(struct rule_reader *rr, struct rule *r, bool *ret)
{
	struct policy_draft d = {};
	struct policy_rule rule = {.number = 1, .action = POLICY_DROP};
	struct policy_filter_result res = {};
	char *text = rule_where_bound(rr, r);
	int rc = -ENOMEM;

	if (text)
		rc = policy_add_filter(&d, text, &rule, NULL, &res);
	free(text);
	policy_draft_done(&d);
	if (rc == -ENOMEM)
		return rc;
	*ret = !rc;
	if (rc)
		r->class_why = rule_keep(rr, res.error.message, strlen(res.error.message));
	return 0;
}

/* Does it look at what no node knows? */
static bool asks_collector(const struct rule *r)
{
	for (uint32_t i = r->filter ? r->filter->entry : 0; r->filter && i < r->filter->n_tests;
	     i++)
		if (flow_fields[r->filter->tests[i].field].added)
			return true;
	for (uint32_t i = 0; i < r->by.n; i++)
		if (flow_fields[r->by.v[i]].added)
			return true;
	return false;
}

int rule_classify(struct rule_reader *rr, struct rule *r)
{
	bool fits = false;
	int rc;

	r->class = RC_COLLECTOR;
	r->class_why = r->correlate.at.line ? "it joins alerts" : "it counts over a window";
	if (r->correlate.at.line || r->test)
		return 0;
	if (asks_collector(r)) {
		r->class_why = "it needs what the collector adds to flows";
		return 0;
	}
	rc = fits_kernel(rr, r, &fits);
	if (rc)
		return rc;
	r->class = fits ? RC_KERNEL : RC_AGENT;
	if (fits)
		r->class_why = "every packet says it, or its name";
	return 0;
}
