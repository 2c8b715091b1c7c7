// SPDX-License-Identifier: Apache-2.0
/*
 * merge_copies.c - packets that were mirrored more than once: flows of one conversation that differ in their tunnel
 * alone, and how much of each another one of them has counted.
 *
 * Flows with the same packets within stand in a ring. That tenants may have the same addresses is no proof: those of
 * a ring are copies when both have the same TCP sequence numbers, or, of other protocols, when the mirrored machines
 * are the two ends of the flow or their sources have shown the same TCP connection before. Copies form a group. Of
 * each direction it knows what has been counted: the largest of their totals. The first flow counts what comes
 * beyond that at once, so that it has no copies as a rule; another one when its record is written, and what is
 * not beyond it are copies. So all records together count the largest total, in whatever order they are written and
 * wherever packets were lost.
 *
 * A group is forgotten with its flows. What it takes to find it again is in the flows (FD_PROVEN, FD_FIRST), for a
 * process that goes on with them.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "loader/key_hash.h"
#include "loader/merge_int.h"
#include "loader/mirror_source.h"
#include "loader/pages.h"

#define RING_MAX 16u /* flows of one conversation; further ones are not looked at */
#define TOGETHER_NS \
	UINT64_C(2000000000) /* copies begin within this time, or one mirror was there before */
#define BASE_KNOWN(d) (4u << (d)) /* flow_cold.seq_known: base_seq is from a SYN */

/* Packets of direction 0 and 1, then their bytes. */
#define COUNTS 4u

/* Beside a flow's state. */
struct copy {
	uint32_t next;	     /* in the chain: only one of the ring is in it */
	uint32_t twin, prev; /* the ring; 0: in none */
	uint32_t group;	     /* 0: none */
	uint32_t source;     /* mirror_source_flow() */
	uint32_t base[2];    /* of TCP: sequence numbers of the first byte, and of the next */
	uint32_t seq[2];
	uint8_t base_known; /* bit per direction */
	uint8_t seq_known;
	uint8_t pad[2];
	uint64_t total[COUNTS]; /* since the group was made */
	uint64_t copied
		[COUNTS]; /* of the group's first: those of them that are copies, since the last record */
};

struct copy_group {
	uint64_t counted[COUNTS];
	uint64_t began; /* tick of the first packet; 0: not known */
	uint32_t first; /* the flow that counts at once */
	uint32_t next_free;
};

struct copies {
	struct mirror_sources *sources;
	uint64_t seed[2];
	uint32_t *chain;
	uint32_t mask;
	uint32_t max_groups;
	struct copy *of; /* by reference */
	struct copy_group *group;
	uint32_t groups; /* ever used; 0 is none */
	uint32_t free_group;
	size_t chain_bytes, of_bytes, group_bytes;
	uint64_t together; /* ticks */
};

/* Chains for so many flows: 64 at least, a power of two. */
static uint32_t chains_for(uint32_t max_flows)
{
	return max_flows <= 64 ? 64 : UINT32_C(1) << (32 - __builtin_clz(max_flows - 1));
}

uint64_t merge_copies_memory(uint32_t max_flows, uint32_t live)
{
	return chains_for(max_flows) * sizeof(uint32_t) +
	       (uint64_t)live * (sizeof(struct copy) + sizeof(struct copy_group) / 2);
}

void merge_copies_done(struct merge *m)
{
	struct copies *c = m->copies;

	if (!c)
		return;
	pages_unmap(c->chain, c->chain_bytes);
	pages_unmap(c->of, c->of_bytes);
	pages_unmap(c->group, c->group_bytes);
	mirror_sources_free(c->sources);
	free(c);
	m->copies = NULL;
}

/* With the first flow in a tunnel. No memory: copies are not found. */
static bool begin(struct merge *m)
{
	struct copies *c;

	if (m->copies || m->no_copies)
		return m->copies;
	m->no_copies = true;
	c = m->copies = calloc(1, sizeof(*c));
	if (!c)
		return false;
	c->mask = chains_for(m->cfg.max_flows) - 1;
	c->max_groups = m->cfg.max_flows / 2 + 1;
	c->chain_bytes = ((size_t)c->mask + 1) * sizeof(*c->chain);
	c->of_bytes = ((size_t)m->cfg.max_flows + 1) * sizeof(*c->of);
	c->group_bytes = ((size_t)c->max_groups + 1) * sizeof(*c->group);
	c->chain = pages_map(c->chain_bytes);
	c->of = pages_map(c->of_bytes);
	c->group = pages_map(c->group_bytes);
	c->together = clock_ticks(m->cfg.clock, TOGETHER_NS);
	if (!c->chain || !c->of || !c->group || mirror_sources_new(&c->sources) ||
	    getrandom(c->seed, sizeof(c->seed), 0) != sizeof(c->seed)) {
		merge_copies_done(m);
		return false;
	}
	return true;
}

/* ---- the ring ---- */

/* Of a flow's key, what is of the packets within. */
static struct flow_key inner_of(const struct flow_key *key)
{
	struct flow_key k = *key;

	memset(k.tun_src, 0, sizeof(k.tun_src));
	k.vni = k.ifindex = k.netns = 0;
	k.vlan[0] = k.vlan[1] = 0;
	k.tun_type = 0;
	return k;
}

static uint32_t *chain_of(const struct copies *c, const struct flow_key *inner)
{
	return &c->chain[key_hash_user(inner, c->seed) & c->mask];
}

/* The link to the one of its ring that is in the chain; what it holds is 0 where there is no ring. */
static uint32_t *find(const struct merge *m, const struct flow_key *inner)
{
	uint32_t *at = chain_of(m->copies, inner);

	for (; *at; at = &m->copies->of[*at].next) {
		const struct flow_key k = inner_of(&merge_state(m, *at)->key);

		if (!memcmp(&k, inner, sizeof(k)))
			break;
	}
	return at;
}

static unsigned int ring_length(const struct copies *c, uint32_t ref)
{
	unsigned int n = 1;

	for (uint32_t at = c->of[ref].twin; at != ref; at = c->of[at].twin)
		n++;
	return n;
}

static void set_did(struct merge *m, uint32_t ref, uint8_t flags)
{
	struct flow_state *st = merge_state(m, ref);

	if ((st->did & flags) == flags)
		return;
	state_save(m, st);
	st->did |= flags;
}

static void clear_did(struct merge *m, uint32_t ref, uint8_t flags)
{
	struct flow_state *st = merge_state(m, ref);

	if (!(st->did & flags))
		return;
	state_save(m, st);
	st->did &= (uint8_t)~flags;
}

void merge_copies_insert(struct merge *m, struct flow_state *st)
{
	const uint32_t ref = merge_ref(m, st);
	struct copies *c;
	struct flow_key inner;
	uint32_t *at;

	if (!is_ip(&st->key) || !begin(m))
		return;
	c = m->copies;
	inner = inner_of(&st->key);
	at = find(m, &inner);
	c->of[ref] = (struct copy){.twin = ref, .prev = ref};
	c->of[ref].source = mirror_source_flow(c->sources, &st->key);
	if (!*at) {
		*at = ref;
		return;
	}
	if (ring_length(c, *at) >= RING_MAX) {
		c->of[ref].twin = 0;
		return;
	}
	c->of[ref].twin = c->of[*at].twin;
	c->of[ref].prev = *at;
	c->of[c->of[ref].twin].prev = ref;
	c->of[*at].twin = ref;
	set_did(m, ref, FD_TWIN);
	set_did(m, *at, FD_TWIN);
}

/* ---- the group ---- */

static void counts_of(const struct flow_state *st, uint64_t ret[COUNTS])
{
	for (unsigned int d = 0; d < 2; d++) {
		ret[d] = st->packets[d];
		ret[2 + d] = st->bytes[d];
	}
}

static struct copy_group *group_of(const struct copies *c, uint32_t ref)
{
	return &c->group[c->of[ref].group];
}

static bool counts_first(const struct copies *c, uint32_t ref)
{
	return group_of(c, ref)->first == ref;
}

/* How far it is ahead of what has been counted; never more than what its next record would have. */
static uint64_t beyond(const struct copies *c, uint32_t ref, unsigned int i)
{
	const uint64_t total = c->of[ref].total[i], counted = group_of(c, ref)->counted[i];

	return total > counted ? total - counted : 0;
}

/* Of what its next record would have, how much are copies. */
static void copied_of(const struct merge *m, uint32_t ref, uint64_t ret[COUNTS])
{
	const struct copies *c = m->copies;

	if (counts_first(c, ref)) {
		memcpy(ret, c->of[ref].copied, sizeof(c->of[ref].copied));
		return;
	}
	counts_of(merge_state(m, ref), ret);
	for (unsigned int i = 0; i < COUNTS; i++) {
		const uint64_t more = beyond(c, ref, i);

		ret[i] = ret[i] > more ? ret[i] - more : 0; /* another interface may have it */
	}
}

/* What is beyond is counted now. */
static void claim(struct copies *c, uint32_t ref)
{
	struct copy_group *g = group_of(c, ref);

	for (unsigned int i = 0; i < COUNTS; i++)
		g->counted[i] += beyond(c, ref, i);
}

/* Another one counts at once from now on. What it is behind was lost on its way, or was never mirrored there: the
 * one before has been silent or has ended, nothing is on its way any more.
 */
static void make_first(struct merge *m, uint32_t ref)
{
	struct copies *c = m->copies;
	struct copy *x = &c->of[ref];
	struct copy_group *g = &c->group[x->group];

	copied_of(m, ref, x->copied);
	claim(c, ref);
	memcpy(x->total, g->counted, sizeof(x->total));
	g->first = ref;
	set_did(m, ref, FD_FIRST);
}

/* Another one of the group; 0: there is none. */
static uint32_t other_of(const struct copies *c, uint32_t ref)
{
	for (uint32_t at = c->of[ref].twin; at != ref; at = c->of[at].twin)
		if (c->of[at].group == c->of[ref].group)
			return at;
	return 0;
}

static void leave(struct merge *m, uint32_t ref)
{
	struct copies *c = m->copies;
	struct copy *x = &c->of[ref];
	const uint32_t group = x->group;
	uint32_t other;

	if (!group)
		return;
	other = other_of(c, ref);
	if (!other) {
		c->group[group].next_free = c->free_group;
		c->free_group = group;
	} else if (counts_first(c, ref)) {
		make_first(m, other);
	}
	x->group = 0;
}

/* The next one of its ring, if there is one, takes its place in the chain. */
static void unchain(struct merge *m, uint32_t ref)
{
	const struct flow_key inner = inner_of(&merge_state(m, ref)->key);
	struct copy *x = &m->copies->of[ref];
	uint32_t *at = find(m, &inner);

	if (*at != ref)
		return;
	*at = x->twin == ref ? x->next : x->twin;
	if (x->twin != ref)
		m->copies->of[x->twin].next = x->next;
}

void merge_copies_remove(struct merge *m, struct flow_state *st)
{
	const uint32_t ref = merge_ref(m, st);
	struct copies *c = m->copies;
	struct copy *x = &c->of[ref];

	if (!x->twin)
		return;
	leave(m, ref);
	unchain(m, ref);
	c->of[x->prev].twin = x->twin;
	c->of[x->twin].prev = x->prev;
	*x = (struct copy){};
}

static uint32_t new_group(struct copies *c)
{
	uint32_t g = c->free_group;

	if (g)
		c->free_group = c->group[g].next_free;
	else if (c->groups < c->max_groups)
		g = ++c->groups;
	else
		return 0;
	c->group[g] = (struct copy_group){};
	return g;
}

/* The one that counts at once. What earlier records had is in no total: then nobody is ahead. */
static void found(struct merge *m, uint32_t ref, uint32_t group)
{
	const struct flow_state *st = merge_state(m, ref);
	struct copy *x = &m->copies->of[ref];
	struct copy_group *g = &m->copies->group[group];

	x->group = group;
	g->first = ref;
	g->began = st->flags & FS_REPORTED ? 0 : state_first(st);
	counts_of(st, x->total);
	memcpy(g->counted, x->total, sizeof(g->counted));
	memset(x->copied, 0, sizeof(x->copied));
	set_did(m, ref, FD_PROVEN | FD_FIRST);
}

static bool began_together(const struct copies *c, const struct copy_group *g,
			   const struct flow_state *st)
{
	const uint64_t first = state_first(st);

	return g->began && !(st->flags & FS_REPORTED) && first <= g->began + c->together &&
	       g->began <= first + c->together;
}

static void join(struct merge *m, uint32_t ref, uint32_t group)
{
	const struct flow_state *st = merge_state(m, ref);
	struct copy *x = &m->copies->of[ref];
	const struct copy_group *g = &m->copies->group[group];

	x->group = group;
	memcpy(x->total, g->counted, sizeof(x->total));
	if (began_together(m->copies, g, st))
		counts_of(st, x->total);
	clear_did(m, ref, FD_FIRST);
	set_did(m, ref, FD_PROVEN);
}

/* ---- what is a copy of what ---- */

static bool mirrors_end(const struct flow_key *k, unsigned int end)
{
	return !memcmp(k->tun_src, k->addr[end], sizeof(k->tun_src));
}

/* Two flows of a ring, TCP: 1 the same connection, 0 not, or not known. */
static bool same_connection(const struct copy *a, const struct copy *b)
{
	const uint8_t base = a->base_known & b->base_known, seq = a->seq_known & b->seq_known;

	for (unsigned int d = 0; d < 2; d++)
		if (base & 1u << d)
			return a->base[d] == b->base[d];
	for (unsigned int d = 0; d < 2; d++)
		if (seq & 1u << d && a->seq[d] == b->seq[d])
			return true;
	return false;
}

static bool is_copy(struct merge *m, uint32_t a, uint32_t b)
{
	const struct flow_state *x = merge_state(m, a), *y = merge_state(m, b);
	struct copies *c = m->copies;

	if (y->flags & FS_ENDED || !(y->flags & (FS_SEEN0 | FS_SEEN1)) ||
	    state_first(x) > state_last(y) + m->idle || state_first(y) > state_last(x) + m->idle)
		return false;
	if (x->did & y->did & FD_PROVEN)
		return true; /* a process before has found that: @a has no group yet */
	if (is_tcp(&x->key))
		return same_connection(&c->of[a], &c->of[b]);
	return mirror_sources_joined(c->sources, c->of[a].source, c->of[b].source) ||
	       (mirrors_end(&x->key, 0) && mirrors_end(&y->key, 1)) ||
	       (mirrors_end(&x->key, 1) && mirrors_end(&y->key, 0));
}

/* @b may have a group. */
static void put_together(struct merge *m, uint32_t a, uint32_t b)
{
	struct copies *c = m->copies;
	uint32_t group = c->of[b].group;

	mirror_sources_join(c->sources, c->of[a].source, c->of[b].source);
	if (group) {
		join(m, a, group);
		return;
	}
	group = new_group(c);
	if (!group)
		return;
	if (merge_state(m, a)->did & FD_FIRST) {
		found(m, a, group);
		join(m, b, group);
	} else {
		found(m, b, group);
		join(m, a, group);
	}
}

static void look_for_copies(struct merge *m, uint32_t ref)
{
	const struct copies *c = m->copies;

	for (uint32_t at = c->of[ref].twin; at != ref; at = c->of[at].twin) {
		if (!is_copy(m, ref, at))
			continue;
		put_together(m, ref, at);
		return;
	}
}

static void note_sequence(struct copy *x, const struct merge_delta *d, bool cold)
{
	for (unsigned int dir = 0; dir < 2; dir++) {
		if (!d->packets[dir])
			continue;
		x->seq[dir] = d->hot->next_seq[dir];
		x->seq_known |= (uint8_t)(1u << dir);
		if (!cold || !(d->cold->seq_known & BASE_KNOWN(dir)))
			continue;
		x->base[dir] = d->cold->base_seq[dir];
		x->base_known |= (uint8_t)(1u << dir);
	}
}

void merge_copies_absorb(struct merge *m, struct flow_state *st, const struct merge_delta *d,
			 bool cold)
{
	const uint32_t ref = merge_ref(m, st);
	struct copies *c = m->copies;
	struct copy *x;

	if (!c || st->flags & FS_ENDED || !c->of[ref].twin)
		return;
	x = &c->of[ref];
	if (!x->group) {
		note_sequence(x, d, cold);
		if (st->did & FD_TWIN)
			look_for_copies(m, ref); /* what it takes then has this delta in it */
		return;
	}
	for (unsigned int i = 0; i < COUNTS; i++) {
		const uint64_t more = i < 2 ? d->packets[i] : d->bytes[i - 2];

		x->total[i] += more;
		if (counts_first(c, ref))
			x->copied[i] += more - beyond(c, ref, i);
	}
	if (counts_first(c, ref))
		claim(c, ref);
}

bool merge_copies_possible(const struct merge *m)
{
	return m->copies && mirror_sources_n(m->copies->sources) > 1;
}

void merge_copies_look(struct merge *m, struct flow_state *st)
{
	const uint32_t ref = merge_number(m, st);

	if (ref && m->copies && !(st->flags & FS_ENDED) && m->copies->of[ref].twin &&
	    !m->copies->of[ref].group)
		look_for_copies(m, ref);
}

/* ---- records ---- */

void merge_copies_fill(struct merge *m, uint32_t ref, const struct flow_state *st,
		       struct flow_record *r)
{
	uint64_t copied[COUNTS];

	if (!m->copies || !m->copies->of[ref].group)
		return;
	copied_of(m, ref, copied);
	for (unsigned int d = 0; d < 2; d++) {
		const bool in = d != st->init_dir;
		struct flow_dir *o = in ? &r->in : &r->out;

		if (!copied[d])
			continue;
		o->copied_packets = copied[d];
		o->copied_bytes = copied[2 + d];
		flow_set(r, in ? FF_IN_COPIED_PACKETS : FF_OUT_COPIED_PACKETS);
		flow_set(r, in ? FF_IN_COPIED_BYTES : FF_OUT_COPIED_BYTES);
	}
}

void merge_copies_reported(struct merge *m, const struct flow_state *st)
{
	const uint32_t ref = merge_number(m, st);
	struct copies *c = m->copies;
	uint64_t copied[COUNTS];

	if (!ref || !c || !c->of[ref].group)
		return;
	copied_of(m, ref, copied);
	m->stats.copied_packets += copied[0] + copied[1];
	m->stats.copied_bytes += copied[2] + copied[3];
	claim(c, ref);
	memset(c->of[ref].copied, 0, sizeof(c->of[ref].copied));
}

/* ---- a process that goes on ---- */

void merge_copies_adopt(struct merge *m)
{
	for (uint32_t ref = 1; ref <= m->slab_used; ref++) {
		struct flow_state *st = merge_state(m, ref);

		if ((st->flags & (FS_LIVE | FS_ENDED)) != FS_LIVE || !st->key.tun_type)
			continue;
		merge_copies_insert(m, st);
		if (m->copies && m->copies->of[ref].twin && st->did & FD_PROVEN)
			look_for_copies(m, ref);
	}
}

void merge_mirrored_fill(const struct merge *m, const struct flow_state *st, struct flow_record *r)
{
	const int end = mirror_source_end(m->copies ? m->copies->sources : NULL, &st->key);

	if (end < 0)
		return;
	r->direction = end == st->init_dir ? FLOW_EGRESS : FLOW_INGRESS;
	flow_set(r, FF_DIRECTION);
}
