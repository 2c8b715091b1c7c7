// SPDX-License-Identifier: Apache-2.0
/*
 * nodes_table.c - nodes and tokens as rows of control.db; what people do to them is in the audit log.
 */
#include <errno.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "collector/control/audit.h"
#include "collector/nodes/nodes_int.h"

#define LABELS_MAX   16u
#define SEEN_EACH_US INT64_C(60000000)

/* ---- labels ---- */

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_label(const char *s)
{
	static const char word[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
	const size_t key = strspn(s, word);

	if (!key || strlen(s) >= 64)
		return false;
	return !s[key] || (s[key] == '=' && s[key + 1] && !s[key + 1 + strspn(s + key + 1, word)]);
}

int table_labels(const char *text, char ret[NODES_LABELS])
{
	char copy[NODES_LABELS], *rest = copy, *word;
	const char *v[LABELS_MAX];
	uint32_t n = 0;
	size_t len = 0;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, strlen(text) + 1);
	while ((word = strsep(&rest, ", "))) {
		if (!*word)
			continue;
		if (n == LABELS_MAX || !is_label(word))
			return -EINVAL;
		v[n++] = word;
	}
	qsort(v, n, sizeof(v[0]), compare);
	ret[0] = '\0';
	for (uint32_t i = 0; i < n; i++)
		if (!i || strcmp(v[i], v[i - 1]) != 0)
			len += (size_t)snprintf(ret + len, NODES_LABELS - len, "%s%s",
						len ? "," : "", v[i]);
	return 0;
}

static bool has_label(const char *labels, const char *label)
{
	const size_t len = strlen(label);

	for (const char *at = labels; *at; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == len && !memcmp(at, label, len))
			return true;
	return false;
}

void table_set_canary(struct nodes *n, struct node *x)
{
	const bool was = x->canary;

	x->canary = false;
	for (uint32_t i = 0; i < n->canary_n; i++)
		x->canary |= has_label(x->labels, n->canary[i]);
	/* both policies have one generation: what it has is not older than what it shall have now */
	if (was != x->canary && x->heard_us && x->report.highest)
		nodes_ask_policy(n, x->report.highest);
}

/* ---- finding ---- */

struct node *table_by_key(struct nodes *n, const uint8_t key[CA_HASH])
{
	for (struct node *x = n->first; x; x = x->next)
		if (!memcmp(x->key, key, CA_HASH))
			return x;
	return NULL;
}

struct node *table_by_name(struct nodes *n, const char *name)
{
	for (struct node *x = n->first; x; x = x->next)
		if (!strcmp(x->name, name))
			return x;
	return NULL;
}

static struct node *add(struct nodes *n, const char *name)
{
	struct node *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	snprintf(x->name, sizeof(x->name), "%s", name);
	x->report.state = NODE_NONE;
	*n->last = x;
	n->last = &x->next;
	n->n++;
	return x;
}

int table_load(struct nodes *n)
{
	sqlite3_stmt *s =
		db_begin(n->db,
			 "SELECT id, name, labels, key, enrolled_us, expires_us, revoked_us,"
			 " seen_us, version, kernel FROM node ORDER BY id",
			 "");
	int r;

	while ((r = db_step(n->db, s)) == 1) {
		struct node *x = add(n, db_text(s, 1));

		if (!x) {
			db_end(s);
			return -ENOMEM;
		}
		x->id = sqlite3_column_int64(s, 0);
		snprintf(x->labels, sizeof(x->labels), "%s", db_text(s, 2));
		if (sqlite3_column_bytes(s, 3) == CA_HASH)
			memcpy(x->key, sqlite3_column_blob(s, 3), CA_HASH);
		x->enrolled_us = sqlite3_column_int64(s, 4);
		x->expires_us = sqlite3_column_int64(s, 5);
		x->revoked_us = sqlite3_column_int64(s, 6);
		x->seen_us = x->saved_us = sqlite3_column_int64(s, 7);
		snprintf(x->version, sizeof(x->version), "%s", db_text(s, 8));
		snprintf(x->kernel, sizeof(x->kernel), "%s", db_text(s, 9));
		table_set_canary(n, x);
	}
	return r;
}

/* ---- changes ---- */

static int end(struct nodes *n, int r)
{
	r = r ?: db_run(n->db, "COMMIT", "");
	if (r)
		(void)db_run(n->db, "ROLLBACK", ""); /* it may be over already */
	return r;
}

static int note(struct nodes *n, const char *actor, const char *action, const char *name,
		json_t *detail)
{
	char object[NODE_NAME + 8];

	snprintf(object, sizeof(object), "node %s", name);
	return audit_add(n->db, &(struct audit_entry){actor, action, object}, detail);
}

int table_token(struct nodes *n, const struct token *t, const char *actor, char ret[NODE_TOKEN])
{
	uint8_t secret[NODE_SECRET], pin[CA_HASH], hash[SHA256_DIGEST_LENGTH];
	const int64_t now = nodes_wall_us();
	int r;

	if (RAND_bytes(secret, sizeof(secret)) != 1)
		return -EIO;
	SHA256(secret, sizeof(secret), hash);
	ca_pin(n->ca, pin);
	node_token_write(pin, secret, ret);
	explicit_bzero(secret, sizeof(secret));
	r = db_run(n->db, "BEGIN IMMEDIATE", "");
	r = r ?: db_run(n->db, "DELETE FROM token WHERE until_us < ?", "i", now);
	r = r
		    ?: db_run(n->db, "INSERT INTO token VALUES (?, nullif(?, ''), ?, ?, ?, ?)",
			      "bttiti", hash, (int)sizeof(hash), t->name, t->labels, now, actor,
			      now + (int64_t)t->valid_us);
	r = r
		    ?: note(n, actor, "node.token", *t->name ? t->name : "any",
			    json_pack("{s:s}", "labels", t->labels));
	return end(n, r);
}

/* The token's row. Return: 1 with @ret_name, @ret_labels (to be freed); 0 there is none; -EIO. */
static int take_token(struct nodes *n, const uint8_t *secret, char **ret_name, char **ret_labels)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	sqlite3_stmt *s;
	int r;

	SHA256(secret, NODE_SECRET, hash);
	s = db_begin(n->db,
		     "DELETE FROM token WHERE hash = ? AND until_us >= ?"
		     " RETURNING coalesce(name, ''), labels",
		     "bi", hash, (int)sizeof(hash), nodes_wall_us());
	r = db_step(n->db, s);
	if (r != 1)
		return r;
	*ret_name = strdup(db_text(s, 0));
	*ret_labels = strdup(db_text(s, 1));
	while ((r = db_step(n->db, s)) == 1)
		;
	return r ?: *ret_name && *ret_labels ? 1 : -ENOMEM;
}

static int put_row(struct nodes *n, const char *name, const char *labels, const struct ca_issued *c)
{
	return db_run(
		n->db,
		"INSERT INTO node (name, labels, key, enrolled_us, expires_us)"
		" VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET labels = excluded.labels,"
		" key = excluded.key, enrolled_us = excluded.enrolled_us,"
		" expires_us = excluded.expires_us, revoked_us = NULL",
		"ttbii", name, labels, c->key, (int)CA_HASH, nodes_wall_us(), c->expires_us);
}

/* In the transaction; the token is gone if it is committed. */
static int enrol(struct nodes *n, struct enrolling *e, const char *name, const char *labels)
{
	int r;

	if (node_name_check(name))
		return -EINVAL;
	r = ca_issue(n->ca, e->csr, &(struct ca_wish){name, n->certificate_us}, &e->issued,
		     e->error);
	if (!r && table_by_key(n, e->issued.key)) {
		snprintf(e->error, sizeof(e->error), "csr: its key is another node's");
		r = -EINVAL;
	}
	r = r ?: put_row(n, name, labels, &e->issued);
	return r ?: note(n, "token", "node.enrolled", name, json_pack("{s:s}", "labels", labels));
}

static int become_node(struct nodes *n, const struct enrolling *e, const char *name,
		       const char *labels, struct node **ret)
{
	struct node *x = table_by_name(n, name) ?: add(n, name);

	if (!x)
		return -ENOMEM;
	snprintf(x->labels, sizeof(x->labels), "%s", labels);
	memcpy(x->key, e->issued.key, CA_HASH);
	x->enrolled_us = nodes_wall_us();
	x->expires_us = e->issued.expires_us;
	x->revoked_us = 0;
	x->heard_us = 0;
	x->attempts = 0;
	x->again_us = 0;
	x->report = (struct node_report){.state = NODE_NONE};
	table_set_canary(n, x);
	*ret = x;
	return 0;
}

int table_enrol(struct nodes *n, struct enrolling *e, struct node **ret)
{
	char *name = NULL, *labels = NULL;
	const char *chosen;
	int r = db_run(n->db, "BEGIN IMMEDIATE", "");

	if (!r) {
		r = take_token(n, e->secret, &name, &labels);
		r = r == 1 ? 0 : r ?: -EACCES;
	}
	chosen = !r && *name ? name : e->wish;
	if (!r && !*name && table_by_name(n, chosen))
		r = -EEXIST;
	if (!r && !table_by_name(n, chosen) && n->n >= n->max)
		r = -ENOSPC;
	r = r ?: enrol(n, e, chosen, labels);
	r = end(n, r);
	r = r ?: become_node(n, e, chosen, labels, ret);
	free(name);
	free(labels);
	return r;
}

int table_renewed(struct nodes *n, struct node *x, int64_t expires_us)
{
	const int r = db_run(n->db, "UPDATE node SET expires_us = ? WHERE name = ?", "it",
			     expires_us, x->name);

	if (!r)
		x->expires_us = expires_us;
	return r;
}

int table_revoke(struct nodes *n, struct node *x, const char *actor)
{
	const int64_t now = nodes_wall_us();
	int r = db_run(n->db, "BEGIN IMMEDIATE", "");

	r = r ?: db_run(n->db, "UPDATE node SET revoked_us = ? WHERE name = ?", "it", now, x->name);
	r = end(n, r ?: note(n, actor, "node.revoked", x->name, NULL));
	if (!r)
		x->revoked_us = now;
	return r;
}

int table_relabel(struct nodes *n, struct node *x, const char *labels, const char *actor)
{
	int r = db_run(n->db, "BEGIN IMMEDIATE", "");

	r = r ?: db_run(n->db, "UPDATE node SET labels = ? WHERE name = ?", "tt", labels, x->name);
	r = end(n, r
			   ?: note(n, actor, "node.labelled", x->name,
				   json_pack("{s:s}", "labels", labels)));
	if (r)
		return r;
	snprintf(x->labels, sizeof(x->labels), "%s", labels);
	table_set_canary(n, x);
	return 0;
}

void table_save_seen(struct nodes *n)
{
	for (struct node *x = n->first; x; x = x->next) {
		if (x->seen_us < x->saved_us + SEEN_EACH_US && x->saved_us)
			continue;
		if (x->seen_us <= x->saved_us)
			continue;
		if (db_run(n->db,
			   "UPDATE node SET seen_us = ?, version = ?, kernel = ? WHERE name = ?",
			   "ittt", x->seen_us, x->version, x->kernel, x->name))
			return; /* it is said again in a minute */
		x->saved_us = x->seen_us;
	}
}
