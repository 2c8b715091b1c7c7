// SPDX-License-Identifier: Apache-2.0
/*
 * decide_gates.c - why an alert does not become a decision.
 */
#include <string.h>

#include "collector/control/audit.h"
#include "collector/control/decide_int.h"
#include "collector/control/modes.h"
#include "common/log.h"

#define MINUTE_US INT64_C(60000000)

const char *const decide_gate_names[_GATE_MAX] = {
	[GATE_NONE] = "none",
#define GATE(id, name, doc) [GATE_##id] = name,
#include "collector/control/gates.def"
#undef GATE
};

bool decide_breaker(struct book *b)
{
	return publish_breaker(b->db);
}

const char *decide_action(const struct rule_action *a)
{
	return rule_action_word(a->type);
}

const char *decide_scope(const struct proposal *p)
{
	return p->action->scope == RULE_SCOPE_PAIR ? "pair"
	       : p->action->scope == FF_DST_IP	   ? "dst.ip"
						   : "src.ip";
}

const char *decide_rule_mode(const struct rule *r)
{
	return r->mode == RM_SHADOW ? "shadow" : r->mode == RM_CANARY ? "canary" : "enforce";
}

const char *decide_mode(struct book *b, const struct rule *r)
{
	return decide_breaker(b) ? "shadow" : decide_rule_mode(r);
}

/* ---- gates ---- */

static bool listed(const struct filter *f, const struct proposal *p)
{
	return ruleset_has(f, p->a) || (p->has_b && ruleset_has(f, p->b));
}

static bool infrastructure(struct book *b, const struct proposal *p)
{
	return b->cfg.agent &&
	       (b->cfg.agent(b->cfg.arg, p->a) || (p->has_b && b->cfg.agent(b->cfg.arg, p->b)));
}

/* Who may be somebody else is not acted on: it takes a rule that asks for it, and a handshake. */
static bool forged(const struct proposal *p)
{
	return p->action->scope != FF_DST_IP && (!p->rule->evidence.handshake || !p->proven);
}

static bool victim(struct book *b, const struct proposal *p)
{
	return p->action->scope == FF_DST_IP && ruleset_has(b->set->local, p->a) &&
	       (p->action->type != RO_LIMIT || !p->port);
}

bool decide_is_local(struct book *b, const struct proposal *p)
{
	return p->action->scope != FF_DST_IP && ruleset_has(b->set->local, p->a);
}

bool decide_is_retried(enum decide_gate gate)
{
	return gate == GATE_RATE || gate == GATE_FULL || gate == GATE_SILENCED;
}

static int64_t made_lately(struct book *b)
{
	return db_number(b->db, 0,
			 "SELECT count(*) FROM decision WHERE made_us > ? AND mode != 'shadow' AND"
			 " node IS NULL AND action NOT IN (" DECIDE_LOOKS ") AND"
			 " (reason IS NULL OR reason IN ('rate', 'internal'))",
			 "i", book_now_us() - MINUTE_US);
}

int decide_stop(struct book *b, const char *actor, json_t *detail)
{
	int r = db_run(b->db,
		       "INSERT INTO number VALUES ('breaker', 1) ON CONFLICT (name) DO UPDATE"
		       " SET value = 1",
		       "");

	r = r ?: modes_stopped(b);
	b->policy_dirty = true;
	if (r)
		json_decref(detail);
	return r
		       ?: audit_add(b->db,
				    &(struct audit_entry){actor, "breaker.tripped", "policy"},
				    detail);
}

/* Twice as many as are allowed: a rule is wrong, rather than so many attackers there. */
int decide_trip(struct book *b)
{
	const int64_t n = made_lately(b);

	if (!b->cfg.decide.rate || n < 2 * (int64_t)b->cfg.decide.rate)
		return 0;
	log_error("decisions",
		  "%lld in a minute: the breaker has acted, automatic decisions only count until "
		  "'weir-collector decisions resume'",
		  (long long)n);
	return decide_stop(b, "collector", json_pack("{s:I}", "decisions", (json_int_t)n));
}

enum decide_gate decide_spared(struct book *b, const struct proposal *p)
{
	if (p->exempt)
		return GATE_EXEMPT;
	if (listed(b->set->never, p))
		return GATE_NEVER;
	if (infrastructure(b, p))
		return GATE_AGENT;
	return p->rule->exempt.filter && listed(p->rule->exempt.filter, p) ? GATE_EXEMPT
									   : GATE_NONE;
}

enum decide_gate decide_gate(struct book *b, const struct proposal *p, const char *mode, bool old)
{
	const bool acts = strcmp(mode, "shadow") != 0;
	enum decide_gate gate;
	int64_t n;

	if (!p->has_a || (p->action->scope == RULE_SCOPE_PAIR && !p->has_b))
		return GATE_NO_VALUE;
	gate = decide_spared(b, p);
	if (gate)
		return gate;
	if (forged(p))
		return GATE_FORGED;
	if (victim(b, p))
		return GATE_VICTIM;
	if (p->silenced)
		return GATE_SILENCED;
	n = db_number(b->db, INT64_MAX,
		      "SELECT count(*) FROM decision WHERE state = 'active' AND node IS NULL"
		      " AND action NOT IN (" DECIDE_LOOKS ")",
		      "");
	if (n - old >= b->cfg.decide.max)
		return GATE_FULL;
	if (acts && made_lately(b) >= b->cfg.decide.rate)
		return GATE_RATE;
	if (acts && decide_is_local(b, p))
		return GATE_INTERNAL;
	return GATE_NONE;
}
