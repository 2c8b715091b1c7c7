// SPDX-License-Identifier: Apache-2.0
/*
 * book_tell.c - what is to be told of alerts and decisions: whatever differs from what was told last becomes a
 * row of the table notice, in the transaction that made it differ. So each change is told once, whoever made
 * it; an alert that was silenced all its life is not told at all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/alerts/book_int.h"
#include "collector/control/decide_int.h"
#include "collector/notify/notice.h"

#define ROWS 128

struct telling {
	struct book *b;
	int64_t last; /* row of notice; 0: none */
};

struct changed {
	int64_t id;
	int kind; /* -1: nothing is said */
	enum notice_severity severity;
};

static int kind_of(const char *state, const char *told)
{
	if (!strcmp(state, "firing"))
		return NOTICE_ALERT_FIRING;
	if (!strcmp(state, "active"))
		return NOTICE_DECISION_ACTIVE;
	if (!strcmp(state, "held"))
		return NOTICE_DECISION_HELD;
	if (!*told)
		return -1; /* its begin was not told */
	return !strcmp(state, "resolved")    ? NOTICE_ALERT_RESOLVED
	       : !strcmp(state, "expired")   ? NOTICE_DECISION_EXPIRED
	       : !strcmp(state, "withdrawn") ? NOTICE_DECISION_WITHDRAWN
					     : -1;
}

static int put(struct telling *t, const struct changed *x, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	int r = -ENOMEM;

	if (text)
		r = db_run(t->b->db,
			   "INSERT INTO notice (at_us, kind, severity, json) VALUES (?, ?, ?, ?)",
			   "iiit", book_now_us(), (int64_t)x->kind, (int64_t)x->severity, text);
	if (!r)
		t->last = db_last_id(t->b->db);
	free(text);
	json_decref(json);
	return r;
}

/* Columns of @s: id, state, told, severity. Return: how many, or -EIO. */
static int read_changed(struct book *b, sqlite3_stmt *s, struct changed v[ROWS])
{
	int n = 0, r;

	while ((r = db_step(b->db, s)) == 1) {
		v[n].id = sqlite3_column_int64(s, 0);
		v[n].kind = kind_of(db_text(s, 1), db_text(s, 2));
		v[n++].severity = notice_severity_of(db_text(s, 3));
	}
	return r ?: n;
}

/* What is told of: its rows that have changed since, how one is written, and that it has been told. */
struct told {
	const char *changed, *tell;
	json_t *(*json)(struct book *b, int64_t id);
};

static const struct told alerts = {
	/* as the index alert_told has it */
	"SELECT id, state, told, severity FROM alert"
	" WHERE told != state AND (silence IS NULL OR state = 'resolved') LIMIT 128",
	"UPDATE alert SET told = state WHERE id = ?",
	book_alert_json,
};

static const struct told decisions = {
	"SELECT d.id, d.state, d.told, a.severity FROM decision d"
	" LEFT JOIN alert a ON a.id = d.alert WHERE d.told != d.state LIMIT 128",
	"UPDATE decision SET told = state WHERE id = ?",
	decide_json,
};

static int tell_all(struct telling *t, const struct told *of)
{
	struct book *b = t->b;
	struct changed v[ROWS];
	int n, r = 0;

	do {
		n = read_changed(b, db_begin(b->db, of->changed, ""), v);
		for (int i = 0; i < n && !r; i++) {
			if (v[i].kind >= 0)
				r = put(t, &v[i], of->json(b, v[i].id));
			r = r ?: db_run(b->db, of->tell, "i", v[i].id);
		}
	} while (n == ROWS && !r);
	return n < 0 ? n : r;
}

int book_tell(struct book *b, int64_t *ret_last)
{
	struct telling t = {.b = b};
	int r = 0;

	if (notifier_wanted(b->cfg.notifier)) {
		r = tell_all(&t, &alerts);
		r = r ?: tell_all(&t, &decisions);
	}
	*ret_last = t.last;
	return r;
}
