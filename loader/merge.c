// SPDX-License-Identifier: Apache-2.0
/*
 * merge.c - absorb deltas of cache entries into flow states; see merge.h.
 *
 * Deltas are taken in batches, in three passes: prefetch the state (or its place in the table),
 * prefetch what the place points to, absorb. At a million flows the price is cache lines.
 */
#include "loader/merge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "loader/merge_int.h"

#define BATCH 32u

const struct merge_cfg merge_cfg_default = {
	.max_flows = 262144,
	.names_bytes = UINT64_C(64) << 20,
	.active_ns = UINT64_C(60000000000),
	.idle_ns = UINT64_C(15000000000),
	.syn_ns = UINT64_C(5000000000),
};

/* Ticks of one entry, all 64 bits, over both directions. */
struct span {
	uint64_t first;
	uint64_t last;
};

static inline bool dir_used(const struct merge_delta *d, int dir)
{
	/* hot->packets may have come round to 0 in a very long flow */
	return d->hot->packets[dir] || d->packets[dir];
}

/* Has nothing of this entry been read before? */
static inline bool delta_fresh(const struct merge_delta *d)
{
	return d->packets[0] == d->hot->packets[0] && d->packets[1] == d->hot->packets[1];
}

static struct span delta_span(const struct merge *m, const struct merge_delta *d)
{
	struct span s = {UINT64_MAX, 0};

	for (int dir = 0; dir < 2; dir++) {
		uint64_t first, last;

		if (!dir_used(d, dir))
			continue;
		first = clock_unwrap(m->cfg.clock, d->cold->first[dir]);
		last = clock_unwrap(m->cfg.clock, d->hot->last[dir]);
		s.first = first < s.first ? first : s.first;
		s.last = last > s.last ? last : s.last;
	}
	if (s.first > s.last)
		s.first = s.last;
	return s;
}

void state_init(struct flow_state *st, const struct flow_key *key)
{
	memset(st, 0, sizeof(*st));
	st->flags = FS_LIVE;
	st->key = *key;
	st->ttl_min[0] = st->ttl_min[1] = UINT8_MAX;
}

/* Both entries saw first packets alone. 1: this one's was first; a tie in one tick is noted. Of two
 * in one tick, one may have seen the answer and then more of what was asked, the other the question:
 * that it saw both directions is the weakest evidence, see settle_tie().
 */
static int first_seen_wins(struct flow_state *st, const struct merge_delta *d, uint64_t first,
			   bool both)
{
	uint64_t had = state_first(st);
	bool had_both = st->flags & FS_BOTH;

	if (first != had)
		return first < had;
	if (d->cold->init_dir == st->init_dir)
		return both && !had_both;
	st->flags |= FS_TIE;
	if (both && had_both)
		st->flags &= (uint8_t)~FS_BOTH;
	return both && !had_both;
}

/* Which side began? See enum init_why: better evidence wins; of two that were merely first seen,
 * the earlier; where two differ in the same tick, it is settled in the record.
 */
static void absorb_initiator(struct flow_state *st, const struct merge_delta *d, uint64_t first)
{
	const struct flow_cold *c = d->cold;
	bool none = !(st->flags & (FS_SEEN0 | FS_SEEN1));
	bool both = dir_used(d, 0) && dir_used(d, 1);
	bool earlier = none || first < state_first(st) || c->init_why > st->init_why;

	if (st->flags & FS_REPORTED)
		return;
	if (!none && c->init_why < st->init_why)
		return;
	if (!none && c->init_why == st->init_why &&
	    (c->init_why != INIT_FIRST_SEEN || !first_seen_wins(st, d, first, both)))
		return;
	st->init_dir = c->init_dir & 1;
	st->init_why = c->init_why;
	if (earlier)
		st->flags &= (uint8_t)~FS_TIE;
	st->flags &= (uint8_t)~FS_BOTH;
	if (both)
		st->flags |= FS_BOTH;
}

/* What the hot half tells of a direction. */
static void absorb_counts(struct merge *m, struct flow_state *st, const struct merge_delta *d,
			  int dir)
{
	const struct flow_hot *h = d->hot;
	uint64_t last = clock_unwrap(m->cfg.clock, h->last[dir]);
	uint8_t seen = dir ? FS_SEEN1 : FS_SEEN0;

	if (!(st->flags & seen) || last >= st->last[dir]) {
		st->last[dir] = last;
		st->dscp[dir] = h->dscp[dir];
	}
	if (!(st->flags & seen))
		state_sighted(m, st, dir);
	st->flags |= seen;
	st->bytes[dir] += d->bytes[dir];
	st->packets[dir] += d->packets[dir];
	st->tcp_flags[dir] |= h->tcp_flags[dir];
}

static void absorb_dir(struct merge *m, struct flow_state *st, const struct merge_delta *d, int dir)
{
	const struct flow_cold *c = d->cold;
	uint8_t seen = dir ? FS_SEEN1 : FS_SEEN0;
	uint64_t first, last;

	/* An old entry's first packet may be further back than ticks reach: it was read before. */
	if (!(st->flags & seen) || delta_fresh(d)) {
		first = clock_unwrap(m->cfg.clock, c->first[dir]);
		last = clock_unwrap(m->cfg.clock, d->hot->last[dir]);
		if (first > last)
			first = last;
		if (!(st->flags & seen) || first < st->first[dir])
			st->first[dir] = first;
	}
	absorb_counts(m, st, d, dir);
	if (c->ttl_min[dir] < st->ttl_min[dir])
		st->ttl_min[dir] = c->ttl_min[dir];
	if (c->ttl_max[dir] > st->ttl_max[dir])
		st->ttl_max[dir] = c->ttl_max[dir];
}

/* Handshake and first payload: each packet was seen on one CPU, its entry alone knows. */
static void absorb_times(struct flow_state *st, const struct flow_cold *c)
{
	const uint64_t ns[_NS_MAX] = {c->syn_ns, c->synack_ns, c->ack_ns, c->payload_ns[0],
				      c->payload_ns[1]};

	for (unsigned int i = 0; i < _NS_MAX; i++) {
		if (!ns[i])
			continue;
		if (st->ns_known & 1u << i && st->ns[i] <= ns[i])
			continue;
		/* The ACK that ends the handshake comes after the SYN-ACK; the earliest of each counts. */
		st->ns[i] = ns[i];
		st->ns_known |= (uint8_t)(1u << i);
	}
}

static inline uint8_t times_known(const struct flow_cold *c)
{
	return (uint8_t)((c->syn_ns != 0) | (c->synack_ns != 0) << 1 | (c->ack_ns != 0) << 2 |
			 (c->payload_ns[0] != 0) << 3 | (c->payload_ns[1] != 0) << 4);
}

void state_absorb(struct merge *m, struct flow_state *st, const struct merge_delta *d)
{
	const struct flow_cold *c = d->cold;

	if (delta_fresh(d) || !(st->flags & (FS_SEEN0 | FS_SEEN1)))
		absorb_initiator(st, d, delta_span(m, d).first);
	for (int dir = 0; dir < 2; dir++) {
		if (!dir_used(d, dir))
			continue;
		absorb_dir(m, st, d, dir);
		/* What had begun may have turned out to be nothing: the entry that goes on knows. */
		if (d->packets[dir]) {
			st->l7_gap &= (uint8_t) ~(L7_OPEN_0 << dir);
			st->l7_gap |= c->l7_gap & L7_OPEN_0 << dir;
		}
		st->retransmits[dir] += d->retransmits[dir];
		st->out_of_order[dir] += d->out_of_order[dir];
		st->zero_windows[dir] += d->zero_windows[dir];
	}
	if ((times_known(c) & ~st->ns_known) || delta_fresh(d))
		absorb_times(st, c);
	if (c->sampling > st->sampling)
		st->sampling = c->sampling;
	st->l7_gap |= c->l7_gap & (L7_LOST_0 | L7_LOST_1);
	st->fp = d->hot->tag >> WEIR_TAG_GEN_BITS;
	m->stats.entries++;
	if (!(st->flags & FS_CLOSING) && state_closed(st))
		merge_closing(m, st);
}

/* The entry was read before, but its flow is not known any more (written and forgotten for lack of
 * room or for idleness): the record that now begins must not reach back into the one written.
 */
static void begin_in_the_middle(struct merge *m, struct flow_state *st, const struct merge_delta *d)
{
	uint64_t last = delta_span(m, d).last;
	uint64_t from = last;

	if ((uint64_t)d->packets[0] + d->packets[1] != 1 && m->prev_tick < last)
		from = m->prev_tick;
	for (int dir = 0; dir < 2; dir++) {
		if (st->first[dir] < from)
			st->first[dir] = from < st->last[dir] ? from : st->last[dir];
	}
}

/* Latest sign that the connection of @st got beyond its handshake, ns; 0 = none. */
static uint64_t state_progress(const struct flow_state *st)
{
	uint64_t t = 0;

	for (int i = NS_ACK; i <= NS_PAYLOAD1; i++) {
		if (st->ns_known & 1u << i && st->ns[i] > t)
			t = st->ns[i];
	}
	return t;
}

/* Does a new entry begin another connection of the same key? 0 = no, else how @st ended. */
static enum flow_reason entry_begins_anew(const struct merge *m, const struct flow_state *st,
					  const struct merge_delta *d, const struct span *s)
{
	uint64_t hs = d->cold->syn_ns ? d->cold->syn_ns : d->cold->synack_ns;
	uint64_t progress;

	if (!(st->flags & (FS_SEEN0 | FS_SEEN1)) || !delta_fresh(d))
		return 0;
	if (s->first > state_last(st) + m->idle)
		return FLOW_IDLE;
	if (!hs || !is_tcp(&st->key))
		return 0;
	if (state_closed(st) && s->first > state_last(st))
		return FLOW_END;
	progress = state_progress(st);
	return progress && hs > progress ? FLOW_END : 0;
}

/* Is it an entry of the connection before the one in @st? */
static bool entry_is_older(const struct merge *m, const struct flow_state *st,
			   const struct merge_delta *d, const struct span *s)
{
	uint64_t hs = d->cold->syn_ns ? d->cold->syn_ns : d->cold->synack_ns;
	uint64_t first = state_first(st);
	uint64_t st_hs;

	if (!(st->flags & (FS_SEEN0 | FS_SEEN1))) {
		/* Made for a name that the connection before can't have had. */
		bool opens = hs && delta_fresh(d) &&
			     !((d->hot->tcp_flags[0] | d->hot->tcp_flags[1]) & (TCP_FIN | TCP_RST));

		return st->older && s->last < st->first[0] && !opens;
	}
	if (st->flags & FS_REPORTED || s->last >= first)
		return false;
	if (first - s->last > m->idle)
		return true;
	st_hs = st->ns_known & 1u << NS_SYN	 ? st->ns[NS_SYN]
		: st->ns_known & 1u << NS_SYNACK ? st->ns[NS_SYNACK]
						 : 0;
	return hs && hs < st_hs &&
	       (d->hot->tcp_flags[0] | d->hot->tcp_flags[1]) & (TCP_FIN | TCP_RST);
}

/* A record at once, without a place in the table. */
static void emit_alone(struct merge *m, const struct merge_delta *d, enum flow_reason reason)
{
	struct flow_state st;

	state_init(&st, &d->cold->key);
	st.flags |= FS_CLOSING; /* on no list */
	state_absorb(m, &st, d);
	if (d->did)
		merge_did_absorb(m, &st, d->did);
	if (!delta_fresh(d))
		begin_in_the_middle(m, &st, d);
	m->stats.flows++;
	merge_emit(m, &st, reason, true);
}

static inline bool delta_lone_syn(const struct merge_delta *d)
{
	const struct flow_hot *h = d->hot;
	int dir = h->packets[1] != 0;

	return !h->packets[!dir] && d->cold->key.proto == 6 && delta_fresh(d) &&
	       (h->tcp_flags[dir] & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* The state this delta belongs to; NULL: it has become a record already. */
static struct flow_state *settle_state(struct merge *m, const struct merge_delta *d, uint32_t hash,
				       bool final)
{
	const struct flow_key *key = &d->cold->key;
	uint32_t ref = merge_find(m, key, hash);
	struct flow_state *st, *older;
	enum flow_reason ended;
	struct span s;

	if (!ref) {
		/* where another interface may count the flow, or another tunnel have it, that must be
		 * known first
		 */
		if (final && delta_lone_syn(d) && !(d->hot->extra & EXTRA_MOVED) &&
		    (!m->sightings || sighting_counts_all(m->sightings, key)) &&
		    !(key->tun_type && merge_copies_possible(m))) {
			emit_alone(m, d, FLOW_EVICTED);
			return NULL;
		}
		return merge_insert(m, key, hash);
	}
	st = merge_state(m, ref);
	s = delta_span(m, d);
	if (entry_is_older(m, st, d, &s)) {
		older = st->older ? merge_state(m, st->older) : NULL;
		if (older && older->flags & FS_ENDED && !memcmp(&older->key, key, sizeof(*key)))
			return older;
		emit_alone(m, d, FLOW_END);
		return NULL;
	}
	ended = entry_begins_anew(m, st, d, &s);
	if (ended) {
		merge_replace(m, st, ended);
		st = merge_insert(m, key, hash);
		st->older = ref;
	}
	return st;
}

/* The state that the caller's reference names, if it is still that flow's. */
static inline struct flow_state *state_by_ref(const struct merge *m, const struct merge_delta *d)
{
	uint32_t ref = d->flow_ref ? *d->flow_ref : 0;
	struct flow_state *st;

	if (!ref || ref > m->slab_used)
		return NULL;
	st = merge_state(m, ref);
	if (st->fp != d->hot->tag >> WEIR_TAG_GEN_BITS ||
	    (st->flags & (FS_LIVE | FS_ENDED)) != FS_LIVE)
		return NULL;
	return st;
}

static void merge_one(struct merge *m, const struct merge_delta *d, uint32_t hash, bool final)
{
	struct flow_state *st = state_by_ref(m, d);
	bool blank;

	if (!(d->packets[0] | d->packets[1]) && !d->did)
		return; /* evicted with nothing new */
	if (!st) {
		if (d->flow_ref && *d->flow_ref) {
			*d->flow_ref = 0;
			hash = merge_hash(m, &d->cold->key);
		}
		st = settle_state(m, d, hash, final);
		if (!st)
			return;
	}
	blank = !(st->flags & (FS_SEEN0 | FS_SEEN1));
	state_save(m, st);
	state_absorb(m, st, d);
	if (d->did)
		merge_did_absorb(m, st, d->did);
	if (blank) {
		if (!delta_fresh(d))
			begin_in_the_middle(m, st, d);
		merge_schedule(m, st);
	}
	if (st->key.tun_type && m->copies)
		merge_copies_absorb(m, st, d, true);
	if (d->flow_ref)
		*d->flow_ref = st->flags & FS_ENDED ? 0 : merge_ref(m, st);
	if (m->changed)
		merge_note(m, st);
}

bool merge_known(struct merge *m, const struct merge_delta *d)
{
	struct flow_state *st = state_by_ref(m, d);

	if (!st)
		return false;
	for (int dir = 0; dir < 2; dir++)
		if (d->packets[dir] && !(st->flags & (dir ? FS_SEEN1 : FS_SEEN0)))
			return false;
	state_save(m, st);
	for (int dir = 0; dir < 2; dir++) {
		if (!d->packets[dir])
			continue;
		absorb_counts(m, st, d, dir);
		st->l7_gap &= (uint8_t) ~(L7_OPEN_0 << dir);
	}
	if (st->did & FD_TWIN)
		merge_copies_absorb(m, st, d, false);
	m->stats.entries++;
	if (!(st->flags & FS_CLOSING) && state_closed(st))
		merge_closing(m, st);
	if (m->changed)
		merge_note(m, st);
	return true;
}

bool merge_knows(const struct merge *m, const struct merge_delta *d)
{
	return state_by_ref(m, d);
}

bool merge_known_did(struct merge *m, const struct merge_delta *d)
{
	struct flow_state *st = state_by_ref(m, d);

	if (!st)
		return false;
	state_save(m, st);
	merge_did_absorb(m, st, d->did);
	return true;
}

void merge_prefetch(const struct merge *m, uint32_t flow_ref)
{
	const char *st = (const char *)merge_state(m, flow_ref);

	__builtin_prefetch(st, 1);
	__builtin_prefetch(st + 64, 1);
}

static void merge_batch(struct merge *m, const struct merge_delta *d, unsigned int n, bool final)
{
	uint32_t hash[BATCH];

	for (unsigned int i = 0; i < n; i++) {
		uint32_t ref = d[i].flow_ref ? *d[i].flow_ref : 0;

		hash[i] = 0;
		if (ref && ref <= m->slab_used) {
			merge_prefetch(m, ref);
			continue;
		}
		hash[i] = merge_hash(m, &d[i].cold->key);
		__builtin_prefetch(&m->table[hash[i] & m->table_mask]);
	}
	for (unsigned int i = 0; i < n; i++) {
		uint32_t ref;

		if (d[i].flow_ref && *d[i].flow_ref)
			continue;
		ref = merge_find_hint(m, hash[i]);
		if (ref) {
			const char *st = (const char *)merge_state(m, ref);

			__builtin_prefetch(st, 1);
			__builtin_prefetch(st + 64, 1);
			__builtin_prefetch(st + 128, 1);
		}
	}
	for (unsigned int i = 0; i < n; i++)
		merge_one(m, &d[i], hash[i], final);
}

void merge_entries(struct merge *m, const struct merge_delta *d, unsigned int n)
{
	for (unsigned int i = 0; i < n; i += BATCH)
		merge_batch(m, d + i, n - i < BATCH ? n - i : BATCH, false);
}

void merge_finals(struct merge *m, const struct merge_delta *d, unsigned int n)
{
	for (unsigned int i = 0; i < n; i += BATCH)
		merge_batch(m, d + i, n - i < BATCH ? n - i : BATCH, true);
}

int merge_new(const struct merge_cfg *cfg, struct merge **ret)
{
	struct merge *m;
	int r;

	if (!cfg->max_flows || cfg->max_flows > UINT32_C(1) << 30 || !cfg->clock ||
	    !cfg->clock->tick_ns || !cfg->emit || !cfg->active_ns || !cfg->idle_ns || !cfg->syn_ns)
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->cfg = *cfg;
	if (cfg->node) {
		size_t len = strnlen(cfg->node, sizeof(m->node) - 1);

		memcpy(m->node, cfg->node, len);
		m->cfg.node = m->node;
		m->node_len = (uint32_t)len;
	}
	if (getrandom(m->seed, sizeof(m->seed), 0) != sizeof(m->seed)) {
		free(m);
		return -EIO;
	}
	m->active = clock_ticks(cfg->clock, cfg->active_ns);
	m->idle = clock_ticks(cfg->clock, cfg->idle_ns);
	m->syn = clock_ticks(cfg->clock, cfg->syn_ns);
	r = merge_table_init(m) ?: merge_policy_init(m);
	if (r < 0) {
		merge_free(m);
		return r;
	}
	if (cfg->ledger) {
		merge_table_adopt(m);
		merge_copies_adopt(m);
	}
	*ret = m;
	return 0;
}

void merge_free(struct merge *m)
{
	if (!m)
		return;
	for (uint32_t ref = 1; ref <= m->slab_used; ref++) {
		struct flow_state *st = merge_state(m, ref);

		if (st->flags & FS_LIVE)
			merge_name_free(m, st);
	}
	merge_ignore_changes(m);
	merge_copies_done(m);
	merge_policy_done(m);
	merge_table_done(m);
	free(m);
}

void merge_on_end(struct merge *m,
		  int (*fn)(void *arg, const struct flow_key *key, struct name_result *ret),
		  void *arg)
{
	m->end_fn = fn;
	m->end_arg = arg;
}

void merge_use_sightings(struct merge *m, struct sightings *s)
{
	m->sightings = s;
	for (uint32_t ref = 1; ref <= m->slab_used; ref++) {
		const struct flow_state *st = merge_state(m, ref);

		for (int dir = 0; dir < 2; dir++)
			if (st->flags & FS_LIVE && st->flags & (dir ? FS_SEEN1 : FS_SEEN0))
				state_sighted(m, st, dir);
	}
}

uint32_t merge_flows(const struct merge *m)
{
	return m->live;
}

const struct merge_stats *merge_stats(const struct merge *m)
{
	return &m->stats;
}
