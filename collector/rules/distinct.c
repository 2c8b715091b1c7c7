// SPDX-License-Identifier: Apache-2.0
/*
 * distinct.c - how many different values a window has seen; see struct distinct.
 */
#include <errno.h>
#include <stdlib.h>

#include "collector/rules/engine_int.h"

uint32_t distinct_cap(double threshold)
{
	uint32_t cap = 64;

	while (cap < DISTINCT_EXACT && cap < 1.25 * threshold)
		cap *= 2;
	return cap;
}

static bool old(const struct distinct_window *w, uint32_t step)
{
	return (int32_t)(step - w->first) < 0;
}

/* One value less in @step. */
static void forget(const struct distinct_window *w, uint32_t step)
{
	if (w->counts)
		w->counts[step % w->panes * w->stride]--;
	--*w->total;
}

static uint32_t *steps_of(struct distinct *d)
{
	return (uint32_t *)(void *)(d->hashes + d->size);
}

/* Header, hashes and steps are side by side: of a small set two lines of the cache. */
static size_t bytes_of(uint32_t size)
{
	return sizeof(struct distinct) + size * (sizeof(uint64_t) + sizeof(uint32_t));
}

static uint32_t place_of(const struct distinct *d, uint64_t hash)
{
	uint32_t i = (uint32_t)(hash >> 32) & (d->size - 1);

	while (d->hashes[i] && d->hashes[i] != hash)
		i = (i + 1) & (d->size - 1);
	return i;
}

static bool sampled(const struct distinct *d, uint64_t hash)
{
	return !(hash & ((UINT64_C(1) << d->level) - 1));
}

/* Those of @from that are still wanted. */
static void take_all(struct distinct *d, const struct distinct_window *w, struct distinct *from)
{
	for (uint32_t i = 0; i < from->size; i++) {
		const uint32_t step = steps_of(from)[i];
		uint32_t at;

		if (!from->hashes[i] || old(w, step))
			continue;
		if (!sampled(d, from->hashes[i])) {
			forget(w, step);
			continue;
		}
		at = place_of(d, from->hashes[i]);
		d->hashes[at] = from->hashes[i];
		steps_of(d)[at] = step;
		d->n++;
	}
}

/* A table of @size instead of what there is, if there is one. */
static int rebuild(struct distinct **d, const struct distinct_window *w, uint32_t size,
		   uint32_t level)
{
	struct distinct *to = calloc(1, bytes_of(size));

	if (!to)
		return -ENOMEM;
	to->size = size;
	to->level = level;
	*w->bytes += bytes_of(size);
	if (*d)
		take_all(to, w, *d);
	distinct_free(*d, w->bytes);
	*d = to;
	return 0;
}

/* Room for one more: the sample gets thinner, the table grows, or what has left the window goes. */
static int make_room(struct distinct **set, const struct distinct_window *w)
{
	const struct distinct *d = *set;
	bool grows;

	if (*w->total >= w->cap)
		return rebuild(set, w, d->size, d->level + 1);
	if (d->n < d->size / 2)
		return 0;
	grows = *w->total * 4 > d->size && d->size < 4 * w->cap;
	return rebuild(set, w, grows ? d->size * 2 : d->size, d->level);
}

int distinct_add(struct distinct **set, const struct distinct_window *w, uint64_t hash,
		 uint32_t step)
{
	struct distinct *d = *set;
	uint32_t at, *then;
	int r = 0;

	/* when nothing of the window is left, it begins anew, exact */
	if (!d || (!*w->total && d->level))
		r = rebuild(set, w, DISTINCT_FIRST, 0);
	hash = hash ?: 1;
	if (r || !sampled(*set, hash))
		return r;
	r = make_room(set, w);
	d = *set;
	if (r || !sampled(d, hash))
		return r;
	at = place_of(d, hash);
	then = &steps_of(d)[at];
	if (d->hashes[at] && !old(w, *then)) {
		if ((int32_t)(step - *then) <= 0)
			return 0;
		forget(w, *then);
	} else if (!d->hashes[at]) {
		d->n++;
	}
	d->hashes[at] = hash;
	*then = step;
	if (w->counts)
		w->counts[step % w->panes * w->stride]++;
	++*w->total;
	return 0;
}

void distinct_free(struct distinct *d, uint64_t *bytes)
{
	if (!d)
		return;
	*bytes -= bytes_of(d->size);
	free(d);
}
