// SPDX-License-Identifier: Apache-2.0
/*
 * pack.c - files gathered to a pack, and what pack.yaml and lists/ say.
 */
#include "collector/packs/pack.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/packs/feed.h"
#include "collector/rules/rule_int.h"
#include "common/cli.h"
#include "common/having.h"

static int wrong(char *why, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int wrong(char *why, int r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, PACK_WHY, fmt, args);
	va_end(args);
	for (char *s = why; *s; s++) /* names may be a stranger's */
		if ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f)
			*s = '?';
	return r;
}

void pack_done(struct pack *p)
{
	pack_forget(p);
	rules_done(&p->memory);
	*p = (struct pack){};
}

void pack_forget(struct pack *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		free(p->files[i].name);
		free(p->files[i].bytes);
	}
	free(p->files);
	p->files = NULL;
	p->n = p->cap = 0;
	for (uint32_t i = 0; i < p->n_lists; i++)
		p->lists[i].values = NULL;
}

/* ---- names ---- */

static bool ends_with(const char *s, const char *end)
{
	const size_t n = strlen(s), m = strlen(end);

	return n > m && !strcmp(s + n - m, end);
}

static bool may_stand(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.';
}

/* Words of letters, digits and . _ - that do not begin with a dot, with / between them. */
static bool is_path(const char *name)
{
	unsigned int depth = 1;
	bool begin = true;

	if (!*name || strlen(name) > PACK_PATH_MAX)
		return false;
	for (const char *s = name; *s; s++) {
		if (*s == '/' ? begin : !may_stand(*s) || (begin && *s == '.'))
			return false;
		begin = *s == '/';
		depth += begin;
	}
	return !begin && depth <= PACK_DEPTH_MAX;
}

static bool has_place(const char *name)
{
	static const char *const top[] = {PACK_META, PACK_MANIFEST, "LICENSE",
					  "LICENCE", "README.md",   "CHANGELOG.md"};

	if (!strncmp(name, "rules/", 6))
		return ends_with(name, ".yaml");
	if (!strncmp(name, "lists/", 6))
		return (ends_with(name, ".yaml") || ends_with(name, ".txt")) &&
		       !strchr(name + 6, '/');
	if (!strncmp(name, "tests/", 6))
		return ends_with(name, ".yaml") || ends_with(name, ".json");
	if (!strncmp(name, "docs/", 5))
		return true;
	for (size_t i = 0; i < sizeof(top) / sizeof(top[0]); i++)
		if (!strcmp(name, top[i]))
			return true;
	return false;
}

const struct pack_file *pack_find(const struct pack *p, const char *name)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (!strcmp(p->files[i].name, name))
			return &p->files[i];
	return NULL;
}

static int may_add(const struct pack *p, const char *name, size_t len, char *why)
{
	if (!is_path(name))
		return wrong(why, -EINVAL, "%.120s: no name for a file of a pack", name);
	if (!has_place(name))
		return wrong(why, -EINVAL,
			     "%.120s: a pack has pack.yaml, manifest, rules/*.yaml, lists/*.yaml "
			     "and *.txt, tests/*.yaml and *.json, docs/",
			     name);
	if (pack_find(p, name))
		return wrong(why, -EINVAL, "%.120s is in it twice", name);
	if (p->n == PACK_FILES_MAX)
		return wrong(why, -E2BIG, "more than %u files", PACK_FILES_MAX);
	if (len > PACK_FILE_MAX || p->bytes + len > PACK_BYTES_MAX)
		return wrong(why, -E2BIG, "%.120s: a file is %u MiB at most, all of them %u", name,
			     PACK_FILE_MAX >> 20, PACK_BYTES_MAX >> 20);
	return 0;
}

int pack_add(struct pack *p, const char *name, char *bytes, size_t len, char *why)
{
	struct pack_file *f;
	int r = may_add(p, name, len, why);

	if (!r && p->n == p->cap) {
		const uint32_t cap = p->cap ? p->cap * 2 : 16;

		f = reallocarray(p->files, cap, sizeof(*f));
		if (f) {
			p->files = f;
			p->cap = cap;
		} else {
			r = wrong(why, -ENOMEM, "out of memory");
		}
	}
	if (r) {
		free(bytes);
		return r;
	}
	f = &p->files[p->n];
	*f = (struct pack_file){strdup(name), bytes, len, {}};
	if (!f->name) {
		free(bytes);
		return wrong(why, -ENOMEM, "out of memory");
	}
	bytes[len] = 0;
	SHA256((const unsigned char *)bytes, len, f->hash);
	p->bytes += len;
	p->n++;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct pack_file *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int pack_version_compare(const char *a, const char *b)
{
	for (unsigned int i = 0; i < 3; i++) {
		size_t n, m;

		a += strspn(a, ".");
		b += strspn(b, ".");
		a += strspn(a, "0");
		b += strspn(b, "0");
		n = strspn(a, "0123456789");
		m = strspn(b, "0123456789");
		if (n != m)
			return n < m ? -1 : 1;
		if (strncmp(a, b, n) != 0)
			return strncmp(a, b, n);
		a += n;
		b += m;
	}
	return 0;
}

/* ---- what its files say ---- */

struct reading {
	struct pack *p;
	struct rule_files *f;
	const char *where;
	struct config_errors errs;
	struct yaml y;
	struct rule_reader rr;
};

static int open_yaml(struct reading *k, const struct pack_file *file)
{
	int r;

	k->errs.count = 0;
	k->rr = (struct rule_reader){
		.set = &k->p->memory, .y = &k->y, .site = &k->f->binding, .errs = &k->errs};
	if (file->len > YAML_TEXT_MAX) {
		config_error(&k->errs, 0, 0, "too large");
		return 0;
	}
	r = yaml_parse(file->bytes, file->len, &k->y, &k->errs);
	if (!r && !k->y.root)
		config_error(&k->errs, 0, 0, "there is nothing in it");
	return r == -ENOMEM ? r : 0;
}

/* Errors of a file, if there are some. */
static int close_file(struct reading *k, const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", k->where, name);
	yaml_done(&k->y);
	k->y = (struct yaml){};
	if (k->rr.no_memory)
		return -ENOMEM;
	return rule_files_add_errors(k->f, path, &k->errs);
}

/* What the site says, within the bounds that the pack says. */
static void bind_params(struct reading *k)
{
	struct pack_meta *m = &k->p->meta;
	const struct rule_site *site = &k->f->binding;

	for (uint32_t i = 0; i < m->params.n; i++) {
		struct rule_param *q = &m->params.v[i];
		const char *set = site->param(site->arg, m->name, q->name);

		q->value = set ? rule_keep(&k->rr, set, strlen(set)) : q->def.s;
		if (q->value && rule_param_beyond(q))
			rule_fail(&k->rr, q->def.node, "%s = %.40s is not between %.40s and %.40s",
				  q->name, q->value, q->min.s ?: "anything",
				  q->max.s ?: "anything");
	}
}

static int read_meta(struct reading *k)
{
	const struct pack_file *file = pack_find(k->p, PACK_META);
	struct pack_meta *m = &k->p->meta;
	int r;

	if (!file) {
		config_error(&k->errs, 0, 0, "it is missing: is this a pack?");
		return close_file(k, PACK_META);
	}
	r = open_yaml(k, file);
	if (!r && !k->errs.count)
		rule_read_object(&k->rr, RO_PACK, k->y.root, m);
	if (!r && !k->errs.count)
		bind_params(k);
	if (!r && !k->errs.count && pack_version_compare(m->engine, WEIR_VERSION) > 0)
		config_error(&k->errs, 0, 0, "it wants weir-collector %s or later, this is %s",
			     m->engine, WEIR_VERSION);
	return r ?: close_file(k, PACK_META);
}

/* ---- lists ---- */

static int read_about(struct reading *k, struct pack_list *l, const struct pack_file *file)
{
	int r = open_yaml(k, file);
	const uint32_t feed = r || k->errs.count ? 0 : yaml_get(&k->y, k->y.root, "feed");

	if (!r && !k->errs.count)
		rule_read_object(&k->rr, RO_LIST, k->y.root, l);
	if (!r && !k->errs.count && feed) {
		const char *wrong_with = feed_check(l);

		if (wrong_with)
			rule_fail(&k->rr, feed, "%s", wrong_with);
	}
	return r ?: close_file(k, file->name);
}

static int read_values(struct reading *k, struct pack_list *l)
{
	struct list_parse p = {
		.names = l->names, .max_entries = LIST_ENTRIES_MAX, .format = PACK_PLAIN};
	int r = list_parse(l->values->bytes, l->values->len, &p);

	k->errs.count = 0;
	if (!r && p.bad)
		config_error(&k->errs, p.bad_line, 1, "%s", p.bad_why);
	else if (r == -E2BIG)
		config_error(&k->errs, 0, 0, "more than %u values", LIST_ENTRIES_MAX);
	list_parse_done(&p);
	return r == -ENOMEM ? r : close_file(k, l->values->name);
}

/* The list that lists/NAME.yaml or lists/NAME.txt is about. */
static struct pack_list *list_of(struct reading *k, const char *name)
{
	struct pack *p = k->p;
	const char *dot = strrchr(name, '.');
	const char *word = rule_keep(&k->rr, name + 6, (size_t)(dot - name - 6));
	struct pack_list *l;

	if (!word)
		return NULL;
	for (uint32_t i = 0; i < p->n_lists; i++)
		if (!strcmp(p->lists[i].name, word))
			return &p->lists[i];
	if (p->n_lists == PACK_LISTS_MAX) {
		config_error(&k->errs, 0, 0, "more than %u lists", PACK_LISTS_MAX);
		return NULL;
	}
	if (cli_word("local|never_block|admin", word) >= 0 || strlen(word) >= RULE_NAME_MAX ||
	    strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(word)) {
		config_error(&k->errs, 0, 0,
			     "a list of a pack is named by small letters, digits and _, and is "
			     "not @local, @never_block or @admin");
		return NULL;
	}
	l = &p->lists[p->n_lists++];
	*l = (struct pack_list){.name = word, .feed = feed_default};
	return l;
}

static int read_lists(struct reading *k)
{
	int r = 0;

	for (uint32_t i = 0; i < k->p->n && !r; i++) {
		const struct pack_file *file = &k->p->files[i];
		struct pack_list *l;

		if (strncmp(file->name, "lists/", 6) != 0)
			continue;
		k->errs.count = 0;
		k->rr.set = &k->p->memory;
		l = list_of(k, file->name);
		if (!l)
			r = close_file(k, file->name);
		else if (ends_with(file->name, ".yaml"))
			r = read_about(k, l, file);
		else
			l->values = file;
	}
	for (uint32_t i = 0; i < k->p->n_lists && !r; i++)
		if (k->p->lists[i].values)
			r = read_values(k, &k->p->lists[i]);
	return r;
}

int pack_check(struct pack *p, struct rule_files *f, const char *where)
{
	const uint32_t errors = f->n_errors;
	struct reading *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	*k = (struct reading){.p = p, .f = f, .where = where};
	if (p->n)
		qsort(p->files, p->n, sizeof(*p->files), by_name);
	r = read_meta(k);
	r = r ?: read_lists(k);
	free(k);
	return r ?: f->n_errors != errors ? -EINVAL : 0;
}
