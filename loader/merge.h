/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.h - what the drain reads (deltas of cache entries, evicted entries, names) to flow records:
 * one biflow per key, summed over CPUs and hooks.
 *
 * Order of one drain: clock_set(); merge_entries() for what the ring of evicted entries holds;
 * merge_entries() for the scan; merge_name() for the names; merge_tick(). Any order keeps every
 * count; this one also keeps a reused 5-tuple's two connections best apart.
 *
 * Counters are exact: the sum over all records of a key equals the sum over all deltas of it.
 * Memory is bounded by struct merge_cfg. One thread (the drain's) owns all of it.
 */
#ifndef WEIR_LOADER_MERGE_H
#define WEIR_LOADER_MERGE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/clock.h"
#include "common/flow.h"
#include "weir/abi.h"

struct drop_row;
struct merge;
struct ledger;
struct name_result;
struct sightings;

typedef void (*merge_emit_fn)(void *arg, const struct flow_record *r);
/* Name of an interface, NULL when unknown; must stay valid until the record has been emitted. @netns: of
 * flow_key; @ret_number: set for a known one: record member ifindex.
 */
typedef const char *(*merge_iface_fn)(void *arg, uint32_t netns, uint32_t ifindex,
				      uint32_t *ret_number);

/* Name of a rule as it was in that generation, or NULL; as long as that. */
typedef const char *(*merge_rule_fn)(void *arg, uint32_t rule, uint32_t generation);

struct merge_cfg {
	uint32_t max_flows;	   /* flows known at one time; full: the oldest is exported early */
	uint64_t names_bytes;	   /* of names and DNS queries kept with them */
	uint64_t active_ns;	   /* a record at least this often while packets come */
	uint64_t idle_ns;	   /* no packet for so long: the flow is over */
	uint64_t syn_ns;	   /* a SYN without any answer: over after so long */
	const struct clock *clock; /* ticks to wall clock; set by the caller before each drain */
	const char *node;	   /* record member node; NULL = absent */
	struct flow_strs labels;   /* record member labels; must stay */
	merge_iface_fn iface;	   /* NULL = no interface names */
	merge_rule_fn rule;	   /* NULL = no names of rules */
	merge_emit_fn emit;	   /* the record is valid during the call only */
	void *arg;		   /* of iface, rule and emit */
	/* Keeps the flows, and may hold some that an earlier process left, which then go on (their
	 * names are not known any more). Made for max_flows. NULL: memory of our own. Records go to
	 * emit all the same: it is the caller who brings them to ledger_emit().
	 */
	struct ledger *ledger;
};

/* 60 s, 15 s, 5 s; 262,144 flows; 64 MiB of names. clock, emit and arg are the caller's. */
extern const struct merge_cfg merge_cfg_default;

/* What policy did to packets that are in the deltas, or were before; or a shadow rule would have. */
struct merge_did {
	uint64_t bytes; /* of packets dropped */
	uint32_t packets;
	uint32_t generation; /* the rule is of */
	uint16_t rule;	     /* element of policy_rules; 0: not known */
	uint8_t action;	     /* enum policy_action */
	bool shadow;	     /* nothing was done */
};

/* Packets dropped before they were in a flow. */
struct merge_row {
	const struct drop_row *row; /* NULL: sources are not told apart */
	struct merge_did did;
	uint64_t from_tick; /* since when */
};

/* What came in one cache entry (one slot and generation) since that entry was last read. */
struct merge_delta {
	const struct flow_hot *hot; /* consistent copies, totals since the entry began */
	const struct flow_cold *cold;
	uint64_t bytes[2]; /* hot now - hot when last read; new entry: = hot */
	uint32_t packets[2];
	uint32_t retransmits[2]; /* the same of cold */
	uint32_t out_of_order[2];
	uint32_t zero_windows[2];
	/* Kept by the caller beside its totals of the slot, not looked into: spares the lookup next
	 * time. Set to 0 when the slot's generation is new. NULL: not kept.
	 */
	uint32_t *flow_ref;
	const struct merge_did *did; /* NULL: policy did nothing that is new */
};

/* Cumulative, never reset. */
#define MERGE_STATS(X)                                                                            \
	X(entries, "deltas merged")                                                               \
	X(flows, "flows begun")                                                                   \
	X(records, "records written")                                                             \
	X(records_evicted, "records written early: an unanswered SYN evicted, or the table full") \
	X(dropped_records, "records of packets dropped before they were in a flow")               \
	X(table_full, "flows exported early because the table was full")                          \
	X(elsewhere_records, "records not written: the flow is counted on another interface")     \
	X(elsewhere_packets, "packets counted on another interface")                              \
	X(elsewhere_bytes, "their IP bytes")                                                      \
	X(copied_packets,                                                                         \
	  "packets in records that another record has too: mirrored more than once")              \
	X(copied_bytes, "their IP bytes")                                                         \
	X(names, "names put on flows")                                                            \
	X(names_dropped, "names not kept: limit of memory or of entries reached")                 \
	X(names_orphaned, "names of flows whose packets are in no record")

struct merge_stats {
#define MERGE_STAT_MEMBER(name, help) uint64_t name;
	MERGE_STATS(MERGE_STAT_MEMBER)
#undef MERGE_STAT_MEMBER
};

/**
 * merge_new - make the state of one drain thread
 * @cfg: copied; node is copied too
 *
 * Memory: see merge_memory(), touched as flows come.
 * Return:  0, -EINVAL (a limit or function missing), -ENOMEM.
 */
int merge_new(const struct merge_cfg *cfg, struct merge **ret);

/* Bytes that merge takes with room for @max_flows when @live are there, names beside (names_bytes). */
uint64_t merge_memory(uint32_t max_flows, uint32_t live);

/* Bytes more where @live of them come in tunnels: which of them are copies. */
uint64_t merge_copies_memory(uint32_t max_flows, uint32_t live);

/* How many flows a ledger holds that has been opened; nobody works on it. */
uint32_t merge_flows_in(const struct ledger *l);

/* Between ledger_move() and ledger_moved(): the flows, to the front. @to has room for all. */
void merge_move_flows(struct ledger *to, const struct ledger *from);

/* Frees everything; emits nothing (see merge_flush()). NULL is fine. */
void merge_free(struct merge *m);

/**
 * merge_entries - take deltas of entries found in the cache
 * @d: any number; several dozen at a time let lookups overlap. Nothing of it is kept
 *
 * Entries whose deltas are all 0 may be left out. May emit (a key's earlier connection; the oldest
 * flow, when the table is full).
 */
void merge_entries(struct merge *m, const struct merge_delta *d, unsigned int n);

/**
 * merge_known - take the delta of an entry whose cold half is as it was when it was last merged
 * @d: cold is not looked at, and its deltas are 0; flow_ref as merge_entries() left it; the l7_gap
 *     that merge_entries() was given last was 0
 *
 * Return: true, or false: its flow is not known any more and nothing was taken; merge_entries()
 *         with all of the entry then.
 */
bool merge_known(struct merge *m, const struct merge_delta *d);

/* Is the delta's flow known still? */
bool merge_knows(const struct merge *m, const struct merge_delta *d);

/* The same for what policy did to packets that have been merged. @d: its deltas are 0, did is set. */
bool merge_known_did(struct merge *m, const struct merge_delta *d);

/* Packets dropped before they were in a flow: a record at once. */
void merge_row(struct merge *m, const struct merge_row *row);

/* The flow of a flow_ref will be asked for soon. */
void merge_prefetch(const struct merge *m, uint32_t flow_ref);

/**
 * merge_finals - take deltas of entries that were evicted (struct flow_final)
 *
 * Like merge_entries(). A lone SYN of a flow not known otherwise becomes a record at once.
 */
void merge_finals(struct merge *m, const struct merge_delta *d, unsigned int n);

/**
 * merge_name - put a name on its flow; the flow may not have been seen yet
 *
 * Return:  0, or -ENOSPC: not kept (counted).
 */
int merge_name(struct merge *m, const struct name_result *name);

/**
 * merge_tick - emit what is due at the clock's time: idle, active, closed, unanswered
 *
 * A closed connection is written one tick after the one that found it closed, so that the packets
 * that trail the close are in its record.
 */
void merge_tick(struct merge *m);

/**
 * merge_flush - emit every flow that has something to report, and forget all flows
 * @reason: for flows that are not over by themselves
 */
void merge_flush(struct merge *m, enum flow_reason reason);

/* From now on a flow that several interfaces see is counted on one of them. Flows known already are
 * noted. Before: on every interface that sees it.
 */
void merge_use_sightings(struct merge *m, struct sightings *s);

/**
 * merge_on_end - have a function called before a flow that carried payload is forgotten
 * @fn: like names_flow_end(): 1 with *ret filled (a reason why there is no name), else 0; or NULL
 */
void merge_on_end(struct merge *m,
		  int (*fn)(void *arg, const struct flow_key *key, struct name_result *ret),
		  void *arg);

/* During emit(): a number of the flow that the record is of, 1 to max_flows; see merge_live(). */
uint32_t merge_emitting(const struct merge *m);

/* @ref: number of the flow, its own until it ends; @r: what would be written now, without a reason */
typedef void (*merge_live_fn)(void *arg, uint32_t ref, const struct flow_record *r);

/**
 * merge_live - look at the flows that are known, some at a time; nothing of them changes
 * @at: 0 at the beginning; moved on
 * @n:  how many places to look at
 *
 * Between two calls flows may come and go; one that stays is seen once.
 * Return: true while there is more to look at.
 */
bool merge_live(struct merge *m, uint32_t *at, uint32_t n, merge_live_fn fn, void *arg);

/* ---- merge_changed.c: flows that something has come of, for who decides by them ---- */

/**
 * merge_note_changes - remember from now on which flows change
 *
 * Each once until it is looked at; MERGE_CHANGED_MAX at most, those beyond are counted and noted again with
 * their next packet. Return: 0 or -ENOMEM.
 */
#define MERGE_CHANGED_MAX 16384u
int merge_note_changes(struct merge *m);
void merge_ignore_changes(struct merge *m);

/* Some of the flows noted, as merge_live(). Return: true: there are more. */
bool merge_changed(struct merge *m, uint32_t n, merge_live_fn fn, void *arg);

/*
 * Of a flow, for who looks at changes: bits of his own, which are 0 again once the flow has changed. NULL: nobody
 * looks. @ref: as in merge_live_fn, or merge_emitting()
 */
#define MERGE_PICKED_MAX 64u
uint64_t *merge_picked(struct merge *m, uint32_t ref);

/* Of all flows: bit I becomes bit @to[I]; from MERGE_PICKED_MAX on it goes. */
void merge_picked_move(struct merge *m, const uint8_t to[MERGE_PICKED_MAX]);

/* Changes that were not noted since there were too many, ever. */
uint64_t merge_changes_missed(const struct merge *m);

/**
 * merge_proven - is the flow's initiator who it says it is?
 * @ref: of the flow, as in merge_live_fn, or merge_emitting()
 *
 * Its handshake was seen from both ends, and the responder has sent payload since, or both have ended it in
 * good order: what a forged source gets no answer to, and so can't do. Return: false where that is not known.
 */
bool merge_proven(const struct merge *m, uint32_t ref);

/* Other timeouts from now on, for flows that are known too. None is 0. */
void merge_set_timeouts(struct merge *m, uint64_t active_ns, uint64_t idle_ns, uint64_t syn_ns);

uint32_t merge_flows(const struct merge *m); /* known now */
const struct merge_stats *merge_stats(const struct merge *m);

#endif
