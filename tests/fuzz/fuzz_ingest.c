// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_ingest.c - messages of hostile exporters into blocks. The first byte of an input: bit 0 batches of
 * messages, bit 1 a stream, bit 2 templates saved and loaded between messages, bit 3 the rest is a file of
 * templates. Then messages, each two octets of length before it.
 * Covers: collector/ingest/columns.c collector/ingest/columns_list.c collector/ingest/columns_finish.c collector/ingest/template.c collector/ingest/decoder.c collector/ingest/pending.c collector/ingest/decode_ipfix.c collector/ingest/decode_netflow5.c collector/ingest/decode_sflow5.c collector/ingest/options.c collector/ingest/held.c collector/ingest/state.c collector/ingest/sequence.c
 * Options: -max_len=8192
 */
#include <stdlib.h>
#include <string.h>

#include "collector/block.h"
#include "collector/ingest/decoder.h"
#include "collector/ingest/ops.h"
#include "common/ipfix_get.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_US INT64_C(1700000000000000)

static struct block_pool *pool;
static uint64_t rows;

static void expect(bool is)
{
	if (!is)
		abort();
}

/* What every reader of a block relies on. */
static void look(struct block *b)
{
	expect(b->rows <= BLOCK_ROWS && b->text_len <= BLOCK_TEXT);
	for (unsigned int c = 0; c < _BC_MAX; c++) {
		for (uint32_t i = 0; block_is_used(b, c) && i < b->rows; i++) {
			const struct block_str *s = b->data[c];

			if (block_columns[c].type != BT_STR || !block_is_valid(b, c, i))
				continue;
			expect(s[i].len <= BLOCK_STR_MAX && s[i].at <= b->text_len &&
			       s[i].len <= b->text_len - s[i].at);
		}
	}
	for (uint32_t i = 0; b->rows && i < b->rows; i++)
		expect(block_is_valid(b, BC_END, i) && block_is_valid(b, BC_EXPORTER, i));
	for (uint32_t i = 0; i < b->marks_n; i++)
		expect(b->marks[i].from <= b->marks[i].to);
	rows += b->rows;
}

static void drain(void)
{
	struct block_pool_stats s;

	for (block_pool_stats(pool, &s); s.queued; block_pool_stats(pool, &s)) {
		struct block *b = block_receive(pool, 0);

		look(b);
		block_put(pool, b);
	}
}

static int committed(void *arg, uint32_t stream, uint64_t epoch, uint64_t *to)
{
	(void)arg;
	(void)stream;
	*to = epoch % 3 * 10;
	return epoch % 2 ? 0 : -2;
}

static void asked(void *arg, struct numbering *n)
{
	(void)arg;
	expect(n->e->address[0] != 255);
}

static void save_and_load(struct decoder *d, const struct decoder_cfg *cfg)
{
	struct decoder *again = decoder_new(cfg);
	uint8_t *p, *q;
	size_t n, m;

	if (again && !decoder_save(d, &p, &n)) {
		expect(!decoder_load(again, p, n));
		if (!decoder_save(again, &q, &m)) {
			expect(m == n && !memcmp(p, q, n));
			free(q);
		}
		free(p);
	}
	decoder_free(again);
}

static void messages(struct decoder *d, const struct decoder_cfg *cfg, const uint8_t *p, size_t len,
		     unsigned int flags)
{
	struct source from = {.address = {[15] = 1}, .port = 1, .stream = flags & 2};
	unsigned int n = 0;
	int64_t now = NOW_US;

	while (len >= 2) {
		const size_t claimed = get16(p), left = len - 2;
		const size_t size = claimed < left ? claimed : left;
		uint8_t *exact = malloc(size ? size : 1);

		if (!exact)
			return;
		memcpy(exact, p + 2, size);
		from.port = 1 + (n++ % 7 == 6);
		decoder_message(d, &from, exact, size, now);
		decoder_settle(d);
		free(exact);
		if (flags & 4)
			save_and_load(d, cfg);
		p += 2 + size;
		len -= 2 + size;
		now += 1000000;
		drain();
	}
	decoder_expire(d, now + INT64_C(3600000000));
	if (flags & 2)
		decoder_end(d, &from);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ingest_ops ops = {.committed = committed};
	struct decoder_cfg cfg = {
		.ops = &ops, .held_bytes = 4096, .sessions_max = 3, .numbering = asked};
	struct decoder *d;

	if (!size)
		return 0;
	pool = pool ? pool : block_pool_new(3);
	cfg.pool = pool;
	cfg.batch = data[0] & 1;
	cfg.exporters = exporters_new(&ops, NULL, 5);
	d = pool && cfg.exporters ? decoder_new(&cfg) : NULL;
	if (d && data[0] & 8)
		(void)decoder_load(d, data + 1, size - 1);
	else if (d)
		messages(d, &cfg, data + 1, size - 1, data[0]);
	decoder_free(d);
	if (pool)
		drain();
	exporters_free(cfg.exporters);
	return 0;
}
