// SPDX-License-Identifier: Apache-2.0
#include "collector/control/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "collector/control/decide_int.h"
#include "collector/control/publish_int.h"
#include "common/log.h"
#include "common/num_text.h"

#define KEY_FILE_MAX 4096u
#define POLICY	     "policy.bin"
#define CANARY	     "canary.bin"
#define NODE_MAX_S   (UINT64_C(366) * 86400) /* longer than any node allows */

/* ---- the key ---- */

static int read_file(const char *path, char *buf, size_t cap, size_t *ret_len)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, cap);
	close(fd);
	if (n < 0)
		return -EIO;
	*ret_len = (size_t)n;
	return 0;
}

/* Durable under its name, or not there: never a part of it. */
static int replace(const char *path, mode_t mode, const void *data, size_t len)
{
	const char *slash = strrchr(path, '/');
	char next[4110], dir[4100];
	int fd, r = 0;

	snprintf(next, sizeof(next), "%s.next", path);
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	(void)unlink(next); /* what a crash has left: its mode may be another */
	fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	for (size_t at = 0; at < len && !r;) {
		const ssize_t n = write(fd, (const uint8_t *)data + at, len - at);

		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno != EINTR)
			r = -errno;
	}
	if (!r && (fsync(fd) || rename(next, path)))
		r = -errno;
	close(fd);
	fd = r ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!r && (fd < 0 || fsync(fd)))
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r;
}

static int write_key(const char *path, mode_t mode, const uint8_t *key,
		     int (*put)(FILE *out, const uint8_t key[POLICY_KEY]))
{
	char pem[KEY_FILE_MAX] = "";
	FILE *out = fmemopen(pem, sizeof(pem), "w");
	int r = out ? put(out, key) : -ENOMEM;

	if (out && fclose(out) && !r)
		r = -EIO;
	r = r ?: replace(path, mode, pem, strlen(pem));
	explicit_bzero(pem, sizeof(pem));
	return r;
}

static int make_key(struct publish *p, const char *path)
{
	int r = policy_keygen(p->secret, p->public);

	return r ?: write_key(path, 0600, p->secret, policy_write_private);
}

/* The public one for people to take with them: written again only when it is another. */
static int show_key(const struct publish *p, const char *path)
{
	uint8_t there[POLICY_KEY];
	char pem[KEY_FILE_MAX];
	size_t len = 0;

	if (!read_file(path, pem, sizeof(pem), &len) && !policy_read_public(pem, len, there) &&
	    !memcmp(there, p->public, sizeof(there)))
		return 0;
	return write_key(path, 0644, p->public, policy_write_public);
}

static int load_key(struct publish *p, const char *path, bool make, char *error)
{
	char pem[KEY_FILE_MAX], public[4100];
	size_t len = 0;
	int r = read_file(path, pem, sizeof(pem), &len);

	if (r == -ENOENT && make) {
		r = make_key(p, path);
	} else if (!r) {
		r = policy_read_private(pem, len, p->secret);
		r = r ?: policy_public(p->secret, p->public);
	}
	explicit_bzero(pem, sizeof(pem));
	if (r) {
		snprintf(error, DB_ERROR, "%.180s: %s", path,
			 r == -EINVAL ? "no ed25519 private key in PEM" : strerror(-r));
		return r;
	}
	snprintf(public, sizeof(public), "%s/policy.pub", p->dir);
	r = show_key(p, public);
	if (r)
		snprintf(error, DB_ERROR, "%.180s: %s", public, strerror(-r));
	return r;
}

/* Of a file that is there; 0: there is none. */
static int64_t generation_of(const struct publish *p, const char *name)
{
	struct policy_header head;
	char path[4100];
	size_t len = 0;

	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	if (read_file(path, (char *)&head, sizeof(head), &len) || len < sizeof(head) ||
	    memcmp(head.magic, POLICY_MAGIC, sizeof(head.magic)) != 0 ||
	    head.generation > INT64_MAX / 2)
		return 0;
	return (int64_t)head.generation;
}

int publish_open(const struct publish_cfg *cfg, struct publish *ret, char *error)
{
	char path[4100];

	*ret = (struct publish){.valid_us = cfg->valid_us};
	snprintf(ret->dir, sizeof(ret->dir), "%.3980s/policy", cfg->dir);
	snprintf(ret->issuer, sizeof(ret->issuer), "%.31s", cfg->issuer);
	if (mkdir(ret->dir, 0755) && errno != EEXIST) {
		snprintf(error, DB_ERROR, "%.180s: %s", ret->dir, strerror(errno));
		return -EIO;
	}
	ret->there = generation_of(ret, POLICY);
	if (generation_of(ret, CANARY) > ret->there)
		ret->there = generation_of(ret, CANARY);
	snprintf(path, sizeof(path), "%s/policy.key", ret->dir);
	return load_key(ret, cfg->key ?: path, !cfg->key, error);
}

/* ---- records ---- */

enum column {
	C_RULE_ID,
	C_RULE,
	C_AT,
	C_ACTION,
	C_SCOPE,
	C_A,
	C_B,
	C_PORT,
	C_DIR,
	C_RATE,
	C_MODE,
	C_EXPIRES
};

/* First what acts, and the strongest first; then what only counts. */
#define ROWS                                                                                      \
	"SELECT rule_id, rule, at, action, scope, a, b, port, direction, rate, mode, expires_us"  \
	" FROM decision WHERE state = 'active' AND node IS NULL AND action NOT IN (" DECIDE_LOOKS \
	")"                                                                                       \
	" ORDER BY mode = 'shadow', mode = 'canary', action = 'limit', rule_id, at, port, b,"     \
	" action, scope, direction, rate, id"

bool making_is_shadow(const struct making *m, const char *mode)
{
	return m->breaker || !strcmp(mode, "shadow") || (!strcmp(mode, "canary") && !m->canary);
}

static void take_match(struct policy_rule *r, sqlite3_stmt *s)
{
	const int port = sqlite3_column_int(s, C_PORT);

	if (sqlite3_column_bytes(s, C_B) == 16) {
		r->match.have |= COND_DST;
		memcpy(r->match.dst, sqlite3_column_blob(s, C_B), 16);
		r->match.dst_bits = 128;
	}
	if (port) {
		r->match.have |= COND_DST_PORT;
		r->match.dst_port[0] = r->match.dst_port[1] = (uint16_t)port;
	}
}

static int begin_rule(struct making *m, sqlite3_stmt *s, bool shadow, const char *group)
{
	static const uint8_t directions[] = {DIR_BOTH, DIR_INGRESS, DIR_EGRESS};
	const char *action = db_text(s, C_ACTION);
	struct policy_rule *r = &m->rule;

	*r = (struct policy_rule){
		.number = ++m->number,
		.action = !strcmp(action, "drop")    ? POLICY_DROP
			  : !strcmp(action, "limit") ? POLICY_LIMIT
						     : POLICY_RESET,
		.flags = RULE_AUTOMATIC | (shadow ? RULE_SHADOW : 0),
		.direction = directions[(unsigned int)sqlite3_column_int(s, C_DIR) % 3],
		.key = RULE_BY_ADDR,
		.expires = 1, /* of its entries, see end_rule() */
	};
	snprintf(m->group, sizeof(m->group), "%s", group);
	policy_id(group, r->id);
	snprintf((char *)r->name, sizeof(r->name), "%.63s", db_text(s, C_RULE));
	snprintf((char *)r->origin, sizeof(r->origin), "rule:%.30s@%.24s", db_text(s, C_RULE),
		 m->p->issuer);
	take_match(r, s);
	return r->action == POLICY_LIMIT ? policy_scan_rate(db_text(s, C_RATE), r) : 0;
}

/* A rule lasts as long as the last of its entries. */
static int end_rule(struct making *m)
{
	const int r = m->number ? policy_add(&m->draft, POLICY_RULE, &m->rule) : 0;

	m->group[0] = 0;
	return r;
}

static int add_entry(struct making *m, sqlite3_stmt *s)
{
	const bool source = strcmp(db_text(s, C_SCOPE), "dst.ip") != 0;
	struct policy_addr a = {
		.bits = 128,
		.role = m->rule.direction == DIR_BOTH && sqlite3_column_bytes(s, C_B) != 16
				? ROLE_EITHER
			: source ? ROLE_SRC
				 : ROLE_DST,
		.rule = m->number,
		.expires = ((uint64_t)sqlite3_column_int64(s, C_EXPIRES) + 999999) / 1000000,
	};

	if (sqlite3_column_bytes(s, C_A) != 16 || a.expires <= m->now)
		return 0;
	memcpy(a.addr, sqlite3_column_blob(s, C_A), 16);
	if (a.expires > m->rule.expires)
		m->rule.expires = a.expires;
	return policy_add(&m->draft, POLICY_ADDR, &a);
}

void publish_group_text(const struct publish_group *g, char *ret)
{
	char to[IP_TEXT] = "";

	if (g->to)
		ip_text(g->to, 0, to);
	snprintf(ret, PUBLISH_GROUP, "%s %d %s %d %s %s %s %s %d", g->rule_id, g->at, to, g->port,
		 g->rate, g->mode, g->action, g->scope, g->direction);
}

static int add_row(struct making *m, sqlite3_stmt *s)
{
	const struct publish_group g = {
		.rule_id = db_text(s, C_RULE_ID),
		.rate = db_text(s, C_RATE),
		.mode = db_text(s, C_MODE),
		.action = db_text(s, C_ACTION),
		.scope = db_text(s, C_SCOPE),
		.to = sqlite3_column_bytes(s, C_B) == 16 ? sqlite3_column_blob(s, C_B) : NULL,
		.at = sqlite3_column_int(s, C_AT),
		.port = sqlite3_column_int(s, C_PORT),
		.direction = sqlite3_column_int(s, C_DIR),
	};
	const bool shadow = making_is_shadow(m, db_text(s, C_MODE));
	char group[PUBLISH_GROUP];
	int r = 0;

	if (((uint64_t)sqlite3_column_int64(s, C_EXPIRES) + 999999) / 1000000 <= m->now)
		return 0; /* a rule without entries would be none */
	publish_group_text(&g, group);
	if (strcmp(group, m->group) != 0 && m->number == POLICY_RULES_MAX) {
		m->left_out++; /* the weakest and latest: the others hold */
		return 0;
	}
	if (strcmp(group, m->group) != 0)
		r = end_rule(m) ?: begin_rule(m, s, shadow, group);
	return r ?: add_entry(m, s);
}

static int make(struct making *m)
{
	sqlite3_stmt *s = db_begin(m->db, ROWS, "");
	int r;

	while ((r = db_step(m->db, s)) == 1) {
		r = add_row(m, s);
		if (r) {
			db_end(s);
			return r;
		}
	}
	return r ?: end_rule(m) ?: making_looks(m) ?: making_agents(m);
}

/* ---- files ---- */

/* What a node would refuse is not signed. */
static int seal(struct making *m, int64_t generation, uint8_t **ret, size_t *ret_len, char *error)
{
	const struct policy_bounds bounds = {.now = m->now, .expires_max = NODE_MAX_S};
	struct policy_error wrong;
	struct policy checked;
	int r;

	m->draft.head.generation = (uint64_t)generation;
	m->draft.head.not_after = m->now + m->p->valid_us / 1000000;
	memcpy(m->draft.head.issuer, m->p->issuer, sizeof(m->p->issuer));
	r = policy_image(&m->draft, ret, ret_len);
	if (!r && policy_check(*ret, *ret_len, &bounds, &checked, &wrong)) {
		snprintf(error, DB_ERROR, "%.230s", wrong.text);
		r = -EINVAL;
	}
	return r ?: policy_sign(*ret, *ret_len, m->p->secret);
}

static void note(struct publish *p, const struct making *m, const uint8_t *image, size_t len)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	SHA256(image, len, hash);
	for (unsigned int i = 0; i < sizeof(hash); i++)
		snprintf(p->hash + 2 * i, 3, "%02x", hash[i]);
	p->rules = m->draft.of[POLICY_RULE].n;
	p->entries = m->draft.of[POLICY_ADDR].n;
	p->left_out = m->left_out;
	if (m->left_out)
		log_error("policy", "%u decisions are left out: there are more than %u rules",
			  m->left_out, POLICY_RULES_MAX);
}

static int write_one(struct publish *p, struct db *d, int64_t generation, bool canary, char *error)
{
	struct making m = {.db = d,
			   .p = p,
			   .canary = canary,
			   .now = (uint64_t)time(NULL),
			   .breaker = publish_breaker(d)};
	uint8_t *image = NULL;
	size_t len = 0;
	char path[4100];
	int r = make(&m);

	snprintf(path, sizeof(path), "%s/%s", p->dir, canary ? CANARY : POLICY);
	r = r ?: seal(&m, generation, &image, &len, error);
	r = r ?: replace(path, 0644, image, len);
	if (!r && !canary)
		note(p, &m, image, len);
	if (r && !*error)
		snprintf(error, DB_ERROR, "%s", strerror(-r));
	free(image);
	policy_draft_done(&m.draft);
	return r;
}

bool publish_breaker(struct db *d)
{
	return db_number(d, 1,
			 "SELECT coalesce((SELECT value FROM number WHERE name = 'breaker'), 0)",
			 "") != 0;
}

int publish_next(const struct publish *p, struct db *d, int64_t *ret)
{
	const int r = db_run(d,
			     "INSERT INTO number VALUES ('generation', ?1 + 1) ON CONFLICT (name)"
			     " DO UPDATE SET value = max(value, ?1) + 1",
			     "i", p->there);

	*ret = db_number(d, 0, "SELECT value FROM number WHERE name = 'generation'", "");
	return r ?: *ret > 0 ? 0 : -EIO;
}

int publish_write(struct publish *p, struct db *d, int64_t generation, char *error)
{
	int r;

	*error = 0;
	r = write_one(p, d, generation, false, error);
	r = r ?: write_one(p, d, generation, true, error);
	if (r)
		return r;
	p->generation = generation;
	p->made_us = (int64_t)time(NULL) * 1000000;
	return 0;
}

json_t *publish_status(const struct publish *p, struct db *d)
{
	json_t *o = json_object();
	char text[TIME_TEXT], path[4100], id[17];
	uint8_t key_id[8];

	policy_key_id(p->public, key_id);
	for (unsigned int i = 0; i < sizeof(key_id); i++)
		snprintf(id + 2 * i, 3, "%02x", key_id[i]);
	snprintf(path, sizeof(path), "%s/policy.bin", p->dir);
	time_text((uint64_t)p->made_us * 1000, text);
	json_object_set_new(o, "type", json_string("policy"));
	json_object_set_new(o, "issuer", json_string(p->issuer));
	json_object_set_new(o, "generation", json_integer(p->generation));
	json_object_set_new(o, "made", json_string(text));
	time_text(((uint64_t)p->made_us + p->valid_us) * 1000, text);
	json_object_set_new(o, "until", json_string(text));
	json_object_set_new(o, "rules", json_integer(p->rules));
	json_object_set_new(o, "entries", json_integer(p->entries));
	json_object_set_new(o, "left_out", json_integer(p->left_out));
	json_object_set_new(o, "hash", json_string(p->hash));
	json_object_set_new(o, "file", json_string(path));
	json_object_set_new(o, "key_id", json_string(id));
	json_object_set_new(o, "breaker", json_boolean(publish_breaker(d)));
	return o;
}
