/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* l7_flow.h - names: nothing is read yet, payload is not asked for again. */
#ifndef WEIR_BPF_L7_FLOW_H
#define WEIR_BPF_L7_FLOW_H

#include "maps.h"

static __always_inline int l7_payload(void)
{
	struct scratch *s = scratch_get();
	struct flow_hot *h = s ? hot_get(s->slot) : 0;

	if (h)
		h->l7 &= ~(1u << (s->dir & 1));
	return 0;
}

__noinline int xdp_l7(struct xdp_md *ctx)
{
	return ctx ? l7_payload() : 0;
}

__noinline int tc_l7(struct __sk_buff *ctx)
{
	return ctx ? l7_payload() : 0;
}

#endif
