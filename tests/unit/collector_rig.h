/* SPDX-License-Identifier: Apache-2.0 */
/*
 * collector_rig.h - a collector in a thread: TCP, decodes what comes, stores it, acknowledges if asked
 * to, and can be taken away in the middle of it.
 */
#ifndef WEIR_UNIT_COLLECTOR_RIG_H
#define WEIR_UNIT_COLLECTOR_RIG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RIG_FLOWS_MAX 200000u

struct collector {
	uint16_t port; /* 0: any; stays the same when it comes back */
	bool acks;     /* acknowledge what is stored */
	uint32_t deaf; /* stop acknowledging after so many records; 0 = never */
	pthread_t thread;
	int listener, fd;
	atomic_bool stop;
	/* stored over all its lives; flows by the number in the source address */
	_Atomic uint64_t records, packets, bytes, malformed, no_template, connections;
	uint8_t seen[RIG_FLOWS_MAX]; /* times that flow came */
	/* domain 1, as weir-collector would keep it */
	uint64_t start_ms;
	uint32_t next;	     /* sequence number */
	uint64_t duplicates; /* records below it */
};

void collector_start(struct collector *c);

/* Take it away: the connection breaks at once, nobody listens. */
void collector_kill(struct collector *c);

/* Flows among the first @n that never came; and that came more than once. */
uint32_t collector_missing(const struct collector *c, uint32_t n);
uint32_t collector_doubled(const struct collector *c, uint32_t n);

/* Until @records are there, or a minute has passed. */
bool collector_wait(const struct collector *c, uint64_t records);

#endif
