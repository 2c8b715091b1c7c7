/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_table.c - flows under assembly: found by key, the least recently used go first.
 */
#include "loader/name/name_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* What one event can add at most: two DTLS hellos, or QUIC's streams and a stashed packet. */
#define HEADROOM (3u * STREAM_MAX)

/* The key is what others send: keyed, so that nobody can aim at one bucket. */
static uint32_t hash_key(const struct names *n, const struct flow_key *key)
{
	const uint8_t *p = (const uint8_t *)key;
	uint64_t h = n->seed[0];

	for (size_t i = 0; i < sizeof(*key); i += 8) {
		unsigned __int128 m;
		uint64_t w;

		memcpy(&w, p + i, sizeof(w));
		m = (unsigned __int128)(h ^ w) * (n->seed[1] | 1);
		h = (uint64_t)m ^ (uint64_t)(m >> 64);
	}
	return (uint32_t)(h ^ h >> 32);
}

_Static_assert(sizeof(struct flow_key) % 8 == 0, "hash_key reads words");

int name_table_init(struct names *n)
{
	uint32_t size = 64;

	while (size < n->limits.flows && size < 1u << 24)
		size *= 2;
	if (getrandom(n->seed, sizeof(n->seed), 0) != sizeof(n->seed))
		return -EIO;
	n->bucket = calloc(size, sizeof(struct name_flow *));
	if (!n->bucket)
		return -ENOMEM;
	n->mask = size - 1;
	return 0;
}

void name_table_done(struct names *n)
{
	while (n->oldest)
		name_table_drop(n, n->oldest);
	free(n->bucket);
	n->bucket = NULL;
}

static struct name_flow **bucket_of(struct names *n, const struct flow_key *key)
{
	return &n->bucket[hash_key(n, key) & n->mask];
}

struct name_flow *name_table_find(struct names *n, const struct flow_key *key)
{
	struct name_flow *f = *bucket_of(n, key);

	while (f && memcmp(&f->key, key, sizeof(*key)) != 0)
		f = f->next;
	return f;
}

static void list_out(struct names *n, struct name_flow *f)
{
	if (f->newer)
		f->newer->older = f->older;
	else
		n->newest = f->older;
	if (f->older)
		f->older->newer = f->newer;
	else
		n->oldest = f->newer;
}

static void list_in(struct names *n, struct name_flow *f)
{
	f->newer = NULL;
	f->older = n->newest;
	if (n->newest)
		n->newest->newer = f;
	else
		n->oldest = f;
	n->newest = f;
}

void name_flow_clear(struct names *n, struct name_flow *f)
{
	if (f->quic) {
		quic_flow_done(&n->quic, f->quic);
		pool_free(&n->pool, f->quic, sizeof(*f->quic));
		f->quic = NULL;
	}
	if (f->dtls) {
		dtls_flow_done(&n->dtls, f->dtls);
		pool_free(&n->pool, f->dtls, sizeof(*f->dtls));
		f->dtls = NULL;
	}
	for (int d = 0; d < 2; d++) {
		if (!f->tcp[d])
			continue;
		stream_done(f->tcp[d], &n->pool);
		pool_free(&n->pool, f->tcp[d], sizeof(*f->tcp[d]));
		f->tcp[d] = NULL;
	}
}

void name_table_drop(struct names *n, struct name_flow *f)
{
	struct name_flow **at = bucket_of(n, &f->key);

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	list_out(n, f);
	name_flow_clear(n, f);
	pool_free(&n->pool, f, sizeof(*f));
	n->flows--;
}

struct name_result *name_late(struct names *n)
{
	if (n->late_count == NAME_LATE_MAX) {
		n->stats.results_lost++;
		return NULL;
	}
	return &n->late[(n->late_head + n->late_count++) % NAME_LATE_MAX];
}

/* Drop a flow before its end; the reason it leaves behind waits for names_next(). */
static void evict(struct names *n, struct name_flow *f, uint64_t *counter)
{
	struct name_result r;

	if (name_flow_finish(n, f, &r)) {
		struct name_result *late = name_late(n);

		if (late)
			*late = r;
		(*counter)++;
	}
	name_table_drop(n, f);
}

void name_table_make_room(struct names *n, const struct name_flow *keep)
{
	while (n->pool.limit - n->pool.used < HEADROOM && n->oldest && n->oldest != keep)
		evict(n, n->oldest, &n->stats.flows_evicted);
}

struct name_flow *name_table_get(struct names *n, const struct event_hdr *ev)
{
	struct name_flow *f = name_table_find(n, &ev->key);

	if (f) {
		list_out(n, f);
	} else {
		while (n->flows >= n->limits.flows)
			evict(n, n->oldest, &n->stats.flows_evicted);
		name_table_make_room(n, NULL);
		f = pool_alloc(&n->pool, sizeof(*f));
		if (!f) {
			n->stats.out_of_memory++;
			return NULL;
		}
		f->key = ev->key;
		f->next = *bucket_of(n, &ev->key);
		*bucket_of(n, &ev->key) = f;
		n->flows++;
	}
	list_in(n, f);
	f->last_ns = ev->time_ns;
	f->tick = ev->tick;
	f->dir = ev->dir & 1u;
	return f;
}

void names_tick(struct names *n, uint64_t now_ns)
{
	/* Times come from several CPUs: one that is ahead is not old. */
	while (n->oldest && now_ns > n->oldest->last_ns &&
	       now_ns - n->oldest->last_ns >= n->limits.stale_ns)
		evict(n, n->oldest, &n->stats.flows_stale);
}
