/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_rig.h - a cache in plain memory, written as the packet path writes it: keys of flows, and final
 * records in the ring. For tests of the drain; one writer.
 */
#ifndef WEIR_TESTS_CACHE_RIG_H
#define WEIR_TESTS_CACHE_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "weir/abi.h"

/* A ring whose mapping goes twice round: @bytes, and the same again. */
struct rig_ring {
	uint8_t *mem;
	size_t bytes;
	unsigned long *producer;
	const unsigned long *consumer;
};

/* A final record, as bpf_ringbuf_submit() leaves it. False: it has no room. */
bool rig_final(const struct rig_ring *r, const struct flow_final *f);

/* 0.0.0.0 port @flow to 0.0.0.1 port 443, over IPv4. */
void cache_rig_key(struct flow_key *k, uint32_t flow, uint8_t proto);

#endif
