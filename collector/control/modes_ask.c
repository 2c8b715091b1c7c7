// SPDX-License-Identifier: Apache-2.0
/*
 * modes_ask.c - questions about the modes of rules, and what people say they shall be.
 */
#include <string.h>
#include <unistd.h>

#include "collector/alerts/book_int.h"
#include "collector/control/modes.h"
#include "common/cli.h"

#define WORDS "draft|detect|shadow|canary|prevent"

static const char *word(enum rule_mode mode)
{
	return rule_word(RO_RULE, "mode", mode);
}

/* ---- what there is ---- */

static json_t *conditions_json(const struct promote_condition *c, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++) {
		const struct promote_row *r = &promote_rows[c[i].id];

		json_array_append_new(
			list, json_pack("{s:s,s:I,s:I,s:b,s:s}", "name", r->name, "have",
					(json_int_t)c[i].have,
					r->kind == PROMOTE_AT_MOST ? "at_most" : "at_least",
					(json_int_t)c[i].need, "met", c[i].met, "doc", r->doc));
	}
	return list;
}

static bool are_met(const struct promote_condition *c, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!c[i].met)
			return false;
	return true;
}

static uint32_t judge(struct book *b, const struct mode_row *row,
		      struct promote_condition c[_PROMOTE_MAX])
{
	struct promote_seen seen;

	modes_facts(b, row, &seen);
	return promote_judge(&b->cfg.promote, &seen, c);
}

static json_t *row_json(struct book *b, const struct mode_row *row)
{
	struct promote_condition c[_PROMOTE_MAX];
	const uint32_t n = judge(b, row, c);
	json_t *o = json_pack("{s:s,s:s,s:s}", "type", "mode", "name", row->rule->name, "mode",
			      word(row->mode));

	book_put_time(o, "since", row->since_us);
	json_object_set_new(o, "by", json_string(row->by));
	if (*row->note)
		json_object_set_new(o, "note", json_string(row->note));
	if (row->rule->mode_set)
		json_object_set_new(o, "configured", json_true());
	if (row->mode == RM_DETECT)
		json_object_set_new(o, "would_decide", json_integer(row->proposed));
	if (row->mode == RM_PREVENT)
		return o;
	json_object_set_new(o, "next", json_string(word(row->mode + 1)));
	json_object_set_new(o, "ready", json_boolean(are_met(c, n)));
	json_object_set_new(o, "conditions", conditions_json(c, n));
	return o;
}

static const struct rule *rule_of(struct book *b, const char *name)
{
	return b->set ? rules_find(ruleset_rules(b->set), name) : NULL;
}

static json_t *unknown(const char *name)
{
	return book_refuse("unknown", "no rule '%.64s' is at work", name);
}

json_t *modes_look(struct book *b, const json_t *request)
{
	const char *what = book_text(request, "what"), *only = book_text(request, "name");
	const struct rule_set *rules = b->set ? ruleset_rules(b->set) : NULL;
	struct mode_row row;
	json_t *out;
	int r = 0;

	if (cli_word("list|show|mode", what) < 0)
		return NULL;
	if (*only && !rule_of(b, only))
		return unknown(only);
	out = json_array();
	for (uint32_t i = 0; rules && i < rules->n && r >= 0; i++) {
		if (*only && rule_of(b, only) != &rules->v[i])
			continue;
		r = modes_row(b, &rules->v[i], &row);
		if (r == 1)
			json_array_append_new(out, row_json(b, &row));
	}
	return book_ended(b, out, r < 0);
}

/* ---- what people say ---- */

struct changing {
	struct book *b;
	struct mode_row row;
	enum rule_mode to;
	const char *note;
	bool force;
	struct promote_condition c[_PROMOTE_MAX];
	uint32_t n;
};

static bool has_action(const struct rule *r)
{
	for (uint32_t i = 0; i < r->actions.n; i++)
		if (r->actions.v[i].type <= RO_RESET)
			return true;
	return false;
}

static json_t *unmet(const struct changing *k)
{
	char text[240] = "", one[80];

	for (uint32_t i = 0; i < k->n; i++) {
		if (k->c[i].met)
			continue;
		promote_text(&k->c[i], one, sizeof(one));
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
			 *text ? "; " : "", one);
	}
	return book_refuse("conflict",
			   "rule %s stays in %s: %s. 'rules mode' says what is meant; to force it "
			   "takes a note that says why",
			   k->row.rule->name, word(k->row.mode), text);
}

/* NULL: it may. */
static json_t *refuse_promotion(struct changing *k)
{
	const struct rule *r = k->row.rule;

	if (k->row.mode == RM_PREVENT || k->to != k->row.mode + 1)
		return book_refuse("conflict", "rule %s is in %s: %s", r->name, word(k->row.mode),
				   k->row.mode == RM_PREVENT
					   ? "there is no mode beyond it"
					   : "one mode after the other, none is left out");
	if (k->to >= RM_SHADOW && !has_action(r))
		return book_refuse("conflict",
				   "rule %s has no drop, limit or reset: it can't go "
				   "beyond detect",
				   r->name);
	k->n = judge(k->b, &k->row, k->c);
	if (are_met(k->c, k->n)) {
		k->force = false;
		return NULL;
	}
	if (!k->force)
		return unmet(k);
	return *k->note ? NULL : book_refuse("request", "force: wants a note that says why");
}

static json_t *refuse(struct changing *k, const char *what)
{
	if (k->row.rule->mode_set)
		return book_refuse(
			"conflict",
			"the mode of rule %s stands in the configuration, [rule %s]: change "
			"it there, or take it out",
			k->row.rule->name, k->row.rule->name);
	if (k->to == k->row.mode)
		return book_refuse("conflict", "rule %s is in %s already", k->row.rule->name,
				   word(k->to));
	if (!strcmp(what, "set") && (k->to > RM_DETECT || k->row.mode > RM_DETECT))
		return book_refuse("permission",
				   "rule %s is in %s: beyond detect it takes an "
				   "approver",
				   k->row.rule->name, word(k->row.mode));
	if (k->to < k->row.mode)
		return !strcmp(what, "promote")
			       ? book_refuse("conflict", "rule %s is in %s: to go down is 'demote'",
					     k->row.rule->name, word(k->row.mode))
			       : NULL;
	return !strcmp(what, "demote")
		       ? book_refuse("conflict", "rule %s is in %s: to go up is 'promote'",
				     k->row.rule->name, word(k->row.mode))
		       : refuse_promotion(k);
}

static int tell(struct changing *k, const char *actor, bool up)
{
	json_t *o = json_pack("{s:s,s:s}", "from", word(k->row.mode), "to", word(k->to));
	char object[RULE_NAME_MAX + 8];

	if (*k->note)
		json_object_set_new(o, "note", json_string(k->note));
	if (k->force)
		json_object_set_new(o, "forced", json_true());
	for (uint32_t i = 0; i < k->n; i++)
		json_object_set_new(o, promote_rows[k->c[i].id].name,
				    json_integer((json_int_t)k->c[i].have));
	snprintf(object, sizeof(object), "rule %s", k->row.rule->name);
	return audit_add(
		k->b->db,
		&(struct audit_entry){actor, up ? "rule.promoted" : "rule.demoted", object}, o);
}

static json_t *change(struct changing *k, const char *what, const struct endpoint_peer *peer)
{
	json_t *refused = refuse(k, what), *out;
	const bool up = k->to > k->row.mode;

	if (refused)
		return refused;
	snprintf(k->row.by, sizeof(k->row.by), "%s", peer->name);
	snprintf(k->row.note, sizeof(k->row.note), "%s", k->note);
	if (modes_set(k->b, &k->row, k->to) || tell(k, peer->name, up))
		return book_refuse("store", "%s", db_error(k->b->db));
	out = json_array();
	json_array_append_new(out, json_pack("{s:s,s:s,s:s,s:s,s:b}", "type", "done", "name",
					     k->row.rule->name, "from", word(k->row.mode), "mode",
					     word(k->to), "forced", k->force));
	return out;
}

json_t *modes_change(struct book *b, const json_t *request, const struct endpoint_peer *peer)
{
	const char *what = book_text(request, "what"), *name = book_text(request, "name");
	const int to = cli_word(WORDS, book_text(request, "to"));
	struct changing k = {.b = b,
			     .to = to < 0 ? RM_DRAFT : (enum rule_mode)to,
			     .note = book_text(request, "note"),
			     .force = json_is_true(json_object_get(request, "force"))};
	const struct rule *rule = rule_of(b, name);

	if (cli_word("promote|demote|set", what) < 0)
		return book_refuse("request", "rules: no such question '%.40s'", what);
	if (peer->uid && peer->uid != geteuid())
		return book_refuse(
			"permission",
			"%s may look: modes are changed by root and the collector's user",
			peer->name);
	if (to < 0)
		return book_refuse("request",
				   "to '%.20s': want draft, detect, shadow, canary or "
				   "prevent",
				   book_text(request, "to"));
	if (strlen(k.note) >= sizeof(k.row.note))
		return book_refuse("request", "note: %zu octets at most", sizeof(k.row.note) - 1);
	if (!rule || modes_row(b, rule, &k.row) != 1)
		return unknown(name);
	return change(&k, what, peer);
}
