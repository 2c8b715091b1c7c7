// SPDX-License-Identifier: Apache-2.0
/*
 * decide_look.c - an alert has packets kept or mirrored: a decision like any other, seen and taken back like one, but one
 * that stops nothing. So what keeps decisions from doing harm does not ask about it, and it is in nobody's way.
 */
#include <string.h>

#include "collector/control/decide_int.h"
#include "collector/rules/node_rule.h"
#include "common/num_text.h"

#define LOOKS_MAX 256 /* of each kind, at one time */

static json_t *detail_of(const struct proposal *p)
{
	char a[IP_TEXT], to[IP_TEXT] = "";
	json_t *o = json_object();

	ip_text(p->a, 0, a);
	if (p->has_b)
		ip_text(p->b, 0, to);
	json_object_set_new(o, "rule", json_string(p->rule->name));
	json_object_set_new(o, "alert", json_integer(p->alert));
	json_object_set_new(o, "action", json_string(decide_action(p->action)));
	json_object_set_new(o, "scope", json_string(decide_scope(p)));
	json_object_set_new(o, "value", json_string(a));
	if (*to)
		json_object_set_new(o, "to", json_string(to));
	if (p->action->type == RO_MIRROR)
		json_object_set_new(o, "target", json_string(p->action->to));
	return o;
}

static enum decide_gate gate_of(struct book *b, const struct proposal *p)
{
	if (!p->has_a || (p->action->scope == RULE_SCOPE_PAIR && !p->has_b))
		return GATE_NO_VALUE;
	if (p->exempt)
		return GATE_EXEMPT;
	return db_number(b->db, LOOKS_MAX,
			 "SELECT count(*) FROM decision WHERE state = 'active' AND action = ?", "t",
			 decide_action(p->action)) >= LOOKS_MAX
		       ? GATE_FULL
		       : GATE_NONE;
}

/* Is the same being done? */
static bool is_there(struct book *b, const struct proposal *p)
{
	return db_number(b->db, 0,
			 "SELECT count(*) FROM decision WHERE rule_id = ? AND a = ? AND at = ?"
			 " AND coalesce(b, x'') = ? AND state = 'active'",
			 "tbib", p->rule->id, p->a, 16, (int64_t)p->at, p->b,
			 p->has_b ? 16 : 0) != 0;
}

int decide_look(struct book *b, const struct proposal *p)
{
	const int64_t ttl = (int64_t)node_rule_seconds(p->action) * 1000000;
	const enum decide_gate gate = gate_of(b, p);
	const int64_t now = book_now_us();
	char actor[RULE_NAME_MAX + 8];
	int r;

	if (gate) {
		b->decide.refused[gate]++;
		return 0;
	}
	if (is_there(b, p))
		return 0;
	r = db_run(
		b->db,
		"INSERT INTO decision (alert, rule_id, rule, at, action, scope, a, b, port, direction,"
		" rate, mode, state, reason, step, made_us, ttl_us, expires_us)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, nullif(?, x''), 0, 0, NULL, 'enforce',"
		" 'active', NULL, 0, ?, ?, ?)",
		"ittittbbiii", p->alert, p->rule->id, p->rule->name, (int64_t)p->at,
		decide_action(p->action), decide_scope(p), p->a, 16, p->b, p->has_b ? 16 : 0, now,
		ttl, now + ttl);
	if (r)
		return r;
	b->decide.made++;
	b->policy_dirty = true;
	snprintf(actor, sizeof(actor), "rule:%s", p->rule->name);
	return decide_audit(b, actor, "decision.made", db_last_id(b->db), detail_of(p));
}
