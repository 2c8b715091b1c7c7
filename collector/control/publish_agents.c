// SPDX-License-Identifier: Apache-2.0
/*
 * publish_agents.c - rules that nodes decide by themselves, as records of a policy. What somebody has taken
 * back of what a node decided is an exemption, until it would have ended.
 */
#include <string.h>

#include "collector/alerts/ruleset.h"
#include "collector/control/publish_int.h"
#include "collector/rules/node_rule.h"
#include "common/log.h"

static const char *mode_of(const struct rule *r)
{
	return r->mode == RM_SHADOW ? "shadow" : r->mode == RM_CANARY ? "canary" : "enforce";
}

static bool is_agents(const struct rule *r, uint32_t at, const struct rule_site *site)
{
	char buf[NODE_RULE_WHY];

	/* packets are evidence, whatever becomes of the source */
	return r->mode >= (rule_action_stops(&r->actions.v[at]) ? RM_SHADOW : RM_DETECT) &&
	       !node_rule_why_not(r, &r->actions.v[at], site, buf);
}

bool publish_has_agents(const struct ruleset *set)
{
	for (uint32_t i = 0; set && i < ruleset_rules(set)->n; i++) {
		const struct rule *r = &ruleset_rules(set)->v[i];

		for (uint32_t at = 0; at < r->actions.n; at++)
			if (is_agents(r, at, &set->files.binding))
				return true;
	}
	return false;
}

/* Taken back by somebody here, or since the address is exempt after all. */
static int add_undone(struct making *m, const struct rule *r, uint32_t at)
{
	sqlite3_stmt *s = db_begin(m->db,
				   "SELECT a, max(expires_us) FROM decision WHERE node IS NOT NULL"
				   " AND rule_id = ? AND at = ? AND state = 'withdrawn'"
				   " AND reason IN ('operator', 'exempt', 'never_block', 'agent')"
				   " AND expires_us > ? GROUP BY a",
				   "tii", r->id, (int64_t)at, (int64_t)m->now * 1000000);
	int rc;

	while ((rc = db_step(m->db, s)) == 1) {
		if (sqlite3_column_bytes(s, 0) != 16)
			continue;
		rc = node_rule_exempt(&m->draft, m->number, sqlite3_column_blob(s, 0), 128,
				      ((uint64_t)sqlite3_column_int64(s, 1) + 999999) / 1000000);
		if (rc) {
			db_end(s);
			return rc;
		}
	}
	return rc;
}

static int add_agent(struct making *m, const struct rule *r, uint32_t at)
{
	const struct node_rule n = {
		.rule = r,
		.at = at,
		.site = &m->p->set->files.binding,
		.number = m->number + 1,
		.expires = m->now + m->p->valid_us / 1000000,
		.shadow = making_is_shadow(m, mode_of(r)),
		.issuer = m->p->issuer,
		.exempt = {"@never_block", "@local"},
	};

	if (m->number == POLICY_RULES_MAX ||
	    m->draft.of[POLICY_AGENT_RULE].n == POLICY_AGENTS_MAX) {
		m->left_out++;
		return 0;
	}
	m->number++;
	return node_rule_add(&m->draft, &n) ?: add_undone(m, r, at);
}

int making_agents(struct making *m)
{
	const struct ruleset *set = m->p->set;
	int rc = 0;

	for (uint32_t i = 0; set && i < ruleset_rules(set)->n && !rc; i++) {
		const struct rule *r = &ruleset_rules(set)->v[i];

		for (uint32_t at = 0; at < r->actions.n && !rc; at++)
			if (is_agents(r, at, &set->files.binding))
				rc = add_agent(m, r, at);
	}
	return rc;
}
