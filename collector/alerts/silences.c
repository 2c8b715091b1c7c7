// SPDX-License-Identifier: Apache-2.0
/*
 * silences.c - alerts that somebody expects: for some time those of a rule, or those a filter picks, are
 * kept as ever, and nobody is told and nothing is done.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/alerts/book_int.h"
#include "common/filter.h"
#include "common/num_text.h"
#include "common/scan.h"

#define SILENCES_MAX 1000
#define LONGEST_NS   (UINT64_C(366) * 86400 * 1000000000)

static bool covers(struct book *b, const char *filter, const char *by)
{
	struct filter_error e;
	struct filter *f;
	bool yes;

	if (!*filter)
		return true;
	if (filter_parse(filter, strlen(filter), NULL, &f, &e))
		return false; /* it was one when it was made */
	yes = book_matches(b, f, by);
	filter_free(f);
	return yes;
}

int64_t silence_of(struct book *b, const char *rule, const char *by, int64_t now_us)
{
	sqlite3_stmt *s = db_begin(b->db,
				   "SELECT id, filter FROM silence WHERE until_us > ?"
				   " AND (rule IS NULL OR rule = ?) ORDER BY until_us DESC",
				   "it", now_us, rule);
	int64_t id = 0;

	while (db_step(b->db, s) == 1) {
		if (!covers(b, db_text(s, 1), by))
			continue;
		id = sqlite3_column_int64(s, 0);
		db_end(s);
		break;
	}
	return id;
}

/* Open alerts that are covered now, or are no more. */
static int apply(struct book *b)
{
	const int64_t now = book_now_us();
	sqlite3_stmt *s =
		db_begin(b->db, "SELECT id, rule, by FROM alert WHERE state = 'firing'", "");
	int r;

	while ((r = db_step(b->db, s)) == 1) {
		const int64_t id = sqlite3_column_int64(s, 0);
		const int64_t silence = silence_of(b, db_text(s, 1), db_text(s, 2), now);

		r = db_run(b->db, "UPDATE alert SET silence = nullif(?, 0) WHERE id = ?", "ii",
			   silence, id);
		if (r) {
			db_end(s);
			break;
		}
	}
	return r;
}

json_t *silence_add(struct book *b, const json_t *request, const struct endpoint_peer *peer)
{
	const char *rule = book_text(request, "rule"), *filter = book_text(request, "filter");
	const char *note = book_text(request, "note"), *length = book_text(request, "for");
	const int64_t now = book_now_us();
	struct filter_error e;
	struct filter *f;
	char text[FILTER_ERROR_TEXT];
	uint64_t ns;
	int64_t id;

	filter = *filter ? filter : NULL;
	rule = *rule ? rule : NULL;
	note = *note ? note : NULL;
	if (!rule && !filter)
		return book_refuse("request", "a silence is of a rule, of a filter, or of both");
	if (scan_duration_ns(length, 1000000000, LONGEST_NS, &ns))
		return book_refuse("request", "for '%.40s': want a time such as 2h, 366d at most",
				   length);
	if (filter && filter_parse(filter, strlen(filter), NULL, &f, &e))
		return book_refuse("filter", "%s", filter_error_text(&e, text));
	if (filter)
		filter_free(f);
	if (db_number(b->db, 0, "SELECT count(*) FROM silence WHERE until_us > ?", "i", now) >=
	    SILENCES_MAX)
		return book_refuse("request", "there are %d silences already", SILENCES_MAX);
	if (db_run(b->db,
		   "INSERT INTO silence (rule, filter, note, made_us, made_by, until_us)"
		   " VALUES (?, ?, ?, ?, ?, ?)",
		   "tttiti", rule, filter, note, now, peer->name, now + (int64_t)(ns / 1000)))
		return book_refuse("store", "%s", db_error(b->db));
	id = db_last_id(b->db);
	return apply(b) ? book_refuse("store", "%s", db_error(b->db)) : book_done("silence", id);
}

json_t *silence_list(struct book *b)
{
	const int64_t now = book_now_us();
	sqlite3_stmt *s =
		db_begin(b->db,
			 "SELECT id, rule, filter, note, made_us, made_by, until_us FROM silence"
			 " WHERE until_us > ? ORDER BY id",
			 "i", now);
	json_t *list = json_array();
	int r;

	while ((r = db_step(b->db, s)) == 1) {
		static const char *const keys[] = {"rule", "filter", "note"};
		json_t *o = json_object();

		json_object_set_new(o, "type", json_string("silence"));
		json_object_set_new(o, "id", json_integer(sqlite3_column_int64(s, 0)));
		for (int i = 0; i < 3; i++)
			if (*db_text(s, i + 1))
				json_object_set_new(o, keys[i], json_string(db_text(s, i + 1)));
		book_put_time(o, "made", sqlite3_column_int64(s, 4));
		json_object_set_new(o, "by", json_string(db_text(s, 5)));
		book_put_time(o, "until", sqlite3_column_int64(s, 6));
		json_array_append_new(list, o);
	}
	if (!r)
		return list;
	json_decref(list);
	return NULL;
}

json_t *silence_end(struct book *b, int64_t id)
{
	const int64_t now = book_now_us();

	if (db_run(b->db, "UPDATE silence SET until_us = ?1 WHERE id = ?2 AND until_us > ?1", "ii",
		   now, id))
		return book_refuse("store", "%s", db_error(b->db));
	if (!db_changes(b->db))
		return book_refuse("unknown", "there is no silence %lld in force", (long long)id);
	return apply(b) ? book_refuse("store", "%s", db_error(b->db)) : book_done("silence", id);
}
