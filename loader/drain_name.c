// SPDX-License-Identifier: Apache-2.0
/*
 * drain_name.c - names that the kernel has read, and those that are made of the payload it hands up.
 */
#include "loader/drain_int.h"

#define RING_CHUNK 512u /* events between two releases */

void drain_on_name(struct drain *d, void (*fn)(void *arg, const struct name_result *name),
		   void *arg)
{
	d->on_name = fn;
	d->on_name_arg = arg;
}

/* A name of payload that was handed up, or of what was put together of it. */
static void take_name(struct drain *d, const struct event_hdr *ev)
{
	merge_name(d->merge, &d->name);
	if (d->on_name &&
	    (!ev || (ev->kind != EV_TLS_CLIENT && ev->kind != EV_HTTP && ev->kind != EV_DNS)))
		d->on_name(d->on_name_arg, &d->name);
}

unsigned int drain_events(struct drain *d, unsigned long end)
{
	struct ring *r = &d->dp->events;
	struct name_result *res = &d->name;
	const void *ev;
	unsigned int n = 0;
	size_t len;

	while ((ev = ring_next(r, end, &len))) {
		if (d->names && name_feed(d->names, ev, len, res) == 1)
			take_name(d, ev);
		if (++n % RING_CHUNK == 0)
			ring_release(r);
	}
	ring_release(r);
	while (d->names && names_next(d->names, res) == 1)
		take_name(d, NULL);
	return n;
}
