// SPDX-License-Identifier: Apache-2.0
/*
 * host_conf.c - see host.h: the sessions that the configuration has, and what is kept of those they replace.
 */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "loader/mirror/host_int.h"

#define NS_PER_S UINT64_C(1000000000)

static const struct mirror_image *image_of(const struct mirror_images *all, uint32_t number)
{
	for (uint32_t i = 0; i < all->n; i++)
		if (all->at[i].want.number == number)
			return &all->at[i];
	return NULL;
}

uint32_t mirror_clock(struct mirror_host *h, uint64_t s)
{
	const uint64_t unit = h->dp->tick_ns << POLICY_JIFFIES_SHIFT;
	uint64_t tick, wall;

	dataplane_now(h->dp, &tick, &wall);
	return (uint32_t)((tick >> POLICY_JIFFIES_SHIFT) + s * NS_PER_S / unit + 2);
}

void mirror_lease(struct mirror_host *h, unsigned int element)
{
	struct mirror_live *l = &h->live[element];
	const uint64_t now = mirror_mono_ms(), left = l->until_ms > now ? l->until_ms - now : 0;
	const uint64_t s = left / 1000 < MIRROR_LEASE_S ? left / 1000 : MIRROR_LEASE_S;

	l->s.until = mirror_clock(h, s);
	__atomic_store_n(&h->kernel.table->session[element].until, l->s.until, __ATOMIC_RELAXED);
}

void mirror_count_of(const struct mirror_host *h, unsigned int element, struct mirror_count *ret)
{
	const struct mirror_count *before = &h->live[element].before;

	mirror_kernel_count(&h->kernel, element, ret);
#define MIRROR_COUNT(member, counter, help) ret->member += before->member;
#include "weir/mirror_counts.def"
#undef MIRROR_COUNT
	ret->queued += before->queued;
	ret->dequeued += before->dequeued;
}

bool mirror_conf_has(const struct mirror_host *h, uint32_t number)
{
	return image_of(&h->conf, number) != NULL;
}

uint32_t mirror_free_number(const struct mirror_host *h)
{
	uint32_t number = 1;

	while (mirror_find(h, number) >= 0 || mirror_conf_has(h, number))
		number++;
	return number;
}

static bool same(const struct mirror_image *a, const struct mirror_image *b)
{
	return !memcmp(&a->want, &b->want, sizeof(a->want)) &&
	       !memcmp(a->rules, b->rules, a->want.rules * sizeof(a->rules[0]));
}

/* Said once for each configuration, however often it is tried. */
static void say(struct mirror_host *h, unsigned int i, const char *text)
{
	if (h->said & 1u << i)
		return;
	h->said |= 1u << i;
	log_warn("mirror", "session %u of the configuration: %s; it is tried again every second",
		 h->conf.at[i].want.number, text);
}

/* @instead: element, or -1. */
static int begin(struct mirror_host *h, unsigned int i, int instead)
{
	const struct mirror_image *m = &h->conf.at[i];
	struct policy_reply reply = {};
	struct mirror_way way;
	const struct mirror_begin b = {.want = &m->want,
				       .rules = m->rules,
				       .way = &way,
				       .from = MIRROR_BY_CONFIG,
				       .instead = instead};
	int r;

	/* where none leads now, what it would get is counted, and routes are followed */
	if (mirror_find_way(&m->want, &way) || way.local)
		way = (struct mirror_way){};
	r = mirror_begin(h, &b, &reply);
	if (r) {
		say(h, i, reply.text);
		return r;
	}
	log_info("mirror", "session %u of the configuration: %s%s%s", m->want.number,
		 m->want.filter, reply.text[0] ? ": " : "", reply.text);
	return 0;
}

void mirror_host_configure(struct mirror_host *h, const struct mirror_images *now)
{
	static struct mirror_images was;

	if (!h->dp)
		return;
	was = h->conf;
	h->conf = *now;
	h->said = 0;
	for (unsigned int e = 0; e < MIRROR_SESSIONS; e++) {
		const uint32_t number = h->live[e].want.number;
		const struct mirror_image *a = image_of(&was, number), *b = image_of(now, number);

		if (!h->live[e].used || h->live[e].from != MIRROR_BY_CONFIG ||
		    (a && b && same(a, b)))
			continue;
		if (b && !begin(h, (unsigned int)(b - now->at), (int)e))
			continue;
		log_info("mirror", "session %u has ended: the configuration %s", number,
			 b ? "has another" : "does not have it any more");
		mirror_end(h, e);
	}
	mirror_asks_targets(h, &was);
}

void mirror_conf_tick(struct mirror_host *h)
{
	for (unsigned int i = 0; i < h->conf.n; i++) {
		const int e = mirror_find(h, h->conf.at[i].want.number);

		if (e < 0) {
			begin(h, i, -1);
			continue;
		}
		if (h->live[e].from != MIRROR_BY_CONFIG) {
			log_warn(
				"mirror",
				"session %u by hand has ended: its number is one of the configuration",
				h->live[e].want.number);
			mirror_end(h, (unsigned int)e);
			begin(h, i, -1);
			continue;
		}
		mirror_lease(h, (unsigned int)e);
	}
}
