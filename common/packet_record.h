/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet_record.h - a packet as a record of one packet: what filters and stores know of flows, for packets
 * that are looked at one by one. Pure; any thread.
 */
#ifndef WEIR_COMMON_PACKET_RECORD_H
#define WEIR_COMMON_PACKET_RECORD_H

#include "common/flow.h"

struct pkt;

/* @k: as bpf/parse.h left it. @r: zeroed; what the headers say is set, addresses, ports, lengths. */
void packet_record(const struct pkt *k, struct flow_record *r);

#endif
