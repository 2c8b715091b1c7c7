// SPDX-License-Identifier: Apache-2.0
#include "collector/enrich/trie.h"

#include <stdlib.h>
#include <string.h>

#define ROOTS	65536u /* IPv4 begins with one step of 16 bits */
#define IPV4_AT 96u    /* where IPv4 is in a tree of IPv6 */
#define DEEPER	UINT32_C(0x80000000)

/* A bit where another entry begins than before it; entries are those, in order. */
struct node {
	uint64_t bits[4];
	uint32_t first;
	uint8_t before[4]; /* bits in the words before */
};

/* Of nodes or of entries. */
struct list {
	void *v;
	uint32_t n, room;
};

struct trie {
	struct node *nodes;
	uint32_t *entries; /* values, or DEEPER | node */
	uint32_t top;	   /* entry of all addresses */
	bool ip4;
	uint32_t roots[ROOTS];
};

struct making {
	const struct trie_tree *of;
	struct list nodes, entries;
	uint32_t *number; /* of each tree node: its node's + 1 */
	uint32_t *from;	  /* of each node: the tree's */
	bool failed;	  /* no memory */
	/* the node at hand */
	struct node at;
	uint32_t last;
};

static void *add(struct making *m, struct list *l, size_t size)
{
	if (l->n == l->room) {
		const uint32_t room = l->room ? l->room * 2 : 1024;
		void *p = l->n < DEEPER / 2 ? realloc(l->v, room * size) : NULL;

		if (!p) {
			m->failed = true;
			return NULL;
		}
		l->v = p;
		l->room = room;
	}
	return (char *)l->v + l->n++ * size;
}

/* A node of the tree, or value, as an entry. */
static uint32_t entry_of(struct making *m, uint32_t at)
{
	if (at >= m->of->n)
		return at - m->of->n;
	if (!m->number[at]) {
		if (!add(m, &m->nodes, sizeof(struct node)))
			return 0;
		m->number[at] = m->nodes.n;
		m->from[m->nodes.n - 1] = at;
	}
	return DEEPER | (m->number[at] - 1);
}

/* IPv4's first 16 bits, for all of them. */
static void make_roots(struct making *m, uint32_t *roots)
{
	const struct trie_tree *of = m->of;
	uint32_t top = 0;

	for (unsigned int i = 0; !of->ip4 && i < IPV4_AT && top < of->n; i++)
		top = of->half(of->arg, top, false);
	for (uint32_t i = 0; i < ROOTS; i++) {
		uint32_t at = top;

		for (unsigned int bit = 16; bit-- > 0 && at < of->n;)
			at = of->half(of->arg, at, i >> bit & 1);
		roots[i] = entry_of(m, at);
	}
}

/* Where @at is all there is for addresses from @i on: an entry, unless the one before is the same. */
static void put(struct making *m, unsigned int i, uint32_t at)
{
	const uint32_t entry = entry_of(m, at);
	uint32_t *to;

	if (i && entry == m->last)
		return;
	to = add(m, &m->entries, sizeof(entry));
	if (to)
		*to = entry;
	m->at.bits[i / 64] |= UINT64_C(1) << i % 64;
	m->last = entry;
}

static void make_node(struct making *m, uint32_t n)
{
	const uint32_t from = m->from[n];
	unsigned int before = 0;

	m->at = (struct node){.first = m->entries.n};
	for (unsigned int i = 0; i < 256 && !m->failed;) {
		uint32_t at = from;
		unsigned int bits = 0;

		/* as far as it goes, and over all addresses that go there */
		while (bits < 8 && at < m->of->n)
			at = m->of->half(m->of->arg, at, i >> (7 - bits++) & 1);
		put(m, i, at);
		i += 1u << (8 - bits);
	}
	for (unsigned int w = 0; w < 4; w++) {
		m->at.before[w] = (uint8_t)before;
		before += (unsigned int)__builtin_popcountll(m->at.bits[w]);
	}
	((struct node *)m->nodes.v)[n] = m->at;
}

struct trie *trie_new(const struct trie_tree *of)
{
	struct trie *t = calloc(1, sizeof(*t));
	struct making m = {.of = of,
			   .number = calloc(of->n + 1u, sizeof(*m.number)),
			   .from = calloc(of->n + 1u, sizeof(*m.from))};

	m.failed = !t || !m.number || !m.from;
	if (!m.failed) {
		t->ip4 = of->ip4;
		t->top = of->ip4 ? 0 : entry_of(&m, 0);
		make_roots(&m, t->roots);
	}
	/* those that a node leads to are behind it */
	for (uint32_t n = 0; n < m.nodes.n && !m.failed; n++)
		make_node(&m, n);
	free(m.number);
	free(m.from);
	if (m.failed) {
		free(m.nodes.v);
		free(m.entries.v);
		return trie_free(t);
	}
	t->nodes = m.nodes.v;
	t->entries = m.entries.v;
	return t;
}

struct trie *trie_free(struct trie *t)
{
	if (!t)
		return NULL;
	free(t->nodes);
	free(t->entries);
	free(t);
	return NULL;
}

/* Bits that are set; the instruction for it is not on every machine. */
static inline unsigned int ones(uint64_t v)
{
	v -= v >> 1 & UINT64_C(0x5555555555555555);
	v = (v & UINT64_C(0x3333333333333333)) + (v >> 2 & UINT64_C(0x3333333333333333));
	v = (v + (v >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (unsigned int)(v * UINT64_C(0x0101010101010101) >> 56);
}

static inline uint32_t step(const struct trie *t, uint32_t entry, uint8_t way)
{
	const struct node *n = &t->nodes[entry & ~DEEPER];
	const unsigned int w = way / 64;

	return t->entries[n->first + n->before[w] +
			  ones(n->bits[w] & UINT64_MAX >> (63 - way % 64)) - 1];
}

/* The entry that an address begins with, and how much of the address that is. */
static inline uint32_t begin(const struct trie *t, const uint8_t *ip, uint8_t *ret_at)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (memcmp(ip, mapped, sizeof(mapped)) != 0) {
		*ret_at = 0;
		return t->top;
	}
	*ret_at = 14;
	return t->roots[(uint32_t)ip[12] << 8 | ip[13]];
}

void trie_find(const struct trie *t, const uint8_t *ip, size_t stride, uint32_t n, uint32_t *ret)
{
	uint8_t at[TRIE_AT_ONCE];
	uint32_t left = 0;

	for (uint32_t i = 0; i < n; i++) {
		ret[i] = begin(t, ip + i * stride, &at[i]);
		left |= ret[i];
	}
	while (left & DEEPER) {
		left = 0;
		for (uint32_t i = 0; i < n; i++) {
			if (!(ret[i] & DEEPER))
				continue;
			ret[i] = at[i] < 16 ? step(t, ret[i], ip[i * stride + at[i]]) : TRIE_BROKEN;
			at[i]++;
			left |= ret[i];
		}
	}
}
