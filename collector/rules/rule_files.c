// SPDX-License-Identifier: Apache-2.0
#include "collector/rules/rule_files.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "collector/rules/yaml.h"

#define LIST_FILE_MAX (16u << 20)
#define DEPTH_MAX     4u

/* RFC 1918, RFC 4193, link-local; a site says more exactly what is its own. */
#define LOCAL "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, fc00::/7, fe80::/10"
#define NEVER "127.0.0.0/8, ::1"

/* ---- the site ---- */

void site_init(struct site *s)
{
	*s = (struct site){.lists = {{"local", LOCAL},
				     {"never_block", NEVER},
				     {"admin", ""},
				     {"mail_servers", ""},
				     {"intel_addresses", ""},
				     {"intel_names", ""},
				     {"honeypots", ""},
				     {"crawlers", ""}},
			   .n_lists = 8};
}

void site_done(struct site *s)
{
	while (s->n_memory)
		free(s->memory[--s->n_memory]);
}

static int put(struct site_value *v, uint32_t *n, const char *name, const char *value)
{
	uint32_t i = 0;

	while (i < *n && strcmp(v[i].name, name) != 0)
		i++;
	if (i == SITE_MAX)
		return -E2BIG;
	v[i] = (struct site_value){name, value};
	*n += i == *n;
	return 0;
}

int site_set_list(struct site *s, const char *name, const char *value)
{
	return put(s->lists, &s->n_lists, name, value);
}

int site_set_param(struct site *s, const char *name, const char *value)
{
	return put(s->params, &s->n_params, name, value);
}

static char *read_all(const char *path, size_t max, size_t *ret_len, const char **ret_why)
{
	FILE *in = fopen(path, "re");
	char *text = NULL;
	size_t len = 0, cap = 0, n = 1;

	*ret_why = strerror(errno);
	while (in && n) {
		if (cap - len < 4096) {
			char *more = cap > max ? NULL : realloc(text, cap + 65536);

			if (!more) {
				*ret_why = cap > max ? "too large" : "out of memory";
				break;
			}
			text = more;
			cap += 65536;
		}
		n = fread(text + len, 1, cap - len - 1, in);
		len += n;
	}
	if (in && ferror(in)) {
		*ret_why = strerror(errno);
		n = 1;
	}
	if (in)
		fclose(in);
	if (!in || n) {
		free(text);
		return NULL;
	}
	text[len] = 0;
	*ret_len = len;
	return text;
}

char *rule_file_text(const char *path, size_t *ret_len, const char **ret_why)
{
	return read_all(path, YAML_TEXT_MAX, ret_len, ret_why);
}

/* Lines to values with commas between them, in place. */
static void join_lines(char *text)
{
	char *to = text, *line = text;

	while (line) {
		char *end = strchr(line, '\n');
		size_t len;

		if (end)
			*end++ = 0;
		line[strcspn(line, "#\r")] = 0;
		line += strspn(line, " \t");
		len = strlen(line);
		while (len && strchr(" \t,", line[len - 1]))
			len--;
		if (len) {
			if (to != text)
				*to++ = ',';
			memmove(to, line, len);
			to += len;
		}
		line = end;
	}
	*to = 0;
}

int site_list(struct site *s, char *text, const char **ret_why)
{
	char *value = strchr(text, '=');
	size_t len;

	*ret_why = "a list is NAME=VALUES or NAME=@FILE";
	if (!value || value == text)
		return -EINVAL;
	*value++ = 0;
	if (*value == '@') {
		if (s->n_memory == SITE_MAX)
			return -E2BIG;
		value = read_all(value + 1, LIST_FILE_MAX, &len, ret_why);
		if (!value)
			return -EIO;
		join_lines(value);
		s->memory[s->n_memory++] = value;
	}
	*ret_why = "too many lists";
	return site_set_list(s, text, value);
}

int site_param(struct site *s, char *text, const char **ret_why)
{
	char *value = strchr(text, '=');

	*ret_why = "a parameter is RULE.PARAMETER=VALUE";
	if (!value || !memchr(text, '.', (size_t)(value - text)))
		return -EINVAL;
	*value++ = 0;
	*ret_why = "too many parameters";
	return site_set_param(s, text, value);
}

static const char *find(const struct site_value *v, uint32_t n, const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(v[i].name, name))
			return v[i].value;
	return NULL;
}

const char *site_values(const struct site *s, const char *name)
{
	return find(s->lists, s->n_lists, name);
}

static const char *list_of(void *arg, const char *name)
{
	return site_values(((struct rule_files *)arg)->site, name);
}

static const char *param_of(void *arg, const char *rule, const char *param)
{
	const struct site *s = ((struct rule_files *)arg)->site;
	char name[2 * RULE_NAME_MAX + 2];

	snprintf(name, sizeof(name), "%s.%s", rule, param);
	return find(s->params, s->n_params, name);
}

/* ---- paths ---- */

struct walk {
	int (*one)(void *arg, const char *path);
	void *arg;
};

static int is_rules(const struct dirent *d)
{
	const size_t len = strlen(d->d_name);

	return d->d_name[0] != '.' &&
	       (!strchr(d->d_name, '.') || (len > 5 && !strcmp(d->d_name + len - 5, ".yaml")));
}

static int walk_path(const struct walk *w, const char *path, unsigned int depth);

static int walk_dir(const struct walk *w, const char *path, unsigned int depth)
{
	struct dirent **list;
	int n = scandir(path, &list, is_rules, alphasort), r = 0;

	if (n < 0)
		return w->one(w->arg, path); /* says why not */
	for (int i = 0; i < n; i++) {
		char *one;
		struct stat st;

		if (!r && asprintf(&one, "%s/%s", path, list[i]->d_name) < 0)
			r = -ENOMEM;
		if (!r) {
			if (!stat(one, &st) &&
			    (S_ISREG(st.st_mode) ? strchr(list[i]->d_name, '.') != NULL
						 : S_ISDIR(st.st_mode)))
				r = walk_path(w, one, depth + 1);
			free(one);
		}
		free(list[i]);
	}
	free(list);
	return r;
}

static int walk_path(const struct walk *w, const char *path, unsigned int depth)
{
	struct stat st;

	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return depth < DEPTH_MAX ? walk_dir(w, path, depth) : 0;
	return w->one(w->arg, path);
}

int rule_paths(const char *path, int (*one)(void *arg, const char *path), void *arg)
{
	return walk_path(&(struct walk){one, arg}, path, 0);
}

/* ---- files ---- */

void rule_files_init(struct rule_files *f, const struct site *site)
{
	*f = (struct rule_files){.site = site};
	f->binding = (struct rule_site){.list = list_of, .param = param_of, .arg = f};
}

int rule_files_add_errors(struct rule_files *f, const char *file, struct config_errors *errs)
{
	struct file_errors *to;

	if (!errs->count)
		return 0;
	to = reallocarray(f->errors, f->n_errors + 1, sizeof(*to));
	if (!to)
		return -ENOMEM;
	f->errors = to;
	to += f->n_errors;
	to->file = strdup(file);
	if (!to->file)
		return -ENOMEM;
	config_errors_sort(errs);
	to->errs = *errs;
	f->n_errors++;
	return 0;
}

/* Rules of a text; without one @why there is none. */
static int take_text(struct rule_files *f, const struct rule_source *src, const char *why)
{
	struct config_errors *errs = calloc(1, sizeof(*errs));
	int r = 0;

	if (!errs)
		return -ENOMEM;
	f->files++;
	if (src->text)
		r = rules_read(&f->set, src, &f->binding, errs);
	else
		config_error(errs, 0, 0, "%s", why);
	if (r != -ENOMEM)
		r = rule_files_add_errors(f, src->file, errs);
	free(errs);
	return r;
}

int rule_files_text(struct rule_files *f, const struct rule_source *src)
{
	return take_text(f, src, "");
}

static int read_file(void *arg, const char *path)
{
	const char *why;
	size_t len = 0;
	char *text = rule_file_text(path, &len, &why);
	const int r = take_text(arg, &(struct rule_source){path, text, len}, why);

	free(text);
	return r;
}

int rule_files_read(struct rule_files *f, const char *path)
{
	return rule_paths(path, read_file, f);
}

void rule_files_each_error(const struct rule_files *f, void (*one)(void *arg, const char *text),
			   void *arg)
{
	for (uint32_t i = 0; i < f->n_errors; i++) {
		const struct file_errors *fe = &f->errors[i];

		for (uint32_t e = 0; e < fe->errs.count && e < CONFIG_ERRORS_MAX; e++) {
			const struct config_error *ce = &fe->errs.list[e];
			char text[PATH_MAX + sizeof(ce->text) + 32];

			if (!*fe->file) /* the set's: the text begins with the file */
				snprintf(text, sizeof(text), "%s", ce->text);
			else if (ce->line)
				snprintf(text, sizeof(text), "%s:%u:%u: %s", fe->file, ce->line,
					 ce->col, ce->text);
			else
				snprintf(text, sizeof(text), "%s: %s", fe->file, ce->text);
			one(arg, text);
		}
	}
}

int rule_files_link(struct rule_files *f)
{
	struct config_errors *errs = calloc(1, sizeof(*errs));
	int r;

	if (!errs)
		return -ENOMEM;
	rules_link(&f->set, errs);
	r = rule_files_add_errors(f, "", errs);
	free(errs);
	return r ?: f->n_errors ? -EINVAL : 0;
}

void rule_files_done(struct rule_files *f)
{
	rules_done(&f->set);
	while (f->n_errors)
		free(f->errors[--f->n_errors].file);
	free(f->errors);
}
