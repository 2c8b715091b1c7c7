// SPDX-License-Identifier: Apache-2.0
/*
 * test_ingest_columns.c - records that are decoded many at a time make the rows that they make one by one:
 * random templates of all kinds of numbers, as many records as fill a block to its last row.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "collector/block.h"
#include "collector/ingest/decoder.h"
#include "common/ipfix_get.h"

TestSuite(ingest_columns, .timeout = 600);

#define FIELDS	   40u
#define TEMPLATES  60u
#define AT_ONCE	   600u
#define ID	   256u
#define NOW_US	   INT64_C(1700000000000000)
#define ENTERPRISE 0x8000u
#define VARIABLE   65535u

struct field {
	uint16_t element;
	uint16_t len;
	uint32_t pen;
};

/* A number, an index, an address, a time, a text; weir's microseconds; what nobody knows. */
static const struct field known[] = {
	{154, 8, 0},	{155, 8, 0},	 {1, 8, 0},	 {2, 4, 0},	     {8, 4, 0},
	{12, 4, 0},	{27, 16, 0},	 {28, 16, 0},	 {7, 2, 0},	     {11, 2, 0},
	{4, 1, 0},	{6, 1, 0},	 {6, 2, 0},	 {10, 4, 0},	     {10, 2, 0},
	{14, 4, 0},	{16, 4, 0},	 {17, 4, 0},	 {9, 1, 0},	     {13, 1, 0},
	{52, 1, 0},	{53, 1, 0},	 {195, 1, 0},	 {136, 1, 0},	     {56, 6, 0},
	{80, 6, 0},	{61, 1, 0},	 {89, 1, 0},	 {15, 4, 0},	     {62, 16, 0},
	{227, 2, 0},	{228, 2, 0},	 {371, 16, 0},	 {371, VARIABLE, 0}, {96, VARIABLE, 0},
	{58, 2, 0},	{32473, 4, 9},	 {1, 4, 32473},	 {2, 4, 32473},	     {3, 4, 32473},
	{4, 4, 32473},	{7, 1, 32473},	 {8, 2, 32473},	 {10, 1, 32473},     {12, 4, 32473},
	{13, 1, 32473}, {14, 4, 32473},	 {15, 4, 32473}, {16, 4, 32473},     {52, 1, 29305},
	{1, 8, 29305},	{195, 1, 29305}, {305, 4, 0},	 {210, 3, 0},
};

static struct exporters *exporters;
static uint64_t state;
static struct field fields[FIELDS];
static uint32_t fields_n;
static uint8_t message[65536];

static uint32_t below(uint32_t n)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((state >> 33) % n);
}

static uint8_t *put(uint8_t *p, uint64_t v, uint32_t len)
{
	while (len--)
		*p++ = (uint8_t)(v >> 8 * len);
	return p;
}

static void send(struct decoder *const d[2], unsigned int which, uint8_t *end, uint32_t sequence)
{
	static const struct source from = {.address = {[10] = 0xff, 0xff, 192, 0, 2, 1}, .port = 9};
	const size_t len = (size_t)(end - message);
	uint8_t *exact = malloc(len); /* so that a sanitizer sees an octet too much */

	put(message, 10, 2);
	put(message + 2, len, 2);
	put(message + 4, NOW_US / 1000000, 4);
	put(message + 8, sequence, 4);
	put(message + 12, 7, 4);
	put(message + 18, len - 16, 2);
	memcpy(exact, message, len);
	cr_assert(zero(int, decoder_message(d[which], &from, exact, len, NOW_US)));
	decoder_settle(d[which]);
	free(exact);
}

/* A record has at most 160 octets, so that AT_ONCE of them are one message's. */
static uint8_t *make_template(void)
{
	uint8_t *p = put(message + 16, 2, 2) + 2;
	uint32_t room = 90;

	for (fields_n = 0; fields_n < FIELDS; fields_n++) {
		struct field *f = &fields[fields_n];

		*f = known[below(sizeof(known) / sizeof(known[0]))];
		if (f->len != VARIABLE && f->len > room)
			break;
		room -= f->len == VARIABLE ? 8 : f->len;
		if (room > 90)
			break;
	}
	p = put(put(p, ID, 2), fields_n, 2);
	for (uint32_t i = 0; i < fields_n; i++) {
		p = put(p, fields[i].element | (fields[i].pen ? ENTERPRISE : 0), 2);
		p = put(p, fields[i].len, 2);
		if (fields[i].pen)
			p = put(p, fields[i].pen, 4);
	}
	return p;
}

/* Zeros and ones, which may stand for absent, among other values. */
static uint8_t *make_record(uint8_t *p)
{
	for (uint32_t i = 0; i < fields_n; i++) {
		const uint32_t what = below(4);
		uint32_t len = fields[i].len;

		if (len == VARIABLE) {
			len = below(7);
			*p++ = (uint8_t)len;
		}
		for (; len; len--)
			*p++ = what == 0 ? 0 : what == 1 ? 0xff : (uint8_t)('0' + below(64));
	}
	return p;
}

static bool same_value(const struct block *a, const struct block *b, unsigned int c, uint32_t row)
{
	const size_t size = block_columns[c].size;
	const char *x = (const char *)a->data[c] + row * size;
	const char *y = (const char *)b->data[c] + row * size;
	struct block_str s, t;

	if (block_columns[c].type != BT_STR)
		return !memcmp(x, y, size);
	memcpy(&s, x, sizeof(s));
	memcpy(&t, y, sizeof(t));
	return s.len == t.len && !memcmp(a->text + s.at, b->text + t.at, s.len);
}

static void compare(const struct block *a, const struct block *b)
{
	cr_assert(eq(u32, a->rows, b->rows));
	for (unsigned int c = 0; c < _BC_MAX; c++) {
		for (uint32_t row = 0; row < a->rows; row++) {
			const bool is = block_is_used(a, c) && block_is_valid(a, c, row);

			const bool too = block_is_used(b, c) && block_is_valid(b, c, row);

			cr_assert(eq(int, is, too), "%s of row %u", block_columns[c].name, row);
			if (is)
				cr_assert(same_value(a, b, c, row), "%s of row %u",
					  block_columns[c].name, row);
		}
	}
}

static void both(struct decoder *const d[2])
{
	const uint32_t all = BLOCK_ROWS - below(3);
	uint8_t *end = make_template();
	uint32_t rows = 0;

	send(d, 0, end, 0);
	send(d, 1, end, 0);
	while (rows < all) {
		const uint32_t more = 1 + below(below(3) ? 20 : AT_ONCE);
		const uint32_t n = more < all - rows ? more : all - rows;
		static uint8_t records[65536];
		uint8_t *p = records, *from = records;

		for (uint32_t i = 0; i < n; i++, from = p) {
			p = make_record(p);
			put(message + 16, ID, 2);
			memcpy(message + 20, from, (size_t)(p - from));
			send(d, 0, message + 20 + (p - from), rows + i);
		}
		put(message + 16, ID, 2);
		memcpy(message + 20, records, (size_t)(p - records));
		send(d, 1, message + 20 + (p - records), rows);
		rows += n;
	}
	for (unsigned int k = 0; k < 2; k++)
		decoder_flush(d[k], NOW_US + 1);
}

Test(ingest_columns, many_records_make_the_rows_of_one_at_a_time)
{
	struct block_pool *pool[2] = {block_pool_new(2), block_pool_new(2)};
	struct decoder *d[2];

	exporters = exporters_new(NULL, NULL, 16);
	for (unsigned int k = 0; k < 2; k++)
		d[k] = decoder_new(&(struct decoder_cfg){
			.exporters = exporters, .pool = pool[k], .batch = k == 1});
	for (uint32_t i = 0; i < TEMPLATES; i++) {
		struct block *b[2];

		state = i;
		both(d);
		for (unsigned int k = 0; k < 2; k++) {
			b[k] = block_receive(pool[k], 0);
			cr_assert(b[k] != NULL);
		}
		cr_assert(gt(u32, b[0]->rows, BLOCK_ROWS - 3));
		compare(b[0], b[1]);
		for (unsigned int k = 0; k < 2; k++)
			block_put(pool[k], b[k]);
	}
	for (unsigned int k = 0; k < 2; k++) {
		decoder_free(d[k]);
		block_pool_free(pool[k]);
	}
	exporters_free(exporters);
}
