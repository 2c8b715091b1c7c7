/* SPDX-License-Identifier: Apache-2.0 */
/*
 * l7_rig.h - drives l7_test.bpf.c: one flow with an entry on each of two CPUs, segments fed to
 * either CPU through either hook, events collected. What the flow cache would know of the packet
 * (SYN seen, holes) is kept for each CPU as the packet path keeps it.
 */
#ifndef WEIR_TESTS_L7_RIG_H
#define WEIR_TESTS_L7_RIG_H

#include "weir/abi.h"
#include "weir/counters.h"

#define RIG_CPUS   2u
#define RIG_EVENTS 64u

enum rig_hook { RIG_XDP, RIG_TC, _RIG_HOOK_MAX };

union rig_event {
	struct event_hdr h;
	struct ev_tls tls;
	struct ev_http http;
	struct ev_dns dns;
	struct ev_payload pay;
};

struct rig {
	union rig_event ev[RIG_EVENTS];
	__u32 events; /* seen, not only kept */
	__u32 runs;   /* packets that a program looked at */
	__u64 hash;
	__u32 now;
	__u32 cpus; /* that this machine has, at most RIG_CPUS */
	enum rig_hook hook;
	__u32 cut; /* frame bytes missing from the capture */
	__u32 gso; /* TC: the frame is a GSO packet of segments that long */
	struct flow_key key;
};

struct rig_seg {
	__u32 cpu;
	__u32 dir;
	__u32 seq;
	__u8 flags; /* of TCP */
	const __u8 *data;
	__u32 len;
};

/* Load the object, with 4 * (@mask + 1) assembly slots. One per process. Exits on failure. */
void rig_load(struct rig *r, __u32 mask);

/* Another flow: new key, fresh entries; events and counters are set back. */
void rig_flow(struct rig *r, __u8 proto, __u16 sport, __u16 dport);

/* One packet. Return: 1 if its payload was wanted. */
int rig_feed(struct rig *r, const struct rig_seg *s);

/* A SYN that only CPU @cpu sees. */
void rig_syn(struct rig *r, __u32 cpu, __u32 dir, __u32 isn);

/* Fresh entries on every CPU for the same key, as after eviction. */
void rig_renew(struct rig *r);

struct flow_hot rig_hot(__u32 cpu);
struct flow_cold rig_cold(__u32 cpu);
__u64 rig_counter(enum counter c);

/* Events of one kind among those kept; the last of them in @ret_last when not NULL. */
__u32 rig_count(const struct rig *r, enum event_kind kind, const union rig_event **ret_last);

/* ns a run over @repeat of them, each of a flow of its own; @split: see struct l7_given. */
__u32 rig_time(struct rig *r, const struct rig_seg *s, __u32 split, __u32 repeat);

#endif
