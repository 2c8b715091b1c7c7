// SPDX-License-Identifier: Apache-2.0
#include "collector/control/modes.h"

#include <errno.h>
#include <string.h>

#include "collector/control/audit.h"
#include "collector/control/decide_int.h"

#define SAVE_US INT64_C(10000000) /* so much may be lost in a crash: it counts as not seen */
#define GAP_US	INT64_C(60000000) /* between flows; beyond, the time is not one in which they came */

static const char *word(int64_t mode)
{
	return rule_word(RO_RULE, "mode", (unsigned int)mode);
}

/* ---- what people have said ---- */

int modes_apply(struct db *db, struct ruleset *set)
{
	sqlite3_stmt *s = db_begin(
		db, "SELECT rule_id, hash, asked FROM rule_mode WHERE asked IS NOT NULL", "");
	uint8_t hash[RULE_HASH];
	int r;

	while ((r = db_step(db, s)) == 1) {
		const struct rule *rule = rules_find(ruleset_rules(set), db_text(s, 0));
		const int64_t asked = sqlite3_column_int64(s, 2);
		bool same;

		if (!rule || rule->mode_set || strcmp(rule->id, db_text(s, 0)) != 0 || asked < 0 ||
		    asked > RM_PREVENT)
			continue;
		if (rule_hash(rule, hash)) {
			db_end(s);
			return -ENOMEM;
		}
		same = sqlite3_column_bytes(s, 1) == RULE_HASH &&
		       !memcmp(sqlite3_column_blob(s, 1), hash, RULE_HASH);
		if (rule->mode != asked && (same || asked < rule->mode))
			ruleset_set_mode(set, rule, (enum rule_mode)asked);
	}
	return r;
}

/* ---- rules that are new, others, gone ---- */

/* Who says what mode it has, where nobody was asked. */
static const char *author(const struct rule *r)
{
	return r->mode_set ? "configuration" : r->pack ? "pack" : "rules";
}

static int tell(struct book *b, const char *action, const char *rule, int64_t from, int64_t to)
{
	char object[RULE_NAME_MAX + 8];

	snprintf(object, sizeof(object), "rule %s", rule);
	return audit_add(b->db, &(struct audit_entry){"collector", action, object},
			 json_pack("{s:s,s:s}", "from", word(from), "to", word(to)));
}

/* @keep: what somebody has asked for holds on. */
static int begin_again(struct book *b, const struct rule *r, const uint8_t *hash, bool keep)
{
	return db_run(b->db,
		      "INSERT INTO rule_mode (rule_id, rule, hash, mode, since_us, by)"
		      " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (rule_id) DO UPDATE SET"
		      " rule = ?2, hash = ?3, mode = ?4, since_us = ?5, seen_us = 0, proposed = 0,"
		      " spared = 0, breaker = 0, asked = CASE WHEN ?7 THEN asked END,"
		      " by = CASE WHEN ?7 THEN by ELSE ?6 END, note = CASE WHEN ?7 THEN note END",
		      "ttbiiti", r->id, r->name, hash, (int)RULE_HASH, (int64_t)r->mode,
		      book_now_us(), author(r), (int64_t)keep);
}

static int settle(struct book *b, const struct rule *r)
{
	sqlite3_stmt *s = db_begin(b->db,
				   "SELECT hash, mode, coalesce(asked, -1), rule FROM rule_mode"
				   " WHERE rule_id = ?",
				   "t", r->id);
	const int got = db_step(b->db, s);
	uint8_t hash[RULE_HASH];
	int64_t was, asked;
	bool same, named;

	if (got < 0 || rule_hash(r, hash)) {
		if (got == 1)
			db_end(s);
		return got < 0 ? got : -ENOMEM;
	}
	if (!got)
		return begin_again(b, r, hash, false);
	same = sqlite3_column_bytes(s, 0) == RULE_HASH &&
	       !memcmp(sqlite3_column_blob(s, 0), hash, RULE_HASH);
	was = sqlite3_column_int64(s, 1);
	asked = sqlite3_column_int64(s, 2);
	named = !strcmp(db_text(s, 3), r->name);
	db_end(s);
	if (same && was == r->mode)
		return named ? 0
			     : db_run(b->db, "UPDATE rule_mode SET rule = ? WHERE rule_id = ?",
				      "tt", r->name, r->id);
	return begin_again(b, r, hash, !r->mode_set && asked == r->mode)
		       ?: tell(b, same ? "rule.mode" : "rule.changed", r->name, was, r->mode);
}

/* What comes back later is a rule that nobody has seen. */
static int forget_gone(struct book *b)
{
	sqlite3_stmt *s = db_begin(b->db, "SELECT rule_id, rule, mode FROM rule_mode", "");
	int r;

	while ((r = db_step(b->db, s)) == 1) {
		const char *id = db_text(s, 0);
		const struct rule *rule = rules_find(ruleset_rules(b->set), id);
		const int64_t mode = sqlite3_column_int64(s, 2);

		if (rule && !strcmp(rule->id, id))
			continue;
		r = mode > RM_DETECT ? tell(b, "rule.gone", db_text(s, 1), mode, RM_DRAFT) : 0;
		r = r ?: db_run(b->db, "DELETE FROM rule_mode WHERE rule_id = ?", "t", id);
		if (r) {
			db_end(s);
			break;
		}
	}
	return r;
}

static int save(struct book *b)
{
	struct modes_watch *w = &b->watch;
	const int r = w->seen_us ? modes_seen(b, w->seen_us, w->canary_us) : 0;

	if (!r)
		w->seen_us = w->canary_us = 0;
	return r;
}

int modes_settle(struct book *b)
{
	const struct rule_set *rules = ruleset_rules(b->set);
	int r = save(b); /* it was of those before */

	for (uint32_t i = 0; i < rules->n && !r; i++)
		r = settle(b, &rules->v[i]);
	return r ?: forget_gone(b);
}

/* ---- what is seen ---- */

int modes_seen(struct book *b, int64_t seen_us, int64_t canary_us)
{
	return db_run(
		b->db,
		"UPDATE rule_mode SET seen_us = seen_us + CASE mode WHEN ?3 THEN ?2 ELSE ?1 END"
		" WHERE mode != ?4",
		"iiii", seen_us, canary_us, (int64_t)RM_CANARY, (int64_t)RM_DRAFT);
}

int modes_tick(struct book *b, int64_t now_us)
{
	struct modes_watch *w = &b->watch;
	struct runner_stats st;
	int64_t since;
	uint64_t lost;

	if (!w->runner)
		return 0;
	runner_stats(w->runner, &st);
	lost = st.lost_queue + st.lost_memory + st.no_memory;
	if (st.flows == w->flows && lost == w->lost)
		return 0;
	since = w->came_us && lost == w->lost && now_us > w->came_us ? now_us - w->came_us : 0;
	*w = (struct modes_watch){w->runner, st.flows, lost, now_us, w->seen_us, w->canary_us};
	if (since > GAP_US)
		return 0;
	w->seen_us += since;
	if (b->cfg.canaries && b->cfg.canaries(b->cfg.arg))
		w->canary_us += since;
	return w->seen_us < SAVE_US ? 0 : save(b);
}

/* Is it about somebody whom it is not to be about? */
static bool is_spared(struct book *b, const struct proposal *p, enum decide_gate gate)
{
	return gate == GATE_NEVER || gate == GATE_AGENT ||
	       (gate != GATE_EXEMPT && gate != GATE_NO_VALUE && decide_is_local(b, p));
}

int modes_alert(struct book *b, const struct alert_event *ev)
{
	const struct rule *rule = ev->alert.rule;
	int64_t proposed = 0, spared = 0;

	if (rule->mode != RM_DETECT || !b->set)
		return 0;
	for (uint32_t i = 0; i < rule->actions.n; i++) {
		enum decide_gate gate;
		struct proposal p;

		if (rule->actions.v[i].type > RO_RESET)
			continue;
		decide_read(ev, i, &p);
		gate = decide_gate(b, &p, "shadow", true);
		if (is_spared(b, &p, gate))
			spared++;
		else
			proposed += gate == GATE_NONE || gate == GATE_FULL;
	}
	if (!proposed && !spared)
		return 0;
	return db_run(b->db,
		      "UPDATE rule_mode SET proposed = proposed + ?, spared = spared + ?"
		      " WHERE rule_id = ? AND mode = ?",
		      "iiti", proposed, spared, rule->id, (int64_t)RM_DETECT);
}

int modes_stopped(struct book *b)
{
	return db_run(b->db, "UPDATE rule_mode SET breaker = breaker + 1", "");
}

/* ---- a rule ---- */

int modes_row(struct book *b, const struct rule *rule, struct mode_row *ret)
{
	sqlite3_stmt *s;
	int r = save(b);

	if (r)
		return r;
	s = db_begin(b->db,
		     "SELECT mode, since_us, seen_us, proposed, spared, breaker, by, note"
		     " FROM rule_mode WHERE rule_id = ?",
		     "t", rule->id);
	r = db_step(b->db, s);
	if (r != 1)
		return r;
	*ret = (struct mode_row){.rule = rule,
				 .mode = (enum rule_mode)sqlite3_column_int(s, 0),
				 .since_us = sqlite3_column_int64(s, 1),
				 .seen_us = sqlite3_column_int64(s, 2),
				 .proposed = sqlite3_column_int64(s, 3),
				 .spared = sqlite3_column_int64(s, 4),
				 .breaker = sqlite3_column_int64(s, 5)};
	snprintf(ret->by, sizeof(ret->by), "%s", db_text(s, 6));
	snprintf(ret->note, sizeof(ret->note), "%s", db_text(s, 7));
	db_end(s);
	return 1;
}

/* Decisions about sources of this site that nobody has approved; they only count, or were held. */
static int64_t about_us(struct book *b, const struct mode_row *row, const char *mode)
{
	sqlite3_stmt *s = db_begin(
		b->db,
		"SELECT a, coalesce(reason, '') IN ('never_block', 'agent', 'internal'), scope FROM"
		" decision WHERE rule_id = ? AND made_us >= ? AND mode = ?"
		" AND action NOT IN (" DECIDE_LOOKS ") AND approver IS NULL",
		"tit", row->rule->id, row->since_us, mode);
	int64_t n = 0;

	while (db_step(b->db, s) == 1)
		n += sqlite3_column_int(s, 1) ||
		     (strcmp(db_text(s, 2), "dst.ip") != 0 && sqlite3_column_bytes(s, 0) == 16 &&
		      ruleset_has(b->set->local, sqlite3_column_blob(s, 0)));
	return n;
}

void modes_facts(struct book *b, const struct mode_row *row, struct promote_seen *ret)
{
	const struct rule like = {
		.mode = (uint8_t)row->mode}; /* the one at work may have another yet */
	const char *mode = decide_rule_mode(&like);

	*ret = (struct promote_seen){.mode = row->mode};
	ret->v[PROMOTE_SEEN] = row->seen_us / 1000000;
	ret->v[PROMOTE_SPARED] = row->spared;
	ret->v[PROMOTE_BREAKER] = row->breaker ?: decide_breaker(b);
	if (row->mode < RM_SHADOW)
		return;
	ret->v[PROMOTE_DECIDED] = db_number(
		b->db, 0,
		"SELECT count(*) FROM decision WHERE rule_id = ? AND made_us >= ? AND mode = ?"
		" AND action NOT IN (" DECIDE_LOOKS ")"
		" AND (state IN ('active', 'withdrawn') OR (state = 'expired' AND reason IS NULL))",
		"tit", row->rule->id, row->since_us, mode);
	ret->v[PROMOTE_WITHDRAWN] = db_number(
		b->db, 0,
		"SELECT count(*) FROM decision WHERE rule_id = ? AND made_us >= ? AND mode = ?"
		" AND action NOT IN (" DECIDE_LOOKS ")"
		" AND state = 'withdrawn' AND reason IN ('operator', 'exempt', 'never_block', 'agent')",
		"tit", row->rule->id, row->since_us, mode);
	ret->v[PROMOTE_SPARED] = about_us(b, row, mode);
}

int modes_set(struct book *b, const struct mode_row *row, enum rule_mode to)
{
	return db_run(
		b->db,
		"UPDATE rule_mode SET mode = ?1, asked = ?1, since_us = ?2, by = ?3, note = ?4,"
		" seen_us = 0, proposed = 0, spared = 0, breaker = 0 WHERE rule_id = ?5",
		"iittt", (int64_t)to, book_now_us(), row->by, row->note, row->rule->id);
}
