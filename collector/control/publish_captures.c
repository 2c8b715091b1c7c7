// SPDX-License-Identifier: Apache-2.0
/*
 * publish_captures.c - packets that alerts have kept, as records of a policy. Each node takes what comes by it.
 */
#include <string.h>

#include "collector/alerts/ruleset.h"
#include "collector/control/publish_int.h"
#include "collector/rules/node_rule.h"

enum column { C_RULE_ID, C_AT, C_A, C_B, C_MADE, C_EXPIRES, C_ALERT, C_ID };

#define ROWS                                                                     \
	"SELECT rule_id, at, a, b, made_us, expires_us, alert, id FROM decision" \
	" WHERE state = 'active' AND node IS NULL AND action = 'capture' ORDER BY rule_id, at, id"

/* The rule of the rows at hand, behind those that have been. Return: 0, -ENOMEM, -E2BIG. */
static int add_rule(struct making *m, const struct rule *r, uint32_t at)
{
	struct policy_rule rule = {
		.number = ++m->number,
		.action = POLICY_DO_CAPTURE,
		.flags = RULE_AUTOMATIC,
		.direction = DIR_BOTH,
		.key = RULE_BY_ADDR,
		.expires = m->now + m->p->valid_us / 1000000,
	};
	char id[80];

	snprintf(id, sizeof(id), "capture %.60s %u", r->id, at);
	policy_id(id, rule.id);
	snprintf((char *)rule.name, sizeof(rule.name), "%.63s", r->name);
	snprintf((char *)rule.origin, sizeof(rule.origin), "rule:%.30s@%.24s", r->name,
		 m->p->issuer);
	return policy_add(&m->draft, POLICY_RULE, &rule);
}

static int add_row(struct making *m, const struct rule *r, uint32_t at, sqlite3_stmt *s)
{
	struct policy_capture k;

	node_rule_capture(&r->actions.v[at], &k);
	k.rule = m->number;
	k.ends = k.scope == CAPTURE_PAIR ? 2 : 1;
	k.made = (uint64_t)sqlite3_column_int64(s, C_MADE) / 1000000;
	k.alert = (uint64_t)sqlite3_column_int64(s, C_ALERT);
	k.decision = (uint64_t)sqlite3_column_int64(s, C_ID);
	if (sqlite3_column_bytes(s, C_A) != 16 ||
	    (k.ends == 2 && sqlite3_column_bytes(s, C_B) != 16))
		return 0;
	memcpy(k.addr[0], sqlite3_column_blob(s, C_A), 16);
	if (k.ends == 2)
		memcpy(k.addr[1], sqlite3_column_blob(s, C_B), 16);
	return policy_add(&m->draft, POLICY_CAPTURE, &k);
}

int making_captures(struct making *m)
{
	const struct ruleset *set = m->p->set;
	sqlite3_stmt *s = db_begin(m->db, ROWS, "");
	const struct rule *last = NULL;
	uint32_t last_at = 0;
	int r;

	while ((r = db_step(m->db, s)) == 1) {
		const struct rule *rule =
			set ? rules_find(ruleset_rules(set), db_text(s, C_RULE_ID)) : NULL;
		const uint32_t at = (uint32_t)sqlite3_column_int(s, C_AT);

		if (!rule || at >= rule->actions.n || rule->actions.v[at].type != RO_CAPTURE ||
		    (uint64_t)sqlite3_column_int64(s, C_EXPIRES) / 1000000 <= m->now)
			continue;
		if (m->number == POLICY_RULES_MAX ||
		    m->draft.of[POLICY_CAPTURE].n == POLICY_CAPTURES_MAX) {
			m->left_out++;
			continue;
		}
		r = rule != last || at != last_at ? add_rule(m, rule, at) : 0;
		last = rule;
		last_at = at;
		r = r ?: add_row(m, rule, at, s);
		if (r) {
			db_end(s);
			return r;
		}
	}
	return r;
}
