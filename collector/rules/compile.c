// SPDX-License-Identifier: Apache-2.0
#include "collector/rules/compile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/rules/node_rule.h"
#include "collector/rules/rule_int.h"

#define WHY    240u
#define SECOND UINT64_C(1000000000)
#define DAY    86400u /* how long the policy is good for */

struct compiler {
	struct rule_reader rr; /* for the filter's parameters and lists */
	struct policy_draft draft;
	uint32_t number; /* of the next record */
	uint64_t now;
	FILE *out;
	char *why;
};

static bool acts(const struct rule *r, const struct rule_action *a)
{
	return !rule_action_stops(a) || r->mode >= RM_SHADOW;
}

/* Why this rule has no records; NULL: it has. */
static const char *left_out(const struct rule *r)
{
	if (r->class == RC_COLLECTOR)
		return r->class_why;
	if (r->mode < RM_DETECT)
		return "its mode is draft";
	for (uint32_t i = 0; i < r->actions.n; i++)
		if (acts(r, &r->actions.v[i]))
			return NULL;
	return r->mode < RM_SHADOW ? "its mode is not beyond detect" : "it has no actions";
}

static int add_action(struct compiler *c, const struct rule *r, uint32_t at)
{
	static const uint8_t directions[] = {DIR_BOTH, DIR_INGRESS, DIR_EGRESS};
	const struct rule_action *a = &r->actions.v[at];
	struct policy_rule rule = {
		.number = c->number,
		.action = a->type == RO_DROP	? POLICY_DROP
			  : a->type == RO_LIMIT ? POLICY_LIMIT
						: POLICY_RESET,
		.flags = RULE_AUTOMATIC | (r->mode == RM_PREVENT ? 0 : RULE_SHADOW),
		.direction = directions[a->direction],
		.expires = c->now + a->ttl_ns / SECOND,
	};
	struct policy_filter_result res = {};
	char *text = rule_where_bound(&c->rr, r);
	int rc = -ENOMEM;

	node_rule_id(r, at, rule.id);
	snprintf((char *)rule.name, sizeof(rule.name), "%.63s", r->name);
	snprintf((char *)rule.origin, sizeof(rule.origin), "rule:%.50s", r->name);
	if (a->type == RO_LIMIT)
		policy_scan_rate(a->rate, &rule);
	if (text)
		rc = policy_add_filter(&c->draft, text, &rule, NULL, &res);
	if (rc && rc != -ENOMEM)
		snprintf(c->why, WHY, "%.63s: %.170s", r->name, res.error.message);
	if (!rc)
		fprintf(c->out, "%s %s for %llus%s  # %s, %u record%s\n", rule_action_word(a->type),
			text, (unsigned long long)(a->ttl_ns / SECOND),
			rule.flags & RULE_SHADOW ? " shadow" : "", r->name, res.rules + res.entries,
			res.rules + res.entries == 1 ? "" : "s");
	free(text);
	c->number += res.rules;
	return rc;
}

/* What nodes decide by it, from the flows' state. */
static int add_agent(struct compiler *c, const struct rule *r, uint32_t at)
{
	const struct node_rule n = {.rule = r,
				    .at = at,
				    .site = c->rr.site,
				    .number = c->number,
				    .expires = c->now + DAY,
				    .shadow = r->mode != RM_PREVENT,
				    .exempt = {"@never_block", "@local"}};
	const struct rule_action *a = &r->actions.v[at];
	char buf[NODE_RULE_WHY];
	const char *why = node_rule_why_not(r, a, c->rr.site, buf);
	int rc;

	if (why) {
		fprintf(c->out, "# %s: %s: %s\n", r->name, rule_class_word(r->class), why);
		return 0;
	}
	rc = node_rule_add(&c->draft, &n);
	if (!rc)
		fprintf(c->out, "# %s: agents %s sources for %llus%s where %s\n", r->name,
			rule_action_word(a->type), (unsigned long long)node_rule_seconds(a),
			n.shadow && rule_action_stops(a) ? " shadow" : "", r->where.s);
	c->number++;
	return rc;
}

static int add_rule(struct compiler *c, const struct rule *r)
{
	const char *why = left_out(r);
	int rc = 0;

	if (why) {
		fprintf(c->out, "# %s: %s: %s\n", r->name, rule_class_word(r->class), why);
		return 0;
	}
	for (uint32_t i = 0; i < r->actions.n && !rc; i++)
		if (!acts(r, &r->actions.v[i]))
			continue;
		else if (r->class == RC_AGENT || !rule_action_stops(&r->actions.v[i]))
			rc = add_agent(c, r, i);
		else
			rc = add_action(c, r, i);
	return rc;
}

/* What the node's own check would refuse is refused here. */
static int write_image(struct compiler *c, const char *path)
{
	const struct policy_bounds bounds = {.now = c->now, .expires_max = 31 * DAY};
	struct policy_error err;
	struct policy checked;
	uint8_t *image = NULL;
	size_t len;
	FILE *out;
	int r;

	c->draft.head.generation = c->now;
	c->draft.head.not_after = c->now + DAY;
	snprintf((char *)c->draft.head.issuer, sizeof(c->draft.head.issuer), "rules");
	r = policy_image(&c->draft, &image, &len);
	if (!r && policy_check(image, len, &bounds, &checked, &err)) {
		snprintf(c->why, WHY, "%.230s", err.text);
		r = -EINVAL;
	}
	out = r || !path ? NULL : fopen(path, "we");
	if (!r && path && (!out || fwrite(image, 1, len, out) != len))
		r = -errno;
	if (out && fclose(out) && !r)
		r = -errno;
	free(image);
	return r;
}

int rules_compile(const struct rule_set *set, const struct rule_site *site, const char *path,
		  FILE *out, char *why)
{
	struct compiler c = {
		.rr = {.site = site},
		.number = 1,
		.now = (uint64_t)time(NULL),
		.out = out,
		.why = why,
	};
	int r = 0;

	for (uint32_t i = 0; i < set->n && !r; i++)
		r = add_rule(&c, &set->v[i]);
	if (!r && c.number > 1)
		r = write_image(&c, path);
	if (!r && c.number == 1 && path) {
		snprintf(why, WHY, "no rule here becomes a record: nothing to write");
		r = -ENOENT;
	}
	policy_draft_done(&c.draft);
	return r;
}
