// SPDX-License-Identifier: Apache-2.0
/*
 * packs.c - packs are put in and taken away. All that can be wrong is found while the new pack stands under another
 * name; then one rename makes it the pack. What a crash has left under such a name goes with the next change.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/alerts/ruleset.h"
#include "collector/packs/packs_int.h"

#define STAGED ".new-" /* and the pack's name */
#define OLD    ".old-"

static pthread_mutex_t here = PTHREAD_MUTEX_INITIALIZER; /* one at a time in this process, too */

static int said(char *text, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int said(char *text, int r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, PACKS_SAID, fmt, args);
	va_end(args);
	return r;
}

static void say_one(void *arg, const char *text)
{
	char *to = arg;
	const size_t at = strlen(to);

	if (at + strlen(text) + 2 <= PACKS_SAID)
		snprintf(to + at, PACKS_SAID - at, "%s%s", at ? "\n" : "", text);
}

void packs_say_errors(const struct rule_files *f, char *text)
{
	text[0] = 0;
	rule_files_each_error(f, say_one, text);
}

/* ---- one change at a time ---- */

struct changing {
	const struct packs_change *c;
	char *said;
	char dir[4096];
	int dirfd, lock;
	struct pack now; /* that comes */
	struct pack was; /* that is there; its meta.name NULL: none */
	struct rule_files files;
	struct site site;
	char staged[RULE_NAME_MAX + 16], old[RULE_NAME_MAX + 16];
};

/* It belongs to whom the store belongs to. */
static int open_directory(struct changing *k)
{
	const char *store = settings_text(k->c->settings, CSET_STORE_DIR);
	struct stat st;
	bool made = false;

	packs_directory(k->c->settings, k->dir, sizeof(k->dir));
	if (k->c->path)
		made = !mkdir(k->dir, 0755);
	k->dirfd = open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->dirfd < 0)
		return said(k->said, -errno, "%s: %s", k->dir, strerror(errno));
	if (made && !geteuid() && !stat(store, &st))
		(void)!fchown(k->dirfd, st.st_uid, st.st_gid); /* root can go on all the same */
	k->lock = openat(k->dirfd, ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (k->lock < 0)
		return said(k->said, -errno, "%s/.lock: %s", k->dir, strerror(errno));
	if (!geteuid() && !fstat(k->dirfd, &st))
		(void)!fchown(k->lock, st.st_uid, st.st_gid); /* as above */
	if (flock(k->lock, LOCK_EX | LOCK_NB))
		return said(k->said, -EBUSY, "%s: another change of packs is under way", k->dir);
	return 0;
}

static void clear_leftovers(struct changing *k)
{
	DIR *dir = opendir(k->dir);
	const struct dirent *d;

	while (dir && (d = readdir(dir)))
		if (!strncmp(d->d_name, STAGED, sizeof(STAGED) - 1) ||
		    !strncmp(d->d_name, OLD, sizeof(OLD) - 1))
			(void)pack_remove_dir(k->dirfd, d->d_name); /* else another time */
	if (dir)
		closedir(dir);
}

static int begin(struct changing *k, const struct packs_change *c, char *text)
{
	int r;

	pthread_mutex_lock(&here);
	*k = (struct changing){.c = c, .said = text, .dirfd = -1, .lock = -1};
	text[0] = 0;
	site_init(&k->site);
	rule_files_init(&k->files, &k->site);
	r = open_directory(k);
	if (!r)
		clear_leftovers(k);
	return r;
}

/* People know the pack by where they have it, not by where it stands for the moment. */
static void rename_places(struct changing *k)
{
	char place[4200], copy[PACKS_SAID], *at = k->said;
	const size_t len = (size_t)snprintf(place, sizeof(place), "%s/%s", k->dir, k->staged);
	size_t left;

	while (k->c->path && *k->staged && (at = strstr(at, place))) {
		snprintf(copy, sizeof(copy), "%s", at + len);
		left = PACKS_SAID - (size_t)(at - k->said);
		snprintf(at, left, "%s%s", k->c->path, copy);
		at += strlen(at) < strlen(k->c->path) ? strlen(at) : strlen(k->c->path);
	}
}

static int end(struct changing *k, int r)
{
	if (r == -EINVAL) {
		if (k->files.n_errors)
			packs_say_errors(&k->files, k->said);
		r = -EBADMSG;
	}
	if (r == -ENOMEM)
		said(k->said, r, "out of memory");
	rename_places(k);
	pack_done(&k->now);
	pack_done(&k->was);
	rule_files_done(&k->files);
	site_done(&k->site);
	if (k->lock >= 0)
		close(k->lock);
	if (k->dirfd >= 0)
		close(k->dirfd);
	pthread_mutex_unlock(&here);
	return r;
}

/* ---- is it to come in? ---- */

static int read_new(struct changing *k)
{
	struct pack_keys *keys = calloc(1, sizeof(*keys));
	int r = keys ? pack_read(&k->now, k->c->path, k->said) : -ENOMEM;

	if (r && r != -ENOMEM)
		r = -EBADMSG;
	r = r ?: packs_keys(k->c->settings, &k->files, keys);
	r = r ?: pack_check(&k->now, &k->files, k->c->path);
	if (!r)
		pack_verify(&k->now, keys);
	free(keys);
	if (r)
		return r;
	if (k->c->name && strcmp(k->c->name, k->now.meta.name) != 0)
		return said(k->said, -EBADMSG, "%s: it is pack %s, not %s", k->c->path,
			    k->now.meta.name, k->c->name);
	snprintf(k->staged, sizeof(k->staged), STAGED "%s", k->now.meta.name);
	snprintf(k->old, sizeof(k->old), OLD "%s", k->now.meta.name);
	if (k->now.trust == PACK_CHANGED)
		return said(k->said, -EKEYREJECTED, "%s: %s", k->c->path, k->now.why);
	if (k->now.trust != PACK_SIGNED && !k->c->unsigned_too)
		return said(k->said, -EKEYREJECTED,
			    "%s: %s; --unsigned takes it all the same and marks it as tainted",
			    k->c->path, k->now.why);
	return 0;
}

/* The one that is there. Return: 0, also when there is none. */
static int read_old(struct changing *k, const char *name)
{
	struct rule_files ignored;
	char path[8192], why[PACK_WHY];
	struct stat st;
	int r;

	snprintf(path, sizeof(path), "%s/%s", k->dir, name);
	if (strchr(name, '/') || *name == '.' || lstat(path, &st) || !S_ISDIR(st.st_mode))
		return 0;
	rule_files_init(&ignored, &k->site);
	r = pack_read_dir(&k->was, path, why);
	if (r != -ENOMEM) /* whatever is wrong with it, it may be replaced */
		r = pack_check(&k->was, &ignored, path);
	rule_files_done(&ignored);
	if (r != -ENOMEM && !k->was.meta.name)
		k->was.meta.name = rule_set_keep(&k->was.memory, name);
	return r == -ENOMEM || !k->was.meta.name ? -ENOMEM : 0;
}

static bool same_files(const struct pack *a, const struct pack *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++) {
		const struct pack_file *f = pack_find(b, a->files[i].name);

		if (!f || memcmp(f->hash, a->files[i].hash, PACK_HASH) != 0)
			return false;
	}
	return true;
}

static int compare_versions(struct changing *k)
{
	const char *name = k->now.meta.name, *old = k->was.meta.version;
	int order;

	if (!k->c->update)
		return k->was.meta.name
			       ? said(k->said, -EEXIST,
				      "%s %s is installed already: 'pack update' replaces it", name,
				      old ?: "")
			       : 0;
	if (!k->was.meta.name)
		return said(k->said, -ENOENT, "%s is not installed: 'pack install' does that",
			    name);
	order = old ? pack_version_compare(k->now.meta.version, old) : 1;
	if (order > 0 || k->c->downgrade)
		return 0;
	if (!order && same_files(&k->now, &k->was))
		return said(k->said, -ESTALE, "%s %s is installed already", name, old);
	return said(k->said, -ESTALE, "%s %s is %s than %s; --downgrade takes it all the same",
		    name, k->now.meta.version, order ? "older" : "no newer, and another one,", old);
}

/* ---- ids ---- */

/* Rules of a pack by themselves; errors are not of interest here: others look for them. */
static int read_set(struct changing *k, const struct pack *p, struct rule_files *ret)
{
	int r;

	rule_files_init(ret, &k->site);
	r = packs_bind_lists(&k->site, p, NULL);
	return r ?: packs_rules(k->c->settings, p, ret);
}

/* What the site says of a rule by its name must not be said of another one. */
static int compare_ids(struct changing *k, const struct rule_set *now, const struct rule_set *was)
{
	for (uint32_t i = 0; i < now->n; i++)
		for (uint32_t o = 0; o < was->n; o++) {
			const bool name = !strcmp(now->v[i].name, was->v[o].name);
			const bool id = !strcasecmp(now->v[i].id, was->v[o].id);

			if (name != id)
				return said(k->said, -EBADMSG,
					    "rule '%s' (%s) was '%s' (%s) in %s: a rule keeps its "
					    "name and its id",
					    now->v[i].name, now->v[i].id, was->v[o].name,
					    was->v[o].id, k->was.meta.version);
		}
	return 0;
}

/* Drafts stay drafts: somebody has to say that they shall be more. Return: 0, -errno. */
static int write_drafts(struct changing *k, const struct rule_set *was)
{
	char name[RULE_NAME_MAX + 16], next[RULE_NAME_MAX + 24];
	int fd = -1, r = 0;
	FILE *out;

	snprintf(name, sizeof(name), ".%s.drafts", k->now.meta.name);
	snprintf(next, sizeof(next), "%s.next", name);
	fd = openat(k->dirfd, next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out)
		return said(k->said, -errno, "%s/%s: %s", k->dir, next, strerror(errno));
	for (uint32_t o = 0; o < was->n; o++)
		if (was->v[o].mode == RM_DRAFT)
			fprintf(out, "%s\n", was->v[o].id);
	if (fflush(out) || fsync(fd))
		r = -EIO;
	if (fclose(out))
		r = -EIO;
	if (!r && renameat(k->dirfd, next, k->dirfd, name))
		r = -errno;
	return r ? said(k->said, r, "%s/%s: %s", k->dir, name, strerror(-r)) : 0;
}

static int look_at_ids(struct changing *k)
{
	struct rule_files now = {}, was = {};
	int r;

	if (!k->was.meta.version)
		return 0; /* there is none, or nobody can read it any more */
	r = read_set(k, &k->now, &now);
	r = r ?: read_set(k, &k->was, &was);
	r = r ?: compare_ids(k, &now.set, &was.set);
	r = r ?: write_drafts(k, &was.set);
	rule_files_done(&now);
	rule_files_done(&was);
	return r;
}

/* ---- does it work? ---- */

static int run_tests(struct changing *k)
{
	struct packs_tests t = {};
	char path[8192];
	int r;

	snprintf(path, sizeof(path), "%s/%s", k->dir, k->staged);
	r = packs_test(&k->now, path, &k->files, &t);
	if (r == -ENOENT)
		return said(k->said, -EBADMSG, "%s: a pack without tests is not taken", k->c->path);
	if (!r && t.failed)
		return said(k->said, -EBADMSG, "%u of its %u tests failed: %s", t.failed,
			    t.passed + t.failed, t.first);
	return r;
}

/* All rules together, as they would be then. @staged NULL: without the pack. */
static int try_all(struct changing *k, const char *name, const char *staged)
{
	const struct packs_trial t = {name, staged};
	struct ruleset_errors *errs = calloc(1, sizeof(*errs));
	int r = errs ? ruleset_try(k->c->settings, &(struct ruleset_trial){.pack = &t}, errs)
		     : -ENOMEM;

	if (r == -EINVAL)
		r = said(k->said, -EBADMSG, "%s", errs->text);
	free(errs);
	return r;
}

/* ---- the change ---- */

static json_t *detail(const struct changing *k)
{
	json_t *o = json_pack("{s:s,s:s,s:s,s:s}", "version", k->now.meta.version, "state",
			      pack_trust_word(k->now.trust), "key", k->now.key, "from", k->c->path);

	if (k->was.meta.version)
		json_object_set_new(o, "before", json_string(k->was.meta.version));
	if (k->c->downgrade)
		json_object_set_new(o, "downgrade", json_true());
	return o;
}

static int swap(struct changing *k)
{
	const char *name = k->now.meta.name;
	int r;

	r = packs_audit(k->c, k->c->update ? "pack.updated" : "pack.installed", name, detail(k),
			k->said);
	if (r)
		return r;
	if (renameat2(k->dirfd, k->staged, k->dirfd, name,
		      k->c->update ? RENAME_EXCHANGE : RENAME_NOREPLACE)) {
		r = -errno;
		(void)packs_audit(k->c, "pack.failed", name, NULL, k->said); /* it says less then */
		return said(k->said, r, "%s/%s: %s", k->dir, name, strerror(-r));
	}
	if (fsync(k->dirfd))
		return said(k->said, -errno, "%s: %s", k->dir, strerror(errno));
	if (k->c->update)
		(void)pack_remove_dir(k->dirfd,
				      k->staged); /* what is left goes with the next change */
	return 0;
}

static int put(struct changing *k)
{
	int r = read_new(k);

	r = r ?: read_old(k, k->now.meta.name);
	r = r ?: compare_versions(k);
	if (!r) {
		r = pack_write_dir(&k->now, k->dirfd, k->staged, k->said);
		r = r ?: run_tests(k);
		r = r ?: try_all(k, k->now.meta.name, k->staged);
		r = r ?: look_at_ids(k);
		r = r ?: swap(k);
		if (r)
			(void)pack_remove_dir(k->dirfd, k->staged); /* as above */
	}
	return r;
}

int packs_put(const struct packs_change *c, char *text, json_t **ret)
{
	struct changing *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	r = begin(k, c, text);
	r = r ?: put(k);
	if (!r) {
		*ret = packs_json(c->settings, &k->now);
		said(text, 0, "%s %s is %s%s%s", k->now.meta.name, k->now.meta.version,
		     c->update ? "updated" : "installed",
		     k->now.trust == PACK_SIGNED ? "" : ", tainted: ", k->now.why);
	}
	r = end(k, r);
	free(k);
	return r;
}

static int take_away(struct changing *k)
{
	const char *name = k->c->name;
	char drafts[RULE_NAME_MAX + 16];
	int r;

	if (strlen(name) >= RULE_NAME_MAX)
		return said(k->said, -ENOENT, "%.64s is not installed", name);
	r = read_old(k, name);
	if (!r && !k->was.meta.name)
		return said(k->said, -ENOENT, "%.64s is not installed", name);
	snprintf(k->old, sizeof(k->old), OLD "%s", name);
	r = r ?: try_all(k, name, NULL);
	r = r
		    ?: packs_audit(k->c, "pack.removed", name,
				   json_pack("{s:s}", "version", k->was.meta.version ?: ""),
				   k->said);
	if (r)
		return r;
	if (renameat2(k->dirfd, name, k->dirfd, k->old, RENAME_NOREPLACE) || fsync(k->dirfd))
		return said(k->said, -errno, "%s/%s: %s", k->dir, name, strerror(errno));
	(void)pack_remove_dir(k->dirfd, k->old); /* what is left goes with the next change */
	snprintf(drafts, sizeof(drafts), ".%s.drafts", name);
	(void)unlinkat(k->dirfd, drafts, 0); /* there may be none */
	return said(k->said, 0, "%s is removed", name);
}

int packs_remove(const struct packs_change *c, char *text)
{
	struct changing *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	r = begin(k, c, text);
	if (r == -ENOENT)
		said(text, r, "%.64s is not installed", c->name);
	r = r ?: take_away(k);
	r = end(k, r);
	free(k);
	return r;
}
