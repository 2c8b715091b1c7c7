/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_int.h - what the parts of the engine share. A batch of flows is columns; the comparisons of all
 * rules, each once, become bitmaps over it; then each rule goes through the rows that are left.
 */
#ifndef WEIR_COLLECTOR_RULES_ENGINE_INT_H
#define WEIR_COLLECTOR_RULES_ENGINE_INT_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

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
	bool known;  /* valid is of this batch; of a block it comes when it is asked for */
	bool loaded; /* so are the values */
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
	bool by_record;		    /* lists and ids */
	uint32_t pick;		    /* UINT32_MAX: none */
	uint32_t bit;		    /* of the pick */
	uint8_t *near;		    /* of a set of addresses, see batch_test.c; or NULL */
	uint64_t done[BATCH_WORDS]; /* rows that bits are true of */
	uint64_t bits[BATCH_WORDS];
};

/* Up to 64 tests of a field of 8 or 16 bits: what a value says to all of them is in a table. */
struct batch_pick {
	uint8_t field; /* enum flow_field */
	uint32_t n;    /* tests */
	uint32_t n_classes;
	uint32_t most;	     /* value */
	uint8_t *classes;    /* of each value */
	uint64_t truth[256]; /* of each class, before negation */
	bool known[BATCH_WORDS];
	uint64_t planes[BATCH_WORDS][8][8]; /* of 64 rows: eight tests of eight rows in each */
};

/* Fields that groups are found by, and their hashes. */
struct batch_key {
	uint8_t fields[RULE_BY_MAX];
	uint32_t n;
	uint64_t done[BATCH_WORDS];
	uint32_t hashes[BATCH_ROWS];
};

/* A bit for each row. */
struct batch_bits {
	uint64_t v[BATCH_WORDS];
};

/* A filter over the batch: its tests, and which of them are common. */
struct batch_filter {
	const struct filter *filter; /* NULL: every row */
	uint32_t *tests;	     /* index in batch.tests, by the filter's own test */
	struct batch_bits *reach;    /* rows that come to a test */
};

struct block;

struct batch {
	uint32_t n;
	uint64_t seed;
	struct batch_column columns[_FF_MAX];
	struct batch_test *tests;
	uint32_t n_tests, cap_tests;
	struct batch_pick **picks;
	uint32_t n_picks;
	struct batch_key **keys;
	uint32_t n_keys;
	char *text;
	uint32_t text_len;
	const struct block *from; /* rows are of this block, from @at on; NULL: records */
	uint32_t at;
	uint64_t again[BATCH_WORDS]; /* rows of flows that were counted before (FLOW_IDS) */
	bool any_again;
	uint64_t clock[BATCH_ROWS];	 /* latest end up to and with the row */
	uint64_t end[BATCH_ROWS], first; /* the earliest of them */
};

/* A column will be looked at. Return: 0, -ENOMEM. */
int batch_use(struct batch *b, enum flow_field f);
int batch_add_filter(struct batch *b, const struct filter *f, struct batch_filter *ret);
/* Rows will be grouped by @by. */
int batch_add_key(struct batch *b, const struct rule_fields *by, uint32_t *ret);
void batch_filter_done(struct batch_filter *f);
void batch_done(struct batch *b);

/* The next row. Return: 0; -ENOSPC: the texts do not fit, begin another batch first. */
int batch_add(struct batch *b, const struct flow_record *r);
/* Forget the rows. */
void batch_clear(struct batch *b);

/* All rows. */
struct batch_bits batch_rows(const struct batch *b);

/* Those of @rows that @f is true for. */
void batch_match(struct batch *b, const struct batch_filter *f, const struct batch_bits *rows,
		 struct batch_bits *ret);

/* Those of @rows that have the key's fields stay in it; their hashes are there then. */
void batch_hash_rows(struct batch *b, struct batch_key *k, struct batch_bits *rows);

static inline bool batch_has(const struct batch *b, enum flow_field f, uint32_t row)
{
	return b->columns[f].valid[row / 64] >> (row % 64) & 1;
}

/* ---- batch_test.c ---- */

/* Tables for the tests that can have one. Return: 0, -ENOMEM. */
int batch_prepare(struct batch *b);
void batch_prepare_done(struct batch *b);
/* Does the test look at values, and not only whether there are any? */
bool batch_asks_value(const struct batch_test *bt);
/* What the test says is in its bits then, of those of @rows at least. */
void batch_ask(struct batch *b, struct batch_test *bt, const struct batch_bits *rows);

/* ---- batch_block.c ---- */

/* Up to BATCH_ROWS rows of @from, from row @at on. Return: how many. */
uint32_t batch_take(struct batch *b, const struct block *from, uint32_t at);
void batch_load(struct batch *b, enum flow_field f);
/* Of which rows there are values; no more of the column. */
void batch_load_valid(struct batch *b, enum flow_field f);
/* A test of lists or ids about a row. */
bool batch_ask_block(const struct batch *b, const struct batch_test *t, uint32_t row);

/* What is valid of the column is there. */
static inline const struct batch_column *batch_valid(struct batch *b, enum flow_field f)
{
	if (!b->columns[f].known && b->from)
		batch_load_valid(b, f);
	return &b->columns[f];
}

/* The column is there. */
static inline struct batch_column *batch_need(struct batch *b, enum flow_field f)
{
	if (!b->columns[f].loaded && b->from)
		batch_load(b, f);
	return &b->columns[f];
}

/* ---- hash ---- */

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	const unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline uint64_t hash_add(uint64_t h, uint64_t v)
{
	return hash_mix(h ^ v, 0x9e3779b97f4a7c15u ^ (h >> 32 | h << 32));
}

uint64_t batch_seed(uint64_t seed);
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
	uint32_t size; /* of the arrays, a power of two */
	uint32_t n;    /* entries, those that have left the window among them */
	uint32_t level;
	uint32_t pad;
	uint64_t hashes[]; /* 0: free; behind them the steps, 32 bits each */
};

struct distinct_window {
	uint64_t *counts; /* by step % panes, @stride apart; NULL: all are of one step */
	uint32_t stride;
	uint64_t *total;
	uint32_t panes;
	uint32_t first; /* the oldest step of the window, in 32 bits */
	uint32_t cap;
	uint64_t *bytes; /* account of memory */
};

/* One value more in *@d, which may be NULL and becomes another. Return: 0, -ENOMEM: not counted. */
int distinct_add(struct distinct **d, const struct distinct_window *w, uint64_t hash,
		 uint32_t step);
void distinct_free(struct distinct *d, uint64_t *bytes); /* NULL is fine */
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
	uint32_t agg;		   /* of having; UINT32_MAX: not of it */
	uint32_t cap;		   /* of distinct */
	struct batch_filter where; /* of count(filter) */
	bool filtered;
	struct batch_bits bits; /* rows of this batch that it counts */
	const uint64_t *values; /* of these rows; NULL: one each */
};

/*
 * One value of by. What it adds up to stands in the totals while all of it is of step @pane; when a
 * second step comes, the ring has the steps one by one. Of what is added up, step @pane is in the total
 * alone until the next one comes: the ring's first row is what the total was when it came. An alert of it
 * is a watch of its own.
 */
struct group {
	uint32_t hash;
	uint32_t pane;	/* up to which its steps are; the lower half */
	uint32_t watch; /* index and one; 0: none */
	uint8_t ago;	/* steps from the latest with a flow to pane; UINT8_MAX: more */
	uint8_t pad[3];
	uint64_t cells[];
	/* by: one or two words each; ring; text of by; of each leaf its total, of distinct a pointer before */
};

struct watches {
	struct watch *first, *last;
};

/*
 * A group that has an alert, or is near one: it is looked at whenever a step is over. An alert of a rule that
 * only more flows make true again rests when it holds no more, until it ends.
 */
struct watch {
	struct watch *prev, *next;
	bool resting;
	uint64_t rest_ns; /* since when */
	uint32_t slot;
	uint32_t at;   /* in rule_state.watches */
	uint8_t state; /* enum alert_state */
	bool exempt;
	uint64_t since_ns, fired_ns, true_ns;
};

/* What decides which group goes, a byte each. */
#define MARK_WATCH 0x80u /* has a watch */
#define MARK_AGAIN 0x40u /* was seen again since the hand came by */
#define MARK_AGE   0x3fu /* when it was seen, coarsely */
#define MARK_AGES  63u

/* Places for some groups. Groups that do not fit are in the buckets behind. */
#define WAYS 15u

struct bucket {
	uint8_t tags[WAYS]; /* of the hash; 0: free */
	uint8_t hand;	    /* where the next look for one that goes begins */
	uint8_t marks[WAYS];
	uint8_t spilled; /* groups that should be here or before, and are behind; UINT8_MAX: or more */
} __attribute__((aligned(32)));

/* A field of by in the batch; of text none of this is there. */
struct key_part {
	const uint64_t *values;
	uint32_t words; /* one, of addresses two */
};

/* Memory of the groups' steps. */
struct rings {
	struct ring_chunk *chunks;
	uint64_t *free; /* the first of those that came back */
	uint64_t *fresh;
	uint32_t n_fresh, n_next;
};

struct rule_state {
	const struct rule *rule;
	struct engine *engine;
	struct batch_filter where;
	struct batch_key *key;
	struct leaf leaves[2 * HAVING_AGGS_MAX];
	uint32_t n_leaves;
	uint32_t leaf_of[HAVING_AGGS_MAX];     /* by aggregate */
	uint32_t key_at[RULE_BY_MAX];	       /* cell */
	struct key_part parts[RULE_BY_MAX];    /* columns of by */
	uint32_t ring_at, text_at;	       /* cells; text_at 0: by has no text */
	uint32_t leaf_at[2 * HAVING_AGGS_MAX]; /* cell of the total */
	uint32_t n_cells;
	uint32_t stride; /* octets of a group */
	uint32_t panes;
	uint64_t slide;
	int64_t pane;	   /* at hand; INT64_MIN: none yet */
	uint64_t begin_ns; /* of it */
	uint32_t ring_now; /* its place in a ring */
	uint32_t age_unit; /* steps */
	uint8_t age;	   /* mark of now */
	uint32_t n_parts;
	bool monotone;
	bool once; /* without having and for the first flow of a step says all that the step can */
	bool ids;  /* it asks for ids.*, so it looks at rows of FLOW_IDS, which others have seen */
	bool distinct; /* any of it */
	bool plain;    /* all leaves are totals that values are added to */
	bool gated;    /* it can hold only where leaf @gate comes to @gate_value */
	uint32_t gate;
	double gate_value;
	uint64_t gate_total; /* the same of a total that is compared as it is; 0: it is not */
	bool gate_is_all;    /* having says no more than that */
	void *arena;	     /* buckets and slab */
	size_t arena_bytes;
	struct bucket *buckets;
	uint8_t *slab;
	uint32_t n_buckets;
	uint32_t cap; /* groups that there is room for before it grows */
	uint32_t n_groups;
	uint32_t looks;	    /* for old ones */
	uint32_t old_hand;  /* bucket where the next of them begins */
	uint64_t tick;	    /* at hand, in units of ages */
	uint64_t look_tick; /* before it none is old */
	uint32_t old_from;  /* ages: it has been out of the window for sure */
	uint64_t oldest;    /* seen since the first bucket was looked through */
	struct rings rings;
	struct watches watching;
	struct watches resting; /* in the order of rest_ns; they held within a slide before it */
	struct watch **watches;
	uint32_t n_watches, cap_watches;
	struct engine_rule_stats stats;
};

/* ---- slots.c: where groups are ---- */

/* So many octets or more, zero, in large pages where they are many; free() them. NULL: no memory. */
void *slots_memory(size_t *bytes);
int slots_init(struct rule_state *s);
void slots_done(struct rule_state *s);
/* The slot of a row's group; UINT32_MAX: there is none. */
uint32_t slots_find(const struct rule_state *s, const struct batch *b, uint32_t row, uint32_t hash);
/* The slot that a new one will most likely get; UINT32_MAX: hard to say. */
uint32_t slots_soon(const struct rule_state *s, uint32_t hash);
/* A slot for a new one, which is used then. UINT32_MAX: no memory. */
uint32_t slots_take(struct rule_state *s, uint32_t hash);
/* Its group goes; what it holds is the caller's to free. */
void slots_give(struct rule_state *s, uint32_t slot);

/* Slots are numbered by bucket and way; each bucket has one number that is none. */
static inline uint32_t slots_end(const struct rule_state *s)
{
	return s->n_buckets * (WAYS + 1);
}

static inline bool slot_used(const struct rule_state *s, uint32_t slot)
{
	return slot % (WAYS + 1) != WAYS && s->buckets[slot / (WAYS + 1)].tags[slot % (WAYS + 1)];
}

static inline uint8_t *slot_mark(const struct rule_state *s, uint32_t slot)
{
	return &s->buckets[slot / (WAYS + 1)].marks[slot % (WAYS + 1)];
}

static inline struct group *slot_group(const struct rule_state *s, uint32_t slot)
{
	return (struct group *)(void *)(s->slab + (size_t)(slot - slot / (WAYS + 1)) * s->stride);
}

/* It was seen again. */
static inline void slots_touch(struct rule_state *s, uint32_t slot)
{
	uint8_t *mark = slot_mark(s, slot);

	*mark = (uint8_t)((*mark & MARK_WATCH) | MARK_AGAIN | s->age);
}

static inline uint8_t hash_tag(uint32_t hash)
{
	return (uint8_t)hash ?: 1;
}

static inline uint32_t slots_home(const struct rule_state *s, uint32_t hash)
{
	return (uint32_t)((uint64_t)hash * s->n_buckets >> 32);
}

/* Ways that have this tag, a bit each. */
static inline uint32_t bucket_ways(const struct bucket *b, uint8_t tag)
{
#ifdef __SSE2__
	const __m128i tags = _mm_load_si128((const __m128i *)(const void *)b->tags);
	const __m128i same = _mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag));

	return (uint32_t)_mm_movemask_epi8(same) & ((1u << WAYS) - 1);
#else
	uint32_t ways = 0;

	for (uint32_t i = 0; i < WAYS; i++)
		ways |= (uint32_t)(b->tags[i] == tag) << i;
	return ways;
#endif
}

/* The slot of the group with this hash, most likely; UINT32_MAX: there is none, most likely. */
static inline uint32_t slots_near(const struct rule_state *s, uint32_t hash)
{
	const uint32_t at = slots_home(s, hash);
	const uint32_t ways = bucket_ways(&s->buckets[at], hash_tag(hash));

	return ways ? at * (WAYS + 1) + (uint32_t)__builtin_ctz(ways) : UINT32_MAX;
}

/* May there be a group with this hash? */
static inline bool slots_may_have(const struct rule_state *s, uint32_t hash)
{
	const struct bucket *b = &s->buckets[slots_home(s, hash)];

	return b->spilled || bucket_ways(b, hash_tag(hash));
}

/* ---- rings.c ---- */

/* All zero; NULL: no memory. */
uint64_t *rings_take(struct rule_state *s);
void rings_give(struct rule_state *s, uint64_t *ring);
void rings_done(struct rule_state *s);

/* ---- groups.c ---- */

int groups_init(struct rule_state *s);
void groups_done(struct rule_state *s);

/* A group for a row that has none; UINT32_MAX: no memory. */
uint32_t groups_new(struct rule_state *s, const struct batch *b, uint32_t row, uint32_t hash);
/* Is it the row's, also of text? */
bool groups_is_text(const struct rule_state *s, const struct group *g, const struct batch *b,
		    uint32_t row);

static inline bool groups_is(const struct rule_state *s, const struct group *g,
			     const struct batch *b, uint32_t row)
{
	const uint64_t *cell = g->cells, *v;
	uint64_t other;

	if (s->text_at || !s->n_parts)
		return groups_is_text(s, g, b, row);
	v = s->parts[0].values + (size_t)row * s->parts[0].words;
	other = *cell++ ^ v[0];
	if (s->parts[0].words == 2)
		other |= *cell++ ^ v[1];
	for (uint32_t i = 1; i < s->n_parts; i++) {
		v = s->parts[i].values + (size_t)row * s->parts[i].words;
		other |= *cell++ ^ v[0];
		if (s->parts[i].words == 2)
			other |= *cell++ ^ v[1];
	}
	return !other;
}

/* As @by says, for an alert. */
void groups_key(const struct rule_state *s, const struct group *g, struct alert *ret);
/* Steps up to @pane become the window of the group. */
void groups_advance_to(struct rule_state *s, struct group *g, int64_t pane);
static inline void groups_advance(struct rule_state *s, struct group *g, int64_t pane)
{
	if (g->pane != (uint32_t)pane)
		groups_advance_to(s, g, pane);
}

void groups_remove(struct rule_state *s, uint32_t slot);
/* Is no step of the window its own any more? */
bool groups_gone(const struct rule_state *s, const struct group *g, int64_t pane);
/* Where a step's leaves are in a ring. */
static inline uint32_t ring_cell(const struct rule_state *s, uint32_t pane)
{
	if (pane == (uint32_t)s->pane)
		return s->ring_now;
	return (1 + pane % s->panes) * s->n_leaves;
}

/* What it has besides itself will be looked at, if a row is counted now. */
static inline void groups_ask_rest(const struct rule_state *s, const struct group *g)
{
	const uint64_t *ring = (const uint64_t *)(uintptr_t)g->cells[s->ring_at];
	const bool moves = g->pane != (uint32_t)s->pane;

	if (ring && moves) {
		__builtin_prefetch(ring, 1);
		__builtin_prefetch(ring + ring_cell(s, g->pane), 1);
	}
	if (ring && (moves || !s->plain))
		__builtin_prefetch(ring + s->ring_now, 1);
	for (uint32_t i = 0; s->distinct && i < s->n_leaves; i++) {
		const char *set = s->leaves[i].type == HA_DISTINCT
					  ? (const char *)(uintptr_t)g->cells[s->leaf_at[i] - 1]
					  : NULL;

		if (!set)
			continue;
		__builtin_prefetch(set, 1);
		__builtin_prefetch(set + 64, 1);
	}
}

/* A row into a step of the window. Return: 0; -ENOMEM: not counted. */
int groups_add(struct rule_state *s, struct group *g, const struct batch *b, uint32_t row,
	       int64_t pane);
/* What a leaf comes to; NAN: it has no value. */
double groups_leaf(const struct rule_state *s, const struct group *g, uint32_t leaf);
/* Is an address of its key exempt? */
bool groups_exempt(const struct rule_state *s, const struct group *g);

/* ---- engine.c, alerts.c ---- */

struct engine {
	struct engine_cfg cfg;
	struct batch batch;
	struct rule_state *states; /* one for each rule */
	struct joins *joins;	   /* correlations */
	uint64_t clock;
	uint16_t rows[BATCH_ROWS];  /* of the rule at hand */
	uint32_t slots[BATCH_ROWS]; /* of these, where its group is, most likely */
	struct engine_stats stats;
};

/* Is the rule evaluated at all? */
static inline bool engine_runs(const struct engine *e, uint32_t rule)
{
	return (e->cfg.drafts || e->cfg.rules->v[rule].mode != RM_DRAFT) &&
	       (!e->cfg.only || e->cfg.only[rule]);
}

/* All rows of the batch through a rule. */
void run_rule(struct rule_state *s, struct batch *b);
/* Steps that are over at @clock are looked at. */
void advance_to(struct rule_state *s, uint64_t clock);

/* How a group stands at @now. */
void alert_look(struct rule_state *s, uint32_t slot, uint64_t now);
/* It goes: an alert of it is resolved. */
void alert_evict(struct rule_state *s, struct watch *w, uint64_t now);
/* If it fires, that is said again. */
void alert_retell(struct rule_state *s, const struct watch *w);
/* The watch of a group, made if there is none; NULL: no memory. */
struct watch *watch_get(struct rule_state *s, uint32_t slot);
void watch_free(struct rule_state *s, struct watch *w);

static inline struct watch *watch_of(const struct rule_state *s, const struct group *g)
{
	return g->watch ? s->watches[g->watch - 1] : NULL;
}

/* Can it hold at all? */
static inline bool groups_near(const struct rule_state *s, const struct group *g)
{
	if (!s->gated)
		return true;
	if (s->gate_total)
		return g->cells[s->leaf_at[s->gate]] >= s->gate_total;
	return groups_leaf(s, g, s->gate) >= s->gate_value;
}

/* joins.c */
int joins_new(struct engine *e);
void joins_free(struct engine *e);
void joins_alert(struct engine *e, const struct alert *a);
void joins_advance(struct engine *e, uint64_t now);
/* What rule @k of @from has gathered is that of rule @i. */
void joins_adopt(struct engine *e, uint32_t i, struct engine *from, uint32_t k);
void joins_retell(struct engine *e);

#endif
