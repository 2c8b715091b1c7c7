/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sighting.h - a flow that passes several interfaces of the node is counted on one of them.
 *
 * Of each direction of a flow, whatever interface and VLAN: an uplink that sees it counts it; where
 * no uplink does, the veth with the lowest index among those that do. So what leaves or enters the
 * node is counted at the uplink, what pods say to each other at one pod's veth, and nothing by who
 * came first. Uplinks count each for itself (the ports of a bond share a flow), mirrors always do.
 * A flow whose addresses are rewritten between two interfaces (NAT) is two flows here.
 *
 * A sighting is noted when a direction is first seen and forgotten when it was not asked for in a
 * while. Full: further flows are counted wherever they are seen, and that is counted. One thread.
 */
#ifndef WEIR_LOADER_SIGHTING_H
#define WEIR_LOADER_SIGHTING_H

#include <stdbool.h>
#include <stdint.h>
#include "weir/abi.h"

#define SIGHTING_IFACES 8u /* of one flow that are remembered, the first ones */

struct sightings;

/* enum role of the interface in a key, or -1: not known. */
typedef int (*sighting_role_fn)(void *arg, const struct flow_key *key);

/* One flow; both arrays have @n elements. */
struct sighting {
	struct flow_key key; /* ifindex and VLANs 0: flows of two network namespaces are two */
	uint32_t ifindex[SIGHTING_IFACES];
	uint8_t dirs[SIGHTING_IFACES]; /* bit d: direction d was seen there */
	uint8_t n;
	uint8_t uplink_dirs; /* bit d: seen on an uplink */
	uint8_t pad[2];
	uint32_t next;	/* in its chain, or of the free ones; index + 1 */
	uint64_t asked; /* tick when it was last noted or asked for */
};

struct sighting_stats {
	uint64_t full; /* flows not noted for want of room */
};

/* Bytes that it takes with room for @max flows when @live are there. */
uint64_t sightings_memory(uint32_t max, uint32_t live);

/**
 * sightings_new - @max: flows known at one time, see sightings_memory(); touched as they come
 *
 * Return: 0, -ENOMEM, -EIO.
 */
int sightings_new(uint32_t max, sighting_role_fn role, void *arg, struct sightings **ret);
void sightings_free(struct sightings *s);

/* Does the interface in @key count whatever it sees? */
bool sighting_counts_all(const struct sightings *s, const struct flow_key *key);

/* Direction @dir of a flow is seen on the interface in @key. @tick: now. */
void sighting_note(struct sightings *s, const struct flow_key *key, int dir, uint64_t tick);

/**
 * sighting_elsewhere - which directions of the flow are another interface's to count?
 * @ret: where it was seen, valid until the next call of any function here; NULL: not known
 *
 * Return: bit d: direction d.
 */
unsigned int sighting_elsewhere(struct sightings *s, const struct flow_key *key, uint64_t tick,
				const struct sighting **ret);

/* Forget what nobody has asked for in @keep ticks. A part of the table a call, all in sixteen. */
void sightings_tick(struct sightings *s, uint64_t tick, uint64_t keep);

const struct sighting_stats *sightings_stats(const struct sightings *s);

#endif
