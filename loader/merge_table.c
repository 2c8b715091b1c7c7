// SPDX-License-Identifier: Apache-2.0
/*
 * merge_table.c - where flow states live, and the table that finds one by key.
 *
 * States are in one mapping that the kernel backs page by page as flows come; a freed one is used
 * again first. The table is open-addressed with linear probing at half load at most; deletion moves
 * followers back, so there are no tombstones. The hash is keyed: nobody can aim at one place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "loader/key_hash.h"
#include "loader/merge_int.h"

static void *map_pages(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* Fewer TLB misses; where it is refused, small pages do. */
	(void)madvise(p, size, MADV_HUGEPAGE);
	return p;
}

static uint64_t places_for(uint32_t max_flows)
{
	uint64_t places = 64;

	while (places < (uint64_t)max_flows * 2)
		places *= 2;
	return places;
}

uint64_t merge_memory(uint32_t max_flows, uint32_t live)
{
	return places_for(max_flows) * sizeof(((struct merge *)0)->table[0]) +
	       (uint64_t)live * sizeof(struct flow_state);
}

int merge_table_init(struct merge *m)
{
	uint64_t places = places_for(m->cfg.max_flows);

	m->table_mask = (uint32_t)(places - 1);
	m->table = map_pages(places * sizeof(m->table[0]));
	m->slab = m->cfg.ledger ? (struct flow_state *)(void *)m->cfg.ledger->flows
				: map_pages((size_t)m->cfg.max_flows * sizeof(m->slab[0]));
	if (!m->table || !m->slab)
		return -ENOMEM;
	m->wheel_gran = clock_ticks(m->cfg.clock, UINT64_C(250000000));
	return 0;
}

void merge_table_done(struct merge *m)
{
	if (m->table)
		munmap(m->table, ((size_t)m->table_mask + 1) * sizeof(m->table[0]));
	if (m->slab && !m->cfg.ledger)
		munmap(m->slab, (size_t)m->cfg.max_flows * sizeof(m->slab[0]));
	for (unsigned int i = 0; i < WHEEL_BUCKETS; i++)
		free(m->wheel[i].v);
	free(m->closing.v);
	free(m->closing_old.v);
	free(m->ended.v);
}

static void adopt(struct merge *m, struct flow_state *st)
{
	uint32_t ref = merge_ref(m, st), i;

	st->names = NULL; /* of another process */
	m->live++;
	if (st->flags & FS_ENDED) {
		if (!ref_push(&m->ended, ref))
			m->sweep = true;
		return;
	}
	for (i = merge_hash(m, &st->key) & m->table_mask; m->table[i]; i = (i + 1) & m->table_mask)
		;
	m->table[i] = (uint64_t)merge_hash(m, &st->key) << 32 | ref;
	merge_schedule(m, st);
	if (st->flags & FS_CLOSING)
		merge_closing(m, st);
}

void merge_table_adopt(struct merge *m)
{
	for (uint32_t ref = m->cfg.max_flows; ref && !m->slab_used; ref--)
		if (merge_state(m, ref)->flags & FS_LIVE)
			m->slab_used = ref;
	for (uint32_t ref = m->slab_used; ref; ref--) {
		struct flow_state *st = merge_state(m, ref);

		if (st->flags & FS_LIVE) {
			adopt(m, st);
			continue;
		}
		st->next_free = m->free_head;
		m->free_head = ref;
	}
	m->prev_tick = m->cfg.ledger->now.tick;
	m->stats.elsewhere_packets = m->cfg.ledger->now.elsewhere_packets;
	m->stats.elsewhere_bytes = m->cfg.ledger->now.elsewhere_bytes;
}

static const struct flow_state *kept(const struct ledger *l, uint32_t i)
{
	return (const struct flow_state *)(const void *)l->flows + i;
}

uint32_t merge_flows_in(const struct ledger *l)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->head->max_flows; i++)
		n += kept(l, i)->flags & FS_LIVE;
	return n;
}

void merge_move_flows(struct ledger *to, const struct ledger *from)
{
	struct flow_state *st = (struct flow_state *)(void *)to->flows;
	size_t n = 0;

	for (uint32_t i = 0; i < from->head->max_flows; i++) {
		if (!(kept(from, i)->flags & FS_LIVE))
			continue;
		*st = *kept(from, i);
		st->older = 0; /* places are others now */
		memcpy(to->did + n * LEDGER_DID_BYTES, from->did + (size_t)i * LEDGER_DID_BYTES,
		       LEDGER_DID_BYTES);
		st++;
		n++;
	}
}

bool ref_push(struct ref_list *l, uint32_t ref)
{
	if (l->n == l->cap) {
		uint32_t cap = l->cap ? l->cap * 2 : 64;
		uint32_t *v = reallocarray(l->v, cap, sizeof(*v));

		if (!v)
			return false;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = ref;
	return true;
}

uint32_t merge_hash(const struct merge *m, const struct flow_key *key)
{
	return key_hash_user(key, m->seed);
}

static inline bool key_equal(const struct flow_key *a, const struct flow_key *b)
{
	uint64_t x[9], y[9], diff = 0;

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	for (int i = 0; i < 9; i++)
		diff |= x[i] ^ y[i];
	return !diff;
}

static inline uint32_t place_hash(uint64_t place)
{
	return (uint32_t)(place >> 32);
}

uint32_t merge_find_hint(const struct merge *m, uint32_t hash)
{
	for (uint32_t i = hash & m->table_mask; m->table[i]; i = (i + 1) & m->table_mask) {
		if (place_hash(m->table[i]) == hash)
			return (uint32_t)m->table[i];
	}
	return 0;
}

uint32_t merge_find(const struct merge *m, const struct flow_key *key, uint32_t hash)
{
	for (uint32_t i = hash & m->table_mask; m->table[i]; i = (i + 1) & m->table_mask) {
		uint32_t ref = (uint32_t)m->table[i];

		if (place_hash(m->table[i]) == hash && key_equal(&merge_state(m, ref)->key, key))
			return ref;
	}
	return 0;
}

struct flow_state *merge_insert(struct merge *m, const struct flow_key *key, uint32_t hash)
{
	struct flow_state *st;
	uint32_t i;

	if (!m->free_head && m->slab_used == m->cfg.max_flows)
		merge_evict_oldest(m);
	if (m->free_head) {
		st = merge_state(m, m->free_head);
		m->free_head = st->next_free;
	} else {
		st = &m->slab[m->slab_used++];
	}
	state_save(m, st);
	state_init(st, key);
	for (i = hash & m->table_mask; m->table[i]; i = (i + 1) & m->table_mask)
		;
	m->table[i] = (uint64_t)hash << 32 | merge_ref(m, st);
	m->live++;
	m->stats.flows++;
	if (key->tun_type)
		merge_copies_insert(m, st);
	return st;
}

/* Take a state out of the table; it stays where it is. */
void merge_unlink(struct merge *m, struct flow_state *st)
{
	uint32_t ref = merge_ref(m, st);
	uint32_t mask = m->table_mask;
	uint32_t hole = merge_hash(m, &st->key) & mask;

	while ((uint32_t)m->table[hole] != ref) {
		if (!m->table[hole])
			return;
		hole = (hole + 1) & mask;
	}
	for (uint32_t i = (hole + 1) & mask; m->table[i]; i = (i + 1) & mask) {
		uint32_t home = place_hash(m->table[i]) & mask;

		/* Moves back only where its own home isn't between the hole and it. */
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			m->table[hole] = m->table[i];
			hole = i;
		}
	}
	m->table[hole] = 0;
}

void merge_release(struct merge *m, struct flow_state *st)
{
	merge_name_free(m, st);
	if (st->key.tun_type && m->copies)
		merge_copies_remove(m, st);
	st->flags = 0;
	st->fp = 0;
	st->next_free = m->free_head;
	m->free_head = merge_ref(m, st);
	m->live--;
}
