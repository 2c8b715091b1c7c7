/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataplane.h - the BPF object in the kernel and its maps in memory: sizes, configuration, load,
 * mapping. One object for each way of watching an interface (struct dataplane_variant), all sharing
 * the maps of the first. Made by the privileged core; the mappings are inherited by the worker. Not thread-safe; no logging.
 */
#ifndef WEIR_LOADER_DATAPLANE_H
#define WEIR_LOADER_DATAPLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "loader/ring.h"
#include "weir/abi.h"

struct weir_bpf;
struct drop_row;
struct policy_fds;
struct policy_titles;
struct pin;
struct recent_block;
struct recent_now;
struct source_count;
struct source_row;

enum role { ROLE_UPLINK = 0, ROLE_VETH = 1, ROLE_MIRROR = 2, _ROLE_MAX };

struct dataplane_cfg {
	uint32_t flows;		/* live flows to have room for, all CPUs together */
	uint32_t evicted_bytes; /* ring sizes, powers of two, multiples of the page size */
	uint32_t events_bytes;
	uint64_t idle_ns;
	int cpus;		 /* CPUs with a region of their own; 0 = all possible */
	uint32_t policy_entries; /* decisions to have room for; 0: no verdicts at all */
	uint64_t recent_bytes;	 /* the last packets, all CPUs together; 0: none are kept */
	uint32_t recent_len;	 /* bytes of each, 1 to RECENT_LEN_MAX */
	uint32_t recent_full;	 /* the same, of what is early or unusual in its flow */
	uint32_t recent_early;	 /* IP bytes of each direction of a flow that are early */
	bool names;
	bool replay;
	bool on_demand;	  /* programs are loaded by dataplane_program() */
	uint64_t tick_ns; /* length of a tick; 0 = the kernel's */
};

extern const struct dataplane_cfg dataplane_cfg_default;

/* What may be another for each interface: constants of the programs there. */
struct dataplane_variant {
	enum role role;
	uint32_t netns;	 /* of flow_key */
	uint32_t sample; /* 1 in N, 1 = all */
	int decap_depth; /* -1: by role (mirror: 4, else 0) */
	bool veth;	 /* driver: what XDP sends there goes by redirection */
};

struct dataplane_object {
	struct dataplane_variant v;
	int prog[_HOOK_MAX];   /* descriptors; -1: not loaded */
	struct weir_bpf *skel; /* of the first alone, that the maps belong to */
};

struct dataplane {
	struct dataplane_cfg cfg;
	struct dataplane_object *object; /* `objects`, the first has made the maps */
	unsigned int objects;
	int cpus;
	uint32_t set_bits; /* log2 of sets per CPU */
	uint32_t syn_bits; /* log2 of sets of lone SYNs per CPU, behind the others */
	size_t slots;	   /* entries of all CPUs, those of lone SYNs the last */
	uint64_t tick_ns;
	uint64_t tick_base; /* jiffies at tick_base_ns of CLOCK_MONOTONIC */
	uint64_t tick_base_ns;
	int64_t wall_offset_ns;	      /* CLOCK_REALTIME - CLOCK_MONOTONIC */
	const struct flow_set *flows; /* mapped, read-only */
	const struct flow_cold_set *cold;
	const struct flow_dropped *dropped;  /* by slot; NULL without policy_entries */
	const struct drop_row *drops;	     /* cpus * DROP_ROWS; the same */
	const struct policy_titles *titles;  /* set by the caller: names of the rules; or NULL */
	const struct recent_block *recent;   /* cpus * recent_blocks; NULL without */
	const struct recent_now *recent_now; /* by CPU */
	uint32_t recent_blocks;		     /* per CPU */
	const struct source_row *sources;    /* WEIR_SOURCES, see source_loss.h */
	const struct source_count *source_counts; /* cpus * WEIR_SOURCES */
	const struct counter_row *counters;
	struct control *control; /* mapped, written by the drain */
	struct ring evicted;
	struct ring events;
	size_t map_bytes[10]; /* in the order of dataplane_done() */
	struct pin *pin; /* set by the caller before the first load: maps are kept there; or NULL */
	const uint64_t *counted; /* per counter, of tables that came before these; or NULL */
};

/* An uplink of our own network namespace, every packet, no tunnels. */
extern const struct dataplane_variant dataplane_variant_default;

/**
 * dataplane_load - load the programs for a variant, if they are not there; the first call makes the maps
 * @dp:  zeroed before the first call
 * @cfg: taken by the first call
 *
 * Return: 0, or -errno of the kernel's refusal (-EPERM: capabilities; libbpf says more through its
 *         print function), -EINVAL for sizes out of range.
 */
int dataplane_load(struct dataplane *dp, const struct dataplane_cfg *cfg,
		   const struct dataplane_variant *v);

/**
 * dataplane_program - the program of a hook, for a variant that dataplane_load() was called for
 *
 * With cfg.on_demand it is loaded at the first call. Return: its descriptor, which stays the data
 * plane's, or -errno as dataplane_load().
 */
int dataplane_program(struct dataplane *dp, const struct dataplane_variant *v, enum weir_hook hook);

/**
 * dataplane_prepare - load the programs of several hooks, at one time on as many threads
 * @hooks: bits 1 << enum weir_hook; the others are left for dataplane_program()
 *
 * Return: 0 or -errno as dataplane_load().
 */
int dataplane_prepare(struct dataplane *dp, const struct dataplane_variant *v, unsigned int hooks);

/* A network namespace is gone: its programs go too, but for those that made the maps. */
void dataplane_unload(struct dataplane *dp, uint32_t netns);

/* Unmaps, and frees objects and maps as far as nothing else holds them. */
void dataplane_done(struct dataplane *dp);

/**
 * dataplane_memory - what dataplane_load() would take; needs no capabilities
 * @ret_bytes: kernel memory of the maps
 * @ret_slots: as dataplane.slots
 *
 * Return: 0, -EINVAL for sizes out of range, -errno.
 */
int dataplane_memory(const struct dataplane_cfg *cfg, uint64_t *ret_bytes, uint64_t *ret_slots);

/**
 * dataplane_now - the packet path's clock now (live)
 * @ret_tick:    full tick
 * @ret_wall_ns: CLOCK_REALTIME at the start of that tick
 */
void dataplane_now(struct dataplane *dp, uint64_t *ret_tick, uint64_t *ret_wall_ns);

/* Descriptors of the policy's tables, for policy_table_open(). They stay the data plane's. */
void dataplane_policy(const struct dataplane *dp, struct policy_fds *ret);

/* Descriptor of `counters`, of which each CPU has an element; the data plane's. */
int dataplane_counters_fd(const struct dataplane *dp);

/* Sum of a counter over CPUs, and dp->counted. @c: enum counter */
uint64_t dataplane_counter(const struct dataplane *dp, unsigned int c);

static inline const struct flow_hot *dataplane_hot(const struct dataplane *dp, size_t slot)
{
	return &dp->flows[slot / WEIR_WAYS].way[slot % WEIR_WAYS];
}

static inline const struct flow_cold *dataplane_cold(const struct dataplane *dp, size_t slot)
{
	return &dp->cold[slot / WEIR_WAYS].way[slot % WEIR_WAYS];
}

#endif
