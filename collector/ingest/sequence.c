// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/sequence.h"

#include <string.h>

#define FAR	   (1u << 24) /* a longer jump is a restart: at a million units a second, 16 s lost */
#define BACK	   4096u      /* units behind that reordering may be */
#define OTHER_RUNS 4u	      /* messages that show another way of counting */
#define BACK_RUNS  3u	      /* old numbers in a row, one after the other: a restart */

void sequence_init(struct sequence *s, enum sequence_unit unit)
{
	memset(s, 0, sizeof(*s));
	s->unit = (uint8_t)unit;
}

static void forget_runs(struct sequence *s)
{
	memset(s->like, 0, sizeof(s->like));
	s->false_lost = 0;
	s->back_run = 0;
}

static void keep_gap(struct sequence *s, uint32_t at, uint32_t n)
{
	s->gap[s->next_gap++ % SEQUENCE_GAPS] = (struct sequence_gap){at, n};
	s->gaps++;
	s->lost += n;
}

/* A late message fills a gap, whole or in part. */
static bool fill_gap(struct sequence *s, uint32_t number, uint32_t n)
{
	for (unsigned int i = 0; i < SEQUENCE_GAPS; i++) {
		struct sequence_gap *g = &s->gap[i], rest;
		const uint32_t off = number - g->at;

		if (off >= g->n)
			continue;
		if (n > g->n - off)
			n = g->n - off;
		rest = (struct sequence_gap){number + n, g->n - off - n};
		g->n = off;
		if (!g->n)
			*g = rest;
		else if (rest.n)
			s->gap[s->next_gap++ % SEQUENCE_GAPS] = rest;
		s->lost -= n < s->lost ? n : s->lost;
		s->reordered++;
		return true;
	}
	return false;
}

/* Does this fit an exporter that counts in another way than it should? Return: false: none. */
static bool like_other(struct sequence *s, uint32_t number, uint32_t records)
{
	const uint32_t step = number - s->last;
	const bool fits[_SEQUENCE_UNITS] = {
		[SEQUENCE_RECORDS] = s->last_n > 1 && step == s->last_n,
		[SEQUENCE_MESSAGES] = s->last_n > 1 && step == 1,
		[SEQUENCE_AFTER] = records > 1 && step == records,
	};
	bool any = false;

	for (unsigned int u = 0; u < _SEQUENCE_UNITS; u++) {
		s->like[u] = fits[u] && u != s->unit ? s->like[u] + 1 : 0;
		any |= s->like[u] > 0;
	}
	return any;
}

static void maybe_other(struct sequence *s, uint32_t lost)
{
	s->lost += lost;
	s->false_lost += lost;
	for (unsigned int u = 0; u < _SEQUENCE_UNITS; u++) {
		if (s->like[u] < OTHER_RUNS)
			continue;
		s->unit = (uint8_t)u;
		s->lost -= s->false_lost < s->lost ? s->false_lost : s->lost;
		memset(s->gap, 0, sizeof(s->gap));
		forget_runs(s);
	}
}

/* An old number that is in no gap. Return: true: the exporter has begun again. */
static bool begun_again(struct sequence *s, uint32_t number, uint32_t n)
{
	s->back_run = s->back_run && number == s->back ? s->back_run + 1 : 1;
	s->back = number + n;
	if (number && s->back_run < BACK_RUNS)
		return false;
	s->repeated -= s->back_run - 1 < s->repeated ? s->back_run - 1 : s->repeated;
	return true;
}

static void restart(struct sequence *s)
{
	s->restarts++;
	memset(s->gap, 0, sizeof(s->gap));
	forget_runs(s);
}

/* Units of a message, and the number before it. */
static uint32_t units(const struct sequence *s, uint32_t records)
{
	return s->unit == SEQUENCE_MESSAGES ? 1 : records;
}

static uint32_t start(const struct sequence *s, uint32_t number, uint32_t records)
{
	return s->unit == SEQUENCE_AFTER ? number - records : number;
}

/* Return: false: the message is from before; what comes next stays as it was. */
static bool place(struct sequence *s, uint32_t number, uint32_t records)
{
	const uint32_t at = start(s, number, records), n = units(s, records);
	const uint32_t ahead = at - s->next, behind = s->next - at;

	if (!s->any || s->lost_count || !ahead) {
		forget_runs(s);
	} else if (like_other(s, number, records)) {
		maybe_other(s, ahead < FAR ? ahead : 0);
	} else if (ahead < FAR) {
		forget_runs(s);
		keep_gap(s, s->next, ahead);
	} else if (behind > BACK) {
		restart(s);
	} else if (fill_gap(s, at, n)) {
		return false;
	} else if (begun_again(s, at, n)) {
		restart(s);
	} else {
		s->repeated++;
		return false;
	}
	return true;
}

void sequence_message(struct sequence *s, uint32_t number, uint32_t records, bool known)
{
	if (!place(s, number, records))
		return;
	s->next = start(s, number, records) + units(s, records);
	s->last = number;
	s->last_n = records;
	s->lost_count = !known && s->unit != SEQUENCE_MESSAGES;
	s->any = true;
}
