/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet_match.h - a filter on one packet, by what its headers say. Any thread, one at a time for a filter.
 */
#ifndef WEIR_LOADER_PACKET_MATCH_H
#define WEIR_LOADER_PACKET_MATCH_H

#include <stdbool.h>
#include <stdint.h>

struct filter;

struct packet_seen {
	const uint8_t *bytes; /* len of them */
	uint32_t len, wire_len;
	uint16_t vlan;	  /* that the NIC took out; 0: none, or in the bytes */
	uint32_t ifindex; /* 0: not known */
	const char *iface;
	uint8_t verdict; /* enum packet_verdict */
};

/* @filter: NULL: every packet meets it. */
bool packet_match(const struct filter *filter, const struct packet_seen *p);

#endif
