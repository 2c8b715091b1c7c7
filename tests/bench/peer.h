/* SPDX-License-Identifier: Apache-2.0 */
/* peer.h - key and counters of the comparison programs; both sides. */
#ifndef WEIR_BENCH_PEER_H
#define WEIR_BENCH_PEER_H

#include <linux/types.h>
#include "weir/abi.h"

/* The identity of a flow as tightly as it goes. The map's key size leaves the tail out where no
 * tunnels are opened.
 */
struct peer_key {
	__u32 addr[2][4];
	__u16 port[2];
	__u32 ifindex;
	__u16 vlan[2];
	__u16 ethertype;
	__u8 proto;
	__u8 pad;
	__u32 tun_src[4];
	__u32 vni;
	__u32 tun_type;
};

#define PEER_KEY_PLAIN	48u
#define PEER_KEY_TUNNEL 72u

/* What is kept of a flow: all of flow_hot and flow_cold but the key, the hot members in front. */
struct peer_value {
	struct flow_hot hot;
	__u8 cold[sizeof(struct flow_cold) - sizeof(struct flow_key)];
};

struct peer_stats {
	__u64 inserted;
	__u64 lost; /* packets not accounted: the map is full */
};

_Static_assert(sizeof(struct peer_key) == PEER_KEY_TUNNEL, "no padding");
_Static_assert(sizeof(struct peer_value) == 184, "no padding");

#endif
