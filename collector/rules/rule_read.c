// SPDX-License-Identifier: Apache-2.0
/*
 * rule_read.c - a file of groups and rules into a set, and what holds for the set as a whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rules/rule_int.h"
#include "common/suggest.h"

static struct rule *add_rule(struct rule_reader *rr)
{
	struct rule_set *set = rr->set;
	struct rule *to;

	if (set->n == set->cap) {
		const uint32_t cap = set->cap ? set->cap * 2 : 16;

		to = reallocarray(set->v, cap, sizeof(*to));
		if (!to) {
			rr->no_memory = true;
			return NULL;
		}
		set->v = to;
		set->cap = cap;
	}
	to = &set->v[set->n];
	*to = (struct rule){.mode = RM_DETECT, .groups_max = RULE_GROUPS};
	return to;
}

static void drop_rule(struct rule *r)
{
	filter_free(r->filter);
	having_free(r->test);
	filter_tree_done(&r->exempt);
	*r = (struct rule){};
}

/* A rule with an error is no rule; its errors have been said. */
static void read_rule(struct rule_reader *rr, uint32_t node)
{
	const uint32_t errors = rr->errs->count;
	struct rule *r;

	if (rr->set->n == RULES_MAX) {
		rule_fail(rr, node, "more than %u rules", RULES_MAX);
		return;
	}
	r = add_rule(rr);
	if (!r)
		return;
	rr->rule = r;
	r->at = rule_place(rr->y, node);
	r->group = rr->group;
	r->file = rr->file;
	rule_read_object(rr, RO_RULE, node, r);
	if (rr->errs->count == errors && !rr->no_memory)
		rule_check(rr, r);
	if (rr->errs->count != errors || rr->no_memory)
		drop_rule(r);
	else
		rr->set->n++;
}

static void read_list(struct rule_reader *rr, uint32_t list, const char *what,
		      void (*item)(struct rule_reader *rr, uint32_t node))
{
	const struct yaml *y = rr->y;

	if (!list)
		return;
	if (y->nodes[list].type != YAML_SEQ) {
		rule_fail(rr, list, "%s is a list: each begins with '- '", what);
		return;
	}
	for (uint32_t i = y->nodes[list].first; i && !rr->no_memory; i = y->nodes[i].next)
		item(rr, i);
}

static void read_group(struct rule_reader *rr, uint32_t node)
{
	struct rule_group g = {};

	rule_read_object(rr, RO_GROUP, node, &g);
	rr->group = g.name;
	read_list(rr, yaml_get(rr->y, node, "rules"), "rules", read_rule);
}

int rules_read(struct rule_set *set, const struct rule_source *src, const struct rule_site *site,
	       struct config_errors *errs)
{
	struct yaml y;
	struct rule_reader rr = {.set = set, .y = &y, .site = site, .errs = errs};
	const uint32_t errors = errs->count;
	struct rule_file f = {};
	int r = yaml_parse(src->text, src->len, &y, errs);

	if (!r) {
		rr.file = rule_keep(&rr, src->file, strlen(src->file));
		if (y.root)
			rule_read_object(&rr, RO_FILE, y.root, &f);
		else
			config_error(errs, 0, 0, "no rules in it");
		if (y.root && y.nodes[y.root].type == YAML_MAP)
			read_list(&rr, yaml_get(&y, y.root, "groups"), "groups", read_group);
	}
	yaml_done(&y);
	if (r == -ENOMEM || rr.no_memory)
		return -ENOMEM;
	return errs->count != errors ? -EINVAL : 0;
}

/* ---- the set as a whole ---- */

static void check_twice(const struct rule_set *set, uint32_t i, struct config_errors *errs)
{
	const struct rule *r = &set->v[i];

	for (uint32_t k = 0; k < i; k++) {
		const struct rule *o = &set->v[k];

		if (!strcmp(o->name, r->name))
			config_error(errs, r->at.line, r->at.column,
				     "%s: a rule '%s' is already in %s:%u", r->file, r->name,
				     o->file, o->at.line);
		else if (!strcasecmp(o->id, r->id))
			config_error(errs, r->at.line, r->at.column,
				     "%s: the id of '%s' is that of '%s' in %s:%u", r->file,
				     r->name, o->name, o->file, o->at.line);
	}
}

static bool is_by(const struct rule *r, unsigned int field)
{
	for (uint32_t i = 0; i < r->by.n; i++)
		if (field == _FF_MAX ? flow_fields[r->by.v[i]].type == FT_IP : r->by.v[i] == field)
			return true;
	return false;
}

static void link_one(struct rule_set *set, struct rule *r, uint32_t i, struct config_errors *errs)
{
	const struct rule_text *t = &r->correlate.rules.v[i];
	const struct rule *other = rules_find(set, t->s);
	struct suggest near;

	if (other == r || (other && other->correlate.at.line)) {
		config_error(errs, t->at.line, t->at.column,
			     "%s: '%s' is a correlation: they can't be joined again", r->file,
			     t->s);
		return;
	}
	if (other) {
		r->correlate.index[i] = (uint32_t)(other - set->v);
		if (!is_by(other, r->correlate.field))
			config_error(errs, t->at.line, t->at.column, "%s: '%s' is not by %s",
				     r->file, t->s, r->correlate.by.s ?: "an address (host)");
		return;
	}
	suggest_init(&near, t->s, strlen(t->s));
	for (uint32_t k = 0; k < set->n; k++)
		suggest_try(&near, set->v[k].name);
	config_error(errs, t->at.line, t->at.column, "%s: no rule '%.60s'%s%s%s", r->file, t->s,
		     near.best ? ", did you mean '" : "", near.best ?: "", near.best ? "'?" : "");
}

int rules_link(struct rule_set *set, struct config_errors *errs)
{
	const uint32_t errors = errs->count;

	for (uint32_t i = 0; i < set->n; i++) {
		struct rule *r = &set->v[i];

		check_twice(set, i, errs);
		for (uint32_t k = 0; r->correlate.at.line && k < r->correlate.rules.n; k++)
			link_one(set, r, k, errs);
	}
	return errs->count != errors ? -EINVAL : 0;
}
