/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * gso.h - how many packets a GSO packet is on the wire. Pure.
 */
#ifndef WEIR_BPF_GSO_H
#define WEIR_BPF_GSO_H

#include "pkt.h"

#define GSO_BY_FRAGS_SIZE 0xffffu /* SCTP: segment sizes differ (include/linux/skbuff.h) */

/**
 * gso_segments - wire packets of one GSO packet
 * @gso_size: payload bytes of each segment but the last
 * @gso_segs: the stack's own count, 0 if it does not know
 * @payload:  bytes behind the innermost transport header
 *
 * Return: number of packets, or 0 when it can't be said.
 */
static __always_inline __u32 gso_segments(__u32 gso_size, __u32 gso_segs, __u32 payload)
{
	if (gso_size == GSO_BY_FRAGS_SIZE || !gso_size)
		return gso_segs;
	return payload ? (payload + gso_size - 1) / gso_size : 1;
}

#endif
