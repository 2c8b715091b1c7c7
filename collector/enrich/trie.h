/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trie.h - a binary tree of address prefixes, compiled: eight bits a step instead of one, and values that
 * stand beside each other once (Degermark et al., "Small Forwarding Tables for Fast Routing Lookups", 1997).
 * Made once, then only read, by any thread.
 */
#ifndef WEIR_COLLECTOR_ENRICH_TRIE_H
#define WEIR_COLLECTOR_ENRICH_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRIE_BROKEN UINT32_C(0x7fffffff) /* a value: the tree leads nowhere */

/* What it is made of: nodes 0 .. @n - 1, the first is the root. */
struct trie_tree {
	uint32_t n;
	bool ip4; /* it has 32 levels, not 128 */
	const void *arg;

	/* One half of a node: another node, or @n + value; values are less than TRIE_BROKEN. */
	uint32_t (*half)(const void *arg, uint32_t node, bool right);
};

struct trie;

/* A tree that leads back to itself ends as TRIE_BROKEN. Return: NULL: no memory. */
struct trie *trie_new(const struct trie_tree *of);
struct trie *trie_free(struct trie *t); /* NULL is fine; returns NULL */

#define TRIE_AT_ONCE 64u

/**
 * trie_find - values at @n addresses (IPv4 as ::ffff:a.b.c.d), TRIE_AT_ONCE at most
 * @ip:	the first; the others are @stride octets apart
 *
 * All together, a step at a time: what one waits for in memory the others need not. 0 for IPv6 in a tree
 * of IPv4.
 */
void trie_find(const struct trie *t, const uint8_t *ip, size_t stride, uint32_t n, uint32_t *ret);

#endif
