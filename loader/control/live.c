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
	uint64_t copied_bytes[2];
	uint64_t copied_packets[2];
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

static struct live_news all_of(const struct flow_record *r)
{
	const bool out = flow_has(r, FF_OUT_COPIED_PACKETS), in = flow_has(r, FF_IN_COPIED_PACKETS);

	return (struct live_news){
		.packets = {r->out.packets, r->in.packets},
		.bytes = {r->out.bytes, r->in.bytes},
		.copied_packets = {out ? r->out.copied_packets : 0, in ? r->in.copied_packets : 0},
		.copied_bytes = {out ? r->out.copied_bytes : 0, in ? r->in.copied_bytes : 0},
	};
}

/* Of @now, what is beyond @told; which it becomes. */
static uint64_t beyond(uint64_t now, uint64_t *told, bool forget)
{
	const uint64_t n = now > *told ? now - *told : 0;

	*told = forget ? 0 : now;
	return n;
}

/* @forget: its record has been written, it begins again at 0. */
static void tell(struct live *l, uint32_t ref, const struct flow_record *r, bool forget)
{
	struct live_news news = all_of(r);
	const unsigned int swap = lower_end(r);
	struct live_counted *c;

	if (!ref || ref > l->max)
		return;
	c = &l->counted[ref];
	for (unsigned int d = 0; d < 2; d++) {
		const unsigned int k = d ^ swap;

		news.bytes[d] = beyond(news.bytes[d], &c->bytes[k], forget);
		news.packets[d] = beyond(news.packets[d], &c->packets[k], forget);
		news.copied_bytes[d] = beyond(news.copied_bytes[d], &c->copied_bytes[k], forget);
		news.copied_packets[d] =
			beyond(news.copied_packets[d], &c->copied_packets[k], forget);
	}
	news.ref = ref;
	news.live = !forget;
	l->tell(l->arg, r, &news);
}

void live_record(struct live *l, const struct flow_record *r)
{
	const struct live_news news = all_of(r);

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
