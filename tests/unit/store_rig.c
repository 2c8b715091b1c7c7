// SPDX-License-Identifier: Apache-2.0
/*
 * store_rig.c - see store_rig.h.
 */
#include "store_rig.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block_dirt.h"

static void complain(void *arg, const char *message)
{
	struct store_rig *g = arg;

	if (g->said_n < 8)
		snprintf(g->said[g->said_n++], sizeof(g->said[0]), "%.255s", message);
}

static void committed(void *arg, uint32_t stream, uint64_t epoch, uint64_t to)
{
	struct store_rig *g = arg;

	(void)epoch;
	if (stream < 8)
		g->committed[stream] = to;
}

int store_rig_open_again(struct store_rig *g)
{
	int r;

	g->pool = block_pool_new(40);
	cr_assert(ne(ptr, g->pool, NULL));
	g->cfg.pool = g->pool;
	r = store_open(&g->cfg, g->error, &g->s);
	if (r < 0)
		g->pool = block_pool_free(g->pool);
	return r;
}

static void add_exporters(struct store_rig *g)
{
	static const char *const nodes[] = {"web1", "web2", "edge"};

	for (uint32_t i = 0; i < 3; i++) {
		struct store_exporter e = {.domain = i,
					   .node = {nodes[i], (uint32_t)strlen(nodes[i])}};
		uint32_t id, stream;

		memcpy(e.address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01", 16);
		cr_assert(eq(int, store_exporter(g->s, &e, &id, &stream), 0));
		cr_assert(eq(u32, id, i + 1));
		cr_assert(eq(u32, stream, i + 1));
		cr_assert(eq(int, store_interface(g->s, id, 2, (struct flow_str){"eth0", 4}), 0));
	}
}

bool store_rig_open(struct store_rig *g, const struct store_cfg *cfg)
{
	int r;

	memset(g, 0, sizeof(*g));
	snprintf(g->dir, sizeof(g->dir), "/tmp/weir-store-XXXXXX");
	cr_assert(ne(ptr, mkdtemp(g->dir), NULL));
	if (cfg)
		g->cfg = *cfg;
	g->cfg.dir = g->dir;
	if (!g->cfg.keep_1m_s) /* the tests' flows are old */
		g->cfg.keep_1m_s = g->cfg.keep_5m_s = g->cfg.keep_1h_s = UINT64_C(3000000000);
	g->cfg.complain = complain;
	g->cfg.committed = committed;
	g->cfg.arg = g;
	g->from = INT64_MIN;
	g->to = INT64_MAX;
	r = store_rig_open_again(g);
	if (r == -ENOSYS) {
		store_rig_done(g);
		cr_skip_test("%s", g->error);
		return false;
	}
	cr_assert(eq(int, r, 0), "%s", g->error);
	add_exporters(g);
	return true;
}

void store_rig_close(struct store_rig *g)
{
	g->s = store_close(g->s);
	g->pool = block_pool_free(g->pool);
}

void store_rig_reopen(struct store_rig *g)
{
	store_rig_close(g);
	cr_assert(eq(int, store_rig_open_again(g), 0), "%s", g->error);
}

static int unlink_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void store_rig_done(struct store_rig *g)
{
	store_rig_close(g);
	nftw(g->dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

void store_rig_send(struct store_rig *g, struct rows *rows, uint32_t n)
{
	while (n) {
		struct block *b = block_get_wait(g->pool, 60000);
		struct block_mark m = {.stream = 1, .epoch = 7, .from = rows->n};

		cr_assert(ne(ptr, b, NULL));
		m.rows = rows_fill(rows, block_dirty(b), n);
		m.to = rows->n;
		block_mark(b, &m);
		n -= m.rows;
		block_send(g->pool, b);
	}
}

void store_rig_spoil(const struct store_rig *g, const char *pattern, off_t at, size_t n)
{
	char path[128], junk[4096];
	glob_t found;
	int fd;

	memset(junk, 0x5a, sizeof(junk));
	snprintf(path, sizeof(path), "%s/%s", g->dir, pattern);
	cr_assert(eq(int, glob(path, 0, NULL, &found), 0), "%s", path);
	fd = open(found.gl_pathv[0], O_WRONLY);
	cr_assert(ge(int, fd, 0));
	for (size_t done = 0; done < n; done += sizeof(junk))
		cr_assert(eq(i64, pwrite(fd, junk, sizeof(junk), at + (off_t)done), sizeof(junk)));
	close(fd);
	globfree(&found);
}

void store_rig_fill_two(struct store_rig *g)
{
	struct rows rows;

	rows_init(&rows, 5, STORE_RIG_T0, 50000);
	store_rig_send(g, &rows, 30000);
	rows.end_us = STORE_RIG_T0 + 3600000000;
	store_rig_send(g, &rows, 10000);
	cr_assert(eq(int, store_flush(g->s), 0));
}

/* Return: 0, or -errno with the reason in g->error: a partition may go, or become another, meanwhile. */
static int try_number(struct store_rig *g, const char *sql, uint64_t *ret)
{
	struct store_query q = {.sql = sql};
	struct store_result *r = NULL;
	struct store_value v = {0};
	uint32_t n;
	int e = store_select(g->s, &q, g->error, &r);

	if (e)
		return e;
	e = store_next(r, &n);
	if (e)
		snprintf(g->error, sizeof(g->error), "%s", store_error(r));
	else
		store_get(r, 0, 0, &v);
	store_result_free(r);
	*ret = v.u;
	return e;
}

#define TRIES 5

uint64_t store_rig_number(struct store_rig *g, const char *sql)
{
	struct flow_source_cfg cfg = {.range = {g->from, g->to}};
	const char *at = strstr(sql, "%s");
	uint64_t v = 0;
	int e = -EIO;

	cr_assert(at != NULL);
	for (unsigned int c = 0; c < _FS_MAX; c++)
		flow_source_add(&cfg, c);
	for (unsigned int i = 0; e && i < TRIES; i++) {
		char *from, *all = NULL;

		cr_assert(eq(int, store_source(g->s, &cfg, &from), 0));
		cr_assert(gt(int, asprintf(&all, "%.*s%s s %s", (int)(at - sql), sql, from, at + 2),
			     0));
		e = try_number(g, all, &v);
		free(from);
		free(all);
	}
	cr_assert(eq(int, e, 0), "%s: %s", g->error, sql);
	return v;
}

uint64_t store_rig_rollup(struct store_rig *g, enum rollup_by by, uint32_t step, const char *what)
{
	struct rollup_cfg cfg = {.range = {g->from, g->to}, .by = by, .step = step};
	uint64_t v = 0;
	int e = -EIO;

	if (g->from == INT64_MIN)
		cfg.range = (struct flow_range){0, INT64_C(4000000000000000)};
	for (unsigned int i = 0; e && i < TRIES; i++) {
		char *from, *all = NULL;

		cr_assert(eq(int, store_rollup(g->s, &cfg, &from), 0));
		cr_assert(
			gt(int, asprintf(&all, "SELECT coalesce(%s, 0) FROM %s r", what, from), 0));
		e = try_number(g, all, &v);
		free(from);
		free(all);
	}
	cr_assert(eq(int, e, 0), "%s: %s", g->error, what);
	return v;
}
