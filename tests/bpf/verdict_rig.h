/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict_rig.h - the product's programs and tables as its loader makes them, packets through them one
 * at a time, and policies written as a few words of C.
 */
#ifndef WEIR_TESTS_VERDICT_RIG_H
#define WEIR_TESTS_VERDICT_RIG_H

#include "loader/dataplane.h"
#include "loader/policy/table.h"
#include "tests/unit/packets.h"

#define VR_RECORDS 4096u
#define VR_ENTRIES 65536u
#define VR_SECOND  1600000000ull /* the clock begins there */

enum vr_way { VR_XDP, VR_TC_IN, VR_TC_OUT };

struct verdict_rig {
	struct dataplane dp;
	struct policy_table *table;
	struct policy_rule rules[VR_RECORDS];
	struct policy_addr addrs[VR_RECORDS];
	struct policy_addr_port ports[VR_RECORDS];
	struct policy_flow flows[VR_RECORDS];
	struct policy_name names[VR_RECORDS];
	struct policy_set set; /* of the above */
	uint64_t ns;	       /* capture time (live: not used) */
	uint64_t packets;      /* sent */
	uint64_t recent_bytes; /* set before vr_open(): packets are kept, those of dataplane_cfg */
	uint32_t recent_len, recent_full, recent_early;
	uint32_t gso;		 /* TC: what is sent are GSO packets of segments that long */
	uint8_t out[PACKET_MAX]; /* what the program left of the last packet */
	uint32_t out_len;
};

/* Load; a policy that was written before stays to be applied. @live: with the kernel's clock, so that TC can be had. Exits on failure. */
void vr_open(struct verdict_rig *r, bool live);
void vr_close(struct verdict_rig *r);

/* A network namespace for this test, its loopback up: what TC sends of its own goes out there. */
void vr_own_network(void);

/* Another policy begins. */
void vr_policy(struct verdict_rig *r);
/* A rule for @key; it gets the next number, which is returned. Change it before vr_apply(). */
struct policy_rule *vr_rule(struct verdict_rig *r, enum policy_action action, enum policy_key key);
void vr_addr(struct verdict_rig *r, const char *addr, uint32_t bits, enum policy_role role);
void vr_name(struct verdict_rig *r, const char *name, enum policy_name_how how);
/* All rules' flags change. */
void vr_flags(struct verdict_rig *r, uint8_t flags);
int vr_apply(struct verdict_rig *r);

/* Time passes. */
void vr_wait(struct verdict_rig *r, double seconds);

/* Return: 0 it passes, 1 dropped, 2 it became a reset: on XDP back to its sender, on TC in its place too. */
int vr_send(struct verdict_rig *r, enum vr_way way, const struct packet *p);
int vr_send_bytes(struct verdict_rig *r, enum vr_way way, const uint8_t *frame, uint32_t len);
int vr_send_on(struct verdict_rig *r, enum vr_way way, const struct packet *p, int cpu);

struct policy_counters vr_counters(struct verdict_rig *r, uint32_t number);
uint64_t vr_count(const struct verdict_rig *r, unsigned int counter);

/* Text form of an address to 16 bytes, IPv4-mapped. */
void vr_address(const char *text, uint8_t *ret);

#endif
