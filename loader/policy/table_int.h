/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_int.h - what the parts of the table writer share: table.c (changes, generations), table_rule.c
 * (rules), table_index.c (decisions, their index and the presence map).
 */
#ifndef WEIR_LOADER_POLICY_TABLE_INT_H
#define WEIR_LOADER_POLICY_TABLE_INT_H

#include "bpf/policy_key.h"
#include "loader/policy/table.h"
#include "loader/policy/titles.h"

#define FOREVER_GEN UINT32_MAX /* until: in force */
#define ISSUER_NONE 255u       /* taken over, not applied again yet */

enum decision_state {
	DECISION_FREE = 0,
	DECISION_LIVE = 1,
	DECISION_ENDED = 2,   /* its last generation may still be in use by packets on their way */
	DECISION_REMOVED = 3, /* nothing leads to it; one may still be reading it */
};

struct decision_meta {
	uint32_t expires; /* as in the map */
	uint32_t mark;	  /* change that wanted it last */
	uint8_t issuer;
	uint8_t state; /* enum decision_state */
	uint16_t pad;
};

struct rule_meta {
	struct policy_rule rec;
	struct policy_rule before; /* rec, before the last change */
	uint32_t issuer;
	uint32_t mark;
	uint8_t current; /* version in force, or in force last */
	bool used;
	bool ended; /* until is set; taken back after a grace period */
};

/* A decision as it would be entered. */
struct listing {
	uint64_t key[2];
	struct policy_place place; /* in the index */
	uint64_t until;		   /* as in the record: seconds since 1970, 0: the rule's */
	uint32_t number;	   /* of its rule, in the record */
	uint32_t expires;	   /* policy clock */
	uint16_t rule;		   /* element of policy_rules */
	uint16_t length;	   /* KIND_NAME */
	uint8_t kind;
	uint8_t bits;
	uint8_t role;
	uint8_t how;
};

struct policy_table {
	struct policy_control *control;
	struct policy_slot *slots;
	struct policy_count *counts; /* written only while no rule has the element */
	struct policy_bucket *index;
	struct policy_decision *decisions;
	struct policy_presence *presence;
	size_t bytes[6]; /* of the mappings, in that order */
	uint32_t cpus;
	uint32_t max; /* decisions, element 0 left out */
	uint32_t buckets;
	struct policy_time time;
	uint32_t generation; /* published */
	uint32_t next;	     /* the one that a change is made for */
	uint32_t epoch;	     /* counts changes, for marks */
	bool stopped;
	struct rule_meta *rule;	      /* POLICY_RULES */
	struct policy_titles *titles; /* or NULL */
	struct decision_meta *meta;
	uint64_t *free; /* decisions: a bit each */
	uint32_t free_n;
	uint32_t free_at; /* word of @free where the last one was found */
	uint32_t live;
	uint32_t dead; /* ended or removed */
	uint32_t rules;
	uint32_t linear;
	uint32_t next_expiry;
	uint32_t stale; /* decisions gone that the presence map still speaks of */
	uint32_t of_length4[33];
	uint32_t of_length6[129];
	uint32_t of_suffix[256];
	uint32_t of_kind[5];  /* enum policy_kind */
	policy_each_fn *gone; /* or NULL */
	void *gone_arg;
};

/* ---- table_index.c ---- */

/* Enter @l as of t->next, for @issuer. Return: its number, 0: no room. */
uint32_t decision_add(struct policy_table *t, const struct listing *l, uint32_t issuer);
/* The decision in force that @l would be, or 0. */
uint32_t decision_find(const struct policy_table *t, const struct listing *l);
/* The same in whatever state, by what is in the map: for taking over. */
void decision_adopt(struct policy_table *t, uint32_t n);
/* There is room for another one. */
void decision_free(struct policy_table *t, uint32_t n);
/* Not from t->next on. */
void decision_end(struct policy_table *t, uint32_t n);
/* As if it had never been added. */
void decision_undo(struct policy_table *t, uint32_t n);
/* After a grace period: ended ones out of the index, those out of it free. Return: freed. */
uint32_t decisions_reclaim(struct policy_table *t);
/* What is listed at all, into control. */
void control_update(struct policy_table *t);
/* Where the index has it: called when the rest is known. */
void listing_place(const struct policy_table *t, struct listing *l);
/* Have the lines of the index, and then of what is there, come closer. */
void decision_fetch_index(const struct policy_table *t, const struct listing *l);
void decision_fetch(const struct policy_table *t, const struct listing *l);

/* ---- table_list.c ---- */

/* How many entries a set has, of all types. */
uint32_t set_listings(const struct policy_set *set);
/* Fill @l from entry @i of @set; rule and expires are left alone. Return: is there one? */
bool listing_at(const struct policy_table *t, const struct policy_set *set, uint32_t i,
		struct listing *l);
/* Call @fn with each, until it returns something other than 0, which is returned. */
int listings_each(const struct policy_table *t, const struct policy_set *set,
		  int (*fn)(void *arg, struct listing *l), void *arg);

/* ---- table_rule.c ---- */

/* Policy clock of a time in seconds since 1970; 0 is never. */
uint32_t policy_clock(const struct policy_table *t, uint64_t seconds);
/* Element of the rule, 0: none. */
uint32_t rule_find(const struct policy_table *t, uint32_t issuer, const uint8_t id[16]);
/* Enter or change a rule as of t->next. Return: its element, or -ENOSPC. */
int rule_put(struct policy_table *t, uint32_t issuer, const struct policy_rule *r);
void rule_end(struct policy_table *t, uint32_t rule);
/* Take back what the change made of rules. */
void rules_undo(struct policy_table *t);
/* After a grace period. */
uint32_t rules_reclaim(struct policy_table *t);
void rules_adopt(struct policy_table *t);
/* Lowest order of rules that are not reached by address, and the end of those without key. */
void rules_bounds(const struct policy_table *t, uint32_t *ret_other, uint32_t *ret_linear_end);
/* Say of each rule whether it drops plainly before all those of order @other, in whichever version. */
void rules_plain(const struct policy_table *t, uint32_t other);

#endif
