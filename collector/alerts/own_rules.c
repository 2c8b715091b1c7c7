// SPDX-License-Identifier: Apache-2.0
#include "collector/alerts/own_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/alerts/ruleset.h"
#include "collector/packs/packs_int.h"
#include "collector/rules/test_run.h"

#define PATH 4096u

static const char *directory(const struct settings *s, char buf[PATH])
{
	snprintf(buf, PATH, "%s/rules", settings_text(s, CSET_STORE_DIR));
	return buf;
}

const char *own_rules_path(const struct settings *s, const char *name, char *buf, size_t cap)
{
	snprintf(buf, cap, "%s/rules/%s.yaml", settings_text(s, CSET_STORE_DIR), name);
	return buf;
}

/* ---- reading ---- */

struct reading {
	struct rule_files *f;
	const char *but; /* the file of a trial; NULL: none */
};

static int read_one(void *arg, const char *path)
{
	const struct reading *k = arg;

	return k->but && !strcmp(path, k->but) ? 0 : rule_files_read(k->f, path);
}

/* What must not be there. Return: 0, -ENOMEM. */
static int wrong(struct rule_files *f, const struct rule *r, const char *what)
{
	struct config_errors *errs = calloc(1, sizeof(*errs));
	int rc = -ENOMEM;

	if (errs) {
		config_error(errs, r->at.line, r->at.column, "%s", what);
		rc = rule_files_add_errors(f, r->file, errs);
	}
	free(errs);
	return rc;
}

/* A file has its rule alone, which detects at most. */
static int mark(struct rule_files *f, struct rule *r)
{
	const char *file = strrchr(r->file, '/') + 1;
	const int len = (int)strlen(file) - (int)strlen(".yaml");
	char what[200];
	int rc = 0;

	r->own = true;
	if (len != (int)strlen(r->name) || strncmp(file, r->name, (size_t)len) != 0) {
		snprintf(what, sizeof(what), "rule '%.64s': want rule '%.*s' alone", r->name,
			 len < 64 ? len : 64, file);
		rc = wrong(f, r, what);
	}
	if (!rc && r->mode > RM_DETECT) {
		snprintf(what, sizeof(what),
			 "mode %s: it detects at most here; ':promote' has it go further",
			 rule_word(RO_RULE, "mode", r->mode));
		rc = wrong(f, r, what);
	}
	return rc;
}

int own_rules_read(const struct settings *s, const struct own_trial *t, struct rule_files *f)
{
	const uint32_t first = f->set.n;
	char dir[PATH], path[PATH];
	struct reading k = {f, t ? own_rules_path(s, t->name, path, sizeof(path)) : NULL};
	int r = 0;

	if (!access(directory(s, dir), F_OK))
		r = rule_paths(dir, read_one, &k);
	if (!r && t && t->text)
		r = rule_files_text(f, &(struct rule_source){k.but, t->text, t->len});
	for (uint32_t i = first; i < f->set.n && !r; i++)
		r = mark(f, &f->set.v[i]);
	return r;
}

/* ---- a change ---- */

struct changing {
	struct own_change *c;
	char *said;
	char path[PATH];
	struct ruleset *now, *then; /* as it is, and as it would be */
	const struct rule *was, *will;
	struct ruleset_errors errs;
};

static int said(struct changing *k, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int said(struct changing *k, int r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(k->said, PACKS_SAID, fmt, args);
	va_end(args);
	return r;
}

/* The text is known by what it is, not by where it will stand. */
static void name_text(char *text, const char *path)
{
	const size_t len = strlen(path);

	for (char *at = text; (at = strstr(at, path)); at += 4) {
		memcpy(at, "text", 4);
		memmove(at + 4, at + len, strlen(at + len) + 1);
	}
}

static bool is_of_file(const struct changing *k, const struct rule *r)
{
	return !strcmp(r->file, k->path);
}

/* What is there now. Rules with errors in them stop nobody who is about to mend them. */
static int look(struct changing *k)
{
	struct own_change *c = k->c;
	struct stat st;
	int r = ruleset_load_as(c->settings, NULL, &k->now, &k->errs);

	if (r && r != -EINVAL)
		return r;
	k->was = k->now ? rules_find(ruleset_rules(k->now), c->to.name) : NULL;
	if (k->was && !is_of_file(k, k->was))
		return said(k, -EEXIST, "rule '%.64s' stands in %.300s, and is changed there",
			    c->to.name, k->was->file);
	c->made = stat(k->path, &st) != 0;
	if (!c->to.text && c->made)
		return said(k, -ENOENT, "there is no rule '%.64s'", c->to.name);
	return 0;
}

/* All rules, as they would be then. */
static int try_all(struct changing *k)
{
	const struct ruleset_trial t = {.own = &k->c->to};
	const int r = ruleset_load_as(k->c->settings, &t, &k->then, &k->errs);

	if (r != -EINVAL)
		return r;
	said(k, 0, "%s", k->errs.text);
	return k->c->to.text ? -EBADMSG : -ESTALE;
}

/* It has the rule, with the id that it has always had. */
static int look_at_text(struct changing *k)
{
	const struct rule_set *set = ruleset_rules(k->then);
	const char *name = k->c->to.name;

	for (uint32_t i = 0; i < set->n; i++) {
		const struct rule *r = &set->v[i];

		if (is_of_file(k, r))
			k->will = r;
	}
	if (!k->will)
		return said(k, -EBADMSG, "text: there is no rule '%.64s' in it", name);
	if (k->was && strcasecmp(k->was->id, k->will->id) != 0)
		return said(k, -EEXIST, "rule '%s' has id %s: it keeps it", k->was->name,
			    k->was->id);
	return 0;
}

static void on_test(void *arg, const struct test_result *r)
{
	struct changing *k = arg;
	const size_t at = strlen(k->said);

	if (!r->ok && at + 1 < PACKS_SAID)
		snprintf(k->said + at, PACKS_SAID - at, "%stext:%u:1: test failed: %.80s: %.200s",
			 at ? "\n" : "", r->line, r->name, r->why);
}

static int run_tests(struct changing *k)
{
	const struct rule_source src = {k->path, k->c->to.text, k->c->to.len};
	struct rule_files f;
	int r;

	rule_files_init(&f, &k->then->site);
	r = tests_run_text(&f, &src, on_test, k);
	if (r == -EINVAL) {
		packs_say_errors(&f, k->said);
		r = -EBADMSG;
	}
	rule_files_done(&f);
	if (r == -ENOENT)
		r = 0; /* there are none */
	return r ?: *k->said ? -EBADMSG : 0;
}

static json_t *detail(const struct changing *k)
{
	const struct own_trial *to = &k->c->to;
	uint8_t hash[SHA256_DIGEST_LENGTH];
	char hex[2 * sizeof(hash) + 1];
	json_t *o = json_object();

	if (k->was)
		json_object_set_new(o, "before", json_string(k->was->version));
	if (!to->text)
		return o;
	SHA256((const unsigned char *)to->text, to->len, hash);
	for (size_t i = 0; i < sizeof(hash); i++)
		snprintf(hex + 2 * i, 3, "%02x", hash[i]);
	json_object_set_new(o, "version", json_string(k->will->version));
	json_object_set_new(o, "sha256", json_string(hex));
	return o;
}

static int audit(struct changing *k, const char *action, json_t *o)
{
	const struct packs_change as = {.settings = k->c->settings, .actor = k->c->actor};

	return packs_audit(&as, action, k->c->to.name, o, k->said);
}

/* ---- files ---- */

static int write_all(int fd, const struct own_trial *to)
{
	size_t at = 0;

	while (at < to->len) {
		const ssize_t n = write(fd, to->text + at, to->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		at += (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

/* Durable, or as it was. */
static int replace(const struct own_trial *to, int dir, const char *name)
{
	static const char next[] = ".next"; /* no *.yaml: nobody reads it */
	const int fd =
		openat(dir, next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r = fd < 0 ? -errno : write_all(fd, to);

	if (fd >= 0)
		close(fd);
	if (!r && renameat(dir, next, dir, name))
		r = -errno;
	if (r)
		(void)unlinkat(dir, next, 0); /* the next change writes over it */
	return r;
}

static int write_change(struct changing *k)
{
	const struct own_trial *to = &k->c->to;
	const char *name = strrchr(k->path, '/') + 1;
	char path[PATH];
	int dir, r;

	(void)mkdir(directory(k->c->settings, path), 0755); /* it may be there */
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return said(k, -errno, "%s: %s", path, strerror(errno));
	if (to->text)
		r = replace(to, dir, name);
	else
		r = unlinkat(dir, name, 0) ? -errno : 0;
	if (!r && fsync(dir))
		r = -errno;
	close(dir);
	return r ? said(k, r, "%s: %s", k->path, strerror(-r)) : 0;
}

static int change(struct changing *k)
{
	const char *action = !k->c->to.text ? "rule.removed" : "rule.replaced";
	int r = look(k);

	r = r ?: try_all(k);
	if (!r && k->c->to.text)
		r = look_at_text(k) ?: run_tests(k);
	if (r)
		return r;
	r = audit(k, k->c->made ? "rule.made" : action, detail(k));
	if (r)
		return r;
	r = write_change(k);
	if (r) {
		char why[PACKS_SAID];

		snprintf(why, sizeof(why), "%s", k->said);
		(void)audit(k, "rule.failed", NULL); /* it says less then */
		said(k, 0, "%s", why);
	}
	return r;
}

int own_rules_change(struct own_change *c, char *text)
{
	struct changing *k = calloc(1, sizeof(*k));
	int r;

	*text = 0;
	if (!k)
		return -ENOMEM;
	k->c = c;
	k->said = text;
	own_rules_path(c->settings, c->to.name, k->path, sizeof(k->path));
	r = change(k);
	name_text(text, k->path);
	if (r == -ENOMEM)
		said(k, r, "out of memory");
	ruleset_drop(k->now);
	ruleset_drop(k->then);
	free(k);
	return r;
}
