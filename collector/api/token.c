// SPDX-License-Identifier: Apache-2.0
#include "collector/api/token.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/alerts/book_int.h"
#include "collector/control/audit.h"
#include "common/scan.h"

#define USED_EACH_US INT64_C(60000000) /* how exact the time of its last use is in the database */
#define LONGEST_NS   (UINT64_C(366) * 86400 * 1000000000)

struct token {
	int64_t id;
	struct api_who who;
	uint8_t hash[SHA256_DIGEST_LENGTH];
	int64_t made_us, used_us, saved_us;
	char made_by[64];
};

struct tokens {
	struct db *db;
	pthread_mutex_t lock;
	struct token *v; /* TOKENS_MAX, those that have ended among them until one is made */
	uint32_t n;
};

/* ---- life ---- */

static uint32_t rights_of(enum api_role role, bool capture)
{
	return api_roles[role].rights | (capture ? 1u << RIGHT_CAPTURE : 0);
}

static int load(struct tokens *t)
{
	sqlite3_stmt *s =
		db_begin(t->db,
			 "SELECT id, name, role, capture, until_us, hash, made_us, made_by,"
			 " used_us FROM api_token WHERE until_us > ? ORDER BY id",
			 "i", book_now_us());
	int r;

	while ((r = db_step(t->db, s)) == 1) {
		struct token *x = &t->v[t->n];
		const int role = api_role_find(db_text(s, 2));

		if (t->n == TOKENS_MAX || role < 0 ||
		    sqlite3_column_bytes(s, 5) != SHA256_DIGEST_LENGTH)
			continue; /* a role that this version does not know may do nothing */
		*x = (struct token){.id = sqlite3_column_int64(s, 0),
				    .who = {.role = (enum api_role)role,
					    .capture = sqlite3_column_int(s, 3) != 0,
					    .until_us = sqlite3_column_int64(s, 4)},
				    .made_us = sqlite3_column_int64(s, 6),
				    .used_us = sqlite3_column_int64(s, 8),
				    .saved_us = sqlite3_column_int64(s, 8)};
		x->who.rights = rights_of(x->who.role, x->who.capture);
		snprintf(x->who.name, sizeof(x->who.name), "%s", db_text(s, 1));
		snprintf(x->made_by, sizeof(x->made_by), "%s", db_text(s, 7));
		memcpy(x->hash, sqlite3_column_blob(s, 5), sizeof(x->hash));
		t->n++;
	}
	return r;
}

int tokens_open(const char *dir, char *error, struct tokens **ret)
{
	struct tokens *t = calloc(1, sizeof(*t));
	char path[4096];
	int r;

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	t->v = calloc(TOKENS_MAX, sizeof(*t->v));
	snprintf(path, sizeof(path), "%s/control.db", dir);
	r = t->v ? db_open(path, error, &t->db) : -ENOMEM;
	if (!r) {
		r = load(t);
		if (r)
			snprintf(error, DB_ERROR, "%s", db_error(t->db));
	}
	if (r)
		tokens_close(t);
	else
		*ret = t;
	return r;
}

void tokens_close(struct tokens *t)
{
	if (!t)
		return;
	db_close(t->db);
	free(t->v);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* ---- whose is it? ---- */

/* Now and then: a minute more or less does not matter, and writing waits for the disk. */
static void mark_used(struct tokens *t, struct token *x, int64_t now)
{
	x->used_us = now;
	if (now < x->saved_us + USED_EACH_US)
		return;
	x->saved_us = now;
	/* a database that can't be written is said by whoever has something to write */
	(void)db_run(t->db, "UPDATE api_token SET used_us = ? WHERE id = ?", "ii", now, x->id);
}

int tokens_find(struct tokens *t, const char *text, size_t len, struct api_who *ret)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	const int64_t now = book_now_us();
	int r = -EACCES;

	if (len != TOKEN_TEXT - 1 || memcmp(text, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) != 0)
		return r;
	SHA256((const unsigned char *)text, len, hash);
	pthread_mutex_lock(&t->lock);
	for (uint32_t i = 0; i < t->n && r; i++) {
		struct token *x = &t->v[i];

		if (x->who.until_us <= now || memcmp(x->hash, hash, sizeof(hash)) != 0)
			continue;
		*ret = x->who;
		mark_used(t, x, now);
		r = 0;
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

/* ---- questions ---- */

static json_t *token_json(const struct token *x)
{
	json_t *o = json_pack("{s:s,s:s,s:s,s:b}", "type", "token", "name", x->who.name, "role",
			      api_roles[x->who.role].word, "capture", x->who.capture);

	book_put_time(o, "made", x->made_us);
	json_object_set_new(o, "by", json_string(x->made_by));
	book_put_time(o, "until", x->who.until_us);
	book_put_time(o, "used", x->used_us);
	return o;
}

static json_t *list(const struct tokens *t)
{
	const int64_t now = book_now_us();
	json_t *out = json_array();

	for (uint32_t i = 0; i < t->n; i++)
		if (t->v[i].who.until_us > now)
			json_array_append_new(out, token_json(&t->v[i]));
	json_array_append_new(out, json_pack("{s:s,s:I}", "type", "end", "rows",
					     (json_int_t)json_array_size(out)));
	return out;
}

static struct token *find_name(struct tokens *t, const char *name)
{
	const int64_t now = book_now_us();

	for (uint32_t i = 0; i < t->n; i++)
		if (t->v[i].who.until_us > now && !strcmp(t->v[i].who.name, name))
			return &t->v[i];
	return NULL;
}

static void forget_ended(struct tokens *t, int64_t now)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		if (t->v[i].who.until_us > now)
			t->v[n++] = t->v[i];
	t->n = n;
}

static int write_down(struct tokens *t, const char *actor, const char *action,
		      const struct token *x, json_t *detail)
{
	char object[TOKEN_NAME + 8];

	snprintf(object, sizeof(object), "token %s", x->who.name);
	return audit_add(t->db, &(struct audit_entry){actor, action, object}, detail);
}

static int end(struct tokens *t, int r)
{
	r = r ?: db_run(t->db, "COMMIT", "");
	if (r)
		(void)db_run(t->db, "ROLLBACK", ""); /* it may be over already */
	return r;
}

static int store_token(struct tokens *t, struct token *x, const char *actor)
{
	json_t *detail = json_pack("{s:s,s:b}", "role", api_roles[x->who.role].word, "capture",
				   x->who.capture);
	int r = db_run(t->db, "BEGIN IMMEDIATE", "");

	book_put_time(detail, "until", x->who.until_us);
	r = r ?: db_run(t->db, "DELETE FROM api_token WHERE until_us <= ?", "i", x->made_us);
	if (!r && !*x->who.name)
		snprintf(x->who.name, sizeof(x->who.name), "%s-%lld", api_roles[x->who.role].word,
			 (long long)db_number(t->db, 0,
					      "SELECT seq FROM sqlite_sequence"
					      " WHERE name = 'api_token'",
					      "") +
				 1);
	r = r
		    ?: db_run(t->db,
			      "INSERT INTO api_token (name, hash, role, capture, made_us, made_by,"
			      " until_us) VALUES (?, ?, ?, ?, ?, ?, ?)",
			      "tbtiiti", x->who.name, x->hash, (int)sizeof(x->hash),
			      api_roles[x->who.role].word, (int64_t)x->who.capture, x->made_us,
			      actor, x->who.until_us);
	if (!r)
		x->id = db_last_id(t->db);
	if (r)
		json_decref(detail);
	return end(t, r ?: write_down(t, actor, "token.made", x, detail));
}

/* The wish of a request. Return: NULL, or the refusal. */
static json_t *read_wish(const json_t *request, const struct tokens_asker *asker, struct token *x)
{
	const char *name = book_text(request, "name"), *length = book_text(request, "for");
	const int role = api_role_find(book_text(request, "role"));
	uint64_t ns;

	if (role < 0)
		return book_refuse("request", "role '%.40s': want one of %s",
				   book_text(request, "role"), API_ROLE_WORDS);
	if (scan_duration_ns(length, 1000000000, LONGEST_NS, &ns))
		return book_refuse("request", "for '%.40s': want a time such as 30d, 366d at most",
				   length);
	if (strlen(name) > TOKEN_NAME ||
	    name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")])
		return book_refuse("request",
				   "name '%.40s': want letters, digits, . _ -, %u at most", name,
				   TOKEN_NAME);
	*x = (struct token){.who = {.role = (enum api_role)role,
				    .capture = json_is_true(json_object_get(request, "capture"))},
			    .made_us = book_now_us()};
	snprintf(x->who.name, sizeof(x->who.name), "%s", name);
	snprintf(x->made_by, sizeof(x->made_by), "%s", asker->actor);
	x->who.rights = rights_of(x->who.role, x->who.capture);
	x->who.until_us = x->made_us + (int64_t)(ns / 1000);
	if (asker->until_us && x->who.until_us > asker->until_us)
		x->who.until_us = asker->until_us;
	return NULL;
}

static int make_secret(struct token *x, char text[TOKEN_TEXT])
{
	uint8_t secret[TOKEN_BYTES];
	size_t len;

	if (RAND_bytes(secret, sizeof(secret)) != 1)
		return -EIO;
	memcpy(text, TOKEN_PREFIX, sizeof(TOKEN_PREFIX));
	if (!OPENSSL_buf2hexstr_ex(text + strlen(TOKEN_PREFIX), 2 * TOKEN_BYTES + 1, &len, secret,
				   sizeof(secret), '\0'))
		return -EIO;
	explicit_bzero(secret, sizeof(secret));
	SHA256((const unsigned char *)text, strlen(text), x->hash);
	return 0;
}

static json_t *create(struct tokens *t, const json_t *request, const struct tokens_asker *asker)
{
	char text[TOKEN_TEXT];
	struct token x;
	json_t *o = read_wish(request, asker, &x), *out;

	if (o)
		return o;
	forget_ended(t, x.made_us);
	if (*x.who.name && find_name(t, x.who.name))
		return book_refuse("conflict", "there is a token '%s' already", x.who.name);
	if (t->n == TOKENS_MAX)
		return book_refuse("conflict", "there are %u tokens, as many as there may be",
				   TOKENS_MAX);
	if (make_secret(&x, text))
		return book_refuse("store", "no random numbers");
	if (store_token(t, &x, asker->actor))
		return book_refuse("store", "%s", db_error(t->db));
	t->v[t->n++] = x;
	o = token_json(&x);
	json_object_set_new(o, "type", json_string("done"));
	json_object_set_new(o, "token", json_string(text));
	explicit_bzero(text, sizeof(text));
	out = json_array();
	json_array_append_new(out, o);
	return out;
}

static json_t *revoke(struct tokens *t, const json_t *request, const struct tokens_asker *asker)
{
	const char *name = book_text(request, "name");
	struct token *x = find_name(t, name);
	const int64_t now = book_now_us();
	json_t *out;
	int r;

	if (!x)
		return book_refuse("unknown", "there is no token '%.40s'", name);
	r = db_run(t->db, "BEGIN IMMEDIATE", "");
	r = r ?: db_run(t->db, "UPDATE api_token SET until_us = ? WHERE id = ?", "ii", now, x->id);
	r = end(t, r ?: write_down(t, asker->actor, "token.revoked", x, NULL));
	if (r)
		return book_refuse("store", "%s", db_error(t->db));
	x->who.until_us = now;
	out = json_array();
	json_array_append_new(out, json_pack("{s:s,s:s}", "type", "done", "name", x->who.name));
	return out;
}

static json_t *ask(struct tokens *t, const json_t *request, const struct tokens_asker *asker)
{
	const char *what = book_text(request, "what");

	if (!strcmp(what, "list"))
		return list(t);
	if (!asker->may_change)
		return book_refuse("permission",
				   "%s may look: tokens are made by root and the collector's user",
				   asker->actor);
	if (!strcmp(what, "create"))
		return create(t, request, asker);
	if (!strcmp(what, "revoke"))
		return revoke(t, request, asker);
	return book_refuse("request", "tokens: no such question '%.40s'", what);
}

json_t *tokens_ask(struct tokens *t, const json_t *request, const struct tokens_asker *asker)
{
	json_t *out;

	pthread_mutex_lock(&t->lock);
	out = ask(t, request, asker);
	pthread_mutex_unlock(&t->lock);
	return out;
}
