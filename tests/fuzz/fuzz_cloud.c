// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_cloud.c - flow logs of clouds that are not what they should be. The first byte of an input: even
 * lines of AWS, odd JSON.
 * Covers: collector/ingest/cloud.c collector/ingest/cloud_json.c
 * Options: -max_len=4096
 */
#include <stdlib.h>
#include <string.h>

#include "collector/block.h"
#include "collector/ingest/cloud.h"
#include "collector/ingest/decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct block_pool *pool;
static struct exporters *exporters;
static struct decoder *d;

static void lines(struct cloud *c, const char *s, size_t len)
{
	while (len) {
		const char *end = memchr(s, '\n', len);
		const size_t n = end ? (size_t)(end - s) : len;

		cloud_aws_line(c, s, n);
		s += end ? n + 1 : n;
		len -= end ? n + 1 : n;
	}
}

static void objects(struct cloud *c, const char *s, size_t len)
{
	size_t at, n;

	while (!cloud_object(s, len, &at, &n)) {
		if (!n || at + n > len)
			abort();
		cloud_json(c, s + at, n);
		s += at + n;
		len -= at + n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct block_pool_stats st;
	struct cloud c;
	char *exact;

	if (!pool) {
		pool = block_pool_new(2);
		exporters = exporters_new(NULL, NULL, 100);
		d = decoder_new(&(struct decoder_cfg){.pool = pool, .exporters = exporters});
	}
	if (!size || !d)
		return 0;
	exact = malloc(size);
	if (!exact)
		return 0;
	memcpy(exact, data, size);
	cloud_init(&c, d, 1700000000000000);
	if (data[0] & 1)
		objects(&c, exact + 1, size - 1);
	else
		lines(&c, exact + 1, size - 1);
	free(exact);
	decoder_flush(d, INT64_MAX);
	for (block_pool_stats(pool, &st); st.queued; block_pool_stats(pool, &st))
		block_put(pool, block_receive(pool, 0));
	return 0;
}
