// SPDX-License-Identifier: Apache-2.0
#include "collector/control/db.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATEMENTS_MAX 256u
#define BUSY_MS	       5000

struct db {
	sqlite3 *c;
	struct {
		const char *sql;
		sqlite3_stmt *s;
	} kept[STATEMENTS_MAX];
	uint32_t n;
};

/* Step N makes version N + 1 of version N. Never changed once released; times are us since 1970. */
static const char *const steps[] = {
	"CREATE TABLE alert ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, rule_id TEXT NOT NULL, rule TEXT NOT NULL,"
	" severity TEXT, host TEXT, state TEXT NOT NULL, reason TEXT,"
	" first_us INTEGER NOT NULL, last_us INTEGER NOT NULL, resolved_us INTEGER,"
	" count INTEGER NOT NULL, value REAL, epoch INTEGER NOT NULL, hold_us INTEGER NOT NULL,"
	" exempt INTEGER NOT NULL, proven INTEGER NOT NULL, silence INTEGER,"
	" acked_us INTEGER, acked_by TEXT, note TEXT, by TEXT NOT NULL, json TEXT NOT NULL);"
	"CREATE INDEX alert_key ON alert (key, id);"
	"CREATE INDEX alert_open ON alert (epoch) WHERE state = 'firing';"
	"CREATE INDEX alert_last ON alert (last_us);"
	"CREATE TABLE silence ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, rule TEXT, filter TEXT, note TEXT,"
	" made_us INTEGER NOT NULL, made_by TEXT NOT NULL, until_us INTEGER NOT NULL);"
	"CREATE TABLE number (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;",

	"CREATE TABLE decision ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, alert INTEGER NOT NULL, rule_id TEXT NOT NULL,"
	" rule TEXT NOT NULL, at INTEGER NOT NULL, action TEXT NOT NULL, scope TEXT NOT NULL,"
	" a BLOB NOT NULL, b BLOB, port INTEGER NOT NULL, direction INTEGER NOT NULL, rate TEXT,"
	" mode TEXT NOT NULL, state TEXT NOT NULL, reason TEXT, step INTEGER NOT NULL,"
	" made_us INTEGER NOT NULL, ttl_us INTEGER NOT NULL, expires_us INTEGER, ended_us INTEGER,"
	" approver TEXT);"
	"CREATE INDEX decision_value ON decision (rule_id, a, made_us);"
	"CREATE INDEX decision_state ON decision (state, expires_us);"
	"CREATE INDEX decision_alert ON decision (alert);"
	"CREATE INDEX decision_made ON decision (made_us);"
	"CREATE TABLE audit ("
	" seq INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,"
	" object TEXT NOT NULL, detail TEXT NOT NULL, hash BLOB NOT NULL);"
	"CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit"
	" BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;"
	"CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit"
	" BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;",

	"CREATE TABLE node ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, labels TEXT NOT NULL,"
	" key BLOB NOT NULL, enrolled_us INTEGER NOT NULL, expires_us INTEGER NOT NULL, revoked_us INTEGER,"
	" seen_us INTEGER, version TEXT, kernel TEXT);"
	"CREATE UNIQUE INDEX node_key ON node (key);"
	"CREATE TABLE token ("
	" hash BLOB PRIMARY KEY, name TEXT, labels TEXT NOT NULL, made_us INTEGER NOT NULL,"
	" made_by TEXT NOT NULL, until_us INTEGER NOT NULL) WITHOUT ROWID;",
	/* what channels are told: see collector/notify/notifier.h; told: the state that was told last */
	"ALTER TABLE alert ADD COLUMN told TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE decision ADD COLUMN told TEXT NOT NULL DEFAULT '';"
	"CREATE INDEX alert_told ON alert (id)"
	" WHERE told != state AND (silence IS NULL OR state = 'resolved');"
	"CREATE INDEX decision_told ON decision (id) WHERE told != state;"
	"CREATE TABLE notice ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, kind INTEGER NOT NULL,"
	" severity INTEGER NOT NULL, json TEXT NOT NULL);"
	"CREATE TABLE channel (name TEXT PRIMARY KEY, cursor INTEGER NOT NULL) WITHOUT ROWID;",

	/* INSERT OR REPLACE asks no trigger of DELETE */
	"CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit"
	" WHEN NEW.seq != (SELECT coalesce(max(seq), 0) + 1 FROM audit)"
	" BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;",

	"CREATE TABLE api_token ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, hash BLOB NOT NULL UNIQUE,"
	" role TEXT NOT NULL, capture INTEGER NOT NULL, made_us INTEGER NOT NULL, made_by TEXT NOT NULL,"
	" until_us INTEGER NOT NULL, used_us INTEGER);",

	/* what a node has decided by itself, by its own word for it (node_us: its clock) */
	"ALTER TABLE decision ADD COLUMN node TEXT;"
	"ALTER TABLE decision ADD COLUMN node_us INTEGER;"
	"CREATE UNIQUE INDEX decision_node ON decision (node, node_us) WHERE node IS NOT NULL;",

	/* the mode that each rule has, see modes.h; asked: what somebody gave it; hash: of the rule as it was then */
	"CREATE TABLE rule_mode ("
	" rule_id TEXT PRIMARY KEY, rule TEXT NOT NULL, hash BLOB NOT NULL, mode INTEGER NOT NULL,"
	" asked INTEGER, since_us INTEGER NOT NULL, by TEXT NOT NULL, note TEXT,"
	" seen_us INTEGER NOT NULL DEFAULT 0, proposed INTEGER NOT NULL DEFAULT 0,"
	" spared INTEGER NOT NULL DEFAULT 0, breaker INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;",

	/* files of packets on nodes, as those tell of them; file: its id there; round: of the telling */
	"CREATE TABLE capture ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT NOT NULL, file TEXT NOT NULL, state TEXT NOT NULL,"
	" reason TEXT, rule TEXT NOT NULL, scope TEXT NOT NULL, value TEXT NOT NULL, peer TEXT NOT NULL,"
	" alert INTEGER, decision INTEGER, fired_us INTEGER, first_us INTEGER, last_us INTEGER,"
	" packets INTEGER, dropped INTEGER, bytes INTEGER NOT NULL, removed_us INTEGER,"
	" round INTEGER NOT NULL, UNIQUE (node, file));"
	"CREATE INDEX capture_alert ON capture (alert) WHERE alert IS NOT NULL;"
	"CREATE INDEX capture_removed ON capture (node, removed_us) WHERE removed_us IS NOT NULL;",

	/* what decisions have hit, see nodes/hits.h; record: id of the rule that a decision stands under in policies */
	"ALTER TABLE decision ADD COLUMN record BLOB;"
	"CREATE INDEX decision_record ON decision (record, a) WHERE record IS NOT NULL;"
	"CREATE TABLE hit ("
	" node TEXT NOT NULL, record BLOB NOT NULL, a BLOB NOT NULL, entry INTEGER NOT NULL,"
	" decision INTEGER NOT NULL, packets INTEGER NOT NULL, bytes INTEGER NOT NULL,"
	" flows INTEGER NOT NULL, last_us INTEGER NOT NULL,"
	" PRIMARY KEY (node, record, a, entry, decision)) WITHOUT ROWID;"
	"CREATE INDEX hit_decision ON hit (decision, node);"
	"CREATE TRIGGER decision_hits AFTER DELETE ON decision"
	" BEGIN DELETE FROM hit WHERE decision = OLD.id; END;"
	"CREATE TABLE hit_sum ("
	" rule TEXT NOT NULL, action TEXT NOT NULL, mode TEXT NOT NULL, packets INTEGER NOT NULL,"
	" bytes INTEGER NOT NULL, flows INTEGER NOT NULL, PRIMARY KEY (rule, action, mode)) WITHOUT ROWID;",
};

#define VERSION ((int64_t)(sizeof(steps) / sizeof(steps[0])))

const char *db_error(struct db *d)
{
	return sqlite3_errmsg(d->c);
}

/* ---- statements ---- */

static sqlite3_stmt *statement(struct db *d, const char *sql)
{
	sqlite3_stmt *s;

	for (uint32_t i = 0; i < d->n; i++)
		if (d->kept[i].sql == sql)
			return d->kept[i].s;
	if (d->n == STATEMENTS_MAX ||
	    sqlite3_prepare_v3(d->c, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL) != SQLITE_OK)
		return NULL;
	d->kept[d->n].sql = sql;
	d->kept[d->n++].s = s;
	return s;
}

static int bind(sqlite3_stmt *s, const char *values, va_list *args)
{
	int r = SQLITE_OK;

	for (int i = 1; *values && r == SQLITE_OK; i++, values++) {
		if (*values == 'i') {
			r = sqlite3_bind_int64(s, i, va_arg(*args, int64_t));
		} else if (*values == 'f') {
			const double v = va_arg(*args, double);

			r = isnan(v) ? sqlite3_bind_null(s, i) : sqlite3_bind_double(s, i, v);
		} else if (*values == 't') {
			r = sqlite3_bind_text(s, i, va_arg(*args, const char *), -1,
					      SQLITE_TRANSIENT);
		} else {
			const void *at = va_arg(*args, const void *);

			r = sqlite3_bind_blob(s, i, at, va_arg(*args, int), SQLITE_TRANSIENT);
		}
	}
	return r;
}

static sqlite3_stmt *begin(struct db *d, const char *sql, const char *values, va_list *args)
{
	sqlite3_stmt *s = statement(d, sql);

	if (!s)
		return NULL;
	if (bind(s, values, args) == SQLITE_OK)
		return s;
	db_end(s);
	return NULL;
}

sqlite3_stmt *db_begin(struct db *d, const char *sql, const char *values, ...)
{
	sqlite3_stmt *s;
	va_list args;

	va_start(args, values);
	s = begin(d, sql, values, &args);
	va_end(args);
	return s;
}

int db_step(struct db *d, sqlite3_stmt *s)
{
	int r;

	(void)d;
	if (!s)
		return -EIO;
	r = sqlite3_step(s);
	if (r == SQLITE_ROW)
		return 1;
	db_end(s);
	return r == SQLITE_DONE ? 0 : -EIO;
}

void db_end(sqlite3_stmt *s)
{
	sqlite3_reset(s); /* its return is the error that the step has told */
	sqlite3_clear_bindings(s);
}

int db_run(struct db *d, const char *sql, const char *values, ...)
{
	sqlite3_stmt *s;
	va_list args;
	int r;

	va_start(args, values);
	s = begin(d, sql, values, &args);
	va_end(args);
	do
		r = db_step(d, s);
	while (r == 1);
	return r;
}

int64_t db_number(struct db *d, int64_t none, const char *sql, const char *values, ...)
{
	sqlite3_stmt *s;
	va_list args;
	int64_t v = none;

	va_start(args, values);
	s = begin(d, sql, values, &args);
	va_end(args);
	if (db_step(d, s) == 1) {
		if (sqlite3_column_type(s, 0) != SQLITE_NULL)
			v = sqlite3_column_int64(s, 0);
		db_end(s);
	}
	return v;
}

int64_t db_last_id(struct db *d)
{
	return sqlite3_last_insert_rowid(d->c);
}

int64_t db_changes(struct db *d)
{
	return sqlite3_changes64(d->c);
}

const char *db_text(sqlite3_stmt *s, int column)
{
	return (const char *)sqlite3_column_text(s, column) ?: "";
}

/* ---- life ---- */

static int exec(struct db *d, const char *sql)
{
	return sqlite3_exec(d->c, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

static int64_t version_of(struct db *d)
{
	return db_number(d, -1, "PRAGMA user_version", "");
}

/* One step; somebody else may have made it in the meantime. */
static int step(struct db *d)
{
	int64_t version;
	char pragma[64];

	if (exec(d, "BEGIN IMMEDIATE"))
		return -EIO;
	version = version_of(d);
	if (version < 0)
		return -EIO; /* db_close() ends the transaction */
	if (version >= VERSION)
		return exec(d, "COMMIT");
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %lld", (long long)version + 1);
	return exec(d, steps[version]) ?: exec(d, pragma) ?: exec(d, "COMMIT");
}

static int upgrade(struct db *d, char *error)
{
	int64_t version = version_of(d);

	if (version < 0) {
		snprintf(error, DB_ERROR, "%s", db_error(d));
		return -EIO;
	}
	if (version > VERSION) {
		snprintf(error, DB_ERROR, "it is of version %lld, this program knows %lld",
			 (long long)version, (long long)VERSION);
		return -EIO;
	}
	for (; version < VERSION; version = version_of(d)) {
		if (version < 0 || step(d)) {
			snprintf(error, DB_ERROR, "%s", db_error(d));
			return -EIO;
		}
	}
	return 0;
}

/* Nobody else reads it, from its first moment on; what SQLite puts beside it has the same mode. */
static void make_file(const char *path)
{
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0)
		return;		/* SQLite says why */
	(void)fchmod(fd, 0640); /* who may not, opens it all the same */
	close(fd);
}

int db_open(const char *path, char *error, struct db **ret)
{
	struct db *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	if (path)
		make_file(path);
	r = sqlite3_open_v2(path ?: ":memory:", &d->c,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (r != SQLITE_OK) {
		snprintf(error, DB_ERROR, "%s", d->c ? db_error(d) : "out of memory");
		db_close(d);
		return -EIO;
	}
	sqlite3_busy_timeout(d->c, BUSY_MS);
	if (sqlite3_exec(d->c,
			 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			 "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF",
			 NULL, NULL, NULL) != SQLITE_OK) {
		snprintf(error, DB_ERROR, "%s", db_error(d));
		db_close(d);
		return -EIO;
	}
	r = upgrade(d, error);
	if (r) {
		db_close(d);
		return r;
	}
	*ret = d;
	return 0;
}

void db_close(struct db *d)
{
	if (!d)
		return;
	for (uint32_t i = 0; i < d->n; i++)
		sqlite3_finalize(d->kept[i].s);
	sqlite3_close(d->c);
	free(d);
}
