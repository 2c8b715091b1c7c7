// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/sequence.h"

#include <string.h>

#define FAR	   (1u << 20) /* a jump as long as this is a restart: nothing loses so much at once */
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
	s->like_other = 0;
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

/* Does this fit an exporter that counts messages as records, or the other way round? */
static bool like_other(const struct sequence *s, uint32_t number)
{
	return s->last_n > 1 && number == s->last + (s->unit == SEQUENCE_RECORDS ? 1 : s->last_n);
}

static void maybe_other(struct sequence *s, uint32_t lost)
{
	s->lost += lost;
	s->false_lost += lost;
	if (++s->like_other < OTHER_RUNS)
		return;
	s->unit = s->unit == SEQUENCE_RECORDS ? SEQUENCE_MESSAGES : SEQUENCE_RECORDS;
	s->lost -= s->false_lost < s->lost ? s->false_lost : s->lost;
	memset(s->gap, 0, sizeof(s->gap));
	forget_runs(s);
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

/* Return: false: the message is from before; what comes next stays as it was. */
static bool place(struct sequence *s, uint32_t number, uint32_t n)
{
	const uint32_t ahead = number - s->next, behind = s->next - number;

	if (!s->any || s->lost_count || !ahead) {
		forget_runs(s);
	} else if (like_other(s, number)) {
		maybe_other(s, ahead < FAR ? ahead : 0);
	} else if (ahead < FAR) {
		forget_runs(s);
		keep_gap(s, s->next, ahead);
	} else if (behind > BACK) {
		restart(s);
	} else if (fill_gap(s, number, n)) {
		return false;
	} else if (begun_again(s, number, n)) {
		restart(s);
	} else {
		s->repeated++;
		return false;
	}
	return true;
}

void sequence_message(struct sequence *s, uint32_t number, uint32_t records, bool known)
{
	if (!place(s, number, s->unit == SEQUENCE_RECORDS ? records : 1))
		return;
	s->next = number + (s->unit == SEQUENCE_RECORDS ? records : 1);
	s->last = number;
	s->last_n = records;
	s->lost_count = !known && s->unit == SEQUENCE_RECORDS;
	s->any = true;
}
