// SPDX-License-Identifier: Apache-2.0
#include "collector/alerts/book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/alerts/book_int.h"
#include "collector/control/decide_int.h"
#include "common/log.h"

#define BATCH	   2048u /* alerts of one transaction */
#define TICK_MS	   250
#define RETRY_MS   1000
#define TIDY_US	   INT64_C(1000000)
#define EPOCH_BITS 32

int64_t book_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- the queue ---- */

void book_event(void *arg, struct alert_event *ev)
{
	struct book *b = arg;
	bool full;

	ev->next = NULL;
	pthread_mutex_lock(&b->queue_lock);
	/* that rules have changed is never left out */
	full = ev->alert.rule && b->waiting >= b->cfg.queue;
	if (full) {
		b->lost++;
	} else {
		*b->last = ev;
		b->last = &ev->next;
		b->waiting++;
		pthread_cond_signal(&b->more);
	}
	pthread_mutex_unlock(&b->queue_lock);
	if (full)
		alert_event_free(ev);
}

/* Up to BATCH of those that wait. NULL after a tick. */
static struct alert_event *take(struct book *b, uint32_t *ret_n, bool *ret_stop)
{
	struct alert_event *first, **at;
	struct timespec until;
	uint32_t n = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += TICK_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&b->queue_lock);
	while (!b->first && !b->stop)
		if (pthread_cond_timedwait(&b->more, &b->queue_lock, &until) == ETIMEDOUT)
			break;
	first = b->first;
	for (at = &b->first; *at && n < BATCH; at = &(*at)->next)
		n++;
	b->first = *at;
	*at = NULL;
	if (!b->first)
		b->last = &b->first;
	b->waiting -= n;
	*ret_stop = b->stop && !first;
	pthread_mutex_unlock(&b->queue_lock);
	*ret_n = n;
	return first;
}

/* ---- writing ---- */

int book_commit(struct book *b)
{
	char error[DB_ERROR];
	int64_t generation = 0, told = 0;
	int r;

	if (!b->publish.dir[0])
		b->policy_dirty = false; /* nobody is told */
	r = b->policy_dirty ? publish_next(&b->publish, b->db, &generation) : 0;

	r = r ?: book_tell(b, &told);
	r = r ?: db_run(b->db, "COMMIT", "");
	if (!r && told)
		notifier_wake(b->cfg.notifier, told);
	if (r || !b->policy_dirty)
		return r;
	b->policy_dirty = publish_write(&b->publish, b->db, generation, error) != 0;
	if (b->policy_dirty)
		log_error("policy", "%s: what nodes are told stays as it was", error);
	else if (b->cfg.published)
		b->cfg.published(b->cfg.arg);
	return 0;
}

int book_resync(struct book *b, int64_t above)
{
	int r;

	pthread_mutex_lock(&b->lock);
	r = db_run(b->db, "BEGIN IMMEDIATE", "");
	r = r
		    ?: db_run(b->db,
			      "INSERT INTO number VALUES ('generation', ?1) ON CONFLICT (name) DO UPDATE"
			      " SET value = max(value, ?1)",
			      "i", above);
	if (!r)
		b->policy_dirty = true;
	r = r ?: book_commit(b);
	if (r)
		(void)db_run(b->db, "ROLLBACK", ""); /* it may be over already */
	pthread_mutex_unlock(&b->lock);
	return r;
}

static int new_rules(struct book *b, const struct alert_event *ev)
{
	ruleset_drop(b->set);
	b->set = ruleset_hold(ev->set);
	b->epoch = b->run << EPOCH_BITS | ev->epoch;
	b->epoch_us = book_now_us();
	return decide_rules(b);
}

static int write_all(struct book *b, const struct alert_event *first)
{
	int r = db_run(b->db, "BEGIN IMMEDIATE", "");

	for (const struct alert_event *ev = first; ev && !r; ev = ev->next) {
		if (!ev->alert.rule)
			r = new_rules(b, ev);
		else
			r = book_write(b, ev);
	}
	r = r ?: book_commit(b);
	if (r)
		(void)db_run(b->db, "ROLLBACK", ""); /* it may be over already */
	return r;
}

static void complain(struct book *b)
{
	b->stats.failed++;
	if (!b->complained)
		log_error("alerts", "writing failed (%s): they are held and tried again",
			  db_error(b->db));
	b->complained = true;
}

/* Until it works; a book that is being closed tries twice. */
static void write_until(struct book *b, const struct alert_event *first)
{
	const struct timespec wait = {.tv_nsec = RETRY_MS * 1000000L - 1};
	struct decide_stats decided;
	struct book_stats before;

	for (unsigned int tries = 0;; tries++) {
		bool stop;
		int r;

		pthread_mutex_lock(&b->lock);
		before = b->stats;
		decided = b->decide;
		r = write_all(b, first);
		if (r) {
			b->stats = before;
			b->decide = decided;
			complain(b);
		} else if (b->complained) {
			b->complained = false;
			log_info("alerts", "writing works again");
		}
		pthread_mutex_unlock(&b->lock);
		pthread_mutex_lock(&b->queue_lock);
		stop = b->stop;
		pthread_mutex_unlock(&b->queue_lock);
		if (!r || (stop && tries))
			return;
		nanosleep(&wait, NULL);
	}
}

static void tick(struct book *b)
{
	const int64_t now = book_now_us();
	int r;

	if (now - b->tidied_us < TIDY_US && now >= b->tidied_us)
		return;
	pthread_mutex_lock(&b->lock);
	b->tidied_us = now;
	b->policy_dirty |= now - b->publish.made_us > (int64_t)b->publish.valid_us / 2;
	r = db_run(b->db, "BEGIN IMMEDIATE", "");
	r = r ?: decide_tick(b, now);
	r = r ?: book_tidy(b, now);
	r = r ?: book_commit(b);
	if (r) {
		(void)db_run(b->db, "ROLLBACK", ""); /* it may be over already */
		complain(b);
	}
	pthread_mutex_unlock(&b->lock);
}

static void *run(void *arg)
{
	struct book *b = arg;

	pthread_setname_np(pthread_self(), "alerts");
	for (;;) {
		struct alert_event *first, *next;
		uint32_t n;
		bool stop;

		first = take(b, &n, &stop);
		if (stop)
			break;
		if (first)
			write_until(b, first);
		for (; first; first = next) {
			next = first->next;
			alert_event_free(first);
		}
		tick(b);
	}
	return NULL;
}

/* ---- life ---- */

static int start_run(struct book *b)
{
	const int r = db_run(b->db,
			     "INSERT INTO number VALUES ('run', 1) ON CONFLICT (name) DO UPDATE SET"
			     " value = value + 1",
			     "");

	b->run = db_number(b->db, 0, "SELECT value FROM number WHERE name = 'run'", "");
	return r;
}

static int open_db(struct book *b, char *error)
{
	char path[4096];
	int r;

	snprintf(path, sizeof(path), "%s/control.db", b->cfg.dir ?: "");
	r = db_open(b->cfg.dir ? path : NULL, error, &b->db);
	if (!r && start_run(b)) {
		snprintf(error, DB_ERROR, "%s", db_error(b->db));
		r = -EIO;
	}
	if (!r && b->cfg.dir)
		r = publish_open(&b->cfg.publish, &b->publish, error);
	return r;
}

int book_open(const struct book_cfg *cfg, char *error, struct book **ret)
{
	struct book *b = calloc(1, sizeof(*b));
	pthread_condattr_t attr;
	int r;

	if (!b)
		return -ENOMEM;
	b->cfg = *cfg;
	b->last = &b->first;
	pthread_mutex_init(&b->lock, NULL);
	pthread_mutex_init(&b->queue_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&b->more, &attr);
	pthread_condattr_destroy(&attr);
	b->reader = record_reader_new();
	r = b->reader ? open_db(b, error) : -ENOMEM;
	b->cfg.publish = (struct publish_cfg){}; /* settings go with a reload */
	b->cfg.dir = NULL;
	if (!r && pthread_create(&b->thread, NULL, run, b))
		r = -EAGAIN;
	b->started = !r;
	if (r)
		book_close(b);
	else
		*ret = b;
	return r;
}

void book_close(struct book *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->queue_lock);
	b->stop = true;
	pthread_cond_signal(&b->more);
	pthread_mutex_unlock(&b->queue_lock);
	if (b->started)
		pthread_join(b->thread, NULL);
	ruleset_drop(b->set);
	db_close(b->db);
	record_reader_free(b->reader);
	pthread_cond_destroy(&b->more);
	pthread_mutex_destroy(&b->queue_lock);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

void book_reload(struct book *b, const struct book_cfg *cfg)
{
	pthread_mutex_lock(&b->lock);
	b->cfg.reopen_us = cfg->reopen_us;
	b->cfg.keep_us = cfg->keep_us;
	b->cfg.decide = cfg->decide;
	pthread_mutex_unlock(&b->lock);
}

/* ---- what there is ---- */

void book_stats(struct book *b, struct book_stats *ret)
{
	pthread_mutex_lock(&b->lock);
	*ret = b->stats;
	ret->firing = (uint64_t)db_number(b->db, 0,
					  "SELECT count(*) FROM alert WHERE state = 'firing'", "");
	ret->silenced = (uint64_t)db_number(
		b->db, 0,
		"SELECT count(*) FROM alert WHERE state = 'firing' AND silence IS NOT NULL", "");
	ret->acked = (uint64_t)db_number(
		b->db, 0,
		"SELECT count(*) FROM alert WHERE state = 'firing' AND acked_us IS NOT NULL", "");
	ret->active = (uint64_t)db_number(
		b->db, 0, "SELECT count(*) FROM decision WHERE state = 'active'", "");
	ret->shadow = (uint64_t)db_number(
		b->db, 0,
		"SELECT count(*) FROM decision WHERE state = 'active' AND mode = 'shadow'", "");
	ret->held = (uint64_t)db_number(b->db, 0,
					"SELECT count(*) FROM decision WHERE state = 'held'", "");
	ret->decide = b->decide;
	ret->generation = b->publish.generation;
	ret->breaker = decide_breaker(b);
	pthread_mutex_unlock(&b->lock);
	pthread_mutex_lock(&b->queue_lock);
	ret->lost_queue = b->lost;
	ret->waiting = b->waiting;
	pthread_mutex_unlock(&b->queue_lock);
}

void book_each_firing(struct book *b, book_firing_fn *fn, void *arg)
{
	sqlite3_stmt *s;

	pthread_mutex_lock(&b->lock);
	s = db_begin(b->db,
		     "SELECT rule, severity, count(*) FROM alert WHERE state = 'firing'"
		     " GROUP BY rule, severity ORDER BY rule",
		     "");
	while (db_step(b->db, s) == 1)
		fn(arg, db_text(s, 0), db_text(s, 1), (uint64_t)sqlite3_column_int64(s, 2));
	pthread_mutex_unlock(&b->lock);
}
