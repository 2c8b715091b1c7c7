/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proof.h - which sources are proven not to be forged: a server has talked to them, or ended a
 * connection with them in good order, which takes an acknowledgement of the number that it chose
 * (RFC 9293 section 3.5, RFC 6528). A bounded table by hash; what it has forgotten is not proven, and
 * nothing is done about it. One thread.
 */
#ifndef WEIR_COLLECTOR_ALERTS_PROOF_H
#define WEIR_COLLECTOR_ALERTS_PROOF_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/block.h"

struct proof;

struct proof *proof_new(void); /* NULL: no memory */
void proof_free(struct proof *p);

/* Sources of the block's flows, as far as these prove them. */
void proof_block(struct proof *p, const struct block *b);

/* Has @ip been proven by a flow that ended at @since_ns or later (1970 UTC)? */
bool proof_has(const struct proof *p, const uint8_t ip[16], uint64_t since_ns);

#endif
