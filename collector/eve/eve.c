// SPDX-License-Identifier: Apache-2.0
#include "collector/eve/eve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "collector/eve/eve_int.h"
#include "collector/eve/eve_line.h"
#include "common/log.h"

#define TICK_MS 200 /* how often files are looked at */

uint64_t eve_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- lines ---- */

static void count(struct eve_source *s, enum eve_count c)
{
	__atomic_store_n(&s->counts[c], s->counts[c] + 1, __ATOMIC_RELAXED); /* one writer */
}

/* Has Suricata given it the ID of its addresses? */
static bool same_id(struct eve *e, const struct eve_alert *a)
{
	char id[COMMUNITY_ID_TEXT];

	return !a->community_id.len || community_id(e->community, &a->flow, id) ||
	       (a->community_id.len == strlen(id) && !memcmp(a->community_id.s, id, strlen(id)));
}

void eve_take_line(void *source, const char *s, size_t len)
{
	struct eve_source *src = source;
	struct json_t *doc = NULL;
	struct eve_alert a;
	enum eve_count c;

	count(src, EC_LINES);
	c = s ? eve_read_line(s, len, &a, &doc) : EC_BAD_LENGTH;
	count(src, c);
	if (c == EC_NO_ADDRESS)
		count(src, EC_ALERTS);
	if (c != EC_ALERTS)
		return;
	if (!same_id(src->eve, &a))
		count(src, EC_OTHER_ID);
	eve_points_alert(&src->points, a.time_us);
	eve_join_alert(src->eve->join, &a, src->number, eve_now_ms());
	json_decref(doc);
}

/* ---- files ---- */

static uint64_t keep_ms(const struct eve *e)
{
	return e->cfg.window_ms + e->cfg.durable_ms;
}

static void save(struct eve *e)
{
	struct eve_state_row rows[SETTINGS_LIST_MAX];
	uint32_t n = 0;
	int r;

	if (!e->state)
		return;
	for (uint32_t i = 0; i < e->n; i++)
		if (e->sources[i].kind == EVE_FILE)
			rows[n++] =
				(struct eve_state_row){e->sources[i].name, &e->sources[i].points};
	r = n ? eve_state_write(e->state, rows, n) : 0;
	if (r)
		log_warn(e->state, "%s — after a restart lines may be missed or read twice",
			 strerror(-r));
}

/* Return: is there more already? */
static bool read_file(struct eve *e, struct eve_source *s, bool *ret_moved)
{
	const struct eve_sink to = {eve_take_line, s};
	struct eve_position pos;
	enum eve_change change;
	const bool more = eve_tail_read(&s->tail, &to, &change);

	if (change == EVE_ROTATED)
		count(s, EC_ROTATED);
	if (change == EVE_TRUNCATED)
		count(s, EC_TRUNCATED);
	if (eve_tail_position(&s->tail, &pos))
		*ret_moved |= eve_points_add(&s->points, &pos, eve_now_ms(), keep_ms(e));
	return more;
}

static bool read_files(struct eve *e)
{
	bool more = false, moved = false;

	for (uint32_t i = 0; i < e->n; i++)
		if (e->sources[i].kind == EVE_FILE)
			more |= read_file(e, &e->sources[i], &moved);
	if (moved)
		save(e);
	return more;
}

/* ---- the thread ---- */

/* New alerts may be of records that have gone by. */
static void join_late(struct eve *e, bool last)
{
	struct block *b;

	while (eve_join_is_fresh(e->join)) {
		b = last ? block_get_wait(e->cfg.pool, TICK_MS) : block_get(e->cfg.pool);
		if (!b)
			return; /* they are tried again */
		eve_join_late(e->join, b);
		if (!b->rows) {
			block_put(e->cfg.pool, b);
			return;
		}
		if (e->cfg.offer)
			e->cfg.offer(e->cfg.arg, b);
		block_send(e->cfg.pool, b);
	}
}

static void *run(void *arg)
{
	struct eve *e = arg;
	bool more = false;

	pthread_setname_np(pthread_self(), "eve");
	while (eve_sockets_wait(e, more ? 0 : TICK_MS)) {
		more = read_files(e);
		join_late(e, false);
		eve_join_expire(e->join, eve_now_ms());
	}
	read_files(e);
	join_late(e, true);
	save(e);
	return NULL;
}

void eve_block(struct eve *e, struct block *b)
{
	if (e)
		eve_join_block(e->join, b, eve_now_ms());
}

/* ---- life ---- */

static int add_source(struct eve *e, enum eve_kind kind, const char *name)
{
	struct eve_source *s = &e->sources[e->n];

	*s = (struct eve_source){
		.eve = e, .number = e->n, .kind = kind, .fd = -EBADF, .tail = {.fd = -EBADF}};
	s->name = strdup(name);
	e->n++;
	return s->name ? 0 : -ENOMEM;
}

static int add_sources(struct eve *e)
{
	int r = 0;

	for (uint32_t i = 0; i < e->cfg.files_n && !r; i++)
		r = add_source(e, EVE_FILE, e->cfg.files[i]);
	if (!r && e->cfg.stream)
		r = add_source(e, EVE_STREAM, e->cfg.stream);
	if (!r && e->cfg.datagram)
		r = add_source(e, EVE_DATAGRAM, e->cfg.datagram);
	return r;
}

static int open_file(struct eve *e, struct eve_source *s, uint64_t *oldest_us)
{
	struct eve_saved saved;
	const bool known = e->state && eve_state_read(e->state, s->name, &saved);
	struct eve_position pos;
	bool gone = false;
	int r = eve_tail_open(&s->tail, s->name, known ? &saved.chain : NULL, &gone);

	if (r)
		return r;
	if (gone) {
		count(s, EC_GONE);
		log_warn(s->name,
			 "the file that was read last is gone: what was not read of it is lost");
	}
	if (known && saved.oldest_us && saved.oldest_us < *oldest_us)
		*oldest_us = saved.oldest_us;
	if (eve_tail_position(&s->tail, &pos))
		eve_points_add(&s->points, &pos, eve_now_ms(), keep_ms(e));
	return 0;
}

/* Alerts that come again, and are in the store. */
static int ask_store(struct eve *e, uint64_t oldest_us)
{
	const uint64_t from = oldest_us - (e->cfg.skew_us < oldest_us ? e->cfg.skew_us : oldest_us);
	char error[STORE_ERROR] = "";
	uint64_t *hashes = NULL;
	size_t n = 0;
	int r;

	if (!e->cfg.store || oldest_us == UINT64_MAX)
		return 0;
	r = eve_state_seen(e->cfg.store, (int64_t)from, error, &hashes, &n);
	if (r) {
		log_warn("eve", "%s — alerts may come twice", *error ? error : strerror(-r));
		return r == -ENOMEM ? r : 0;
	}
	eve_join_seen(e->join, hashes, n);
	return 0;
}

static int open_files(struct eve *e)
{
	uint64_t oldest_us = UINT64_MAX;
	int r = 0;

	for (uint32_t i = 0; i < e->n && !r; i++)
		if (e->sources[i].kind == EVE_FILE)
			r = open_file(e, &e->sources[i], &oldest_us);
	r = r ?: ask_store(e, oldest_us);
	if (!r)
		save(e);
	return r;
}

static int start(struct eve *e)
{
	const struct eve_join_cfg cfg = {
		.window_ms = e->cfg.window_ms,
		.skew_us = e->cfg.skew_us,
		.waiting = e->cfg.waiting,
		.history = e->cfg.history,
		.sources = e->cfg.files_n + 2,
	};
	int r;

	e->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->sources = calloc(cfg.sources, sizeof(*e->sources));
	e->join = eve_join_new(&cfg);
	if (e->stop < 0 || !e->sources || !e->join)
		return -ENOMEM;
	if (e->cfg.state && !(e->state = strdup(e->cfg.state)))
		return -ENOMEM;
	r = community_new(&e->community);
	r = r ?: add_sources(e);
	r = r ?: open_files(e);
	r = r ?: eve_sockets_open(e);
	r = r ?: -pthread_create(&e->thread, NULL, run, e);
	e->running = !r;
	return r;
}

int eve_open(const struct eve_cfg *cfg, struct eve **ret)
{
	struct eve *e;
	int r;

	*ret = NULL;
	if (!cfg->files_n && !cfg->stream && !cfg->datagram)
		return 0;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->cfg = *cfg;
	e->stop = -EBADF;
	for (uint32_t i = 0; i < EVE_CONNS; i++)
		e->conns[i].fd = -EBADF;
	r = start(e);
	if (r)
		e = eve_close(e);
	*ret = e;
	return r;
}

struct eve *eve_close(struct eve *e)
{
	const uint64_t one = 1;

	if (!e)
		return NULL;
	if (e->running && write(e->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(e->thread, NULL);
	eve_sockets_close(e);
	for (uint32_t i = 0; i < e->n; i++) {
		eve_tail_done(&e->sources[i].tail);
		free(e->sources[i].name);
	}
	if (e->stop >= 0)
		close(e->stop);
	eve_join_free(e->join);
	community_free(e->community);
	free(e->sources);
	free(e->state);
	free(e);
	return NULL;
}
