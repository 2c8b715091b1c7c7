// SPDX-License-Identifier: Apache-2.0
#include "loader/capture/recent.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "loader/dataplane.h"

/* How far a CPU has been read, and its next packet. */
struct place {
	uint64_t number; /* of the block */
	uint64_t seen; /* packets of the CPU up to here, read or lost; at first, when it was opened */
	uint32_t at;
	bool begun;
	bool loaded;
	struct recent_record head;
	uint8_t *bytes; /* RECENT_LEN_MAX */
};

struct recent_reader {
	const struct dataplane *dp;
	uint64_t from_ns;
	uint64_t lost;
	struct place *place; /* by CPU */
	int taken;	     /* CPU of the packet that was given out; -1: none */
};

struct recent_reader *recent_close(struct recent_reader *r)
{
	for (int i = 0; r && r->place && i < r->dp->cpus; i++)
		free(r->place[i].bytes);
	if (r)
		free(r->place);
	free(r);
	return NULL;
}

int recent_open(const struct dataplane *dp, uint64_t from_ns, struct recent_reader **ret)
{
	struct recent_reader *r;

	if (!dp->recent)
		return -ENOENT;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	*r = (struct recent_reader){.dp = dp, .from_ns = from_ns, .taken = -1};
	r->place = calloc((size_t)dp->cpus, sizeof(*r->place));
	for (int i = 0; r->place && i < dp->cpus; i++) {
		r->place[i].bytes = malloc(RECENT_LEN_MAX);
		if (!r->place[i].bytes)
			break;
		r->place[i].seen = __atomic_load_n(&dp->recent_now[i].packets, __ATOMIC_RELAXED);
		if (i == dp->cpus - 1) {
			*ret = r;
			return 0;
		}
	}
	recent_close(r);
	return -ENOMEM;
}

uint64_t recent_lost(const struct recent_reader *r)
{
	return r->lost;
}

static const struct recent_block *block_of(const struct recent_reader *r, int cpu, uint64_t number)
{
	const uint32_t blocks = r->dp->recent_blocks;

	return &r->dp->recent[(uint32_t)cpu * blocks + (number & (blocks - 1))];
}

static uint64_t number_of(const struct recent_block *b)
{
	return __atomic_load_n(&b->number, __ATOMIC_ACQUIRE);
}

/* Go to the beginning of a block. False: it is another one's by now. */
static bool enter(struct recent_reader *r, struct place *p, int cpu, uint64_t number)
{
	const struct recent_block *b = block_of(r, cpu, number);
	uint64_t first;

	if (number_of(b) != number)
		return false;
	first = b->first;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (number_of(b) != number)
		return false;
	if (first > p->seen)
		r->lost += first - p->seen;
	p->begun = true;
	p->number = number;
	p->seen = first;
	p->at = 0;
	return true;
}

/* The oldest block that is whole. False: none. */
static bool enter_oldest(struct recent_reader *r, struct place *p, int cpu, uint64_t now)
{
	const uint32_t blocks = r->dp->recent_blocks;
	uint64_t number = now >= blocks ? now - blocks + 1 : 1;

	if (p->begun && number <= p->number)
		number = p->number + 1;
	while (number <= now)
		if (enter(r, p, cpu, number++))
			return true;
	return false;
}

/* Is all that is in the blocks before this one older than what is wanted? */
static bool begins_before(const struct recent_reader *r, int cpu, uint64_t number)
{
	const struct recent_block *b = block_of(r, cpu, number);
	struct recent_record head;

	if (number_of(b) != number || __atomic_load_n(&b->used, __ATOMIC_ACQUIRE) < sizeof(head))
		return false;
	memcpy(&head, b->data, sizeof(head));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return number_of(b) == number && head.ns <= r->from_ns;
}

/* Begin with the last block that may hold packets that are wanted. False: there is none yet. */
static bool enter_first(struct recent_reader *r, struct place *p, int cpu, uint64_t now)
{
	const uint32_t blocks = r->dp->recent_blocks;
	uint64_t number = now >= blocks ? now - blocks + 1 : 1;

	for (uint64_t n = number + 1; n <= now; n++)
		if (begins_before(r, cpu, n))
			number = n;
	return enter(r, p, cpu, number) || enter_oldest(r, p, cpu, now);
}

/* The record at the place into it. 1; 0: none is complete; -1: it was written over. */
static int take(const struct recent_reader *r, struct place *p, int cpu)
{
	const struct recent_block *b = block_of(r, cpu, p->number);
	uint32_t used;

	if (number_of(b) != p->number)
		return -1;
	used = __atomic_load_n(&b->used, __ATOMIC_ACQUIRE);
	if (used > sizeof(b->data) || used < p->at + sizeof(p->head))
		return number_of(b) == p->number ? 0 : -1;
	memcpy(&p->head, b->data + p->at, sizeof(p->head));
	if (p->head.len <= RECENT_LEN_MAX && p->at + sizeof(p->head) + p->head.len <= used)
		memcpy(p->bytes, b->data + p->at + sizeof(p->head), p->head.len);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (number_of(b) != p->number)
		return -1;
	p->at += (uint32_t)(sizeof(p->head) + p->head.len + 7) & ~7u;
	p->seen++;
	return 1;
}

/* See to it that the CPU's next packet is at hand, if there is one. */
static void load(struct recent_reader *r, int cpu)
{
	const struct recent_now *w = &r->dp->recent_now[cpu];
	struct place *p = &r->place[cpu];

	while (!p->loaded) {
		const uint64_t now = __atomic_load_n(&w->number, __ATOMIC_ACQUIRE);
		int got;

		if (!now || (!p->begun && !enter_first(r, p, cpu, now)))
			return;
		got = take(r, p, cpu);
		if (got > 0)
			p->loaded = p->head.ns >= r->from_ns;
		else if (got < 0 ? !enter_oldest(r, p, cpu, now)
				 : p->number >= now || !enter(r, p, cpu, p->number + 1))
			return;
	}
}

int recent_next(struct recent_reader *r, uint64_t until_ns, struct recent_packet *ret)
{
	int first = -1;

	if (r->taken >= 0)
		r->place[r->taken].loaded = false;
	r->taken = -1;
	for (int i = 0; i < r->dp->cpus; i++) {
		load(r, i);
		if (r->place[i].loaded && r->place[i].head.ns < until_ns &&
		    (first < 0 || r->place[i].head.ns < r->place[first].head.ns))
			first = i;
	}
	if (first < 0)
		return 0;
	r->taken = first;
	ret->head = r->place[first].head;
	ret->bytes = r->place[first].bytes;
	return 1;
}
