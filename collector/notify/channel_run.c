// SPDX-License-Identifier: Apache-2.0
/*
 * channel_run.c - a channel's thread: takes what waits, tells it, remembers that, and tries again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "collector/notify/notifier_int.h"
#include "common/log.h"

#define BATCH	 200u
#define SCAN	 2000 /* rows that are looked at for one batch */
#define TICK_MS	 1000
#define FIRST_MS 1000

struct batch {
	struct notice v[BATCH];
	uint32_t n;
	int64_t upto; /* the last row that was looked at */
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool stopped(const struct channel *c)
{
	return __atomic_load_n(&c->n->stop, __ATOMIC_RELAXED);
}

/* ---- rows ---- */

/* Bits of the kinds that it tells. */
static int64_t kinds_of(const struct channel_cfg *cfg)
{
	int64_t bits = 0;

	for (unsigned int k = 0; k < _NOTICE_MAX; k++) {
		const bool decision = notice_is_decision((enum notice_kind)k);

		if (cfg->num[CKEY_events] == EVENTS_ALL ||
		    decision == (cfg->num[CKEY_events] == EVENTS_DECISIONS))
			bits |= INT64_C(1) << k;
	}
	return bits;
}

uint64_t channel_waiting(const struct channel *c, int64_t upto)
{
	return (uint64_t)db_number(c->n->db, 0,
				   "SELECT count(*) FROM notice WHERE id > ? AND id <= ?"
				   " AND severity >= ? AND (1 << kind) & ? != 0",
				   "iiii", c->cursor, upto, (int64_t)c->cfg.num[CKEY_severity],
				   kinds_of(&c->cfg));
}

/* On the disk; what all have told goes. With the lock held. */
static void advance(struct channel *c, int64_t upto)
{
	struct db *d = c->n->db;
	int r;

	c->cursor = upto;
	r = db_run(d, "BEGIN IMMEDIATE", "");
	r = r ?: db_run(d, "UPDATE channel SET cursor = ? WHERE name = ?", "it", upto, c->cfg.name);
	r = r ?: db_run(d, "DELETE FROM notice WHERE id <= (SELECT min(cursor) FROM channel)", "");
	r = r ?: db_run(d, "COMMIT", "");
	if (!r)
		return;
	log_error(c->cfg.name, "control.db: %s: after a crash some would be told again",
		  db_error(d));
	(void)db_run(d, "ROLLBACK", ""); /* it may be over already */
}

/* More wait than may: the oldest are given up. */
static void cut(struct channel *c)
{
	struct notifier *n = c->n;
	int64_t upto;
	uint64_t lost;

	pthread_mutex_lock(&n->lock);
	upto = n->last - (int64_t)n->most;
	if (upto > c->cursor) {
		lost = channel_waiting(c, upto);
		c->stats.lost += lost;
		advance(c, upto);
		if (lost)
			log_error(c->cfg.name, "%llu events given up: more wait than may",
				  (unsigned long long)lost);
	}
	pthread_mutex_unlock(&n->lock);
}

static void take(struct channel *c, struct batch *b)
{
	const uint32_t most = c->alone ? 1 : BATCH;
	struct db *d = c->n->db;
	sqlite3_stmt *s;
	int r = 1;

	b->n = 0;
	pthread_mutex_lock(&c->n->lock);
	b->upto = c->cursor;
	s = db_begin(
		d,
		"SELECT id, at_us, kind, severity, json, severity >= ? AND (1 << kind) & ? != 0"
		" FROM notice WHERE id > ? ORDER BY id LIMIT ?",
		"iiii", (int64_t)c->cfg.num[CKEY_severity], kinds_of(&c->cfg), c->cursor,
		(int64_t)SCAN);
	while (b->n < most && (r = db_step(d, s)) == 1) {
		b->upto = sqlite3_column_int64(s, 0);
		if (!sqlite3_column_int(s, 5))
			continue;
		b->v[b->n++] = (struct notice){
			.id = b->upto,
			.at_us = (uint64_t)sqlite3_column_int64(s, 1),
			.kind = (enum notice_kind)(sqlite3_column_int(s, 2) % _NOTICE_MAX),
			.severity = (enum notice_severity)(sqlite3_column_int(s, 3) & 3),
			.json = json_loads(db_text(s, 4), 0, NULL) ?: json_object(),
		};
	}
	if (b->n == most && s)
		db_end(s);
	if (!r && b->upto == c->cursor) /* nothing is there */
		b->upto = c->n->last;
	pthread_mutex_unlock(&c->n->lock);
}

static void drop(struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		json_decref(b->v[i].json);
	b->n = 0;
}

/* ---- telling ---- */

static int tell(struct channel *c, const struct notice *v, uint32_t n, struct outlet *o, char *said)
{
	const struct notice_from from = {.host = c->n->host,
					 .pid = (uint32_t)getpid(),
					 .facility = (uint32_t)c->cfg.num[CKEY_facility]};

	*o = (struct outlet){.cfg = &c->cfg, .from = &from, .stop = &c->n->stop, .said = said};
	return outlet_tell(o, v, n);
}

int channel_test(struct channel *c, char said[OUTLET_SAID])
{
	struct notice n = {.at_us = (uint64_t)now_us(), .kind = NOTICE_TEST, .json = json_object()};
	struct outlet o;
	const int r = tell(c, &n, 1, &o, said);

	json_decref(n.json);
	return r;
}

/* With the lock held. */
static void went_well(struct channel *c, const struct batch *b)
{
	if (c->tries)
		log_info(c->cfg.name, "it works again: %s", c->said);
	c->tries = 0;
	c->stats.sent += b->n;
	c->told_us = now_us();
	c->alone -= c->alone > 0;
	advance(c, b->upto);
}

/* Who refuses one of many is told them one by one. */
static void was_refused(struct channel *c, const struct batch *b)
{
	if (b->n > 1) {
		c->alone = b->n;
		return;
	}
	c->alone -= c->alone > 0;
	c->stats.refused++;
	log_error(c->cfg.name, "event %lld is refused for good: %s", (long long)b->v[0].id,
		  c->said);
	advance(c, b->upto);
}

static void failed(struct channel *c)
{
	if (!c->tries++)
		log_warn(c->cfg.name, "not told, tried again: %s", c->said);
	c->stats.failed++;
	c->failed_us = now_us();
}

/* Twice as long each time, between half of that and all of it. */
static uint64_t back_off_ms(const struct channel *c, uint32_t wait_s)
{
	const uint64_t most = c->cfg.num[CKEY_retry] / 1000000;
	uint64_t ms = FIRST_MS;
	uint32_t chance = 0;

	for (uint32_t i = 1; i < c->tries && ms < most; i++)
		ms *= 2;
	if (ms > most)
		ms = most;
	if (getrandom(&chance, sizeof(chance), 0) == sizeof(chance))
		ms -= chance % (ms / 2 + 1);
	return ms > UINT64_C(1000) * wait_s ? ms : UINT64_C(1000) * wait_s;
}

/* Return: milliseconds to wait before the next. */
static uint64_t round_of(struct channel *c, struct batch *b)
{
	char said[OUTLET_SAID] = "";
	struct outlet o = {};
	uint64_t wait = 0;
	int r;

	cut(c);
	take(c, b);
	r = b->n ? tell(c, b->v, b->n, &o, said) : 0;
	pthread_mutex_lock(&c->n->lock);
	if (b->n && r != -ECANCELED)
		snprintf(c->said, sizeof(c->said), "%s", said);
	if (!b->n) {
		if (b->upto > c->cursor)
			advance(c, b->upto);
		else
			wait = TICK_MS; /* the database does not answer */
	} else if (!r) {
		went_well(c, b);
	} else if (r == -EBADMSG) {
		was_refused(c, b);
	} else if (r != -ECANCELED) {
		failed(c);
		wait = back_off_ms(c, o.wait_s);
	}
	pthread_mutex_unlock(&c->n->lock);
	drop(b);
	return wait;
}

/* ---- time ---- */

static struct timespec in_ms(uint64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(ms / 1000);
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

/* So long, but for the end. */
static void wait_ms(struct channel *c, uint64_t ms)
{
	while (ms && !stopped(c)) {
		const uint64_t slice = ms < TICK_MS ? ms : TICK_MS;
		const struct timespec until = in_ms(slice);

		pthread_mutex_lock(&c->n->lock);
		while (!stopped(c) &&
		       pthread_cond_timedwait(&c->n->more, &c->n->lock, &until) != ETIMEDOUT)
			;
		pthread_mutex_unlock(&c->n->lock);
		ms -= slice;
		cut(c);
	}
}

/* Until there is something to tell, or the end. */
static void wait_more(struct channel *c)
{
	pthread_mutex_lock(&c->n->lock);
	while (!stopped(c) && c->cursor >= c->n->last)
		pthread_cond_wait(&c->n->more, &c->n->lock);
	pthread_mutex_unlock(&c->n->lock);
}

void *channel_run(void *arg)
{
	struct channel *c = arg;
	struct batch *b = calloc(1, sizeof(*b));
	char name[16];

	snprintf(name, sizeof(name), "to-%.12s", c->cfg.name);
	pthread_setname_np(pthread_self(), name);
	if (!b)
		log_error(c->cfg.name, "out of memory: nothing is told");
	while (b && !stopped(c)) {
		wait_more(c);
		if (!c->tries && !c->alone)
			wait_ms(c, c->cfg.num[CKEY_gather] / 1000000);
		if (!stopped(c))
			wait_ms(c, round_of(c, b));
	}
	free(b);
	return NULL;
}
