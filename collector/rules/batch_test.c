// SPDX-License-Identifier: Apache-2.0
/*
 * batch_test.c - one comparison over rows of a batch. What compares a field of 8 or 16 bits is looked up: a
 * table has the class of each value, and each class has a bit for each comparison, up to 64 in one
 * go. A set of addresses has a table of the 65536 IPv4 networks of 16 bits: out, in, or look closer.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rules/engine_int.h"
#include "common/flow_text.h"

#define VALUES	  65536u
#define CLASSES	  256u
#define PICKS_MAX 64u
#define FEW	  24u /* rows up to which a range is looked at row by row */

/* Where in memory the bits 8k to 8k + 7 of a word are. */
#if __BYTE_ORDER == __LITTLE_ENDIAN
#define WORD_OCTET(k) (k)
#else
#define WORD_OCTET(k) (7 - (k))
#endif

enum near { NEAR_OUT, NEAR_IN, NEAR_CLOSER };

/* ---- tables of small numbers ---- */

static bool fits(const struct batch_test *bt)
{
	const enum flow_type type = flow_fields[bt->test->field].type;

	return !bt->by_record && type != FT_IP && type != FT_STR && flow_number_width(type) <= 2 &&
	       !bt->test->divide && bt->test->type != TEST_EXISTS;
}

static void mark(uint64_t *truth, uint32_t values, const struct filter_numbers *n, uint64_t bit)
{
	for (uint64_t v = n->lo; v <= n->hi && v < values; v++)
		truth[v] |= bit;
}

static void mark_test(const struct batch_test *bt, uint64_t *truth, uint32_t values)
{
	const struct filter_test *t = bt->test;
	const uint64_t bit = UINT64_C(1) << bt->bit;

	if (t->type == TEST_RANGE) {
		mark(truth, values, &t->range, bit);
	} else if (t->type == TEST_NUMBERS) {
		for (uint32_t i = 0; i < t->n; i++)
			mark(truth, values, &bt->filter->numbers[t->first + i], bit);
	} else {
		for (uint32_t v = 0; v < values; v++)
			if (filter_test_number(bt->filter, t, v))
				truth[v] |= bit;
	}
}

/* -E2BIG: too many classes. */
static int find_classes(struct batch_pick *p, const uint64_t *truth, uint32_t values)
{
	uint32_t c = 0;

	for (uint32_t v = 0; v < values; v++) {
		if (!v || truth[v] != p->truth[c])
			for (c = 0; c < p->n_classes && p->truth[c] != truth[v];)
				c++;
		if (c == CLASSES)
			return -E2BIG;
		if (c == p->n_classes)
			p->truth[p->n_classes++] = truth[v];
		p->classes[v] = (uint8_t)c;
	}
	return 0;
}

static int fill_pick(struct batch *b, uint32_t pick, uint64_t *truth)
{
	struct batch_pick *p = b->picks[pick];
	const uint32_t values = flow_number_width(flow_fields[p->field].type) == 1 ? 256 : VALUES;
	int r;

	p->most = values - 1;
	p->classes = malloc(values);
	if (!p->classes)
		return -ENOMEM;
	memset(truth, 0, values * sizeof(*truth));
	for (uint32_t i = 0; i < b->n_tests; i++)
		if (b->tests[i].pick == pick)
			mark_test(&b->tests[i], truth, values);
	r = find_classes(p, truth, values);
	for (uint32_t i = 0; r && i < b->n_tests; i++)
		if (b->tests[i].pick == pick)
			b->tests[i].pick = UINT32_MAX;
	return 0;
}

static int add_pick(struct batch *b, struct batch_test *bt)
{
	struct batch_pick **to;
	uint32_t i = 0;

	while (i < b->n_picks &&
	       (b->picks[i]->field != bt->test->field || b->picks[i]->n == PICKS_MAX))
		i++;
	if (i == b->n_picks) {
		to = reallocarray(b->picks, i + 1, sizeof(struct batch_pick *));
		if (!to)
			return -ENOMEM;
		b->picks = to;
		b->picks[i] = calloc(1, sizeof(**to));
		if (!b->picks[i])
			return -ENOMEM;
		b->picks[i]->field = bt->test->field;
		b->n_picks++;
	}
	bt->pick = i;
	bt->bit = b->picks[i]->n++;
	return 0;
}

/* ---- tables of networks ---- */

static void mark_near(uint8_t *near, const struct filter_ips *s)
{
	const uint64_t first = UINT64_C(0xffff) << 32, last = first | UINT32_MAX;
	uint64_t lo = s->lo[0] ? last + 1 : s->lo[1], hi = s->hi[0] ? last : s->hi[1];

	if (lo < first)
		lo = first;
	if (hi > last)
		hi = last;
	for (uint64_t at = lo; at <= hi; at = (at | 0xffff) + 1) {
		const uint64_t to = (at | 0xffff) < hi ? at | 0xffff : hi;

		near[at >> 16 & 0xffff] = to - at == 0xffff ? NEAR_IN : NEAR_CLOSER;
	}
}

static int add_near(struct batch_test *bt)
{
	bt->near = calloc(VALUES, 1);
	if (!bt->near)
		return -ENOMEM;
	for (uint32_t i = 0; i < bt->test->n; i++)
		mark_near(bt->near, &bt->filter->ips[bt->test->first + i]);
	return 0;
}

int batch_prepare(struct batch *b)
{
	uint64_t *truth = malloc(VALUES * sizeof(*truth));
	int r = truth ? 0 : -ENOMEM;

	for (uint32_t i = 0; !r && i < b->n_tests; i++) {
		if (fits(&b->tests[i]))
			r = add_pick(b, &b->tests[i]);
		else if (b->tests[i].test->type == TEST_IPS)
			r = add_near(&b->tests[i]);
	}
	for (uint32_t i = 0; !r && i < b->n_picks; i++)
		r = fill_pick(b, i, truth);
	free(truth);
	return r;
}

void batch_prepare_done(struct batch *b)
{
	for (uint32_t i = 0; i < b->n_picks; i++) {
		free(b->picks[i]->classes);
		free(b->picks[i]);
	}
	free(b->picks);
	for (uint32_t i = 0; i < b->n_tests; i++)
		free(b->tests[i].near);
}

/* ---- rows ---- */

/* Octet @i of @planes[p]: what the value of row i says to tests 8p to 8p + 7. */
static void fill_planes(struct batch *b, struct batch_pick *p, uint32_t w)
{
	const uint64_t *v = batch_need(b, p->field)->numbers + w * 64;
	uint8_t classes[64];

	p->known[w] = true;
	for (uint32_t i = 0; i < 64; i++)
		classes[i] = p->classes[v[i] & p->most];
	for (uint32_t k = 0; k * 8 < p->n; k++) {
		const uint8_t *truth = (const uint8_t *)p->truth + (WORD_OCTET(k));
		uint8_t *to = (uint8_t *)p->planes[w][k];

		for (uint32_t i = 0; i < 64; i++)
			to[i] = truth[classes[i] * sizeof(*p->truth)];
	}
}

/* Bit @bit of 64 octets. */
static uint64_t gather(const uint64_t octets[8], uint32_t bit)
{
	uint64_t word = 0;

#ifdef __SSE2__
	const __m128i *at = (const __m128i *)(const void *)octets;
	const __m128i up = _mm_cvtsi32_si128((int)(7 - bit));

	for (uint32_t i = 0; i < 4; i++) {
		const __m128i v = _mm_sll_epi16(_mm_loadu_si128(at + i), up);

		word |= (uint64_t)(uint32_t)_mm_movemask_epi8(v) << (16 * i);
	}
	return word;
#endif
	for (uint32_t i = 0; i < 8; i++) {
		const uint64_t ones = le64toh(octets[i]) >> bit & 0x0101010101010101u;

		word |= (ones * 0x0102040810204080u >> 56) << (8 * i);
	}
	return word;
}

static uint64_t ask_pick(struct batch *b, const struct batch_test *bt, uint32_t w)
{
	struct batch_pick *p = b->picks[bt->pick];

	if (!p->known[w])
		fill_planes(b, p, w);
	return gather(p->planes[w][bt->bit / 8], bt->bit % 8);
}

static uint64_t ask_range(const struct batch_test *bt, const struct batch_column *c, uint32_t w)
{
	const uint64_t lo = bt->test->range.lo, span = bt->test->range.hi - lo;
	const uint64_t *v = c->numbers + w * 64;
	uint64_t word = 0;

	for (unsigned int i = 0; i < 64; i++)
		word |= (uint64_t)(v[i] - lo <= span) << i;
	return word;
}

/* The same of some of the rows. */
static uint64_t ask_few(const struct batch_test *bt, const struct batch_column *c, uint32_t w,
			uint64_t rows)
{
	const uint64_t lo = bt->test->range.lo, span = bt->test->range.hi - lo;
	const uint64_t *v = c->numbers + w * 64;
	uint64_t word = 0;

	for (; rows; rows &= rows - 1) {
		const uint32_t i = (uint32_t)__builtin_ctzll(rows);

		word |= (uint64_t)(v[i] - lo <= span) << i;
	}
	return word;
}

static uint64_t ask_ips(const struct batch_test *bt, const struct batch_column *c, uint32_t w,
			uint64_t rows)
{
	const uint64_t(*ips)[2] = c->ips + w * 64;
	uint64_t word = 0;

	for (; rows; rows &= rows - 1) {
		const uint32_t i = (uint32_t)__builtin_ctzll(rows);
		const uint64_t low = ips[i][1];
		uint64_t in = NEAR_CLOSER;

		if (bt->near && !(ips[i][0] | (low >> 32 ^ 0xffff)))
			in = bt->near[low >> 16 & 0xffff];
		if (in == NEAR_CLOSER)
			in = filter_test_ip(bt->filter, bt->test, ips[i]);
		word |= in << i;
	}
	return word;
}

static bool ask_row(const struct batch_test *bt, const struct batch_column *c, uint32_t row)
{
	const struct filter_test *t = bt->test;

	if (c->kind == BATCH_STR)
		return filter_test_string(bt->filter, t, c->strs[row]);
	return filter_test_number(bt->filter, t,
				  t->divide ? c->numbers[row] / 1000 : c->numbers[row]);
}

static uint64_t ask_rows(const struct batch_test *bt, const struct batch_column *c, uint32_t w,
			 uint64_t rows)
{
	uint64_t word = 0;

	if (c->kind == BATCH_IP)
		return ask_ips(bt, c, w, rows);
	if (bt->test->type == TEST_RANGE && c->kind == BATCH_NUMBER && !bt->test->divide)
		return ask_few(bt, c, w, rows);
	for (; rows; rows &= rows - 1) {
		const uint32_t i = (uint32_t)__builtin_ctzll(rows);

		word |= (uint64_t)ask_row(bt, c, w * 64 + i) << i;
	}
	return word;
}

static uint64_t ask_lists(const struct batch *b, const struct batch_test *bt, uint32_t w,
			  uint64_t rows)
{
	uint64_t word = 0;

	for (; rows; rows &= rows - 1) {
		const uint32_t i = (uint32_t)__builtin_ctzll(rows);

		word |= (uint64_t)batch_ask_block(b, bt, w * 64 + i) << i;
	}
	return word;
}

/* A list of the site's that has nothing in it. */
static bool is_empty(const struct filter_test *t)
{
	return (t->type == TEST_IPS || t->type == TEST_STRINGS || t->type == TEST_NUMBERS) && !t->n;
}

bool batch_asks_value(const struct batch_test *bt)
{
	return bt->by_record || (bt->test->type != TEST_EXISTS && !is_empty(bt->test));
}

/* Is the test of every row that has a value as cheap as of one? */
static bool is_wide(const struct batch_test *bt, const struct batch_column *c, uint64_t rows)
{
	return bt->pick != UINT32_MAX ||
	       (bt->test->type == TEST_RANGE && c->kind == BATCH_NUMBER && !bt->test->divide &&
		__builtin_popcountll(rows) > (int)FEW);
}

/* @rows of word @w that were not asked yet. */
static void ask_word(struct batch *b, struct batch_test *bt, uint32_t w, uint64_t rows)
{
	const struct batch_column *c = &b->columns[bt->test->field];
	uint64_t word;

	if (!(rows & c->valid[w])) {
		bt->done[w] |= rows;
		return;
	}
	if (is_wide(bt, c, rows)) {
		rows = UINT64_MAX;
		word = bt->pick != UINT32_MAX ? ask_pick(b, bt, w) : ask_range(bt, c, w);
	} else {
		word = ask_rows(bt, c, w, rows & c->valid[w]);
	}
	bt->done[w] |= rows;
	bt->bits[w] |= (bt->test->negate ? ~word : word) & c->valid[w] & rows;
}

/* Whether there is a value says everything. */
static void ask_valid(struct batch *b, struct batch_test *bt)
{
	const struct batch_column *c = batch_valid(b, bt->test->field);
	const bool exists = bt->test->type == TEST_EXISTS;

	for (uint32_t w = 0; w < BATCH_WORDS; w++) {
		if (bt->test->negate)
			bt->bits[w] = exists ? ~c->valid[w] : c->valid[w];
		else
			bt->bits[w] = exists ? c->valid[w] : 0;
		bt->done[w] = UINT64_MAX;
	}
}

static void ask_left(struct batch *b, struct batch_test *bt, const struct batch_bits *rows)
{
	if (!batch_asks_value(bt)) {
		ask_valid(b, bt);
		return;
	}
	if (!bt->by_record)
		batch_need(b, bt->test->field);
	for (uint32_t w = 0; w < BATCH_WORDS; w++) {
		const uint64_t left = rows->v[w] & ~bt->done[w];

		if (left && bt->by_record) {
			bt->done[w] |= left;
			bt->bits[w] |= ask_lists(b, bt, w, left);
		} else if (left) {
			ask_word(b, bt, w, left);
		}
	}
}

void batch_ask(struct batch *b, struct batch_test *bt, const struct batch_bits *rows)
{
	uint64_t left = 0;

	for (uint32_t w = 0; w < BATCH_WORDS; w++)
		left |= rows->v[w] & ~bt->done[w];
	if (left)
		ask_left(b, bt, rows);
}
