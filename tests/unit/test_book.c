// SPDX-License-Identifier: Apache-2.0
/*
 * test_book.c - what is kept: alerts and who confirms them, their lists, files of keys and policies, the audit
 * log.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "book_rig.h"
#include "collector/metrics_text.h"
#include "common/policy.h"

TestSuite(book, .init = rig_begin, .fini = rig_end, .timeout = 600);

/* ---- alerts ---- */

static int64_t alerts_in(const char *state)
{
	json_t *a = rig_ask("alerts", "list", "state", state);
	const int64_t n = (int64_t)json_array_size(a) - 1;

	json_decref(a);
	return n;
}

Test(book, an_alert_that_no_engine_confirms_ends)
{
	rig_fire("look", 1, true);
	rig_at_work(rig_load(""));
	pthread_mutex_lock(&rig.book->lock);
	cr_assert(eq(int, book_tidy(rig.book, book_now_us() + 60 * 1000000), 0));
	pthread_mutex_unlock(&rig.book->lock);
	cr_expect(eq(i64, alerts_in("firing"), 1), "it has its window and a minute");
	pthread_mutex_lock(&rig.book->lock);
	cr_assert(eq(int, book_tidy(rig.book, book_now_us() + INT64_C(3600) * 1000000), 0));
	pthread_mutex_unlock(&rig.book->lock);
	cr_expect(eq(i64, alerts_in("firing"), 0));
	cr_expect(eq(i64, alerts_in("resolved"), 1));
}

static int64_t first_of(const char *key)
{
	json_t *a = rig_ask("alerts", "list", "state", "all");
	const int64_t n = json_integer_value(json_object_get(json_array_get(a, 0), key));

	json_decref(a);
	return n;
}

/* What new rules say of an alert that goes on. */
Test(book, an_alert_that_goes_on_is_no_new_one)
{
	const struct rig_alert on = {.rule = "look", .net = 192, .host = 1};

	rig_write_alert(&on, ALERT_FIRING);
	rig_at_work(rig_load(""));
	rig_write_alert(&on, RIG_KNOWN | ALERT_FIRING);
	cr_expect(eq(i64, first_of("count"), 1));
	pthread_mutex_lock(&rig.book->lock);
	cr_assert(eq(int, book_tidy(rig.book, book_now_us() + INT64_C(3600) * 1000000), 0));
	pthread_mutex_unlock(&rig.book->lock);
	cr_expect(eq(i64, alerts_in("firing"), 1), "it was confirmed");
	rig_write_alert(&on, ALERT_RESOLVED);
	rig_write_alert(&on, RIG_KNOWN | ALERT_FIRING);
	cr_expect(eq(i64, alerts_in("firing"), 0), "who has ended it meant it");
	rig_write_alert(&on, ALERT_FIRING);
	cr_expect(eq(i64, alerts_in("firing"), 1));
	cr_expect(eq(i64, first_of("count"), 2));
}

Test(book, a_group_counts_all_of_its_alerts)
{
	json_t *q = json_pack("{s:s,s:s,s:s,s:b,s:i}", "command", "alerts", "what", "list", "state",
			      "all", "group", 1, "limit", 1),
	       *a;
	const json_t *o;

	for (uint8_t i = 1; i <= 3; i++)
		rig_write_alert(&(struct rig_alert){"slow", 10, 5, i, false, false}, ALERT_FIRING);
	rig_fire("look", 1, true);
	for (uint8_t i = 4; i <= 5; i++)
		rig_write_alert(&(struct rig_alert){"slow", 10, 5, i, false, false}, ALERT_FIRING);
	a = book_ask(rig.book, q, &rig_root);
	o = json_array_get(a, 0);
	cr_expect(eq(u64, json_array_size(a), 2), "one group, and the end");
	cr_expect(eq(i64, json_integer_value(json_object_get(o, "alerts")), 5));
	json_decref(a);
	json_decref(q);
}

/* A request with a limit. Return: what is wrong with it, "" nothing. */
static const char *limited(const char *command, int limit)
{
	static char code[32];
	json_t *q = json_pack("{s:s,s:s,s:i}", "command", command, "what", "list", "limit", limit);
	json_t *a = book_ask(rig.book, q, &rig_root);

	snprintf(code, sizeof(code), "%s", book_text(json_array_get(a, 0), "code"));
	json_decref(a);
	json_decref(q);
	return code;
}

Test(book, a_list_has_a_bound)
{
	static const char *const commands[] = {"alerts", "decisions", "audit"};

	for (unsigned int i = 0; i < 3; i++) {
		cr_expect(eq(str, (char *)limited(commands[i], -1), "request"), "%s", commands[i]);
		cr_expect(eq(str, (char *)limited(commands[i], 10001), "request"), "%s",
			  commands[i]);
		cr_expect(eq(str, (char *)limited(commands[i], 10000), ""), "%s", commands[i]);
	}
}

/* Pages of one alert: @command "alerts", "decisions" or "audit". Return: how many there were. */
static unsigned int walk(const char *command, const char *state)
{
	int64_t before = INT64_MAX;
	unsigned int n = 0;

	for (;; n++) {
		json_t *q = json_pack("{s:s,s:s,s:s,s:i,s:I}", "command", command, "what", "list",
				      "state", state, "limit", 1, "before", (json_int_t)before);
		json_t *a = book_ask(rig.book, q, &rig_root);
		const json_t *o = json_array_get(a, 0);
		const bool last = json_array_size(a) == 1; /* the end alone */
		const int64_t id =
			json_integer_value(json_object_get(o, "id") ?: json_object_get(o, "seq"));

		json_decref(q);
		json_decref(a);
		if (last)
			return n;
		cr_assert(lt(i64, id, before));
		before = id;
		if (n == 1) /* one more, and one that fires again: neither shifts what is left */
			rig_fire("look", 9, true);
	}
}

Test(book, pages_have_every_alert_once)
{
	for (uint8_t i = 1; i <= 5; i++)
		rig_fire("act", i, true);
	rig_write_alert(&(struct rig_alert){"act", 192, 2, 0, true, false}, ALERT_RESOLVED);
	cr_expect(eq(uint, walk("alerts", "all"), 5));
	cr_expect(eq(uint, walk("alerts", "firing"), 5), "the one that came is there now");
	cr_expect(eq(uint, walk("decisions", "all"), 5));
	cr_expect(gt(uint, walk("audit", ""), 4));
}

Test(book, what_cannot_be_read_is_not_an_empty_list)
{
	pthread_mutex_lock(&rig.book->lock);
	cr_assert(eq(int, db_run(rig.book->db, "ALTER TABLE alert RENAME TO gone", ""), 0));
	pthread_mutex_unlock(&rig.book->lock);
	cr_expect(eq(str, (char *)limited("alerts", 1), "store"));
}

Test(book, labels_of_metrics_are_escaped)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	cr_assert(out != NULL);
	metrics_label(out, "a\"b\\c\nx");
	fclose(out);
	cr_expect(eq(str, text, "a\\\"b\\\\c\\nx"));
	free(text);
}

/* ---- the queue ---- */

static struct alert_event *event(unsigned int state)
{
	static const struct rule any = {.name = "any"};
	struct alert_event *ev = calloc(1, sizeof(*ev));

	cr_assert(ev != NULL);
	ev->alert.rule = &any;
	ev->alert.state = (uint8_t)state;
	return ev;
}

/* A book whose thread does nothing. */
Test(book, ends_of_alerts_have_room_when_new_ones_have_none)
{
	static struct book b = {.cfg.queue = 4,
				.queue_lock = PTHREAD_MUTEX_INITIALIZER,
				.more = PTHREAD_COND_INITIALIZER};
	struct alert_event *ev, *next;

	b.last = &b.first;
	for (unsigned int i = 0; i < 6; i++)
		book_event(&b, event(ALERT_FIRING));
	cr_expect(eq(u64, b.lost, 2));
	for (unsigned int i = 0; i < 4; i++)
		book_event(&b, event(ALERT_RESOLVED));
	cr_expect(eq(u64, b.lost, 2));
	cr_expect(not(b.lost_end));
	book_event(&b, event(ALERT_RESOLVED));
	cr_expect(eq(u64, b.lost, 3));
	cr_expect(b.lost_end);
	for (ev = b.first; ev; ev = next) {
		next = ev->next;
		alert_event_free(ev);
	}
}

Test(book, an_alert_whose_end_was_lost_does_not_last_for_ever)
{
	int64_t epoch, before;
	struct timespec wait = {.tv_nsec = 20000000};

	rig_fire("look", 1, true);
	pthread_mutex_lock(&rig.book->lock);
	before = rig.book->epoch;
	pthread_mutex_unlock(&rig.book->lock);
	pthread_mutex_lock(&rig.book->queue_lock);
	rig.book->lost_end = true;
	pthread_mutex_unlock(&rig.book->queue_lock);
	do { /* its thread has seen it within a second or so; the suite has a bound */
		nanosleep(&wait, NULL);
		pthread_mutex_lock(&rig.book->lock);
		epoch = rig.book->epoch;
		pthread_mutex_unlock(&rig.book->lock);
	} while (epoch == before);
	pthread_mutex_lock(&rig.book->lock);
	cr_assert(eq(int, book_tidy(rig.book, book_now_us() + INT64_C(3600) * 1000000), 0));
	pthread_mutex_unlock(&rig.book->lock);
	cr_expect(eq(i64, alerts_in("firing"), 0));
}

/* ---- files ---- */

Test(book, what_is_kept_is_not_for_everybody)
{
	static const char *const names[] = {"control.db", "control.db-wal", "control.db-shm"};
	struct stat st;
	char path[128];

	book_close(rig.book);
	snprintf(path, sizeof(path), "%s/control.db", rig.dir);
	cr_assert(eq(int, remove(path), 0));
	umask(0);
	rig_open_book();
	rig_at_work(rig_load(""));
	for (unsigned int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", rig.dir, names[i]);
		cr_assert(eq(int, stat(path, &st), 0), "%s", path);
		cr_expect(eq(u32, (uint32_t)(st.st_mode & 0777), 0640), "%s", path);
	}
}

Test(book, a_database_that_is_gone_does_not_take_the_generation_with_it)
{
	char path[128];
	int64_t before;

	rig_fire("act", 1, true);
	rig_fire("act", 2, true);
	book_close(rig.book);
	rig.book = NULL;
	snprintf(path, sizeof(path), "%s/control.db", rig.dir);
	cr_assert(eq(int, remove(path), 0));
	rig_open_book();
	rig_at_work(rig_load(""));
	pthread_mutex_lock(&rig.book->lock);
	before = rig.book->publish.there;
	cr_expect(gt(i64, before, 1));
	cr_expect(gt(i64, rig.book->publish.generation, before));
	pthread_mutex_unlock(&rig.book->lock);
}

Test(book, keys_are_whole_or_not_there)
{
	char key[128], next[128], text[200];
	uint8_t was[POLICY_KEY];
	struct stat st, later;

	snprintf(key, sizeof(key), "%s/policy/policy.pub", rig.dir);
	snprintf(next, sizeof(next), "%s/policy/policy.key.next", rig.dir);
	memcpy(was, rig.book->publish.public, sizeof(was));
	cr_assert(eq(int, stat(key, &st), 0));
	book_close(rig.book);
	rig.book = NULL;
	rig_put_file("policy/policy.pub.next", "half of a key"); /* of a crash */
	rig_open_book();
	cr_assert(eq(int, stat(key, &later), 0));
	cr_expect(eq(u64, (uint64_t)later.st_ino, (uint64_t)st.st_ino), "it is right: it stays");
	cr_expect(eq(int, memcmp(was, rig.book->publish.public, sizeof(was)), 0));
	book_close(rig.book);
	rig.book = NULL;
	rig_put_file("policy/policy.pub", "half of a key");
	rig_put_file("policy/policy.key.next", "half of a key");
	snprintf(text, sizeof(text), "%s/policy/policy.key", rig.dir);
	cr_assert(eq(int, remove(text), 0));
	rig_open_book();
	cr_assert(eq(int, stat(text, &st), 0));
	cr_expect(eq(u32, (uint32_t)(st.st_mode & 0777), 0600));
	cr_assert(eq(int, stat(key, &later), 0));
	cr_expect(gt(i64, (int64_t)later.st_size, 50));
	cr_expect(ne(int, access(next, F_OK), 0), "nothing is left of it");
	rig_at_work(rig_load(""));
	rig_expect_policy("policy.bin", 0, 0);
}

/* ---- the log ---- */

Test(book, the_audit_log_shows_what_was_changed)
{
	struct audit_state st;
	char head[AUDIT_HEX];

	rig_fire("act", 1, true);
	rig_fire("act", 2, false);
	pthread_mutex_lock(&rig.book->lock);
	cr_assert(eq(int, audit_verify(rig.book->db, "", &st), 0));
	cr_expect(eq(i64, st.entries, 2));
	cr_expect(eq(i64, st.broken, 0));
	memcpy(head, st.head, sizeof(head));
	cr_expect(ne(int, db_run(rig.book->db, "DELETE FROM audit", ""), 0));
	cr_expect(ne(int, db_run(rig.book->db, "UPDATE audit SET actor = 'x'", ""), 0));
	cr_expect(ne(int,
		     db_run(rig.book->db,
			    "INSERT OR REPLACE INTO audit SELECT seq, at_us, 'x', action, object,"
			    " detail, hash FROM audit WHERE seq = 1",
			    ""),
		     0));
	cr_assert(eq(int, db_run(rig.book->db, "DROP TRIGGER audit_no_delete", ""), 0));
	cr_assert(eq(int, db_run(rig.book->db, "DELETE FROM audit WHERE seq = 2", ""), 0));
	cr_assert(eq(int, audit_verify(rig.book->db, head, &st), 0));
	cr_expect(not(st.found), "the end is missing");
	cr_assert(eq(int, db_run(rig.book->db, "DELETE FROM audit", ""), 0));
	pthread_mutex_unlock(&rig.book->lock);
}

/* The first entry that is wrong after somebody with the file in hand has done @sql. */
static int64_t broken_by(const char *sql)
{
	struct audit_state st;

	cr_assert(eq(int, db_run(rig.book->db, sql, ""), 0), "%s", db_error(rig.book->db));
	cr_assert(eq(int, audit_verify(rig.book->db, "", &st), 0));
	return st.broken;
}

Test(book, nothing_is_hidden_in_the_audit_log)
{
	rig_fire("act", 1, true);
	rig_fire("act", 2, false);
	pthread_mutex_lock(&rig.book->lock);
	cr_expect(eq(i64, broken_by("DROP TRIGGER audit_no_update"), 0));
	cr_expect(eq(i64, broken_by("DROP TRIGGER audit_no_replace"), 0));
	cr_expect(eq(i64, broken_by("DROP TRIGGER audit_no_delete"), 0));
	cr_expect(eq(i64,
		     broken_by("UPDATE audit SET detail = detail || char(0) || 'x' WHERE seq = 2"),
		     2),
		  "behind a 0");
	cr_expect(eq(i64, broken_by("DELETE FROM audit WHERE seq = 2"), 0), "as it was before it");
	cr_expect(eq(i64,
		     broken_by("INSERT INTO audit SELECT 0, at_us, actor, action, object, detail,"
			       " hash FROM audit"),
		     1),
		  "before the first");
	pthread_mutex_unlock(&rig.book->lock);
}

Test(book, the_audit_log_is_looked_at_when_it_starts)
{
	struct book_stats st;
	struct timespec wait = {.tv_nsec = 20000000};

	rig_fire("act", 1, true);
	pthread_mutex_lock(&rig.book->lock);
	(void)broken_by("DROP TRIGGER audit_no_update");
	(void)broken_by("UPDATE audit SET actor = 'nobody'");
	pthread_mutex_unlock(&rig.book->lock);
	book_close(rig.book);
	rig_open_book();
	do { /* its thread has it soon; the suite has a bound */
		nanosleep(&wait, NULL);
		book_stats(rig.book, &st);
	} while (!st.audit_broken);
	cr_expect(eq(i64, st.audit_broken, 1));
}
