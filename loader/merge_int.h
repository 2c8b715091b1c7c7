/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge_int.h - what the parts of merge share: the state of a flow, the table that finds it by
 * key, and the wheel that finds it by time. merge.c absorbs deltas, merge_table.c keeps states,
 * merge_expire.c ends flows, merge_record.c writes them, merge_name.c names them.
 */
#ifndef WEIR_LOADER_MERGE_INT_H
#define WEIR_LOADER_MERGE_INT_H

#include <stdbool.h>
#include "loader/ledger.h"
#include "loader/merge.h"
#include "loader/netns.h"
#include "loader/sighting.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* flow_state.flags */
enum {
	FS_LIVE = 1,	 /* in use */
	FS_CLOSING = 2,	 /* on the list of closed connections */
	FS_ENDED = 4,	 /* replaced by a newer connection of the same key: not in the table */
	FS_REPORTED = 8, /* has had a record: prev_end is valid, direction is settled */
	FS_SEEN0 = 16,	 /* packets of direction 0 over the flow's life; last, first, ... valid */
	FS_SEEN1 = 32,
	FS_TIE = 64,  /* both directions claim to be first in the same tick */
	FS_BOTH = 128 /* the claim is of the one entry that saw both directions */
};

/* flow_state.ns */
enum { NS_SYN, NS_SYNACK, NS_ACK, NS_PAYLOAD0, NS_PAYLOAD1, _NS_MAX };

/* One flow. The first two cache lines are all that a busy flow's deltas touch: its scan is waiting for lines. */
struct flow_state {
	uint64_t fp;	   /* flow_hot.tag without generation; 0 = no entry seen */
	uint64_t bytes[2]; /* these four: since the last record */
	uint64_t packets[2];
	uint64_t last[2]; /* full ticks */
	uint8_t tcp_flags[2];
	uint8_t ns_known; /* bit per enum NS_x */
	uint8_t flags;
	uint32_t due; /* wheel bucket */

	uint64_t first[2]; /* no packet seen: first[0] = tick of the name it was made for */
	uint64_t prev_end; /* end of the last record; no packet seen: since when it is known */
	uint32_t retransmits[2];
	uint32_t out_of_order[2];
	uint32_t zero_windows[2];
	uint8_t ttl_min[2];
	uint8_t ttl_max[2];
	uint8_t dscp[2];
	uint8_t init_dir;
	uint8_t init_why;
	uint8_t end_reason; /* FS_ENDED: enum flow_reason */
	uint8_t name_dir;   /* who spoke first by what was said: 1 + direction, 0 = not known */
	uint8_t l7_gap;	    /* flow_cold.l7_gap of all entries */
	uint8_t did;	    /* FD_x */
	uint32_t sampling;

	struct flow_key key;
	uint64_t ns[_NS_MAX];
	struct flow_names *names;
	uint32_t next_free;
	uint32_t older; /* reference of the connection this one replaced, 0 = none */
};

_Static_assert(sizeof(struct flow_state) == LEDGER_FLOW_BYTES, "four cache lines");
_Static_assert(offsetof(struct flow_state, key) == 128, "two of them for what is counted");

/* flow_state.did */
enum {
	FD_SOME = 1,	/* the flow's struct flow_did means something */
	FD_PENDING = 2, /* packets in it are in no record yet */
	/* not of policy: see merge_copies.c */
	FD_TWIN = 4,   /* there are flows with the same packets within other tunnels */
	FD_PROVEN = 8, /* some of them are copies of it */
	FD_FIRST = 16, /* it is the one of them that has no copies */
};

/* What policy did to a flow since its last record. Beside the states, touched for such flows alone. */
struct flow_did {
	uint64_t packets;
	uint64_t bytes;
	uint32_t generation; /* rule is of */
	uint16_t rule;
	uint8_t verdict; /* enum flow_verdict */
	uint8_t pad[9];
};

_Static_assert(sizeof(struct flow_did) == LEDGER_DID_BYTES, "half a cache line");

/* A growing list of references (index + 1). */
struct ref_list {
	uint32_t *v;
	uint32_t n;
	uint32_t cap;
};

#define WHEEL_BUCKETS 128u

/* merge_changed.c: references in the order they came, each once. */
struct changed {
	uint64_t *noted;  /* bit by reference */
	uint64_t *picked; /* by reference, see merge_picked() */
	uint32_t n, at;	  /* of refs; looked at up to there */
	uint64_t missed;
	uint32_t refs[MERGE_CHANGED_MAX];
};

struct merge {
	struct merge_cfg cfg;
	char node[256];
	uint32_t node_len;
	uint64_t seed[2];
	struct flow_state *slab;
	struct flow_did *did;  /* of each; or NULL */
	struct flow_did alone; /* of the state that is not in the slab */
	uint32_t slab_used;    /* ever touched */
	uint32_t free_head;    /* reference, 0 = none */
	uint32_t live;
	uint32_t emitting; /* flow of the record at hand */
	uint32_t hand;	   /* next state looked at when the table is full */
	uint64_t *table;   /* hash << 32 | reference */
	uint32_t table_mask;
	bool sweep; /* a list could not grow: look at every state at the next tick */
	uint64_t active, idle, syn; /* ticks */
	uint64_t prev_tick;	    /* time of the previous merge_tick() */
	uint64_t wheel_gran;	    /* ticks */
	uint64_t wheel_at;	    /* bucket number next to be processed */
	struct ref_list wheel[WHEEL_BUCKETS];
	struct ref_list closing;     /* found closed since the last tick */
	struct ref_list closing_old; /* found closed before it */
	struct ref_list ended;
	uint64_t names_used; /* bytes */
	int (*end_fn)(void *arg, const struct flow_key *key, struct name_result *ret);
	void *end_arg;
	struct merge_stats stats;
	struct sightings *sightings;		  /* or NULL */
	struct copies *copies;			  /* NULL: no flow in a tunnel yet, or no memory */
	bool no_copies;				  /* it has been tried */
	struct changed *changed;		  /* or NULL: nobody asks */
	uint64_t missed;			  /* of those before */
	struct flow_str seen_on[SIGHTING_IFACES]; /* of the record at hand */
	char seen_on_name[SIGHTING_IFACES][IFACE_NAME_MAX];
};

/* ---- merge_table.c ---- */
int merge_table_init(struct merge *m);
/* Take up the flows that the ledger holds. */
void merge_table_adopt(struct merge *m);
void merge_table_done(struct merge *m);
uint32_t merge_hash(const struct merge *m, const struct flow_key *key);
uint32_t merge_find(const struct merge *m, const struct flow_key *key, uint32_t hash);
/* Reference whose hash matches, without comparing keys: only to prefetch. */
uint32_t merge_find_hint(const struct merge *m, uint32_t hash);
/* New state of that key in table and wheel; makes room when full. Never fails. */
struct flow_state *merge_insert(struct merge *m, const struct flow_key *key, uint32_t hash);
void merge_unlink(struct merge *m, struct flow_state *st);
void merge_release(struct merge *m, struct flow_state *st);
bool ref_push(struct ref_list *l, uint32_t ref);

static inline struct flow_state *merge_state(const struct merge *m, uint32_t ref)
{
	return &m->slab[ref - 1];
}

static inline uint32_t merge_ref(const struct merge *m, const struct flow_state *st)
{
	return (uint32_t)(st - m->slab) + 1;
}

/* The same for one that may be in no slab: 0. */
static inline uint32_t merge_number(const struct merge *m, const struct flow_state *st)
{
	const uintptr_t at = (uintptr_t)st - (uintptr_t)m->slab;

	return at / sizeof(*st) < m->slab_used ? (uint32_t)(at / sizeof(*st)) + 1 : 0;
}

/* A state is about to change. */
static inline void state_save(struct merge *m, const struct flow_state *st)
{
	if (m->cfg.ledger)
		ledger_save_flow(m->cfg.ledger, st);
}

/* A direction of the flow is seen for the first time here. */
static inline void state_sighted(struct merge *m, const struct flow_state *st, int dir)
{
	if (m->sightings)
		sighting_note(m->sightings, &st->key, dir, m->cfg.clock->now_tick);
}

/* ---- merge.c ---- */
void state_init(struct flow_state *st, const struct flow_key *key);
void state_absorb(struct merge *m, struct flow_state *st, const struct merge_delta *d);

/* ---- merge_expire.c ---- */
void merge_schedule(struct merge *m, struct flow_state *st);
void merge_closing(struct merge *m, struct flow_state *st);
void merge_finish(struct merge *m, struct flow_state *st, enum flow_reason reason);
void merge_evict_oldest(struct merge *m);
/* A newer connection has the key: take @st out of the table, write it at the next tick. */
void merge_replace(struct merge *m, struct flow_state *st, enum flow_reason reason);

/* ---- merge_record.c ---- */
/* @final: nothing more comes of this flow. */
void merge_emit(struct merge *m, struct flow_state *st, enum flow_reason reason, bool final);

/* ---- merge_name.c ---- */
/* Memory within merge_cfg.names_bytes, zeroed; NULL: no more. */
void *kept_alloc(struct merge *m, size_t size);
void kept_free(struct merge *m, void *p, size_t size); /* NULL is fine */
bool kept_str(struct merge *m, struct flow_str *s, const void *from, size_t len);
int merge_name_apply(struct merge *m, struct flow_state *st, const struct name_result *nr);
void merge_name_fill(const struct flow_state *st, bool final, struct flow_record *r);
void merge_gap_fill(const struct flow_state *st, bool final, struct flow_record *r);
void merge_name_reported(struct merge *m, struct flow_state *st);
void merge_name_free(struct merge *m, struct flow_state *st);

/* ---- merge_policy.c ---- */
int merge_policy_init(struct merge *m);
void merge_policy_done(struct merge *m);
/* Add to what policy did to the flow. @st has been saved. */
void merge_did_absorb(struct merge *m, struct flow_state *st, const struct merge_did *d);
void merge_did_fill(struct merge *m, const struct flow_state *st, struct flow_record *r);
/* What has been reported is not reported again. */
void merge_did_reported(struct merge *m, struct flow_state *st);

/* ---- merge_copies.c; @m->copies may be NULL but where it says so ---- */
/* Of a new state in the table: the packets within a tunnel, which others may have too. */
void merge_copies_insert(struct merge *m, struct flow_state *st);
/* Of one that goes; there are copies. */
void merge_copies_remove(struct merge *m, struct flow_state *st);
/* @d has been absorbed. @cold: of all the entry. */
void merge_copies_absorb(struct merge *m, struct flow_state *st, const struct merge_delta *d,
			 bool cold);
/* Before a record of it is made: is something known by now that makes it a copy? */
void merge_copies_look(struct merge *m, struct flow_state *st);
/* What is copied, into a record. @ref: of the flow, @st: it or a copy. */
void merge_copies_fill(struct merge *m, uint32_t ref, const struct flow_state *st,
		       struct flow_record *r);
/* What has been reported is not reported again. */
void merge_copies_reported(struct merge *m, const struct flow_state *st);
/* Several sources mirror to here: what is final alone may be a copy. */
bool merge_copies_possible(const struct merge *m);
/* Flows of a process before. */
void merge_copies_adopt(struct merge *m);
void merge_copies_done(struct merge *m);
/* The direction at the machine that is mirrored. */
void merge_mirrored_fill(const struct merge *m, const struct flow_state *st, struct flow_record *r);

/* ---- merge_record.c, too ---- */
/* Node, labels, and the interface's name. */
void merge_place_fill(const struct merge *m, uint32_t netns, uint32_t ifindex,
		      struct flow_record *r);

/* ---- small questions about a state ---- */

static inline bool is_ip(const struct flow_key *k)
{
	return k->ethertype == 0x0800 || k->ethertype == 0x86dd;
}

static inline bool is_tcp(const struct flow_key *k)
{
	return k->proto == 6 && is_ip(k);
}

static inline bool state_pending(const struct flow_state *st)
{
	return st->packets[0] | st->packets[1] | (st->did & FD_PENDING);
}

static inline uint64_t state_last(const struct flow_state *st)
{
	uint64_t a = st->flags & FS_SEEN0 ? st->last[0] : 0;
	uint64_t b = st->flags & FS_SEEN1 ? st->last[1] : 0;

	return a > b ? a : b;
}

static inline uint64_t state_first(const struct flow_state *st)
{
	uint64_t a = st->flags & FS_SEEN0 ? st->first[0] : UINT64_MAX;
	uint64_t b = st->flags & FS_SEEN1 ? st->first[1] : UINT64_MAX;

	return a < b ? a : b;
}

/* Start of the record to be written next. */
static inline uint64_t state_start(const struct flow_state *st)
{
	return st->flags & FS_REPORTED ? st->prev_end : state_first(st);
}

static inline bool flags_closed(uint8_t a, uint8_t b)
{
	return ((a | b) & TCP_RST) || (a & b & TCP_FIN);
}

static inline bool state_closed(const struct flow_state *st)
{
	return flags_closed(st->tcp_flags[0], st->tcp_flags[1]) && is_tcp(&st->key);
}

/* SYNs of one side and nothing else: no answer, nothing said after them. */
static inline bool state_lone_syn(const struct flow_state *st)
{
	unsigned int seen = st->flags & (FS_SEEN0 | FS_SEEN1);
	uint8_t f;

	if (seen != FS_SEEN0 && seen != FS_SEEN1)
		return false;
	f = st->tcp_flags[seen == FS_SEEN1];
	return (f & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN && is_tcp(&st->key);
}

/* ---- merge_changed.c ---- */
void merge_note(struct merge *m, const struct flow_state *st);

/* ---- merge_record.c ---- */
/* As a record of the flow would be now; nothing of it changes. */
void merge_show(struct merge *m, uint32_t ref, merge_live_fn fn, void *arg);

#endif
