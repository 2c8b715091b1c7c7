// SPDX-License-Identifier: Apache-2.0
#include "loader/source_loss.h"

#include <string.h>

#include "loader/dataplane.h"
#include "weir/source.h"

#define RESTARTS_FEW   8u  /* more, and more than one in so many packets, */
#define RESTARTS_SHARE 64u /* are those of several senders behind one address and key */

static uint64_t get(const __u64 *v)
{
	return __atomic_load_n(v, __ATOMIC_RELAXED);
}

static struct source_count counts_of(const struct dataplane *dp, unsigned int i)
{
	struct source_count sum = {};

	for (unsigned int cpu = 0; cpu < (unsigned int)dp->cpus; cpu++) {
		const struct source_count *c = &dp->source_counts[cpu * WEIR_SOURCES + i];

		sum.packets += get(&c->packets);
		sum.arrived += get(&c->arrived);
		sum.repeated += get(&c->repeated);
	}
	return sum;
}

static const char *why_unknown(const struct source_row *r, const struct source_count *n,
			       uint64_t restarts)
{
	if (r->sampled)
		return "packets are sampled";
	if (!n->arrived)
		return "no sequence numbers";
	if (n->repeated > n->arrived)
		return "the sequence number stands still";
	if (restarts > RESTARTS_FEW && restarts > n->arrived / RESTARTS_SHARE)
		return "sequence numbers of several senders";
	return NULL;
}

bool source_loss_get(const struct dataplane *dp, unsigned int i, struct source_loss *ret)
{
	const struct source_row *r = &dp->sources[i];
	uint64_t sent, restarts;
	struct source_count n;

	*ret = (struct source_loss){};
	if (i && !__atomic_load_n(&r->ready, __ATOMIC_ACQUIRE))
		return false;
	sent = get(&r->sent); /* before what came: a packet on its way is never a lost one */
	restarts = __atomic_load_n(&r->restarts, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	n = counts_of(dp, i);
	ret->packets = n.packets;
	if (!i) {
		ret->unknown = "no room for more sources";
		return n.packets != 0;
	}
	memcpy(ret->addr, r->addr, sizeof(ret->addr));
	ret->vni = r->vni;
	ret->netns = r->netns;
	ret->type = r->type;
	ret->unknown = why_unknown(r, &n, restarts);
	if (ret->unknown)
		return true;
	ret->sent = sent;
	ret->lost = sent > n.arrived ? sent - n.arrived : 0;
	ret->restarts = restarts;
	return true;
}

struct source_loss_sum source_loss_sum(const struct dataplane *dp)
{
	struct source_loss_sum sum = {};
	struct source_loss s;

	for (unsigned int i = 0; i < WEIR_SOURCES; i++) {
		if (!source_loss_get(dp, i, &s))
			continue;
		sum.packets += s.packets;
		sum.unknown_packets += s.unknown ? s.packets : 0;
		sum.known += !s.unknown;
		sum.unknown += s.unknown != NULL;
		sum.sent += s.sent;
		sum.lost += s.lost;
		sum.restarts += s.restarts;
	}
	return sum;
}

static bool is_worse(const struct source_loss *a, const struct source_loss *b)
{
	return a->lost != b->lost ? a->lost > b->lost : a->packets > b->packets;
}

unsigned int source_loss_worst(const struct dataplane *dp, struct source_loss *ret, unsigned int n,
			       unsigned int *ret_more)
{
	unsigned int have = 0, at;
	struct source_loss s;

	*ret_more = 0;
	for (unsigned int i = 0; i < WEIR_SOURCES; i++) {
		if (!source_loss_get(dp, i, &s))
			continue;
		*ret_more += have == n;
		if (have == n && !is_worse(&s, &ret[n - 1]))
			continue;
		at = have < n ? have++ : n - 1;
		for (; at && is_worse(&s, &ret[at - 1]); at--)
			ret[at] = ret[at - 1];
		ret[at] = s;
	}
	return have;
}
