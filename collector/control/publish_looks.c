// SPDX-License-Identifier: Apache-2.0
/*
 * publish_looks.c - packets that alerts have kept or mirrored, as records of a policy. Each node takes what comes by it.
 */
#include <string.h>

#include "collector/alerts/ruleset.h"
#include "collector/control/decide_int.h"
#include "collector/control/publish_int.h"
#include "collector/rules/node_rule.h"

enum column { C_RULE_ID, C_AT, C_A, C_B, C_MADE, C_EXPIRES, C_ALERT, C_ID };

#define ROWS                                                                     \
	"SELECT rule_id, at, a, b, made_us, expires_us, alert, id FROM decision" \
	" WHERE state = 'active' AND node IS NULL AND action IN (" DECIDE_LOOKS  \
	") ORDER BY rule_id, at, id"

static enum policy_type type_of(const struct rule *r, uint32_t at)
{
	return r->actions.v[at].type == RO_CAPTURE ? POLICY_CAPTURE : POLICY_MIRROR;
}

static uint32_t room_of(enum policy_type type)
{
	return type == POLICY_CAPTURE ? POLICY_CAPTURES_MAX : POLICY_MIRRORS_MAX;
}

/* The rule of the rows at hand, behind those that have been. Return: 0, -ENOMEM, -E2BIG. */
static int add_rule(struct making *m, const struct rule *r, uint32_t at)
{
	struct policy_rule rule = {
		.number = ++m->number,
		.action = type_of(r, at) == POLICY_CAPTURE ? POLICY_DO_CAPTURE : POLICY_DO_MIRROR,
		.flags = RULE_AUTOMATIC,
		.direction = DIR_BOTH,
		.key = RULE_BY_ADDR,
		.expires = m->now + m->p->valid_us / 1000000,
	};
	char id[80];

	snprintf(id, sizeof(id), "%s %.60s %u", rule_action_word(r->actions.v[at].type), r->id, at);
	policy_id(id, rule.id);
	snprintf((char *)rule.name, sizeof(rule.name), "%.63s", r->name);
	snprintf((char *)rule.origin, sizeof(rule.origin), "rule:%.30s@%.24s", r->name,
		 m->p->issuer);
	return policy_add(&m->draft, POLICY_RULE, &rule);
}

/* Its addresses. False: there are none. */
static bool take_ends(sqlite3_stmt *s, uint8_t scope, uint8_t *ret_ends, uint8_t ret[2][16])
{
	*ret_ends = scope == CAPTURE_PAIR ? 2 : 1;
	if (sqlite3_column_bytes(s, C_A) != 16 ||
	    (*ret_ends == 2 && sqlite3_column_bytes(s, C_B) != 16))
		return false;
	memcpy(ret[0], sqlite3_column_blob(s, C_A), 16);
	if (*ret_ends == 2)
		memcpy(ret[1], sqlite3_column_blob(s, C_B), 16);
	return true;
}

static int add_mirror(struct making *m, const struct rule_action *a, sqlite3_stmt *s)
{
	struct policy_mirror k;

	node_rule_mirror(a, &k);
	k.rule = m->number;
	k.made = (uint64_t)sqlite3_column_int64(s, C_MADE) / 1000000;
	k.alert = (uint64_t)sqlite3_column_int64(s, C_ALERT);
	k.decision = (uint64_t)sqlite3_column_int64(s, C_ID);
	return take_ends(s, k.scope, &k.ends, k.addr) ? policy_add(&m->draft, POLICY_MIRROR, &k)
						      : 0;
}

static int add_row(struct making *m, const struct rule *r, uint32_t at, sqlite3_stmt *s)
{
	struct policy_capture k;

	if (r->actions.v[at].type == RO_MIRROR)
		return add_mirror(m, &r->actions.v[at], s);
	node_rule_capture(&r->actions.v[at], &k);
	k.rule = m->number;
	k.made = (uint64_t)sqlite3_column_int64(s, C_MADE) / 1000000;
	k.alert = (uint64_t)sqlite3_column_int64(s, C_ALERT);
	k.decision = (uint64_t)sqlite3_column_int64(s, C_ID);
	return take_ends(s, k.scope, &k.ends, k.addr) ? policy_add(&m->draft, POLICY_CAPTURE, &k)
						      : 0;
}

int making_looks(struct making *m)
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

		if (!rule || at >= rule->actions.n || rule_action_stops(&rule->actions.v[at]) ||
		    (uint64_t)sqlite3_column_int64(s, C_EXPIRES) / 1000000 <= m->now)
			continue;
		if (m->number == POLICY_RULES_MAX ||
		    m->draft.of[type_of(rule, at)].n == room_of(type_of(rule, at))) {
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
