// SPDX-License-Identifier: Apache-2.0
/*
 * installed.c - installed packs as the rules at work read them: all of a pack's files once into memory, where they
 * are verified and from where its rules are read, so that nothing changes in between.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "collector/packs/packs_int.h"

const char *packs_directory(const struct settings *s, char *buf, size_t cap)
{
	const char *dir = collector_path(s, CSET_PACKS_DIRECTORY);

	if (dir)
		snprintf(buf, cap, "%s", dir);
	else
		snprintf(buf, cap, "%s/packs", settings_text(s, CSET_STORE_DIR));
	return buf;
}

int packs_error(struct rule_files *f, const char *file, const char *text)
{
	struct config_errors *errs = calloc(1, sizeof(*errs));
	int r;

	if (!errs)
		return -ENOMEM;
	config_error(errs, 0, 0, "%.220s", text);
	r = rule_files_add_errors(f, file, errs);
	free(errs);
	return r;
}

int packs_keys(const struct settings *s, struct rule_files *f, struct pack_keys *ret)
{
	const char *dir = collector_path(s, CSET_PACKS_KEYS);
	char why[PACK_WHY];
	int r;

	ret->n = 0;
	r = dir ? pack_read_keys(ret, dir, why) : 0;
	if (r && r != -ENOMEM)
		r = packs_error(f, dir, why);
	return r;
}

static int is_pack(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* What is wrong is in @f, and is no reason to leave the others out. */
static int read_one(struct pack *p, const char *path, const char *name,
		    const struct pack_keys *keys, struct rule_files *f)
{
	char why[PACK_WHY];
	int r = pack_read_dir(p, path, why);

	if (r && r != -ENOMEM)
		return packs_error(f, path, why);
	r = r ?: pack_check(p, f, path);
	if (!r && strcmp(p->meta.name, name) != 0)
		r = packs_error(f, path, "the directory of a pack is named as the pack");
	if (!r)
		pack_verify(p, keys);
	return r == -ENOMEM ? r : 0;
}

static int add(struct packs *all, const char *path, const char *name, const struct pack_keys *keys,
	       struct rule_files *f)
{
	struct pack *v = reallocarray(all->v, all->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	all->v = v;
	v[all->n] = (struct pack){};
	return read_one(&v[all->n++], path, name, keys, f);
}

static int add_all(const char *dir, const struct packs_trial *t, const struct pack_keys *keys,
		   struct rule_files *f, struct packs *ret)
{
	struct dirent **list;
	int n = scandir(dir, &list, is_pack, alphasort), r = 0;
	char path[8192];

	if (n < 0)
		return errno == ENOENT ? 0 : packs_error(f, dir, strerror(errno));
	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", dir, name);
		if (!r && (!t || strcmp(t->name, name) != 0) && !lstat(path, &st) &&
		    S_ISDIR(st.st_mode))
			r = add(ret, path, name, keys, f);
		free(list[i]);
	}
	free(list);
	return r;
}

int packs_open(const struct settings *s, const struct packs_trial *t, struct rule_files *f,
	       struct packs *ret)
{
	struct pack_keys *keys = calloc(1, sizeof(*keys));
	const uint32_t errors = f->n_errors;
	char dir[4096], path[8192];
	int r;

	*ret = (struct packs){};
	if (!keys)
		return -ENOMEM;
	packs_directory(s, dir, sizeof(dir));
	r = packs_keys(s, f, keys);
	r = r ?: add_all(dir, t, keys, f, ret);
	if (!r && t && t->staged) {
		snprintf(path, sizeof(path), "%s/%s", dir, t->staged);
		r = add(ret, path, t->name, keys, f);
	}
	free(keys);
	if (!r && f->n_errors != errors)
		r = -EINVAL;
	if (r)
		packs_done(ret);
	return r;
}

void packs_done(struct packs *p)
{
	while (p->n)
		pack_done(&p->v[--p->n]);
	free(p->v);
	*p = (struct packs){};
}

/* ---- rules ---- */

char *packs_drafts(const char *dir, const char *name)
{
	const char *why;
	char path[8192];
	size_t len;

	snprintf(path, sizeof(path), "%s/.%s.drafts", dir, name);
	return rule_file_text(path, &len, &why);
}

bool packs_is_draft(const char *drafts, const char *id)
{
	const char *at = drafts;
	const size_t len = strlen(id);

	while (at && (at = strcasestr(at, id))) {
		if ((at == drafts || at[-1] == '\n') && at[len] == '\n')
			return true;
		at += len;
	}
	return false;
}

static void mark(struct rule *r, const struct pack *p, const char *name, const char *drafts)
{
	r->pack = name;
	r->tainted = p->trust != PACK_SIGNED;
	if (r->mode > RM_DETECT)
		r->mode = RM_DETECT;
	if (packs_is_draft(drafts, r->id))
		r->mode = RM_DRAFT;
}

static int read_rules(const struct pack *p, const char *dir, struct rule_files *f)
{
	char path[8192];
	int r = 0;

	for (uint32_t i = 0; i < p->n && !r; i++) {
		const struct pack_file *file = &p->files[i];

		if (strncmp(file->name, "rules/", 6) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", dir, p->meta.name, file->name);
		r = rule_files_text(f, &(struct rule_source){path, file->bytes, file->len});
	}
	return r;
}

int packs_rules(const struct settings *s, const struct pack *p, struct rule_files *f)
{
	const uint32_t first = f->set.n;
	char dir[4096], name[2 * RULE_NAME_MAX + 64], *drafts;
	const char *kept;
	int r;

	f->binding.shared = &p->meta.params;
	r = read_rules(p, packs_directory(s, dir, sizeof(dir)), f);
	f->binding.shared = NULL;
	if (r)
		return r;
	snprintf(name, sizeof(name), "%s %.60s", p->meta.name, p->meta.version);
	kept = rule_set_keep(&f->set, name);
	if (!kept)
		return -ENOMEM;
	drafts = packs_drafts(dir, p->meta.name);
	for (uint32_t i = first; i < f->set.n; i++)
		mark(&f->set.v[i], p, kept, drafts);
	free(drafts);
	return 0;
}
