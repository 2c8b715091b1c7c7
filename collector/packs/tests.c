// SPDX-License-Identifier: Apache-2.0
/*
 * tests.c - a pack's own tests, with its own lists and parameters and nothing of the site's. They name files of the
 * pack and no others.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/packs/feed.h"
#include "collector/packs/packs_int.h"
#include "collector/rules/test_run.h"
#include "collector/rules/yaml.h"

struct running {
	const struct pack *p;
	const char *dir;
	struct rule_files *f; /* hears of errors */
	struct packs_tests *ret;
	const struct pack_file *file; /* at hand */
	struct site site;
	uint32_t tests; /* files that have some */
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool is_yaml(const struct pack_file *f)
{
	const size_t n = strlen(f->name);

	return (!strncmp(f->name, "rules/", 6) || !strncmp(f->name, "tests/", 6)) && n > 5 &&
	       !strcmp(f->name + n - 5, ".yaml");
}

/* ---- which files tests name ---- */

/* "tests/a.yaml" and "../rules/b.yaml" make "rules/b.yaml". Return: is it a file of the pack? */
static bool is_ours(const struct pack *p, const char *from, const char *to)
{
	char path[3 * PACK_PATH_MAX];
	size_t len = (size_t)(strrchr(from, '/') + 1 - from);

	if (len + strlen(to) >= sizeof(path))
		return false;
	memcpy(path, from, len);
	for (; *to; to += strspn(to, "/")) {
		const size_t n = strcspn(to, "/");

		if (n == 2 && !strncmp(to, "..", 2)) {
			if (!len)
				return false;
			for (len--; len && path[len - 1] != '/'; len--)
				continue;
		} else if (n != 1 || *to != '.') {
			memcpy(path + len, to, n + (to[n] == '/'));
			len += n + (to[n] == '/');
		}
		to += n;
		if (*to == '/' && !n)
			return false; /* it begins with one */
	}
	path[len] = 0;
	return pack_find(p, path) != NULL;
}

static void check_name(struct running *k, const struct yaml *y, uint32_t node,
		       struct config_errors *errs)
{
	if (node && y->nodes[node].type == YAML_SCALAR &&
	    !is_ours(k->p, k->file->name, yaml_text(y, node)))
		config_error(errs, y->nodes[node].line, y->nodes[node].column,
			     "'%.100s' is no file of the pack", yaml_text(y, node));
}

static void check_names(struct running *k, const struct yaml *y, struct config_errors *errs)
{
	const uint32_t rules = yaml_get(y, y->root, "rules"), tests = yaml_get(y, y->root, "tests");

	check_name(k, y, rules, errs);
	for (uint32_t i = rules ? y->nodes[rules].first : 0; i; i = y->nodes[i].next)
		check_name(k, y, i, errs);
	for (uint32_t t = tests ? y->nodes[tests].first : 0; t; t = y->nodes[t].next) {
		const uint32_t flows = yaml_get(y, t, "flows");

		for (uint32_t i = flows ? y->nodes[flows].first : 0; i; i = y->nodes[i].next)
			check_name(k, y, yaml_get(y, i, "file"), errs);
	}
}

/* ---- running ---- */

static void tell(void *arg, const struct test_result *r)
{
	struct running *k = arg;
	struct packs_tests *t = k->ret;

	if (!r->ok && !t->failed)
		snprintf(t->first, sizeof(t->first), "%.80s:%u: %.60s: %.80s", k->file->name,
			 r->line, r->name, r->why);
	t->passed += r->ok;
	t->failed += !r->ok;
	if (t->list)
		json_array_append_new(t->list,
				      json_pack("{s:s,s:i,s:s,s:b,s:s}", "file", k->file->name,
						"line", (int)r->line, "test", r->name, "passed",
						r->ok, "why", r->ok ? "" : r->why));
}

/* Values one a line to values with commas, behind what is there. */
static void put_values(FILE *out, const char *text, bool *some)
{
	while (*text) {
		const size_t len = strcspn(text, "\n");

		fprintf(out, "%s%.*s", *some ? "," : "", (int)len, text);
		*some = true;
		text += len + (text[len] == '\n');
	}
}

/* "NAME=VALUE,VALUE"; NULL: no memory. */
static char *list_value(const struct pack_list *l, const char *feeds)
{
	struct list_parse p = {.names = l->names, .max_entries = LIST_ENTRIES_MAX};
	int r = l->values ? list_parse(l->values->bytes, l->values->len, &p) : 0;
	char *fed = feeds && feed_source(&l->feed) ? feed_values_read(feeds, l, now_us()) : NULL;
	char *value = NULL;
	size_t len;
	FILE *out = r ? NULL : open_memstream(&value, &len);
	bool some = false;

	if (out) {
		fprintf(out, "%s=", l->name);
		put_values(out, p.text ?: "", &some);
		put_values(out, fed ?: "", &some);
		if (fclose(out)) {
			free(value);
			value = NULL;
		}
	}
	list_parse_done(&p);
	free(fed);
	return value;
}

static int bind_list(struct site *s, const struct pack_list *l, const char *feeds)
{
	char *value = s->n_memory < SITE_MAX ? list_value(l, feeds) : NULL;
	const char *why;

	if (!value)
		return s->n_memory < SITE_MAX ? -ENOMEM : -E2BIG;
	s->memory[s->n_memory++] = value;
	return site_list(s, value, &why);
}

int packs_bind_lists(struct site *s, const struct pack *p, const char *feeds)
{
	int r = 0;

	for (uint32_t i = 0; i < p->n_lists && !r; i++)
		r = bind_list(s, &p->lists[i], feeds);
	return r;
}

static int move_errors(struct rule_files *from, struct rule_files *to)
{
	int r = 0;

	for (uint32_t i = 0; i < from->n_errors && !r; i++)
		r = rule_files_add_errors(to, from->errors[i].file, &from->errors[i].errs);
	return r;
}

static int run_tests(struct running *k)
{
	struct rule_files own;
	char path[8192];
	int r;

	snprintf(path, sizeof(path), "%s/%s", k->dir, k->file->name);
	rule_files_init(&own, &k->site);
	own.binding.shared = &k->p->meta.params;
	r = tests_run(&own, path, tell, k);
	if (r == -EINVAL)
		r = move_errors(&own, k->f);
	rule_files_done(&own);
	return r;
}

static int run_file(struct running *k)
{
	struct config_errors *errs = calloc(1, sizeof(*errs));
	char path[8192];
	struct yaml y = {};
	bool some = false;
	int r = errs ? yaml_parse(k->file->bytes, k->file->len, &y, errs) : -ENOMEM;

	if (!r && y.root) {
		some = yaml_get(&y, y.root, "tests") != 0;
		check_names(k, &y, errs);
	}
	yaml_done(&y);
	if (r != -ENOMEM) {
		snprintf(path, sizeof(path), "%s/%s", k->dir, k->file->name);
		r = errs->count ? rule_files_add_errors(k->f, path, errs) : 0;
		some &= !errs->count;
	}
	free(errs);
	k->tests += some;
	return r || !some ? r : run_tests(k);
}

int packs_test(const struct pack *p, const char *dir, struct rule_files *f, struct packs_tests *ret)
{
	struct running *k = calloc(1, sizeof(*k));
	const uint32_t errors = f->n_errors;
	int r = 0;

	if (!k)
		return -ENOMEM;
	*k = (struct running){.p = p, .dir = dir, .f = f, .ret = ret};
	site_init(&k->site);
	r = packs_bind_lists(&k->site, p, NULL);
	for (uint32_t i = 0; i < p->n && !r; i++) {
		k->file = &p->files[i];
		if (is_yaml(k->file))
			r = run_file(k);
	}
	if (!r)
		r = f->n_errors != errors ? -EINVAL : k->tests ? 0 : -ENOENT;
	site_done(&k->site);
	free(k);
	return r;
}
