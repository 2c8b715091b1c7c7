// SPDX-License-Identifier: Apache-2.0
/*
 * batch.c - flows as columns, and filters over them: 64 rows at a time, every comparison made once for
 * all rules and only where some rule asks; a filter's jumps become ands of bitmaps.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rules/engine_int.h"
#include "common/flow_text.h"

#define IP_ODD 0xa0761d6478bd642fu

static bool is_record(enum flow_type t)
{
	return t == FT_STRS || t == FT_ALPN || t == FT_QUERIES || t == FT_VLAN || t == FT_CID;
}

int batch_use(struct batch *b, enum flow_field f)
{
	struct batch_column *c = &b->columns[f];
	const enum flow_type t = flow_fields[f].type;

	if (c->used || is_record(t))
		return 0;
	c->kind = t == FT_IP ? BATCH_IP : t == FT_STR ? BATCH_STR : BATCH_NUMBER;
	c->data = calloc(BATCH_ROWS, c->kind == BATCH_NUMBER ? 8 : 16);
	if (!c->data)
		return -ENOMEM;
	if (c->kind == BATCH_STR && !b->text) {
		b->text = malloc(BATCH_TEXT);
		if (!b->text)
			return -ENOMEM;
	}
	c->used = true;
	return 0;
}

void batch_done(struct batch *b)
{
	for (unsigned int f = 0; f < _FF_MAX; f++)
		free(b->columns[f].data);
	batch_prepare_done(b);
	for (uint32_t i = 0; i < b->n_keys; i++)
		free(b->keys[i]);
	free(b->keys);
	free(b->tests);
	free(b->text);
}

/* ---- filters ---- */

static bool same_strings(const struct batch_test *b, const struct filter *f,
			 const struct filter_test *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (filter_string_order(b->filter->strings[b->test->first + i],
					f->strings[t->first + i]) != 0)
			return false;
	return true;
}

/* Do both ask the same? */
static bool same_test(const struct batch_test *b, const struct filter *f,
		      const struct filter_test *t)
{
	const struct filter_test *o = b->test;

	if (o->type != t->type || o->field != t->field || o->negate != t->negate ||
	    o->nocase != t->nocase || o->divide != t->divide)
		return false;
	switch (t->type) {
	case TEST_EXISTS:
		return true;
	case TEST_RANGE:
	case TEST_VERSION:
	case TEST_BITS:
		return o->range.lo == t->range.lo &&
		       (t->type == TEST_BITS || o->range.hi == t->range.hi);
	case TEST_IP:
		return o->ip[0] == t->ip[0] && o->ip[1] == t->ip[1];
	default:
		break;
	}
	if (o->n != t->n)
		return false;
	if (t->type == TEST_NUMBERS)
		return !memcmp(b->filter->numbers + o->first, f->numbers + t->first,
			       t->n * sizeof(*f->numbers));
	if (t->type == TEST_IPS)
		return !memcmp(b->filter->ips + o->first, f->ips + t->first,
			       t->n * sizeof(*f->ips));
	return same_strings(b, f, t);
}

static int add_test(struct batch *b, const struct filter *f, const struct filter_test *t,
		    uint32_t *ret)
{
	struct batch_test *to;
	int r;

	for (*ret = 0; *ret < b->n_tests; ++*ret)
		if (same_test(&b->tests[*ret], f, t))
			return 0;
	if (b->n_tests == b->cap_tests) {
		const uint32_t cap = b->cap_tests ? b->cap_tests * 2 : 64;

		to = reallocarray(b->tests, cap, sizeof(*to));
		if (!to)
			return -ENOMEM;
		b->tests = to;
		b->cap_tests = cap;
	}
	r = batch_use(b, t->field);
	if (r)
		return r;
	b->tests[b->n_tests++] =
		(struct batch_test){.filter = f,
				    .test = t,
				    .by_record = is_record(flow_fields[t->field].type),
				    .pick = UINT32_MAX};
	return 0;
}

int batch_add_filter(struct batch *b, const struct filter *f, struct batch_filter *ret)
{
	int r = 0;

	*ret = (struct batch_filter){.filter = f};
	if (!f)
		return 0;
	ret->tests = calloc(f->n_tests, sizeof(*ret->tests));
	ret->reach = calloc(f->n_tests, sizeof(*ret->reach));
	if (!ret->tests || !ret->reach)
		return -ENOMEM;
	for (uint32_t i = f->entry; !r && i < f->n_tests; i++)
		r = add_test(b, f, &f->tests[i], &ret->tests[i]);
	return r;
}

int batch_add_key(struct batch *b, const struct rule_fields *by, uint32_t *ret)
{
	struct batch_key *k, **to;

	for (*ret = 0; *ret < b->n_keys; ++*ret)
		if (b->keys[*ret]->n == by->n && !memcmp(b->keys[*ret]->fields, by->v, by->n))
			return 0;
	to = reallocarray(b->keys, b->n_keys + 1, sizeof(struct batch_key *));
	if (!to)
		return -ENOMEM;
	b->keys = to;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->n = by->n;
	memcpy(k->fields, by->v, by->n);
	b->keys[b->n_keys++] = k;
	for (uint32_t i = 0; i < by->n; i++)
		if (batch_use(b, by->v[i]))
			return -ENOMEM;
	return 0;
}

void batch_filter_done(struct batch_filter *f)
{
	free(f->tests);
	free(f->reach);
}

/* ---- rows ---- */

static void set_bit(uint64_t *bits, uint32_t row)
{
	bits[row / 64] |= UINT64_C(1) << (row % 64);
}

static int add_text(struct batch *b, struct flow_str s, struct flow_str *to)
{
	if (s.len > BATCH_TEXT - b->text_len)
		return -ENOSPC;
	if (s.len)
		memcpy(b->text + b->text_len, s.s, s.len);
	*to = (struct flow_str){b->text + b->text_len, s.len};
	b->text_len += s.len;
	return 0;
}

static int add_value(struct batch *b, enum flow_field f, const struct flow_record *r)
{
	struct batch_column *c = &b->columns[f];
	const void *member = (const char *)r + flow_fields[f].offset;
	struct flow_str s;
	uint64_t ip[2];

	switch (c->kind) {
	case BATCH_IP:
		memcpy(ip, member, sizeof(ip));
		c->ips[b->n][0] = be64toh(ip[0]);
		c->ips[b->n][1] = be64toh(ip[1]);
		return 0;
	case BATCH_STR:
		memcpy(&s, member, sizeof(s));
		return add_text(b, s, &c->strs[b->n]);
	default:
		c->numbers[b->n] = flow_number(r, f);
		return 0;
	}
}

int batch_add(struct batch *b, const struct flow_record *r)
{
	int rc = 0;

	for (unsigned int f = 0; f < _FF_MAX && !rc; f++) {
		if (!b->columns[f].used || !flow_has(r, f))
			continue;
		rc = add_value(b, f, r);
		if (!rc)
			set_bit(b->columns[f].valid, b->n);
	}
	if (rc) {
		/* what is there of the row is overwritten, but for its bits */
		for (unsigned int f = 0; f < _FF_MAX; f++)
			b->columns[f].valid[b->n / 64] &= ~(UINT64_C(1) << (b->n % 64));
		return rc;
	}
	for (uint32_t i = 0; i < b->n_tests; i++) {
		struct batch_test *t = &b->tests[i];

		if (!t->by_record)
			continue;
		set_bit(t->done, b->n);
		if (filter_test(t->filter, t->test, r))
			set_bit(t->bits, b->n);
	}
	if (flow_has(r, FF_REASON) && r->reason == FLOW_IDS) {
		set_bit(b->again, b->n);
		b->any_again = true;
	}
	b->end[b->n++] = flow_has(r, FF_END) ? r->end_ns : 0;
	return 0;
}

void batch_clear(struct batch *b)
{
	for (unsigned int f = 0; f < _FF_MAX; f++) {
		struct batch_column *c = &b->columns[f];

		if (c->used && (c->known || !b->from))
			memset(c->valid, 0, sizeof(c->valid));
		c->known = c->loaded = false;
	}
	for (uint32_t i = 0; i < b->n_tests; i++) {
		memset(b->tests[i].done, 0, sizeof(b->tests[i].done));
		memset(b->tests[i].bits, 0, sizeof(b->tests[i].bits));
	}
	for (uint32_t i = 0; i < b->n_picks; i++)
		memset(b->picks[i]->known, 0, sizeof(b->picks[i]->known));
	for (uint32_t i = 0; i < b->n_keys; i++)
		memset(b->keys[i]->done, 0, sizeof(b->keys[i]->done));
	if (b->any_again)
		memset(b->again, 0, sizeof(b->again));
	b->any_again = false;
	b->n = b->text_len = 0;
	b->from = NULL;
}

/* ---- filters over rows ---- */

struct batch_bits batch_rows(const struct batch *b)
{
	struct batch_bits all = {};

	memset(all.v, 0xff, b->n / 64 * sizeof(all.v[0]));
	if (b->n % 64)
		all.v[b->n / 64] = (UINT64_C(1) << (b->n % 64)) - 1;
	return all;
}

static bool any(const struct batch_bits *b)
{
	uint64_t v = 0;

	for (uint32_t w = 0; w < BATCH_WORDS; w += 4)
		v |= b->v[w] | b->v[w + 1] | b->v[w + 2] | b->v[w + 3];
	return v;
}

/* Loops of their own, over memory that is known to be apart: they become instructions for several words. */
static void add_rows(uint64_t *restrict to, const uint64_t *restrict rows,
		     const uint64_t *restrict bits)
{
	for (uint32_t w = 0; w < BATCH_WORDS; w++)
		to[w] |= rows[w] & bits[w];
}

static void add_others(uint64_t *restrict to, const uint64_t *restrict rows,
		       const uint64_t *restrict bits)
{
	for (uint32_t w = 0; w < BATCH_WORDS; w++)
		to[w] |= rows[w] & ~bits[w];
}

/* Where rows go from a test: to another one, or they are taken; NULL: they are not. */
static uint64_t *way_to(const struct batch_filter *bf, uint32_t to, struct batch_bits *taken)
{
	return to == FILTER_FALSE ? NULL : to == FILTER_TRUE ? taken->v : bf->reach[to].v;
}

void batch_match(struct batch *b, const struct batch_filter *bf, const struct batch_bits *rows,
		 struct batch_bits *ret)
{
	const struct filter *f = bf->filter;

	if (!f) {
		*ret = *rows;
		return;
	}
	*ret = (struct batch_bits){};
	memset(bf->reach + f->entry, 0, (f->n_tests - f->entry) * sizeof(*bf->reach));
	bf->reach[f->entry] = *rows;
	for (uint32_t i = f->entry; i < f->n_tests; i++) {
		const struct filter_test *t = &f->tests[i];
		struct batch_test *bt = &b->tests[bf->tests[i]];
		uint64_t *to;

		if (!any(&bf->reach[i]))
			continue;
		batch_ask(b, bt, &bf->reach[i]);
		to = way_to(bf, t->if_true, ret);
		if (to)
			add_rows(to, bf->reach[i].v, bt->bits);
		to = way_to(bf, t->if_false, ret);
		if (to)
			add_others(to, bf->reach[i].v, bt->bits);
	}
}

/* ---- hashes ---- */

/* splitmix64: all bits of what multiplies must depend on the seed, also of a small one. */
uint64_t batch_seed(uint64_t seed)
{
	uint64_t z = seed + 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) | 1;
}

uint64_t hash_bytes(uint64_t seed, const char *s, uint32_t len)
{
	uint64_t h = hash_add(seed, len), v;

	for (; len >= 8; s += 8, len -= 8) {
		memcpy(&v, s, 8);
		h = hash_add(h, v);
	}
	v = 0;
	if (len)
		memcpy(&v, s, len);
	return hash_add(h, v);
}

static uint64_t hash_ip(uint64_t h, const uint64_t ip[2])
{
	return hash_mix(h ^ ip[0], ip[1] ^ (h << 32 | h >> 32) ^ IP_ODD);
}

bool batch_hash(const struct batch *b, enum flow_field f, uint32_t row, uint64_t *h)
{
	const struct batch_column *c = &b->columns[f];

	if (!batch_has(b, f, row))
		return false;
	switch (c->kind) {
	case BATCH_IP:
		*h = hash_ip(*h, c->ips[row]);
		return true;
	case BATCH_STR:
		*h = hash_bytes(*h, c->strs[row].s, c->strs[row].len);
		return true;
	default:
		*h = hash_add(*h, c->numbers[row]);
		return true;
	}
}

static uint32_t hash_end(uint64_t h, uint32_t n)
{
	return (uint32_t)(hash_add(h, n) >> 32);
}

static uint64_t hash_value(const struct batch_column *c, uint32_t row, uint64_t h)
{
	if (c->kind == BATCH_IP)
		return hash_ip(h, c->ips[row]);
	if (c->kind == BATCH_NUMBER)
		return hash_add(h, c->numbers[row]);
	return hash_bytes(h, c->strs[row].s, c->strs[row].len);
}

/* @rows of word @w that have no hash yet. */
static void hash_word(const struct batch *b, struct batch_key *k, uint32_t w, uint64_t rows)
{
	const struct batch_column *first = &b->columns[k->fields[0]];
	uint32_t *to = k->hashes + w * 64;
	const uint32_t n = k->n;

	k->done[w] |= rows;
	if (n == 1 && first->kind == BATCH_IP) {
		const uint64_t(*ips)[2] = first->ips + w * 64;

		for (; rows; rows &= rows - 1) {
			const uint32_t i = (uint32_t)__builtin_ctzll(rows);

			to[i] = hash_end(hash_ip(b->seed, ips[i]), 1);
		}
		return;
	}
	for (; rows; rows &= rows - 1) {
		const uint32_t i = (uint32_t)__builtin_ctzll(rows);
		uint64_t h = b->seed;

		for (uint32_t f = 0; f < n; f++)
			h = hash_value(&b->columns[k->fields[f]], w * 64 + i, h);
		to[i] = hash_end(h, n);
	}
}

void batch_hash_rows(struct batch *b, struct batch_key *k, struct batch_bits *rows)
{
	if (!any(rows))
		return;
	for (uint32_t i = 0; i < k->n; i++) {
		const struct batch_column *c = batch_need(b, k->fields[i]);

		for (uint32_t w = 0; w < BATCH_WORDS; w++)
			rows->v[w] &= c->valid[w];
	}
	for (uint32_t w = 0; w < BATCH_WORDS; w++)
		if (rows->v[w] & ~k->done[w])
			hash_word(b, k, w, rows->v[w] & ~k->done[w]);
}
