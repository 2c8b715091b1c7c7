// SPDX-License-Identifier: Apache-2.0
/*
 * decide_ask.c - questions about decisions, and what people decide about them.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/control/audit.h"
#include "collector/control/decide_int.h"
#include "collector/control/hits.h"
#include "common/log.h"
#include "common/num_text.h"

#define ROWS_MAX 10000

#define COLUMNS                                                                              \
	"id, alert, rule, action, scope, a, b, port, direction, rate, mode, state, reason, " \
	"step, made_us, expires_us, ended_us, approver, ttl_us, node, " HITS_OF("= decision.id")

enum column {
	C_ID,
	C_ALERT,
	C_RULE,
	C_ACTION,
	C_SCOPE,
	C_A,
	C_B,
	C_PORT,
	C_DIRECTION,
	C_RATE,
	C_MODE,
	C_STATE,
	C_REASON,
	C_STEP,
	C_MADE,
	C_EXPIRES,
	C_ENDED,
	C_APPROVER,
	C_TTL,
	C_NODE,
	C_HITS
};

static void put_text(json_t *o, const char *key, const char *value)
{
	if (*value)
		json_object_set_new(o, key, json_string(value));
}

static void put_ip(json_t *o, const char *key, sqlite3_stmt *s, int column)
{
	char text[IP_TEXT];

	if (sqlite3_column_bytes(s, column) != 16)
		return;
	ip_text(sqlite3_column_blob(s, column), 0, text);
	json_object_set_new(o, key, json_string(text));
}

static json_t *row_json(sqlite3_stmt *s)
{
	static const char *const directions[] = {"both", "ingress", "egress"};
	json_t *o = json_object();

	json_object_set_new(o, "type", json_string("decision"));
	json_object_set_new(o, "id", json_integer(sqlite3_column_int64(s, C_ID)));
	if (sqlite3_column_int64(s, C_ALERT)) /* nodes decide by flows */
		json_object_set_new(o, "alert", json_integer(sqlite3_column_int64(s, C_ALERT)));
	put_text(o, "state", db_text(s, C_STATE));
	put_text(o, "reason", db_text(s, C_REASON));
	put_text(o, "mode", db_text(s, C_MODE));
	put_text(o, "action", db_text(s, C_ACTION));
	put_text(o, "scope", db_text(s, C_SCOPE));
	put_ip(o, "value", s, C_A);
	put_ip(o, "to", s, C_B);
	if (sqlite3_column_int(s, C_PORT))
		json_object_set_new(o, "port", json_integer(sqlite3_column_int(s, C_PORT)));
	put_text(o, "direction", directions[sqlite3_column_int(s, C_DIRECTION) % 3]);
	put_text(o, "rate", db_text(s, C_RATE));
	put_text(o, "rule", db_text(s, C_RULE));
	json_object_set_new(o, "step", json_integer(sqlite3_column_int64(s, C_STEP)));
	json_object_set_new(o, "ttl_s", json_integer(sqlite3_column_int64(s, C_TTL) / 1000000));
	book_put_time(o, "made", sqlite3_column_int64(s, C_MADE));
	book_put_time(o, strcmp(db_text(s, C_STATE), "refused") ? "expires" : "again",
		      sqlite3_column_int64(s, C_EXPIRES));
	book_put_time(o, "ended", sqlite3_column_int64(s, C_ENDED));
	put_text(o, "approver", db_text(s, C_APPROVER));
	put_text(o, "node", db_text(s, C_NODE));
	hits_put(o, db_text(s, C_HITS));
	return o;
}

static json_t *list(struct book *b, const json_t *request)
{
	const char *state = book_text(request, "state");
	int64_t limit = json_integer_value(json_object_get(request, "limit")) ?: 100;
	sqlite3_stmt *s;
	json_t *out;
	int r;

	if (limit < 0 || limit > ROWS_MAX)
		return book_refuse("request", "limit is 1 to %d", ROWS_MAX);
	s = db_begin(b->db,
		     "SELECT " COLUMNS " FROM decision WHERE (?1 IN ('', 'all') OR state = ?1)"
		     " AND (?2 = '' OR rule = ?2) AND (?3 = 0 OR alert = ?3) AND id < ?5"
		     " ORDER BY id DESC LIMIT ?4",
		     "ttiii", state, book_text(request, "rule"),
		     json_integer_value(json_object_get(request, "alert")), limit,
		     book_before(request));
	out = json_array();
	while ((r = db_step(b->db, s)) == 1)
		json_array_append_new(out, row_json(s));
	return book_ended(b, out, r < 0);
}

json_t *decide_json(struct book *b, int64_t id)
{
	sqlite3_stmt *s = db_begin(b->db, "SELECT " COLUMNS " FROM decision WHERE id = ?", "i", id);
	json_t *o;

	if (db_step(b->db, s) != 1)
		return NULL;
	o = row_json(s);
	db_end(s);
	return o;
}

static json_t *show(struct book *b, int64_t id)
{
	json_t *o = decide_json(b, id), *hits, *out;

	if (!o)
		return book_refuse("unknown", "there is no decision %lld", (long long)id);
	hits = json_object_get(o, "hits");
	if (hits)
		json_object_set_new(hits, "by_node", hits_by_node(b->db, id));
	out = json_array();
	json_array_append_new(out, o);
	return book_ended(b, out, false);
}

/* ---- people ---- */

static json_t *approve(struct book *b, int64_t id, const struct endpoint_peer *peer)
{
	const int64_t now = book_now_us();
	const enum decide_gate gate = decide_spared_by_now(b, id);

	if (gate)
		return book_refuse("unknown", "decision %lld: nothing is done about it: %s",
				   (long long)id, decide_gate_names[gate]);
	if (db_number(b->db, INT64_MAX,
		      "SELECT count(*) FROM decision WHERE state = 'active'"
		      " AND node IS NULL",
		      "") >= b->cfg.decide.max)
		return book_refuse("unknown",
				   "%u decisions are in force, as many as policy.max: 'decisions "
				   "withdraw' ends one",
				   b->cfg.decide.max);
	if (db_run(b->db,
		   "UPDATE decision SET state = 'active', reason = NULL, approver = ?1,"
		   " expires_us = ?2 + ttl_us WHERE id = ?3 AND state = 'held'",
		   "tii", peer->name, now, id))
		return book_refuse("store", "%s", db_error(b->db));
	if (!db_changes(b->db))
		return book_refuse("unknown", "decision %lld is not held", (long long)id);
	b->policy_dirty = true;
	b->decide.made++;
	if (decide_audit(b, peer->name, "decision.approved", id, NULL))
		return book_refuse("store", "%s", db_error(b->db));
	return book_done("id", id);
}

static json_t *withdraw(struct book *b, int64_t id, const struct endpoint_peer *peer)
{
	const uint64_t before = b->decide.withdrawn;

	if (decide_end(b, id, "withdrawn", "operator", peer->name))
		return book_refuse("store", "%s", db_error(b->db));
	if (b->decide.withdrawn == before)
		return book_refuse("unknown", "decision %lld is not in force", (long long)id);
	return book_done("id", id);
}

static json_t *panic(struct book *b, const struct endpoint_peer *peer)
{
	if (decide_breaker(b))
		return book_done("breaker", 1);
	log_error("decisions",
		  "%s has stopped them: automatic decisions only count until "
		  "'weir-collector decisions resume'",
		  peer->name);
	if (decide_stop(b, peer->name, NULL))
		return book_refuse("store", "%s", db_error(b->db));
	return book_done("breaker", 1);
}

static json_t *resume(struct book *b, const struct endpoint_peer *peer)
{
	if (!decide_breaker(b))
		return book_refuse("unknown", "the breaker has not acted");
	if (db_run(b->db, "DELETE FROM number WHERE name = 'breaker'", "") ||
	    audit_add(b->db, &(struct audit_entry){peer->name, "breaker.resumed", "policy"}, NULL))
		return book_refuse("store", "%s", db_error(b->db));
	b->policy_dirty = true;
	return book_done("breaker", 0);
}

json_t *decide_ask(struct book *b, const json_t *request, const struct endpoint_peer *peer)
{
	const char *what = book_text(request, "what");
	const int64_t id = json_integer_value(json_object_get(request, "id"));

	if (!strcmp(what, "list"))
		return list(b, request);
	if (!strcmp(what, "show"))
		return show(b, id);
	if (peer->uid && peer->uid != geteuid())
		return book_refuse(
			"permission",
			"%s may look: decisions are changed by root and the collector's user",
			peer->name);
	if (!strcmp(what, "approve"))
		return approve(b, id, peer);
	if (!strcmp(what, "withdraw"))
		return withdraw(b, id, peer);
	if (!strcmp(what, "panic"))
		return panic(b, peer);
	if (!strcmp(what, "resume"))
		return resume(b, peer);
	return book_refuse("request", "decisions: no such question '%.40s'", what);
}
