// SPDX-License-Identifier: Apache-2.0
/*
 * live.c - see live.h.
 */
#include "loader/control/live.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define SLICE 1024u /* flows a step: some hundred microseconds */

/* Of what waits for the next record: told already. [0] of the lower end, so that a flow whose
 * direction is settled late keeps its numbers apart.
 */
struct live_counted {
	uint64_t bytes[2];
	uint64_t packets[2];
};

void live_init(struct live *l, struct merge *m, uint32_t max, live_fn tell, void *arg)
{
	*l = (struct live){.merge = m, .max = max, .tell = tell, .arg = arg};
}

void live_done(struct live *l)
{
	live_want(l, false);
}

uint64_t live_memory(uint32_t max)
{
	return ((uint64_t)max + 1) * sizeof(struct live_counted);
}

int live_want(struct live *l, bool on)
{
	const size_t bytes = live_memory(l->max);

	if (on == !!l->counted)
		return 0;
	if (!on) {
		munmap(l->counted, bytes);
		l->counted = NULL;
		l->sweeping = false;
		return 0;
	}
	l->counted = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (l->counted == MAP_FAILED) {
		l->counted = NULL;
		return -ENOMEM;
	}
	l->sweeps = 0;
	return 0;
}

static unsigned int lower_end(const struct flow_record *r)
{
	const int order = r->family ? memcmp(r->src_ip, r->dst_ip, 16) : 0;

	if (order)
		return order > 0;
	return flow_has(r, FF_SRC_PORT) && r->src_port > r->dst_port;
}

/* @forget: its record has been written, it begins again at 0. */
static void tell(struct live *l, uint32_t ref, const struct flow_record *r, bool forget)
{
	struct live_news news = {.ref = ref, .live = !forget};
	const uint64_t bytes[2] = {r->out.bytes, r->in.bytes};
	const uint64_t packets[2] = {r->out.packets, r->in.packets};
	const unsigned int swap = lower_end(r);
	struct live_counted *c;

	if (!ref || ref > l->max)
		return;
	c = &l->counted[ref];
	for (unsigned int d = 0; d < 2; d++) {
		const unsigned int k = d ^ swap;

		news.bytes[d] = bytes[d] > c->bytes[k] ? bytes[d] - c->bytes[k] : 0;
		news.packets[d] = packets[d] > c->packets[k] ? packets[d] - c->packets[k] : 0;
		c->bytes[k] = forget ? 0 : bytes[d];
		c->packets[k] = forget ? 0 : packets[d];
	}
	l->tell(l->arg, r, &news);
}

void live_record(struct live *l, const struct flow_record *r)
{
	const struct live_news news = {.packets = {r->out.packets, r->in.packets},
				       .bytes = {r->out.bytes, r->in.bytes}};

	if (l->counted)
		tell(l, merge_emitting(l->merge), r, true);
	else
		l->tell(l->arg, r, &news);
}

void live_begin(struct live *l, uint64_t now_ns)
{
	if (!l->counted || l->sweeping)
		return;
	l->sweeping = true;
	l->at = 0;
	l->prev_ns = l->started_ns;
	l->started_ns = now_ns;
}

static void look(void *arg, uint32_t ref, const struct flow_record *r)
{
	tell(arg, ref, r, false);
}

bool live_step(struct live *l)
{
	if (!l->sweeping || merge_live(l->merge, &l->at, SLICE, look, l))
		return false;
	l->sweeping = false;
	l->sweeps++;
	return true;
}
