// SPDX-License-Identifier: Apache-2.0
/*
 * book_write.c - what the engine says of an alert becomes a row: a new one, or the one there is.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/alerts/book_int.h"
#include "collector/rules/alert_json.h"
#include "common/log.h"
#include "common/num_text.h"

#define HOLD_US	  INT64_C(60000000) /* beyond a rule's own times */
#define TIDY_ROWS 10000

/* ---- an alert as text ---- */

/* The values of by as a flow record has them; a correlation's host is a source. */
static json_t *by_of(const struct alert *a, const json_t *json)
{
	json_t *by = json_object();

	for (uint32_t i = 0; i < a->n_by; i++) {
		const char *path = a->by[i].field == _FF_MAX ? "host"
							     : flow_fields[a->by[i].field].path;
		char first[64];
		json_t *v;

		snprintf(first, sizeof(first), "%.*s", (int)strcspn(path, "."), path);
		v = json_object_get(json, first);
		if (!v)
			continue;
		if (a->by[i].field == _FF_MAX)
			json_object_set_new(by, "src", json_pack("{s:O}", "ip", v));
		else
			json_object_set(by, first, v);
	}
	return by;
}

static const char *label(const struct rule *r, const char *key)
{
	for (uint32_t i = 0; i < r->labels.n; i++)
		if (!strcmp(r->labels.v[i].key, key))
			return r->labels.v[i].value;
	return NULL;
}

/* The first address of by: what alerts of different rules have in common. */
static const char *host_of(const struct alert *a, char buf[IP_TEXT])
{
	for (uint32_t i = 0; i < a->n_by; i++) {
		const unsigned int f = a->by[i].field;

		if (a->by[i].present && (f == _FF_MAX || flow_fields[f].type == FT_IP)) {
			ip_text(a->by[i].ip, 0, buf);
			return buf;
		}
	}
	return NULL;
}

/* How long the engine may take to say again that it holds. */
static int64_t hold_us(const struct rule *r)
{
	const uint64_t ns = r->window.size_ns + r->keep_ns + r->for_ns + r->correlate.within_ns;

	return (int64_t)(ns / 1000) + HOLD_US;
}

/* ---- rows ---- */

struct writing {
	struct book *b;
	const struct alert_event *ev;
	const struct rule *rule;
	char *key, *by, *json;
	int64_t at_us, now_us;
};

static int find(struct writing *w, int64_t *ret_id, bool *ret_open, int64_t *ret_resolved)
{
	sqlite3_stmt *s = db_begin(w->b->db,
				   "SELECT id, state, resolved_us FROM alert WHERE key = ?"
				   " ORDER BY id DESC LIMIT 1",
				   "t", w->key);
	const int r = db_step(w->b->db, s);

	*ret_id = 0;
	if (r != 1)
		return r;
	*ret_id = sqlite3_column_int64(s, 0);
	*ret_open = !strcmp(db_text(s, 1), "firing");
	*ret_resolved = sqlite3_column_int64(s, 2);
	db_end(s);
	return 0;
}

static int insert(struct writing *w, int64_t silence)
{
	const struct alert *a = &w->ev->alert;
	char host[IP_TEXT];

	return db_run(
		w->b->db,
		"INSERT INTO alert (key, rule_id, rule, severity, host, state, first_us, last_us,"
		" count, value, epoch, hold_us, exempt, proven, silence, by, json)"
		" VALUES (?, ?, ?, ?, ?, 'firing', ?, ?, 1, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?)",
		"tttttiifiiiiitt", w->key, w->rule->id, w->rule->name, label(w->rule, "severity"),
		host_of(a, host), w->at_us, w->at_us, a->value, w->b->epoch, hold_us(w->rule),
		(int64_t)a->exempt, (int64_t)w->ev->proven, silence, w->by, w->json);
}

static int again(struct writing *w, int64_t id, int64_t silence)
{
	return db_run(
		w->b->db,
		"UPDATE alert SET state = 'firing', reason = NULL, resolved_us = NULL,"
		" last_us = max(last_us, ?), count = count + ?, value = ?, epoch = ?, hold_us = ?,"
		" exempt = ?, proven = max(proven, ?), silence = nullif(?, 0), json = ?"
		" WHERE id = ?",
		"iifiiiiiti", w->at_us, (int64_t)!w->ev->alert.known, w->ev->alert.value,
		w->b->epoch, hold_us(w->rule), (int64_t)w->ev->alert.exempt, (int64_t)w->ev->proven,
		silence, w->json, id);
}

static void say(const struct writing *w, const char *what, int64_t id)
{
	const json_t *j = json_loads(w->json, 0, NULL);
	const json_t *text = json_object_get(json_object_get(j, "annotations"), "summary");

	log_at(LEVEL_INFO, "alert",
	       LOG_FIELDS(LOG_STR("state", what), LOG_STR("rule", w->rule->name),
			  LOG_NUM("id", (uint64_t)id)),
	       "%s", json_string_value(text) ?: w->rule->title ?: w->rule->name);
	json_decref((json_t *)(uintptr_t)j);
}

/* New rules say that it goes on, and somebody has ended it meanwhile. */
static bool was_ended(const struct writing *w, int64_t id, bool open)
{
	return w->ev->alert.known && id && !open;
}

static int fired(struct writing *w)
{
	struct book *b = w->b;
	const int64_t silence = silence_of(b, w->rule->name, w->by, w->now_us);
	int64_t id, resolved = 0;
	bool open = false, reopen;
	int r = find(w, &id, &open, &resolved);

	if (r || was_ended(w, id, open))
		return r;
	reopen = id && (open || w->at_us - resolved < (int64_t)b->cfg.reopen_us);
	r = reopen ? again(w, id, silence) : insert(w, silence);
	if (!reopen)
		id = db_last_id(b->db);
	if (r)
		return r;
	b->stats.fired += !reopen;
	b->stats.reopened += reopen && !open;
	if (!open && !silence)
		say(w, reopen ? "firing again" : "firing", id);
	if (!reopen)
		r = modes_alert(b, w->ev);
	return r ?: decide_alert(b, w->ev, id, silence != 0);
}

static int resolved(struct writing *w)
{
	const bool evicted = w->ev->alert.end == ALERT_EVICTED;
	int64_t id, at;
	bool open = false;
	int r = find(w, &id, &open, &at);

	if (r || !id || !open) /* somebody has ended it, or it was lost */
		return r;
	r = db_run(w->b->db,
		   "UPDATE alert SET state = 'resolved', reason = ?, resolved_us = ?,"
		   " last_us = max(last_us, ?) WHERE id = ?",
		   "tiii", evicted ? "evicted" : "ended", w->at_us, w->at_us, id);
	if (r)
		return r;
	w->b->stats.resolved++;
	say(w, "resolved", id);
	return 0;
}

static int render(struct writing *w)
{
	static __thread char text[ALERT_JSON];
	const struct alert *a = &w->ev->alert;
	json_t *json, *by;

	if (!alert_json(a, text))
		return -E2BIG;
	json = json_loads(text, 0, NULL);
	by = by_of(a, json);
	w->json = strdup(text);
	w->by = json_dumps(by, JSON_COMPACT | JSON_SORT_KEYS);
	if (!w->by || asprintf(&w->key, "%s %s", w->rule->id, w->by) < 0)
		w->key = NULL;
	json_decref(json);
	json_decref(by);
	return w->key && w->json ? 0 : -ENOMEM;
}

int book_write(struct book *b, const struct alert_event *ev)
{
	struct writing w = {.b = b,
			    .ev = ev,
			    .rule = ev->alert.rule,
			    .at_us = (int64_t)(ev->alert.at_ns / 1000),
			    .now_us = book_now_us()};
	int r = render(&w);

	if (!r)
		r = ev->alert.state == ALERT_FIRING ? fired(&w) : resolved(&w);
	free(w.key);
	free(w.by);
	free(w.json);
	return r == -E2BIG ? 0 : r; /* cannot be: texts of rules and flows have bounds below it */
}

/* ---- what time does ---- */

int book_tidy(struct book *b, int64_t now_us)
{
	int r = 0;

	if (b->epoch) {
		r = db_run(b->db,
			   "UPDATE alert SET state = 'resolved', reason = 'unconfirmed',"
			   " resolved_us = ?1 WHERE state = 'firing' AND epoch != ?2"
			   " AND ?3 + hold_us < ?1",
			   "iii", now_us, b->epoch, b->epoch_us);
		if (!r)
			b->stats.resolved += (uint64_t)db_changes(b->db);
	}
	if (!r)
		r = db_run(b->db,
			   "UPDATE alert SET silence = NULL WHERE state = 'firing' AND silence IN"
			   " (SELECT id FROM silence WHERE until_us <= ?)",
			   "i", now_us);
	if (!r)
		r = db_run(
			b->db,
			"DELETE FROM decision WHERE id IN (SELECT id FROM decision WHERE made_us < ?"
			" AND state NOT IN ('active', 'held') ORDER BY made_us LIMIT ?)",
			"ii", now_us - (int64_t)b->cfg.keep_us, (int64_t)TIDY_ROWS);
	if (!r)
		r = db_run(b->db,
			   "DELETE FROM alert WHERE id IN (SELECT id FROM alert WHERE last_us < ?"
			   " AND state = 'resolved' ORDER BY last_us LIMIT ?)",
			   "ii", now_us - (int64_t)b->cfg.keep_us, (int64_t)TIDY_ROWS);
	return r;
}
