// SPDX-License-Identifier: Apache-2.0
/*
 * partition.c - files of raw flows: made, attached, detached, trimmed after a crash, left out when
 * they are damaged, and removed when their time is over.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "collector/store/cold.h"
#include "collector/store/rollup.h"
#include "collector/store/store_int.h"

#define REST_MS	  600000u /* without writes: a partition is closed */
#define DETACH_MS 300000u /* without queries either: detached */
#define UPKEEP_MS 10000u

void partition_path(const struct store *s, const struct partition *p, const char *suffix,
		    char path[static PATH_BYTES])
{
	time_t t = (time_t)p->start_s;
	struct tm tm;
	char when[32];

	gmtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	snprintf(path, PATH_BYTES, "%s/flows-%s%s", s->dir, when, suffix);
}

uint64_t store_file_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

struct partition *partition_find(struct store *s, int64_t start_s)
{
	for (struct partition *p = s->partitions; p; p = p->next) {
		if (p->start_s == start_s)
			return p;
	}
	return NULL;
}

struct partition *partition_make(struct store *s, int64_t start_s)
{
	struct partition **at = &s->partitions, *p = partition_find(s, start_s);

	if (p)
		return p;
	while (*at && (*at)->start_s < start_s)
		at = &(*at)->next;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->start_s = start_s;
	p->has_db = true;
	snprintf(p->catalog, sizeof(p->catalog), "p%lld", (long long)start_s);
	p->next = *at;
	*at = p;
	return p;
}

/* "CREATE TABLE ..." of every table, from the layout. */
static int create_tables(const struct partition *p, duckdb_connection c, char *error)
{
	char sql[4096];
	int r = 0;

	for (unsigned int t = 0; t < _LT_MAX && !r; t++) {
		const struct layout *l = layout_of(t);
		size_t n = 0;

		for (uint32_t i = 0; i < l->n; i++)
			n += (size_t)snprintf(sql + n, sizeof(sql) - n, "%s%s %s", i ? ", " : "",
					      l->column[i].name,
					      layout_sql_type(l->column[i].type));
		r = duck_exec(c, error, "CREATE TABLE IF NOT EXISTS %s.%s(%s)", p->catalog, l->name,
			      sql);
	}
	return r;
}

bool partition_may_lack(unsigned int column)
{
	return column == BC_DNS_ANSWERS || (column >= BC_IDS_TIME && column <= BC_IDS_ACTION);
}

/* Each is the last of its table then. */
static int add_columns(const struct partition *p, duckdb_connection c, char *error)
{
	int r = 0;

	for (unsigned int i = 0; i < _BC_MAX && !r; i++) {
		if (partition_may_lack(i))
			r = duck_exec(c, error, "ALTER TABLE %s.%s ADD COLUMN IF NOT EXISTS %s %s",
				      p->catalog, layout_of(layout_table_of(i))->name,
				      block_columns[i].name,
				      layout_sql_type(block_columns[i].type));
	}
	return r;
}

int partition_attach(struct store *s, struct partition *p, duckdb_connection c, char *error)
{
	char path[PATH_BYTES];
	int r;

	p->used_ms = store_now_ms();
	if (p->attached)
		return 0;
	partition_path(s, p, ".db", path);
	if (s->cfg.read_only && access(path, F_OK))
		return -ENOENT;
	r = duck_exec(c, error, "ATTACH '%s' AS %s%s", path, p->catalog,
		      s->cfg.read_only ? " (READ_ONLY)" : "");
	if (!r && !s->cfg.read_only) {
		r = create_tables(p, c, error);
		r = r ?: add_columns(p, c, error);
		if (r) {
			char ignored[STORE_ERROR];

			duck_exec(c, ignored, "DETACH %s", p->catalog);
		}
	}
	if (!r) {
		p->attached = true;
		p->has_db = true;
	}
	return r;
}

int partition_detach(struct store *s, struct partition *p, duckdb_connection c, char *error)
{
	int r;

	(void)s;
	if (!p->attached)
		return 0;
	r = duck_exec(c, error, "DETACH %s", p->catalog);
	if (!r)
		p->attached = false;
	return r;
}

int partition_trim(struct store *s, struct partition *p, uint32_t batch, char *error)
{
	int r = 0;

	for (unsigned int t = 0; t < _LT_MAX && !r; t++)
		r = duck_exec(s->c, error, "DELETE FROM %s.%s WHERE flow_id >= %llu", p->catalog,
			      layout_of(t)->name, (unsigned long long)BATCH_ROW(batch + 1));
	return r;
}

void partition_damaged(struct store *s, struct partition *p, const char *why)
{
	static const char *const suffixes[] = {".db", ".db.wal"};
	char path[PATH_BYTES], to[PATH_BYTES + 16];

	p->damaged = true;
	p->writing = false;
	s->stats.damaged++;
	for (size_t i = 0; i < 2; i++) {
		partition_path(s, p, suffixes[i], path);
		snprintf(to, sizeof(to), "%s.damaged", path);
		if (!s->cfg.read_only && access(path, F_OK) == 0 && rename(path, to))
			store_complain(s, "%s: %s", path, strerror(errno));
	}
	partition_path(s, p, ".db", path);
	store_complain(
		s,
		"%s can't be read (%s): renamed to *.damaged and left out; its %llu flows are "
		"not in answers",
		path, why, (unsigned long long)p->rows);
}

static void unlink_partition(struct store *s, struct partition *p)
{
	static const char *const suffixes[] = {".db", ".db.wal", ".parquet"};
	char path[PATH_BYTES];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		partition_path(s, p, suffixes[i], path);
		if (unlink(path) && errno != ENOENT)
			store_complain(s, "%s: %s", path, strerror(errno));
	}
}

int partition_expire(struct store *s, struct partition *p, char *error)
{
	struct partition **at = &s->partitions;
	int r = partition_detach(s, p, s->c, error);

	if (!r)
		r = state_forget_partition(s, p, error);
	if (r)
		return r;
	unlink_partition(s, p);
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	free(p);
	s->stats.expired++;
	return 0;
}

/* A partition that a crash left with rows of an unfinished batch. */
static int recover_one(struct store *s, struct partition *p, char *error)
{
	char path[PATH_BYTES];
	int r;

	partition_path(s, p, ".db", path);
	p->has_db = access(path, F_OK) == 0;
	if (!p->has_db || s->cfg.read_only)
		return 0;
	r = partition_attach(s, p, s->c, error);
	if (!r)
		r = partition_trim(s, p, s->last_batch, error);
	if (r == -EBUSY || r == -ENOSPC || r == -ENOMEM)
		return r;
	if (r)
		partition_damaged(s, p, error);
	return 0;
}

int partition_recover(struct store *s, char *error)
{
	struct partition *p, *next;
	char path[PATH_BYTES], parquet[PATH_BYTES];
	int r = 0;

	for (p = s->partitions; p && !r; p = next) {
		next = p->next;
		partition_path(s, p, ".db", path);
		partition_path(s, p, ".parquet", parquet);
		p->has_db = access(path, F_OK) == 0;
		if (p->cold == COLD_FILE && !s->cfg.read_only)
			r = partition_forget_db(s, p, error);
		if (r)
			break;
		if (p->writing) {
			r = recover_one(s, p, error);
		} else if (!p->has_db && access(parquet, F_OK) && p->rows) {
			store_complain(s, "%s is gone: its %llu flows are not in answers", path,
				       (unsigned long long)p->rows);
			p->damaged = true;
			s->stats.damaged++;
		}
		p->bytes = store_file_bytes(path) + store_file_bytes(parquet);
	}
	return r;
}

/* ---- upkeep ---- */

/* Partitions that nobody writes any more: what is in the log goes into the file. */
static void rest(struct store *s, struct partition *p, uint64_t now_ms)
{
	char error[STORE_ERROR];

	if (!p->attached || p->feed)
		return;
	if (p->writing && now_ms - p->used_ms > REST_MS) {
		if (duck_exec(s->c, error, "CHECKPOINT %s", p->catalog) == 0) {
			p->writing = false;
			if (state_partition(s, p, error))
				p->writing = true;
		}
	}
	if (!p->writing && now_ms - p->used_ms > DETACH_MS)
		partition_detach(s, p, s->c, error);
}

static uint64_t all_bytes(struct store *s)
{
	static const char *const own[] = {"state.db", "state.db.wal", "names.db", "names.db.wal"};
	char path[PATH_BYTES];
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", s->dir, own[i]);
		sum += store_file_bytes(path);
	}
	for (struct partition *p = s->partitions; p; p = p->next) {
		if (p->damaged)
			continue;
		partition_path(s, p, ".db", path);
		p->bytes = store_file_bytes(path);
		partition_path(s, p, ".db.wal", path);
		p->bytes += store_file_bytes(path);
		partition_path(s, p, ".parquet", path);
		p->bytes += store_file_bytes(path);
		sum += p->bytes;
	}
	return sum;
}

/* Why the oldest partition has to go, or NULL. Queries that are held up by that have to fail if the disk is full. */
static const char *over(struct store *s, const struct partition *oldest, bool held)
{
	struct statvfs fs;

	if (!held && s->cfg.keep_s &&
	    oldest->start_s + (int64_t)s->cfg.partition_s + (int64_t)s->cfg.keep_s <=
		    store_wall_s())
		return "age";
	if (!held && s->cfg.keep_bytes && s->stats.bytes > s->cfg.keep_bytes)
		return "bytes";
	if (s->cfg.free_bytes && statvfs(s->dir, &fs) == 0 &&
	    (uint64_t)fs.f_bavail * fs.f_frsize < s->cfg.free_bytes)
		return "free space";
	return NULL;
}

static void retire(struct store *s, bool held)
{
	char error[STORE_ERROR];

	for (;;) {
		struct partition *p = s->partitions;
		const char *why;

		while (p && (p->damaged || p->feed || cold_has(s->cold, p)))
			p = p->next;
		/* the one being filled stays, whatever it takes */
		if (!p || !p->next)
			return;
		why = over(s, p, held);
		if (!why)
			return;
		if (partition_expire(s, p, error)) {
			store_complain(s, "retention by %s: %s", why, error);
			return;
		}
		s->stats.bytes = all_bytes(s);
	}
}

static void expire_rollups(struct store *s)
{
	/* level: of the windows that are made of the table's rows and may need them after a crash */
	const struct {
		const char *table;
		uint64_t keep_s;
		uint32_t level;
	} list[] = {
		{"rollup_1m", s->cfg.keep_1m_s, RL_5M},
		{"rollup_5m", s->cfg.keep_5m_s, RL_1H},
		{"rollup_1h", s->cfg.keep_1h_s, _RL_MAX},
		{"rollup_host", s->cfg.keep_5m_s, _RL_MAX},
		{"rollup_pair", s->cfg.keep_5m_s, _RL_MAX},
		{"rollup_name", s->cfg.keep_5m_s, _RL_MAX},
	};
	char error[STORE_ERROR];

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		uint32_t level = list[i].level, span = level < _RL_MAX ? rollup_span[level] : 1;

		if (duck_exec(
			    s->c, error,
			    "DELETE FROM %s t WHERE ts < %lld AND NOT EXISTS (SELECT 1 FROM windows w "
			    "WHERE w.level = %u AND w.ts = t.ts // %u * %u AND t.batch >= w.from_batch)",
			    list[i].table, (long long)(store_wall_s() - (int64_t)list[i].keep_s),
			    level, span, span))
			store_complain(s, "retention of %s: %s", list[i].table, error);
	}
}

void store_hold(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	if (!s->holders++)
		s->held_ms = store_now_ms();
	pthread_mutex_unlock(&s->lock);
}

void store_release(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	s->holders--;
	pthread_mutex_unlock(&s->lock);
}

void partition_upkeep(struct store *s)
{
	uint64_t now = store_now_ms();
	bool held;

	if (now - s->upkeep_ms < s->cfg.upkeep_ms && s->upkeep_ms)
		return;
	pthread_mutex_lock(&s->lock);
	held = s->holders && now - s->held_ms < s->cfg.hold_ms;
	for (struct partition *p = s->partitions; p && !held; p = p->next)
		rest(s, p, now);
	s->stats.bytes = all_bytes(s);
	retire(s, held);
	if (s->cold && !held)
		cold_upkeep(s->cold);
	pthread_mutex_unlock(&s->lock);
	if (now / 3600000 != s->upkeep_ms / 3600000)
		expire_rollups(s);
	s->upkeep_ms = now;
}
