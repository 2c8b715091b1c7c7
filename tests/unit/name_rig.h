/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_rig.h - one struct names and one event, for the tests of loader/name/name.c.
 */
#ifndef WEIR_TESTS_NAME_RIG_H
#define WEIR_TESTS_NAME_RIG_H

#include "loader/name/name.h"
#include "name_build.h"

extern struct names *nr_names;
extern struct name_result nr;
extern struct ev_payload nr_ev;

void nr_setup(void);
void nr_teardown(void);

/* Start over with these limits; flows are stale after 1000 ns. */
void nr_limits(uint32_t flows, uint64_t bytes);

int nr_sni_is(const char *name); /* is it the one in r? */
int nr_feed(void);		 /* ev, to r */
int nr_end(void);		 /* of ev, to r */
const struct name_stats *nr_stats(void);

/* In ev: bytes [off, off + len) of a hello for @name in an Initial; len 0: up to its end. */
void nr_quic(unsigned int flow, const char *name, size_t off, size_t len);

#endif
