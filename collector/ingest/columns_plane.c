// SPDX-License-Identifier: Apache-2.0
/*
 * columns_plane.c - numbers of one, two and four octets that stand beside each other, eight octets of up to
 * 64 records at a time; see columns.h. The octets are turned into planes (the first of all records, the
 * second of all, ...) with vector operations, so that a column is some planes joined, whatever its byte
 * order was, and which of its rows are values is an OR of them.
 */
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include <stdlib.h>

#include "collector/ingest/columns_int.h"
#include "common/ipfix_int.h"

#define WINDOW TEMPLATE_WINDOW
#define TILE   64u /* records: one word of a bitmap, and their octets stay in the nearest cache */
#define FEW    8u  /* records: for less, one field after the other */
#define LANES  16u

typedef uint8_t v8 __attribute__((vector_size(LANES)));
typedef uint16_t v16 __attribute__((vector_size(LANES)));
typedef uint32_t v32 __attribute__((vector_size(LANES)));
typedef uint64_t v64 __attribute__((vector_size(LANES)));

struct planes {
	uint8_t p[WINDOW][TILE];
} __attribute__((aligned(64)));

/* Lanes of two vectors in turn: of their lower halves, of their upper ones. */
#define LOW8(a, b) \
	__builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH8(a, b) \
	__builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define LOW16(a, b)  __builtin_shufflevector((v16)(a), (v16)(b), 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH16(a, b) __builtin_shufflevector((v16)(a), (v16)(b), 4, 12, 5, 13, 6, 14, 7, 15)
#define LOW32(a, b)  __builtin_shufflevector((v32)(a), (v32)(b), 0, 4, 1, 5)
#define HIGH32(a, b) __builtin_shufflevector((v32)(a), (v32)(b), 2, 6, 3, 7)

/* ---- what stands in windows ---- */

static bool is_plane(const struct template *t, const struct template_op *op)
{
	if (op->len == TEMPLATE_VARIABLE || t->fixed[op->anchor] < WINDOW)
		return false;
	switch (op->kind) {
	case EK_INDEX:
	case EK_RATE:
		return op->len <= 4 && op->len == block_columns[op->to].size;
	case EK_US32:
		return op->len == 4;
	default:
		return false;
	}
}

static int by_place(const void *a, const void *b)
{
	const struct template_op *x = a, *y = b;

	if (x->anchor != y->anchor)
		return x->anchor < y->anchor ? -1 : 1;
	return x->off < y->off ? -1 : 1;
}

/* Those of windows first, all others in the order they had. */
static unsigned int sort_ops(const struct template *t, struct template_op *ops)
{
	struct template_op from[TEMPLATE_FIELDS_MAX];
	unsigned int n = 0, k;

	memcpy(from, ops, t->ops_n * sizeof(from[0]));
	for (unsigned int i = 0; i < t->ops_n; i++)
		if (is_plane(t, &from[i]))
			ops[n++] = from[i];
	k = n;
	for (unsigned int i = 0; i < t->ops_n; i++)
		if (!is_plane(t, &from[i]))
			ops[k++] = from[i];
	qsort(ops, n, sizeof(ops[0]), by_place);
	return n;
}

void template_find_windows(struct template *t, struct template_op *ops, struct template_window *w)
{
	const unsigned int n = sort_ops(t, ops);
	unsigned int k = 0;

	for (unsigned int i = 0; i < n; k++) {
		const uint32_t last = t->fixed[ops[i].anchor] - WINDOW;
		const uint32_t off = ops[i].off < last ? ops[i].off : last;

		w[k] = (struct template_window){.off = (uint16_t)off, .anchor = ops[i].anchor};
		while (i < n && ops[i].anchor == w[k].anchor &&
		       ops[i].off + ops[i].len <= off + WINDOW)
			i++;
		w[k].ops_end = (uint16_t)i;
	}
	t->windows_n = (uint16_t)k;
}

/* ---- planes of records ---- */

static inline v8 octets_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return (v8)(v64){v, 0};
}

struct half {
	v64 two[4]; /* planes 0 and 1, 2 and 3, ... of eight records */
};

static inline struct half split8(const uint8_t *const *base, uint32_t off)
{
	const v8 a = LOW8(octets_at(base[0] + off), octets_at(base[1] + off));
	const v8 b = LOW8(octets_at(base[2] + off), octets_at(base[3] + off));
	const v8 c = LOW8(octets_at(base[4] + off), octets_at(base[5] + off));
	const v8 d = LOW8(octets_at(base[6] + off), octets_at(base[7] + off));
	const v16 ab = LOW16(a, b), ab2 = HIGH16(a, b), cd = LOW16(c, d), cd2 = HIGH16(c, d);

	return (struct half){{(v64)LOW32(ab, cd), (v64)HIGH32(ab, cd), (v64)LOW32(ab2, cd2),
			      (v64)HIGH32(ab2, cd2)}};
}

/* Records [@i, @i + 16). */
static inline void split16(struct planes *to, uint32_t i, const uint8_t *const *base, uint32_t off)
{
	const struct half a = split8(base, off), b = split8(base + 8, off);

	for (unsigned int k = 0; k < 4; k++) {
		const v64 even = __builtin_shufflevector(a.two[k], b.two[k], 0, 2);
		const v64 odd = __builtin_shufflevector(a.two[k], b.two[k], 1, 3);

		memcpy(&to->p[2 * k][i], &even, sizeof(even));
		memcpy(&to->p[2 * k + 1][i], &odd, sizeof(odd));
	}
}

/* @n records, at most TILE. What fills up the last sixteen of them is no record's. */
static void split(struct planes *to, const uint8_t *const *base, uint32_t n, uint32_t off)
{
	const uint8_t *rest[LANES];
	uint32_t i = 0;

	for (; i + LANES <= n; i += LANES)
		split16(to, i, base + i, off);
	if (i == n)
		return;
	for (uint32_t k = 0; k < LANES; k++)
		rest[k] = base[i + k < n ? i + k : n - 1];
	split16(to, i, rest, off);
}

/* ---- columns of planes ---- */

static inline v8 lanes(const uint8_t *p)
{
	v8 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The vector with the less significant lanes first, as the machine has its numbers. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PAIR(join, high, low) join(low, high)
#else
#define PAIR(join, high, low) join(high, low)
#endif

static void join16(uint8_t *to, const uint8_t (*p)[TILE], uint32_t n)
{
	for (uint32_t i = 0; i < n; i += LANES, to += 2 * sizeof(v8)) {
		const v8 high = lanes(p[0] + i), low = lanes(p[1] + i);
		const v8 a = PAIR(LOW8, high, low), b = PAIR(HIGH8, high, low);

		memcpy(to, &a, sizeof(a));
		memcpy(to + sizeof(a), &b, sizeof(b));
	}
}

/* The four planes of a number: four records to each vector. */
static inline void number4(const uint8_t (*p)[TILE], uint32_t i, v32 ret[static 4])
{
	const v8 v0 = lanes(p[0] + i), v1 = lanes(p[1] + i), v2 = lanes(p[2] + i),
		 v3 = lanes(p[3] + i);
	const v8 high = PAIR(LOW8, v0, v1), high2 = PAIR(HIGH8, v0, v1);
	const v8 low = PAIR(LOW8, v2, v3), low2 = PAIR(HIGH8, v2, v3);

	ret[0] = (v32)PAIR(LOW16, high, low);
	ret[1] = (v32)PAIR(HIGH16, high, low);
	ret[2] = (v32)PAIR(LOW16, high2, low2);
	ret[3] = (v32)PAIR(HIGH16, high2, low2);
}

static void join32(uint8_t *to, const uint8_t (*p)[TILE], uint32_t n)
{
	for (uint32_t i = 0; i < n; i += LANES, to += 4 * sizeof(v32)) {
		v32 v[4];

		number4(p, i, v);
		memcpy(to, v, sizeof(v));
	}
}

/* A number of 64 bits whose upper half is 0. */
static void join64(uint8_t *to, const uint8_t (*p)[TILE], uint32_t n)
{
	const v32 h = {0};

	for (uint32_t i = 0; i < n; i += LANES, to += 8 * sizeof(v32)) {
		v32 v[4];

		number4(p, i, v);
		for (unsigned int k = 0; k < 4; k++) {
			const v32 a = PAIR(LOW32, h, v[k]), b = PAIR(HIGH32, h, v[k]);

			memcpy(to + 2 * k * sizeof(a), &a, sizeof(a));
			memcpy(to + (2 * k + 1) * sizeof(a), &b, sizeof(b));
		}
	}
}

/* ---- which of them are values ---- */

/* Octets that are not 0, a bit for each. */
static inline uint64_t not_zero(v8 v)
{
#ifdef __SSE2__
	return 0xffff & ~(uint64_t)_mm_movemask_epi8((__m128i)(v == 0));
#else
	uint64_t bits = 0;

	for (uint32_t i = 0; i < LANES; i++)
		bits |= (uint64_t)(v[i] != 0) << i;
	return bits;
#endif
}

/* Rows of @n planes that are not 0 together, of @rows. */
static inline uint64_t any_set(const uint8_t (*p)[TILE], uint32_t n, uint32_t rows)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < rows; i += LANES) {
		v8 v = lanes(p[0] + i);

		if (n > 1)
			v |= lanes(p[1] + i);
		if (n > 2)
			v |= lanes(p[2] + i) | lanes(p[3] + i);
		bits |= not_zero(v) << i;
	}
	return bits;
}

/* Rows of four planes that are not all ones together. */
static uint64_t not_ones(const uint8_t (*p)[TILE], uint32_t rows)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < rows; i += LANES) {
		const v8 v = lanes(p[0] + i) & lanes(p[1] + i) & lanes(p[2] + i) & lanes(p[3] + i);

		bits |= not_zero(~v) << i;
	}
	return bits;
}

static void add_bits(struct block *b, unsigned int c, uint32_t row, uint64_t bits)
{
	uint64_t *v = b->valid[c] + row / 64;

	if (!bits)
		return;
	b->used[c / 64] |= UINT64_C(1) << c % 64;
	v[0] |= bits << row % 64;
	if (row % 64 && bits >> (64 - row % 64))
		v[1] |= bits >> (64 - row % 64);
}

/* ---- filling ---- */

static void put_numbers(const struct template_op *op, uint8_t *to, const uint8_t (*p)[TILE],
			uint32_t n)
{
	if (op->kind == EK_US32)
		join64(to, p, n);
	else if (op->len == 4)
		join32(to, p, n);
	else if (op->len == 2)
		join16(to, p, n);
	else
		memcpy(to, p[0], n);
}

/* Rows [@row, @row + @n) of the operation's column. */
static void fill_op(const struct fill *f, const struct template_op *op, const uint8_t (*p)[TILE],
		    uint32_t row, uint32_t n)
{
	const uint32_t size = block_columns[op->to].size, whole = (n + LANES - 1) / LANES * LANES;
	uint8_t *column = (uint8_t *)f->b->data[op->to] + (size_t)row * size;
	uint8_t some[TILE * sizeof(uint64_t)];
	uint64_t bits;

	/* what is written behind the last row is none's: of the next ones, if the column has those */
	put_numbers(op, row + whole <= BLOCK_ROWS ? column : some, p, whole);
	if (row + whole > BLOCK_ROWS)
		memcpy(column, some, (size_t)n * size);
	bits = op->kind == EK_US32 ? not_ones(p, n)
	       : op->len == 1	   ? any_set(p, 1, n)
	       : op->len == 2	   ? any_set(p, 2, n)
				   : any_set(p, 4, n);
	add_bits(f->b, op->to, row, bits & UINT64_MAX >> (64 - n));
}

unsigned int fill_windows(const struct fill *f)
{
	const struct template *t = f->t;
	const uint32_t n = f->r->n;
	unsigned int k = 0;

	if (n < FEW)
		return 0;
	for (unsigned int i = 0; i < t->windows_n; i++) {
		const struct template_window *w = &t->windows[i];
		const struct template_op at = {.anchor = w->anchor};
		const uint8_t *const *base = fill_base(f, &at);

		for (uint32_t row = 0; row < n; row += TILE) {
			const uint32_t rows = n - row < TILE ? n - row : TILE;
			struct planes of;

			split(&of, base + row, rows, w->off);
			for (unsigned int o = k; o < w->ops_end; o++)
				fill_op(f, &t->ops[o], of.p + (t->ops[o].off - w->off),
					f->row + row, rows);
		}
		k = w->ops_end;
	}
	return k;
}
