// SPDX-License-Identifier: Apache-2.0
/*
 * rebuild.c - see rebuild.h. While a new state.db is filled, a file beside it says that it does not count
 * yet.
 */
#include "collector/store/rebuild.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "collector/store/rollup.h"
#include "collector/store/store_int.h"

#define UNDER_WAY "state.db.rebuilding"

static const char *const tables[] = {"exporters", "interfaces", "zones", "asns", "committed"};

#define TABLES (sizeof(tables) / sizeof(tables[0]))

static void path_of(const struct store *s, const char *name, char path[static PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "%s/%s", s->dir, name);
}

static bool is_there(const struct store *s, const char *name)
{
	char path[PATH_BYTES];
	struct stat st;

	path_of(s, name, path);
	return !stat(path, &st) && st.st_size > 0;
}

/* ---- is it needed? ---- */

/* The file's partition. False: it is none. */
static bool partition_start(const char *name, int64_t *ret_start, bool *ret_cold)
{
	struct tm tm = {};
	const char *end = strptime(name, "flows-%Y%m%dT%H%M%SZ", &tm);

	if (!end || (strcmp(end, ".db") != 0 && strcmp(end, ".parquet") != 0))
		return false;
	*ret_start = (int64_t)timegm(&tm);
	*ret_cold = end[1] == 'p';
	return true;
}

struct found {
	uint32_t files;
	int error;
};

/* All files of flows; with @make they become partitions. */
static struct found find(struct store *s, bool make)
{
	struct found f = {};
	DIR *d = opendir(s->dir);
	struct dirent *e;

	while (d && !f.error && (e = readdir(d))) {
		struct partition *p;
		int64_t start;
		bool cold;

		if (!partition_start(e->d_name, &start, &cold))
			continue;
		f.files++;
		if (!make)
			continue;
		p = partition_make(s, start);
		if (!p)
			f.error = -ENOMEM;
		else if (cold)
			p->cold = COLD_FILE;
	}
	if (d)
		closedir(d);
	return f;
}

static void remove_one(const struct store *s, const char *name)
{
	char path[PATH_BYTES];

	path_of(s, name, path);
	if (unlink(path) && errno != ENOENT)
		store_complain((struct store *)(uintptr_t)s, "%s: %s", path, strerror(errno));
}

static void set_aside(struct store *s, const char *name)
{
	char path[PATH_BYTES], to[PATH_BYTES + 16];

	path_of(s, name, path);
	snprintf(to, sizeof(to), "%s.damaged", path);
	if (rename(path, to) && errno != ENOENT)
		store_complain(s, "%s: %s", path, strerror(errno));
}

bool rebuild_is_due(struct store *s)
{
	char path[PATH_BYTES];
	const bool was_under_way = !access((path_of(s, UNDER_WAY, path), path), F_OK);

	if (!was_under_way && is_there(s, "state.db"))
		return false;
	if (was_under_way) {
		remove_one(s, "state.db");
		remove_one(s, "state.db.wal");
	}
	if (!find(s, false).files)
		return false;
	/* a log without its file would become part of the new one */
	remove_one(s, "state.db");
	set_aside(s, "state.db.wal");
	store_complain(s, "%s/state.db is %s: it is made anew from the files of flows", s->dir,
		       was_under_way ? "half made" : "missing");
	return true;
}

bool rebuild_set_aside(struct store *s, const char *why)
{
	static const char *const words[] = {"not a valid DuckDB database",
					    "orrupt",
					    "checksum",
					    "replaying WAL",
					    "erializ",
					    "INTERNAL",
					    "does not exist",
					    "malformed",
					    "truncated"};
	bool damaged = false;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		damaged |= strstr(why, words[i]) != NULL;
	if (!damaged || s->cfg.read_only)
		return false;
	set_aside(s, "state.db");
	set_aside(s, "state.db.wal");
	store_complain(
		s,
		"%s/state.db is damaged (%s): renamed to state.db.damaged, and made anew from "
		"the files of flows",
		s->dir, why);
	return true;
}

/* ---- filling ---- */

/* Return: was there a copy? */
static bool take_names(struct store *s)
{
	char path[PATH_BYTES], error[STORE_ERROR], ignored[STORE_ERROR];
	int r;

	path_of(s, "names.db", path);
	if (!is_there(s, "names.db"))
		return false;
	r = duck_exec(s->c, error, "ATTACH '%s' AS spare (READ_ONLY)", path);
	if (!r)
		r = duck_exec(s->c, error, "BEGIN");
	for (size_t i = 0; i < TABLES && !r; i++)
		r = duck_exec(s->c, error, "DELETE FROM %s; INSERT INTO %s BY NAME FROM spare.%s",
			      tables[i], tables[i], tables[i]);
	if (!r)
		r = duck_exec(
			s->c, error,
			"UPDATE meta SET value = m.value FROM spare.meta m WHERE m.key = meta.key "
			"AND m.key IN ('last_batch', 'partition_s'); COMMIT");
	if (!r)
		return !duck_exec(s->c, error, "DETACH spare");
	store_complain(s, "%s can't be read: %s", path, error);
	duck_exec(s->c, ignored, "ROLLBACK");
	duck_exec(s->c, ignored, "DETACH spare");
	return false;
}

struct seen {
	uint64_t last_batch, exporter;
};

static int take_seen(void *arg, const struct duck_row *row)
{
	struct seen *seen = arg;
	const uint64_t batch = duck_u64(row, 0) >> 32, exporter = duck_u64(row, 1);

	seen->last_batch = batch > seen->last_batch ? batch : seen->last_batch;
	seen->exporter = exporter > seen->exporter ? exporter : seen->exporter;
	return 0;
}

static int take_bounds(void *arg, const struct duck_row *row)
{
	struct partition *p = arg;
	const int64_t min = (int64_t)duck_u64(row, 1), max = (int64_t)duck_u64(row, 2);
	const uint64_t n = duck_u64(row, 0);

	if (!n)
		return 0;
	p->min_us = !p->rows || min < p->min_us ? min : p->min_us;
	p->max_us = !p->rows || max > p->max_us ? max : p->max_us;
	p->rows += n;
	return 0;
}

struct question {
	const char *select;
	struct duck_taker to;
};

/* Asked of the partition's flows, of its database or its Parquet file. */
static int ask(struct store *s, struct partition *p, bool parquet, const struct question *q,
	       char *error)
{
	char path[PATH_BYTES], sql[PATH_BYTES + 512];

	partition_path(s, p, ".parquet", path);
	if (parquet)
		snprintf(sql, sizeof(sql), "SELECT %s FROM read_parquet('%s')", q->select, path);
	else
		snprintf(sql, sizeof(sql), "SELECT %s FROM %s.flows WHERE flow_id < %llu",
			 q->select, p->catalog, (unsigned long long)BATCH_ROW(s->last_batch + 1));
	return duck_each(s->c, error, sql, &q->to);
}

/* A file that can't be read is left out, and said; only the rest of the machine's troubles are errors. */
static int ask_both(struct store *s, struct partition *p, const struct question *q, char *error)
{
	int r = 0;

	if (p->cold && !p->damaged && ask(s, p, true, q, error)) {
		store_complain(s, "flows of %s.parquet can't be read: %s", p->catalog, error);
		p->damaged = true;
	}
	if (p->has_db && !p->damaged) {
		r = partition_attach(s, p, s->c, error);
		if (!r)
			r = ask(s, p, false, q, error);
	}
	if (r == -ENOMEM || r == -ENOSPC || r == -EBUSY)
		return r;
	if (r)
		partition_damaged(s, p, error);
	return 0;
}

/* A Parquet file's database has either all of its flows, and can go, or came after it. */
static int tell_late(struct store *s, struct partition *p, char *error)
{
	char path[PATH_BYTES], sql[PATH_BYTES + 512];
	uint64_t n = 0;
	int r;

	if (!p->cold || !p->has_db)
		return 0;
	r = partition_attach(s, p, s->c, error);
	if (r)
		return r == -ENOMEM || r == -ENOSPC ? r : 0; /* damaged: found later */
	partition_path(s, p, ".parquet", path);
	snprintf(
		sql, sizeof(sql),
		"SELECT count(*)::UBIGINT FROM %s.flows SEMI JOIN read_parquet('%s') USING (flow_id)",
		p->catalog, path);
	r = duck_number(s->c, error, sql, &n);
	if (!r && !n)
		p->cold = COLD;
	else if (!r)
		p->has_db = false;
	return 0;
}

/* Without names: a number is all that is known of who exported. */
static int invent_names(struct store *s, const struct seen *seen, char *error)
{
	store_complain(
		s, "names of exporters and what they know as stored are lost: exporters are called "
		   "by their numbers, and what they send again is there twice");
	return duck_exec(s->c, error,
			 "BEGIN; DELETE FROM exporters;"
			 "INSERT INTO exporters SELECT i, i, i, 0, 0, i, 'exporter ' || i, '' FROM "
			 "range(1, %llu) t(i);"
			 "UPDATE meta SET value = %llu WHERE key = 'last_batch'; COMMIT",
			 (unsigned long long)seen->exporter + 1,
			 (unsigned long long)seen->last_batch);
}

/* Of all at once with @seen, else of each for itself. */
static int each_partition(struct store *s, const char *select, struct seen *seen, char *error)
{
	int r = 0;

	for (struct partition *p = s->partitions; p && !r; p = p->next) {
		const struct question q = {
			select, {seen ? take_seen : take_bounds, seen ? (void *)seen : p}};

		r = ask_both(s, p, &q, error);
	}
	return r;
}

/* What was written of them counts; the rest goes when they are recovered. */
static int save_partitions(struct store *s, char *error)
{
	int r = 0;

	for (struct partition *p = s->partitions; p && !r; p = p->next) {
		p->writing = p->has_db;
		if (!p->damaged)
			r = state_partition(s, p, error);
	}
	return r;
}

static int begin(struct store *s, char *error)
{
	char path[PATH_BYTES];
	int fd;

	path_of(s, UNDER_WAY, path);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0640);
	if (fd < 0) {
		snprintf(error, STORE_ERROR, "%.200s: %s", path, strerror(errno));
		return -errno;
	}
	close(fd);
	return find(s, true).error;
}

int rebuild_state(struct store *s, char *error)
{
	struct seen seen = {};
	uint64_t last = UINT32_MAX - 1;
	int r = begin(s, error);

	for (struct partition *p = s->partitions; p && !r; p = p->next) {
		char path[PATH_BYTES];

		partition_path(s, p, ".db", path);
		p->has_db = !access(path, F_OK);
		r = tell_late(s, p, error);
	}
	s->last_batch = (uint32_t)last; /* all of them, as long as it is not known */
	if (!r && !take_names(s)) {
		r = each_partition(s, "max(flow_id)::UBIGINT, max(exporter)::UBIGINT", &seen,
				   error);
		if (!r)
			r = invent_names(s, &seen, error);
	}
	if (!r)
		r = duck_number(s->c, error, "SELECT value FROM meta WHERE key = 'last_batch'",
				&last);
	s->last_batch = (uint32_t)last;
	if (!r)
		r = each_partition(s, "count(*)::UBIGINT, min(end_us), max(end_us)", NULL, error);
	return r ?: save_partitions(s, error);
}

int rebuild_rollups(struct store *s, char *error)
{
	uint64_t rows = 0;
	uint32_t files = 0;
	int r = rollup_rebuild(s->rollup, error);

	if (r)
		return r;
	remove_one(s, UNDER_WAY);
	for (const struct partition *p = s->partitions; p; p = p->next) {
		rows += p->damaged ? 0 : p->rows;
		files += !p->damaged;
	}
	store_complain(
		s,
		"state.db was made anew from %u partitions with %llu flows; roll-ups of what is "
		"older than they are lost",
		files, (unsigned long long)rows);
	return 0;
}

/* ---- the copy ---- */

static int open_copy(struct store *s, char *error)
{
	char path[PATH_BYTES];
	int r;

	if (s->spare)
		return 0;
	path_of(s, "names.db", path);
	r = duck_exec(s->c, error, "ATTACH '%s' AS spare", path);
	if (r == -EIO && is_there(s, "names.db")) {
		/* damaged: there is nothing in it that state.db does not have */
		set_aside(s, "names.db");
		set_aside(s, "names.db.wal");
		r = duck_exec(s->c, error, "ATTACH '%s' AS spare", path);
	}
	s->spare = !r;
	s->kept_names = UINT32_MAX;
	return r;
}

static int copy_tables(struct store *s, char *error)
{
	const uint32_t names =
		s->exporters.saved + s->interfaces.saved + s->zones.saved + s->asns.saved;
	int r = duck_exec(s->c, error, "BEGIN");

	for (size_t i = 0; i < TABLES && !r; i++)
		if (names != s->kept_names || i == TABLES - 1)
			r = duck_exec(s->c, error, "CREATE OR REPLACE TABLE spare.%s AS FROM %s",
				      tables[i], tables[i]);
	if (!r)
		r = duck_exec(s->c, error,
			      "CREATE OR REPLACE TABLE spare.meta AS FROM meta; COMMIT");
	if (!r)
		s->kept_names = names;
	return r;
}

void rebuild_keep(struct store *s)
{
	char error[STORE_ERROR], ignored[STORE_ERROR];
	int r = open_copy(s, error);

	if (!r)
		r = copy_tables(s, error);
	if (r) {
		duck_exec(s->c, ignored, "ROLLBACK");
		duck_exec(s->c, ignored, "DETACH spare");
		s->spare = false;
	}
	if (r && !s->spare_failed)
		store_complain(s, "%s/names.db, the copy of names, can't be written: %s", s->dir,
			       error);
	s->spare_failed = r != 0;
}
