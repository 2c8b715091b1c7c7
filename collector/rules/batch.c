// SPDX-License-Identifier: Apache-2.0
/*
 * batch.c - flows as columns, and filters over them: every comparison is made once for all rules, a
 * column at a time; a filter's jumps become ands of bitmaps.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rules/engine_int.h"
#include "common/flow_text.h"

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
	b->tests[b->n_tests++] = (struct batch_test){
		.filter = f, .test = t, .by_record = is_record(flow_fields[t->field].type)};
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

		if (t->by_record && filter_test(t->filter, t->test, r))
			set_bit(t->bits, b->n);
	}
	b->end[b->n++] = flow_has(r, FF_END) ? r->end_ns : 0;
	return 0;
}

void batch_clear(struct batch *b)
{
	for (unsigned int f = 0; f < _FF_MAX; f++)
		if (b->columns[f].used)
			memset(b->columns[f].valid, 0, sizeof(b->columns[f].valid));
	for (uint32_t i = 0; i < b->n_tests; i++) {
		b->tests[i].known = false;
		if (b->tests[i].by_record)
			memset(b->tests[i].bits, 0, sizeof(b->tests[i].bits));
	}
	b->n = b->text_len = 0;
}

/* ---- comparisons ---- */

static void test_range(const struct batch *b, const struct batch_column *c,
		       const struct filter_test *t, uint64_t *bits)
{
	const uint64_t lo = t->range.lo, span = t->range.hi - t->range.lo;

	for (uint32_t w = 0; w * 64 < b->n; w++) {
		const uint64_t *v = c->numbers + w * 64;
		uint64_t word = 0;

		for (unsigned int i = 0; i < 64; i++)
			word |= (uint64_t)(v[i] - lo <= span) << i;
		bits[w] = word;
	}
}

static bool test_row(const struct batch_test *bt, const struct batch_column *c, uint32_t row)
{
	const struct filter_test *t = bt->test;

	switch (c->kind) {
	case BATCH_IP:
		return filter_test_ip(bt->filter, t, c->ips[row]);
	case BATCH_STR:
		return filter_test_string(bt->filter, t, c->strs[row]);
	default:
		return filter_test_number(bt->filter, t,
					  t->divide ? c->numbers[row] / 1000 : c->numbers[row]);
	}
}

static void test_rows(const struct batch *b, const struct batch_test *bt,
		      const struct batch_column *c, uint64_t *bits)
{
	for (uint32_t w = 0; w * 64 < b->n; w++) {
		bits[w] = 0;
		for (uint64_t rest = c->valid[w]; rest; rest &= rest - 1) {
			const unsigned int i = (unsigned int)__builtin_ctzll(rest);

			bits[w] |= (uint64_t)test_row(bt, c, w * 64 + i) << i;
		}
	}
}

static const uint64_t *test_bits(struct batch *b, struct batch_test *bt)
{
	const struct filter_test *t = bt->test;
	const struct batch_column *c = &b->columns[t->field];
	const uint64_t flip = t->negate ? UINT64_MAX : 0;

	if (bt->known || bt->by_record)
		return bt->bits;
	bt->known = true;
	if (t->type == TEST_EXISTS) {
		for (unsigned int w = 0; w < BATCH_WORDS; w++)
			bt->bits[w] = c->valid[w] ^ flip;
		return bt->bits;
	}
	if (t->type == TEST_RANGE && c->kind == BATCH_NUMBER && !t->divide)
		test_range(b, c, t, bt->bits);
	else
		test_rows(b, bt, c, bt->bits);
	for (unsigned int w = 0; w < BATCH_WORDS; w++)
		bt->bits[w] = (bt->bits[w] ^ flip) & c->valid[w];
	return bt->bits;
}

/* Rows that go on at @to. */
static void go_on(struct batch_filter *f, uint32_t to, uint64_t *ret, uint32_t w, uint64_t rows)
{
	if (to == FILTER_TRUE)
		ret[w] |= rows;
	else if (to < FILTER_FALSE)
		f->reach[to][w] |= rows;
}

void batch_match(struct batch *b, const struct batch_filter *bf, uint64_t ret[static BATCH_WORDS])
{
	const struct filter *f = bf->filter;
	struct batch_filter *out = (struct batch_filter *)(uintptr_t)bf;
	const uint32_t words = (b->n + 63) / 64;

	for (uint32_t w = 0; w < BATCH_WORDS; w++) {
		ret[w] = w < words ? UINT64_MAX : 0;
		if (w + 1 == words && b->n % 64)
			ret[w] = (UINT64_C(1) << (b->n % 64)) - 1;
	}
	if (!f)
		return;
	memset(out->reach, 0, f->n_tests * sizeof(*out->reach));
	memcpy(out->reach[f->entry], ret, sizeof(*out->reach));
	memset(ret, 0, BATCH_WORDS * sizeof(*ret));
	for (uint32_t i = f->entry; i < f->n_tests; i++) {
		const uint64_t *rows = out->reach[i], *bits = NULL;

		for (uint32_t w = 0; w < words; w++) {
			if (!rows[w])
				continue;
			bits = bits ?: test_bits(b, &b->tests[bf->tests[i]]);
			go_on(out, f->tests[i].if_true, ret, w, rows[w] & bits[w]);
			go_on(out, f->tests[i].if_false, ret, w, rows[w] & ~bits[w]);
		}
	}
}

/* ---- hashes ---- */

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

bool batch_hash(const struct batch *b, enum flow_field f, uint32_t row, uint64_t *h)
{
	const struct batch_column *c = &b->columns[f];

	if (!batch_has(b, f, row))
		return false;
	switch (c->kind) {
	case BATCH_IP:
		*h = hash_add(hash_add(*h, c->ips[row][0]), c->ips[row][1]);
		return true;
	case BATCH_STR:
		*h = hash_bytes(*h, c->strs[row].s, c->strs[row].len);
		return true;
	default:
		*h = hash_add(*h, c->numbers[row]);
		return true;
	}
}
