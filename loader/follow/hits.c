// SPDX-License-Identifier: Apache-2.0
/*
 * hits.c - what decisions have hit on the nodes (loader/follow/hits.c): counts since an entry came into a kernel,
 * told again and again while they grow, and once more when it has gone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/node_hits.h"
#include "loader/follow/follow.h"

static int64_t mono_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool follow_hits_due(const struct follow *f)
{
	return !f->hits_off && !f->pending && f->report.highest && mono_ms() >= f->hits_at_ms;
}

static struct node_hit told_as(const struct policy_hit *h)
{
	struct node_hit n = {.entry = (int64_t)h->entry,
			     .packets = (int64_t)h->packets,
			     .bytes = (int64_t)h->bytes,
			     .flows = h->flows,
			     .last_us = (int64_t)h->last_us};

	memcpy(n.id, h->id, sizeof(n.id));
	memcpy(n.addr, h->addr, sizeof(n.addr));
	return n;
}

static enum follow_round tell_some(struct follow *f, const struct policy_hit *h, size_t n)
{
	struct node_hit some[NODE_HITS_MAX];
	enum follow_round round;
	int status = 0;

	for (size_t i = 0; i < n; i++)
		some[i] = told_as(&h[i]);
	round = follow_tell(f, NODE_PATH_HITS, node_hits_write(some, n), &status);
	if (status == 404 || status == 400) {
		log_info(f->e->issuer, "this collector does not ask what decisions hit");
		f->hits_off = true;
	}
	return round;
}

enum follow_round follow_tell_hits(struct follow *f)
{
	enum follow_round round = ROUND_GOOD;
	struct policy_request q;
	struct policy_result r;

	f->hits_at_ms = mono_ms() + FOLLOW_HITS_MS;
	policy_request_init(&q, ASK_HITS);
	snprintf((char *)q.issuer, sizeof(q.issuer), "%s", f->e->issuer);
	q.after = f->hits_since;
	if (policy_call(f->socket, &q, NULL, 0, &r))
		return ROUND_GOOD; /* no weir: the report says so */
	for (uint32_t i = 0; i < r.reply.n && round == ROUND_GOOD && f->renew_at_s && f->h;
	     i += NODE_HITS_MAX)
		round = tell_some(f, &r.hits[i],
				  r.reply.n - i < NODE_HITS_MAX ? r.reply.n - i : NODE_HITS_MAX);
	if (round == ROUND_GOOD && f->renew_at_s && !r.reply.r)
		f->hits_since = r.reply.clock;
	policy_result_done(&r);
	return round;
}
