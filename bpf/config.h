/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * config.h - what the loader sets before load (.rodata): the verifier prunes what is off.
 */
#ifndef WEIR_BPF_CONFIG_H
#define WEIR_BPF_CONFIG_H

#include "weir/abi.h"

const volatile __u32 cfg_abi = WEIR_ABI_VERSION;
const volatile __u32 cfg_set_bits = 0;	/* log2 of sets per CPU */
const volatile __u32 cfg_syn_set = 0;	/* the first set of lone SYNs, behind those of all CPUs */
const volatile __u32 cfg_syn_bits = 0;	/* log2 of a CPU's sets there */
const volatile __u64 cfg_seed[12] = {}; /* hash keys, random per boot */
const volatile __u32 cfg_netns = 0;	/* of flow_key; cfg_seed[2] is another for each */
const volatile __u32 cfg_idle_ticks = 3750; /* an entry silent for longer starts anew */
const volatile __u32 cfg_decap_depth = 0;   /* tunnels followed; 0 = count the outer flow */
const volatile __u8 cfg_rare = 1;	    /* one of sample, replay, consume, rt, recent is on */
const volatile __u32 cfg_sample = 1;	    /* account 1 packet in N */
const volatile __u8 cfg_replay = 0;	    /* time comes from `control` */
const volatile __u8 cfg_consume = 0;	    /* role mirror: decapsulated packets end here */
const volatile __u8 cfg_veth = 0;	    /* the driver sends by redirection alone */
const volatile __u8 cfg_names = 1;	    /* look at payload */
const volatile __u8 cfg_enforce = 0;	    /* verdicts by policy */
const volatile __u8 cfg_tso = 0;	    /* this machine keeps stores in order, as x86 does */
const volatile __u8 cfg_rt = 0;		    /* PREEMPT_RT: guard the region with a busy flag */
const volatile __u32 cfg_recent_blocks = 0; /* of each CPU, a power of two; 0: no packet is kept */
const volatile __u32 cfg_recent_len = 1;    /* bytes kept of a packet */
const volatile __u32 cfg_recent_full = 1;   /* the same of what is early or unusual in its flow */
const volatile __u32 cfg_recent_early = 0;  /* IP bytes of a direction of a flow that are early */
const volatile __u16 cfg_vxlan_ports[8] = {4789, 8472}; /* host order, 0 = unused */
const volatile __u16 cfg_geneve_port = 6081;

#endif
