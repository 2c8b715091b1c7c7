// SPDX-License-Identifier: Apache-2.0
/*
 * book_ask.c - questions about alerts, and what people do with them, as lines of JSON.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "collector/alerts/book_int.h"
#include "collector/control/audit.h"
#include "collector/control/hits.h"
#include "common/filter.h"
#include "common/num_text.h"
#include "common/scan.h"

#define ROWS_MAX   10000
#define ROWS	   100
#define LONGEST_NS (UINT64_C(3660) * 86400 * 1000000000)

/* ---- answers ---- */

static json_t *lines(json_t *one)
{
	json_t *list = json_array();

	json_array_append_new(list, one);
	return list;
}

json_t *book_refuse(const char *code, const char *fmt, ...)
{
	char text[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return lines(json_pack("{s:s,s:s,s:s}", "type", "error", "code", code, "message", text));
}

json_t *book_done(const char *key, int64_t value)
{
	return lines(json_pack("{s:s,s:I}", "type", "done", key, (json_int_t)value));
}

const char *book_text(const json_t *request, const char *key)
{
	return json_string_value(json_object_get(request, key)) ?: "";
}

int64_t book_before(const json_t *request)
{
	return json_integer_value(json_object_get(request, "before")) ?: INT64_MAX;
}

json_t *book_ended(struct book *b, json_t *list, bool failed)
{
	const size_t n = json_array_size(list);

	if (!failed) {
		json_array_append_new(list,
				      json_pack("{s:s,s:I}", "type", "end", "rows", (json_int_t)n));
		return list;
	}
	json_decref(list);
	return book_refuse("store", "%s", db_error(b->db));
}

void book_put_time(json_t *o, const char *key, int64_t us)
{
	char text[TIME_TEXT];

	if (!us)
		return;
	time_text((uint64_t)us * 1000, text);
	json_object_set_new(o, key, json_string(text));
}

bool book_matches(struct book *b, const struct filter *f, const char *by)
{
	char error[RECORD_JSON_ERROR];
	json_t *o = json_loads(by, 0, NULL);
	struct flow_record r = {};
	const bool yes = o && !record_read(b->reader, o, &r, error) && filter_match(f, &r);

	json_decref(o);
	return yes;
}

/* ---- rows ---- */

#define COLUMNS                                                                                 \
	"id, state, reason, first_us, last_us, resolved_us, count, proven, silence, acked_us, " \
	"acked_by, note, by, json, severity, rule, host, "                                      \
	"(SELECT json_group_array(c.id) FROM capture c WHERE c.alert = alert.id), " HITS_OF(    \
		"IN (SELECT d.id FROM decision d WHERE d.alert = alert.id)")

enum column {
	C_ID,
	C_STATE,
	C_REASON,
	C_FIRST,
	C_LAST,
	C_RESOLVED,
	C_COUNT,
	C_PROVEN,
	C_SILENCE,
	C_ACKED,
	C_ACKED_BY,
	C_NOTE,
	C_BY,
	C_JSON,
	C_SEVERITY,
	C_RULE,
	C_HOST,
	C_CAPTURES,
	C_HITS
};

static json_t *row_json(sqlite3_stmt *s)
{
	json_t *o = json_loads(db_text(s, C_JSON), 0, NULL) ?: json_object();

	json_object_set_new(o, "type", json_string("alert"));
	json_object_set_new(o, "id", json_integer(sqlite3_column_int64(s, C_ID)));
	json_object_set_new(o, "state", json_string(db_text(s, C_STATE)));
	if (*db_text(s, C_REASON))
		json_object_set_new(o, "reason", json_string(db_text(s, C_REASON)));
	book_put_time(o, "first", sqlite3_column_int64(s, C_FIRST));
	book_put_time(o, "last", sqlite3_column_int64(s, C_LAST));
	book_put_time(o, "resolved", sqlite3_column_int64(s, C_RESOLVED));
	json_object_set_new(o, "count", json_integer(sqlite3_column_int64(s, C_COUNT)));
	json_object_set_new(o, "proven", json_boolean(sqlite3_column_int(s, C_PROVEN)));
	if (sqlite3_column_int64(s, C_SILENCE))
		json_object_set_new(o, "silence", json_integer(sqlite3_column_int64(s, C_SILENCE)));
	if (sqlite3_column_int64(s, C_ACKED)) {
		json_t *a = json_object();

		book_put_time(a, "at", sqlite3_column_int64(s, C_ACKED));
		json_object_set_new(a, "by", json_string(db_text(s, C_ACKED_BY)));
		json_object_set_new(o, "acknowledged", a);
	}
	if (*db_text(s, C_NOTE))
		json_object_set_new(o, "note", json_string(db_text(s, C_NOTE)));
	if (strcmp(db_text(s, C_CAPTURES), "[]") != 0)
		json_object_set_new(o, "captures", json_loads(db_text(s, C_CAPTURES), 0, NULL));
	hits_put(o, db_text(s, C_HITS));
	return o;
}

/* ---- list ---- */

struct picking {
	const char *state, *rule, *severity;
	struct filter *filter;
	int64_t since_us;
	int64_t limit;
	int64_t before; /* pages are by number, which does not change; 0: the latest first */
	bool group;
};

/* NULL: fine. */
static json_t *read_picking(const json_t *request, struct picking *p)
{
	const char *filter = book_text(request, "filter"), *last = book_text(request, "last");
	char text[FILTER_ERROR_TEXT];
	struct filter_error e;
	uint64_t ns;

	*p = (struct picking){.state = book_text(request, "state"),
			      .rule = book_text(request, "rule"),
			      .severity = book_text(request, "severity"),
			      .limit = json_integer_value(json_object_get(request, "limit")),
			      .before = json_integer_value(json_object_get(request, "before")),
			      .group = json_is_true(json_object_get(request, "group"))};
	if (!p->limit)
		p->limit = ROWS;
	if (p->limit < 0 || p->limit > ROWS_MAX)
		return book_refuse("request", "limit is 1 to %d", ROWS_MAX);
	if (*last && scan_duration_ns(last, 1, LONGEST_NS, &ns))
		return book_refuse("request", "last '%.40s': want a time such as 24h", last);
	if (*last)
		p->since_us = book_now_us() - (int64_t)(ns / 1000);
	if (*filter && filter_parse(filter, strlen(filter), NULL, &p->filter, &e))
		return book_refuse("filter", "%s", filter_error_text(&e, text));
	return NULL;
}

static bool picked(struct book *b, const struct picking *p, sqlite3_stmt *s)
{
	if (!strcmp(p->state, "silenced")) {
		if (!sqlite3_column_int64(s, C_SILENCE) ||
		    strcmp(db_text(s, C_STATE), "firing") != 0)
			return false;
	} else if (!strcmp(p->state, "acknowledged")) {
		if (!sqlite3_column_int64(s, C_ACKED))
			return false;
	} else if (*p->state && strcmp(p->state, "all") != 0 &&
		   strcmp(p->state, db_text(s, C_STATE)) != 0) {
		return false;
	}
	if (*p->severity && strcmp(p->severity, db_text(s, C_SEVERITY)) != 0)
		return false;
	return !p->filter || book_matches(b, p->filter, db_text(s, C_BY));
}

/* Alerts of one rule and one host together. */
static void add_group(json_t *groups, size_t max, sqlite3_stmt *s)
{
	const char *rule = db_text(s, C_RULE), *host = db_text(s, C_HOST);
	const bool firing = !strcmp(db_text(s, C_STATE), "firing");
	char key[RULE_NAME_MAX + IP_TEXT + 2];
	json_t *g;

	snprintf(key, sizeof(key), "%s %s", rule, host);
	g = json_object_get(groups, key);
	if (!g && json_object_size(groups) >= max)
		return; /* all of those there are is counted */
	if (!g) {	/* rows come newest first */
		g = json_pack("{s:s,s:s,s:s,s:i,s:i,s:I}", "type", "group", "rule", rule,
			      "severity", db_text(s, C_SEVERITY), "alerts", 0, "firing", 0, "count",
			      (json_int_t)0);
		if (*host)
			json_object_set_new(g, "host", json_string(host));
		book_put_time(g, "last", sqlite3_column_int64(s, C_LAST));
		json_object_set_new(groups, key, g);
	}
	json_integer_set(json_object_get(g, "alerts"),
			 json_integer_value(json_object_get(g, "alerts")) + 1);
	json_integer_set(json_object_get(g, "firing"),
			 json_integer_value(json_object_get(g, "firing")) + firing);
	json_integer_set(json_object_get(g, "count"),
			 json_integer_value(json_object_get(g, "count")) +
				 sqlite3_column_int64(s, C_COUNT));
	book_put_time(g, "first", sqlite3_column_int64(s, C_FIRST));
}

/* What fires now has an index of its own: there may be millions that have ended. */
static sqlite3_stmt *rows_of(struct book *b, const struct picking *p)
{
	static const char *const sql[2][2] = {
		{"SELECT " COLUMNS " FROM alert WHERE last_us >= ?1 AND (?2 = '' OR rule = ?2)"
		 " AND id < ?3 ORDER BY last_us DESC, id DESC",
		 "SELECT " COLUMNS " FROM alert WHERE last_us >= ?1 AND (?2 = '' OR rule = ?2)"
		 " AND id < ?3 ORDER BY id DESC"},
		{"SELECT " COLUMNS " FROM alert WHERE state = 'firing' AND last_us >= ?1"
		 " AND (?2 = '' OR rule = ?2) AND id < ?3 ORDER BY last_us DESC, id DESC",
		 "SELECT " COLUMNS " FROM alert WHERE state = 'firing' AND last_us >= ?1"
		 " AND (?2 = '' OR rule = ?2) AND id < ?3 ORDER BY id DESC"}};
	const bool firing = !strcmp(p->state, "firing") || !strcmp(p->state, "silenced");

	return db_begin(b->db, sql[firing][p->before != 0], "iti", p->since_us, p->rule,
			p->before ?: INT64_MAX);
}

static json_t *list(struct book *b, const json_t *request)
{
	json_t *out = json_array(), *groups = json_object(), *g, *wrong;
	struct picking p;
	const char *key;
	sqlite3_stmt *s;
	int r = 1;

	wrong = read_picking(request, &p);
	if (wrong) {
		json_decref(out);
		json_decref(groups);
		return wrong;
	}
	s = rows_of(b, &p);
	while (json_array_size(out) < (size_t)p.limit && (r = db_step(b->db, s)) == 1) {
		if (!picked(b, &p, s))
			continue;
		if (p.group)
			add_group(groups, (size_t)p.limit, s);
		else
			json_array_append_new(out, row_json(s));
	}
	if (r == 1)
		db_end(s);
	json_object_foreach(groups, key, g) json_array_append(out, g);
	json_decref(groups);
	filter_free(p.filter);
	return book_ended(b, out, r < 0);
}

/* ---- one ---- */

static json_t *no_such(int64_t id)
{
	return book_refuse("unknown", "there is no alert %lld", (long long)id);
}

json_t *book_alert_json(struct book *b, int64_t id)
{
	sqlite3_stmt *s = db_begin(b->db, "SELECT " COLUMNS " FROM alert WHERE id = ?", "i", id);
	json_t *o;

	if (db_step(b->db, s) != 1)
		return NULL;
	o = row_json(s);
	db_end(s);
	return o;
}

static json_t *show(struct book *b, int64_t id)
{
	json_t *o = book_alert_json(b, id), *out;

	if (!o)
		return no_such(id);
	out = lines(o);
	return book_ended(b, out, false);
}

static json_t *acknowledge(struct book *b, const json_t *request, int64_t id,
			   const struct endpoint_peer *peer)
{
	if (db_run(b->db,
		   "UPDATE alert SET acked_us = ?, acked_by = ?, note = coalesce(nullif(?, ''), note)"
		   " WHERE id = ?",
		   "itti", book_now_us(), peer->name, book_text(request, "note"), id))
		return book_refuse("store", "%s", db_error(b->db));
	return db_changes(b->db) ? book_done("id", id) : no_such(id);
}

static json_t *resolve(struct book *b, const json_t *request, int64_t id,
		       const struct endpoint_peer *peer)
{
	const int64_t now = book_now_us();

	if (db_run(b->db,
		   "UPDATE alert SET state = 'resolved', reason = 'operator', resolved_us = ?1,"
		   " acked_us = coalesce(acked_us, ?1), acked_by = coalesce(acked_by, ?2),"
		   " note = coalesce(nullif(?3, ''), note) WHERE id = ?4 AND state = 'firing'",
		   "itti", now, peer->name, book_text(request, "note"), id))
		return book_refuse("store", "%s", db_error(b->db));
	if (!db_changes(b->db))
		return book_refuse("unknown", "alert %lld is not firing", (long long)id);
	b->stats.resolved++;
	return book_done("id", id);
}

static json_t *change_alert(struct book *b, const json_t *request, const struct endpoint_peer *peer)
{
	const char *what = book_text(request, "what");
	const int64_t id = json_integer_value(json_object_get(request, "id"));

	if (!strcmp(what, "ack"))
		return acknowledge(b, request, id, peer);
	if (!strcmp(what, "resolve"))
		return resolve(b, request, id, peer);
	if (!strcmp(what, "silence"))
		return silence_add(b, request, peer);
	if (!strcmp(what, "unsilence"))
		return silence_end(b, id);
	return book_refuse("request", "alerts: no such question '%.40s'", what);
}

static bool is_done(const json_t *answer)
{
	return !strcmp(book_text(json_array_get(answer, 0), "type"), "done");
}

/* What people do to alerts is in the audit log; decisions write theirs. */
static json_t *change(struct book *b, const json_t *request, const struct endpoint_peer *peer)
{
	char action[64], object[40];
	json_t *answer, *detail;

	if (!strcmp(book_text(request, "command"), "decisions"))
		return decide_ask(b, request, peer);
	if (!strcmp(book_text(request, "command"), "rules"))
		return modes_change(b, request, peer);
	answer = change_alert(b, request, peer);
	if (!is_done(answer))
		return answer;
	detail = json_copy((json_t *)(uintptr_t)request);
	json_object_del(detail, "v");
	json_object_del(detail, "command");
	json_object_del(detail, "what");
	snprintf(action, sizeof(action), "alert.%.40s", book_text(request, "what"));
	snprintf(object, sizeof(object), "%s %lld",
		 strstr(book_text(request, "what"), "silence") ? "silence" : "alert",
		 (long long)json_integer_value(json_object_get(request, "id")));
	if (!audit_add(b->db, &(struct audit_entry){peer->name, action, object}, detail))
		return answer;
	json_decref(answer);
	return book_refuse("store", "%s", db_error(b->db));
}

static json_t *in_transaction(struct book *b, const json_t *request,
			      const struct endpoint_peer *peer)
{
	struct book_counts was;
	json_t *answer;

	if (book_begin(b, &was))
		return book_refuse("store", "%s", db_error(b->db));
	answer = change(b, request, peer);
	if (is_done(answer) && book_commit(b)) {
		json_decref(answer);
		answer = book_refuse("store", "%s", db_error(b->db));
	}
	if (!is_done(answer))
		book_undo(b, &was);
	return answer;
}

/* ---- what only reads ---- */

static json_t *ended(struct book *b, json_t *list)
{
	return book_ended(b, list, !list);
}

/* Without the lock where it is a file: it may take a while, and alerts are to be written. */
static int verify(struct book *b, const char *head, struct audit_state *ret)
{
	int r;

	if (*b->path)
		return audit_verify_file(b->path, head, ret);
	pthread_mutex_lock(&b->lock);
	r = audit_verify(b->db, head, ret);
	pthread_mutex_unlock(&b->lock);
	return r;
}

static json_t *ask_verify(struct book *b, const json_t *request)
{
	struct audit_state st;
	const int r = verify(b, book_text(request, "head"), &st);

	if (r)
		return book_refuse("store", "the audit log can't be read: %s", strerror(-r));
	return ended(b, lines(json_pack("{s:s,s:I,s:I,s:b,s:s}", "type", "audit", "entries",
					(json_int_t)st.entries, "broken", (json_int_t)st.broken,
					"found", st.found, "head", st.head)));
}

static json_t *read_audit(struct book *b, const json_t *request)
{
	const int64_t limit = json_integer_value(json_object_get(request, "limit")) ?: 100;

	if (strcmp(book_text(request, "what"), "list") != 0)
		return book_refuse("request", "audit: list or verify");
	if (limit < 0 || limit > AUDIT_ROWS_MAX)
		return book_refuse("request", "limit is 1 to %d", AUDIT_ROWS_MAX);
	return ended(b, audit_list(b->db, book_before(request), limit));
}

/* NULL: it changes something. */
static json_t *read_only(struct book *b, const json_t *request, const struct endpoint_peer *peer)
{
	const char *command = book_text(request, "command"), *what = book_text(request, "what");
	const bool looks = !strcmp(what, "list") || !strcmp(what, "show");

	if (!strcmp(command, "audit"))
		return read_audit(b, request);
	if (!strcmp(command, "policy"))
		return ended(b, lines(publish_status(&b->publish, b->db)));
	if (!strcmp(command, "decisions"))
		return looks ? decide_ask(b, request, peer) : NULL;
	if (!strcmp(command, "rules"))
		return modes_look(b, request);
	if (!strcmp(what, "silences"))
		return ended(b, silence_list(b));
	if (!strcmp(what, "list"))
		return list(b, request);
	return looks ? show(b, json_integer_value(json_object_get(request, "id"))) : NULL;
}

json_t *book_ask(struct book *b, const json_t *request, const struct endpoint_peer *peer)
{
	json_t *answer;

	if (!strcmp(book_text(request, "command"), "audit") &&
	    !strcmp(book_text(request, "what"), "verify"))
		return ask_verify(b, request);
	pthread_mutex_lock(&b->lock);
	answer = read_only(b, request, peer);
	answer = answer ?: in_transaction(b, request, peer);
	pthread_mutex_unlock(&b->lock);
	return answer;
}
