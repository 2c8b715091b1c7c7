// SPDX-License-Identifier: Apache-2.0
/*
 * state.c - state.db: what makes a batch count, and the numbers of exporters, interfaces and zones.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/put.h"
#include "collector/store/rollup.h"
#include "collector/store/store_int.h"

/* Step i brings version i to i + 1. */
static const char *const migrations[] = {
	"CREATE TABLE meta(key VARCHAR, value UBIGINT);"
	"INSERT INTO meta VALUES ('schema_version', 1), ('last_batch', 0), ('partition_s', 0);"
	"CREATE TABLE exporters(id UINTEGER, stream UINTEGER, node UINTEGER, hi UBIGINT, lo UBIGINT,"
	" domain UINTEGER, name VARCHAR, labels VARCHAR);"
	"CREATE TABLE interfaces(stream UINTEGER, idx UINTEGER, name VARCHAR);"
	"CREATE TABLE zones(id UINTEGER, name VARCHAR);"
	"CREATE TABLE committed(stream UINTEGER, epoch UBIGINT, upto UBIGINT);"
	"CREATE TABLE partitions(start_s BIGINT, writing UINTEGER, cold UINTEGER, rows UBIGINT,"
	" min_us BIGINT, max_us BIGINT);"
	"CREATE TABLE windows(level UINTEGER, ts BIGINT, from_batch UINTEGER);"
	"CREATE TABLE rollup_1m(ts BIGINT, dim UTINYINT, key UBIGINT, batch UINTEGER," ROLLUP_COUNTS
	");"
	"CREATE TABLE rollup_5m(ts BIGINT, dim UTINYINT, key UBIGINT, batch UINTEGER," ROLLUP_COUNTS
	");"
	"CREATE TABLE rollup_1h(ts BIGINT, dim UTINYINT, key UBIGINT, batch UINTEGER," ROLLUP_COUNTS
	");"
	"CREATE TABLE rollup_host(ts BIGINT, other BOOLEAN, hi UBIGINT, lo UBIGINT, peers UINTEGER,"
	" batch UINTEGER," ROLLUP_COUNTS ");"
	"CREATE TABLE rollup_pair(ts BIGINT, other BOOLEAN, src_hi UBIGINT, src_lo UBIGINT,"
	" dst_hi UBIGINT, dst_lo UBIGINT, batch UINTEGER," ROLLUP_COUNTS ");"
	"CREATE TABLE rollup_name(ts BIGINT, other BOOLEAN, name VARCHAR, batch UINTEGER," ROLLUP_COUNTS
	");",
	"CREATE TABLE asns(id UINTEGER, name VARCHAR, batch UINTEGER);",
};

_Static_assert(sizeof(migrations) / sizeof(migrations[0]) == SCHEMA_VERSION, "a step per version");

void *names_add(struct names *n, size_t size)
{
	if (n->n == n->cap) {
		uint32_t cap = n->cap ? n->cap * 2 : 64;
		void *v = realloc(n->v, cap * size);

		if (!v)
			return NULL;
		n->v = v;
		n->cap = cap;
	}
	memset((char *)n->v + n->n * size, 0, size);
	return (char *)n->v + n->n++ * size;
}

static void forget_names(struct names *n)
{
	for (uint32_t i = 0; i < n->n; i++)
		free(((struct interface *)n->v)[i].name);
	free(n->v);
	*n = (struct names){0};
}

void state_forget(struct store *s)
{
	struct exporter *e = s->exporters.v;

	while (s->partitions) {
		struct partition *next = s->partitions->next;
		char ignored[STORE_ERROR];

		if (s->c && s->partitions->attached)
			partition_detach(s, s->partitions, s->c, ignored);
		free(s->partitions);
		s->partitions = next;
	}
	for (uint32_t i = 0; i < s->exporters.n; i++) {
		free(e[i].name);
		free(e[i].labels);
	}
	free(e);
	s->exporters = (struct names){0};
	forget_names(&s->interfaces);
	forget_names(&s->zones);
	forget_names(&s->asns);
	free(s->committed.v);
	s->committed = (struct names){0};
}

static int copy_text(const struct duck_row *r, unsigned int column, char **ret, uint32_t *ret_len)
{
	const char *s = duck_text(r, column, ret_len);

	*ret = strndup(s, *ret_len);
	return *ret ? 0 : -ENOMEM;
}

/* ---- loading ---- */

static int load_exporter(void *arg, const struct duck_row *r)
{
	struct store *s = arg;
	struct exporter *e = names_add(&s->exporters, sizeof(*e));
	uint64_t half[2] = {htobe64(duck_u64(r, 3)), htobe64(duck_u64(r, 4))};

	if (!e)
		return -ENOMEM;
	e->id = duck_u32(r, 0);
	e->stream = duck_u32(r, 1);
	e->node = duck_u32(r, 2);
	memcpy(e->address, half, sizeof(half));
	e->domain = duck_u32(r, 5);
	if (copy_text(r, 6, &e->name, &e->name_len))
		return -ENOMEM;
	return copy_text(r, 7, &e->labels, &e->labels_len);
}

static int load_interface(void *arg, const struct duck_row *r)
{
	struct names *to = arg;
	struct interface *i = names_add(to, sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->stream = duck_u32(r, 0);
	i->index = duck_u32(r, 1);
	return copy_text(r, 2, &i->name, &i->len);
}

static int load_committed(void *arg, const struct duck_row *r)
{
	struct store *s = arg;
	struct committed *c = names_add(&s->committed, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct committed){
		.stream = duck_u32(r, 0), .epoch = duck_u64(r, 1), .to = duck_u64(r, 2)};
	return 0;
}

static int load_partition(void *arg, const struct duck_row *r)
{
	struct store *s = arg;
	struct partition *p = partition_make(s, (int64_t)duck_u64(r, 0));

	if (!p)
		return -ENOMEM;
	p->writing = duck_u32(r, 1);
	p->cold = (uint8_t)duck_u32(r, 2);
	p->rows = duck_u64(r, 3);
	p->min_us = (int64_t)duck_u64(r, 4);
	p->max_us = (int64_t)duck_u64(r, 5);
	return 0;
}

static int load(struct store *s, char *error)
{
	int r = duck_each(s->c, error, "SELECT * FROM exporters ORDER BY id",
			  &(struct duck_taker){load_exporter, s});

	if (!r)
		r = duck_each(s->c, error, "SELECT * FROM interfaces",
			      &(struct duck_taker){load_interface, &s->interfaces});
	if (!r)
		r = duck_each(s->c, error, "SELECT 0::UINTEGER, id, name FROM zones ORDER BY id",
			      &(struct duck_taker){load_interface, &s->zones});
	if (!r)
		r = duck_each(s->c, error, "SELECT * FROM committed",
			      &(struct duck_taker){load_committed, s});
	if (!r)
		r = duck_each(s->c, error, "SELECT * FROM partitions",
			      &(struct duck_taker){load_partition, s});
	s->exporters.saved = s->exporters.n;
	s->interfaces.saved = s->interfaces.n;
	s->zones.saved = s->zones.n;
	if (!r)
		r = duck_number(s->c, error, "SELECT count(*)::UBIGINT FROM asns", &s->asns_before);
	return r;
}

static int migrate(struct store *s, uint64_t version, char *error)
{
	int r = 0;

	if (version == SCHEMA_VERSION)
		return 0;
	if (version > SCHEMA_VERSION || s->cfg.read_only) {
		snprintf(error, STORE_ERROR,
			 "%s: version %llu of the store, this is for version %u", s->dir,
			 (unsigned long long)version, SCHEMA_VERSION);
		return -EPROTO;
	}
	r = duck_exec(s->c, error, "BEGIN");
	for (; !r && version < SCHEMA_VERSION; version++)
		r = duck_exec(s->c, error, "%s", migrations[version]);
	if (!r)
		r = duck_exec(
			s->c, error,
			"UPDATE meta SET value = %u WHERE key = 'schema_version';"
			"UPDATE meta SET value = %u WHERE key = 'partition_s' AND value = 0; COMMIT",
			SCHEMA_VERSION, s->cfg.partition_s);
	return r;
}

int state_open(struct store *s, char *error)
{
	uint64_t n = 0, version = 0;
	int r = duck_number(
		s->c, error,
		"SELECT count(*)::UBIGINT FROM duckdb_tables() WHERE table_name = 'meta' AND "
		"database_name = current_database()",
		&n);

	if (!r && n)
		r = duck_number(s->c, error, "SELECT value FROM meta WHERE key = 'schema_version'",
				&version);
	if (!r)
		r = migrate(s, version, error);
	if (!r)
		r = duck_number(s->c, error, "SELECT value FROM meta WHERE key = 'last_batch'", &n);
	if (r)
		return r;
	s->last_batch = (uint32_t)n;
	r = duck_number(s->c, error, "SELECT count(*)::UBIGINT FROM meta WHERE key = 'sampled'",
			&n);
	s->sampled_saved = !r && n;
	if (s->sampled_saved)
		__atomic_store_n(&s->sampled, true, __ATOMIC_RELAXED);
	if (!r)
		r = duck_number(s->c, error, "SELECT value FROM meta WHERE key = 'partition_s'",
				&n);
	if (r)
		return r;
	if (n != s->cfg.partition_s)
		store_complain(s, "%s: partitions of %llu s, as the store was made; not %u s",
			       s->dir, (unsigned long long)n, s->cfg.partition_s);
	s->cfg.partition_s = (uint32_t)n;
	return load(s, error);
}

/* ---- saving ---- */

/* Values of a row, in order; texts are of the caller. */
#define NUM(x)                           \
	{                                \
		.type = ST_U64, .u = (x) \
	}
#define TEXT(p, n_)                                            \
	{                                                      \
		.type = ST_TEXT, .s = {.s = (p), .len = (n_) } \
	}

static int save_exporters(struct store *s, uint32_t upto, char *error)
{
	int r = 0;

	for (uint32_t i = s->exporters.saved; i < upto && !r; i++) {
		struct exporter e;
		uint64_t half[2];

		pthread_mutex_lock(&s->names);
		e = ((struct exporter *)s->exporters.v)[i];
		pthread_mutex_unlock(&s->names);
		memcpy(half, e.address, sizeof(half));
		struct store_value v[] = {NUM(e.id),
					  NUM(e.stream),
					  NUM(e.node),
					  NUM(be64toh(half[0])),
					  NUM(be64toh(half[1])),
					  NUM(e.domain),
					  TEXT(e.name, e.name_len),
					  TEXT(e.labels, e.labels_len)};

		r = duck_run(s->c, error, "INSERT INTO exporters VALUES ($1,$2,$3,$4,$5,$6,$7,$8)",
			     v, 8);
	}
	return r;
}

static int save_names(struct store *s, struct names *n, uint32_t upto, char *error)
{
	bool zones = n == &s->zones;
	int r = 0;

	for (uint32_t i = n->saved; i < upto && !r; i++) {
		struct interface f;

		pthread_mutex_lock(&s->names);
		f = ((struct interface *)n->v)[i];
		pthread_mutex_unlock(&s->names);
		struct store_value v[] = {NUM(f.stream), NUM(f.index), TEXT(f.name, f.len)};

		if (!zones)
			r = duck_run(s->c, error,
				     "DELETE FROM interfaces WHERE stream = $1 AND idx = $2", v, 2);
		if (!r && zones)
			r = duck_run(s->c, error, "INSERT INTO zones VALUES ($1,$2)", v + 1, 2);
		else if (!r)
			r = duck_run(s->c, error, "INSERT INTO interfaces VALUES ($1,$2,$3)", v, 3);
	}
	return r;
}

/* Rows are only added: of several for a number the latest counts. */
static int save_asns(struct store *s, uint32_t upto, uint32_t batch, char *error)
{
	struct put *p;
	int r;

	if (s->asns.saved == upto)
		return 0;
	r = put_begin(s->c, "asns", "4s4", error, &p);
	if (r)
		return r;
	for (uint32_t i = s->asns.saved; i < upto; i++) {
		struct interface f;

		pthread_mutex_lock(&s->names);
		f = ((struct interface *)s->asns.v)[i];
		pthread_mutex_unlock(&s->names);
		put_number(p, f.index);
		put_text(p, f.name, f.len);
		put_number(p, batch);
	}
	return put_end(p, error);
}

static int save_committed(struct store *s, char *error)
{
	struct committed *c = s->committed.v;
	int r = 0;

	/* only the writer changes them */
	for (uint32_t i = 0; i < s->committed.n && !r; i++) {
		struct store_value v[] = {NUM(c[i].stream), NUM(c[i].epoch), NUM(c[i].to)};

		if (!c[i].changed)
			continue;
		r = duck_run(s->c, error, "DELETE FROM committed WHERE stream = $1 AND epoch = $2",
			     v, 2);
		if (!r)
			r = duck_run(s->c, error, "INSERT INTO committed VALUES ($1,$2,$3)", v, 3);
	}
	return r;
}

static int save_partitions(struct store *s, char *error)
{
	int r = 0;

	for (struct partition *p = s->partitions; p && !r; p = p->next) {
		if (!p->new_rows)
			continue;
		r = duck_exec(
			s->c, error,
			"UPDATE partitions SET rows = %llu, min_us = %lld, max_us = %lld WHERE "
			"start_s = %lld",
			(unsigned long long)(p->rows + p->new_rows),
			(long long)(p->new_min_us < p->min_us || !p->rows ? p->new_min_us
									  : p->min_us),
			(long long)(p->new_max_us > p->max_us || !p->rows ? p->new_max_us
									  : p->max_us),
			(long long)p->start_s);
	}
	return r;
}

int state_commit(struct store *s, uint32_t batch, char *error)
{
	const bool sampled = store_is_sampled(s);
	uint32_t exporters, interfaces, zones, asns;
	char ignored[STORE_ERROR];
	int r;

	pthread_mutex_lock(&s->names);
	exporters = s->exporters.n;
	interfaces = s->interfaces.n;
	zones = s->zones.n;
	asns = s->asns.n;
	pthread_mutex_unlock(&s->names);
	r = duck_exec(s->c, error, "BEGIN");
	if (r)
		return r;
	r = save_exporters(s, exporters, error);
	if (!r)
		r = save_names(s, &s->interfaces, interfaces, error);
	if (!r)
		r = save_names(s, &s->zones, zones, error);
	if (!r)
		r = save_asns(s, asns, batch, error);
	if (!r)
		r = save_committed(s, error);
	if (!r)
		r = save_partitions(s, error);
	if (!r && sampled && !s->sampled_saved)
		r = duck_exec(s->c, error, "INSERT INTO meta VALUES ('sampled', 1)");
	if (!r)
		r = rollup_save(s->rollup, batch, error);
	if (!r)
		r = duck_exec(s->c, error,
			      "UPDATE meta SET value = %u WHERE key = 'last_batch'; COMMIT", batch);
	if (r) {
		duck_exec(s->c, ignored, "ROLLBACK");
		return r;
	}
	s->exporters.saved = exporters;
	s->interfaces.saved = interfaces;
	s->zones.saved = zones;
	s->asns.saved = asns;
	s->sampled_saved = sampled;
	rollup_saved(s->rollup);
	return 0;
}

int state_partition(struct store *s, const struct partition *p, char *error)
{
	int r = state_forget_partition(s, p, error);

	if (!r)
		r = duck_exec(s->c, error,
			      "INSERT INTO partitions VALUES (%lld, %d, %d, %llu, %lld, %lld)",
			      (long long)p->start_s, p->writing, p->cold,
			      (unsigned long long)p->rows, (long long)p->min_us,
			      (long long)p->max_us);
	return r;
}

int state_forget_partition(struct store *s, const struct partition *p, char *error)
{
	return duck_exec(s->c, error, "DELETE FROM partitions WHERE start_s = %lld",
			 (long long)p->start_s);
}

int state_saved(struct store *s, char *error)
{
	uint64_t exporters = 0, zones = 0, asns = 0;
	int r = duck_number(s->c, error, "SELECT count(*)::UBIGINT FROM exporters", &exporters);

	if (!r)
		r = duck_number(s->c, error, "SELECT count(*)::UBIGINT FROM zones", &zones);
	if (!r)
		r = duck_number(s->c, error, "SELECT count(*)::UBIGINT FROM asns", &asns);
	if (!r) {
		s->exporters.saved = (uint32_t)exporters;
		s->zones.saved = (uint32_t)zones;
		s->asns.saved = (uint32_t)(asns - s->asns_before);
	}
	return r;
}
