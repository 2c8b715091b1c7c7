// SPDX-License-Identifier: Apache-2.0
#include "collector/enrich/block_facts.h"

#include <endian.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/enrich/address_hash.h"
#include "collector/store/store.h"
#include "common/answer_text.h"

#define KNOWN 32768u /* addresses a thread remembers; a line of the cache each */
#define AHEAD 64u    /* rows whose places are fetched before they are looked at */
#define AGAIN_US \
	INT64_C(1000000)     /* an address's name is learnt so often at most, by the flows' time */
#define TOLD	      65536u /* autonomous systems whose names the store was told */
#define TTL_MAX_S     86400u /* as resolvers do, RFC 8767 section 4 */
#define SECOND_US     INT64_C(1000000)
#define NEXT_RECORD_S 90 /* a flow that goes on has another record by then, mostly */

struct known {
	uint64_t hi, lo; /* both 0: nothing is here */
	uint32_t as;
	uint16_t country, zone;
	const char *site_name;
	int64_t learnt_us;     /* when a name of it was learnt */
	uint32_t block;	       /* the one whose text `name` is in */
	struct block_str name; /* len 0: it has none */
	uint32_t since_s;      /* of flows from here to there */
	uint32_t until_s;
	uint8_t from; /* enum flow_named */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct known) == 64, "a line of the cache");

/* One is in use by each thread that fills a block. */
struct cache {
	uint64_t generation, key;
	uint32_t block; /* number of the block at hand */
	struct cache *next;
	struct known v[KNOWN];
};

struct told {
	uint32_t as;
	uint32_t text; /* hash of the name */
};

struct block_facts {
	struct block_facts_cfg cfg;
	struct learn *learn;
	pthread_mutex_t lock;
	struct cache *free;
	struct told *told;
	int64_t keep_us; /* atomic */
};

struct block_facts *block_facts_new(const struct block_facts_cfg *cfg)
{
	struct block_facts *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->cfg = *cfg;
	f->keep_us = cfg->keep_us;
	f->told = calloc(TOLD, sizeof(*f->told));
	if (cfg->names)
		f->learn = learn_new(cfg->names);
	pthread_mutex_init(&f->lock, NULL);
	if (f->told && (f->learn || !cfg->names))
		return f;
	block_facts_free(f);
	return NULL;
}

void block_facts_free(struct block_facts *f)
{
	if (!f)
		return;
	while (f->free) {
		struct cache *next = f->free->next;

		free(f->free);
		f->free = next;
	}
	learn_free(f->learn);
	free(f->told);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static struct cache *take_cache(struct block_facts *f, uint64_t generation)
{
	struct cache *c;

	pthread_mutex_lock(&f->lock);
	c = f->free;
	if (c)
		f->free = c->next;
	pthread_mutex_unlock(&f->lock);
	if (!c) {
		c = aligned_alloc(_Alignof(struct cache), sizeof(*c));
		if (!c)
			return NULL;
		memset(c, 0, sizeof(*c));
	}
	/* numbers of blocks begin with 1, and once in a long while again */
	if (c->generation != generation || !++c->block) {
		memset(c, 0, sizeof(*c));
		c->generation = generation;
		c->key = address_hash_key();
		c->block = 1;
	}
	return c;
}

static void give_cache(struct block_facts *f, struct cache *c)
{
	pthread_mutex_lock(&f->lock);
	c->next = f->free;
	f->free = c;
	pthread_mutex_unlock(&f->lock);
}

/* FNV-1a */
static uint32_t hash_of(const char *s, uint32_t len)
{
	uint32_t h = 2166136261u;

	for (uint32_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)s[i]) * 16777619u;
	return h;
}

/* The store keeps names by number: each is told once, and when it changes. */
static void tell_as(void *arg, uint32_t number, const char *name, uint32_t len)
{
	struct block_facts *f = arg;
	const uint32_t text = hash_of(name, len);
	struct told *t = &f->told[(number * 2654435761u) >> 16];

	pthread_mutex_lock(&f->lock);
	if (t->as != number || t->text != text) {
		/* without memory it is told another time */
		if (!store_as(f->cfg.store, number, (struct flow_str){name, len}))
			*t = (struct told){number, text};
	}
	pthread_mutex_unlock(&f->lock);
}

/* ---- one block ---- */

struct work {
	struct block_facts *f;
	struct cache *c;
	struct block *b;
	int64_t now_us, keep_us;
	bool any;
};

struct side {
	uint8_t hi, as, country, zone, name, named; /* enum block_column */
};

static const struct side sides[2] = {
	{BC_SRC_HI, BC_SRC_AS, BC_SRC_COUNTRY, BC_SRC_ZONE, BC_SRC_NAME, BC_SRC_NAMED},
	{BC_DST_HI, BC_DST_AS, BC_DST_COUNTRY, BC_DST_ZONE, BC_DST_NAME, BC_DST_NAMED},
};

/*
 * Places of the addresses of up to AHEAD rows from @row on, that begin to be fetched at once: they are all
 * over a table larger than the caches, and one after the other each would be waited for.
 * Return: how many rows.
 */
static uint32_t places(const struct work *w, enum block_column c, uint32_t row,
		       struct known *ret[static AHEAD])
{
	const uint64_t *hi = BLOCK_COLUMN(w->b, uint64_t, c) + row;
	const uint64_t *lo = BLOCK_COLUMN(w->b, uint64_t, c + 1) + row;
	const uint32_t n = w->b->rows - row < AHEAD ? w->b->rows - row : AHEAD;

	_Static_assert(KNOWN == 1u << (64 - 49), "bits of the hash");
	for (uint32_t i = 0; i < n; i++) {
		ret[i] = &w->c->v[address_hash(hi[i], lo[i], w->c->key) >> 49];
		__builtin_prefetch(ret[i], 1);
	}
	return n;
}

/* Addresses that are to be looked up, and the places they will have. */
struct missing {
	uint32_t n;
	struct known *k[AHEAD];
	struct facts f[AHEAD];
	uint64_t hi[AHEAD], lo[AHEAD];
};

static void miss(struct missing *m, struct known *k, uint64_t hi, uint64_t lo)
{
	const uint64_t half[2] = {htobe64(hi), htobe64(lo)};

	m->k[m->n] = k;
	m->hi[m->n] = hi;
	m->lo[m->n] = lo;
	m->f[m->n] = (struct facts){0};
	memcpy(m->f[m->n].ip, half, sizeof(half));
	m->n++;
}

static void find_missing(const struct work *w, struct missing *m)
{
	const struct facts_sink to = {tell_as, w->f};

	if (w->any && m->n)
		w->f->cfg.find(w->f->cfg.arg, m->f, m->n, &to);
	for (uint32_t i = 0; i < m->n; i++)
		*m->k[i] = (struct known){.hi = m->hi[i],
					  .lo = m->lo[i],
					  .as = m->f[i].as,
					  .country = m->f[i].country,
					  .zone = m->f[i].zone,
					  .site_name = m->f[i].name};
}

static bool is_known(const struct known *k, uint64_t hi, uint64_t lo)
{
	return k->hi == hi && k->lo == lo;
}

/* @k, the place of an address, is that address's. */
static struct known *look(const struct work *w, struct known *k, uint64_t hi, uint64_t lo)
{
	struct missing m;

	if (is_known(k, hi, lo))
		return k;
	m.n = 0;
	miss(&m, k, hi, lo);
	find_missing(w, &m);
	return k;
}

/*
 * The same for @rows (bits), of those from @row on, all at once. Of two that have the same place the last
 * one has it.
 */
static void look_all(const struct work *w, enum block_column c, uint32_t row, uint64_t rows,
		     struct known *const *k)
{
	const uint64_t *hi = BLOCK_COLUMN(w->b, uint64_t, c) + row;
	const uint64_t *lo = BLOCK_COLUMN(w->b, uint64_t, c + 1) + row;
	struct missing m;

	m.n = 0;
	for (; rows; rows &= rows - 1) {
		const uint32_t i = (uint32_t)__builtin_ctzll(rows);

		if (!is_known(k[i], hi[i], lo[i]))
			miss(&m, k[i], hi[i], lo[i]);
	}
	find_missing(w, &m);
}

static int64_t end_of(const struct work *w, uint32_t row)
{
	const int64_t us = BLOCK_COLUMN(w->b, int64_t, BC_END)[row];

	/* a clock that runs ahead must not hold a place for ever */
	return us < w->now_us ? us : w->now_us;
}

static int64_t start_of(const struct work *w, uint32_t row)
{
	const int64_t end = end_of(w, row);
	int64_t us;

	if (!block_is_used(w->b, BC_START) || !block_is_valid(w->b, BC_START, row))
		return end;
	us = BLOCK_COLUMN(w->b, int64_t, BC_START)[row];
	return us < end ? us : end;
}

/* Its name, of the list or learnt, into the block's texts; once a block. */
static void find_name(const struct work *w, struct known *k)
{
	const char *name = k->site_name;
	uint32_t len = name ? (uint32_t)strlen(name) : 0;
	struct learnt l; /* its text need not be set to 0 */

	l.since_s = 0;
	l.until_s = UINT32_MAX;
	l.from = FLOW_NAMED_SITE;
	k->block = w->c->block;
	k->name.len = 0;
	if (!name && w->f->learn) {
		len = learn_find(w->f->learn, (struct learn_ip){k->hi, k->lo}, w->keep_us, &l);
		name = l.text;
	}
	k->from = l.from;
	k->since_s = l.since_s;
	k->until_s = l.until_s;
	/* without room in the arena the flow goes without the name */
	if (len && block_text(w->b, name, len, &k->name))
		k->name.len = 0;
}

/* Does the name hold for this flow? */
static bool holds(const struct work *w, uint32_t row, struct known *k)
{
	const int64_t end_s = end_of(w, row) / SECOND_US;

	if (k->from == FLOW_NAMED_SITE)
		return true;
	if (end_s < k->since_s || start_of(w, row) / SECOND_US > k->until_s)
		return false;
	if (k->from == FLOW_NAMED_DNS && end_s + NEXT_RECORD_S > k->until_s) {
		const uint32_t until_s =
			learn_extend(w->f->learn, (struct learn_ip){k->hi, k->lo}, end_of(w, row));

		k->until_s = until_s > k->until_s ? until_s : k->until_s;
	}
	return true;
}

static void add_name(const struct work *w, uint32_t row, struct known *k, const struct side *s)
{
	struct block *b = w->b;

	if (block_is_valid(b, s->name, row))
		return;
	/* what the flow itself asked for is its name: it need not be there twice */
	if (!k->site_name && s->name == BC_DST_NAME && block_is_valid(b, BC_TLS_SNI, row))
		return;
	if (k->block != w->c->block)
		find_name(w, k);
	if (!k->name.len || !holds(w, row, k))
		return;
	BLOCK_COLUMN(b, struct block_str, s->name)[row] = k->name;
	block_set_valid(b, s->name, row);
	BLOCK_COLUMN(b, uint8_t, s->named)[row] = k->from;
	block_set_valid(b, s->named, row);
}

/* Those that will be asked for begin to be fetched. */
static void fetch_names(const struct work *w, const struct side *s, uint32_t row,
			struct known *const *k)
{
	uint64_t rows = w->b->valid[s->hi][row / 64] & ~w->b->valid[s->name][row / 64];

	if (s->name == BC_DST_NAME)
		rows &= ~w->b->valid[BC_TLS_SNI][row / 64];
	for (; w->f->learn && rows; rows &= rows - 1) {
		const struct known *of = k[__builtin_ctzll(rows)];

		if (of->block != w->c->block && !of->site_name)
			learn_fetch(w->f->learn, (struct learn_ip){of->hi, of->lo});
	}
}

static void add_row(const struct work *w, uint32_t row, struct known *k, const struct side *s)
{
	struct block *b = w->b;

	if (!block_is_valid(b, s->hi, row))
		return;
	k = look(w, k, BLOCK_COLUMN(b, uint64_t, s->hi)[row],
		 BLOCK_COLUMN(b, uint64_t, s->hi + 1)[row]);
	if (k->as && !block_is_valid(b, s->as, row)) {
		BLOCK_COLUMN(b, uint32_t, s->as)[row] = k->as;
		block_set_valid(b, s->as, row);
	}
	if (k->country) {
		BLOCK_COLUMN(b, uint16_t, s->country)[row] = k->country;
		block_set_valid(b, s->country, row);
	}
	if (k->zone) {
		BLOCK_COLUMN(b, uint16_t, s->zone)[row] = k->zone;
		block_set_valid(b, s->zone, row);
	}
	add_name(w, row, k, s);
}

/* ---- learning ---- */

static bool is_other(char c)
{
	return (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/*
 * A host's name in lower case without the port, or 0: it is none (RFC 1123 section 2.1), or an
 * address. Hosts are what a client says: what is no name must not become one.
 */
static uint32_t host_name(const char *s, uint32_t len, char *ret)
{
	uint32_t n = 0;
	bool letter = false;

	for (; n < len && n < LEARN_NAME && s[n] != ':'; n++) {
		const char c = s[n] >= 'A' && s[n] <= 'Z' ? (char)(s[n] | 0x20) : s[n];
		const bool is_letter = c >= 'a' && c <= 'z';

		if (!is_letter && !is_other(c))
			return 0;
		letter |= is_letter;
		ret[n] = c;
	}
	return letter && (n == len || s[n] == ':') ? n : 0;
}

/* Has a name of @k's address been learnt just now? */
static bool is_learnt(const struct known *k, uint64_t hi, uint64_t lo, int64_t us)
{
	return is_known(k, hi, lo) && us - k->learnt_us < AGAIN_US && us >= k->learnt_us;
}

static void learn_row(const struct work *w, uint32_t row, struct known *k, enum block_column c)
{
	struct block *b = w->b;
	const struct block_str *s = &BLOCK_COLUMN(b, struct block_str, c)[row];
	const uint64_t hi = BLOCK_COLUMN(b, uint64_t, BC_DST_HI)[row];
	const uint64_t lo = BLOCK_COLUMN(b, uint64_t, BC_DST_LO)[row];
	struct learn_name one = {.from = c == BC_TLS_SNI ? FLOW_NAMED_SNI : FLOW_NAMED_HOST,
				 .us = end_of(w, row)};
	char name[LEARN_NAME];

	if (is_learnt(k, hi, lo, one.us))
		return;
	k = look(w, k, hi, lo);
	k->learnt_us = one.us;
	one.text = name;
	one.len = host_name(b->text + s->at, s->len, name);
	if (one.len)
		learn_put(w->f->learn, (struct learn_ip){hi, lo}, &one);
}

/* Rows of @n from @row on that have a name to learn: as bits; their places begin to be fetched. */
static uint64_t to_learn(const struct work *w, enum block_column c, uint32_t row, uint32_t n,
			 struct known *const *k)
{
	const uint64_t *hi = BLOCK_COLUMN(w->b, uint64_t, BC_DST_HI) + row;
	const uint64_t *lo = BLOCK_COLUMN(w->b, uint64_t, BC_DST_LO) + row;
	uint64_t rows = w->b->valid[c][row / 64] & w->b->valid[BC_DST_HI][row / 64];

	_Static_assert(AHEAD == 64, "bits of a word");
	for (uint32_t i = 0; i < n; i++) {
		if (!(rows >> i & 1))
			continue;
		if (is_learnt(k[i], hi[i], lo[i], end_of(w, row + i)))
			rows &= ~(UINT64_C(1) << i);
		else
			learn_fetch(w->f->learn, (struct learn_ip){hi[i], lo[i]});
	}
	look_all(w, BC_DST_HI, row, rows, k);
	return rows;
}

static void learn_names(const struct work *w, enum block_column c)
{
	struct known *k[AHEAD];

	for (uint32_t row = 0; row < w->b->rows; row += AHEAD) {
		const uint32_t n = places(w, BC_DST_HI, row, k);
		uint64_t rows = to_learn(w, c, row, n, k);

		for (; rows; rows &= rows - 1) {
			const uint32_t at = (uint32_t)__builtin_ctzll(rows);

			learn_row(w, row + at, k[at], c);
		}
	}
}

/* An address that stands for no host: what a filtering resolver answers instead. RFC 6890. */
static bool is_no_host(const uint8_t ip[static 16])
{
	static const uint8_t none[15], mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (!memcmp(ip, mapped, sizeof(mapped)))
		return !ip[12] || ip[12] == 127 || ip[12] >= 224;
	return ip[0] == 0xff || (!memcmp(ip, none, sizeof(none)) && ip[15] <= 1);
}

static void learn_answer(const struct work *w, uint32_t row, struct flow_str text)
{
	struct answer a;
	struct learn_name one = {.from = FLOW_NAMED_DNS, .us = start_of(w, row)};
	uint64_t half[2];
	char name[LEARN_NAME];

	if (answer_parse(text, &a) || is_no_host(a.ip))
		return;
	one.text = name;
	one.len = host_name(a.name.s, a.name.len, name);
	/* it came some time while the record was made */
	one.hold_s = (uint32_t)((end_of(w, row) - one.us) / SECOND_US) +
		     (a.ttl < TTL_MAX_S ? a.ttl : TTL_MAX_S);
	memcpy(half, a.ip, sizeof(half));
	if (one.len)
		learn_put(w->f->learn, (struct learn_ip){be64toh(half[0]), be64toh(half[1])}, &one);
}

static void learn_answers(const struct work *w)
{
	const struct block_str *s = BLOCK_COLUMN(w->b, struct block_str, BC_DNS_ANSWERS);
	const uint64_t *valid = w->b->valid[BC_DNS_ANSWERS];
	struct flow_str v[FLOW_ANSWERS_MAX];

	for (uint32_t word = 0; word * 64 < w->b->rows; word++) {
		for (uint64_t rows = valid[word]; rows; rows &= rows - 1) {
			const uint32_t row = word * 64 + (uint32_t)__builtin_ctzll(rows);
			const uint32_t n =
				block_list(w->b->text + s[row].at, s[row].len, v, FLOW_ANSWERS_MAX);

			for (uint32_t i = 0; i < n; i++)
				learn_answer(w, row, v[i]);
		}
	}
}

static void learn_block(const struct work *w)
{
	static const uint8_t names[] = {BC_TLS_SNI, BC_HTTP_HOST};

	if (block_is_used(w->b, BC_DNS_ANSWERS))
		learn_answers(w);
	for (unsigned int i = 0; i < sizeof(names); i++)
		if (block_is_used(w->b, names[i]) && block_is_used(w->b, BC_DST_HI))
			learn_names(w, names[i]);
}

static void add_side(const struct work *w, const struct side *s)
{
	struct known *k[AHEAD];

	for (uint32_t row = 0, n; block_is_used(w->b, s->hi) && row < w->b->rows; row += n) {
		n = places(w, s->hi, row, k);
		look_all(w, s->hi, row, w->b->valid[s->hi][row / 64], k);
		fetch_names(w, s, row, k);
		for (uint32_t at = 0; at < n; at++)
			add_row(w, row + at, k[at], s);
	}
}

void block_facts_add(struct block_facts *f, struct block *b, uint64_t generation, bool any)
{
	struct work w = {.f = f, .b = b, .any = any};
	struct timespec ts;

	if (!f || (!any && !f->learn) || !b->rows)
		return;
	w.c = take_cache(f, generation);
	if (!w.c)
		return;
	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	w.now_us = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
	w.keep_us = __atomic_load_n(&f->keep_us, __ATOMIC_RELAXED);
	if (f->learn)
		learn_block(&w);
	for (unsigned int side = 0; side < 2; side++)
		add_side(&w, &sides[side]);
	give_cache(f, w.c);
}

void block_facts_set_keep(struct block_facts *f, int64_t keep_us)
{
	__atomic_store_n(&f->keep_us, keep_us, __ATOMIC_RELAXED);
}

void block_facts_names(const struct block_facts *f, struct learn_stats *ret)
{
	*ret = (struct learn_stats){0};
	if (f->learn)
		learn_stats(f->learn, ret);
}
