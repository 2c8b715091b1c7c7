// SPDX-License-Identifier: Apache-2.0
#include "loader/dropped.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/clock.h"
#include "loader/dataplane.h"
#include "loader/ledger.h"
#include "loader/merge.h"
#include "weir/counters.h"
#include "weir/policy_map.h"

#define GEN_MASK  ((1u << WEIR_TAG_GEN_BITS) - 1)
#define OTHERS	  16u
#define SEQ_FIRST 2u /* seq of a row's first tenant */
#define TRIES	  4  /* a row that is being written meanwhile waits for the next scan */

struct dropped {
	const struct dataplane *dp;
	struct dropped_mark *mark; /* of slots; of rows; of what has no row, a CPU each */
	size_t bytes;
	uint64_t marks;
	struct ledger *ledger; /* or NULL */
	struct ledger_part *part;
	uint64_t prev_tick; /* of the scan before */
};

_Static_assert(sizeof(struct dropped_mark) == LEDGER_MARK_BYTES, "ledger");

uint64_t dropped_marks(const struct dataplane *dp)
{
	return dp->dropped && dp->drops ? dp->slots + (uint64_t)dp->cpus * (DROP_ROWS + 1) : 0;
}

int dropped_new(const struct dataplane *dp, struct dropped **ret)
{
	struct dropped *d;

	*ret = NULL;
	if (!dropped_marks(dp))
		return 0;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->dp = dp;
	d->marks = dropped_marks(dp);
	d->bytes = d->marks * sizeof(*d->mark);
	d->mark = mmap(NULL, d->bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (d->mark == MAP_FAILED) {
		free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

void dropped_free(struct dropped *d)
{
	if (!d)
		return;
	if (!d->ledger)
		munmap(d->mark, d->bytes);
	free(d);
}

void dropped_use_ledger(struct dropped *d, struct ledger *l, struct ledger_part *p)
{
	munmap(d->mark, d->bytes);
	d->mark = (struct dropped_mark *)(void *)p->mark;
	d->ledger = l;
	d->part = p;
}

void dropped_forget(struct dropped *d)
{
	if (d)
		madvise(d->mark, d->dp->slots * sizeof(*d->mark), MADV_DONTNEED);
}

static void save(struct dropped *d, uint64_t index)
{
	if (d->ledger)
		ledger_save_did(d->ledger, d->part, index);
}

/* ---- beside the cache's entries ---- */

bool dropped_copy(const struct dropped *d, const struct flow_hot *h, uint32_t slot,
		  struct flow_dropped *ret)
{
	const struct flow_dropped *from = &d->dp->dropped[slot];

	if ((__atomic_load_n(&h->extra, __ATOMIC_ACQUIRE) & (EXTRA_DROPPED | EXTRA_LONE)) !=
	    EXTRA_DROPPED)
		return false;
	*ret = *from;
	/* a packet at work adds its bytes first: read last they are never behind */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	ret->bytes = __atomic_load_n(&from->bytes, __ATOMIC_RELAXED);
	__atomic_thread_fence(
		__ATOMIC_ACQUIRE); /* nor are they ahead of the entry's own, copied next */
	return true;
}

void dropped_begin(struct dropped *d, uint32_t slot)
{
	if (!d->mark[slot].of)
		return;
	save(d, slot);
	d->mark[slot] = (struct dropped_mark){};
}

const struct dropped_mark *dropped_mark(const struct dropped *d, uint32_t slot)
{
	return &d->mark[slot];
}

static uint32_t mark_of(uint32_t gen, const struct flow_dropped *now)
{
	return gen | (uint32_t)now->woulds << 16;
}

bool dropped_delta(struct dropped *d, const struct dropped_entry *e, const struct dropped_mark *was,
		   struct merge_did *ret)
{
	const struct flow_dropped *now = e->now;
	static const struct dropped_mark none;
	const struct dropped_mark *old = was ?: &d->mark[e->slot];
	const bool same = (old->of & GEN_MASK) == e->gen;

	if (!same)
		old = &none;
	*ret = (struct merge_did){
		.packets = now->packets - old->packets,
		.bytes = now->bytes - old->bytes,
		.generation = now->generation,
		.rule = now->rule[0] ?: now->rule[1],
		.action = now->acts & 0xf,
	};
	if (!ret->packets && now->woulds == (uint8_t)(old->of >> 16) && !ret->bytes)
		return false;
	if (!ret->packets) {
		ret->shadow = true;
		ret->rule = now->shadow;
		ret->action = now->acts >> 4;
	}
	if (!d->dp->titles)
		ret->rule = 0; /* tables of an earlier weir: its rules are not known here */
	if (was)
		return true;
	save(d, e->slot);
	d->mark[e->slot] = (struct dropped_mark){
		.bytes = now->bytes, .packets = now->packets, .of = mark_of(e->gen, now)};
	return true;
}

/* ---- before the cache ---- */

static bool row_copy(const struct drop_row *from, struct drop_row *ret)
{
	for (int i = 0; i < TRIES; i++) {
		*ret = *from;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		ret->bytes = __atomic_load_n(&from->bytes, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(ret->seq & 1) && __atomic_load_n(&from->seq, __ATOMIC_RELAXED) == ret->seq)
			return true;
	}
	return false;
}

/* Sums that are told without a source, by rule; the first is of no rule. */
struct others {
	struct merge_did of[OTHERS];
	unsigned int n;
};

static struct merge_did *others_of(struct others *o, const struct merge_did *d)
{
	unsigned int i = 1;

	while (i < o->n && (o->of[i].rule != d->rule || o->of[i].generation != d->generation))
		i++;
	if (!d->rule || i == OTHERS)
		return &o->of[0];
	if (i == o->n) {
		o->of[o->n++] = *d;
		o->of[i].packets = 0;
		o->of[i].bytes = 0;
	}
	return &o->of[i];
}

/*
 * What the row's tenants before had got since they were last read: not told apart any more, but by
 * rule, if that was the same all the time.
 */
static void take_others(const struct drop_row *row, const struct dropped_mark *mark,
			const struct merge_did *d, struct others *others)
{
	const struct merge_did none = {};
	const bool same = (int32_t)(row->rule_seq - (mark->of ?: SEQ_FIRST)) <= 0;
	struct merge_did *o = others_of(others, same ? d : &none);

	o->packets += (uint32_t)(row->from_packets - mark->packets);
	o->bytes += (uint32_t)(row->from_bytes - (uint32_t)mark->bytes);
}

static void take_row(struct dropped *d, uint64_t index, const struct drop_row *row,
		     struct merge_row *r, struct others *others)
{
	struct dropped_mark *mark = &d->mark[index];
	const bool same = row->seq == mark->of;
	const uint32_t packets =
		(uint32_t)row->packets - (same ? mark->packets : row->from_packets);
	/* the row's own bytes: those below the mark's are an earlier tenant's */
	const uint64_t bytes = same ? row->bytes - mark->bytes
				    : (uint32_t)((uint32_t)row->bytes - row->from_bytes);

	r->row = row;
	r->did = (struct merge_did){.packets = packets,
				    .bytes = bytes,
				    .generation = row->generation,
				    .rule = d->dp->titles ? row->rule : 0,
				    .action = row->hook >> 4};
	if (!same)
		take_others(row, mark, &r->did, others);
	save(d, index);
	*mark = (struct dropped_mark){
		.bytes = row->bytes, .packets = (uint32_t)row->packets, .of = row->seq};
}

/* What a CPU has dropped without a row is of single listed sources, for which the decision counts. */
static void take_rest(struct dropped *d, uint64_t index, uint64_t packets, uint64_t bytes,
		      struct merge_did *others)
{
	struct dropped_mark *mark = &d->mark[index];
	/* a row that is ahead of the counter makes it negative for a while */
	const int32_t p = (int32_t)((uint32_t)packets - mark->packets);
	const int64_t b = (int64_t)(bytes - mark->bytes);

	if (p <= 0 && b <= 0)
		return;
	save(d, index);
	if (p > 0) {
		others->packets += (uint32_t)p;
		mark->packets = (uint32_t)packets;
	}
	if (b > 0) {
		others->bytes += (uint64_t)b;
		mark->bytes = bytes;
	}
}

/* The counter is read before the rows: what comes in between is told the next time. */
static void take_cpu(struct dropped *d, struct merge *m, int cpu, struct merge_row *r)
{
	const struct counter_row *c = &d->dp->counters[cpu];
	const struct drop_row *rows = d->dp->drops + (size_t)cpu * DROP_ROWS;
	const uint64_t base = d->dp->slots + (uint64_t)cpu * (DROP_ROWS + 1);
	uint64_t packets = __atomic_load_n(&c->v[CNT_DROPPED_PACKETS], __ATOMIC_ACQUIRE);
	uint64_t bytes = __atomic_load_n(&c->v[CNT_DROPPED_BYTES], __ATOMIC_ACQUIRE);
	struct others others = {.n = 1};
	struct drop_row row;
	bool all = true;

	for (unsigned int i = 0; i < DROP_ROWS; i++) {
		const struct dropped_mark *mark = &d->mark[base + i];

		if (!__atomic_load_n(&rows[i].packets, __ATOMIC_RELAXED))
			continue;
		r->did = (struct merge_did){};
		if (!row_copy(&rows[i], &row))
			all = false;
		else if (row.seq != mark->of || row.bytes != mark->bytes)
			take_row(d, base + i, &row, r, &others);
		if (r->did.packets || r->did.bytes)
			merge_row(m, r);
		packets -= mark->packets;
		bytes -= mark->bytes;
	}
	if (all)
		take_rest(d, base + DROP_ROWS, packets, bytes, &others.of[0]);
	r->row = NULL;
	for (unsigned int i = 0; i < others.n; i++) {
		r->did = others.of[i];
		if (r->did.packets || r->did.bytes)
			merge_row(m, r);
	}
}

void dropped_rows(struct dropped *d, struct merge *m, const struct clock *c)
{
	struct merge_row r = {.from_tick = d->prev_tick ?: c->now_tick};

	for (int cpu = 0; cpu < d->dp->cpus; cpu++) {
		take_cpu(d, m, cpu, &r);
		if (d->ledger)
			ledger_here(d->ledger);
	}
	d->prev_tick = c->now_tick;
}
