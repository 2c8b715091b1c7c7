/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_loss.h - how many packets of those who send tunnels here did not come: what the numbers in GRE and ERSPAN
 * say was sent, less what arrived. It reads the packet path's own tables. Any thread.
 */
#ifndef WEIR_LOADER_SOURCE_LOSS_H
#define WEIR_LOADER_SOURCE_LOSS_H

#include <stdbool.h>
#include <stdint.h>

struct dataplane;

struct source_loss {
	uint8_t addr[16];    /* outer source; IPv4 mapped */
	uint32_t vni;	     /* GRE key, ERSPAN session, VNI */
	uint32_t netns;	     /* of flow_key */
	uint8_t type;	     /* enum weir_tunnel; TUN_NONE: all that there was no room for */
	uint64_t packets;    /* that came */
	const char *unknown; /* why nothing is known of losses, in words; NULL: what follows is */
	uint64_t sent;	     /* since the first that came */
	uint64_t lost;
	uint64_t restarts; /* of the numbers */
};

/**
 * source_loss_get - one source
 * @i: 0 to WEIR_SOURCES - 1
 *
 * Return: true if there is one.
 */
bool source_loss_get(const struct dataplane *dp, unsigned int i, struct source_loss *ret);

/* All sources together; sent, lost and restarts of those that they are known of. */
struct source_loss_sum {
	uint64_t known, unknown; /* sources */
	uint64_t packets;
	uint64_t unknown_packets; /* of them, those of sources of which losses are not known */
	uint64_t sent, lost, restarts;
};

struct source_loss_sum source_loss_sum(const struct dataplane *dp);

/**
 * source_loss_worst - sources by losses, then packets, the most first
 * @ret: room for @n
 * @ret_more: sources that are not among them
 *
 * Return: how many are in @ret.
 */
unsigned int source_loss_worst(const struct dataplane *dp, struct source_loss *ret, unsigned int n,
			       unsigned int *ret_more);

#endif
