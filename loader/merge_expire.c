// SPDX-License-Identifier: Apache-2.0
/*
 * merge_expire.c - when a flow's record is due, and the end of flows.
 *
 * A wheel of lists holds every flow at the time when something may be due. Packets don't move a
 * flow: when its time comes, it is looked at, and put where it is due then. So a busy flow is
 * touched once in an idle timeout. A list that can't grow for lack of memory makes the next tick
 * look at all flows instead.
 */
#include <stdlib.h>
#include <string.h>

#include "loader/merge_int.h"
#include "loader/name/name.h"

/* No flow is half changed here. */
static inline void consistent(struct merge *m)
{
	if (m->cfg.ledger)
		ledger_here(m->cfg.ledger);
}

/* Earliest time at which something may be due. */
static uint64_t state_due(const struct merge *m, const struct flow_state *st)
{
	uint64_t now = m->cfg.clock->now_tick;
	uint64_t seen = st->flags & (FS_SEEN0 | FS_SEEN1);
	uint64_t due, t;

	if (!seen)
		return st->prev_end + m->idle; /* a name came first, then */
	due = state_last(st) + m->idle;
	t = (state_pending(st) ? state_start(st) : now) + m->active;
	due = t < due ? t : due;
	if (state_lone_syn(st) && state_pending(st)) {
		t = state_start(st) + m->syn;
		due = t < due ? t : due;
	}
	return due;
}

void merge_schedule(struct merge *m, struct flow_state *st)
{
	uint64_t bucket = state_due(m, st) / m->wheel_gran;

	if (bucket < m->wheel_at)
		bucket = m->wheel_at;
	if (bucket >= m->wheel_at + WHEEL_BUCKETS)
		bucket = m->wheel_at + WHEEL_BUCKETS - 1;
	st->due = (uint32_t)bucket;
	if (!ref_push(&m->wheel[bucket % WHEEL_BUCKETS], merge_ref(m, st)))
		m->sweep = true;
}

void merge_closing(struct merge *m, struct flow_state *st)
{
	st->flags |= FS_CLOSING;
	if (!ref_push(&m->closing, merge_ref(m, st)))
		m->sweep = true;
}

/* Ask whoever keeps unfinished hellos of the flow; only one that carried payload can have any. */
static void ask_for_end(struct merge *m, struct flow_state *st)
{
	struct name_result nr;

	if (!m->end_fn || !(st->ns_known & (1u << NS_PAYLOAD0 | 1u << NS_PAYLOAD1)))
		return;
	if (m->end_fn(m->end_arg, &st->key, &nr) == 1)
		merge_name_apply(m, st, &nr);
}

void merge_finish(struct merge *m, struct flow_state *st, enum flow_reason reason)
{
	state_save(m, st);
	if (!(st->flags & FS_ENDED))
		merge_unlink(m, st);
	if (!(st->flags & FS_ENDED))
		ask_for_end(m, st);
	if (state_pending(st))
		merge_emit(m, st, reason, true);
	else if (st->names && !(st->flags & FS_REPORTED))
		m->stats.names_orphaned++;
	merge_release(m, st);
}

void merge_replace(struct merge *m, struct flow_state *st, enum flow_reason reason)
{
	state_save(m, st);
	merge_unlink(m, st);
	ask_for_end(m, st);
	st->flags |= FS_ENDED;
	st->end_reason = (uint8_t)reason;
	if (!ref_push(&m->ended, merge_ref(m, st)))
		m->sweep = true;
}

/* When something was last heard of the flow. */
static uint64_t state_heard(const struct flow_state *st)
{
	return st->flags & (FS_SEEN0 | FS_SEEN1) ? state_last(st) : st->prev_end;
}

/* Of the next states round the slab, the one that was silent longest goes. */
void merge_evict_oldest(struct merge *m)
{
	struct flow_state *oldest = NULL;
	uint32_t n = m->slab_used < 16 ? m->slab_used : 16;

	for (uint32_t i = 0; i < n; i++) {
		struct flow_state *st = &m->slab[m->hand];

		m->hand = m->hand + 1 < m->slab_used ? m->hand + 1 : 0;
		if (!oldest || state_heard(st) < state_heard(oldest))
			oldest = st;
	}
	if (!oldest)
		return;
	if (oldest->flags & FS_ENDED) {
		merge_finish(m, oldest, oldest->end_reason);
		return;
	}
	m->stats.table_full++;
	merge_finish(m, oldest, state_closed(oldest) ? FLOW_END : FLOW_EVICTED);
}

/* What is due for this state now? Ends it, or writes its record, or nothing. True: it lives on. */
static bool state_check(struct merge *m, struct flow_state *st)
{
	uint64_t now = m->cfg.clock->now_tick;

	if (!(st->flags & (FS_SEEN0 | FS_SEEN1))) {
		if (now < st->prev_end + m->idle)
			return true;
		merge_finish(m, st, FLOW_IDLE);
		return false;
	}
	if (now >= state_last(st) + m->idle) {
		merge_finish(m, st, state_closed(st) ? FLOW_END : FLOW_IDLE);
		return false;
	}
	if (!state_pending(st))
		return true;
	if (state_lone_syn(st) && now >= state_start(st) + m->syn) {
		merge_finish(m, st, FLOW_IDLE);
		return false;
	}
	if (now >= state_start(st) + m->active) {
		state_save(m, st);
		merge_emit(m, st, FLOW_ACTIVE, false);
	}
	return true;
}

/* Look at what one list holds. A reference is stale when its state is due elsewhere by now. */
static void wheel_bucket(struct merge *m, uint64_t bucket)
{
	struct ref_list *b = &m->wheel[bucket % WHEEL_BUCKETS];
	struct ref_list due = *b;

	/* States looked at may be put back into this very list. */
	memset(b, 0, sizeof(*b));
	for (uint32_t i = 0; i < due.n; i++) {
		struct flow_state *st = merge_state(m, due.v[i]);

		if (i + 8 < due.n) {
			const char *ahead = (const char *)merge_state(m, due.v[i + 8]);

			__builtin_prefetch(ahead);
			__builtin_prefetch(ahead + 64);
		}
		if (!(st->flags & FS_LIVE) || st->flags & FS_ENDED)
			continue;
		if (st->due != (uint32_t)bucket) {
			/* A later lap of the same list keeps its place. */
			if ((st->due - (uint32_t)bucket) % WHEEL_BUCKETS == 0 &&
			    (int32_t)(st->due - (uint32_t)bucket) > 0 && !ref_push(b, due.v[i]))
				m->sweep = true;
			continue;
		}
		if (state_check(m, st))
			merge_schedule(m, st);
		consistent(m);
	}
	if (!b->v) {
		due.n = 0;
		*b = due; /* keep the memory */
	} else {
		free(due.v);
	}
}

static void wheel_turn(struct merge *m)
{
	uint64_t to = m->cfg.clock->now_tick / m->wheel_gran;
	uint64_t from = m->wheel_at;
	uint64_t end = to;

	if (to < from)
		return;
	if (end - from >= WHEEL_BUCKETS)
		end = from + WHEEL_BUCKETS - 1;
	m->wheel_at = to;
	for (uint64_t bucket = from; bucket <= end; bucket++)
		wheel_bucket(m, bucket);
}

static void ended_flows(struct merge *m)
{
	for (uint32_t i = 0; i < m->ended.n; i++) {
		struct flow_state *st = merge_state(m, m->ended.v[i]);

		if (st->flags & FS_ENDED)
			merge_finish(m, st, st->end_reason);
		consistent(m);
	}
	m->ended.n = 0;
}

static void closed_flows(struct merge *m)
{
	struct ref_list done = m->closing_old;

	for (uint32_t i = 0; i < done.n; i++) {
		struct flow_state *st = merge_state(m, done.v[i]);

		if (i + 8 < done.n) {
			const char *ahead = (const char *)merge_state(m, done.v[i + 8]);

			for (int line = 0; line < 256; line += 64)
				__builtin_prefetch(ahead + line);
		}
		if ((st->flags & (FS_LIVE | FS_CLOSING | FS_ENDED)) == (FS_LIVE | FS_CLOSING))
			merge_finish(m, st, FLOW_END);
		consistent(m);
	}
	done.n = 0;
	m->closing_old = m->closing;
	m->closing = done;
}

/* A list could not grow: find by looking at all states what it would have held. */
static void sweep_all(struct merge *m)
{
	m->sweep = false;
	for (unsigned int i = 0; i < WHEEL_BUCKETS; i++)
		m->wheel[i].n = 0;
	for (uint32_t ref = 1; ref <= m->slab_used; ref++) {
		struct flow_state *st = merge_state(m, ref);

		if (!(st->flags & FS_LIVE))
			continue;
		if (st->flags & FS_ENDED)
			merge_finish(m, st, st->end_reason);
		else if (st->flags & FS_CLOSING)
			merge_finish(m, st, FLOW_END);
		else if (state_check(m, st))
			merge_schedule(m, st);
		consistent(m);
	}
}

void merge_set_timeouts(struct merge *m, uint64_t active_ns, uint64_t idle_ns, uint64_t syn_ns)
{
	m->active = clock_ticks(m->cfg.clock, active_ns);
	m->idle = clock_ticks(m->cfg.clock, idle_ns);
	m->syn = clock_ticks(m->cfg.clock, syn_ns);
	m->sweep = true; /* each flow is due at another time */
}

void merge_tick(struct merge *m)
{
	ended_flows(m);
	closed_flows(m);
	wheel_turn(m);
	if (m->sweep)
		sweep_all(m);
	if (m->sightings)
		sightings_tick(m->sightings, m->cfg.clock->now_tick, m->active + m->idle);
	m->prev_tick = m->cfg.clock->now_tick;
}

void merge_flush(struct merge *m, enum flow_reason reason)
{
	uint64_t now = m->cfg.clock->now_tick;

	ended_flows(m);
	for (uint32_t ref = 1; ref <= m->slab_used; ref++) {
		struct flow_state *st = merge_state(m, ref);
		enum flow_reason why = reason;

		if (!(st->flags & FS_LIVE))
			continue;
		if (st->flags & FS_ENDED)
			why = st->end_reason;
		else if (state_closed(st))
			why = FLOW_END;
		else if (now >= state_last(st) + m->idle ||
			 (state_lone_syn(st) && now >= state_start(st) + m->syn))
			why = FLOW_IDLE;
		merge_finish(m, st, why);
		consistent(m);
	}
	for (unsigned int i = 0; i < WHEEL_BUCKETS; i++)
		m->wheel[i].n = 0;
	m->closing.n = 0;
	m->closing_old.n = 0;
	/* What comes next may be earlier: a capture whose clock steps back. */
	m->wheel_at = 0;
	m->prev_tick = 0;
}
