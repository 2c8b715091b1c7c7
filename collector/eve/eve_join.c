// SPDX-License-Identifier: Apache-2.0
#include "collector/eve/eve_join.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "collector/eve/eve_join_int.h"

uint64_t eve_join_hash(const struct flow_record *r, uint32_t sid, uint64_t time_us)
{
	uint8_t tuple[COMMUNITY_TUPLE] = {};
	uint64_t h;

	community_tuple(r, tuple);
	h = eve_hash(EVE_HASH, tuple, sizeof(tuple));
	h = eve_hash(h, &sid, sizeof(sid));
	return eve_hash(h, &time_us, sizeof(time_us));
}

static uint64_t tuple_hash(const uint8_t *tuple)
{
	const uint64_t h = eve_hash(EVE_HASH, tuple, COMMUNITY_TUPLE);

	return h ^ h >> 32;
}

static void count(struct eve_join *j, uint32_t source, enum eve_count c)
{
	j->counts[source][c]++;
}

/* ---- those that wait ---- */

static void list_add(struct eve_join *j, enum eve_list l, struct eve_wait *w)
{
	struct eve_ends *e = &j->list[l];

	w->link[l] = (struct eve_link){.prev = e->last};
	*(e->last ? &e->last->link[l].next : &e->first) = w;
	e->last = w;
	j->places[l][w->place]++;
}

static void list_remove(struct eve_join *j, enum eve_list l, struct eve_wait *w)
{
	const struct eve_link *x = &w->link[l];

	*(x->prev ? &x->prev->link[l].next : &j->list[l].first) = x->next;
	*(x->next ? &x->next->link[l].prev : &j->list[l].last) = x->prev;
	j->places[l][w->place]--;
}

static void set_fresh(struct eve_join *j, struct eve_wait *w, bool fresh)
{
	if (w->fresh == fresh)
		return;
	w->fresh = fresh;
	(fresh ? list_add : list_remove)(j, EVE_FRESH, w);
}

static void unlink_wait(struct eve_join *j, struct eve_wait *w)
{
	struct eve_wait **at = &j->buckets[w->hash & j->mask];

	while (*at != w)
		at = &(*at)->chain;
	*at = w->chain;
	set_fresh(j, w, false);
	list_remove(j, EVE_ALL, w);
	j->waiting--;
}

/* It has a record now, or will have none. */
static void settle(struct eve_join *j, struct eve_wait *w, enum eve_count c)
{
	count(j, w->source, c);
	unlink_wait(j, w);
	free(w);
}

static void link_wait(struct eve_join *j, struct eve_wait *w)
{
	struct eve_wait **at = &j->buckets[w->hash & j->mask];

	w->chain = *at;
	*at = w;
	list_add(j, EVE_ALL, w);
	set_fresh(j, w, true);
	j->waiting++;
}

static uint64_t half(const uint8_t *ip)
{
	uint64_t v;

	memcpy(&v, ip, sizeof(v));
	return be64toh(v);
}

static bool was_seen(const struct eve_join *j, uint64_t hash)
{
	size_t from = 0, to = j->seen_n;

	while (from < to) {
		const size_t at = from + (to - from) / 2;

		if (j->seen[at] == hash)
			return true;
		if (j->seen[at] < hash)
			from = at + 1;
		else
			to = at;
	}
	return false;
}

static struct eve_wait *wait_of(const struct eve_alert *a, uint32_t source, uint64_t now_ms)
{
	const struct flow_str *texts[3] = {&a->signature, &a->category, &a->action};
	struct eve_wait *w;
	char *to;

	w = malloc(sizeof(*w) + a->signature.len + a->category.len + a->action.len);
	if (!w)
		return NULL;
	*w = (struct eve_wait){.hash = tuple_hash(a->tuple),
			       .time_us = a->time_us,
			       .came_ms = now_ms,
			       .source = source,
			       .sid = a->sid,
			       .severity = a->severity};
	memcpy(w->tuple, a->tuple, sizeof(w->tuple));
	w->place = eve_place(half(a->flow.src_ip), half(a->flow.src_ip + 8), half(a->flow.dst_ip),
			     half(a->flow.dst_ip + 8));
	to = w->text;
	for (unsigned int i = 0; i < 3; to += w->len[i++]) {
		w->len[i] = texts[i]->len;
		memcpy(to, texts[i]->s, texts[i]->len);
	}
	return w;
}

void eve_join_alert(struct eve_join *j, const struct eve_alert *a, uint32_t source, uint64_t now_ms)
{
	const bool again = j->seen_n && was_seen(j, eve_join_hash(&a->flow, a->sid, a->time_us));
	struct eve_wait *w = again ? NULL : wait_of(a, source, now_ms);

	pthread_mutex_lock(&j->lock);
	if (!w) {
		count(j, source, again ? EC_REPEATED : EC_MEMORY);
	} else {
		if (j->waiting == j->cfg.waiting)
			settle(j, j->list[EVE_ALL].first, EC_FULL);
		link_wait(j, w);
	}
	pthread_mutex_unlock(&j->lock);
}

/* ---- whose it is ---- */

bool eve_is_of(const struct eve_join *j, const struct eve_wait *w, const struct block *b,
	       uint32_t row, const uint8_t *tuple)
{
	const int64_t end = BLOCK_COLUMN(b, const int64_t, BC_END)[row];
	const int64_t t = (int64_t)w->time_us, skew = (int64_t)j->cfg.skew_us;
	int64_t start = end;

	if (block_is_used(b, BC_START) && block_is_valid(b, BC_START, row))
		start = BLOCK_COLUMN(b, const int64_t, BC_START)[row];
	return t >= start - skew && t <= end + skew && !memcmp(w->tuple, tuple, COMMUNITY_TUPLE);
}

static bool is_better(const struct eve_wait *a, const struct eve_wait *b)
{
	const uint8_t as = a->severity ?: UINT8_MAX, bs = b->severity ?: UINT8_MAX;

	return as != bs ? as < bs : a->time_us < b->time_us;
}

/*
 * The alert of a row: the most severe of those that are its. The others are looked for among the records gone by,
 * where this one will be.
 */
static struct eve_wait *find_row(struct eve_join *j, const struct block *b, uint32_t row)
{
	uint8_t tuple[COMMUNITY_TUPLE] = {};
	struct eve_wait *best = NULL;
	struct flow_record r;

	if (!block_get_tuple(b, row, &r))
		return NULL;
	community_tuple(&r, tuple);
	for (struct eve_wait *w = j->buckets[tuple_hash(tuple) & j->mask]; w; w = w->chain) {
		if (!eve_is_of(j, w, b, row, tuple))
			continue;
		set_fresh(j, w, true);
		if (!best || is_better(w, best))
			best = w;
	}
	return best;
}

static void join_rows(struct eve_join *j, struct block *b, const uint16_t *places)
{
	for (uint32_t row = 0; row < b->rows && j->waiting; row++) {
		struct eve_wait *w = j->places[EVE_ALL][places[row]] ? find_row(j, b, row) : NULL;

		if (w && !eve_put_alert(b, row, w))
			settle(j, w, EC_JOINED);
	}
}

static void drop_past(struct eve_join *j)
{
	struct eve_past *p = j->past;

	j->past = p->next;
	if (!j->past)
		j->past_end = NULL;
	j->past_bytes -= p->size;
	j->past_rows -= p->b.rows;
	free(p);
}

static void keep_past(struct eve_join *j, struct eve_past *p, uint64_t now_ms)
{
	while (j->past && j->past_bytes + p->size > j->cfg.history)
		drop_past(j);
	p->came_ms = now_ms;
	*(j->past_end ? &j->past_end->next : &j->past) = p;
	j->past_end = p;
	j->past_bytes += p->size;
	j->past_rows += p->b.rows;
}

/* 0: rows that have no addresses; they are looked at in vain at worst. */
static void find_places(const struct block *b, uint16_t *places)
{
	const uint64_t *src_hi = BLOCK_COLUMN(b, const uint64_t, BC_SRC_HI);
	const uint64_t *src_lo = BLOCK_COLUMN(b, const uint64_t, BC_SRC_LO);
	const uint64_t *dst_hi = BLOCK_COLUMN(b, const uint64_t, BC_DST_HI);
	const uint64_t *dst_lo = BLOCK_COLUMN(b, const uint64_t, BC_DST_LO);

	for (uint32_t i = 0; i < b->rows; i++)
		places[i] = eve_place(src_hi[i], src_lo[i], dst_hi[i], dst_lo[i]);
}

void eve_join_block(struct eve_join *j, struct block *b, uint64_t now_ms)
{
	uint16_t places[BLOCK_ROWS];
	struct eve_past *p;

	if (!b->rows || !block_is_used(b, BC_SRC_HI) || !block_is_used(b, BC_DST_HI))
		return;
	find_places(b, places);
	p = eve_past_new(j, b, places);
	pthread_mutex_lock(&j->lock);
	join_rows(j, b, places);
	if (p)
		keep_past(j, p, now_ms);
	pthread_mutex_unlock(&j->lock);
}

/* ---- those that came late ---- */

/* Alerts of a row that went by. False: there is no room for another record. */
static bool join_late(struct eve_join *j, const struct eve_past *p, uint32_t row, struct block *to)
{
	uint8_t tuple[COMMUNITY_TUPLE] = {};
	struct eve_wait *next;
	struct flow_record r;

	if (!block_get_tuple(&p->b, row, &r))
		return true;
	community_tuple(&r, tuple);
	for (struct eve_wait *w = j->buckets[tuple_hash(tuple) & j->mask]; w; w = next) {
		next = w->chain;
		if (!w->fresh || !eve_is_of(j, w, &p->b, row, tuple))
			continue;
		if (eve_past_again(p, row, w, to))
			return false;
		count(j, w->source, EC_LATE);
		settle(j, w, EC_JOINED);
	}
	return true;
}

static bool look_through(struct eve_join *j, struct block *to)
{
	const uint32_t *places = j->places[EVE_FRESH];

	for (const struct eve_past *p = j->past; p && j->list[EVE_FRESH].first; p = p->next)
		for (uint32_t row = 0; row < p->b.rows; row++)
			if (places[p->places[row]] && !join_late(j, p, row, to))
				return false;
	return true;
}

bool eve_join_is_fresh(struct eve_join *j)
{
	bool yes;

	pthread_mutex_lock(&j->lock);
	yes = j->list[EVE_FRESH].first != NULL;
	pthread_mutex_unlock(&j->lock);
	return yes;
}

void eve_join_late(struct eve_join *j, struct block *b)
{
	pthread_mutex_lock(&j->lock);
	if (look_through(j, b))
		while (j->list[EVE_FRESH].first)
			set_fresh(j, j->list[EVE_FRESH].first, false);
	pthread_mutex_unlock(&j->lock);
}

void eve_join_expire(struct eve_join *j, uint64_t now_ms)
{
	pthread_mutex_lock(&j->lock);
	while (j->waiting && now_ms - j->list[EVE_ALL].first->came_ms > j->cfg.window_ms)
		settle(j, j->list[EVE_ALL].first, EC_UNMATCHED);
	while (j->past && now_ms - j->past->came_ms > j->cfg.window_ms)
		drop_past(j);
	pthread_mutex_unlock(&j->lock);
}

/* ---- life ---- */

void eve_join_seen(struct eve_join *j, uint64_t *hashes, size_t n)
{
	free(j->seen);
	j->seen = hashes;
	j->seen_n = n;
}

struct eve_join *eve_join_new(const struct eve_join_cfg *cfg)
{
	struct eve_join *j = calloc(1, sizeof(*j));
	uint32_t n = 1024;

	if (!j)
		return NULL;
	while (n < cfg->waiting)
		n *= 2;
	j->cfg = *cfg;
	j->mask = n - 1;
	j->buckets = calloc(n, sizeof(struct eve_wait *));
	for (unsigned int l = 0; l < _EVE_LISTS; l++)
		j->places[l] = calloc(EVE_PLACES, sizeof(*j->places[l]));
	j->counts = calloc(cfg->sources ?: 1, sizeof(*j->counts));
	pthread_mutex_init(&j->lock, NULL);
	if (!j->buckets || !j->places[EVE_ALL] || !j->places[EVE_FRESH] || !j->counts) {
		eve_join_free(j);
		return NULL;
	}
	return j;
}

void eve_join_free(struct eve_join *j)
{
	if (!j)
		return;
	while (j->past)
		drop_past(j);
	for (struct eve_wait *w = j->list[EVE_ALL].first, *next; w; w = next) {
		next = w->link[EVE_ALL].next;
		free(w);
	}
	pthread_mutex_destroy(&j->lock);
	free(j->buckets);
	free(j->places[EVE_ALL]);
	free(j->places[EVE_FRESH]);
	free(j->counts);
	free(j->seen);
	free(j);
}

void eve_join_stats(struct eve_join *j, uint64_t now_ms, struct eve_join_stats *ret)
{
	pthread_mutex_lock(&j->lock);
	*ret = (struct eve_join_stats){.waiting = j->waiting,
				       .rows = j->past_rows,
				       .bytes = j->past_bytes,
				       .span_ms = j->past ? now_ms - j->past->came_ms : 0};
	pthread_mutex_unlock(&j->lock);
}

uint64_t eve_join_count(struct eve_join *j, uint32_t source, enum eve_count c)
{
	uint64_t n;

	pthread_mutex_lock(&j->lock);
	n = j->counts[source][c];
	pthread_mutex_unlock(&j->lock);
	return n;
}
