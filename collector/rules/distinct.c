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

/* Those of @from that are still wanted into new arrays of @size. */
static int rebuild(struct distinct *d, const struct distinct_window *w, uint32_t size)
{
	const struct distinct from = *d;
	uint64_t *hashes = calloc(size, sizeof(*hashes));
	uint32_t *steps = calloc(size, sizeof(*steps));

	if (!hashes || !steps) {
		free(hashes);
		free(steps);
		return -ENOMEM;
	}
	*w->bytes += (uint64_t)size * 12 - (uint64_t)from.size * 12;
	*d = (struct distinct){.hashes = hashes, .steps = steps, .size = size, .level = from.level};
	for (uint32_t i = 0; i < from.size; i++) {
		uint32_t at;

		if (!from.hashes[i] || old(w, from.steps[i]))
			continue;
		if (!sampled(d, from.hashes[i])) {
			forget(w, from.steps[i]);
			continue;
		}
		at = place_of(d, from.hashes[i]);
		d->hashes[at] = from.hashes[i];
		d->steps[at] = from.steps[i];
		d->n++;
	}
	free(from.hashes);
	free(from.steps);
	return 0;
}

/* Room for one more: the sample gets thinner, the table grows, or what has left the window goes. */
static int make_room(struct distinct *d, const struct distinct_window *w)
{
	if (!d->size)
		return rebuild(d, w, DISTINCT_FIRST);
	if (*w->total >= w->cap) {
		d->level++;
		return rebuild(d, w, d->size);
	}
	if (d->n < d->size / 2)
		return 0;
	return rebuild(d, w,
		       *w->total * 4 > d->size && d->size < 4 * w->cap ? d->size * 2 : d->size);
}

int distinct_add(struct distinct *d, const struct distinct_window *w, uint64_t hash, uint32_t step)
{
	uint32_t at;
	int r;

	if (!*w->total && d->level) {
		/* nothing of the window is left: it begins anew, exact */
		d->level = 0;
		r = rebuild(d, w, DISTINCT_FIRST);
		if (r)
			return r;
	}
	hash = hash ?: 1;
	if (!sampled(d, hash))
		return 0;
	r = make_room(d, w);
	if (r || !sampled(d, hash))
		return r;
	at = place_of(d, hash);
	if (d->hashes[at] && !old(w, d->steps[at])) {
		if ((int32_t)(step - d->steps[at]) <= 0)
			return 0;
		forget(w, d->steps[at]);
	} else if (!d->hashes[at]) {
		d->n++;
	}
	d->hashes[at] = hash;
	d->steps[at] = step;
	if (w->counts)
		w->counts[step % w->panes * w->stride]++;
	++*w->total;
	return 0;
}

void distinct_done(struct distinct *d, uint64_t *bytes)
{
	*bytes -= (uint64_t)d->size * 12;
	free(d->hashes);
	free(d->steps);
	*d = (struct distinct){};
}
