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
#define EPOCH_BITS 32 /* of the engines of one start; above them its number */
#define DOUBT_BITS 24 /* of its engines; above them, how often they were all in doubt */

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
	const bool is_end = ev->alert.rule && ev->alert.state == ALERT_RESOLVED;
	bool full;

	ev->next = NULL;
	pthread_mutex_lock(&b->queue_lock);
	/* that rules have changed is never left out, that an alert has ended hardly */
	full = ev->alert.rule && b->waiting / (1 + is_end) >= b->cfg.queue;
	if (full) {
		b->lost++;
		b->lost_end |= is_end;
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
static struct alert_event *take(struct book *b, bool *ret_stop)
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
	b->publish.set = b->set;
	b->policy_dirty = publish_write(&b->publish, b->db, generation, error) != 0;
	if (b->policy_dirty && !b->policy_failed)
		log_error("policy",
			  "%s: what nodes are told stays as it was; tried again each second",
			  error);
	else if (!b->policy_dirty && b->policy_failed)
		log_info("policy", "it can be written again");
	b->policy_failed = b->policy_dirty;
	if (!b->policy_dirty && b->cfg.published)
		b->cfg.published(b->cfg.arg);
	return 0;
}

int book_begin(struct book *b, struct book_counts *ret)
{
	*ret = (struct book_counts){b->stats, b->decide, b->refusals};
	return db_run(b->db, "BEGIN IMMEDIATE", "");
}

void book_undo(struct book *b, const struct book_counts *was)
{
	(void)db_run(b->db, "ROLLBACK", ""); /* it may be over already, or have never begun */
	b->stats = was->stats;
	b->decide = was->decide;
	b->refusals = was->refusals;
}

int book_resync(struct book *b, int64_t above)
{
	struct book_counts was;
	int r;

	if (above < 0 || above > INT64_MAX / 2)
		return -EINVAL;
	pthread_mutex_lock(&b->lock);
	r = book_begin(b, &was);
	r = r
		    ?: db_run(b->db,
			      "INSERT INTO number VALUES ('generation', ?1) ON CONFLICT (name) DO UPDATE"
			      " SET value = max(value, ?1)",
			      "i", above);
	if (!r)
		b->policy_dirty = true;
	r = r ?: book_commit(b);
	if (r)
		book_undo(b, &was);
	pthread_mutex_unlock(&b->lock);
	return r;
}

int book_node_decided(struct book *b, const struct node_decision *d)
{
	struct book_counts was;
	int r;

	pthread_mutex_lock(&b->lock);
	r = book_begin(b, &was);
	r = r ?: decide_node(b, d);
	r = r ?: book_commit(b);
	if (r)
		book_undo(b, &was);
	pthread_mutex_unlock(&b->lock);
	return r;
}

/* Whoever has ended unheard would be open for ever: all have to be confirmed again, as by a new engine. */
static void doubt_all(struct book *b)
{
	bool lost;

	pthread_mutex_lock(&b->queue_lock);
	lost = b->lost_end;
	b->lost_end = false;
	pthread_mutex_unlock(&b->queue_lock);
	if (!lost)
		return;
	b->epoch += INT64_C(1) << DOUBT_BITS;
	b->epoch_us = book_now_us();
	log_warn("alerts", "the queue was full, ends of alerts were lost: they end when nothing "
			   "confirms them");
}

static int new_rules(struct book *b, const struct alert_event *ev)
{
	b->policy_dirty |= publish_has_agents(b->set) || publish_has_agents(ev->set);
	ruleset_drop(b->set);
	b->set = ruleset_hold(ev->set);
	b->epoch = b->run << EPOCH_BITS | ev->epoch;
	b->epoch_us = book_now_us();
	return modes_settle(b) ?: decide_rules(b);
}

static int write_all(struct book *b, const struct alert_event *first)
{
	struct book_counts was;
	int r = book_begin(b, &was);

	for (const struct alert_event *ev = first; ev && !r; ev = ev->next) {
		if (!ev->alert.rule)
			r = new_rules(b, ev);
		else
			r = book_write(b, ev);
	}
	r = r ?: book_commit(b);
	if (r)
		book_undo(b, &was);
	return r;
}

/* How it went, the first time that it is so. */
static void complain(struct book *b, int r, const char *what)
{
	b->stats.failed += r != 0;
	if (r && !b->complained)
		log_error("alerts", "writing failed (%s): they are held and tried again", what);
	else if (!r && b->complained)
		log_info("alerts", "writing works again");
	b->complained = r != 0;
}

/* Until it works; a book that is being closed tries twice. */
static void write_until(struct book *b, const struct alert_event *first)
{
	const struct timespec wait = {.tv_nsec = RETRY_MS * 1000000L - 1};

	for (unsigned int tries = 0;; tries++) {
		bool stop;
		int r;

		pthread_mutex_lock(&b->lock);
		r = write_all(b, first);
		complain(b, r, db_error(b->db));
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
	struct book_counts was;
	int r;

	if (now - b->tidied_us < TIDY_US && now >= b->tidied_us)
		return;
	pthread_mutex_lock(&b->lock);
	b->tidied_us = now;
	/* a clock that was put back: nodes would not take what was made by the other one */
	b->policy_dirty |= now - b->publish.made_us > (int64_t)b->publish.valid_us / 2 ||
			   b->publish.made_us - now > TIDY_US;
	doubt_all(b);
	r = book_begin(b, &was);
	r = r ?: decide_tick(b, now);
	r = r ?: modes_tick(b, now);
	r = r ?: book_tidy(b, now);
	r = r ?: book_commit(b);
	if (r)
		book_undo(b, &was);
	complain(b, r, db_error(b->db));
	pthread_mutex_unlock(&b->lock);
}

/* It is said at each start, and in status: whoever changed it has changed what is relied on. */
static void check_log(struct book *b)
{
	struct audit_state st;
	int r;

	if (!*b->path)
		return;
	r = audit_verify_file(b->path, "", &st);
	if (r)
		log_warn("audit", "the log can't be looked at: %s", strerror(-r));
	else if (st.broken)
		log_error(
			"audit",
			"entry %lld of the audit log is not as it was written; 'weir-collector audit "
			"verify' looks again",
			(long long)st.broken);
	if (r)
		return;
	pthread_mutex_lock(&b->lock);
	b->audit = st;
	pthread_mutex_unlock(&b->lock);
}

static void *run(void *arg)
{
	struct book *b = arg;

	pthread_setname_np(pthread_self(), "alerts");
	check_log(b);
	for (;;) {
		struct alert_event *first, *next;
		bool stop;

		first = take(b, &stop);
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
	int r;

	if (b->cfg.dir &&
	    snprintf(b->path, sizeof(b->path), "%s/control.db", b->cfg.dir) >= (int)sizeof(b->path))
		return -ENAMETOOLONG;
	r = db_open(*b->path ? b->path : NULL, error, &b->db);
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
	b->cfg.promote = cfg->promote;
	pthread_mutex_unlock(&b->lock);
}

int book_modes(struct book *b, struct ruleset *set)
{
	int r;

	pthread_mutex_lock(&b->lock);
	r = modes_apply(b->db, set);
	pthread_mutex_unlock(&b->lock);
	return r;
}

void book_watch(struct book *b, struct runner *r)
{
	pthread_mutex_lock(&b->lock);
	b->watch.runner = r;
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
	ret->policy_failed = b->policy_failed;
	ret->audit_broken = b->audit.broken;
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
