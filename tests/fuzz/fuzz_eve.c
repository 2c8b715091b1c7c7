// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_eve.c - what claims to be EVE, in pieces: lines, alerts in them, what waits and what goes by. Whatever
 * comes, counts add up, and no more waits than may.
 * Covers: collector/eve/eve_line.c collector/eve/eve_lines.c collector/eve/eve_join.c collector/eve/eve_past.c
 * Options: -max_len=4096
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "collector/block.h"
#include "collector/eve/eve_join.h"
#include "collector/eve/eve_lines.h"

#define WAITING 16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct block_pool *pool;

struct run {
	struct eve_join *j;
	struct block *b; /* a flow of each alert that could be read, once they are all there */
	uint64_t alerts;
};

static void on_line(void *arg, const char *s, size_t len)
{
	struct run *r = arg;
	struct json_t *doc = NULL;
	struct eve_alert a;

	if (!s || eve_read_line(s, len, &a, &doc) != EC_ALERTS)
		return;
	if (a.signature.len > EVE_TEXT_MAX || (a.flow.family != 4 && a.flow.family != 6))
		abort();
	eve_join_alert(r->j, &a, 0, r->alerts++);
	a.flow.end_ns = a.time_us * 1000;
	(void)block_add_flow(r->b, &a.flow, 1); /* a full block takes no more */
	json_decref(doc);
}

static void read_all(struct run *r, const uint8_t *data, size_t size)
{
	const struct eve_sink to = {on_line, r};
	struct eve_lines l;

	if (eve_lines_init(&l))
		return;
	for (size_t at = 0; at < size;) {
		size_t room, n = 1 + data[at] % 61u;
		char *p = eve_lines_room(&l, &room);

		n = n > size - at ? size - at : n;
		memcpy(p, data + at, n);
		eve_lines_took(&l, n, &to);
		at += n;
	}
	eve_lines_end(&l, &to);
	eve_lines_done(&l);
}

static void check(struct run *r)
{
	struct eve_join_stats st;
	uint64_t sum;

	eve_join_stats(r->j, 0, &st);
	sum = st.waiting + eve_join_count(r->j, 0, EC_JOINED) + eve_join_count(r->j, 0, EC_FULL) +
	      eve_join_count(r->j, 0, EC_MEMORY) + eve_join_count(r->j, 0, EC_UNMATCHED);
	if (sum != r->alerts || st.waiting > WAITING)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct eve_join_cfg cfg = {.window_ms = 1000,
					 .skew_us = 1000,
					 .waiting = WAITING,
					 .history = 1 << 20,
					 .sources = 1};
	struct run r = {.j = eve_join_new(&cfg)};
	struct block *late;

	if (!pool)
		pool = block_pool_new(2);
	r.b = block_get(pool);
	late = block_get(pool);
	read_all(&r, data, size);
	check(&r);
	eve_join_late(r.j, late);
	eve_join_block(r.j, r.b, 1);
	check(&r);
	eve_join_late(r.j, late);
	check(&r);
	if (late->rows > r.alerts)
		abort();
	eve_join_expire(r.j, UINT32_MAX);
	check(&r);
	block_put(pool, r.b);
	block_put(pool, late);
	eve_join_free(r.j);
	return 0;
}
