// SPDX-License-Identifier: Apache-2.0
#include "collector/control/audit.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/num_text.h"

struct chained {
	int64_t seq, at_us;
	const char *actor, *action, *object, *detail;
};

/* Texts with their ends: no two entries have the same bytes. */
static int chain(uint8_t hash[AUDIT_HASH], const struct chained *c)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return -ENOMEM;
	fwrite(hash, 1, AUDIT_HASH, out);
	fprintf(out, "%lld\n%lld\n%s%c%s%c%s%c%s", (long long)c->seq, (long long)c->at_us, c->actor,
		0, c->action, 0, c->object, 0, c->detail);
	if (fclose(out)) {
		free(text);
		return -ENOMEM;
	}
	SHA256((const unsigned char *)text, len, hash);
	free(text);
	return 0;
}

static void hex(const uint8_t hash[AUDIT_HASH], char ret[AUDIT_HEX])
{
	for (unsigned int i = 0; i < AUDIT_HASH; i++)
		snprintf(ret + 2 * i, 3, "%02x", hash[i]);
}

static int last(struct db *d, int64_t *ret_seq, uint8_t hash[AUDIT_HASH])
{
	sqlite3_stmt *s = db_begin(d, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", "");
	const int r = db_step(d, s);

	*ret_seq = 0;
	memset(hash, 0, AUDIT_HASH);
	if (r != 1)
		return r;
	*ret_seq = sqlite3_column_int64(s, 0);
	if (sqlite3_column_bytes(s, 1) == AUDIT_HASH)
		memcpy(hash, sqlite3_column_blob(s, 1), AUDIT_HASH);
	db_end(s);
	return 0;
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int audit_add(struct db *d, const struct audit_entry *e, json_t *detail)
{
	char *text = detail ? json_dumps(detail, JSON_COMPACT | JSON_SORT_KEYS) : strdup("{}");
	struct chained c = {0, now_us(), e->actor, e->action, e->object, text};
	uint8_t hash[AUDIT_HASH];
	int r = text ? last(d, &c.seq, hash) : -ENOMEM;

	json_decref(detail);
	c.seq++;
	r = r ?: chain(hash, &c);
	r = r
		    ?: db_run(d, "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", "iittttb", c.seq,
			      c.at_us, c.actor, c.action, c.object, c.detail, hash,
			      (int)AUDIT_HASH);
	free(text);
	return r;
}

/* Octets behind a 0 would be in no hash, and be shown to nobody. */
static bool has_tail(sqlite3_stmt *s)
{
	for (int i = 2; i <= 5; i++)
		if (strlen(db_text(s, i)) != (size_t)sqlite3_column_bytes(s, i))
			return true;
	return false;
}

int audit_verify(struct db *d, const char *head, struct audit_state *ret)
{
	sqlite3_stmt *s =
		db_begin(d,
			 "SELECT seq, at_us, actor, action, object, detail, hash FROM audit"
			 " ORDER BY seq",
			 "");
	uint8_t hash[AUDIT_HASH] = {};
	int r;

	*ret = (struct audit_state){.found = !*head};
	while ((r = db_step(d, s)) == 1) {
		const struct chained c = {sqlite3_column_int64(s, 0),
					  sqlite3_column_int64(s, 1),
					  db_text(s, 2),
					  db_text(s, 3),
					  db_text(s, 4),
					  db_text(s, 5)};

		ret->entries++;
		if (chain(hash, &c)) {
			db_end(s);
			return -ENOMEM;
		}
		if (!ret->broken && (c.seq != ret->entries || has_tail(s) ||
				     sqlite3_column_bytes(s, 6) != AUDIT_HASH ||
				     memcmp(hash, sqlite3_column_blob(s, 6), AUDIT_HASH) != 0))
			ret->broken = ret->entries;
		hex(hash, ret->head);
		ret->found |= !strcmp(ret->head, head);
	}
	return r;
}

int audit_verify_file(const char *path, const char *head, struct audit_state *ret)
{
	char error[DB_ERROR];
	struct db *d;
	int r = db_open(path, error, &d);

	if (r)
		return r;
	r = audit_verify(d, head, ret);
	db_close(d);
	return r;
}

json_t *audit_list(struct db *d, int64_t before, int64_t limit)
{
	sqlite3_stmt *s =
		db_begin(d,
			 "SELECT * FROM (SELECT seq, at_us, actor, action, object, detail, hash"
			 " FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?) ORDER BY seq",
			 "ii", before, limit);
	json_t *list = json_array();
	int r;

	while ((r = db_step(d, s)) == 1) {
		char text[TIME_TEXT], hash[AUDIT_HEX] = "";
		json_t *o = json_object();

		time_text((uint64_t)sqlite3_column_int64(s, 1) * 1000, text);
		if (sqlite3_column_bytes(s, 6) == AUDIT_HASH)
			hex(sqlite3_column_blob(s, 6), hash);
		json_object_set_new(o, "type", json_string("audit"));
		json_object_set_new(o, "seq", json_integer(sqlite3_column_int64(s, 0)));
		json_object_set_new(o, "time", json_string(text));
		json_object_set_new(o, "actor", json_string(db_text(s, 2)));
		json_object_set_new(o, "action", json_string(db_text(s, 3)));
		json_object_set_new(o, "object", json_string(db_text(s, 4)));
		json_object_set_new(o, "detail",
				    json_loads(db_text(s, 5), 0, NULL) ?: json_object());
		json_object_set_new(o, "hash", json_string(hash));
		json_array_append_new(list, o);
	}
	if (!r)
		return list;
	json_decref(list);
	return NULL;
}
