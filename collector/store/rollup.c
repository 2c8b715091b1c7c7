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
#define HOSTS_MAX (1u << 18)
#define PAIRS_MAX (1u << 19)
#define NAMES_MAX (1u << 17)
#define AHEAD	  8u /* rows whose places are on their way from memory */
#define PEERS	  4u /* words of a host's sketch: 64 registers of 4 bits */

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

static struct window **bucket_of(struct rollup *r, enum rollup_level level, int64_t ts)
{
	return &r->bucket[((uint64_t)ts / rollup_span[level] * _RL_MAX + level) % WINDOW_BUCKETS];
}

void rollup_remove(struct rollup *r, struct window *w)
{
	struct window **at = bucket_of(r, w->level, w->ts);

	while (*at != w)
		at = &(*at)->same;
	*at = w->same;
	at = &r->windows;

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
	struct window **bucket = bucket_of(r, level, ts), *w;

	for (w = *bucket; w; w = w->same) {
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
		sums_init(&w->sums[WS_HOST], 2, PEERS, HOSTS_MAX);
		sums_init(&w->sums[WS_PAIR], 4, 0, PAIRS_MAX);
		sums_init(&w->sums[WS_NAME], 2, 1, NAMES_MAX);
	} else {
		sums_init(&w->sums[WS_DIMS], 2, 0, DIMS_MAX);
	}
	w->same = *bucket;
	*bucket = w;
	pthread_mutex_lock(&r->lock);
	w->next = r->windows;
	r->windows = w;
	r->changed = true;
	pthread_mutex_unlock(&r->lock);
	return w;
}

bool rollup_open(struct rollup *r, uint32_t levels, int64_t *ret_from_s, int64_t *ret_to_s)
{
	int64_t from = INT64_MAX, to = INT64_MIN, end;

	pthread_mutex_lock(&r->lock);
	for (const struct window *w = r->windows; w; w = w->next) {
		if (!(levels >> w->level & 1))
			continue;
		end = w->ts + rollup_span[w->level];
		from = w->ts < from ? w->ts : from;
		to = end > to ? end : to;
	}
	pthread_mutex_unlock(&r->lock);
	*ret_from_s = from;
	*ret_to_s = to;
	return from < to;
}

/* ---- adding ---- */

/* Columns of some rows as numbers, absent ones too: what is computed row by row reads these. */
#define SOME 1024u

struct numbers {
	uint64_t out_packets[SOME], out_bytes[SOME], in_packets[SOME], in_bytes[SOME], rate[SOME];
	uint64_t iface[SOME], service[SOME], zone[SOME];
	uint64_t src_hi[SOME], src_lo[SOME], dst_hi[SOME], dst_lo[SOME];
};

#define NUMBERS_LOOP(type)                                                         \
	for (uint32_t i = 0; i < n; i++) {                                         \
		uint64_t has = -(valid[(from + i) / 64] >> ((from + i) % 64) & 1); \
                                                                                   \
		to[i] = ((const type *)b->data[c])[from + i] & has;                \
		to[i] |= absent & ~has;                                            \
	}

static void read_numbers(const struct block *b, enum block_column c, uint32_t from, uint32_t n,
			 uint64_t *to)
{
	const uint64_t *valid = b->valid[c];
	uint64_t absent = c == BC_SAMPLING ? 1 : c == BC_PROTO ? 256 : 0;

	if (!block_is_used(b, c)) {
		for (uint32_t i = 0; i < n; i++)
			to[i] = absent;
		return;
	}
	switch (block_columns[c].size) {
	case 1:
		NUMBERS_LOOP(uint8_t)
		break;
	case 2:
		NUMBERS_LOOP(uint16_t)
		break;
	case 4:
		NUMBERS_LOOP(uint32_t)
		break;
	default:
		NUMBERS_LOOP(uint64_t)
		break;
	}
}

/* As SQL_SERVICE() of source.h. */
static void read_services(const struct block *b, uint32_t from, uint32_t n, struct numbers *v)
{
	uint64_t src[SOME], dst[SOME];

	read_numbers(b, BC_PROTO, from, n, v->service);
	read_numbers(b, BC_SRC_PORT, from, n, src);
	read_numbers(b, BC_DST_PORT, from, n, dst);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t row = from + i;
		bool lower = !block_is_valid(b, BC_IN_PACKETS, row) &&
			     block_is_valid(b, BC_SRC_PORT, row) &&
			     (src[i] < dst[i] || !block_is_valid(b, BC_DST_PORT, row));

		v->service[i] = v->service[i] << 16 | (lower ? src[i] : dst[i]);
	}
}

static void read_all(const struct block *b, uint32_t from, uint32_t n, struct numbers *v)
{
	uint64_t low[SOME];

	read_numbers(b, BC_OUT_PACKETS, from, n, v->out_packets);
	read_numbers(b, BC_OUT_BYTES, from, n, v->out_bytes);
	read_numbers(b, BC_IN_PACKETS, from, n, v->in_packets);
	read_numbers(b, BC_IN_BYTES, from, n, v->in_bytes);
	read_numbers(b, BC_SAMPLING, from, n, v->rate);
	read_numbers(b, BC_SRC_HI, from, n, v->src_hi);
	read_numbers(b, BC_SRC_LO, from, n, v->src_lo);
	read_numbers(b, BC_DST_HI, from, n, v->dst_hi);
	read_numbers(b, BC_DST_LO, from, n, v->dst_lo);
	read_services(b, from, n, v);
	read_numbers(b, BC_EXPORTER, from, n, v->iface);
	read_numbers(b, BC_IN_IF, from, n, low);
	for (uint32_t i = 0; i < n; i++)
		v->iface[i] = v->iface[i] << 32 | low[i];
	read_numbers(b, BC_SRC_ZONE, from, n, v->zone);
	read_numbers(b, BC_DST_ZONE, from, n, low);
	for (uint32_t i = 0; i < n; i++)
		v->zone[i] = v->zone[i] << 16 | low[i];
}

static void read_counts(const struct numbers *v, uint32_t i, struct rollup_counts *c)
{
	uint64_t rate = v->rate[i] + (v->rate[i] == 0); /* unknown */

	c->flows = 1;
	c->out_packets = v->out_packets[i];
	c->out_bytes = v->out_bytes[i];
	c->in_packets = v->in_packets[i];
	c->in_bytes = v->in_bytes[i];
	c->est_packets = (c->out_packets + c->in_packets) * rate;
	c->est_bytes = (c->out_bytes + c->in_bytes) * rate;
}

static void add_dim(struct window *w, enum rollup_dim dim, uint64_t key,
		    const struct rollup_counts *c)
{
	uint64_t k[2] = {dim, key};

	counts_add(sums_at(&w->sums[WS_DIMS], k, sums_hash(k, 2)), c);
}

static void add_dims(struct window *w, const struct numbers *v, uint32_t i,
		     const struct rollup_counts *c)
{
	add_dim(w, RD_INTERFACE, v->iface[i], c);
	add_dim(w, RD_SERVICE, v->service[i], c);
	if (v->zone[i])
		add_dim(w, RD_ZONE, v->zone[i], c);
}

/* Keys of some rows and their hashes, and where they go. */
struct keys {
	uint32_t from, n; /* rows of the block */
	uint64_t src[SOME], dst[SOME], pair[SOME];
	uint64_t name[SOME][2];
	struct flow_str text[SOME];
	struct window *hosts[SOME], *dims[SOME]; /* NULL: not wanted there */
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

static void get_keys(const struct block *b, uint32_t from, uint32_t n, const struct numbers *v,
		     struct keys *k)
{
	const bool named = block_is_used(b, BC_TLS_SNI) || block_is_used(b, BC_HTTP_HOST) ||
			   block_is_used(b, BC_DNS_QNAME);

	for (uint32_t i = 0; i < n; i++) {
		const uint64_t src[2] = {v->src_hi[i], v->src_lo[i]};
		const uint64_t dst[2] = {v->dst_hi[i], v->dst_lo[i]};

		k->src[i] = sums_hash(src, 2);
		k->dst[i] = sums_hash(dst, 2);
		k->pair[i] = sums_mix(k->src[i], k->dst[i]);
	}
	for (uint32_t i = 0; i < n; i++) {
		k->text[i].s = NULL;
		if (named && get_name(b, from + i, &k->text[i]))
			sums_hash_text(k->text[i].s, k->text[i].len, k->name[i]);
	}
}

/* HyperLogLog: the register of a peer keeps the longest run of zeros that was seen. */
static void add_peer(struct sums *s, struct rollup_counts *c, uint64_t hash)
{
	uint64_t *word, run = (uint64_t)__builtin_ctzll(hash | 1 << 14) + 1;
	uint32_t shift = (hash >> 58) % 16 * 4;

	if (sums_is_other(s, c))
		return;
	word = sums_extra(c) + (hash >> 62);
	if (run > (*word >> shift & 15))
		*word = (*word & ~(UINT64_C(15) << shift)) | run << shift;
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

static void add_name(struct window *w, const struct keys *k, uint32_t i,
		     const struct rollup_counts *c)
{
	struct sums *s = &w->sums[WS_NAME];
	struct rollup_counts *to = sums_at(s, k->name[i], k->name[i][0]);

	if (!to->flows && !sums_is_other(s, to))
		*sums_extra(to) = keep_text(w, &k->text[i]);
	counts_add(to, c);
}

static void add_hosts(struct window *w, const struct numbers *v, const struct keys *k, uint32_t i)
{
	const uint64_t pair[4] = {v->src_hi[i], v->src_lo[i], v->dst_hi[i], v->dst_lo[i]};
	struct rollup_counts c, back, *to;
	struct sums *hosts = &w->sums[WS_HOST];

	read_counts(v, i, &c);
	to = sums_at(hosts, pair, k->src[i]);
	counts_add(to, &c);
	add_peer(hosts, to, k->dst[i]);
	back = c;
	back.out_packets = c.in_packets;
	back.out_bytes = c.in_bytes;
	back.in_packets = c.out_packets;
	back.in_bytes = c.out_bytes;
	to = sums_at(hosts, pair + 2, k->dst[i]);
	counts_add(to, &back);
	add_peer(hosts, to, k->src[i]);
	counts_add(sums_at(&w->sums[WS_PAIR], pair, k->pair[i]), &c);
	if (k->text[i].s)
		add_name(w, k, i, &c);
}

/* The window of time @ts; NULL: there is none for it. */
static struct window *window_at(struct rollup *r, const struct adding *a, enum rollup_level level,
				int64_t ts)
{
	struct window *w = r->last[level];

	if (!w || w->ts != ts) {
		w = rollup_window(r, level, ts, a->ids ? 0 : a->batch);
		r->last[level] = w;
	}
	if (w)
		w->touched_ms = a->now_ms;
	return w;
}

static void get_windows(struct rollup *r, const struct adding *a, enum rollup_level level,
			struct keys *k)
{
	const int64_t span = (int64_t)rollup_span[level] * 1000000;
	const int64_t *end = BLOCK_COLUMN(a->b, int64_t, BC_END) + k->from;
	struct window *w = NULL, **to = level == RL_HOST ? k->hosts : k->dims;
	int64_t at = 0, next = 0; /* of @w, in microseconds */

	for (uint32_t i = 0; i < k->n; i++) {
		if (!i || end[i] < at || end[i] >= next) {
			const int64_t s = end[i] / 1000000;

			at = (s - s % rollup_span[level]) * 1000000;
			next = at + span;
			w = window_at(r, a, level, at / 1000000);
		}
		to[i] = w;
		if (w && a->ids && a->ids[k->from + i] < BATCH_ROW(w->from_batch))
			to[i] = NULL;
	}
}

static void prefetch(const struct keys *k, uint32_t i,
		     void (*touch)(const struct sums *s, uint64_t hash))
{
	const struct window *w = k->hosts[i];

	if (!w)
		return;
	touch(&w->sums[WS_HOST], k->src[i]);
	touch(&w->sums[WS_HOST], k->dst[i]);
	touch(&w->sums[WS_PAIR], k->pair[i]);
	if (k->text[i].s)
		touch(&w->sums[WS_NAME], k->name[i][0]);
}

/* Rows [from, from + n): places in the indexes are on their way from memory first, then entries. */
static void add_some(struct rollup *r, const struct adding *a, const struct numbers *v,
		     uint32_t from, uint32_t n)
{
	struct rollup_counts c;
	struct keys k;

	k.from = from;
	k.n = n;
	get_windows(r, a, RL_HOST, &k);
	get_windows(r, a, RL_1M, &k);
	get_keys(a->b, from, n, v, &k);
	for (uint32_t i = 0; i < n + 2 * AHEAD; i++) {
		if (i < n)
			prefetch(&k, i, sums_prefetch);
		if (i >= AHEAD && i - AHEAD < n)
			prefetch(&k, i - AHEAD, sums_prefetch_entry);
		if (i >= 2 * AHEAD && k.hosts[i - 2 * AHEAD])
			add_hosts(k.hosts[i - 2 * AHEAD], v, &k, i - 2 * AHEAD);
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!k.dims[i])
			continue;
		read_counts(v, i, &c);
		add_dims(k.dims[i], v, i, &c);
	}
}

static void note_sampled(struct store *s, const struct block *b)
{
	uint64_t any = 0;

	for (uint32_t w = 0; block_is_used(b, BC_SAMPLING) && w < (b->rows + 63) / 64; w++)
		any |= b->valid[BC_SAMPLING][w];
	if (any)
		__atomic_store_n(&s->sampled, true, __ATOMIC_RELAXED);
}

void rollup_add_rows(struct rollup *r, const struct adding *a)
{
	struct numbers v;

	note_sampled(r->s, a->b);
	for (uint32_t from = 0; from < a->b->rows; from += SOME) {
		uint32_t left = a->b->rows - from, n = left < SOME ? left : SOME;

		read_all(a->b, from, n, &v);
		add_some(r, a, &v, from, n);
	}
}

void rollup_add(struct rollup *r, const struct block *b, uint32_t batch)
{
	rollup_add_rows(r, &(struct adding){.b = b, .batch = batch, .now_ms = store_now_ms()});
}
