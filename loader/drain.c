// SPDX-License-Identifier: Apache-2.0
#include "loader/drain_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "loader/ledger.h"
#include "weir/lone_syn.h"

#define PREFETCH	16u /* slots ahead */
#define RELEASE_BATCHES 8u  /* of final records */
#define GEN_MASK	((1u << WEIR_TAG_GEN_BITS) - 1)
#define ORPHANS_MIN	1024u

uint64_t drain_memory(uint64_t slots)
{
	return sizeof(struct drain) + slots * sizeof(struct shadow);
}

int drain_new(struct dataplane *dp, struct merge *m, struct names *names, struct drain **ret)
{
	struct drain *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->dp = dp;
	d->merge = m;
	d->names = names;
	d->shadow_bytes = dp->slots * sizeof(*d->shadow);
	d->shadow = mmap(NULL, d->shadow_bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (d->shadow == MAP_FAILED) {
		free(d);
		return -ENOMEM;
	}
	if (dropped_new(dp, &d->dropped)) {
		drain_free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

void drain_free(struct drain *d)
{
	if (!d)
		return;
	if (!d->ledger)
		munmap(d->shadow, d->shadow_bytes);
	dropped_free(d->dropped);
	free(d->orphan);
	free(d);
}

void drain_use_ledger(struct drain *d, struct ledger *l, struct ledger_part *p)
{
	munmap(d->shadow, d->shadow_bytes);
	d->shadow = (struct shadow *)(void *)p->slot;
	d->ledger = l;
	d->part = p;
	if (d->dropped)
		dropped_use_ledger(d->dropped, l, p);
	if (!p->fresh)
		d->dp->evicted.pos = p->ring_pos;
}

/* Totals of a slot are about to change. */
static inline void save(struct drain *d, const struct shadow *s)
{
	if (d->ledger)
		ledger_save_slot(d->ledger, d->part, s);
}

/* All that has been taken from ring and slots is merged: flows and totals fit together. */
static void consistent(struct drain *d)
{
	if (!d->ledger)
		return;
	d->part->ring_pos = d->dp->evicted.pos;
	ledger_here(d->ledger);
}

/* What has been read of the ring is in the flows: give it back. */
static void release(struct drain *d)
{
	if (d->ledger) {
		d->part->ring_pos = d->dp->evicted.pos;
		ledger_commit(d->ledger);
	}
	ring_release(&d->dp->evicted);
}

void drain_forget(struct drain *d)
{
	madvise(d->shadow, d->shadow_bytes, MADV_DONTNEED);
	dropped_forget(d->dropped);
	d->orphans = 0;
	d->stats.scans = 0;
}

const struct drain_stats *drain_stats(const struct drain *d)
{
	return &d->stats;
}

static void flush(struct drain *d, bool finals)
{
	if (!d->n)
		return;
	if (finals)
		merge_finals(d->merge, d->delta, d->n);
	else
		merge_entries(d->merge, d->delta, d->n);
	d->n = 0;
}

/* The difference between an entry and what was read of it before; @s becomes the entry. */
static void delta_from(struct merge_delta *m, struct shadow *s, const struct flow_hot *hot,
		       const struct flow_cold *cold)
{
	m->hot = hot;
	m->cold = cold;
	for (int i = 0; i < 2; i++) {
		m->packets[i] = hot->packets[i] - s->packets[i];
		m->bytes[i] = 0;
		m->retransmits[i] = m->out_of_order[i] = m->zero_windows[i] = 0;
		if (!m->packets[i])
			continue; /* what a packet adds comes when it is counted */
		m->bytes[i] = hot->bytes[i] - s->bytes[i];
		m->retransmits[i] = cold->retransmits[i] - s->retransmits[i];
		m->out_of_order[i] = cold->out_of_order[i] - s->out_of_order[i];
		m->zero_windows[i] = cold->zero_windows[i] - s->zero_windows[i];
		s->bytes[i] = hot->bytes[i];
		s->packets[i] = hot->packets[i];
		s->retransmits[i] = cold->retransmits[i];
		s->out_of_order[i] = cold->out_of_order[i];
		s->zero_windows[i] = cold->zero_windows[i];
	}
}

/* ---- final records ---- */

static int orphan_cmp(const void *a, const void *b)
{
	uint32_t x = ((const struct orphan *)a)->slot, y = ((const struct orphan *)b)->slot;

	return x < y ? -1 : x > y;
}

static struct orphan *orphan_find(struct drain *d, uint32_t slot, uint32_t gen)
{
	struct orphan key = {.slot = slot};
	struct orphan *o;

	if (!d->orphans)
		return NULL;
	o = bsearch(&key, d->orphan, d->orphans, sizeof(*o), orphan_cmp);
	return o && o->s.gen == gen ? o : NULL;
}

/* The slot may show this generation for a moment yet: the packet that ends it is still at work. */
static void settle(struct shadow *s, uint32_t gen)
{
	if (s->gen && ((gen - s->gen) & GEN_MASK) > GEN_MASK / 2)
		return; /* a later one has been read there */
	s->gen = 0;
	s->settled = (uint16_t)gen;
}

/* The fine clock of the packet path. */
static uint64_t packet_clock(const struct drain *d)
{
	struct timespec ts = {};

	if (d->dp->cfg.replay)
		return d->dp->control->replay_ns;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Both halves of a final record, of which the ring holds what there is to say. */
static void unpack_final(struct drain *d, const struct flow_final *f, struct flow_hot *hot,
			 struct flow_cold *cold)
{
	*hot = f->hot;
	memset(cold, 0, sizeof(*cold));
	if (lone_syn_is(hot))
		lone_syn_unpack(hot, cold, d->packet_ns);
	else
		memcpy(cold, &f->cold, hot->extra & EXTRA_TAIL ? sizeof(*cold) : WEIR_COLD_HEAD);
}

/* What policy did to the flow of a final record, since it was last read. */
static void final_did(struct drain *d, const struct flow_final *f, const struct orphan *o)
{
	struct merge_did *did = &d->did[d->n];
	static const struct dropped_mark none;
	const uint32_t gen = f->hot.tag & GEN_MASK;
	const struct dropped_mark *was = d->shadow[f->slot].gen == gen ? NULL
					 : o			       ? &o->mark
								       : &none;

	if (!d->dropped || (f->hot.extra & (EXTRA_DROPPED | EXTRA_LONE)) != EXTRA_DROPPED)
		return;
	if (dropped_delta(d->dropped, &(struct dropped_entry){f->slot, gen, &f->dropped}, was, did))
		d->delta[d->n].did = did;
}

static void take_final(struct drain *d, const struct flow_final *f)
{
	struct flow_hot *hot = &d->hot[d->n];
	struct flow_cold *cold = &d->cold[d->n];
	struct merge_delta *m = &d->delta[d->n];
	uint32_t gen = f->hot.tag & GEN_MASK;
	struct shadow *own = &d->shadow[f->slot], *s = own, none = {};
	const struct orphan *o = NULL;

	save(d, own);
	if (s->gen != gen) {
		o = orphan_find(d, f->slot, gen);
		s = o ? (struct shadow *)(uintptr_t)&o->s : &none;
	}
	*m = (struct merge_delta){};
	unpack_final(d, f, hot, cold);
	delta_from(m, s, hot, cold);
	final_did(d, f, o);
	d->n++;
	s->gen = 0;
	if (s->flow_ref && s == own)
		m->flow_ref = &s->flow_ref;
	settle(own, gen);
	d->stats.finals++;
}

/* Records whose totals have been asked for. */
static void take_finals(struct drain *d, const struct flow_final *const *v, unsigned int n)
{
	if (n)
		d->packet_ns = packet_clock(d);
	for (unsigned int i = 0; i < n; i++)
		take_final(d, v[i]);
	flush(d, true);
	consistent(d);
}

static unsigned int drain_evicted(struct drain *d, unsigned long end)
{
	struct ring *r = &d->dp->evicted;
	const struct flow_final *batch[BATCH], *f;
	unsigned int n = 0, queued = 0, batches = 0;
	size_t len;

	flush(d, false);
	while ((f = ring_next(r, end, &len))) {
		n++;
		if (len == flow_final_size(&f->hot) && f->slot < d->dp->slots) {
			__builtin_prefetch(&d->shadow[f->slot], 1);
			batch[queued++] = f;
		} else {
			d->stats.bad_records++;
		}
		if (queued == BATCH) {
			take_finals(d, batch, queued);
			queued = 0;
			if (++batches % RELEASE_BATCHES == 0)
				release(d);
		}
	}
	take_finals(d, batch, queued);
	if (n)
		release(d);
	return n;
}

/* All final records up to now. False while a record ahead of others is still being written. */
static bool drain_evicted_all(struct drain *d)
{
	unsigned long end = ring_end(&d->dp->evicted);

	for (int i = 0; i < 1000 && d->dp->evicted.pos < end; i++)
		drain_evicted(d, end);
	return d->dp->evicted.pos >= end;
}

unsigned int drain_rings(struct drain *d)
{
	unsigned long evicted = ring_end(&d->dp->evicted), events = ring_end(&d->dp->events);

	return drain_evicted(d, evicted) + drain_events(d, events);
}

/* ---- scan ---- */

static int orphan_add(struct drain *d, uint32_t slot, const struct shadow *s)
{
	if (d->orphans == d->orphans_cap) {
		size_t cap = d->orphans_cap ? 2 * d->orphans_cap : ORPHANS_MIN;
		struct orphan *p = reallocarray(d->orphan, cap, sizeof(*p));

		if (!p)
			return -ENOMEM;
		d->orphan = p;
		d->orphans_cap = cap;
	}
	d->orphan[d->orphans] = (struct orphan){.slot = slot, .s = *s};
	if (d->dropped)
		d->orphan[d->orphans].mark = *dropped_mark(d->dropped, slot);
	d->orphans++;
	return 0;
}

static bool is_filling(const struct ring *r)
{
	return ring_end(r) - r->pos > r->size / 8;
}

static bool is_lone(const struct flow_hot *h)
{
	return __atomic_load_n(&h->extra, __ATOMIC_ACQUIRE) & EXTRA_LONE;
}

/* Does the slot still belong to whom it did before it was copied? A @lone SYN may have become more. */
static bool is_tenant(struct drain *d, uint32_t slot, uint64_t tag, bool lone)
{
	const struct flow_hot *h = dataplane_hot(d->dp, slot);

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if ((!lone || is_lone(h)) && __atomic_load_n(&h->tag, __ATOMIC_RELAXED) == tag)
		return true;
	d->stats.torn++; /* changed hands under us: its final record is in the ring */
	return false;
}

/*
 * A slot that has changed hands since it was read. Its totals are needed until the final record has
 * been read, that is in the ring by now: without a ledger they are set aside. With one, where nothing
 * may be known that is not in it, the slot is left for the next scan, which reads the ring first.
 * True: the slot may be read; the totals are settled, or there will be no final record.
 */
static bool let_go_of(struct drain *d, uint32_t slot, struct shadow *s)
{
	if (!s->gen)
		return true;
	if (!d->ledger)
		return !orphan_add(d, slot, s); /* no memory: a later scan reads the slot */
	if (s->replaced)
		return true;
	save(d, s);
	s->replaced = 1;
	d->left++;
	return false;
}

/* Is there something new of what policy did to the entry's flow? Then d->did[d->n] has it. */
static bool new_did(struct drain *d, unsigned int i)
{
	const struct dropped_entry e = {d->slot[i], d->hot[i].tag & GEN_MASK, &d->policed[i]};

	return d->is_policed[i] && dropped_delta(d->dropped, &e, NULL, &d->did[d->n]);
}

/* All of an entry whose hot half has been copied. */
static void read_full(struct drain *d, unsigned int i)
{
	const uint32_t slot = d->slot[i];
	struct flow_hot *hot = &d->hot[i];
	bool lone = lone_syn_is(hot);
	struct shadow *s = &d->shadow[slot];
	struct flow_cold *cold = &d->cold[d->n];
	struct merge_delta *m = &d->delta[d->n];
	uint32_t gen = hot->tag & GEN_MASK;

	if (lone) {
		memset(cold, 0, sizeof(*cold));
		lone_syn_unpack(hot, cold, d->packet_ns);
	} else {
		memcpy(cold, dataplane_cold(d->dp, slot), sizeof(*cold));
		if (!is_tenant(d, slot, hot->tag, false))
			return;
	}
	if (s->gen != gen && ((!s->gen && s->settled == gen) || !let_go_of(d, slot, s)))
		return;
	save(d, s);
	if (s->gen != gen) {
		*s = (struct shadow){.gen = gen};
		if (d->dropped)
			dropped_begin(d->dropped, slot);
	}
	delta_from(m, s, hot, cold);
	m->flow_ref = &s->flow_ref;
	m->did = new_did(d, i) ? &d->did[d->n] : NULL;
	/* Twice: a store of the cold half may have been on its way when the count was read. */
	s->cold_settled = lone || (s->cold_changes == hot->cold_changes && !cold->l7_gap);
	s->cold_changes = hot->cold_changes;
	d->stats.entries++;
	d->n++;
}

/* Has the cold half nothing new to say? */
static bool is_settled(const struct shadow *s, const struct flow_hot *hot)
{
	return s->cold_settled && s->gen == (hot->tag & GEN_MASK) &&
	       s->cold_changes == hot->cold_changes && s->flow_ref;
}

/* An entry by its hot half alone. False: its flow is not known any more. */
static bool read_hot(struct drain *d, struct shadow *s, const struct flow_hot *hot, bool policed)
{
	struct merge_delta m = {.hot = hot, .flow_ref = &s->flow_ref};

	if (lone_syn_is(hot))
		return true; /* still */
	for (int i = 0; i < 2; i++) {
		m.packets[i] = hot->packets[i] - s->packets[i];
		m.bytes[i] = m.packets[i] ? hot->bytes[i] - s->bytes[i] : 0;
	}
	if (!(m.packets[0] | m.packets[1]) && (!policed || merge_knows(d->merge, &m)))
		return true; /* seen by the scan before, which began after its last packet */
	if (!merge_known(d->merge, &m))
		return false;
	save(d, s);
	for (int i = 0; i < 2; i++) {
		s->bytes[i] += m.bytes[i];
		s->packets[i] = hot->packets[i];
	}
	d->stats.entries++;
	return true;
}

/* The entry has been merged by its hot half. */
static void read_did(struct drain *d, unsigned int i)
{
	struct merge_delta m = {.hot = &d->hot[i], .flow_ref = &d->shadow[d->slot[i]].flow_ref};

	if (!new_did(d, i))
		return;
	m.did = &d->did[d->n];
	merge_known_did(d->merge, &m);
}

static void read_taken(struct drain *d)
{
	if (d->taken)
		d->packet_ns = packet_clock(d);
	for (unsigned int i = 0; i < d->taken; i++) {
		const struct shadow *s = &d->shadow[d->slot[i]];
		const char *cold = (const char *)dataplane_cold(d->dp, d->slot[i]);

		if (is_settled(s, &d->hot[i])) {
			merge_prefetch(d->merge, s->flow_ref);
			continue;
		}
		if (lone_syn_is(&d->hot[i]))
			continue;
		for (size_t line = 0; line < sizeof(struct flow_cold); line += 64)
			__builtin_prefetch(cold + line);
	}
	for (unsigned int i = 0; i < d->taken; i++) {
		struct shadow *s = &d->shadow[d->slot[i]];

		if (!is_settled(s, &d->hot[i]) || !read_hot(d, s, &d->hot[i], d->is_policed[i]))
			read_full(d, i);
		else if (d->is_policed[i])
			read_did(d, i);
	}
	d->taken = 0;
	flush(d, false);
	consistent(d);
	/* the rings go on filling during a long scan */
	if (is_filling(&d->dp->evicted) || is_filling(&d->dp->events))
		drain_rings(d);
}

static void take_slot(struct drain *d, uint32_t slot, uint64_t tag)
{
	const struct flow_hot *h = dataplane_hot(d->dp, slot);
	struct flow_hot *hot = &d->hot[d->taken];
	bool lone = is_lone(h);

	__builtin_prefetch(&d->shadow[slot], 1);
	d->is_policed[d->taken] = d->dropped &&
				  dropped_copy(d->dropped, h, slot, &d->policed[d->taken]);
	memcpy(hot, h, sizeof(*hot));
	/* a packet at work adds its bytes first: read after the packets they are never behind them,
	 * so that what is missing comes with a packet count that has changed
	 */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	hot->bytes[0] = __atomic_load_n(&h->bytes[0], __ATOMIC_RELAXED);
	hot->bytes[1] = __atomic_load_n(&h->bytes[1], __ATOMIC_RELAXED);
	if (!is_tenant(d, slot, tag, lone))
		return;
	d->slot[d->taken++] = slot;
	if (d->taken == BATCH)
		read_taken(d);
}

/* Entries untouched since before the last scan began hold nothing new. */
static bool untouched(const struct flow_hot *h, uint32_t since)
{
	if (is_lone(h))
		return (int32_t)(h->last[lone_syn_dir(h)] - since) < 0;
	return (!h->packets[0] || (int32_t)(h->last[0] - since) < 0) &&
	       (!h->packets[1] || (int32_t)(h->last[1] - since) < 0);
}

static void scan_slots(struct drain *d, uint32_t since, bool all)
{
	const struct dataplane *dp = d->dp;

	for (size_t slot = 0; slot < dp->slots; slot++) {
		const struct flow_hot *h = dataplane_hot(dp, slot);
		uint64_t tag;

		__builtin_prefetch(h + PREFETCH);
		tag = __atomic_load_n(&h->tag, __ATOMIC_ACQUIRE);
		if (!tag || (!all && untouched(h, since)))
			continue;
		take_slot(d, slot, tag);
	}
	read_taken(d);
}

/* @rows: also what was dropped before it was in a flow. */
static void scan(struct drain *d, const struct clock *c, bool rows)
{
	/* a slot that changed hands is read by the scan after the one that finds out */
	unsigned int delay = d->ledger ? 1 : 0;
	uint32_t start = c->now_tick;

	d->left = 1;
	if (!drain_evicted_all(d))
		return; /* the totals kept for them are needed yet; the next scan does it all */
	d->left = 0;
	d->orphans = 0;
	/* since the scan before the last: a packet may have been on its way for a while */
	scan_slots(d, d->scan_tick[1 - delay], d->since_ever || d->stats.scans < 2 + delay);
	d->stats.scans++;
	drain_rings(d);
	if (d->dropped && rows)
		dropped_rows(d->dropped, d->merge, c);
	release(d); /* what a slot may be taken over for must not be read once more */
	if (d->stats.scans >= 2 + delay) {
		d->dp->control->reap_before = d->scan_tick[2 - delay];
		__atomic_store_n(&d->dp->control->reap_valid, 1, __ATOMIC_RELEASE);
	}
	d->scan_tick[0] = d->scan_tick[1];
	d->scan_tick[1] = d->scan_tick[2];
	d->scan_tick[2] = start;
}

void drain_scan(struct drain *d, const struct clock *c)
{
	scan(d, c, true);
}

void drain_look(struct drain *d, const struct clock *c)
{
	scan(d, c, false);
}

void drain_rest(struct drain *d, const struct clock *c)
{
	for (int i = 0; i < 3 && d->left; i++)
		drain_scan(d, c);
}

bool drain_to_the_end(struct drain *d, const struct clock *c)
{
	uint64_t scans = d->stats.scans + 3;

	/* a slot that changed hands is read by the scan after the one that finds out */
	d->since_ever = true;
	for (int i = 0; i < 6 && d->stats.scans < scans; i++)
		drain_scan(d, c);
	d->since_ever = false;
	return d->stats.scans >= scans;
}
