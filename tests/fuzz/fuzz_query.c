// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_query.c - any text as a question: what the spec takes, the store's engine prepares. The first
 * line is a filter, the others are KEY=VALUE. Without libduckdb the SQL is made and nothing asks.
 *
 * Covers: collector/query/spec.c collector/query/plan.c collector/query/filter_sql.c collector/query/column.c collector/query/bound.c
 * Options: -max_len=2048
 */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/query/plan.h"
#include "collector/query/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* What the engine's own threads hold at the moment of a check looks lost. All C++ here is its. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libduckdb\nleak:libstdc++\n";
}

static struct store *store;
static char dir[] = "/tmp/weir-fuzz-XXXXXX";

static int unlink_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void close_store(void)
{
	store_close(store);
	nftw(dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void open_store(void)
{
	static bool tried;
	static struct block_pool *pool;
	struct store_cfg cfg = {.dir = dir, .threads = 1, .memory_bytes = 128u << 20};
	char error[STORE_ERROR];

	if (tried)
		return;
	tried = true;
	pool = block_pool_new(4);
	cfg.pool = pool;
	if (!pool || !mkdtemp(dir) || store_open(&cfg, error, &store))
		store = NULL;
	else
		atexit(close_store);
}

/* Return: false: the text is no question. */
static bool read_spec(char *text, struct spec *q)
{
	char why[SPEC_ERROR];

	spec_init(q, SPEC_TOP, INT64_C(1790000000000000));
	for (char *line = text, *next; line; line = next) {
		next = strchr(line, 0x0a);
		if (next)
			*next++ = 0;
		char *eq = line == text ? NULL : strchr(line, '=');

		if (line == text) {
			if (spec_set(q, "filter", line[0] == '-' ? "" : line, why))
				return false;
		} else if (eq) {
			*eq = 0;
			if (spec_set(q, line, eq + 1, why) && !*why)
				abort();
		}
	}
	return !spec_finish(q, why);
}

static void prepare(const struct spec *q)
{
	struct plan plan = {};
	char error[STORE_ERROR] = "";
	struct store_result *r = NULL;
	int e = plan_make(store, q, &plan, error);

	if (e && !*error)
		abort();
	if (!e) {
		const struct store_query sq = {
			.sql = plan.sql.text, .values = plan.sql.values, .values_n = plan.sql.n};

		e = store_select(store, &sq, error, &r);
		if (e && e != -ENOMEM) {
			fprintf(stderr, "%s\n%s\n", error, plan.sql.text);
			abort();
		}
	}
	store_result_free(r);
	plan_done(&plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct spec q;
	char *text = malloc(size + 1);

	open_store();
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	if (read_spec(text, &q) && q.what == SPEC_TOP && store)
		prepare(&q);
	free(text);
	return 0;
}
