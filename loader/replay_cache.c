// SPDX-License-Identifier: Apache-2.0
/*
 * replay_cache.c - ages the flow cache between packets of a replay.
 */
#include "loader/replay_cache.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sys/mman.h>

#include "weir.skel.h"
#include "weir/lone_syn.h"

int replay_cache_open(struct replay_cache *rc, const struct dataplane *dp)
{
	int fd = bpf_map__fd(dp->object[0].skel->maps.flows);
	void *p = mmap(NULL, dp->map_bytes[0], PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*rc = (struct replay_cache){.flows = p, .bytes = dp->map_bytes[0], .slots = dp->slots};
	return 0;
}

void replay_cache_close(struct replay_cache *rc)
{
	if (rc->flows)
		munmap(rc->flows, rc->bytes);
	*rc = (struct replay_cache){};
}

static struct flow_hot *hot_at(const struct replay_cache *rc, size_t slot)
{
	return &rc->flows[slot / WEIR_WAYS].way[slot % WEIR_WAYS];
}

void replay_cache_age(struct replay_cache *rc, uint64_t from, uint64_t to)
{
	uint64_t passed = to - from;

	rc->aged = to;
	for (size_t slot = 0; slot < rc->slots; slot++) {
		struct flow_hot *h = hot_at(rc, slot);

		if (!h->tag)
			continue;
		for (uint32_t d = 0; d < 2; d++) {
			if (lone_syn_is(h) && d != lone_syn_dir(h))
				continue; /* no time stands there */
			if (passed + ((uint32_t)from - h->last[d]) > REPLAY_AGE_TICKS)
				h->last[d] = (uint32_t)to - REPLAY_AGE_TICKS;
		}
	}
}
