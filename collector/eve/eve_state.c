// SPDX-License-Identifier: Apache-2.0
#include "collector/eve/eve_state.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/eve/eve_join.h"
#include "collector/eve/eve_line.h"
#include "collector/store/schema.h"
#include "common/scan.h"

#define VERSION	   1
#define PATH_BYTES 4096u
#define SEEN_FIRST 1024u

/* ---- places ---- */

void eve_points_alert(struct eve_points *p, uint64_t time_us)
{
	struct eve_point *last = p->n ? &p->v[p->n - 1] : NULL;

	if (last && time_us < last->oldest_us)
		last->oldest_us = time_us;
}

static bool same_file(const struct eve_position *a, const struct eve_position *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

bool eve_points_add(struct eve_points *p, const struct eve_position *pos, uint64_t now_ms,
		    uint64_t keep_ms)
{
	const struct eve_point one = {.at_ms = now_ms, .oldest_us = UINT64_MAX, .pos = *pos};
	const bool other = !p->n || !same_file(pos, &p->v[p->n - 1].pos);
	uint32_t gone = 0;

	if (!other && now_ms - p->v[p->n - 1].at_ms < keep_ms / (EVE_POINTS - 4))
		return false;
	/* the first that is old enough is where to begin again */
	while (gone + 1 < p->n && now_ms - p->v[gone + 1].at_ms >= keep_ms)
		gone++;
	memmove(p->v, p->v + gone, (p->n - gone) * sizeof(*p->v));
	p->n -= gone;
	if (p->n ==
	    EVE_POINTS) { /* files came too quickly: the oldest place stands for the next one too */
		p->v[1] = p->v[0];
		memmove(p->v, p->v + 1, --p->n * sizeof(*p->v));
	}
	p->v[p->n++] = one;
	return gone || other;
}

/* Where to begin, and the files that came afterwards. */
static void chain_of(const struct eve_points *p, struct eve_chain *ret)
{
	ret->n = 0;
	for (uint32_t i = 0; i < p->n && ret->n < EVE_CHAIN; i++) {
		if (i && same_file(&p->v[i].pos, &p->v[i - 1].pos))
			continue;
		ret->v[ret->n] = p->v[i].pos;
		if (i) {
			ret->v[ret->n].offset = 0;
			ret->v[ret->n].before = EVE_HASH;
		}
		ret->n++;
	}
}

static uint64_t oldest(const struct eve_points *p)
{
	uint64_t us = UINT64_MAX;

	for (uint32_t i = 0; i < p->n; i++)
		us = p->v[i].oldest_us < us ? p->v[i].oldest_us : us;
	return us == UINT64_MAX ? 0 : us;
}

/* ---- the file ---- */

/* 64 bits do not fit into JSON's numbers everywhere. */
static bool hex_of(const json_t *o, const char *name, uint64_t *ret)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s && !scan_hex(s, UINT64_MAX, ret);
}

static bool position_of(const json_t *o, struct eve_position *ret)
{
	return hex_of(o, "dev", &ret->dev) && hex_of(o, "ino", &ret->ino) &&
	       hex_of(o, "offset", &ret->offset) && hex_of(o, "before", &ret->before);
}

bool eve_state_read(const char *path, const char *source, struct eve_saved *ret)
{
	json_t *o = json_load_file(path, 0, NULL);
	const json_t *f = json_object_get(json_object_get(o, "files"), source);
	const json_t *chain = json_object_get(f, "chain"), *one;
	bool yes = json_integer_value(json_object_get(o, "version")) == VERSION &&
		   json_array_size(chain) <= EVE_CHAIN && hex_of(f, "oldest_us", &ret->oldest_us);
	size_t i;

	ret->chain.n = 0;
	json_array_foreach(chain, i, one)
		yes = yes && position_of(one, &ret->chain.v[ret->chain.n++]);
	json_decref(o);
	return yes;
}

static void put_hex(json_t *o, const char *name, uint64_t v)
{
	char text[20];

	snprintf(text, sizeof(text), "%llx", (unsigned long long)v);
	json_object_set_new(o, name, json_string(text));
}

static json_t *position_json(const struct eve_position *p)
{
	json_t *o = json_object();

	put_hex(o, "dev", p->dev);
	put_hex(o, "ino", p->ino);
	put_hex(o, "offset", p->offset);
	put_hex(o, "before", p->before);
	return o;
}

static json_t *file_json(const struct eve_points *p)
{
	json_t *f = json_object(), *list = json_array();
	struct eve_chain chain;

	chain_of(p, &chain);
	for (uint32_t i = 0; i < chain.n; i++)
		json_array_append_new(list, position_json(&chain.v[i]));
	put_hex(f, "oldest_us", oldest(p));
	json_object_set_new(f, "chain", list);
	return f;
}

static json_t *state_of(const struct eve_state_row *rows, uint32_t n)
{
	json_t *files = json_object();

	for (uint32_t i = 0; i < n; i++)
		json_object_set_new(files, rows[i].source, file_json(rows[i].points));
	return json_pack("{s:i,s:o}", "version", VERSION, "files", files);
}

static int write_durably(const json_t *o, const char *path)
{
	FILE *out = fopen(path, "we");
	int r = 0;

	if (!out)
		return -errno;
	if (json_dumpf(o, out, JSON_INDENT(1)) || fflush(out) || fsync(fileno(out)))
		r = -EIO;
	return fclose(out) ? -EIO : r;
}

int eve_state_write(const char *path, const struct eve_state_row *rows, uint32_t n)
{
	char next[PATH_BYTES];
	json_t *o;
	int r;

	if (snprintf(next, sizeof(next), "%s.new", path) >= (int)sizeof(next))
		return -ENAMETOOLONG;
	o = state_of(rows, n);
	r = o ? write_durably(o, next) : -ENOMEM;
	if (!r && rename(next, path))
		r = -errno;
	json_decref(o);
	return r;
}

/* ---- what the store has ---- */

static const uint16_t columns[] = {BC_SRC_HI,	 BC_SRC_LO,   BC_DST_HI, BC_DST_LO,
				   BC_SRC_PORT,	 BC_DST_PORT, BC_PROTO,	 BC_ICMP_TYPE,
				   BC_ICMP_CODE, BC_IDS_TIME, BC_IDS_SID};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

struct seen {
	uint64_t *v;
	size_t n, cap;
	struct block *row; /* room for one */
};

static char *sql_of(struct store *s, int64_t from_us)
{
	struct flow_source_cfg source = {.range = {from_us, INT64_MAX}};
	char *from = NULL, *sql = NULL;
	size_t len;
	FILE *out;

	for (unsigned int i = 0; i < COLUMNS; i++)
		flow_source_add(&source, columns[i]);
	if (store_source(s, &source, &from))
		return NULL;
	out = open_memstream(&sql, &len);
	for (unsigned int i = 0; out && i < COLUMNS; i++)
		fprintf(out, "%s%s", i ? ", " : "SELECT ", flow_source_name(columns[i]));
	if (out)
		fprintf(out, " FROM %s AS f WHERE ids_sid IS NOT NULL", from);
	free(from);
	if (out && !fclose(out))
		return sql;
	free(sql);
	return NULL;
}

static uint64_t value(const struct store_result *res, uint32_t column, uint32_t row, bool *ret_has)
{
	struct store_value v;

	*ret_has = store_get(res, column, row, &v);
	return *ret_has ? v.u : 0;
}

/* The row's hash. */
static uint64_t hash_row(const struct store_result *res, uint32_t row, struct block *b)
{
	struct flow_record r;
	uint64_t sid = 0, us = 0;

	block_drop_row(b, 0);
	for (uint32_t i = 0; i < COLUMNS; i++) {
		bool has;
		const uint64_t v = value(res, i, row, &has);

		if (columns[i] == BC_IDS_TIME)
			us = v;
		else if (columns[i] == BC_IDS_SID)
			sid = v;
		else if (has) {
			memcpy(b->data[columns[i]], &v,
			       block_columns[columns[i]].size); /* little endian */
			block_set_valid(b, columns[i], 0);
		}
	}
	return block_get_tuple(b, 0, &r) ? eve_join_hash(&r, (uint32_t)sid, us) : 0;
}

static int add(struct seen *s, uint64_t hash)
{
	if (s->n == s->cap) {
		const size_t cap = s->cap ? s->cap * 2 : SEEN_FIRST;
		uint64_t *v = reallocarray(s->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = hash;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int take_all(struct store_result *res, struct seen *s)
{
	uint32_t n;
	int r;

	while (!(r = store_next(res, &n)))
		for (uint32_t row = 0; row < n; row++)
			if (add(s, hash_row(res, row, s->row)))
				return -ENOMEM;
	return r == -ENODATA ? 0 : r;
}

int eve_state_seen(struct store *s, int64_t from_us, char error[STORE_ERROR], uint64_t **ret,
		   size_t *ret_n)
{
	struct block_pool *pool = block_pool_new(1);
	struct seen seen = {.row = pool ? block_get(pool) : NULL};
	struct store_result *res = NULL;
	struct store_query q = {};
	char *sql = sql_of(s, from_us);
	int r = sql && seen.row ? 0 : -ENOMEM;

	q.sql = sql;
	r = r ?: store_select(s, &q, error, &res);
	r = r ?: take_all(res, &seen);
	store_result_free(res);
	free(sql);
	if (seen.row)
		block_put(pool, seen.row);
	block_pool_free(pool);
	if (r) {
		free(seen.v);
		return r;
	}
	qsort(seen.v, seen.n, sizeof(*seen.v), by_value);
	*ret = seen.v;
	*ret_n = seen.n;
	return 0;
}
