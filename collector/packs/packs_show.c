// SPDX-License-Identifier: Apache-2.0
/*
 * packs_show.c - packs as JSON, what can be said about one that is not installed, signing, and the audit log.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/control/audit.h"
#include "collector/packs/packs_int.h"
#include "common/num_text.h"

#define KEY_FILE_MAX 4096u

static void put_text(json_t *o, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(o, key, json_string(text));
}

/* ---- one pack ---- */

static json_t *list_json(const struct pack_list *l)
{
	json_t *o =
		json_pack("{s:s,s:s}", "name", l->name, "type", l->names ? "names" : "addresses");

	put_text(o, "description", l->description);
	put_text(o, "feed", l->feed.url ?: l->feed.file);
	return o;
}

static json_t *about(const struct pack *p)
{
	json_t *o = json_object(), *lists = json_array();

	put_text(o, "name", p->meta.name);
	put_text(o, "version", p->meta.version);
	put_text(o, "title", p->meta.title);
	put_text(o, "description", p->meta.description);
	put_text(o, "author", p->meta.author);
	put_text(o, "licence", p->meta.licence);
	put_text(o, "engine", p->meta.engine);
	put_text(o, "state", pack_trust_word(p->trust));
	json_object_set_new(o, "tainted", json_boolean(p->trust != PACK_SIGNED));
	put_text(o, "why", p->why);
	put_text(o, "key", p->key);
	for (uint32_t i = 0; i < p->n_lists; i++)
		json_array_append_new(lists, list_json(&p->lists[i]));
	json_object_set_new(o, "lists", lists);
	return o;
}

static json_t *rule_json(const struct rule *r)
{
	json_t *o = json_object();

	put_text(o, "id", r->id);
	put_text(o, "name", r->name);
	put_text(o, "version", r->version);
	put_text(o, "title", r->title);
	put_text(o, "class", rule_class_word(r->class));
	put_text(o, "mode", rule_word(RO_RULE, "mode", r->mode));
	return o;
}

/* Its rules by themselves: @local and other lists are what they are where nobody has said anything. */
static json_t *rules_json(const struct settings *s, const struct pack *p)
{
	struct site *site = calloc(1, sizeof(*site));
	json_t *list = json_array();
	struct rule_files f;

	if (!site)
		return list;
	site_init(site);
	rule_files_init(&f, site);
	if (!packs_bind_lists(site, p, NULL) && !packs_rules(s, p, &f))
		for (uint32_t i = 0; i < f.set.n; i++)
			json_array_append_new(list, rule_json(&f.set.v[i]));
	rule_files_done(&f);
	site_done(site);
	free(site);
	return list;
}

json_t *packs_json(const struct settings *s, const struct pack *p)
{
	json_t *o = about(p);

	json_object_set_new(o, "rules", rules_json(s, p));
	return o;
}

static json_t *params_json(const struct pack *p)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < p->meta.params.n; i++) {
		const struct rule_param *q = &p->meta.params.v[i];
		json_t *o = json_object();

		put_text(o, "name", q->name);
		put_text(o, "value", q->value);
		put_text(o, "default", q->def.s);
		put_text(o, "min", q->min.s);
		put_text(o, "max", q->max.s);
		put_text(o, "doc", q->doc);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *files_json(const struct pack *p)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < p->n; i++)
		json_array_append_new(list, json_pack("{s:s,s:I}", "name", p->files[i].name,
						      "bytes", (json_int_t)p->files[i].len));
	return list;
}

/* ---- all of them ---- */

/* @fn for each, into a list; NULL: @said. */
static json_t *each(const struct settings *s, const char *only, char *said)
{
	struct site *site = calloc(1, sizeof(*site));
	json_t *list = json_array();
	struct rule_files f;
	struct packs all;
	int r;

	said[0] = 0;
	if (!site) {
		json_decref(list);
		return NULL;
	}
	site_init(site);
	rule_files_init(&f, site);
	r = packs_open(s, NULL, &f, &all);
	for (uint32_t i = 0; i < all.n; i++) {
		json_t *o;

		if (only && strcmp(only, all.v[i].meta.name) != 0)
			continue;
		o = packs_json(s, &all.v[i]);
		if (only) {
			json_object_set_new(o, "params", params_json(&all.v[i]));
			json_object_set_new(o, "files", files_json(&all.v[i]));
		}
		json_array_append_new(list, o);
	}
	if (r)
		packs_say_errors(&f, said);
	packs_done(&all);
	rule_files_done(&f);
	site_done(site);
	free(site);
	if (!r)
		return list;
	json_decref(list);
	return NULL;
}

json_t *packs_list(const struct settings *s, char *said)
{
	return each(s, NULL, said);
}

json_t *packs_show(const struct settings *s, const char *name, char *said)
{
	json_t *list = each(s, name, said);
	json_t *one = list ? json_incref(json_array_get(list, 0)) : NULL;

	if (list && !one)
		snprintf(said, PACKS_SAID, "%.64s is not installed", name);
	json_decref(list);
	return one;
}

/* ---- those who make packs ---- */

struct checking {
	struct pack p;
	struct pack_keys keys;
	struct site site;
	struct rule_files f;
	struct packs_tests tests;
	char why[PACK_WHY], said[PACKS_SAID];
};

/* Into a directory of its own, so that tests see what was read. */
static int check_tests(struct checking *k)
{
	char dir[] = "/tmp/weir-pack-XXXXXX", path[64];
	int fd, r;

	if (!mkdtemp(dir))
		return packs_error(&k->f, dir, strerror(errno));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/pack", dir);
	r = fd < 0 ? -errno : pack_write_dir(&k->p, fd, "pack", k->why);
	if (r)
		r = packs_error(&k->f, path, k->why);
	else
		r = packs_test(&k->p, path, &k->f, &k->tests);
	if (r == -ENOENT)
		r = packs_error(&k->f, "",
				"there are no tests: a pack without any is not installed");
	if (fd >= 0) {
		(void)pack_remove_dir(fd, "pack"); /* a directory of /tmp */
		close(fd);
	}
	(void)rmdir(dir); /* the same */
	return r;
}

static int check_all(struct checking *k, const struct settings *s, const char *path)
{
	int r = pack_read(&k->p, path, k->why);

	if (r)
		return r == -ENOMEM ? r : packs_error(&k->f, path, k->why);
	r = packs_keys(s, &k->f, &k->keys) ?: pack_check(&k->p, &k->f, path);
	if (r)
		return r;
	pack_verify(&k->p, &k->keys);
	r = packs_bind_lists(&k->site, &k->p, NULL);
	r = r ?: packs_rules(s, &k->p, &k->f);
	if (!r)
		r = rule_files_link(&k->f);
	return r ?: check_tests(k);
}

static json_t *errors_json(const struct checking *k)
{
	json_t *list = json_array();

	for (const char *line = k->said; *line;) {
		const size_t len = strcspn(line, "\n");

		json_array_append_new(list, json_stringn(line, len));
		line += len + (line[len] == '\n');
	}
	return list;
}

json_t *packs_check(const struct settings *s, const char *path)
{
	struct checking *k = calloc(1, sizeof(*k));
	json_t *o;
	int r;

	if (!k)
		return NULL;
	site_init(&k->site);
	rule_files_init(&k->f, &k->site);
	k->tests.list = json_array();
	r = check_all(k, s, path);
	packs_say_errors(&k->f, k->said);
	o = about(&k->p);
	json_object_set_new(o, "ok",
			    json_boolean(!r && !k->f.n_errors && !k->tests.failed &&
					 k->p.trust != PACK_CHANGED));
	json_object_set_new(o, "rules", json_integer(k->f.set.n));
	json_object_set_new(o, "errors", errors_json(k));
	json_object_set_new(o, "tests",
			    json_pack("{s:i,s:i,s:o}", "passed", (int)k->tests.passed, "failed",
				      (int)k->tests.failed, "list", k->tests.list));
	rule_files_done(&k->f);
	site_done(&k->site);
	pack_done(&k->p);
	free(k);
	return o;
}

static int read_key(const char *path, uint8_t key[POLICY_KEY], char *said)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	char pem[KEY_FILE_MAX];
	ssize_t n = fd < 0 ? -1 : read(fd, pem, sizeof(pem));
	int r = n < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	if (r)
		snprintf(said, PACKS_SAID, "%s: %s", path, strerror(-r));
	else if (policy_read_private(pem, (size_t)n, key)) {
		snprintf(said, PACKS_SAID, "%s: no ed25519 private key in PEM", path);
		r = -EINVAL;
	}
	explicit_bzero(pem, sizeof(pem));
	return r;
}

static int write_manifest(const char *path, const char *text, size_t len, char *said)
{
	char file[4096], next[4110];
	FILE *out;
	int r = 0;

	snprintf(file, sizeof(file), "%s/" PACK_MANIFEST, path);
	snprintf(next, sizeof(next), "%s/.manifest.next", path);
	out = fopen(next, "we");
	if (!out || fwrite(text, 1, len, out) != len || fflush(out) || fsync(fileno(out)))
		r = -errno ?: -EIO;
	if (out && fclose(out) && !r)
		r = -EIO;
	if (!r && rename(next, file))
		r = -errno;
	if (r)
		snprintf(said, PACKS_SAID, "%.2000s: %s", file, strerror(-r));
	return r;
}

int packs_sign(const char *path, const char *key_file, char *said)
{
	struct pack *p = calloc(1, sizeof(*p));
	uint8_t key[POLICY_KEY];
	char why[PACK_WHY], *text;
	size_t len = 0;
	int r = p ? pack_read_dir(p, path, why) : -ENOMEM;

	if (r)
		snprintf(said, PACKS_SAID, "%s", r == -ENOMEM ? "out of memory" : why);
	r = r ?: read_key(key_file, key, said);
	if (!r) {
		text = pack_manifest(p, key, &len);
		explicit_bzero(key, sizeof(key));
		r = text ? write_manifest(path, text, len, said) : -ENOMEM;
		free(text);
	}
	if (!r)
		snprintf(said, PACKS_SAID, "%s/" PACK_MANIFEST " is of %u files", path,
			 p->n - (pack_find(p, PACK_MANIFEST) != NULL));
	if (p)
		pack_done(p);
	free(p);
	return r;
}

/* ---- the audit log ---- */

/* As root: what is made belongs to whom the store belongs to. */
static int make_book(const char *dir, const char *path)
{
	struct stat st;
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0)
		return -errno;
	if (!geteuid() && !stat(dir, &st))
		(void)!fchown(fd, st.st_uid, st.st_gid); /* root can write to it all the same */
	close(fd);
	return 0;
}

int packs_audit(const struct packs_change *c, const char *action, const char *name, json_t *detail,
		char *said)
{
	const char *dir = settings_text(c->settings, CSET_STORE_DIR);
	char path[4096], error[DB_ERROR] = "", object[RULE_NAME_MAX + 8];
	struct db *d = NULL;
	int r;

	snprintf(path, sizeof(path), "%s/control.db", dir);
	snprintf(object, sizeof(object), "%.4s %.64s", action, name);
	r = make_book(dir, path) ?: db_open(path, error, &d);
	if (!r)
		r = db_run(d, "BEGIN IMMEDIATE", "");
	if (!r) {
		r = audit_add(d, &(struct audit_entry){c->actor, action, object}, detail);
		detail = NULL;
		r = r ?: db_run(d, "COMMIT", "");
	}
	if (r)
		snprintf(said, PACKS_SAID,
			 "%.2000s: the audit log can't be written, nothing is changed: %s", path,
			 *error ? error
			 : d	? db_error(d)
				: strerror(-r));
	json_decref(detail);
	db_close(d);
	return r;
}
