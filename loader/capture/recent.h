/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recent.h - reads the last packets of the node (weir/recent.h) in the order of their time, over all CPUs:
 * those of before, and those to come. The programs never wait for it; what they wrote over before it was
 * read is counted. One thread; any number of readers.
 */
#ifndef WEIR_LOADER_RECENT_H
#define WEIR_LOADER_RECENT_H

#include <stdint.h>

#include "weir/recent.h"

struct dataplane;
struct recent_reader;

struct recent_packet {
	struct recent_record head;
	const uint8_t *bytes; /* head.len of them, until the next call */
};

/**
 * recent_open - a reader of its own
 * @from_ns: CLOCK_MONOTONIC: packets from then on
 *
 * Return: 0, -ENOMEM, -ENOENT: no packets are kept.
 */
int recent_open(const struct dataplane *dp, uint64_t from_ns, struct recent_reader **ret);
struct recent_reader *recent_close(struct recent_reader *r);

/**
 * recent_next - the next packet
 * @until_ns: CLOCK_MONOTONIC: none of then or later. In live reading leave some milliseconds, so that no
 *            CPU still writes one of before.
 *
 * Return: 1, or 0: none is there yet.
 */
int recent_next(struct recent_reader *r, uint64_t until_ns, struct recent_packet *ret);

/* Packets that were written over before they were read. */
uint64_t recent_lost(const struct recent_reader *r);

#endif
