/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipfix_key.h - bits of the key that names a flow template; ipfix_flow_id() makes its id of it.
 * They are seen on the wire: never changed.
 */
#ifndef WEIR_COMMON_IPFIX_KEY_H
#define WEIR_COMMON_IPFIX_KEY_H

#include "common/flow.h"

enum {
	KEY_L3 = 3, /* mask */
	KEY_ETHER = 0,
	KEY_V4 = 1,
	KEY_V6 = 2,
	KEY_L4_SHIFT = 2,
	KEY_L4 = 3 << KEY_L4_SHIFT, /* mask */
	KEY_PORTS = 1 << KEY_L4_SHIFT,
	KEY_TCP = 2 << KEY_L4_SHIFT,
	KEY_ICMP = 3 << KEY_L4_SHIFT,
	KEY_FLAGS_SHIFT = 4, /* then a bit per group from IG_TIMING on */
	KEY_TIMING = 1 << KEY_FLAGS_SHIFT,
	KEY_PLACE = 2 << KEY_FLAGS_SHIFT,
	KEY_TLS = 4 << KEY_FLAGS_SHIFT,
	KEY_HTTP = 8 << KEY_FLAGS_SHIFT,
	KEY_DNS = 16 << KEY_FLAGS_SHIFT,
	KEY_MORE = 32 << KEY_FLAGS_SHIFT,
	KEY_POLICY = 64 << KEY_FLAGS_SHIFT,
	KEY_ANSWERS = 128 << KEY_FLAGS_SHIFT,
	KEY_MIRROR = 256 << KEY_FLAGS_SHIFT,
};

/* What a record needs. */
uint32_t ipfix_key(const struct flow_record *r);

#endif
