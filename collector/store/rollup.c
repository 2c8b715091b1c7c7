// SPDX-License-Identifier: Apache-2.0
/*
 * rollup.c - open windows and what is added to them; see rollup.h. Saving is in rollup_save.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/rollup_int.h"

const uint32_t rollup_span[_RL_MAX] = {
	[RL_1M] = 60, [RL_HOST] = 300, [RL_5M] = 300, [RL_1H] = 3600};

#define DIMS_MAX  (1u << 20)
#define HOSTS_MAX (1u << 19)
#define PAIRS_MAX (1u << 20)
#define NAMES_MAX (1u << 18)
#define AHEAD	  8u  /* rows whose entries are on their way from memory */
#define PEERS	  64u /* registers of a host's sketch, an octet each */

struct rollup *rollup_new(struct store *s)
{
	struct rollup *r = calloc(1, sizeof(*r));

	if (r) {
		r->s = s;
		pthread_mutex_init(&r->lock, NULL);
	}
	return r;
}

static void window_free(struct window *w)
{
	for (unsigned int i = 0; i < WINDOW_SUMS; i++)
		sums_done(&w->sums[i]);
	free(w->text);
	free(w);
}

struct rollup *rollup_free(struct rollup *r)
{
	if (!r)
		return NULL;
	while (r->windows)
		rollup_remove(r, r->windows);
	pthread_mutex_destroy(&r->lock);
	free(r);
	return NULL;
}

void rollup_remove(struct rollup *r, struct window *w)
{
	struct window **at = &r->windows;

	pthread_mutex_lock(&r->lock);
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	r->changed = true;
	pthread_mutex_unlock(&r->lock);
	memset(r->last, 0, sizeof(r->last));
	window_free(w);
}

struct window *rollup_window(struct rollup *r, enum rollup_level level, int64_t ts, uint32_t batch)
{
	struct window *w;

	for (w = r->windows; w; w = w->next) {
		if (w->level == level && w->ts == ts)
			return w;
	}
	if (!batch)
		return NULL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->level = level;
	w->ts = ts;
	w->from_batch = batch;
	if (level == RL_HOST) {
		sums_init(&w->sums[WS_HOST], 2, PEERS / 8, HOSTS_MAX);
		sums_init(&w->sums[WS_PAIR], 4, 0, PAIRS_MAX);
		sums_init(&w->sums[WS_NAME], 2, 1, NAMES_MAX);
	} else {
		sums_init(&w->sums[WS_DIMS], 2, 0, DIMS_MAX);
	}
	pthread_mutex_lock(&r->lock);
	w->next = r->windows;
	r->windows = w;
	r->changed = true;
	pthread_mutex_unlock(&r->lock);
	return w;
}

uint32_t rollup_open_windows(struct rollup *r, struct rollup_open *to, uint32_t max)
{
	uint32_t n = 0;

	pthread_mutex_lock(&r->lock);
	for (struct window *w = r->windows; w && n < max; w = w->next)
		to[n++] = (struct rollup_open){
			.level = w->level, .ts = w->ts, .from_batch = w->from_batch};
	pthread_mutex_unlock(&r->lock);
	return n;
}

/* ---- adding ---- */

static uint64_t number_or(const struct block *b, enum block_column c, uint32_t row, uint64_t absent)
{
	if (!block_is_valid(b, c, row))
		return absent;
	switch (block_columns[c].size) {
	case 1:
		return BLOCK_COLUMN(b, uint8_t, c)[row];
	case 2:
		return BLOCK_COLUMN(b, uint16_t, c)[row];
	case 4:
		return BLOCK_COLUMN(b, uint32_t, c)[row];
	default:
		return BLOCK_COLUMN(b, uint64_t, c)[row];
	}
}

static void read_counts(const struct block *b, uint32_t row, struct rollup_counts *c)
{
	uint64_t rate = number_or(b, BC_SAMPLING, row, 1);

	c->flows = 1;
	c->out_packets = number_or(b, BC_OUT_PACKETS, row, 0);
	c->out_bytes = number_or(b, BC_OUT_BYTES, row, 0);
	c->in_packets = number_or(b, BC_IN_PACKETS, row, 0);
	c->in_bytes = number_or(b, BC_IN_BYTES, row, 0);
	rate += rate == 0; /* unknown */
	c->est_packets = (c->out_packets + c->in_packets) * rate;
	c->est_bytes = (c->out_bytes + c->in_bytes) * rate;
}

/* As SQL_SERVICE() of source.h. */
static uint64_t service(const struct block *b, uint32_t row)
{
	uint64_t src = number_or(b, BC_SRC_PORT, row, UINT64_MAX);
	uint64_t port = number_or(b, BC_DST_PORT, row, UINT64_MAX);

	if (!block_is_valid(b, BC_IN_PACKETS, row) && src < port)
		port = src;
	return number_or(b, BC_PROTO, row, 256) << 16 | (port == UINT64_MAX ? 0 : port);
}

static void add_dim(struct window *w, enum rollup_dim dim, uint64_t key,
		    const struct rollup_counts *c)
{
	uint64_t k[2] = {dim, key};

	counts_add(sums_at(&w->sums[WS_DIMS], k, sums_hash(k, 2)), c);
}

static void add_dims(struct window *w, const struct block *b, uint32_t row,
		     const struct rollup_counts *c)
{
	uint64_t src, dst;

	add_dim(w, RD_INTERFACE,
		number_or(b, BC_EXPORTER, row, 0) << 32 | number_or(b, BC_IN_IF, row, 0), c);
	add_dim(w, RD_SERVICE, service(b, row), c);
	src = number_or(b, BC_SRC_ZONE, row, 0);
	dst = number_or(b, BC_DST_ZONE, row, 0);
	if (src | dst)
		add_dim(w, RD_ZONE, src << 16 | dst, c);
}

/* A row's keys and their hashes, computed some rows ahead. */
struct keys {
	uint64_t pair[4];
	uint64_t hash_src, hash_dst, hash_pair;
	uint64_t name[2], hash_name;
	struct flow_str text;
};

static bool get_name(const struct block *b, uint32_t row, struct flow_str *ret)
{
	static const enum block_column names[] = {BC_TLS_SNI, BC_HTTP_HOST, BC_DNS_QNAME};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct block_str *s;

		if (!block_is_used(b, names[i]) || !block_is_valid(b, names[i], row))
			continue;
		s = BLOCK_COLUMN(b, struct block_str, names[i]) + row;
		*ret = (struct flow_str){.s = b->text + s->at, .len = s->len};
		return true;
	}
	return false;
}

static void get_keys(const struct window *w, const struct block *b, uint32_t row, struct keys *k)
{
	k->pair[0] = number_or(b, BC_SRC_HI, row, 0);
	k->pair[1] = number_or(b, BC_SRC_LO, row, 0);
	k->pair[2] = number_or(b, BC_DST_HI, row, 0);
	k->pair[3] = number_or(b, BC_DST_LO, row, 0);
	k->hash_src = sums_hash(k->pair, 2);
	k->hash_dst = sums_hash(k->pair + 2, 2);
	k->hash_pair = sums_hash(k->pair, 4);
	sums_prefetch(&w->sums[WS_HOST], k->hash_src);
	sums_prefetch(&w->sums[WS_HOST], k->hash_dst);
	sums_prefetch(&w->sums[WS_PAIR], k->hash_pair);
	k->text.s = NULL;
	if (get_name(b, row, &k->text)) {
		k->name[0] = sums_hash_text(k->text.s, k->text.len, 1);
		k->name[1] = sums_hash_text(k->text.s, k->text.len, UINT64_C(0x5bd1e9955bd1e995));
		k->hash_name = sums_hash(k->name, 2);
		sums_prefetch(&w->sums[WS_NAME], k->hash_name);
	}
}

/* HyperLogLog: the register of a peer keeps the longest run of zeros that was seen. */
static void add_peer(struct sums *s, struct rollup_counts *c, uint64_t hash)
{
	uint8_t *reg, run;

	if (sums_is_other(s, c))
		return;
	reg = (uint8_t *)sums_extra(c) + (hash >> 58);
	run = (uint8_t)(__builtin_ctzll(hash | UINT64_C(1) << 57) + 1);
	if (run > *reg)
		*reg = run;
}

/* Place of the text among the window's; 0: no memory. */
static uint64_t keep_text(struct window *w, const struct flow_str *t)
{
	if (w->text_cap - w->text_len < t->len) {
		uint32_t cap = w->text_cap ? w->text_cap * 2 : 65536;
		char *text;

		if (cap > TEXT_MAX)
			return 0;
		text = realloc(w->text, cap);
		if (!text)
			return 0;
		w->text = text;
		w->text_cap = cap;
		if (cap - w->text_len < t->len)
			return 0;
	}
	memcpy(w->text + w->text_len, t->s, t->len);
	w->text_len += t->len;
	return (uint64_t)(w->text_len - t->len + 1) << 16 | t->len;
}

static void add_name(struct window *w, const struct keys *k, const struct rollup_counts *c)
{
	struct sums *s = &w->sums[WS_NAME];
	struct rollup_counts *to;

	to = sums_at(s, k->name, k->hash_name);
	if (!to->flows && !sums_is_other(s, to))
		*sums_extra(to) = keep_text(w, &k->text);
	counts_add(to, c);
}

static void add_hosts(struct window *w, const struct keys *k, const struct rollup_counts *c)
{
	struct rollup_counts back = *c, *to;
	struct sums *hosts = &w->sums[WS_HOST];

	to = sums_at(hosts, k->pair, k->hash_src);
	counts_add(to, c);
	add_peer(hosts, to, k->hash_dst);
	back.out_packets = c->in_packets;
	back.out_bytes = c->in_bytes;
	back.in_packets = c->out_packets;
	back.in_bytes = c->out_bytes;
	to = sums_at(hosts, k->pair + 2, k->hash_dst);
	counts_add(to, &back);
	add_peer(hosts, to, k->hash_src);
	counts_add(sums_at(&w->sums[WS_PAIR], k->pair, k->hash_pair), c);
	if (k->text.s)
		add_name(w, k, c);
}

/* The window of a row; NULL: it is not wanted there. */
static struct window *window_of(struct rollup *r, const struct adding *a, enum rollup_level level,
				uint32_t row)
{
	int64_t end = BLOCK_COLUMN(a->b, int64_t, BC_END)[row] / 1000000;
	int64_t ts = end - end % rollup_span[level];
	struct window *w = r->last[level];

	if (!w || w->ts != ts) {
		w = rollup_window(r, level, ts, a->ids ? 0 : a->batch);
		r->last[level] = w;
	}
	if (w && a->ids && a->ids[row] < BATCH_ROW(w->from_batch))
		return NULL;
	if (w)
		w->touched_ms = a->now_ms;
	return w;
}

void rollup_add_rows(struct rollup *r, const struct adding *a)
{
	const struct block *b = a->b;
	struct keys ring[AHEAD];
	struct rollup_counts c;

	for (uint32_t row = 0; row < b->rows + AHEAD; row++) {
		struct window *w;

		if (row >= AHEAD) {
			w = window_of(r, a, RL_HOST, row - AHEAD);
			read_counts(b, row - AHEAD, &c);
			if (w)
				add_hosts(w, &ring[row % AHEAD], &c);
		}
		if (row >= b->rows)
			continue;
		w = window_of(r, a, RL_HOST, row);
		if (w)
			get_keys(w, b, row, &ring[row % AHEAD]);
		w = window_of(r, a, RL_1M, row);
		read_counts(b, row, &c);
		if (w)
			add_dims(w, b, row, &c);
	}
}

void rollup_add(struct rollup *r, const struct block *b, uint32_t batch)
{
	rollup_add_rows(r, &(struct adding){.b = b, .batch = batch, .now_ms = store_now_ms()});
}
