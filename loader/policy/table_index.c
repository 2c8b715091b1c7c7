// SPDX-License-Identifier: Apache-2.0
/*
 * table_index.c - decisions of the kernel's table: the index that leads to them, and the presence map in
 * front of it.
 */
#include <stdlib.h>
#include <string.h>

#include "loader/policy/table_int.h"

#define MAPPED_BITS 96u /* ::ffff:0:0/96 */

static bool is_mapped(const uint64_t *addr)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(addr, prefix, sizeof(prefix));
}

static struct policy_place place_of(const struct policy_table *t, const uint64_t *key,
				    uint32_t kind, uint32_t bits)
{
	__u64 k[2] = {key[0], key[1]};

	return policy_place(k, kind | bits << 8, t->control->seed);
}

/* ---- the index ---- */

void listing_place(const struct policy_table *t, struct listing *l)
{
	l->place = place_of(t, l->key, l->kind, l->bits);
}

static bool is_host(const struct listing *l)
{
	return l->kind == KIND_ADDR && l->bits == 128;
}

static uint32_t home_of(const struct policy_table *t, const struct listing *l)
{
	__u64 key[2] = {l->key[0], l->key[1]};

	return policy_home(key, t->control->seed, t->max);
}

static bool is_free(const struct policy_table *t, uint32_t n)
{
	return t->free[n / 64] >> n % 64 & 1;
}

void decision_fetch_index(const struct policy_table *t, const struct listing *l)
{
	const uint32_t home = home_of(t, l);

	__builtin_prefetch(&t->index[l->place.bucket & (t->buckets - 1)], 1);
	if (is_host(l) && is_free(t, home)) {
		__builtin_prefetch(&t->decisions[home], 1);
		__builtin_prefetch(&t->meta[home], 1);
	}
}

void decision_fetch(const struct policy_table *t, const struct listing *l)
{
	for (uint32_t i = 0; i < INDEX_WAYS; i++) {
		const uint64_t w = t->index[l->place.bucket & (t->buckets - 1)].way[i];

		if (w >> 32 != l->place.tag)
			continue;
		__builtin_prefetch(&t->decisions[w & INDEX_NUMBER]);
		__builtin_prefetch(&t->meta[w & INDEX_NUMBER], 1);
	}
}

static uint64_t *bucket_way(const struct policy_table *t, struct policy_place p, uint32_t n)
{
	uint32_t bucket = n < INDEX_WAYS ? p.bucket : policy_second(p);

	return (uint64_t *)&t->index[bucket & (t->buckets - 1)].way[n % INDEX_WAYS];
}

static bool is_listed(const struct policy_table *t, uint32_t n, const struct listing *l)
{
	const struct policy_decision *d = &t->decisions[n];

	return t->meta[n].state == DECISION_LIVE && d->key[0] == l->key[0] &&
	       d->key[1] == l->key[1] && d->kind == l->kind && d->bits == l->bits &&
	       d->role == l->role && d->how == l->how && d->rule == l->rule;
}

uint32_t decision_find(const struct policy_table *t, const struct listing *l)
{
	const struct policy_place p = l->place;

	for (uint32_t i = 0; i < 2 * INDEX_WAYS; i++) {
		uint64_t w;
		uint32_t n;

		if (i == INDEX_WAYS && !(*bucket_way(t, p, 0) & INDEX_OVERFLOW))
			break;
		w = *bucket_way(t, p, i);
		n = w & INDEX_NUMBER;
		if (n && w >> 32 == p.tag && is_listed(t, n, l))
			return n;
	}
	return 0;
}

static void way_set(uint64_t *way, uint32_t tag, uint32_t n)
{
	__atomic_store_n(way, (uint64_t)tag << 32 | n | (*way & INDEX_OVERFLOW), __ATOMIC_RELEASE);
}

/* In one of the ways [from, from + INDEX_WAYS) of a place. */
static bool index_put_half(struct policy_table *t, struct policy_place p, uint32_t from, uint32_t n)
{
	for (uint32_t i = from; i < from + INDEX_WAYS; i++) {
		uint64_t *w = bucket_way(t, p, i);

		if (*w & INDEX_NUMBER)
			continue;
		way_set(w, p.tag, n);
		if (from)
			__atomic_fetch_or(bucket_way(t, p, 0), INDEX_OVERFLOW, __ATOMIC_RELEASE);
		return true;
	}
	return false;
}

/* Move one entry of the two full buckets to its other bucket. Those that no packet can want yet just
 * go; others stay in both places for a grace period.
 */
static bool index_make_room(struct policy_table *t, struct policy_place p, bool old)
{
	for (uint32_t i = 0; i < 2 * INDEX_WAYS; i++) {
		uint64_t *w = bucket_way(t, p, i);
		uint32_t n = *w & INDEX_NUMBER;
		const struct policy_decision *d = &t->decisions[n];
		uint64_t key[2] = {d->key[0], d->key[1]};
		struct policy_place its = place_of(t, key, d->kind, d->bits);
		bool first = w == bucket_way(t, its, i % INDEX_WAYS);

		if ((d->from == t->next) == old ||
		    !index_put_half(t, its, first ? INDEX_WAYS : 0, n))
			continue;
		if (old)
			policy_grace();
		__atomic_store_n(w, *w & INDEX_OVERFLOW, __ATOMIC_RELEASE);
		return true;
	}
	return false;
}

static bool index_put(struct policy_table *t, struct policy_place p, uint32_t n)
{
	for (int i = 0; i < 2; i++) {
		if (index_put_half(t, p, 0, n) || index_put_half(t, p, INDEX_WAYS, n))
			return true;
		if (i || (!index_make_room(t, p, false) && !index_make_room(t, p, true)))
			break;
	}
	return false;
}

static void index_remove(struct policy_table *t, uint32_t n)
{
	const struct policy_decision *d = &t->decisions[n];
	uint64_t key[2] = {d->key[0], d->key[1]};
	struct policy_place p = place_of(t, key, d->kind, d->bits);

	for (uint32_t i = 0; i < 2 * INDEX_WAYS; i++) {
		uint64_t *w = bucket_way(t, p, i);

		if ((*w & INDEX_NUMBER) == n) {
			__atomic_store_n(w, *w & INDEX_OVERFLOW, __ATOMIC_RELEASE);
			return;
		}
	}
}

/* ---- presence ---- */

static void presence_or(uint64_t *word, uint64_t mask)
{
	if ((*word & mask) != mask)
		__atomic_fetch_or(word, mask, __ATOMIC_RELEASE);
}

static void presence_range(struct policy_presence *map, uint32_t from, uint32_t n, bool nets)
{
	for (uint32_t bit = from; n;) {
		uint32_t low = bit & 63, len = 64 - low < n ? 64 - low : n;
		uint64_t mask = (len < 64 ? (UINT64_C(1) << len) - 1 : ~UINT64_C(0)) << low;

		presence_or((uint64_t *)&map[bit / 64].any, mask);
		if (nets)
			presence_or((uint64_t *)&map[bit / 64].nets, mask);
		bit += len;
		n -= len;
	}
}

static void presence_set(const struct policy_table *t, struct policy_presence *map,
			 const struct policy_decision *d)
{
	uint32_t len, addr;
	uint64_t net[2] = {d->key[0], d->key[1]};

	if (d->kind == KIND_ADDR_PORT || d->kind == KIND_FLOW) {
		presence_range(map, policy_presence_key(d->key), 1, false);
	} else if (d->kind == KIND_ADDR && d->bits >= MAPPED_BITS && is_mapped(net)) {
		len = d->bits - MAPPED_BITS;
		len = len < 24 ? 1u << (24 - len) : 1;
		memcpy(&addr, (const uint8_t *)d->key + 12, sizeof(addr));
		presence_range(map, policy_presence4(addr), len, d->bits != 128);
	} else if (d->kind == KIND_ADDR && d->bits >= PRESENCE_BITS6) {
		presence_range(map, policy_presence6(d->key, t->control->seed), 1, d->bits != 128);
	}
}

static void presence_store(struct policy_presence *to, const struct policy_presence *p)
{
	if (to->any != p->any)
		__atomic_store_n(&to->any, p->any, __ATOMIC_RELAXED);
	if (to->nets != p->nets)
		__atomic_store_n(&to->nets, p->nets, __ATOMIC_RELAXED);
}

/* Bits of what has gone go too; no bit of what is there is ever missing. */
static void presence_rebuild(struct policy_table *t)
{
	struct policy_presence *map = calloc(PRESENCE_ALL, sizeof(*map));

	if (!map)
		return;
	for (uint32_t n = 1; n <= t->max; n++)
		if (t->meta[n].state == DECISION_LIVE || t->meta[n].state == DECISION_ENDED)
			presence_set(t, map, &t->decisions[n]);
	for (uint32_t i = 0; i < PRESENCE_ALL; i++)
		presence_store(&t->presence[i], &map[i]);
	free(map);
	t->stale = 0;
}

/* ---- decisions ---- */

static void count_kind(struct policy_table *t, const struct policy_decision *d, uint32_t add)
{
	uint64_t net[2] = {d->key[0], d->key[1]};

	t->of_kind[d->kind] += add;
	if (d->kind == KIND_NAME && d->how == NAME_SUFFIX)
		t->of_suffix[(d->length - 1) & 255] += add;
	if (d->kind != KIND_ADDR)
		return;
	if (d->bits >= MAPPED_BITS && is_mapped(net))
		t->of_length4[d->bits - MAPPED_BITS] += add;
	else
		t->of_length6[d->bits] += add;
}

void control_update(struct policy_table *t)
{
	struct policy_control *c = t->control;
	uint64_t lengths4 = 0, lengths6[3] = {}, names[4] = {};
	uint32_t has = 0, other, linear_end;

	for (uint32_t i = 0; i <= 32; i++)
		lengths4 |= (uint64_t)(t->of_length4[i] != 0) << i;
	for (uint32_t i = 0; i <= 128; i++)
		lengths6[i / 64] |= (uint64_t)(t->of_length6[i] != 0) << i % 64;
	for (uint32_t i = 0; i < 256; i++)
		names[i / 64] |= (uint64_t)(t->of_suffix[i] != 0) << i % 64;
	rules_bounds(t, &other, &linear_end);
	has |= t->of_kind[KIND_ADDR_PORT] ? HAS_ADDR_PORT : 0;
	has |= t->of_kind[KIND_FLOW] ? HAS_FLOW : 0;
	has |= t->of_kind[KIND_NAME] ? HAS_NAME : 0;
	has |= linear_end ? HAS_LINEAR : 0;
	c->lengths4 = lengths4;
	memcpy(c->lengths6, lengths6, sizeof(lengths6));
	memcpy(c->name_lengths, names, sizeof(names));
	c->other_order = other;
	rules_plain(t, other);
	c->linear_end = linear_end;
	__atomic_store_n(&c->has, has, __ATOMIC_RELEASE);
}

/* ---- where decisions stand ---- */

static void free_flip(struct policy_table *t, uint32_t n)
{
	t->free[n / 64] ^= UINT64_C(1) << n % 64;
}

void decision_free(struct policy_table *t, uint32_t n)
{
	free_flip(t, n);
	t->free_n++;
}

/* Hosts at home, if there is room; others wherever there is some. */
static uint32_t free_take(struct policy_table *t, const struct listing *l)
{
	const uint32_t words = t->max / 64 + 1;
	uint32_t n = is_host(l) ? home_of(t, l) : 0;

	if (n && !is_free(t, n))
		n ^= 1;
	if (!n || !is_free(t, n)) {
		while (!t->free[t->free_at])
			t->free_at = t->free_at + 1 < words ? t->free_at + 1 : 0;
		n = t->free_at * 64 + (uint32_t)__builtin_ctzll(t->free[t->free_at]);
	}
	free_flip(t, n);
	t->free_n--;
	return n;
}

/* Others that decision @n has its key in common with. Return: how many; @ret_any: one of them */
static uint32_t others_of_key(const struct policy_table *t, struct policy_place p, uint32_t n,
			      uint32_t *ret_any)
{
	const struct policy_decision *d = &t->decisions[n];
	uint32_t found = 0;

	for (uint32_t i = 0; i < 2 * INDEX_WAYS; i++) {
		const uint64_t w = *bucket_way(t, p, i);
		const struct policy_decision *o = &t->decisions[w & INDEX_NUMBER];

		if (i == INDEX_WAYS && !(*bucket_way(t, p, 0) & INDEX_OVERFLOW))
			break;
		if (w >> 32 != p.tag || (w & INDEX_NUMBER) == n || o->key[0] != d->key[0] ||
		    o->key[1] != d->key[1] || o->kind != d->kind || o->bits != d->bits)
			continue;
		found++;
		*ret_any = w & INDEX_NUMBER;
	}
	return found;
}

/* Decision @n is about to be in the index: who has its key in common with others says so first. */
static void share(struct policy_table *t, struct policy_place p, uint32_t n)
{
	uint32_t other = 0, found = others_of_key(t, p, n, &other);

	t->decisions[n].shared = found != 0;
	if (found == 1) /* of several each says so already */
		__atomic_store_n(&t->decisions[other].shared, 1, __ATOMIC_RELEASE);
}

/* It has left the index. */
static void unshare(struct policy_table *t, uint32_t n)
{
	const struct policy_decision *d = &t->decisions[n];
	uint64_t key[2] = {d->key[0], d->key[1]};
	struct policy_place p = place_of(t, key, d->kind, d->bits);
	uint32_t other = 0;

	if (d->shared && others_of_key(t, p, n, &other) == 1)
		__atomic_store_n(&t->decisions[other].shared, 0, __ATOMIC_RELEASE);
}

uint32_t decision_add(struct policy_table *t, const struct listing *l, uint32_t issuer)
{
	struct policy_decision *d;
	uint32_t n;

	if (!t->free_n)
		return 0;
	n = free_take(t, l);
	d = &t->decisions[n];
	*d = (struct policy_decision){
		.key = {l->key[0], l->key[1]},
		.kind = l->kind,
		.bits = l->bits,
		.role = l->role,
		.how = l->how,
		.length = l->length,
		.rule = l->rule,
		.expires = l->expires,
		.from = t->next,
		.until = FOREVER_GEN,
	};
	t->meta[n] = (struct decision_meta){
		.expires = l->expires, .mark = t->epoch, .issuer = issuer, .state = DECISION_LIVE};
	if (l->kind == KIND_ADDR)
		share(t, l->place, n);
	if (!index_put(t, l->place, n)) {
		*d = (struct policy_decision){};
		t->meta[n].state = DECISION_FREE;
		decision_free(t, n);
		return 0;
	}
	t->live++;
	presence_set(t, t->presence, d);
	count_kind(t, d, 1);
	if (l->expires < t->next_expiry)
		t->next_expiry = l->expires;
	return n;
}

void decision_adopt(struct policy_table *t, uint32_t n)
{
	struct policy_decision *d = &t->decisions[n];
	struct decision_meta *m = &t->meta[n];

	if (!d->kind)
		return;
	*m = (struct decision_meta){.expires = d->expires, .issuer = ISSUER_NONE};
	m->state = d->until == FOREVER_GEN ? DECISION_LIVE : DECISION_ENDED;
	if (t->rule[d->rule].used)
		m->issuer = t->rule[d->rule].issuer;
	count_kind(t, d, 1);
	if (m->state == DECISION_LIVE)
		t->live++;
	else
		t->dead++;
	if (d->expires < t->next_expiry)
		t->next_expiry = d->expires;
}

void decision_end(struct policy_table *t, uint32_t n)
{
	__atomic_store_n(&t->decisions[n].until, t->next, __ATOMIC_RELEASE);
	t->meta[n].state = DECISION_ENDED;
	t->live--;
	t->dead++;
}

void decision_undo(struct policy_table *t, uint32_t n)
{
	decision_end(t, n); /* from == until: it holds for nobody */
}

/* A grace period is over since it ended. Its rule is taken back later, if at all. */
static void tell_gone(struct policy_table *t, uint32_t n)
{
	const struct policy_decision *d = &t->decisions[n];
	const struct rule_meta *rule = &t->rule[d->rule];

	if (t->gone && rule->used)
		(void)t->gone(t->gone_arg, t->meta[n].issuer, &rule->rec, d);
}

uint32_t decisions_reclaim(struct policy_table *t)
{
	uint32_t freed = 0;

	for (uint32_t n = 1; n <= t->max && t->dead; n++) {
		struct decision_meta *m = &t->meta[n];

		if (m->state == DECISION_REMOVED) {
			t->decisions[n] = (struct policy_decision){};
			m->state = DECISION_FREE;
			decision_free(t, n);
			t->dead--;
			freed++;
		} else if (m->state == DECISION_ENDED && t->decisions[n].until <= t->generation) {
			tell_gone(t, n);
			index_remove(t, n);
			unshare(t, n);
			count_kind(t, &t->decisions[n], UINT32_MAX);
			m->state = DECISION_REMOVED;
			t->stale++;
		}
	}
	if (t->stale > 1024 && t->stale > t->live / 8)
		presence_rebuild(t);
	return freed;
}
