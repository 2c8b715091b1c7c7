// SPDX-License-Identifier: Apache-2.0
#include "collector/packs/feeds.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "collector/metrics_text.h"
#include "common/log.h"
#include "common/num_text.h"

#define RETRY_NS \
	(UINT64_C(300) * 1000000000) /* after a fetch in vain, unless it is asked for more often */

struct feed {
	struct pack_list list; /* its texts are behind it */
	struct feed_state state;
	int64_t due_ns; /* on the monotonic clock */
	int64_t tried_us;
	uint8_t bad; /* enum feed_bad, of the last fetch */
	char why[FEED_WHY];
	bool accept;
	bool gone; /* while it was fetched: nobody wants it any more */
	uint64_t fetches, same, taken, refused[_FEED_BAD_MAX], expired, bad_lines;
	char text[];
};

struct feeds {
	struct feeds_cfg cfg;
	char *dir;
	pthread_t thread;
	pthread_mutex_t lock; /* what follows, and every feed but while it is fetched */
	pthread_cond_t more;
	struct feed **v;
	uint32_t n;
	struct feed_own own;
	bool stop;	   /* atomic too */
	struct feed *busy; /* is being fetched, without the lock */
};

static int64_t now_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t wall_us(void)
{
	return now_ns(CLOCK_REALTIME) / 1000;
}

/* ---- when ---- */

static uint64_t by_chance(uint64_t below)
{
	uint64_t n = 0;

	if (below && getrandom(&n, sizeof(n), 0) == (ssize_t)sizeof(n))
		n %= below;
	return below ? n : 0;
}

static void plan(struct feed *d, bool good)
{
	const struct pack_feed *f = &d->list.feed;
	const uint64_t wait = !good && f->every_ns > RETRY_NS ? RETRY_NS : f->every_ns;

	d->due_ns = now_ns(CLOCK_MONOTONIC) + (int64_t)(wait + by_chance(f->jitter_ns));
}

/* The one whose time comes first; NULL: there is none. */
static struct feed *next_of(const struct feeds *f)
{
	struct feed *first = NULL;

	for (uint32_t i = 0; i < f->n; i++)
		if (!first || f->v[i]->due_ns < first->due_ns)
			first = f->v[i];
	return first;
}

/* ---- one fetch ---- */

static void refuse(struct feed *d, enum feed_bad b, const char *why)
{
	const bool news = d->bad != b || strcmp(d->why, why) != 0;

	d->bad = (uint8_t)b;
	d->refused[b]++;
	snprintf(d->why, sizeof(d->why), "%s", why);
	if (news)
		log_warn("feeds", "@%s: %s (%s): the last good values stay", d->list.name, d->why,
			 feed_bad_word(b));
}

static void praise(struct feed *d)
{
	if (d->bad)
		log_info("feeds", "@%s: its feed is good again", d->list.name);
	d->bad = FEED_GOOD;
	d->why[0] = 0;
}

static int keep_values(const struct feeds *f, struct feed *d, const struct feed_body *b,
		       const struct list_parse *p)
{
	int r = p ? feed_values_write(f->dir, d->list.name, p->text, p->len) : 0;

	if (r)
		return r;
	if (p)
		d->state.n = p->n;
	d->state.good_us = wall_us();
	if (!b->same) {
		snprintf(d->state.etag, sizeof(d->state.etag), "%s", b->etag);
		snprintf(d->state.modified, sizeof(d->state.modified), "%s", b->modified);
	}
	return feed_state_write(f->dir, d->list.name, &d->state);
}

/* What has come, @r of feed_fetch(). With the lock. Return: has the list other values? */
static bool settle(struct feeds *f, struct feed *d, int r, struct feed_body *b, const char *why)
{
	struct list_parse p = {};
	char text[FEED_WHY];
	bool changed = false;

	if (!r && !b->same) {
		why = text;
		r = feed_judge(&(struct feed_asked){&d->list, &f->own,
						    d->state.good_us ? d->state.n : 0},
			       b, &p, text);
		d->bad_lines += p.bad;
		if (r == FEED_SHRUNK && d->accept)
			r = FEED_GOOD;
	}
	if (!r) {
		r = keep_values(f, d, b, b->same ? NULL : &p);
		changed = !r && !b->same;
		d->same += !r && b->same;
		d->taken += changed;
		d->accept = false;
	}
	if (r > 0)
		refuse(d, (enum feed_bad)r, why);
	else if (r < 0 && r != -ECANCELED)
		refuse(d, FEED_FETCH, strerror(-r));
	else if (!r)
		praise(d);
	list_parse_done(&p);
	plan(d, !r);
	return changed;
}

/* What has not been had for too long counts no more. */
static bool expire(struct feeds *f, struct feed *d)
{
	if (!d->state.good_us || !feed_expired(&d->list.feed, &d->state, wall_us()))
		return false;
	log_warn("feeds", "@%s: nothing good for too long: its %" PRIu64 " values are dropped",
		 d->list.name, d->state.n);
	feed_values_drop(f->dir, d->list.name);
	d->state.good_us = 0;
	d->state.n = 0;
	d->state.etag[0] = d->state.modified[0] = 0;
	d->expired++;
	return true;
}

/* With the lock, which is given up while the other side is asked; @d may be gone then. */
static bool fetch(struct feeds *f, struct feed *d)
{
	const struct feed_state st = d->state;
	struct feed_body b;
	char why[FEED_WHY];
	bool changed;
	int r;

	f->busy = d;
	d->fetches++;
	d->tried_us = wall_us();
	pthread_mutex_unlock(&f->lock);
	r = feed_fetch(&d->list.feed, &st, &f->stop, &b, why);
	pthread_mutex_lock(&f->lock);
	f->busy = NULL;
	changed = !d->gone && settle(f, d, r, &b, why);
	free(b.bytes);
	if (d->gone)
		free(d);
	else
		changed |= expire(f, d);
	return changed;
}

/* Until something is due. NULL: stop. With the lock. */
static struct feed *wait_for(struct feeds *f)
{
	while (!f->stop) {
		struct feed *d = next_of(f);
		struct timespec until;

		if (!d) {
			pthread_cond_wait(&f->more, &f->lock);
			continue;
		}
		if (d->due_ns <= now_ns(CLOCK_MONOTONIC))
			return d;
		until = (struct timespec){d->due_ns / 1000000000, d->due_ns % 1000000000};
		pthread_cond_timedwait(&f->more, &f->lock, &until);
	}
	return NULL;
}

static void *run(void *arg)
{
	struct feeds *f = arg;
	struct feed *d;

	pthread_setname_np(pthread_self(), "feeds");
	pthread_mutex_lock(&f->lock);
	while ((d = wait_for(f))) {
		const bool changed = fetch(f, d);

		if (!changed)
			continue;
		pthread_mutex_unlock(&f->lock);
		f->cfg.changed(f->cfg.arg);
		pthread_mutex_lock(&f->lock);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* ---- which ---- */

static const char *copy(struct feed *d, size_t *at, const char *s)
{
	char *to = d->text + *at;

	if (!s)
		return NULL;
	memcpy(to, s, strlen(s) + 1);
	*at += strlen(s) + 1;
	return to;
}

static struct feed *feed_new(const struct feeds *f, const struct pack_list *l)
{
	const char *const texts[] = {l->name, l->feed.url ?: "", l->feed.file ?: "",
				     l->feed.ca ?: ""};
	size_t len = 0, at = 0;
	struct feed *d;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		len += strlen(texts[i]) + 1;
	d = calloc(1, sizeof(*d) + len);
	if (!d)
		return NULL;
	d->list = (struct pack_list){.names = l->names, .feed = l->feed};
	d->list.name = copy(d, &at, l->name);
	d->list.feed.url = copy(d, &at, l->feed.url);
	d->list.feed.file = copy(d, &at, l->feed.file);
	d->list.feed.ca = copy(d, &at, l->feed.ca);
	feed_state_read(f->dir, d->list.name, feed_source(&d->list.feed), &d->state);
	d->due_ns = now_ns(CLOCK_MONOTONIC);
	return d;
}

static bool same_text(const char *a, const char *b)
{
	return !strcmp(a ?: "", b ?: "");
}

static bool same_feed(const struct feed *d, const struct pack_list *l)
{
	const struct pack_feed *a = &d->list.feed, *b = &l->feed;

	return !strcmp(d->list.name, l->name) && d->list.names == l->names &&
	       same_text(a->url, b->url) && same_text(a->file, b->file) &&
	       same_text(a->ca, b->ca) && a->every_ns == b->every_ns &&
	       a->jitter_ns == b->jitter_ns && a->expire_ns == b->expire_ns &&
	       a->timeout_ns == b->timeout_ns && a->max_entries == b->max_entries &&
	       a->max_bytes == b->max_bytes && a->format == b->format;
}

/* One that is there, taken out of the old ones; or a new one. NULL: no memory. */
static struct feed *find_or_new(struct feeds *f, const struct pack_list *l)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (f->v[i] && same_feed(f->v[i], l)) {
			struct feed *d = f->v[i];

			f->v[i] = NULL;
			return d;
		}
	return feed_new(f, l);
}

static void replace(struct feeds *f, struct feed **v, uint32_t n, const struct feed_own *own)
{
	for (uint32_t i = 0; i < f->n; i++) {
		if (f->v[i] && f->v[i] == f->busy)
			f->busy->gone = true;
		else
			free(f->v[i]);
	}
	free(f->v);
	feed_own_done(&f->own);
	f->v = v;
	f->n = n;
	f->own = *own;
	pthread_cond_broadcast(&f->more);
}

int feeds_set(struct feeds *f, const struct pack_list *const *v, uint32_t n,
	      const char *const own[3])
{
	struct feed **to = calloc(n + 1, sizeof(struct feed *));
	struct feed_own nets = {};
	uint32_t made = 0;
	int r = to ? 0 : -ENOMEM;

	for (unsigned int i = 0; i < 3 && !r; i++)
		r = feed_own_add(&nets, own[i]);
	if (r) {
		free(to);
		feed_own_done(&nets);
		return r;
	}
	pthread_mutex_lock(&f->lock);
	for (uint32_t i = 0; i < n; i++) {
		to[made] = find_or_new(f, v[i]);
		made += to[made] != NULL;
	}
	replace(f, to, made, &nets);
	pthread_mutex_unlock(&f->lock);
	return made == n ? 0 : -ENOMEM;
}

int feeds_refresh(struct feeds *f, const char *name, bool accept)
{
	int r = -ENOENT;

	pthread_mutex_lock(&f->lock);
	for (uint32_t i = 0; i < f->n; i++)
		if (!strcmp(f->v[i]->list.name, name)) {
			f->v[i]->due_ns = 0;
			f->v[i]->accept |= accept;
			r = 0;
		}
	pthread_cond_broadcast(&f->more);
	pthread_mutex_unlock(&f->lock);
	return r;
}

/* ---- status ---- */

static void put_time(json_t *o, const char *key, int64_t us)
{
	char text[TIME_TEXT];

	if (us <= 0)
		return;
	time_text((uint64_t)us * 1000, text);
	json_object_set_new(o, key, json_string(text));
}

static json_t *feed_json(const struct feed *d)
{
	json_t *o = json_object(), *refused = json_object();

	json_object_set_new(o, "list", json_string(d->list.name));
	json_object_set_new(o, "source", json_string(feed_source(&d->list.feed)));
	json_object_set_new(o, "values", json_integer((json_int_t)d->state.n));
	json_object_set_new(o, "state",
			    json_string(!d->fetches ? "new"
					: d->bad    ? feed_bad_word(d->bad)
						    : "good"));
	if (d->bad)
		json_object_set_new(o, "why", json_string(d->why));
	put_time(o, "good", d->state.good_us);
	put_time(o, "tried", d->tried_us);
	if (d->list.feed.expire_ns && d->state.good_us)
		put_time(o, "expires", d->state.good_us + (int64_t)(d->list.feed.expire_ns / 1000));
	json_object_set_new(o, "fetches", json_integer((json_int_t)d->fetches));
	json_object_set_new(o, "same", json_integer((json_int_t)d->same));
	json_object_set_new(o, "taken", json_integer((json_int_t)d->taken));
	json_object_set_new(o, "expired", json_integer((json_int_t)d->expired));
	json_object_set_new(o, "bad_lines", json_integer((json_int_t)d->bad_lines));
	for (unsigned int i = FEED_GOOD + 1; i < _FEED_BAD_MAX; i++)
		if (d->refused[i])
			json_object_set_new(refused, feed_bad_word(i),
					    json_integer((json_int_t)d->refused[i]));
	json_object_set_new(o, "refused", refused);
	return o;
}

json_t *feeds_status(struct feeds *f)
{
	json_t *list = json_array();

	pthread_mutex_lock(&f->lock);
	for (uint32_t i = 0; i < f->n; i++)
		json_array_append_new(list, feed_json(f->v[i]));
	pthread_mutex_unlock(&f->lock);
	return list;
}

/* Names of lists are words without quotes. */
static void put_refused(struct feeds *f, FILE *out)
{
	metrics_head(out, "weir_feed_refused_total", "counter",
		     "Fetches of which nothing was taken, by reason; see weir-collector-pack(8).");
	for (uint32_t i = 0; i < f->n; i++)
		for (unsigned int b = FEED_GOOD + 1; b < _FEED_BAD_MAX; b++)
			fprintf(out,
				"weir_feed_refused_total{list=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
				f->v[i]->list.name, feed_bad_word(b), f->v[i]->refused[b]);
}

void feeds_metrics(struct feeds *f, FILE *out)
{
	pthread_mutex_lock(&f->lock);
	metrics_head(out, "weir_feed_values", "gauge", "Values of a list that came from its feed.");
	for (uint32_t i = 0; i < f->n; i++)
		fprintf(out, "weir_feed_values{list=\"%s\"} %" PRIu64 "\n", f->v[i]->list.name,
			f->v[i]->state.n);
	metrics_head(out, "weir_feed_bad", "gauge",
		     "1: the last fetch was in vain or brought nothing good.");
	for (uint32_t i = 0; i < f->n; i++)
		fprintf(out, "weir_feed_bad{list=\"%s\"} %d\n", f->v[i]->list.name,
			f->v[i]->bad != FEED_GOOD);
	metrics_head(out, "weir_feed_good_timestamp_seconds", "gauge",
		     "When a feed was last good; 0: never, or too long ago.");
	for (uint32_t i = 0; i < f->n; i++)
		fprintf(out, "weir_feed_good_timestamp_seconds{list=\"%s\"} %.6f\n",
			f->v[i]->list.name, (double)f->v[i]->state.good_us / 1e6);
	put_refused(f, out);
	pthread_mutex_unlock(&f->lock);
}

/* ---- life ---- */

int feeds_new(const struct feeds_cfg *cfg, struct feeds **ret)
{
	struct feeds *f = calloc(1, sizeof(*f));
	pthread_condattr_t attr;

	if (!f)
		return -ENOMEM;
	f->cfg = *cfg;
	f->dir = strdup(cfg->dir);
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->more, &attr);
	pthread_condattr_destroy(&attr);
	if (!f->dir || pthread_create(&f->thread, NULL, run, f)) {
		free(f->dir);
		free(f);
		return -EAGAIN;
	}
	*ret = f;
	return 0;
}

void feeds_free(struct feeds *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	__atomic_store_n(&f->stop, true, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&f->more);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	for (uint32_t i = 0; i < f->n; i++)
		free(f->v[i]);
	free(f->v);
	feed_own_done(&f->own);
	free(f->dir);
	pthread_cond_destroy(&f->more);
	pthread_mutex_destroy(&f->lock);
	free(f);
}
