// SPDX-License-Identifier: Apache-2.0
#include "collector/alerts/runner.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "collector/alerts/proof.h"

#define SECOND	 UINT64_C(1000000000)
#define TICK_NS	 (SECOND / 4)
#define PROOF_NS (120 * SECOND) /* how long before the alert began a source may have been proven */

struct runner {
	struct runner_cfg cfg;
	pthread_t thread;
	pthread_mutex_t lock;	    /* everything down to the next comment */
	pthread_cond_t more, taken; /* taken: next has become set */
	struct block **ring;
	uint32_t at, n;
	bool stop;
	bool none;	      /* no rule is there: blocks need not come. atomic */
	struct ruleset *next; /* that are to take over, with their engine */
	struct engine *next_engine;
	struct engine_rule_stats *next_counts;
	struct runner_stats stats;
	struct ruleset *shown; /* what counts are of; held */
	struct engine_rule_stats *counts;
	/* the thread's own */
	struct ruleset *set;
	struct engine *engine;
	struct proof *proof;
	struct runner_stats before; /* of former engines, and seen here */
	uint32_t epoch;
	uint64_t fed_ns, shown_ns;
	uint64_t seed; /* of all engines: one takes over where groups are from the one before */
};

static uint64_t now_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* ---- alerts ---- */

void alert_event_free(struct alert_event *ev)
{
	ruleset_drop(ev->set);
	free(ev);
}

static bool proven(const struct runner *r, const struct alert *a)
{
	const uint64_t since = a->since_ns > PROOF_NS ? a->since_ns - PROOF_NS : 0;

	for (uint32_t i = 0; r->proof && i < a->n_by; i++)
		if (a->by[i].present && (a->by[i].field == FF_SRC_IP || a->by[i].field == _FF_MAX))
			return proof_has(r->proof, a->by[i].ip, since);
	return false;
}

static void on_alert(void *arg, const struct alert *a)
{
	struct runner *r = arg;
	struct alert_event *ev;
	size_t len = 0, at = 0;

	if (a->state == ALERT_PENDING || (a->state == ALERT_RESOLVED && !a->fired_ns))
		return; /* has never fired: nobody hears of it */
	for (uint32_t i = 0; i < a->n_by; i++)
		len += a->by[i].text.len;
	ev = malloc(sizeof(*ev) + len);
	if (!ev) {
		r->before.no_memory++;
		return;
	}
	*ev = (struct alert_event){.set = ruleset_hold(r->set),
				   .alert = *a,
				   .epoch = r->epoch,
				   .proven = proven(r, a)};
	for (uint32_t i = 0; i < a->n_by; i++) {
		struct flow_str *s = &ev->alert.by[i].text;

		if (s->len)
			memcpy(ev->text + at, s->s, s->len);
		s->s = ev->text + at;
		at += s->len;
	}
	r->cfg.event(r->cfg.arg, ev);
}

/* ---- the thread ---- */

/* Copies of what others may ask for. */
static void show(struct runner *r, uint64_t now)
{
	const struct rule_set *rules = ruleset_rules(r->set);
	struct runner_stats st = r->before;
	struct engine_stats es;

	engine_stats(r->engine, &es);
	st.flows += es.flows;
	st.future += es.future;
	st.lost_memory += es.lost;
	st.clock_ns = engine_clock(r->engine);
	st.epoch = r->epoch;
	st.cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
	pthread_mutex_lock(&r->lock);
	st.lost_queue = r->stats.lost_queue;
	r->stats = st;
	for (uint32_t i = 0; i < rules->n; i++)
		engine_rule_stats(r->engine, i, &r->counts[i]);
	pthread_mutex_unlock(&r->lock);
	r->shown_ns = now;
}

static void tell_change(struct runner *r)
{
	struct alert_event *ev = malloc(sizeof(*ev));

	if (!ev) {
		r->before.no_memory++;
		return;
	}
	*ev = (struct alert_event){.set = ruleset_hold(r->set), .epoch = r->epoch};
	r->cfg.event(r->cfg.arg, ev);
}

/* Rules that wait to take over do; windows and alerts of those that are what they were go on. */
static void change(struct runner *r)
{
	struct ruleset *was = r->set;
	struct engine *engine = r->engine;
	struct engine_stats es = {};

	if (engine)
		engine_stats(engine, &es);
	pthread_mutex_lock(&r->lock);
	r->set = r->next;
	r->engine = r->next_engine;
	free(r->counts);
	r->counts = r->next_counts;
	r->next = NULL;
	r->next_engine = NULL;
	r->next_counts = NULL;
	ruleset_drop(r->shown);
	r->shown = ruleset_hold(r->set);
	r->epoch++;
	__atomic_store_n(&r->none, !ruleset_rules(r->set)->n, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&r->taken);
	pthread_mutex_unlock(&r->lock);
	if (engine)
		engine_adopt(r->engine, engine);
	r->before.flows += es.flows;
	r->before.future += es.future;
	r->before.lost_memory += es.lost;
	engine_free(engine);
	ruleset_drop(was);
	if (r->set->proof && !r->proof)
		r->proof = proof_new(); /* without it nothing is done about sources */
	tell_change(r);
	engine_retell(r->engine);
}

static void feed(struct runner *r, struct block *b)
{
	const uint64_t now = now_ns(CLOCK_REALTIME);

	if (r->set->proof && r->proof)
		proof_block(r->proof, b);
	(void)engine_block(r->engine, b, now); /* what is lost is in its counts */
	r->before.blocks++;
	r->fed_ns = now;
	block_put(r->cfg.pool, b);
}

/* Nothing came: time goes on all the same, so that alerts end. */
static void idle(struct runner *r, uint64_t behind_ns)
{
	const uint64_t now = now_ns(CLOCK_REALTIME);

	if (now - r->fed_ns >= SECOND && now > behind_ns)
		engine_advance(r->engine, now - behind_ns);
}

/* NULL: none for a moment. */
static struct block *take(struct runner *r, bool *ret_change, uint64_t *ret_behind, bool *ret_stop)
{
	struct block *b = NULL;
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += TICK_NS;
	until.tv_sec += until.tv_nsec / (long)SECOND;
	until.tv_nsec %= (long)SECOND;
	pthread_mutex_lock(&r->lock);
	while (!r->n && !r->stop && !r->next)
		if (pthread_cond_timedwait(&r->more, &r->lock, &until) == ETIMEDOUT)
			break;
	*ret_change = r->next != NULL;
	*ret_behind = r->cfg.behind_ns;
	if (r->n) {
		b = r->ring[r->at];
		r->at = (r->at + 1) % r->cfg.queue;
		r->n--;
	}
	*ret_stop = r->stop && !b;
	pthread_mutex_unlock(&r->lock);
	return b;
}

static void *run(void *arg)
{
	struct runner *r = arg;

	pthread_setname_np(pthread_self(), "rules");
	for (;;) {
		bool changed, stop;
		uint64_t behind, now;
		struct block *b = take(r, &changed, &behind, &stop);

		if (stop)
			break;
		if (changed)
			change(r);
		if (b && r->engine)
			feed(r, b);
		else if (b)
			block_put(r->cfg.pool, b);
		else if (r->engine)
			idle(r, behind);
		now = now_ns(CLOCK_MONOTONIC);
		if (r->engine && (changed || now - r->shown_ns >= TICK_NS))
			show(r, now);
	}
	return NULL;
}

/* ---- others ---- */

void runner_offer(struct runner *r, struct block *b)
{
	if (!b->rows || __atomic_load_n(&r->none, __ATOMIC_RELAXED))
		return;
	pthread_mutex_lock(&r->lock);
	if (r->n == r->cfg.queue) {
		r->stats.lost_queue += b->rows;
	} else {
		block_share(r->cfg.pool, b);
		r->ring[(r->at + r->n++) % r->cfg.queue] = b;
		pthread_cond_signal(&r->more);
	}
	pthread_mutex_unlock(&r->lock);
}

int runner_rules(struct runner *r, struct ruleset *set, uint64_t ahead_ns, uint64_t behind_ns)
{
	const struct engine_cfg cfg = {.rules = ruleset_rules(set),
				       .alert = on_alert,
				       .arg = r,
				       .ahead_ns = ahead_ns,
				       .seed = r->seed};
	struct engine_rule_stats *counts = calloc(cfg.rules->n + 1, sizeof(*counts)), *old_counts;
	struct engine *engine = NULL, *old_engine;
	struct ruleset *old;
	const int rc = counts ? engine_new(&cfg, &engine) : -ENOMEM;

	if (rc) {
		free(counts);
		ruleset_drop(set);
		return rc;
	}
	pthread_mutex_lock(&r->lock);
	old = r->next;
	old_engine = r->next_engine;
	old_counts = r->next_counts;
	r->next = set;
	r->next_engine = engine;
	r->next_counts = counts;
	r->cfg.behind_ns = behind_ns;
	pthread_cond_signal(&r->more);
	pthread_mutex_unlock(&r->lock);
	engine_free(old_engine);
	free(old_counts);
	ruleset_drop(old);
	return 0;
}

void runner_settle(struct runner *r)
{
	pthread_mutex_lock(&r->lock);
	while (r->next && !r->stop)
		pthread_cond_wait(&r->taken, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

void runner_stats(struct runner *r, struct runner_stats *ret)
{
	pthread_mutex_lock(&r->lock);
	*ret = r->stats;
	ret->queued = r->n;
	pthread_mutex_unlock(&r->lock);
}

void runner_each(struct runner *r,
		 void (*fn)(void *arg, const struct rule *rule, const struct engine_rule_stats *st),
		 void *arg)
{
	pthread_mutex_lock(&r->lock);
	for (uint32_t i = 0; r->shown && i < ruleset_rules(r->shown)->n; i++)
		fn(arg, &ruleset_rules(r->shown)->v[i], &r->counts[i]);
	pthread_mutex_unlock(&r->lock);
}

int runner_new(const struct runner_cfg *cfg, struct runner **ret)
{
	struct runner *r = calloc(1, sizeof(*r));
	pthread_condattr_t attr;

	if (!r)
		return -ENOMEM;
	r->cfg = *cfg;
	if (getrandom(&r->seed, sizeof(r->seed), 0) < 0 || !r->seed)
		r->seed = (uint64_t)(uintptr_t)r;
	r->ring = calloc(cfg->queue, sizeof(struct block *));
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->more, &attr);
	pthread_cond_init(&r->taken, NULL);
	pthread_condattr_destroy(&attr);
	if (!r->ring || pthread_create(&r->thread, NULL, run, r)) {
		free(r->ring);
		free(r);
		return -EAGAIN;
	}
	*ret = r;
	return 0;
}

void runner_free(struct runner *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_signal(&r->more);
	pthread_cond_broadcast(&r->taken);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	engine_free(r->engine);
	engine_free(r->next_engine);
	ruleset_drop(r->set);
	ruleset_drop(r->next);
	ruleset_drop(r->shown);
	proof_free(r->proof);
	pthread_cond_destroy(&r->more);
	pthread_cond_destroy(&r->taken);
	pthread_mutex_destroy(&r->lock);
	free(r->counts);
	free(r->next_counts);
	free(r->ring);
	free(r);
}
