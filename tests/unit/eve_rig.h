/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eve_rig.h - lines of EVE and flows for tests.
 */
#ifndef WEIR_TESTS_EVE_RIG_H
#define WEIR_TESTS_EVE_RIG_H

#include "collector/block.h"
#include "collector/eve/eve_join.h"

#define EVE_RIG_T0 UINT64_C(1790000000000000) /* 2026-09-21T14:13:20Z */

/* An alert as Suricata writes it, @ms after EVE_RIG_T0; @more: members before the last brace, or "". */
struct eve_rig_line {
	int ms;
	const char *src, *dst, *proto; /* "192.0.2.1" ...; proto NULL: TCP */
	int src_port, dst_port;
	uint32_t sid;
	int severity;
	const char *more;
};

/* @buf of 2048 octets. */
const char *eve_rig_line(const struct eve_rig_line *l, char *buf);

/* Read and given to the join as of source 0. False: it is no alert that can be read. */
bool eve_rig_alert(struct eve_join *j, const struct eve_rig_line *l, uint64_t now_ms);

/* A TCP flow with 7 packets and 700 octets, from @ms[0] to @ms[1] after EVE_RIG_T0, as the next row. */
void eve_rig_flow(struct block *b, const char *src, const char *dst, const int ports[2],
		  const int ms[2]);

#endif
