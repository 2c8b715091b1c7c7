/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ack.h - acknowledgements of a collector that stores what it gets: records of fixed size that it
 * sends back on the same connection (docs/export.md). Pure.
 *
 * octets 0-3 "WACK", 4-5 version 1, 6-7 length 32, 8-11 observation domain, 12-15 sequence number
 * before which every data record is stored, 16-23 systemInitTimeMilliseconds of the numbering meant
 * (0: nothing of this exporter and domain is stored), 24-31 zero. Network order.
 */
#ifndef WEIR_COMMON_ACK_H
#define WEIR_COMMON_ACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACK_BYTES 32u

struct ack_reader {
	uint8_t part[ACK_BYTES];
	uint32_t have;
	bool any;	   /* one came for our domain */
	bool known;	   /* one came for our numbering */
	uint32_t sequence; /* of the last such */
};

/* A new connection. */
void ack_reset(struct ack_reader *a);

/**
 * ack_feed - octets as they came
 * @start_ms: our numbering
 *
 * Return: 0, or -EBADMSG: these are no acknowledgements.
 */
int ack_feed(struct ack_reader *a, const uint8_t *p, size_t len, uint32_t domain,
	     uint64_t start_ms);

/* Is every record before @sequence_end stored? */
bool ack_covers(const struct ack_reader *a, uint32_t sequence_end);

/* One acknowledgement, for collectors. */
void ack_put(uint8_t to[static ACK_BYTES], uint32_t domain, uint32_t sequence, uint64_t start_ms);

#endif
