/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger.h - what the drain and the merge know, in memory that outlives the process: flows and what of
 * them is not written yet, records that are on their way out, and, beside the tables that each drain
 * reads, the totals read of each slot. So a loader that is killed at any instruction is followed by one
 * that loses and doubles no count, whatever tables it has itself.
 *
 * Between two commits every slot and flow is saved before it is changed (undo log), what was read of
 * the ring is not given back, and no record leaves. A commit is one store. Whoever takes over puts
 * back what was saved since: the kernel's counters only grow and the ring still holds its records,
 * so reading them again gives what was lost. Records written but not confirmed by their receivers
 * go out once more. One thread (the drain's).
 */
#ifndef WEIR_LOADER_LEDGER_H
#define WEIR_LOADER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "weir/abi.h"

#define LEDGER_SLOT_BYTES 64u  /* struct shadow of drain.c */
#define LEDGER_FLOW_BYTES 256u /* struct flow_state of merge_int.h */
#define LEDGER_MARK_BYTES 16u  /* struct dropped_mark of dropped.h: of slots and drop rows */
#define LEDGER_DID_BYTES  32u  /* struct flow_did of merge_int.h: of flows */
#define LEDGER_TABLES_MAX 4u   /* ours, and those of earlier loaders that are not read to the end */

struct flow_record;

/* The state as of a commit, beside slots and flows. */
struct ledger_point {
	uint64_t out_end;	    /* outbox: records before it may leave */
	uint64_t out_no;	    /* records before out_end, ever */
	uint64_t tick;		    /* when */
	uint64_t elsewhere_packets; /* of struct merge_stats */
	uint64_t elsewhere_bytes;
	uint64_t counters[WEIR_CNT_SLOTS]; /* of tables that have been read to the end */
	uint32_t ended[LEDGER_TABLES_MAX]; /* those that may still be found; 0 = free */
};

/* Ahead of the totals read of tables, in memory that is pinned beside them. */
struct ledger_tables {
	uint64_t magic;
	uint64_t slots;
	uint64_t marks;
	uint64_t ring_pos[2]; /* of `evicted`: read and merged up to here, as of the commit */
};

/* Tables, and where what has been read of them is kept. */
struct ledger_part {
	struct ledger_tables *mem; /* ledger_tables_bytes(), page aligned, shared, zeroed when new */
	uint64_t slots;
	uint64_t marks; /* of what policy did, see dropped_marks() */
	uint32_t id;	/* of the tables, not 0 */
	/* filled by ledger_open() */
	uint8_t *slot;
	uint8_t *mark;
	uint64_t ring_pos; /* becomes mem->ring_pos[] */
	bool fresh;	   /* nobody has read these tables before */
};

#define LEDGER_NOTE_BYTES 1024u

/* What the receivers have. */
struct ledger_done {
	uint64_t out_start; /* outbox: the first record that may have to go out again */
	uint64_t out_no;    /* its number */
	uint8_t note[LEDGER_NOTE_BYTES]; /* what the caller knew of them just then */
};

struct ledger_head {
	uint64_t magic;
	uint32_t version;
	uint32_t max_flows;
	uint64_t seq;	   /* commits; its lowest bit names the point that holds */
	uint64_t done_seq; /* the same of done[] */
	struct ledger_point at[2];
	struct ledger_done done[2];
	uint64_t undo_full; /* saves that found no room: must stay 0 */
	uint64_t unguarded; /* records that left the outbox before they were confirmed: no room */
	uint64_t unguarded_packets; /* in them: what kills may have lost, at most */
};

struct ledger_undo_slot {
	uint64_t epoch; /* seq + 1 of the commit that makes it void */
	uint32_t index;
	uint32_t tables; /* id */
	uint8_t was[LEDGER_SLOT_BYTES];
};

struct ledger_undo_flow {
	uint64_t epoch;
	uint64_t index;
	uint8_t was[LEDGER_FLOW_BYTES];
};

/* Of what policy did: a mark of tables, or, with tables = 0, of a flow. */
struct ledger_undo_did {
	uint64_t epoch;
	uint32_t index;
	uint32_t tables;
	uint8_t was[LEDGER_DID_BYTES];
};

#define LEDGER_UNDO_DIDS  16384u
#define LEDGER_UNDO_SLOTS 16384u
#define LEDGER_UNDO_FLOWS 8192u
#define LEDGER_OUT_BYTES  (32u << 20)

struct ledger {
	struct ledger_head *head;
	struct ledger_undo_slot *undo_slot;
	struct ledger_undo_flow *undo_flow;
	struct ledger_undo_did *undo_did;
	uint8_t *flows;
	uint8_t *did; /* of each flow */
	uint8_t *out; /* ring of packed records */
	struct ledger_part part[LEDGER_TABLES_MAX];
	unsigned int parts;
	uint32_t n_slot, n_flow, n_did; /* saved since the last commit */
	bool fresh;			/* nobody was here before */
	struct ledger_point now;	/* becomes head->at[] */
	uint64_t delivered;		/* outbox: given to the sinks up to here */
	uint64_t delivered_no;
	uint64_t asked_no; /* when ask() was called last */
	/* A committed record, to be exported. */
	void (*deliver)(void *arg, const struct flow_record *r);
	/* The outbox is full: ledger_confirm() what the receivers have by now. Or NULL. */
	void (*ask)(void *arg);
	void *arg;
};

/* Bytes of memory for so many flows, and beside tables of so many slots. */
size_t ledger_bytes(uint32_t max_flows);
size_t ledger_tables_bytes(uint64_t slots, uint64_t marks);

/* Flows that there is room for in the ledger at @mem; 0: none is there. -ESTALE: of another version. */
int ledger_room(const void *mem, uint32_t *ret_flows);

/* Does the ledger at @mem, that nobody has opened, say that those tables have been read to the end? */
bool ledger_at_has_ended(const void *mem, uint32_t tables);

/**
 * ledger_open - begin in empty (zeroed) memory, or take over what an earlier process left there
 * @mem:   ledger_bytes() of it, page aligned, shared
 * @part:  mem, slots and id of all tables that there are, @parts of them; copied to l->part[]
 *
 * Return: 0, or -ESTALE: made for other sizes or by another version of weir.
 */
int ledger_open(struct ledger *l, void *mem, uint32_t max_flows, const struct ledger_part *part,
		unsigned int parts);

/**
 * ledger_move - begin in empty memory where another ledger, that has been opened, stands
 * @mem: as ledger_open()
 *
 * All but the flows: those are merge_move_flows(). The memory is no ledger yet until ledger_moved().
 */
void ledger_move(struct ledger *to, void *mem, uint32_t max_flows, const struct ledger *from);
void ledger_moved(struct ledger *to);

/* Have tables been read to the end? Then nothing of them may be read again. */
bool ledger_has_ended(const struct ledger *l, uint32_t tables);

/**
 * ledger_end - tables have been read to the end; true from the commit that this makes on
 * @counters: theirs, which go on in l->now.counters
 */
void ledger_end(struct ledger *l, struct ledger_part *p, const uint64_t counters[WEIR_CNT_SLOTS]);

/* Records that an earlier process had not seen confirmed: to deliver(), oldest first; the first one's
 * number is ledger_done()->out_no.
 */
void ledger_redeliver(struct ledger *l);

/* ---- before a change ---- */

static inline void ledger_save_slot(struct ledger *l, const struct ledger_part *p, const void *slot)
{
	struct ledger_undo_slot *u = &l->undo_slot[l->n_slot];

	if (l->n_slot == LEDGER_UNDO_SLOTS) {
		l->head->undo_full++;
		return;
	}
	memcpy(u->was, slot, sizeof(u->was));
	u->index = (uint32_t)((uint64_t)((const uint8_t *)slot - p->slot) / LEDGER_SLOT_BYTES);
	u->tables = p->id;
	__atomic_store_n(&u->epoch, l->head->seq + 1, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* the change comes after */
	l->n_slot++;
}

/* A flow state that is not of the ledger (one on the stack) is passed over. */
static inline void ledger_save_flow(struct ledger *l, const void *flow)
{
	struct ledger_undo_flow *u = &l->undo_flow[l->n_flow];
	uint64_t at = (uint64_t)((const uint8_t *)flow - l->flows);

	if (at >= (uint64_t)l->head->max_flows * LEDGER_FLOW_BYTES)
		return;
	if (l->n_flow == LEDGER_UNDO_FLOWS) {
		l->head->undo_full++;
		return;
	}
	memcpy(u->was, flow, sizeof(u->was));
	u->index = at / LEDGER_FLOW_BYTES;
	__atomic_store_n(&u->epoch, l->head->seq + 1, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	l->n_flow++;
}

/* What policy did: the mark @index of a part, or, with @p NULL, of a flow. */
void ledger_save_did(struct ledger *l, const struct ledger_part *p, uint64_t index);

/**
 * ledger_emit - a record that is true from the next commit on
 *
 * Delivered then. One that finds no room although older ones were given up is delivered at once
 * (and may go out twice if the process is killed).
 */
void ledger_emit(struct ledger *l, const struct flow_record *r);

/* What is saved, emitted and said in l->now holds from here on; records are delivered. */
void ledger_commit(struct ledger *l);

/* Slots, flows and ring position fit together here: a commit is possible, and made if it is time. */
static inline void ledger_here(struct ledger *l)
{
	if (l->n_slot > LEDGER_UNDO_SLOTS / 2 || l->n_flow > LEDGER_UNDO_FLOWS / 2 ||
	    l->n_did > LEDGER_UNDO_DIDS / 2)
		ledger_commit(l);
}

/**
 * ledger_confirm - the receivers have all records before number @no
 * @note: @len bytes, LEDGER_NOTE_BYTES at most, for ledger_done() in this or a later process
 */
void ledger_confirm(struct ledger *l, uint64_t no, const void *note, size_t len);

/* What was confirmed last. */
const struct ledger_done *ledger_done(const struct ledger *l);

#endif
