// SPDX-License-Identifier: Apache-2.0
/*
 * decide_node.c - what nodes have decided by themselves, written down beside what was decided here.
 */
#include <string.h>

#include "collector/control/decide_int.h"
#include "collector/rules/node_rule.h"
#include "common/node_message.h"
#include "common/num_text.h"

static json_t *detail_of(const struct node_decision *d, const char *mode)
{
	char a[IP_TEXT], to[IP_TEXT] = "";
	json_t *o = json_object();

	ip_text(d->addr, 0, a);
	if (d->has_to)
		ip_text(d->to, 0, to);
	json_object_set_new(o, "rule", json_string(d->rule));
	json_object_set_new(o, "value", json_string(a));
	if (*to)
		json_object_set_new(o, "to", json_string(to));
	if (d->port)
		json_object_set_new(o, "port", json_integer(d->port));
	json_object_set_new(o, "mode", json_string(mode));
	json_object_set_new(o, "took_us", json_integer(d->took_us));
	return o;
}

static const char *mode_of(const struct node_decision *d, const struct rule *r)
{
	if (d->shadow)
		return "shadow";
	return r ? decide_rule_mode(r) : "enforce";
}

static int insert(struct book *b, const struct node_decision *d, const struct proposal *p)
{
	const int64_t now = book_now_us();
	char id[33];

	node_id_write(d->id, id);
	return db_run(
		b->db,
		"INSERT OR IGNORE INTO decision (alert, rule_id, rule, at, action, scope, a, b, port,"
		" direction, rate, mode, state, step, made_us, ttl_us, expires_us, node, node_us,"
		" record)"
		" VALUES (0, ?, ?, ?, ?, 'src.ip', ?, NULL, 0, ?, ?, ?, 'active', 0, ?, ?, ?, ?, ?, ?)",
		"ttitbittiiitib", p->rule ? p->rule->id : id, d->rule, (int64_t)p->at,
		p->action ? decide_action(p->action) : "drop", d->addr, 16,
		(int64_t)(p->action ? p->action->direction : 0), p->action ? p->action->rate : NULL,
		mode_of(d, p->rule), now, d->ttl_us, now + d->ttl_us, d->node, d->made_us, d->id,
		16);
}

/* Why it would not have been decided here, or is not any more; NULL: it stands. */
static const char *disowned(struct book *b, const struct proposal *p)
{
	enum decide_gate gate;

	if (!p->rule || p->rule->mode < RM_SHADOW)
		return p->rule ? "mode" : "rule";
	gate = decide_spared(b, p);
	return gate ? decide_gate_names[gate] : NULL;
}

int decide_node(struct book *b, const struct node_decision *d)
{
	struct proposal p = {.has_a = true};
	char actor[NODE_DECISION_ACTOR];
	const char *why;
	int64_t id;
	int r;

	memcpy(p.a, d->addr, sizeof(p.a));
	if (b->set)
		p.rule = node_rule_find(ruleset_rules(b->set), d->id, &p.at);
	if (p.rule)
		p.action = &p.rule->actions.v[p.at];
	r = insert(b, d, &p);
	if (r || !db_changes(b->db))
		return r;
	id = db_last_id(b->db);
	b->decide.made++;
	snprintf(actor, sizeof(actor), "node:%s", d->node);
	r = decide_audit(b, actor, "decision.made", id, detail_of(d, mode_of(d, p.rule)));
	why = b->set ? disowned(b, &p) : NULL; /* before rules are known, nothing is taken back */
	return r || !why ? r : decide_end(b, id, "withdrawn", why, "collector");
}
