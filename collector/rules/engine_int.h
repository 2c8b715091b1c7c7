/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_int.h - what the parts of the engine share. A batch of flows is columns; the comparisons of all
 * rules, each once, become bitmaps over it; then each rule goes through the rows that are left.
 */
#ifndef WEIR_COLLECTOR_RULES_ENGINE_INT_H
#define WEIR_COLLECTOR_RULES_ENGINE_INT_H

#include "collector/rules/engine.h"
#include "common/filter_code.h"

#define BATCH_ROWS     1024u
#define BATCH_WORDS    (BATCH_ROWS / 64u)
#define BATCH_TEXT     (256u << 10)
#define DISTINCT_EXACT 4096u /* most values that are kept one by one */
#define DISTINCT_FIRST 8u

/* ---- batch.c ---- */

/* How a column of the batch is held. */
enum batch_kind { BATCH_NUMBER, BATCH_IP, BATCH_STR };

struct batch_column {
	bool used;
	uint8_t kind;
	union {
		void *data;
		uint64_t *numbers;
		uint64_t (*ips)[2]; /* host order, the high half first */
		struct flow_str *strs;
	};
	uint64_t valid[BATCH_WORDS];
};

/* One comparison, however many rules have it. */
struct batch_test {
	const struct filter *filter;
	const struct filter_test *test;
	bool by_record; /* lists and ids: looked at when the flow comes */
	bool known;	/* bits are those of this batch */
	uint64_t bits[BATCH_WORDS];
};

/* A filter over the batch: its tests, and which of them are common. */
struct batch_filter {
	const struct filter *filter;	/* NULL: every row */
	uint32_t *tests;		/* index in batch.tests, by the filter's own test */
	uint64_t (*reach)[BATCH_WORDS]; /* rows that come to a test */
};

struct batch {
	uint32_t n;
	struct batch_column columns[_FF_MAX];
	struct batch_test *tests;
	uint32_t n_tests, cap_tests;
	char *text;
	uint32_t text_len;
	uint64_t clock[BATCH_ROWS]; /* latest end up to and with the row */
	uint64_t end[BATCH_ROWS];
};

/* A column will be looked at. Return: 0, -ENOMEM. */
int batch_use(struct batch *b, enum flow_field f);
int batch_add_filter(struct batch *b, const struct filter *f, struct batch_filter *ret);
void batch_filter_done(struct batch_filter *f);
void batch_done(struct batch *b);

/* The next row. Return: 0; -ENOSPC: the texts do not fit, begin another batch first. */
int batch_add(struct batch *b, const struct flow_record *r);
/* Forget the rows. */
void batch_clear(struct batch *b);

/* Rows that @f is true for. */
void batch_match(struct batch *b, const struct batch_filter *f, uint64_t ret[static BATCH_WORDS]);

static inline bool batch_has(const struct batch *b, enum flow_field f, uint32_t row)
{
	return b->columns[f].valid[row / 64] >> (row % 64) & 1;
}

/* batch_block.c: up to BATCH_ROWS rows of @from, from row @at on. Return: how many, -ENOSPC. */
int batch_take(struct batch *b, const struct block *from, uint32_t at);

/* ---- hash ---- */

struct hash128 {
	uint64_t a, b;
};

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	const unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline uint64_t hash_add(uint64_t h, uint64_t v)
{
	return hash_mix(h ^ v, 0x9e3779b97f4a7c15u ^ (h >> 32 | h << 32));
}

uint64_t hash_bytes(uint64_t seed, const char *s, uint32_t len);

/* Hash of a field of a row; false: it has none. */
bool batch_hash(const struct batch *b, enum flow_field f, uint32_t row, uint64_t *h);

/* ---- distinct.c ---- */

/*
 * Values of a window, each with the step in which it was last seen: exact up to @cap. Beyond, only
 * values whose hash ends in @level zero bits are kept and count for 2^level each (adaptive sampling,
 * Flajolet 1990: standard error 1.2/sqrt(cap)).
 */
struct distinct {
	uint64_t *hashes; /* 0: free */
	uint32_t *steps;  /* beside them */
	uint32_t size;	  /* of the arrays, a power of two */
	uint32_t n;	  /* entries, those that have left the window among them */
	uint32_t level;
};

struct distinct_window {
	uint64_t *counts; /* by step % panes */
	uint64_t *total;
	uint32_t panes;
	uint32_t first; /* the oldest step of the window, in 32 bits */
	uint32_t cap;
	uint64_t *bytes; /* account of memory */
};

/* Return: 0, -ENOMEM: not counted. */
int distinct_add(struct distinct *d, const struct distinct_window *w, uint64_t hash, uint32_t step);
void distinct_done(struct distinct *d, uint64_t *bytes);
static inline double distinct_value(const struct distinct *d, uint64_t total)
{
	return (double)(total << d->level);
}

/* Values that are kept for a threshold. */
uint32_t distinct_cap(double threshold);

/* ---- groups.c ---- */

/* An aggregate that is kept; ratio and rate are made of these. */
struct leaf {
	uint8_t type; /* HA_COUNT, HA_SUM, HA_MAX, HA_DISTINCT */
	uint8_t n_fields;
	uint8_t fields[HAVING_FIELDS_MAX];
	uint32_t agg;		    /* of having; UINT32_MAX: not of it */
	uint32_t cap;		    /* of distinct */
	struct batch_filter where;  /* of count(filter) */
	uint64_t bits[BATCH_WORDS]; /* of that, for this batch */
	bool filtered;
};

struct group {
	struct group *next; /* of the same bucket */
	struct group *prev_alert, *next_alert;
	uint64_t hash;
	uint64_t hash2; /* what tells values apart: 128 bits together */
	int64_t pane;	/* up to which its steps are */
	int64_t seen;	/* the latest step that a flow was in */
	uint64_t since_ns, fired_ns, true_ns;
	uint8_t state; /* enum alert_state */
	uint8_t exempt;
	uint32_t at; /* in rule_state.all */
	char *text;  /* of by's texts, or NULL */
	uint64_t cells[];
	/* by: one or two words each; leaves: total and panes each; distinct: a struct distinct before them */
};

/* What decides which group goes, apart from the groups: they are all over the memory. */
struct group_slot {
	struct group *group;
	int64_t seen; /* as in the group */
	bool alert;
};

struct rule_state {
	const struct rule *rule;
	struct engine *engine;
	struct batch_filter where;
	struct leaf leaves[2 * HAVING_AGGS_MAX];
	uint32_t n_leaves;
	uint32_t leaf_of[HAVING_AGGS_MAX]; /* by aggregate */
	uint32_t key_at[RULE_BY_MAX];	   /* cell */
	uint32_t leaf_at[2 * HAVING_AGGS_MAX];
	uint32_t n_cells;
	uint32_t panes;
	uint64_t slide;
	int64_t pane; /* at hand; INT64_MIN: none yet */
	bool monotone;
	struct group **buckets;
	uint32_t n_buckets;	/* a power of two */
	struct group_slot *all; /* of them, in no order */
	uint32_t n_groups, cap_groups;
	uint32_t hand; /* in all: where the next look for old ones begins */
	struct group *alerts;
	struct engine_rule_stats stats;
};

int groups_init(struct rule_state *s);
void groups_done(struct rule_state *s);

/* The group of a row, made if there is none; NULL: no memory. */
struct group *groups_get(struct rule_state *s, const struct batch *b, uint32_t row,
			 const struct hash128 *h);
/* As @by says, for an alert. */
void groups_key(const struct rule_state *s, const struct group *g, struct alert *ret);
/* Steps up to @pane become the window of the group. */
void groups_advance(struct rule_state *s, struct group *g, int64_t pane);
void groups_remove(struct rule_state *s, uint32_t at);
/* A row into a step of the window. Return: 0; -ENOMEM: not counted by distinct(). */
int groups_add(struct rule_state *s, struct group *g, const struct batch *b, uint32_t row,
	       int64_t pane);
/* What a leaf comes to; NAN: it has no value. */
double groups_leaf(const struct rule_state *s, struct group *g, uint32_t leaf);

/* ---- engine.c, alerts.c ---- */

struct engine {
	struct engine_cfg cfg;
	struct batch batch;
	struct rule_state *states; /* one for each rule */
	struct joins *joins;	   /* correlations */
	uint64_t clock;
	struct engine_stats stats;
};

/* How a group stands at @now. @end: resolved whatever it is. */
void alert_look(struct rule_state *s, struct group *g, uint64_t now);
void alert_end(struct rule_state *s, struct group *g, uint64_t now, enum alert_end why);

/* joins.c */
int joins_new(struct engine *e);
void joins_free(struct engine *e);
void joins_alert(struct engine *e, const struct alert *a);
void joins_advance(struct engine *e, uint64_t now);

#endif
