/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_ref.h - what policy.h says of one packet, read word by word: every rule, every record, no
 * index, no cache. Slow on purpose; what the kernel does is compared with it.
 */
#ifndef WEIR_TESTS_POLICY_REF_H
#define WEIR_TESTS_POLICY_REF_H

#include <stdbool.h>
#include <stdint.h>
#include "loader/policy/table.h"
#include "pkt.h"

struct ref_packet {
	const struct pkt *pkt; /* endpoints as on the wire */
	uint32_t side;	       /* enum policy_direction bits of the hook */
	uint64_t now;	       /* seconds since 1970 */
	const char *name;      /* that this packet completes, as it is in the message; or NULL */
	uint32_t name_len;
	uint8_t name_kind; /* enum policy_name_kind */
};

struct ref_verdict {
	const struct policy_rule *rule;	  /* acts; NULL: none */
	const struct policy_rule *shadow; /* would have, counted; NULL: none */
	bool never;			  /* a never-block entry decided */
	bool drop;
	bool reset; /* and answered by a reset, or turned into one */
};

/* POLICY_LIMIT counts as passing; a rule's bound on resets isn't known here. @failsafe: POLICY_FAILSAFE() each, 0 ends. */
void policy_ref(const struct policy_set *set, const uint32_t *failsafe,
		const struct ref_packet *packet, struct ref_verdict *ret);

#endif
