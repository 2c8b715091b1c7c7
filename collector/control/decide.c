// SPDX-License-Identifier: Apache-2.0
#include "collector/control/decide.h"

#include <errno.h>
#include <string.h>

#include "collector/control/audit.h"
#include "collector/control/decide_int.h"
#include "collector/rules/node_rule.h"
#include "common/log.h"
#include "common/num_text.h"

#define MINUTE_US    INT64_C(60000000)
#define REFUSALS_MAX 600u /* a minute: rows and entries; beyond, they are numbers */

int decide_audit(struct book *b, const char *actor, const char *action, int64_t id, json_t *detail)
{
	char object[40];

	snprintf(object, sizeof(object), "decision %lld", (long long)id);
	return audit_add(b->db, &(struct audit_entry){actor, action, object}, detail);
}

/* ---- making one ---- */

/* How often the value has been decided on by this rule, in this mode. */
static int64_t offences(struct book *b, const struct proposal *p, const char *mode)
{
	return db_number(
		b->db, 0,
		"SELECT count(*) FROM decision WHERE rule_id = ? AND a = ? AND at = ?"
		" AND coalesce(b, x'') = ? AND mode = ? AND made_us > ? AND node IS NULL"
		" AND state IN ('active', 'expired', 'withdrawn') AND expires_us IS NOT NULL"
		" AND coalesce(reason, '') NOT IN ('mode', 'superseded', 'rule', 'exempt',"
		" 'never_block', 'agent')",
		"tbibti", p->rule->id, p->a, 16, (int64_t)p->at, p->b, p->has_b ? 16 : 0, mode,
		book_now_us() - (int64_t)b->cfg.decide.forget_us);
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
	json_object_set_new(o, "action", json_string(decide_action(p->action)));
	json_object_set_new(o, "scope", json_string(decide_scope(p)));
	json_object_set_new(o, "value", json_string(a));
	if (*other)
		json_object_set_new(o, "to", json_string(other));
	json_object_set_new(o, "mode", json_string(mode));
	json_object_set_new(o, "proven", json_boolean(p->proven));
	if (reason)
		json_object_set_new(o, "reason", json_string(reason));
	return o;
}

/* The rule of policies that it stands under: nodes tell by that what it has hit. */
static void record_of(const struct proposal *p, const char *mode, uint8_t ret[16])
{
	const struct publish_group g = {
		.rule_id = p->rule->id,
		.rate = p->action->rate ?: "",
		.mode = mode,
		.action = decide_action(p->action),
		.scope = decide_scope(p),
		.to = p->has_b ? p->b : NULL,
		.at = (int)p->at,
		.port = p->port,
		.direction = p->action->direction,
	};
	char text[PUBLISH_GROUP];

	publish_group_text(&g, text);
	policy_id(text, ret);
}

static int insert(struct book *b, const struct proposal *p, const char *mode, enum decide_gate gate)
{
	const char *state = !gate ? "active" : gate == GATE_INTERNAL ? "held" : "refused";
	const char *reason = gate ? decide_gate_names[gate] : NULL;
	const int64_t now = book_now_us(), step = offences(b, p, mode),
		      ttl = ttl_us(p->action, step),
		      until = !gate			? now + ttl
			      : decide_is_retried(gate) ? now + DECIDE_RETRY_US
							: 0;
	char actor[RULE_NAME_MAX + 8];
	uint8_t record[16];
	int64_t id;
	int r;

	record_of(p, mode, record);
	r = db_run(
		b->db,
		"INSERT INTO decision (alert, rule_id, rule, at, action, scope, a, b, port, direction,"
		" rate, mode, state, reason, step, made_us, ttl_us, expires_us, record)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, nullif(?, x''), ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?)",
		"ittittbbiittttiiiib", p->alert, p->rule->id, p->rule->name, (int64_t)p->at,
		decide_action(p->action), decide_scope(p), p->a, 16, p->b, p->has_b ? 16 : 0,
		(int64_t)p->port, (int64_t)p->action->direction, p->action->rate, mode, state,
		reason, step, now, ttl, until, record, 16);
	if (r)
		return r;
	id = db_last_id(b->db);
	if (!gate) /* need not be looked at again */
		r = db_run(b->db,
			   "UPDATE decision SET expires_us = NULL WHERE alert = ? AND at = ?"
			   " AND state = 'refused'",
			   "ii", p->alert, (int64_t)p->at);
	if (r)
		return r;
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

/* A decision in force about the same. */
struct before {
	int64_t id;	   /* 0: none */
	bool active, same; /* same: it is all that the rule wants */
};

static int find_before(struct book *b, const struct proposal *p, const char *mode,
		       struct before *ret)
{
	sqlite3_stmt *s = db_begin(
		b->db,
		"SELECT id, mode, state FROM decision WHERE rule_id = ? AND a = ? AND at = ?"
		" AND coalesce(b, x'') = ? AND port = ? AND state IN ('active', 'held')"
		" AND node IS NULL"
		" ORDER BY id DESC LIMIT 1",
		"tbibi", p->rule->id, p->a, 16, (int64_t)p->at, p->b, p->has_b ? 16 : 0,
		(int64_t)p->port);
	const int r = db_step(b->db, s);

	*ret = (struct before){};
	if (r != 1)
		return r;
	ret->id = sqlite3_column_int64(s, 0);
	/* one that acts stays as it is while the breaker has it only count */
	ret->same = !strcmp(db_text(s, 1), mode) ||
		    !strcmp(db_text(s, 1), decide_rule_mode(p->rule));
	ret->active = !strcmp(db_text(s, 2), "active");
	db_end(s);
	return 0;
}

/* What has been decided before makes room, or has no ground any more. */
static int end_before(struct book *b, const struct before *before, enum decide_gate gate)
{
	const char *why = gate == GATE_NONE || gate == GATE_INTERNAL ? "superseded"
								     : decide_gate_names[gate];

	return before->id ? decide_end(b, before->id, "withdrawn", why, "collector") : 0;
}

static bool is_spared(enum decide_gate gate)
{
	return gate == GATE_EXEMPT || gate == GATE_NEVER || gate == GATE_AGENT;
}

int decide_tell_refusals(struct book *b, int64_t now_us)
{
	struct decide_refusals *f = &b->refusals;
	json_t *detail = NULL;

	if (now_us >= f->since_us && now_us - f->since_us < MINUTE_US)
		return 0;
	for (unsigned int i = GATE_NONE + 1; i < _GATE_MAX; i++) {
		if (!f->more[i])
			continue;
		detail = detail ?: json_object();
		json_object_set_new(detail, decide_gate_names[i],
				    json_integer((json_int_t)f->more[i]));
	}
	*f = (struct decide_refusals){.since_us = now_us};
	return detail ? audit_add(b->db,
				  &(struct audit_entry){"collector", "decisions.refused", "alerts"},
				  detail)
		      : 0;
}

/* A flood of alerts that nothing comes of is not to fill the disk. */
static bool is_one_of_many(struct book *b, enum decide_gate gate)
{
	struct decide_refusals *f = &b->refusals;

	if (gate == GATE_NONE || gate == GATE_INTERNAL ||
	    (gate == GATE_RATE && b->cfg.decide.rate)) /* the breaker bounds them */
		return false;
	if (f->n < REFUSALS_MAX) {
		f->n++;
		return false;
	}
	f->more[gate]++;
	b->decide.refused[gate]++;
	return true;
}

int decide_propose(struct book *b, const struct proposal *p)
{
	const char *mode = decide_mode(b, p->rule);
	struct before before;
	enum decide_gate gate;
	int r;

	if (!rule_action_stops(p->action))
		return decide_look(b, p);
	r = find_before(b, p, mode, &before);
	if (r)
		return r;
	gate = decide_gate(b, p, mode, before.active);
	if (before.same && !is_spared(gate))
		return 0;
	if (!gate || gate == GATE_INTERNAL || is_spared(gate))
		r = end_before(b, &before, gate);
	r = r ?: decide_tell_refusals(b, book_now_us());
	if (r || is_one_of_many(b, gate))
		return r;
	r = insert(b, p, mode, gate);
	return r || gate != GATE_RATE ? r : decide_trip(b);
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

/* What nodes capture and mirror by themselves they have by now. */
static bool acts(const struct book *b, const struct rule *r, const struct rule_action *a)
{
	char buf[NODE_RULE_WHY];

	if (!rule_action_stops(a))
		return node_rule_why_not(r, a, &b->set->files.binding, buf);
	return r->mode >= RM_SHADOW;
}

void decide_read(const struct alert_event *ev, uint32_t at, struct proposal *ret)
{
	const struct rule *rule = ev->alert.rule;

	*ret = (struct proposal){.rule = rule,
				 .action = &rule->actions.v[at],
				 .at = at,
				 .exempt = ev->alert.exempt,
				 .proven = ev->proven};
	for (uint32_t k = 0; k < ev->alert.n_by; k++)
		take_value(ret, &ev->alert.by[k]);
}

int decide_alert(struct book *b, const struct alert_event *ev, int64_t alert, bool silenced)
{
	const struct rule *rule = ev->alert.rule;
	int r = 0;

	if (rule->mode < RM_DETECT || !b->set)
		return 0;
	for (uint32_t i = 0; i < rule->actions.n && !r; i++) {
		struct proposal p;

		if (!acts(b, rule, &rule->actions.v[i]))
			continue;
		decide_read(ev, i, &p);
		p.alert = alert;
		p.silenced = silenced;
		r = decide_propose(b, &p);
	}
	return r;
}
