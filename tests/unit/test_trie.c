// SPDX-License-Identifier: Apache-2.0
/*
 * test_trie.c - a compiled tree of prefixes says what the tree itself says, bit by bit, of addresses at and
 * beside every prefix; trees of IPv4 alone, with parts that several ways lead to, and ones that end nowhere.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "collector/enrich/trie.h"

#define NODES	 20000u
#define PREFIXES 600u

struct tree {
	uint32_t n;
	uint32_t half[NODES][2]; /* a node, or NODES + value; all of it is given as NODES nodes */
};

static uint32_t half_of(const void *arg, uint32_t node, bool right)
{
	return ((const struct tree *)arg)->half[node][right];
}

static uint32_t add_node(struct tree *t, uint32_t value)
{
	cr_assert(lt(u32, t->n, NODES));
	t->half[t->n][0] = t->half[t->n][1] = NODES + value;
	return t->n++;
}

static bool bit(const uint8_t *ip, unsigned int i)
{
	return ip[i / 8] >> (7 - i % 8) & 1;
}

/* Longer prefixes are put in behind shorter ones. */
static void put(struct tree *t, const uint8_t *ip, unsigned int len, uint32_t value)
{
	uint32_t at = 0;

	for (unsigned int i = 0; i + 1 < len; i++) {
		uint32_t *next = &t->half[at][bit(ip, i)];

		if (*next >= NODES)
			*next = add_node(t, *next - NODES);
		at = *next;
	}
	t->half[at][bit(ip, len - 1)] = NODES + value;
}

/* @from: how much of it is before the tree's root, in octets. */
static uint32_t walk(const struct tree *t, const uint8_t *ip, unsigned int from)
{
	uint32_t at = 0;

	for (unsigned int i = from * 8; i < 128 && at < NODES; i++)
		at = t->half[at][bit(ip, i)];
	return at < NODES ? TRIE_BROKEN : at - NODES;
}

static uint32_t find(const struct trie *t, const uint8_t *ip)
{
	uint8_t several[3][20] = {{0x20, 1}, {0}, {[10] = 0xff, [11] = 0xff, [12] = 9}};
	uint32_t ret[3];

	memcpy(several[1], ip, 16);
	trie_find(t, several[0], sizeof(several[0]), 3, ret);
	return ret[1];
}

static uint32_t next(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* As the collector has it; in a tree of both, IPv4 begins behind 96 bits of 0. */
static void map_ip4(uint8_t *ip)
{
	memset(ip, 0, 10);
	ip[10] = ip[11] = 0xff;
}

static const uint8_t *as_in_tree(const uint8_t *ip, uint8_t *room)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	memcpy(room, ip, 16);
	if (!memcmp(ip, mapped, 12))
		memset(room, 0, 12);
	return room;
}

static struct tree tree;
static uint8_t prefix[PREFIXES][16];
static unsigned int length[PREFIXES];

static void make(uint32_t *seed, bool ip4)
{
	tree.n = 0;
	add_node(&tree, 0);
	for (unsigned int i = 0; i < PREFIXES; i++) {
		const bool four = ip4 || i % 2;

		/* most of them near another */
		for (unsigned int k = 0; k < 16; k++)
			prefix[i][k] = (uint8_t)(next(seed) % (k % 4 == 2 ? 256 : 6));
		length[i] = (four ? 96u : 0u) + 1 + i * (four ? 32u : 64u) / PREFIXES;
		if (four)
			memset(prefix[i], 0, 12);
		put(&tree, prefix[i] + (ip4 ? 12 : 0), length[i] - (ip4 ? 96 : 0),
		    1 + next(seed) % 50);
		if (four)
			map_ip4(prefix[i]);
	}
}

static void compare(uint32_t *seed, bool ip4)
{
	const struct trie_tree of = {.n = NODES, .ip4 = ip4, .arg = &tree, .half = half_of};
	struct trie *t = trie_new(&of);
	uint32_t found = 0;
	uint8_t room[16];

	cr_assert(ne(ptr, t, NULL));
	for (unsigned int i = 0; i < PREFIXES * 8; i++) {
		uint8_t ip[16];
		const unsigned int of_prefix = i % PREFIXES;
		uint32_t want;

		memcpy(ip, prefix[of_prefix], 16);
		/* its first address, its last one, its neighbour's, any one of it */
		for (unsigned int b = length[of_prefix]; b < 128 && i >= PREFIXES; b++)
			if (i < 2 * PREFIXES || (i >= 3 * PREFIXES && next(seed) % 2))
				ip[b / 8] |= (uint8_t)(1u << (7 - b % 8));
		if (i / PREFIXES == 2)
			ip[(length[of_prefix] - 1) / 8] ^=
				(uint8_t)(1u << (7 - (length[of_prefix] - 1) % 8));
		want = walk(&tree, as_in_tree(ip, room), ip4 ? 12 : 0);
		cr_assert(eq(u32, find(t, ip), want), "address %u", i);
		found += !!want;
	}
	cr_expect(gt(u32, found, PREFIXES));
	trie_free(t);
}

Test(trie, says_what_the_tree_says)
{
	uint32_t seed = 1;

	for (unsigned int i = 0; i < 20; i++) {
		make(&seed, i % 2);
		compare(&seed, i % 2);
	}
}

Test(trie, a_tree_of_ip4_knows_no_ip6)
{
	const struct trie_tree of = {.n = NODES, .ip4 = true, .arg = &tree, .half = half_of};
	const uint8_t six[16] = {0x20, 1, 0xd, 0xb8},
		      four[16] = {[10] = 0xff, [11] = 0xff, [12] = 7};
	struct trie *t;

	tree.n = 0;
	add_node(&tree, 7);
	t = trie_new(&of);
	cr_assert(ne(ptr, t, NULL));
	cr_expect(eq(u32, find(t, six), 0));
	cr_expect(eq(u32, find(t, four), 7));
	trie_free(t);
}

/* Databases have IPv4 in several places of IPv6. */
Test(trie, several_ways_lead_to_one_part)
{
	static const uint8_t v4[16] = {[12] = 198, [13] = 51, [14] = 100};
	static const uint8_t six_to_four[16] = {0x20, 2, 198, 51, 100, 9};
	static const uint8_t mapped[16] = {
		[10] = 0xff, [11] = 0xff, [12] = 198, [13] = 51, [14] = 100};
	const struct trie_tree of = {.n = NODES, .arg = &tree, .half = half_of};
	uint32_t at = 0, top = 0;
	struct trie *t;

	tree.n = 0;
	add_node(&tree, 0);
	put(&tree, v4, 120, 5);
	for (unsigned int i = 0; i < 96; i++)
		top = tree.half[top][0];
	put(&tree, six_to_four, 16, 1);
	for (unsigned int i = 0; i < 15; i++)
		at = tree.half[at][bit(six_to_four, i)];
	tree.half[at][0] = top;
	t = trie_new(&of);
	cr_assert(ne(ptr, t, NULL));
	cr_expect(eq(u32, find(t, mapped), 5));
	cr_expect(eq(u32, find(t, six_to_four), 5));
	trie_free(t);
}

Test(trie, a_tree_that_leads_back_to_itself_ends)
{
	const struct trie_tree of = {.n = NODES, .arg = &tree, .half = half_of};
	const uint8_t four[16] = {[10] = 0xff, [11] = 0xff, [12] = 1}, six[16] = {0x80};
	struct trie *t;

	tree.n = 0;
	add_node(&tree, 3);
	tree.half[0][0] = 0;
	t = trie_new(&of);
	cr_assert(ne(ptr, t, NULL));
	cr_expect(eq(u32, find(t, four), 3));
	cr_expect(eq(u32, find(t, six), 3));
	tree.half[0][1] = 0;
	trie_free(t);
	t = trie_new(&of);
	cr_assert(ne(ptr, t, NULL));
	cr_expect(eq(u32, find(t, four), TRIE_BROKEN));
	cr_expect(eq(u32, find(t, six), TRIE_BROKEN));
	trie_free(t);
}
