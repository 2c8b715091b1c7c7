// SPDX-License-Identifier: Apache-2.0
/*
 * host_show.c - see host.h: sessions as they are, for whoever asks.
 */
#include <errno.h>
#include <stdlib.h>

#include "loader/mirror/host_int.h"

static void show(struct mirror_host *h, unsigned int e, struct mirror_shown *ret)
{
	const struct mirror_live *l = &h->live[e];
	const uint64_t now = mirror_mono_ms();

	*ret = (struct mirror_shown){
		.want = l->want,
		.ends_s = l->until_ms == UINT64_MAX ? UINT64_MAX
			  : l->until_ms > now	    ? (l->until_ms - now + 999) / 1000
						    : 0,
		.length = l->s.length,
		.mtu = l->s.out ? l->way.mtu : 0,
		.ifaces = l->ifaces,
		.uid = l->uid,
		.from = l->from,
	};
	mirror_count_of(h, e, &ret->count);
}

int mirror_answer_show(struct mirror_host *h, struct policy_answer *ret)
{
	unsigned int element[MIRROR_SESSIONS];
	const unsigned int n = mirror_in_order(h, element);
	struct mirror_shown *all = calloc(n ?: 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++)
		show(h, element[i], &all[i]);
	ret->mirrors = all;
	ret->reply.n = n;
	return 0;
}
