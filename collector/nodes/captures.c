// SPDX-License-Identifier: Apache-2.0
/*
 * captures.c - files of packets on nodes as rows, and what people ask about them.
 */
#include "collector/nodes/captures.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "collector/alerts/book_int.h"
#include "collector/control/audit.h"
#include "collector/nodes/nodes_int.h"

#define ROWS	   100
#define ROWS_MAX   10000
#define REMOVED_US (INT64_C(90) * 86400 * 1000000) /* what is gone is remembered for so long */

/* ---- what nodes say ---- */

static int end(struct nodes *n, int r)
{
	r = r ?: db_run(n->db, "COMMIT", "");
	if (r)
		(void)db_run(n->db, "ROLLBACK", ""); /* it may be over already */
	return r;
}

static int set_removed(struct nodes *n, const char *node, const char *file)
{
	return db_run(n->db,
		      "UPDATE capture SET state = 'removed', removed_us = ?"
		      " WHERE node = ? AND file = ? AND state != 'removed'",
		      "itt", nodes_wall_us(), node, file);
}

static int put(void *arg, const struct node_text *head, const struct node_text *m)
{
	const struct who_tells *who = arg;
	struct nodes *n = who->n;
	int r;

	if (node_capture_state(m->state) == CAPTURE_REMOVED)
		return set_removed(n, who->node, m->file);
	r = db_run(n->db,
		   "UPDATE capture SET state = ?, reason = NULL, removed_us = NULL, first_us = ?,"
		   " last_us = ?, packets = ?, dropped = ?, bytes = ?, round = ?"
		   " WHERE node = ? AND file = ?",
		   "tiiiiiitt", m->state, m->first_us, m->last_us, m->packets, m->dropped, m->bytes,
		   head->round, who->node, m->file);
	if (r || db_changes(n->db))
		return r;
	return db_run(
		n->db,
		"INSERT INTO capture (node, file, state, rule, scope, value, peer, alert,"
		" decision, fired_us, first_us, last_us, packets, dropped, bytes, round)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, nullif(?, 0), nullif(?, 0), ?, ?, ?, ?, ?, ?, ?)",
		"tttttttiiiiiiiii", who->node, m->file, m->state, m->rule, m->scope, m->value,
		m->to, m->alert, m->decision, m->fired_us, m->first_us, m->last_us, m->packets,
		m->dropped, m->bytes, head->round);
}

/* All have been told: what was not is gone. Rows of what has long been gone go too. */
static int sweep(struct nodes *n, const char *node, int64_t round)
{
	const int64_t now = nodes_wall_us();

	return db_run(n->db,
		      "UPDATE capture SET state = 'removed', removed_us = ?"
		      " WHERE node = ? AND round != ? AND state != 'removed'",
		      "iti", now, node, round)
		       ?: db_run(n->db, "DELETE FROM capture WHERE node = ? AND removed_us < ?",
				 "ti", node, now - REMOVED_US);
}

/* Rows of one node have a bound; those of what is gone make room, the oldest first. */
static int make_room(struct nodes *n, const char *node)
{
	const int64_t most = CAPTURES_OF_NODE - NODE_CAPTURES_MAX;
	const int64_t all =
		db_number(n->db, -1, "SELECT count(*) FROM capture WHERE node = ?", "t", node);

	if (all < 0)
		return -EIO;
	if (all <= most)
		return 0;
	if (db_run(n->db,
		   "DELETE FROM capture WHERE id IN (SELECT id FROM capture WHERE node = ?1"
		   " AND removed_us IS NOT NULL ORDER BY removed_us LIMIT ?2)",
		   "ti", node, all - most))
		return -EIO;
	return db_changes(n->db) < all - most ? -ENOSPC : 0;
}

int captures_heard(const struct who_tells *who, const char *text, size_t len, char *reterr)
{
	const struct node_captures to = {put, (void *)(uintptr_t)who};
	static __thread struct node_text head;
	struct nodes *n = who->n;
	int r = db_run(n->db, "BEGIN IMMEDIATE", "");

	r = r ?: make_room(n, who->node);
	r = r ?: node_captures_read(text, len, &to, &head, reterr);
	if (!r && head.all)
		r = sweep(n, who->node, head.round);
	return end(n, r);
}

/* ---- what is done to them ---- */

static int write_down(struct nodes *n, const struct capture_row *row, const struct audit_entry *e,
		      json_t *detail)
{
	json_object_set_new(detail, "node", json_string(row->node));
	json_object_set_new(detail, "file", json_string(row->file));
	json_object_set_new(detail, "rule", json_string(row->rule));
	return audit_add(n->db, e, detail);
}

int captures_fetched(struct nodes *n, const struct capture_row *row, const struct fetch_wish *w)
{
	json_t *detail = json_object();
	char object[40];
	int r = db_run(n->db, "BEGIN IMMEDIATE", "");

	if (w->from)
		json_object_set_new(detail, "from", json_integer((json_int_t)w->from));
	snprintf(object, sizeof(object), "capture %lld", (long long)row->id);
	if (r)
		json_decref(detail);
	return end(n,
		   r
			   ?: write_down(n, row,
					 &(struct audit_entry){w->actor, "capture.fetched", object},
					 detail));
}

int captures_removed(struct nodes *n, const struct capture_row *row, const char *actor)
{
	char object[40], reason[64];
	int r = db_run(n->db, "BEGIN IMMEDIATE", "");

	snprintf(object, sizeof(object), "capture %lld", (long long)row->id);
	snprintf(reason, sizeof(reason), "removed by %.50s", actor);
	r = r
		    ?: db_run(n->db,
			      "UPDATE capture SET state = 'removed', reason = ?,"
			      " removed_us = coalesce(removed_us, ?) WHERE id = ?",
			      "tii", reason, nodes_wall_us(), row->id);
	return end(n, r
			      ?: write_down(n, row,
					    &(struct audit_entry){actor, "capture.removed", object},
					    json_object()));
}

void captures_gone(struct nodes *n, const struct capture_row *row)
{
	(void)set_removed(n, row->node, row->file); /* the node says it, too */
}

/* ---- questions ---- */

#define COLUMNS                                                                                    \
	"id, node, file, state, coalesce(reason, ''), rule, scope, value, peer, alert, decision, " \
	"fired_us, first_us, last_us, packets, dropped, bytes, removed_us"

enum column {
	C_ID,
	C_NODE,
	C_FILE,
	C_STATE,
	C_REASON,
	C_RULE,
	C_SCOPE,
	C_VALUE,
	C_PEER,
	C_ALERT,
	C_DECISION,
	C_FIRED,
	C_FIRST,
	C_LAST,
	C_PACKETS,
	C_DROPPED,
	C_BYTES,
	C_REMOVED
};

int captures_find(struct nodes *n, int64_t id, struct capture_row *ret)
{
	sqlite3_stmt *s = db_begin(n->db, "SELECT " COLUMNS " FROM capture WHERE id = ?", "i", id);
	const int r = db_step(n->db, s);

	if (r != 1)
		return r;
	*ret = (struct capture_row){.id = id, .state = node_capture_state(db_text(s, C_STATE))};
	snprintf(ret->node, sizeof(ret->node), "%s", db_text(s, C_NODE));
	snprintf(ret->file, sizeof(ret->file), "%s", db_text(s, C_FILE));
	snprintf(ret->rule, sizeof(ret->rule), "%s", db_text(s, C_RULE));
	snprintf(ret->reason, sizeof(ret->reason), "%s", db_text(s, C_REASON));
	db_end(s);
	return 1;
}

static void put_number(json_t *o, const char *key, sqlite3_stmt *s, int column)
{
	if (sqlite3_column_int64(s, column))
		json_object_set_new(o, key, json_integer(sqlite3_column_int64(s, column)));
}

static void put_text(json_t *o, const char *key, const char *text)
{
	if (*text)
		json_object_set_new(o, key, json_string(text));
}

static json_t *row_json(struct nodes *n, sqlite3_stmt *s)
{
	const char *state = db_text(s, C_STATE);
	const struct node *x = table_by_name(n, db_text(s, C_NODE));
	json_t *o =
		json_pack("{s:s,s:I,s:s,s:s,s:s,s:b}", "type", "capture", "id",
			  (json_int_t)sqlite3_column_int64(s, C_ID), "node", db_text(s, C_NODE),
			  "file", db_text(s, C_FILE), "state", state, "available",
			  x && captures_is_here(x) && node_capture_state(state) != CAPTURE_REMOVED);

	put_text(o, "reason", db_text(s, C_REASON));
	put_text(o, "rule", db_text(s, C_RULE));
	put_text(o, "scope", db_text(s, C_SCOPE));
	put_text(o, "value", db_text(s, C_VALUE));
	put_text(o, "to", db_text(s, C_PEER));
	put_number(o, "alert", s, C_ALERT);
	put_number(o, "decision", s, C_DECISION);
	book_put_time(o, "fired", sqlite3_column_int64(s, C_FIRED));
	book_put_time(o, "first", sqlite3_column_int64(s, C_FIRST));
	book_put_time(o, "last", sqlite3_column_int64(s, C_LAST));
	if (sqlite3_column_int64(s, C_PACKETS)) { /* else nobody has counted */
		put_number(o, "packets", s, C_PACKETS);
		json_object_set_new(o, "dropped", json_integer(sqlite3_column_int64(s, C_DROPPED)));
	}
	json_object_set_new(o, "bytes", json_integer(sqlite3_column_int64(s, C_BYTES)));
	book_put_time(o, "removed", sqlite3_column_int64(s, C_REMOVED));
	return o;
}

static json_t *ended(struct nodes *n, json_t *list, int r)
{
	if (r < 0) {
		json_decref(list);
		return book_refuse("store", "%s", db_error(n->db));
	}
	json_array_append_new(list, json_pack("{s:s,s:I}", "type", "end", "rows",
					      (json_int_t)json_array_size(list)));
	return list;
}

static json_t *list(struct nodes *n, const json_t *request)
{
	const json_int_t asked = json_integer_value(json_object_get(request, "limit"));
	const char *state = book_text(request, "state");
	json_t *out = json_array();
	sqlite3_stmt *s;
	int r;

	s = db_begin(
		n->db,
		"SELECT " COLUMNS " FROM capture WHERE id < ?1 AND (?2 = '' OR node = ?2)"
		" AND (?3 = '' OR rule = ?3) AND (?4 = 0 OR alert = ?4)"
		" AND (?5 = 'all' OR state = ?5 OR (?5 IN ('', 'kept') AND state != 'removed'))"
		" ORDER BY id DESC LIMIT ?6",
		"ittiti", book_before(request), book_text(request, "node"),
		book_text(request, "rule"), json_integer_value(json_object_get(request, "alert")),
		state,
		(int64_t)(asked < 1	     ? ROWS
			  : asked > ROWS_MAX ? ROWS_MAX
					     : asked));
	while ((r = db_step(n->db, s)) == 1)
		json_array_append_new(out, row_json(n, s));
	return ended(n, out, r);
}

static json_t *show(struct nodes *n, int64_t id)
{
	sqlite3_stmt *s =
		db_begin(n->db, "SELECT " COLUMNS " FROM capture WHERE id = ? LIMIT 1", "i", id);
	json_t *out = json_array();
	const int r = db_step(n->db, s);

	if (r != 1) {
		json_decref(out);
		return r ? book_refuse("store", "%s", db_error(n->db))
			 : book_refuse("unknown", "there is no capture %lld", (long long)id);
	}
	json_array_append_new(out, row_json(n, s));
	db_end(s);
	return ended(n, out, 0);
}

static json_t *rm(struct nodes *n, int64_t id, const struct endpoint_peer *peer)
{
	const struct fetch_wish w = {.id = id, .actor = peer->name};
	struct fetch_refusal why;

	if (peer->uid && peer->uid != geteuid())
		return book_refuse(
			"permission",
			"%s may look: packets are removed by root and the collector's user",
			peer->name);
	return fetch_remove(n, &w, &why) ? book_refuse(why.code, "%s", why.text)
					 : book_done("id", id);
}

json_t *captures_ask(struct nodes *n, const json_t *request, const struct endpoint_peer *peer)
{
	const int64_t id = json_integer_value(json_object_get(request, "id"));
	const char *what = book_text(request, "what");
	json_t *out;

	if (!n)
		return book_refuse("off", "this collector has no nodes: nodes.listen is none");
	if (!strcmp(what, "rm"))
		return rm(n, id, peer);
	if (strcmp(what, "list") != 0 && strcmp(what, "show") != 0)
		return book_refuse("request", "captures: no such question '%.40s'", what);
	pthread_mutex_lock(&n->lock);
	out = *what == 'l' ? list(n, request) : show(n, id);
	pthread_mutex_unlock(&n->lock);
	return out;
}
