// SPDX-License-Identifier: Apache-2.0
/*
 * decide_end.c - what ends a decision: its time, other rules, people; and what has to be looked at again.
 */
#include <string.h>

#include "collector/control/audit.h"
#include "collector/control/decide_int.h"

#define RETRIES 256 /* at one time */

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
	/* nodes let go of what they have decided by themselves */
	b->policy_dirty |=
		strcmp(state, "expired") != 0 ||
		db_number(b->db, 1, "SELECT node IS NULL FROM decision WHERE id = ?", "i", id);
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

enum rule_column { R_ID, R_RULE, R_AT, R_A, R_B, R_MODE, R_ACTION, R_SCOPE, R_DIRECTION, R_RATE };

/* Is it another action than what was decided on? */
static bool is_other(const struct proposal *p, sqlite3_stmt *s)
{
	return strcmp(decide_action(p->action), db_text(s, R_ACTION)) != 0 ||
	       strcmp(decide_scope(p), db_text(s, R_SCOPE)) != 0 ||
	       p->action->direction != sqlite3_column_int(s, R_DIRECTION) ||
	       strcmp(p->action->rate ?: "", db_text(s, R_RATE)) != 0;
}

/* What the rules have to say of a decision now; NULL: they stand behind it. */
static const char *disowned(struct book *b, struct proposal *p, sqlite3_stmt *s)
{
	const char *mode = db_text(s, R_MODE);
	const struct rule *rule = p->rule;
	enum decide_gate gate;

	if (!rule || p->at >= rule->actions.n)
		return "rule";
	p->action = &rule->actions.v[p->at];
	if (is_other(p, s))
		return "rule";
	if (!rule_action_stops(p->action))
		return rule->mode < RM_DETECT ? "mode" : NULL;
	if (rule->mode < RM_SHADOW || (rule->mode == RM_SHADOW && strcmp(mode, "shadow") != 0) ||
	    (rule->mode == RM_CANARY && !strcmp(mode, "enforce")))
		return "mode";
	gate = decide_spared(b, p);
	return gate ? decide_gate_names[gate] : NULL;
}

enum decide_gate decide_spared_by_now(struct book *b, int64_t id)
{
	sqlite3_stmt *s =
		db_begin(b->db, "SELECT a, b, rule_id FROM decision WHERE id = ?", "i", id);
	enum decide_gate gate = GATE_NONE;
	struct proposal p = {};

	if (db_step(b->db, s) != 1)
		return gate;
	blob(s, 0, p.a, &p.has_a);
	blob(s, 1, p.b, &p.has_b);
	p.rule = b->set ? rules_find(ruleset_rules(b->set), db_text(s, 2)) : NULL;
	if (p.rule)
		gate = decide_spared(b, &p);
	db_end(s);
	return gate;
}

int decide_rules(struct book *b)
{
	sqlite3_stmt *s = db_begin(b->db,
				   "SELECT id, rule_id, at, a, b, mode, action, scope, direction,"
				   " rate FROM decision WHERE state IN ('active', 'held')",
				   "");
	int r;

	while ((r = db_step(b->db, s)) == 1) {
		struct proposal p = {.rule = rules_find(ruleset_rules(b->set), db_text(s, R_RULE)),
				     .at = (uint32_t)sqlite3_column_int64(s, R_AT)};
		const char *why;

		blob(s, R_A, p.a, &p.has_a);
		blob(s, R_B, p.b, &p.has_b);
		why = disowned(b, &p, s);
		r = why ? decide_end(b, sqlite3_column_int64(s, R_ID), "withdrawn", why,
				     "collector")
			: 0;
		if (r) {
			db_end(s);
			break;
		}
	}
	return r;
}

/* ---- what time does ---- */

#define DUE                                                                                         \
	"SELECT d.id, d.rule_id, d.at, d.a, d.b, d.alert, d.port, a.proven, a.exempt,"              \
	" a.silence IS NOT NULL, coalesce(a.state = 'firing', 0) FROM decision d LEFT JOIN alert a" \
	" ON a.id = d.alert WHERE "

enum due_column {
	D_ID,
	D_RULE,
	D_AT,
	D_A,
	D_B,
	D_ALERT,
	D_PORT,
	D_PROVEN,
	D_EXEMPT,
	D_SILENCED,
	D_FIRING
};

/* What its rule still says about it, if its alert goes on. */
static bool goes_on(struct book *b, sqlite3_stmt *s, struct proposal *ret)
{
	*ret = (struct proposal){
		.rule = b->set ? rules_find(ruleset_rules(b->set), db_text(s, D_RULE)) : NULL,
		.at = (uint32_t)sqlite3_column_int64(s, D_AT),
		.alert = sqlite3_column_int64(s, D_ALERT),
		.port = (uint16_t)sqlite3_column_int(s, D_PORT),
		.proven = sqlite3_column_int(s, D_PROVEN),
		.exempt = sqlite3_column_int(s, D_EXEMPT),
		.silenced = sqlite3_column_int(s, D_SILENCED)};
	if (!sqlite3_column_int(s, D_FIRING) || !ret->rule || ret->at >= ret->rule->actions.n)
		return false;
	ret->action = &ret->rule->actions.v[ret->at];
	if (ret->action->type == RO_CAPTURE || /* an alert's file is one */
	    ret->rule->mode < (rule_action_stops(ret->action) ? RM_SHADOW : RM_DETECT))
		return false;
	blob(s, D_A, ret->a, &ret->has_a);
	blob(s, D_B, ret->b, &ret->has_b);
	return true;
}

/* The next step, if the alert goes on. */
static int end_due(struct book *b, sqlite3_stmt *s, int64_t now_us)
{
	const int r = decide_end(b, sqlite3_column_int64(s, D_ID), "expired", NULL, "collector");
	struct proposal p;

	(void)now_us;
	return r || !goes_on(b, s, &p) ? r : decide_propose(b, &p);
}

/* Nobody has approved it, and there is no need any more. */
static int drop_held(struct book *b, sqlite3_stmt *s, int64_t now_us)
{
	struct proposal p;

	(void)now_us;
	return goes_on(b, s, &p) && !p.silenced
		       ? 0
		       : decide_end(b, sqlite3_column_int64(s, D_ID), "expired",
				    decide_gate_names[GATE_INTERNAL], "collector");
}

static int try_again(struct book *b, sqlite3_stmt *s, int64_t now_us)
{
	struct proposal p;
	const bool on = goes_on(b, s, &p),
		   wait = on &&
			  decide_is_retried(decide_gate(b, &p, decide_mode(b, p.rule), false));
	const int r = db_run(b->db, "UPDATE decision SET expires_us = nullif(?, 0) WHERE id = ?",
			     "ii", wait ? now_us + DECIDE_RETRY_US : INT64_C(0),
			     sqlite3_column_int64(s, D_ID));

	return r || !on || wait ? r : decide_propose(b, &p);
}

static int each(struct book *b, sqlite3_stmt *s, int64_t now_us,
		int (*fn)(struct book *b, sqlite3_stmt *s, int64_t now_us))
{
	int r;

	while ((r = db_step(b->db, s)) == 1) {
		r = fn(b, s, now_us);
		if (r) {
			db_end(s);
			break;
		}
	}
	return r;
}

int decide_tick(struct book *b, int64_t now_us)
{
	static const char due[] = DUE "d.state = 'active' AND d.expires_us <= ?",
			  held[] = DUE "d.state = 'held' AND d.made_us + d.ttl_us <= ?",
			  refused[] = DUE "d.state = 'refused' AND d.expires_us <= ? LIMIT ?";
	int r = each(b, db_begin(b->db, due, "i", now_us), now_us, end_due);

	r = r ?: each(b, db_begin(b->db, held, "i", now_us), now_us, drop_held);
	r = r
		    ?: each(b, db_begin(b->db, refused, "ii", now_us, (int64_t)RETRIES), now_us,
			    try_again);
	return r ?: decide_tell_refusals(b, now_us);
}
