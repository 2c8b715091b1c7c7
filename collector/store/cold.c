// SPDX-License-Identifier: Apache-2.0
/*
 * cold.c - see cold.h. state.db says how far a partition is: 0 its database counts; COLD_FILE the
 * Parquet file counts, and a database is the one it was made of; COLD both count, the database has what
 * came late.
 */
#include "collector/store/cold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/store/source.h"

struct cold {
	struct store *s;
	pthread_t thread;
	pthread_cond_t wake;
	struct partition *p; /* at hand; NULL: nothing is */
	uint64_t rows;	     /* it had, when it began */
	bool written, stop;
	int result;
	char error[STORE_ERROR];
	duckdb_connection c;
};

/* All columns of a partition's tables as one. */
static int copy_text(struct store *s, const struct partition *p, char **ret)
{
	char path[PATH_BYTES];
	struct from q;

	partition_path(s, p, ".parquet.part", path);
	from_begin(&q);
	from_add(&q, "COPY (SELECT f.*");
	for (unsigned int t = LT_FLOWS + 1; t < _LT_MAX; t++) {
		const struct layout *l = layout_of(t);

		for (uint32_t i = 1; i < l->n; i++)
			from_add(&q, ", %s.%s", l->name, l->column[i].name);
	}
	from_add(&q, " FROM %s.flows f", p->catalog);
	for (unsigned int t = LT_FLOWS + 1; t < _LT_MAX; t++)
		from_add(&q, " LEFT JOIN %s.%s ON %s.flow_id = f.flow_id", p->catalog,
			 layout_of(t)->name, layout_of(t)->name);
	from_add(
		&q,
		" ORDER BY f.src_hi, f.src_lo, f.end_us) TO '%s' (FORMAT parquet, COMPRESSION zstd)",
		path);
	return from_end(&q, ret);
}

static void *run(void *arg)
{
	struct cold *k = arg;
	char *sql;
	int r;

	pthread_mutex_lock(&k->s->lock);
	while (!k->stop) {
		if (!k->p || k->written) {
			pthread_cond_wait(&k->wake, &k->s->lock);
			continue;
		}
		r = copy_text(k->s, k->p, &sql);
		if (!r && duck.connect(k->s->db, &k->c) != DuckDBSuccess) {
			free(sql);
			r = -EIO;
		}
		k->s->readers += r == 0;
		pthread_mutex_unlock(&k->s->lock);
		if (!r) {
			r = duck_exec(k->c, k->error, "%s", sql);
			free(sql);
		}
		pthread_mutex_lock(&k->s->lock);
		if (k->c) {
			duck.disconnect(&k->c);
			k->c = NULL;
			k->s->readers--;
			pthread_cond_signal(&k->s->idle);
		}
		k->result = r;
		k->written = true;
	}
	pthread_mutex_unlock(&k->s->lock);
	return NULL;
}

struct cold *cold_new(struct store *s)
{
	struct cold *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->s = s;
	pthread_cond_init(&k->wake, NULL);
	if (pthread_create(&k->thread, NULL, run, k)) {
		free(k);
		return NULL;
	}
	return k;
}

struct cold *cold_free(struct cold *k)
{
	char path[PATH_BYTES];

	if (!k)
		return NULL;
	pthread_mutex_lock(&k->s->lock);
	k->stop = true;
	if (k->c)
		duck.interrupt(k->c);
	pthread_cond_signal(&k->wake);
	pthread_mutex_unlock(&k->s->lock);
	pthread_join(k->thread, NULL);
	if (k->p) {
		partition_path(k->s, k->p, ".parquet.part", path);
		unlink(path);
	}
	pthread_cond_destroy(&k->wake);
	free(k);
	return NULL;
}

/* The file takes the place of the database: its name, then what state.db says, then the removal. */
static int replace(struct store *s, struct partition *p, char *error)
{
	char part[PATH_BYTES], path[PATH_BYTES];
	int r;

	partition_path(s, p, ".parquet.part", part);
	partition_path(s, p, ".parquet", path);
	r = rename(part, path) ? -errno : 0;
	if (r) {
		snprintf(error, STORE_ERROR, "%s", strerror(-r));
		return r;
	}
	p->cold = COLD_FILE;
	r = state_partition(s, p, error);
	if (r) {
		p->cold = 0;
		unlink(path);
		return r;
	}
	return partition_forget_db(s, p, error);
}

int partition_forget_db(struct store *s, struct partition *p, char *error)
{
	static const char *const suffixes[] = {".db", ".db.wal"};
	char path[PATH_BYTES];
	int r = partition_detach(s, p, s->c, error);

	for (size_t i = 0; i < 2 && !r; i++) {
		partition_path(s, p, suffixes[i], path);
		if (unlink(path) && errno != ENOENT)
			r = -errno;
	}
	if (r)
		return r;
	p->has_db = false;
	p->cold = COLD;
	return state_partition(s, p, error);
}

static void finish(struct cold *k)
{
	struct partition *p = k->p;
	char path[PATH_BYTES];

	if (k->result || p->writing || p->feed || p->rows != k->rows) {
		partition_path(k->s, p, ".parquet.part", path);
		unlink(path);
		if (k->result)
			store_complain(k->s, "%s: %s", path, k->error);
	} else if (replace(k->s, p, k->error)) {
		store_complain(k->s, "%s as Parquet: %s", p->catalog, k->error);
	}
	k->p = NULL;
	k->written = false;
}

bool cold_has(const struct cold *k, const struct partition *p)
{
	return k && k->p == p;
}

void cold_upkeep(struct cold *k)
{
	struct store *s = k->s;
	int64_t old = store_wall_s() - (int64_t)s->cfg.cold_s - s->cfg.partition_s;
	char error[STORE_ERROR];

	if (k->written)
		finish(k);
	if (k->p)
		return;
	for (struct partition *p = s->partitions; p && p->start_s <= old && !k->p; p = p->next) {
		if (p->cold || p->writing || p->feed || p->damaged || !p->rows || !p->has_db)
			continue;
		if (partition_attach(s, p, s->c, error))
			continue;
		k->p = p;
		k->rows = p->rows;
	}
	if (k->p)
		pthread_cond_signal(&k->wake);
}
