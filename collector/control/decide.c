// SPDX-License-Identifier: Apache-2.0
#include "collector/control/decide.h"

#include <errno.h>
#include <string.h>

#include "collector/control/audit.h"
#include "collector/control/decide_int.h"
#include "common/log.h"
#include "common/num_text.h"

#define MINUTE_US INT64_C(60000000)

const char *const decide_gate_names[_GATE_MAX] = {
	[GATE_NONE] = "none",
#define GATE(id, name, doc) [GATE_##id] = name,
#include "collector/control/gates.def"
#undef GATE
};

int decide_audit(struct book *b, const char *actor, const char *action, int64_t id, json_t *detail)
{
	char object[40];

	snprintf(object, sizeof(object), "decision %lld", (long long)id);
	return audit_add(b->db, &(struct audit_entry){actor, action, object}, detail);
}

bool decide_breaker(struct book *b)
{
	return db_number(b->db, 0, "SELECT value FROM number WHERE name = 'breaker'", "") != 0;
}

static const char *action_word(const struct rule_action *a)
{
	return a->type == RO_DROP ? "drop" : a->type == RO_LIMIT ? "limit" : "reset";
}

static const char *scope_word(const struct proposal *p)
{
	return p->action->scope == RULE_SCOPE_PAIR ? "pair"
	       : p->action->scope == FF_DST_IP	   ? "dst.ip"
						   : "src.ip";
}

static const char *mode_word(struct book *b, const struct rule *r)
{
	if (r->mode == RM_SHADOW || decide_breaker(b))
		return "shadow";
	return r->mode == RM_CANARY ? "canary" : "enforce";
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

static int64_t made_lately(struct book *b)
{
	return db_number(b->db, 0,
			 "SELECT count(*) FROM decision WHERE made_us > ? AND mode != 'shadow' AND"
			 " (reason IS NULL OR reason IN ('rate', 'internal'))",
			 "i", book_now_us() - MINUTE_US);
}

/* Twice as many as are allowed: a rule is wrong, rather than so many attackers there. */
static int trip(struct book *b, int64_t n)
{
	int r = db_run(b->db,
		       "INSERT INTO number VALUES ('breaker', 1) ON CONFLICT (name) DO UPDATE SET"
		       " value = 1",
		       "");

	b->policy_dirty = true;
	log_error("decisions",
		  "%lld in a minute: the breaker has acted, automatic decisions only count until "
		  "'weir-collector decisions resume'",
		  (long long)n);
	return r
		       ?: audit_add(b->db,
				    &(struct audit_entry){"collector", "breaker.tripped", "policy"},
				    json_pack("{s:I}", "decisions", (json_int_t)n));
}

static enum decide_gate gate_of(struct book *b, const struct proposal *p, const char *mode)
{
	const bool acts = strcmp(mode, "shadow") != 0;
	int64_t n;

	if (!p->has_a || (p->action->scope == RULE_SCOPE_PAIR && !p->has_b))
		return GATE_NO_VALUE;
	if (p->exempt)
		return GATE_EXEMPT;
	if (listed(b->set->never, p))
		return GATE_NEVER;
	if (infrastructure(b, p))
		return GATE_AGENT;
	if (forged(p))
		return GATE_FORGED;
	if (victim(b, p))
		return GATE_VICTIM;
	n = db_number(b->db, 0, "SELECT count(*) FROM decision WHERE state = 'active'", "");
	if (n >= b->cfg.decide.max)
		return GATE_FULL;
	if (acts && made_lately(b) >= b->cfg.decide.rate)
		return GATE_RATE;
	if (acts && p->action->scope != FF_DST_IP && ruleset_has(b->set->local, p->a))
		return GATE_INTERNAL;
	return GATE_NONE;
}

/* ---- making one ---- */

/* How often the value has been decided on by this rule, in this mode. */
static int64_t offences(struct book *b, const struct proposal *p, const char *mode)
{
	return db_number(b->db, 0,
			 "SELECT count(*) FROM decision WHERE rule_id = ? AND a = ? AND at = ?"
			 " AND coalesce(b, x'') = ? AND mode = ? AND made_us > ?"
			 " AND state IN ('active', 'expired', 'withdrawn')"
			 " AND coalesce(reason, '') NOT IN ('mode', 'superseded')",
			 "tbibti", p->rule->id, p->a, 16, (int64_t)p->at, p->b, p->has_b ? 16 : 0,
			 mode, book_now_us() - (int64_t)b->cfg.decide.forget_us);
}

static int64_t ttl_us(const struct rule_action *a, int64_t step)
{
	const uint32_t n = a->escalate.n;

	if (!n)
		return (int64_t)(a->ttl_ns / 1000);
	return (int64_t)(a->escalate.ns[step < n ? step : n - 1] / 1000);
}

static json_t *detail_of(const struct proposal *p, const char *mode, const char *reason)
{
	char a[IP_TEXT] = "", other[IP_TEXT] = "";
	json_t *o = json_object();

	if (p->has_a)
		ip_text(p->a, 0, a);
	if (p->has_b)
		ip_text(p->b, 0, other);
	json_object_set_new(o, "rule", json_string(p->rule->name));
	json_object_set_new(o, "alert", json_integer(p->alert));
	json_object_set_new(o, "action", json_string(action_word(p->action)));
	json_object_set_new(o, "scope", json_string(scope_word(p)));
	json_object_set_new(o, "value", json_string(a));
	if (*other)
		json_object_set_new(o, "to", json_string(other));
	json_object_set_new(o, "mode", json_string(mode));
	json_object_set_new(o, "proven", json_boolean(p->proven));
	if (reason)
		json_object_set_new(o, "reason", json_string(reason));
	return o;
}

static int insert(struct book *b, const struct proposal *p, const char *mode, enum decide_gate gate)
{
	const char *state = !gate ? "active" : gate == GATE_INTERNAL ? "held" : "refused";
	const char *reason = gate ? decide_gate_names[gate] : NULL;
	const int64_t now = book_now_us(), step = offences(b, p, mode),
		      ttl = ttl_us(p->action, step);
	char actor[RULE_NAME_MAX + 8];
	int64_t id;
	int r;

	r = db_run(
		b->db,
		"INSERT INTO decision (alert, rule_id, rule, at, action, scope, a, b, port, direction,"
		" rate, mode, state, reason, step, made_us, ttl_us, expires_us)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, nullif(?, x''), ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0))",
		"ittittbbiittttiiii", p->alert, p->rule->id, p->rule->name, (int64_t)p->at,
		action_word(p->action), scope_word(p), p->a, 16, p->b, p->has_b ? 16 : 0,
		(int64_t)p->port, (int64_t)p->action->direction, p->action->rate, mode, state,
		reason, step, now, ttl, gate ? INT64_C(0) : now + ttl);
	if (r)
		return r;
	id = db_last_id(b->db);
	b->decide.made += !gate;
	b->decide.refused[gate] += gate != GATE_NONE;
	b->policy_dirty |= !gate;
	snprintf(actor, sizeof(actor), "rule:%s", p->rule->name);
	return decide_audit(b, actor,
			    !gate		    ? "decision.made"
			    : gate == GATE_INTERNAL ? "decision.held"
						    : "decision.refused",
			    id, detail_of(p, mode, reason));
}

/* The same is in force; or, in a lower mode, it is taken back. Return: 1: nothing to do, 0, -EIO. */
static int supersede(struct book *b, const struct proposal *p, const char *mode)
{
	sqlite3_stmt *s =
		db_begin(b->db,
			 "SELECT id, mode FROM decision WHERE rule_id = ? AND a = ? AND at = ?"
			 " AND coalesce(b, x'') = ? AND port = ? AND state IN ('active', 'held')"
			 " ORDER BY id DESC LIMIT 1",
			 "tbibi", p->rule->id, p->a, 16, (int64_t)p->at, p->b, p->has_b ? 16 : 0,
			 (int64_t)p->port);
	const int r = db_step(b->db, s);
	int64_t id;
	bool same;

	if (r != 1)
		return r;
	id = sqlite3_column_int64(s, 0);
	same = !strcmp(db_text(s, 1), mode);
	db_end(s);
	return same ? 1 : decide_end(b, id, "withdrawn", "superseded", "collector");
}

int decide_propose(struct book *b, const struct proposal *p)
{
	const char *mode = mode_word(b, p->rule);
	int r = supersede(b, p, mode);
	enum decide_gate gate;
	int64_t n;

	if (r)
		return r < 0 ? r : 0;
	gate = gate_of(b, p, mode);
	r = insert(b, p, mode, gate);
	if (r || gate != GATE_RATE)
		return r;
	n = made_lately(b);
	return n >= 2 * (int64_t)b->cfg.decide.rate ? trip(b, n) : 0;
}

/* ---- alerts ---- */

static void take_value(struct proposal *p, const struct alert_value *v)
{
	const bool host = v->field == _FF_MAX;

	if (!v->present)
		return;
	if (v->field == FF_DST_PORT && p->action->scope == FF_DST_IP)
		p->port = (uint16_t)v->number;
	if (host || v->field == p->action->scope ||
	    (p->action->scope == RULE_SCOPE_PAIR && v->field == FF_SRC_IP)) {
		memcpy(p->a, v->ip, 16);
		p->has_a = true;
	} else if (p->action->scope == RULE_SCOPE_PAIR && v->field == FF_DST_IP) {
		memcpy(p->b, v->ip, 16);
		p->has_b = true;
	}
}

int decide_alert(struct book *b, const struct alert_event *ev, int64_t alert)
{
	const struct rule *rule = ev->alert.rule;
	int r = 0;

	if (rule->mode < RM_SHADOW || !b->set)
		return 0;
	for (uint32_t i = 0; i < rule->actions.n && !r; i++) {
		struct proposal p = {.rule = rule,
				     .action = &rule->actions.v[i],
				     .at = i,
				     .alert = alert,
				     .exempt = ev->alert.exempt,
				     .proven = ev->proven};

		if (p.action->type > RO_RESET) /* capture and mirror: not by the agents yet */
			continue;
		for (uint32_t k = 0; k < ev->alert.n_by; k++)
			take_value(&p, &ev->alert.by[k]);
		r = decide_propose(b, &p);
	}
	return r;
}

/* ---- ends ---- */

int decide_end(struct book *b, int64_t id, const char *state, const char *reason, const char *actor)
{
	char action[40];
	int r = db_run(b->db,
		       "UPDATE decision SET state = ?, reason = ?, ended_us = ? WHERE id = ?"
		       " AND state IN ('active', 'held')",
		       "ttii", state, reason, book_now_us(), id);

	if (r || !db_changes(b->db))
		return r;
	b->decide.expired += !strcmp(state, "expired");
	b->decide.withdrawn += !strcmp(state, "withdrawn");
	b->policy_dirty = true;
	snprintf(action, sizeof(action), "decision.%s", state);
	return decide_audit(b, actor, action, id,
			    reason ? json_pack("{s:s}", "reason", reason) : NULL);
}

static void blob(sqlite3_stmt *s, int column, uint8_t ret[16], bool *ret_has)
{
	*ret_has = sqlite3_column_bytes(s, column) == 16;
	if (*ret_has)
		memcpy(ret, sqlite3_column_blob(s, column), 16);
}

/* What the rules have to say of a decision now; NULL: they stand behind it. */
static const char *disowned(struct book *b, const struct rule *rule, const struct proposal *p,
			    const char *mode)
{
	if (!rule || p->at >= rule->actions.n)
		return "rule";
	if (rule->mode < RM_SHADOW || (rule->mode == RM_SHADOW && strcmp(mode, "shadow") != 0) ||
	    (rule->mode == RM_CANARY && !strcmp(mode, "enforce")))
		return "mode";
	return listed(b->set->never, p) ? decide_gate_names[GATE_NEVER] : NULL;
}

int decide_rules(struct book *b)
{
	sqlite3_stmt *s = db_begin(b->db,
				   "SELECT id, rule_id, at, a, b, mode FROM decision"
				   " WHERE state IN ('active', 'held')",
				   "");
	int r;

	while ((r = db_step(b->db, s)) == 1) {
		const struct rule *rule = rules_find(ruleset_rules(b->set), db_text(s, 1));
		struct proposal p = {.at = (uint32_t)sqlite3_column_int64(s, 2)};
		const char *why;

		blob(s, 3, p.a, &p.has_a);
		blob(s, 4, p.b, &p.has_b);
		why = disowned(b, rule, &p, db_text(s, 5));
		r = why ? decide_end(b, sqlite3_column_int64(s, 0), "withdrawn", why, "collector")
			: 0;
		if (r) {
			db_end(s);
			break;
		}
	}
	return r;
}

/* The alert goes on: the next step, if its rule still says so. */
static int renew(struct book *b, sqlite3_stmt *s)
{
	struct proposal p = {.rule = b->set ? rules_find(ruleset_rules(b->set), db_text(s, 1))
					    : NULL,
			     .at = (uint32_t)sqlite3_column_int64(s, 2),
			     .alert = sqlite3_column_int64(s, 5),
			     .port = (uint16_t)sqlite3_column_int(s, 6),
			     .proven = sqlite3_column_int(s, 7)};

	if (!p.rule || p.rule->mode < RM_SHADOW || p.at >= p.rule->actions.n)
		return 0;
	p.action = &p.rule->actions.v[p.at];
	blob(s, 3, p.a, &p.has_a);
	blob(s, 4, p.b, &p.has_b);
	return decide_propose(b, &p);
}

int decide_tick(struct book *b, int64_t now_us)
{
	sqlite3_stmt *s =
		db_begin(b->db,
			 "SELECT d.id, d.rule_id, d.at, d.a, d.b, d.alert, d.port, a.proven,"
			 " a.state = 'firing' AND a.silence IS NULL"
			 " FROM decision d LEFT JOIN alert a ON a.id = d.alert"
			 " WHERE d.state = 'active' AND d.expires_us <= ?",
			 "i", now_us);
	int r;

	while ((r = db_step(b->db, s)) == 1) {
		r = decide_end(b, sqlite3_column_int64(s, 0), "expired", NULL, "collector");
		if (!r && sqlite3_column_int(s, 8))
			r = renew(b, s);
		if (r) {
			db_end(s);
			break;
		}
	}
	return r;
}
