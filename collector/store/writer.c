// SPDX-License-Identifier: Apache-2.0
/*
 * writer.c - the writer thread: blocks go into the partitions of their rows as they come; a flush
 * makes them durable, then counts them in state.db, then says so. Blocks are held until then: when
 * something fails (a full disk) they are written again, until it works.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/store/adder.h"
#include "collector/store/cold.h"
#include "collector/store/feed.h"
#include "collector/store/rebuild.h"
#include "collector/store/rollup.h"
#include "collector/store/store_int.h"

#define RETRY_MS 1000u

/* A block's rows by partition. */
struct part {
	struct partition *p;
	uint32_t n;
	uint32_t rows[BLOCK_ROWS];
};

static struct part parts[FEEDS_MAX]; /* writer thread; too large for its stack */

static int64_t floor_to(int64_t us, int64_t span_s)
{
	int64_t s = us / 1000000;

	return s / span_s * span_s;
}

/* The partition of @start_s is going to be written in this flush. */
static int begin(struct store *s, int64_t start_s, struct partition **ret, char *error)
{
	struct partition *p;
	int r = 0;

	pthread_mutex_lock(&s->lock);
	p = partition_make(s, start_s);
	if (!p) {
		r = -ENOMEM;
	} else if (!p->feed) {
		if (!p->writing) {
			p->writing = true;
			r = state_partition(s, p, error);
			p->writing = r == 0;
		}
		p->damaged = false; /* a new file takes the place of one that was */
		if (!r)
			r = partition_attach(s, p, s->c, error);
		if (!r)
			r = feed_begin(s->feeder, s->db, p->catalog, error, &p->feed);
		p->new_rows = 0;
	}
	pthread_mutex_unlock(&s->lock);
	*ret = p;
	return r;
}

static void note(struct partition *p, const struct block *b, const struct layout_rows *rows)
{
	const int64_t *end = b->data[BC_END];

	for (uint32_t i = 0; i < rows->n; i++) {
		int64_t us = end[rows->rows ? rows->rows[i] : rows->from + i];

		if (!p->new_rows || us < p->new_min_us)
			p->new_min_us = us;
		if (!p->new_rows || us > p->new_max_us)
			p->new_max_us = us;
		p->new_rows++;
	}
}

static int write_rows(struct store *s, struct partition *p, const struct block *b,
		      const struct layout_rows *rows, char *error)
{
	uint64_t number = BATCH_ROW(s->last_batch + 1) + s->held_rows;
	int r = feed_rows(p->feed, b, number, rows, error);

	if (!r)
		note(p, b, rows);
	return r;
}

static uint32_t count_feeds(const struct store *s)
{
	uint32_t n = 0;

	for (const struct partition *p = s->partitions; p; p = p->next)
		n += p->feed != NULL;
	return n;
}

static bool is_fed(struct store *s, int64_t start)
{
	const struct partition *p = partition_find(s, start);

	return p && p->feed;
}

/* Place among @parts of the partition of @start; a new one while there is room, else the last. */
static int part_of(struct store *s, int64_t start, uint32_t *n, uint32_t *ret, char *error)
{
	uint32_t k;
	int r;

	for (k = 0; k < *n; k++) {
		if (parts[k].p->start_s == start) {
			*ret = k;
			return 0;
		}
	}
	if (*n == FEEDS_MAX || (*n && count_feeds(s) >= FEEDS_MAX && !is_fed(s, start))) {
		*ret = *n - 1;
		pthread_mutex_lock(&s->lock);
		parts[*ret].p->odd = true;
		pthread_mutex_unlock(&s->lock);
		return 0;
	}
	r = begin(s, start, &parts[*n].p, error);
	parts[*n].n = 0;
	*ret = (*n)++;
	return r;
}

/* Rows of several partitions. Beyond FEEDS_MAX they go where another row went: times are wrong. */
static int write_mixed(struct store *s, const struct block *b, char *error)
{
	const int64_t *end = b->data[BC_END];
	uint32_t n = 0, k = 0;
	int r = 0;

	for (uint32_t row = 0; row < b->rows && !r; row++) {
		int64_t start = floor_to(end[row], s->cfg.partition_s);

		if (!n || parts[k].p->start_s != start)
			r = part_of(s, start, &n, &k, error);
		if (!r)
			parts[k].rows[parts[k].n++] = row;
	}
	for (uint32_t i = 0; i < n && !r; i++)
		r = write_rows(s, parts[i].p, b,
			       &(struct layout_rows){.rows = parts[i].rows, .n = parts[i].n},
			       error);
	if (n > 1)
		s->stats.late += b->rows - parts[0].n;
	return r;
}

static int write_block(struct store *s, const struct block *b, char *error)
{
	const int64_t *end = b->data[BC_END];
	int64_t min = INT64_MAX, max = INT64_MIN;
	struct partition *p;
	int r;

	if (!b->rows)
		return 0;
	for (uint32_t i = 0; i < b->rows; i++) {
		min = end[i] < min ? end[i] : min;
		max = end[i] > max ? end[i] : max;
	}
	min = floor_to(min, s->cfg.partition_s);
	if (min != floor_to(max, s->cfg.partition_s))
		return write_mixed(s, b, error);
	r = begin(s, min, &p, error);
	if (!r)
		r = write_rows(s, p, b, &(struct layout_rows){.n = b->rows}, error);
	return r;
}

/* ---- flushing ---- */

static void abort_feeds(struct store *s)
{
	for (struct partition *p = s->partitions; p; p = p->next) {
		if (p->feed)
			feed_abort(p->feed);
		p->feed = NULL;
		p->new_rows = 0;
	}
}

/* All partitions, one after the other; those of a failed try lose its rows again. */
static int commit_feeds(struct store *s, char *error)
{
	int r = 0;

	for (struct partition *p = s->partitions; p && !r; p = p->next) {
		if (!p->feed)
			continue;
		r = feed_commit(p->feed, error);
		p->feed = NULL;
	}
	return r;
}

static void take_back(struct store *s)
{
	char error[STORE_ERROR];

	abort_feeds(s);
	for (struct partition *p = s->partitions; p; p = p->next) {
		if (p->attached && p->writing && partition_trim(s, p, s->last_batch, error))
			store_complain(s, "%s", error);
	}
}

static int write_again(struct store *s, char *error)
{
	int r = 0;

	take_back(s);
	s->held_rows = 0;
	for (uint32_t i = 0; i < s->held_n && !r; i++) {
		r = write_block(s, s->held[i], error);
		s->held_rows += s->held[i]->rows;
	}
	return r;
}

static int mark(struct store *s, const struct block_mark *m)
{
	struct committed *c = s->committed.v;

	if (!m->epoch)
		return 0;
	for (uint32_t i = s->committed.n; i-- > 0;) {
		if (c[i].stream != m->stream || c[i].epoch != m->epoch)
			continue;
		c[i].to = m->to;
		c[i].changed = true;
		return 0;
	}
	pthread_mutex_lock(&s->names);
	c = names_add(&s->committed, sizeof(*c));
	if (c)
		*c = (struct committed){
			.stream = m->stream, .epoch = m->epoch, .to = m->to, .changed = true};
	pthread_mutex_unlock(&s->names);
	return c ? 0 : -ENOMEM;
}

static int mark_all(struct store *s)
{
	int r = 0;

	for (uint32_t i = 0; i < s->held_n && !r; i++) {
		for (uint32_t k = 0; k < s->held[i]->marks_n && !r; k++)
			r = mark(s, &s->held[i]->marks[k]);
	}
	return r;
}

/* What the batch added, into memory; its blocks go back. */
static void finish(struct store *s)
{
	struct committed *c = s->committed.v;

	pthread_mutex_lock(&s->lock);
	s->last_batch++;
	for (struct partition *p = s->partitions; p; p = p->next) {
		if (!p->new_rows)
			continue;
		if (!p->rows || p->new_min_us < p->min_us)
			p->min_us = p->new_min_us;
		if (!p->rows || p->new_max_us > p->max_us)
			p->max_us = p->new_max_us;
		p->rows += p->new_rows;
		p->new_rows = 0;
		p->odd = false;
		p->used_ms = store_now_ms();
	}
	s->stats.appended += s->held_rows;
	s->stats.flushes++;
	pthread_mutex_unlock(&s->lock);
	for (uint32_t i = 0; i < s->committed.n; i++) {
		if (c[i].changed && s->cfg.committed)
			s->cfg.committed(s->cfg.arg, c[i].stream, c[i].epoch, c[i].to);
		pthread_mutex_lock(&s->names);
		c[i].changed = false;
		pthread_mutex_unlock(&s->names);
	}
	for (uint32_t i = 0; i < s->held_n; i++)
		block_put(s->cfg.pool, s->held[i]);
	s->held_n = 0;
	s->held_rows = 0;
	s->broken = false;
}

static int flush_once(struct store *s, char *error)
{
	int r = s->c ? 0 : -EIO;

	if (!r && s->broken)
		r = write_again(s, error);

	if (!r)
		r = commit_feeds(s, error);
	adder_wait(s->adder);
	if (!r)
		r = mark_all(s);
	if (!r)
		r = state_commit(s, s->last_batch + 1, error);
	if (!r)
		rebuild_keep(s);
	s->broken = r != 0;
	return r;
}

/*
 * Before the next try. The engine may have given up on a file that it could not write: it is opened
 * again. True: the batch had become durable all the same.
 */
static bool again(struct store *s)
{
	struct timespec wait = {.tv_sec = RETRY_MS / 1000};
	char error[STORE_ERROR];
	uint32_t batch = 0;

	s->upkeep_ms = 0;
	if (s->c)
		partition_upkeep(s); /* retention may make room */
	nanosleep(&wait, NULL);
	abort_feeds(s);
	if (store_reopen(s, error, &batch))
		return false;
	if (batch <= s->last_batch)
		return false;
	rollup_saved(s->rollup);
	return true;
}

/* Until it works; a store that is being closed tries once more and gives up. */
static int flush(struct store *s)
{
	char error[STORE_ERROR] = "";
	int r;

	while ((r = flush_once(s, error)) != 0) {
		s->stats.failed++;
		if (!s->complained)
			store_complain(
				s, "writing failed (%s): what came since is held and tried again",
				error[0] ? error : strerror(-r));
		s->complained = true;
		if (s->stop)
			return r;
		if (again(s))
			break;
	}
	if (s->complained)
		store_complain(s, "writing works again");
	s->complained = false;
	finish(s);
	return 0;
}

static void take(struct store *s, struct block *b)
{
	char error[STORE_ERROR] = "";

	if (!s->held_n)
		s->first_ms = store_now_ms();
	adder_push(s->adder, b, s->last_batch + 1);
	if (!s->broken && write_block(s, b, error)) {
		store_complain(s, "writing failed (%s): trying again", error);
		s->broken = true;
	}
	s->held[s->held_n++] = b;
	s->held_rows += b->rows;
}

/* Rows without their marks: a sender that starts again would send them again. */
static bool unfinished(const struct store *s)
{
	return s->held_n && s->held_n < s->held_max && s->held[s->held_n - 1]->more && !s->stop;
}

static bool due(struct store *s, uint64_t now, bool asked)
{
	if (!s->held_n)
		return rollup_due(s->rollup);
	if (s->held_n == s->held_max)
		return true;
	if (unfinished(s))
		return false;
	return asked || s->broken || s->held_rows >= s->cfg.flush_rows ||
	       now - s->first_ms >= s->cfg.flush_ms;
}

static void answer(struct store *s, uint64_t asked, int r)
{
	pthread_mutex_lock(&s->lock);
	s->flush_done = asked;
	s->flush_error = r;
	pthread_cond_broadcast(&s->flushed);
	pthread_mutex_unlock(&s->lock);
}

/* Blocks may have come since one was waited for in vain. */
static bool all_received(struct store *s)
{
	struct block_pool_stats st;

	block_pool_stats(s->cfg.pool, &st);
	return st.queued == 0;
}

static void *writer(void *arg)
{
	struct store *s = arg;

	pthread_setname_np(pthread_self(), "store-writer");
	for (;;) {
		struct block *b = block_receive(s->cfg.pool, 100);
		uint64_t asked;
		bool ask;
		int r = 0;

		if (b)
			take(s, b);
		pthread_mutex_lock(&s->lock);
		asked = s->flush_asked;
		ask = asked != s->flush_done || s->stop;
		s->stats.pending = s->held_rows;
		pthread_mutex_unlock(&s->lock);
		/* what was sent before it was asked for comes first */
		ask = ask && all_received(s);
		if (due(s, store_now_ms(), ask))
			r = flush(s);
		if (ask && asked != s->flush_done && !unfinished(s))
			answer(s, asked, r);
		partition_upkeep(s);
		if (!b && (s->stop || block_closed(s->cfg.pool)) && all_received(s))
			break;
	}
	return NULL;
}

int writer_start(struct store *s)
{
	struct block_pool_stats st;

	block_pool_stats(s->cfg.pool, &st);
	s->held_max = st.blocks > 2 ? st.blocks * 2 / 3 : 1;
	s->held = calloc(s->held_max, sizeof(*s->held));
	if (!s->held)
		return -ENOMEM;
	s->adder = adder_new(s->rollup, s->held_max);
	if (s->cfg.cold_s)
		s->cold = cold_new(s);
	if (!s->adder || (s->cfg.cold_s && !s->cold))
		return -ENOMEM;
	if (pthread_create(&s->thread, NULL, writer, s))
		return -EAGAIN;
	s->running = true;
	return 0;
}

void writer_stop(struct store *s)
{
	char error[STORE_ERROR] = "";

	s->cold = cold_free(s->cold);
	if (!s->running) {
		s->adder = adder_free(s->adder);
		return;
	}
	block_close(s->cfg.pool);
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	s->running = false;
	s->adder = adder_free(s->adder);
	if (s->held_n) { /* could not be written */
		take_back(s);
		for (uint32_t i = 0; i < s->held_n; i++)
			block_put(s->cfg.pool, s->held[i]);
		s->held_n = 0;
		return;
	}
	rollup_close_all(s->rollup);
	if (state_commit(s, s->last_batch + 1, error))
		store_complain(s, "%s: %s", s->dir, error);
	else
		s->last_batch++;
}
