// SPDX-License-Identifier: Apache-2.0
#include "collector/notify/notifier.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/notify/notifier_int.h"
#include "common/num_text.h"

/* ---- channels ---- */

static void stop_all(struct notifier *n)
{
	pthread_mutex_lock(&n->lock);
	__atomic_store_n(&n->stop, true, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&n->more);
	pthread_mutex_unlock(&n->lock);
	for (uint32_t i = 0; i < n->n; i++)
		if (n->v[i].started)
			pthread_join(n->v[i].thread, NULL);
	__atomic_store_n(&n->stop, false, __ATOMIC_RELAXED);
}

static void free_channels(struct channel *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		channel_done(&v[i].cfg);
	free(v);
}

/* Where it is, or for a new one: what comes from now on. */
static int find_cursor(struct notifier *n, struct channel *c)
{
	int r = db_run(n->db, "INSERT INTO channel VALUES (?, ?) ON CONFLICT DO NOTHING", "ti",
		       c->cfg.name, n->last);

	c->cursor = db_number(n->db, n->last, "SELECT cursor FROM channel WHERE name = ?", "t",
			      c->cfg.name);
	return r;
}

/* Those that are there no more keep nothing back. */
static int forget_others(struct notifier *n)
{
	json_t *names = json_array();
	char *text;
	int r;

	for (uint32_t i = 0; i < n->n; i++)
		json_array_append_new(names, json_string(n->v[i].cfg.name));
	text = json_dumps(names, JSON_COMPACT);
	json_decref(names);
	r = text ? db_run(n->db,
			  "DELETE FROM channel WHERE name NOT IN (SELECT value FROM json_each(?))",
			  "t", text)
		 : -ENOMEM;
	free(text);
	return r ?: n->n ? r : db_run(n->db, "DELETE FROM notice", "");
}

/* What happened while nobody was told is not told later, but for what goes on. */
static int settle(struct notifier *n)
{
	const int r = db_run(
		n->db, "UPDATE alert SET told = state WHERE told = '' AND state = 'resolved'", "");

	return r
		       ?: db_run(n->db,
				 "UPDATE decision SET told = state WHERE told = ''"
				 " AND state NOT IN ('active', 'held')",
				 "");
}

static void carry_over(struct channel *to, const struct channel *was, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (strcmp(was[i].cfg.name, to->cfg.name) != 0)
			continue;
		to->stats = was[i].stats;
		to->told_us = was[i].told_us;
	}
	to->stats.name = to->cfg.name;
}

static int start_all(struct notifier *n)
{
	for (uint32_t i = 0; i < n->n; i++) {
		if (pthread_create(&n->v[i].thread, NULL, channel_run, &n->v[i]))
			return -EAGAIN;
		n->v[i].started = true;
	}
	return 0;
}

/* Their places in the database, in a transaction. */
static int place_all(struct notifier *n)
{
	int r = 0;

	for (uint32_t i = 0; i < n->n && !r; i++)
		r = find_cursor(n, &n->v[i]);
	r = r ?: forget_others(n);
	return r || !n->n || notifier_wanted(n) ? r : settle(n);
}

/* With the lock on the set, threads stopped. */
static int take_over(struct notifier *n, const struct notifier_cfg *cfg)
{
	const uint32_t was_n = n->n;
	struct channel *was = n->v;
	int r = 0;

	n->n = 0;
	n->most = cfg->most;
	n->v = calloc(cfg->channels->n + 1, sizeof(*n->v));
	if (!n->v)
		r = -ENOMEM;
	while (!r && n->n < cfg->channels->n) {
		struct channel *c = &n->v[n->n];

		c->n = n;
		r = channel_copy(&cfg->channels->v[n->n], &c->cfg);
		if (r)
			break;
		carry_over(c, was, was_n);
		n->n++;
	}
	free_channels(was, was_n);
	r = r ?: db_run(n->db, "BEGIN IMMEDIATE", "");
	r = r ?: place_all(n);
	if (r)
		(void)db_run(n->db, "ROLLBACK", ""); /* it may not have begun */
	else
		r = db_run(n->db, "COMMIT", "");
	r = r ?: start_all(n);
	__atomic_store_n(&n->wanted, n->n > 0, __ATOMIC_RELAXED);
	return r;
}

/* ---- life ---- */

int notifier_open(const struct notifier_cfg *cfg, char *error, struct notifier **ret)
{
	struct notifier *n = calloc(1, sizeof(*n));
	pthread_condattr_t attr;
	char path[4096];
	int r;

	if (!n || curl_global_init(CURL_GLOBAL_DEFAULT)) {
		free(n);
		return -ENOMEM;
	}
	pthread_rwlock_init(&n->set, NULL);
	pthread_mutex_init(&n->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&n->more, &attr);
	pthread_condattr_destroy(&attr);
	if (gethostname(n->host, sizeof(n->host) - 1))
		n->host[0] = 0;
	snprintf(path, sizeof(path), "%s/control.db", cfg->dir);
	r = db_open(path, error, &n->db);
	if (!r) {
		n->last = db_number(n->db, 0,
				    "SELECT max(coalesce((SELECT max(id) FROM notice), 0),"
				    " coalesce((SELECT max(cursor) FROM channel), 0))",
				    "");
		r = take_over(n, cfg);
		if (r == -EIO)
			snprintf(error, DB_ERROR, "%s", db_error(n->db));
	}
	if (r)
		notifier_close(n);
	else
		*ret = n;
	return r;
}

void notifier_close(struct notifier *n)
{
	if (!n)
		return;
	stop_all(n);
	free_channels(n->v, n->n);
	db_close(n->db);
	pthread_cond_destroy(&n->more);
	pthread_mutex_destroy(&n->lock);
	pthread_rwlock_destroy(&n->set);
	free(n);
	curl_global_cleanup();
}

int notifier_reload(struct notifier *n, const struct notifier_cfg *cfg)
{
	int r;

	pthread_rwlock_wrlock(&n->set);
	stop_all(n);
	r = take_over(n, cfg);
	pthread_rwlock_unlock(&n->set);
	return r;
}

bool notifier_wanted(struct notifier *n)
{
	return n && __atomic_load_n(&n->wanted, __ATOMIC_RELAXED);
}

void notifier_wake(struct notifier *n, int64_t last)
{
	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	if (last > n->last)
		n->last = last;
	pthread_cond_broadcast(&n->more);
	pthread_mutex_unlock(&n->lock);
}

/* ---- what there is ---- */

void notifier_each(struct notifier *n, void (*fn)(void *arg, const struct notifier_stats *st),
		   void *arg)
{
	struct notifier_stats st;

	if (!n)
		return;
	pthread_rwlock_rdlock(&n->set);
	for (uint32_t i = 0; i < n->n; i++) {
		pthread_mutex_lock(&n->lock);
		st = n->v[i].stats;
		st.waiting = channel_waiting(&n->v[i], n->last);
		pthread_mutex_unlock(&n->lock);
		fn(arg, &st);
	}
	pthread_rwlock_unlock(&n->set);
}

static void put_u64(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

static void put_time(json_t *o, const char *key, int64_t us)
{
	char text[TIME_TEXT];

	if (!us)
		return;
	time_text((uint64_t)us * 1000, text);
	json_object_set_new(o, key, json_string(text));
}

/* With the lock held. */
static json_t *channel_status(const struct channel *c)
{
	json_t *o = json_object();
	char url[400];

	json_object_set_new(o, "type", json_string("channel"));
	json_object_set_new(o, "name", json_string(c->cfg.name));
	json_object_set_new(o, "url", json_string(channel_url(&c->cfg, url, sizeof(url))));
	json_object_set_new(o, "format", json_string(channel_format_name(c->cfg.format)));
	put_u64(o, "sent", c->stats.sent);
	put_u64(o, "waiting", channel_waiting(c, c->n->last));
	put_u64(o, "failed", c->stats.failed);
	put_u64(o, "refused", c->stats.refused);
	put_u64(o, "lost", c->stats.lost);
	put_time(o, "told", c->told_us);
	put_time(o, "failed_at", c->failed_us);
	if (*c->said)
		json_object_set_new(o, "said", json_string(c->said));
	json_object_set_new(o, "down", json_boolean(c->failed_us > c->told_us));
	return o;
}

json_t *notifier_status(struct notifier *n)
{
	json_t *list = json_array();

	if (!n)
		return list;
	pthread_rwlock_rdlock(&n->set);
	pthread_mutex_lock(&n->lock);
	for (uint32_t i = 0; i < n->n; i++)
		json_array_append_new(list, channel_status(&n->v[i]));
	pthread_mutex_unlock(&n->lock);
	pthread_rwlock_unlock(&n->set);
	return list;
}

/* ---- questions ---- */

static json_t *wrong(const char *code, const char *name, const char *what)
{
	char text[OUTLET_SAID + 64];

	snprintf(text, sizeof(text), "%.40s%s%s", name, *name ? ": " : "", what);
	return json_pack("{s:s,s:s,s:s}", "type", "error", "code", code, "message", text);
}

static json_t *test(struct notifier *n, const char *name)
{
	char said[OUTLET_SAID] = "";
	json_t *o = NULL;

	for (uint32_t i = 0; i < n->n && !o; i++) {
		if (strcmp(n->v[i].cfg.name, name) != 0)
			continue;
		o = channel_test(&n->v[i], said) ? wrong("channel", name, said)
						 : json_pack("{s:s,s:s,s:s}", "type", "done",
							     "channel", name, "said", said);
	}
	return o ?: wrong("request", name, "there is no such channel");
}

json_t *notifier_ask(struct notifier *n, const json_t *request)
{
	const char *what = json_string_value(json_object_get(request, "what")) ?: "";
	const char *name = json_string_value(json_object_get(request, "name")) ?: "";
	json_t *list;

	if (!strcmp(what, "list")) {
		list = notifier_status(n);
		json_array_append_new(list, json_pack("{s:s}", "type", "end"));
		return list;
	}
	list = json_array();
	if (strcmp(what, "test") != 0 || !n) {
		json_array_append_new(list, wrong("request", "", "want list or test"));
		return list;
	}
	pthread_rwlock_rdlock(&n->set);
	json_array_append_new(list, test(n, name));
	pthread_rwlock_unlock(&n->set);
	return list;
}
