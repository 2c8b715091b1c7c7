// SPDX-License-Identifier: Apache-2.0
/*
 * rule_check.c - what the parts of a rule mean together: parameters are bound, filters compiled, windows
 * and actions checked, and what an author should know is noted.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/rules/rule_int.h"
#include "common/suggest.h"
#include "weir/policy.h"

#define SECOND	     UINT64_C(1000000000)
#define TTL_LONG     (UINT64_C(30) * 24 * 3600 * SECOND)
#define CAPTURE_LONG (UINT64_C(3600) * SECOND) /* CAPTURE_TIME_MAX of weir/policy.h */
#define PANES_DEF    12u
#define GROUPS_MIN   16u
#define KEEP_DEF     (5 * 60 * SECOND) /* of rules without a window */

/* ---- parameters and lists ---- */

struct binding {
	struct rule_reader *rr;
	struct rule *rule;
};

/* Its value is a part of what the rule does. */
static const char *take_shared(struct binding *b, const struct rule_param *p)
{
	struct rule_texts *to = &b->rule->shared;
	char text[512];
	const int len = snprintf(text, sizeof(text), "%s=%s", p->name, p->value ?: "");

	for (uint32_t i = 0; i < to->n; i++)
		if (to->v[i] && !strcmp(to->v[i], text))
			return p->value;
	if (to->n < RULE_TEXTS_MAX)
		to->v[to->n++] = rule_keep(
			b->rr, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
	return p->value;
}

static const char *resolve(void *arg, char kind, const char *name)
{
	struct binding *b = arg;
	const struct rule_params *shared = b->rr->site ? b->rr->site->shared : NULL;

	if (kind == '@')
		return b->rr->site && b->rr->site->list ? b->rr->site->list(b->rr->site->arg, name)
							: NULL;
	for (uint32_t i = 0; i < b->rule->params.n; i++) {
		struct rule_param *p = &b->rule->params.v[i];

		if (strcmp(p->name, name) != 0)
			continue;
		p->used = true;
		return p->value;
	}
	for (uint32_t i = 0; shared && i < shared->n; i++)
		if (!strcmp(shared->v[i].name, name))
			return take_shared(b, &shared->v[i]);
	return NULL;
}

/* Bounds hold for numbers and durations; words have none. */
static bool beyond(const char *value, const struct rule_text *bound, bool lowest)
{
	double v, b;

	if (!bound->s || having_scan_number(value, &v) || having_scan_number(bound->s, &b))
		return false;
	return lowest ? v < b : v > b;
}

bool rule_param_beyond(const struct rule_param *p)
{
	return beyond(p->value, &p->min, true) || beyond(p->value, &p->max, false);
}

static void bind_param(struct rule_reader *rr, struct rule *r, struct rule_param *p)
{
	const char *set = rr->site && rr->site->param
				  ? rr->site->param(rr->site->arg, r->name, p->name)
				  : NULL;

	p->value = set ? rule_keep(rr, set, strlen(set)) : p->def.s;
	if (!p->value)
		return;
	if (rule_param_beyond(p))
		rule_fail(rr, p->def.node, "%s = %.40s is not between %.40s and %.40s", p->name,
			  p->value, p->min.s ?: "anything", p->max.s ?: "anything");
}

/* ---- filters ---- */

/* An error inside a text of the file, said where it stands in the file. */
static void say_filter(struct rule_reader *rr, const struct rule_text *t,
		       const struct filter_error *e)
{
	const struct yaml_place at =
		yaml_place(rr->y, t->node, (struct yaml_place){e->line, e->column});

	config_error(rr->errs, at.line, at.column, "%s", e->message);
}

static void compile_texts(struct rule_reader *rr, struct rule *r)
{
	struct binding b = {rr, r};
	const struct filter_env env = {.resolve = resolve, .arg = &b, .added = true};
	struct filter_error e;
	char set[4200];
	int rc = 0;

	if (r->where.s) {
		rc = filter_parse(r->where.s, strlen(r->where.s), &env, &r->filter, &e);
		if (rc && rc != -ENOMEM)
			say_filter(rr, &r->where, &e);
	}
	if (r->having.s && rc != -ENOMEM) {
		rc = having_parse(r->having.s, strlen(r->having.s), &env, &r->test, &e);
		if (rc && rc != -ENOMEM)
			say_filter(rr, &r->having, &e);
	}
	if (r->exempt_text.s && rc != -ENOMEM) {
		snprintf(set, sizeof(set), "src.ip in {%s}", r->exempt_text.s);
		rc = filter_parse_tree(set, strlen(set), &env, &r->exempt, &e);
		if (rc && rc != -ENOMEM)
			rule_fail(rr, r->exempt_text.node, "exempt: %s", e.message);
	}
	rr->no_memory |= rc == -ENOMEM;
}

/* ---- window ---- */

static void fail_at(struct rule_reader *rr, struct rule_place at, const char *text)
{
	config_error(rr->errs, at.line, at.column, "%s", text);
}

static void check_steps(struct rule_reader *rr, struct rule *r)
{
	struct rule_window *w = &r->window;

	if (w->size_ns < SECOND) {
		fail_at(rr, w->at, "a window is 1s at least");
		return;
	}
	if (!w->slide_ns) {
		w->slide_ns = w->size_ns / PANES_DEF;
		if (w->slide_ns < SECOND || w->size_ns % w->slide_ns)
			w->slide_ns = SECOND;
		while (w->size_ns / w->slide_ns > RULE_PANES_MAX || w->size_ns % w->slide_ns)
			w->slide_ns += SECOND;
	}
	if (w->slide_ns < SECOND)
		fail_at(rr, w->at, "a window moves on by 1s at least");
	else if (w->slide_ns > w->size_ns || w->size_ns % w->slide_ns)
		fail_at(rr, w->at, "size is no multiple of slide");
	else if (w->size_ns / w->slide_ns > RULE_PANES_MAX)
		fail_at(rr, w->at, "size is more than 128 times slide");
}

static void check_window(struct rule_reader *rr, struct rule *r)
{
	const bool window = r->window.at.line;

	if (r->correlate.at.line) {
		if (r->where.s || r->having.s || window || r->by.n)
			fail_at(rr, r->correlate.at,
				"correlate is about alerts: where, window, by and having belong to the "
				"rules that it names");
		return;
	}
	if (window && !r->having.s)
		fail_at(rr, r->window.at, "a window without having: what must it add up to?");
	else if (!window && r->having.s)
		fail_at(rr, r->having.at, "having without a window: over how long?");
	else if (!r->where.s && !r->having.s)
		fail_at(rr, r->at, "a rule needs where, having or correlate");
	if (window)
		check_steps(rr, r);
}

static void check_correlate(struct rule_reader *rr, struct rule *r)
{
	struct rule_correlate *c = &r->correlate;
	int f;

	if (!c->at.line)
		return;
	c->field = _FF_MAX;
	if (c->rules.n < 2)
		fail_at(rr, c->at, "a correlation is of two rules at least");
	if (!c->within_ns)
		fail_at(rr, c->at, "within is more than nothing");
	if (!c->by.s || !strcmp(c->by.s, "host"))
		return;
	f = filter_field_find(c->by.s, strlen(c->by.s));
	if (f < 0)
		rule_fail(rr, c->by.node, "unknown field '%.60s': host, or a field of by", c->by.s);
	else
		c->field = (uint8_t)f;
}

/* ---- actions ---- */

static bool has_by(const struct rule *r, unsigned int field)
{
	for (uint32_t i = 0; i < r->by.n; i++)
		if (r->by.v[i] == field)
			return true;
	return false;
}

static void check_times(struct rule_reader *rr, const struct rule_action *a)
{
	if (a->type == RO_CAPTURE && (a->pre_ns > CAPTURE_LONG || a->post_ns > CAPTURE_LONG))
		fail_at(rr, a->at, "pre and post are 1h at most");
	if (a->type != RO_CAPTURE && !a->ttl_ns)
		fail_at(rr, a->at, "ttl is more than nothing: nothing is done for ever");
	if (a->ttl_ns > TTL_LONG)
		fail_at(rr, a->at, "ttl is 30d at most");
	for (uint32_t i = 0; i < a->escalate.n; i++) {
		if (a->escalate.ns[i] > TTL_LONG)
			fail_at(rr, a->at, "escalate is 30d at most");
		if (i && a->escalate.ns[i] < a->escalate.ns[i - 1])
			fail_at(rr, a->at, "escalate goes from short to long");
	}
}

static void check_action(struct rule_reader *rr, struct rule *r, const struct rule_action *a)
{
	if (r->correlate.at.line) {
		/* the address that the alerts share */
	} else if (a->scope == RULE_SCOPE_PAIR) {
		if (!has_by(r, FF_SRC_IP) || !has_by(r, FF_DST_IP))
			fail_at(rr, a->at, "scope pair needs src.ip and dst.ip in by");
	} else if (!has_by(r, a->scope)) {
		fail_at(rr, a->at, "scope is no field of by: whose packets would it be?");
	}
	if (a->type == RO_MIRROR && a->to && strlen(a->to) >= POLICY_TARGET_MAX)
		fail_at(rr, a->at, "to is 31 letters at most");
	check_times(rr, a);
}

static void note_action(struct rule_reader *rr, struct rule *r, const struct rule_action *a)
{
	const bool source = a->scope == FF_SRC_IP || a->scope == RULE_SCOPE_PAIR;

	if (a->type == RO_CAPTURE)
		rule_note(
			rr->set, r, a->at,
			"nodes keep packets where capture.ring is more than 0: 'weir status' says what "
			"was refused");
	else if (a->type == RO_MIRROR)
		rule_note(
			rr->set, r, a->at,
			"nodes mirror where their configuration has [mirror-target %s]: 'weir status' "
			"says what was refused",
			a->to);
	else if (source && !r->evidence.handshake)
		rule_note(
			rr->set, r, a->at,
			"a source can be forged: without 'evidence: { handshake: required }' it is "
			"never acted on automatically");
}

/* ---- annotations ---- */

static bool known_placeholder(const struct rule *r, const char *s, size_t len)
{
	if (len == 5 && !memcmp(s, "value", 5))
		return true;
	if (len > 1 && s[0] == '$') {
		for (uint32_t i = 0; i < r->params.n; i++)
			if (strlen(r->params.v[i].name) == len - 1 &&
			    !memcmp(r->params.v[i].name, s + 1, len - 1))
				return true;
		return false;
	}
	for (uint32_t i = 0; i < r->by.n; i++)
		if (strlen(flow_fields[r->by.v[i]].path) == len &&
		    !memcmp(flow_fields[r->by.v[i]].path, s, len))
			return true;
	return r->correlate.at.line && len == 4 && !memcmp(s, "host", 4);
}

static void check_annotation(struct rule_reader *rr, struct rule *r, const struct rule_pair *p)
{
	const char *s = p->value, *end;

	while (s && (s = strstr(s, "{{"))) {
		end = strstr(s, "}}");
		if (!end) {
			fail_at(rr, p->at, "'{{' without its '}}'");
			return;
		}
		if (!known_placeholder(r, s + 2, (size_t)(end - s - 2)))
			config_error(rr->errs, p->at.line, p->at.column,
				     "'%.*s}}' stands for nothing: fields of by, value, $params",
				     (int)(end - s < 60 ? end - s : 60), s);
		s = end + 2;
	}
}

/* ---- notes ---- */

static const struct rule_pair *find_pair(const struct rule_pairs *p, const char *key)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (!strcmp(p->v[i].key, key))
			return &p->v[i];
	return NULL;
}

static void note_all(struct rule_reader *rr, struct rule *r)
{
	struct rule_cost cost;

	for (uint32_t i = 0; i < r->params.n; i++)
		if (!r->params.v[i].used)
			rule_note(rr->set, r, r->params.v[i].def.at,
				  "parameter '%s' is used nowhere", r->params.v[i].name);
	for (uint32_t i = 0; i < r->actions.n; i++)
		note_action(rr, r, &r->actions.v[i]);
	if (r->actions.n && !r->exempt_text.s)
		rule_note(
			rr->set, r, r->actions.v[0].at,
			"actions without exempt: [ \"@never_block\" ]; the nodes' own guards hold "
			"all the same");
	if (!find_pair(&r->labels, "severity"))
		rule_note(rr->set, r, r->at, "no label 'severity': alerts can't be routed by it");
	if (has_by(r, FF_SRC_PORT))
		rule_note(rr->set, r, r->by.at,
			  "by src.port: nearly every connection is a group of its own");
	if (!r->where.s && !r->correlate.at.line)
		rule_note(rr->set, r, r->at, "no where: every flow counts");
	if (r->test) {
		rule_cost(r, &cost);
		if (cost.state_bytes > (UINT64_C(512) << 20))
			rule_note(rr->set, r, r->window.at,
				  "up to %llu MiB of state: fewer groups_max, or a coarser slide",
				  (unsigned long long)(cost.state_bytes >> 20));
	}
}

void rule_check(struct rule_reader *rr, struct rule *r)
{
	const uint32_t errors = rr->errs->count;

	for (uint32_t i = 0; i < r->params.n; i++)
		bind_param(rr, r, &r->params.v[i]);
	if (r->groups_max < GROUPS_MIN)
		fail_at(rr, r->at, "groups_max is 16 at least");
	check_window(rr, r);
	check_correlate(rr, r);
	compile_texts(rr, r);
	for (uint32_t i = 0; i < r->actions.n; i++)
		check_action(rr, r, &r->actions.v[i]);
	for (uint32_t i = 0; i < r->annotations.n; i++)
		check_annotation(rr, r, &r->annotations.v[i]);
	if (rr->errs->count != errors || rr->no_memory)
		return;
	/* One flow, or one chain, would be over as soon as it was seen. */
	if (!r->keep_ns && !r->test)
		r->keep_ns = r->correlate.at.line ? r->correlate.within_ns : KEEP_DEF;
	rr->no_memory |= rule_classify(rr, r) == -ENOMEM;
	note_all(rr, r);
}
