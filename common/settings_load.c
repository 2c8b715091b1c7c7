// SPDX-License-Identifier: Apache-2.0
/*
 * settings_load.c - gathers the settings: defaults, file, environment, command line, in this order, what profiles
 * say of those that none of the last three has given, and all errors of them.
 */
#include "common/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/program.h"
#include "common/settings_int.h"
#include "common/suggest.h"

struct loader {
	const struct settings_schema *schema;
	struct settings *s;
	struct config_errors *errs;
	bool oom;
};

/* ---- defaults ---- */

static void load_defaults(struct loader *l)
{
	struct value_error err;

	for (unsigned int id = 0; id < l->schema->n; id++)
		if (setting_parse(l->schema, id, l->schema->table[id].def, &l->s->v[id], &err) ==
		    -ENOMEM)
			l->oom = true;
}

/* ---- the file ---- */

static int read_file(const char *path, char **ret, size_t *ret_len)
{
	char *buf = malloc(CONFIG_BYTES_MAX + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = 0;
	ssize_t n = 1;

	while (buf && fd >= 0 && len <= CONFIG_BYTES_MAX && n > 0) {
		n = read(fd, buf + len, CONFIG_BYTES_MAX + 1 - len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			len += (size_t)n;
	}
	if (!buf || fd < 0 || n < 0) {
		int r = buf ? -errno : -ENOMEM;

		free(buf);
		if (fd >= 0)
			close(fd);
		return r;
	}
	close(fd);
	*ret = buf;
	*ret_len = len;
	return 0;
}

/* Sections that have names; NULL: it is not one of them. */
static const struct settings_kind *find_kind(const struct settings_schema *schema, const char *kind)
{
	const struct settings_kind *k = schema->kinds;

	while (k && k->kind && strcmp(k->kind, kind))
		k++;
	return k && k->kind ? k : NULL;
}

static bool known_section(const struct loader *l, const char *kind)
{
	if (find_kind(l->schema, kind))
		return true;
	for (unsigned int id = 0; id < l->schema->n; id++)
		if (!strcmp(l->schema->table[id].section, kind))
			return true;
	return false;
}

static void unknown_section(struct loader *l, const struct config_section *sec)
{
	struct suggest s;

	suggest_init(&s, sec->kind, strlen(sec->kind));
	for (unsigned int id = 0; id < l->schema->n; id++)
		suggest_try(&s, l->schema->table[id].section);
	for (const struct settings_kind *k = l->schema->kinds; k && k->kind; k++)
		suggest_try(&s, k->kind);
	config_error(l->errs, sec->line, sec->kind_col, "unknown section '%.60s'%s%s%s", sec->kind,
		     s.best ? ", did you mean '" : "", s.best ?: "", s.best ? "'?" : "");
}

/* Does key belong to a section of this kind? */
static bool fits(const struct loader *l, const struct setting *d, const char *kind)
{
	if (!d->key)
		return false;
	if (find_kind(l->schema, kind))
		return d->flags & SF_SECTION;
	return !strcmp(d->section, kind);
}

static void unknown_key(struct loader *l, const char *kind, const struct config_entry *e)
{
	const struct setting *flag = NULL;
	const char *elsewhere = NULL;
	struct suggest s;

	suggest_init(&s, e->key, strlen(e->key));
	for (unsigned int id = 0; id < l->schema->n; id++) {
		const struct setting *d = &l->schema->table[id];

		if (fits(l, d, kind))
			suggest_try(&s, d->key);
		else if (d->key && !strcmp(d->key, e->key))
			elsewhere = d->section;
		if (d->key && d->flag && !strcmp(d->flag, e->key))
			flag = d;
	}
	if (elsewhere && find_kind(l->schema, kind))
		config_error(l->errs, e->line, e->key_col,
			     "key '%.60s' is one for all %ss: it belongs in section [%s]", e->key,
			     kind, elsewhere);
	else if (elsewhere)
		config_error(l->errs, e->line, e->key_col,
			     "key '%.60s' does not belong here, but in section [%s]", e->key,
			     elsewhere);
	else if (flag)
		config_error(l->errs, e->line, e->key_col,
			     "--%.60s is '%s' in section [%s] of the file", e->key, flag->key,
			     flag->section);
	else
		config_error(l->errs, e->line, e->key_col, "unknown key '%.60s'%s%s%s", e->key,
			     s.best ? ", did you mean '" : "", s.best ?: "", s.best ? "'?" : "");
}

static int find_key(const struct loader *l, const char *kind, const char *key)
{
	for (unsigned int id = 0; id < l->schema->n; id++)
		if (fits(l, &l->schema->table[id], kind) && !strcmp(l->schema->table[id].key, key))
			return (int)id;
	return -1;
}

static void set_from_file(struct loader *l, struct setting_value *values, unsigned int id,
			  const struct config_entry *e)
{
	struct setting_value *v = &values[id];
	struct value_error err;
	int r = setting_parse(l->schema, id, e->value, v, &err);

	if (r == -ENOMEM)
		l->oom = true;
	else if (r)
		config_error(l->errs, e->line, e->value_col, "%s '%.60s': %s", e->key, e->value,
			     err.text);
	v->origin = FROM_FILE;
	v->line = e->line;
	v->col = e->value_col;
}

/* The setting whose section has keys of the user's; or -1. */
static int find_keys(const struct loader *l, const char *kind)
{
	for (unsigned int id = 0; id < l->schema->n; id++)
		if (l->schema->table[id].flags & SF_KEYS &&
		    !strcmp(l->schema->table[id].section, kind))
			return (int)id;
	return -1;
}

static void add_key(struct loader *l, unsigned int id, const struct config_entry *e)
{
	struct setting_value *v = &l->s->v[id];
	struct value_error err;
	char item[300];
	int r;

	if (strchr(e->value, ',')) {
		config_error(l->errs, e->line, e->value_col, "a label's value has no commas");
		return;
	}
	snprintf(item, sizeof(item), "%s=%s", e->key, e->value);
	r = setting_append_item(l->schema, id, item, v, &err);
	if (r == -ENOMEM)
		l->oom = true;
	else if (r)
		config_error(l->errs, e->line, e->value_col, "%s", err.text);
	v->origin = FROM_FILE;
	v->line = v->line ?: e->line;
}

static struct setting_value *named_section(struct loader *l, const struct config_section *sec)
{
	struct settings *s = l->s;
	struct settings_section *list, *one;

	if (s->n_sections == SETTINGS_SECTIONS_MAX) {
		config_error(l->errs, sec->line, sec->kind_col, "more than %u %s sections",
			     SETTINGS_SECTIONS_MAX, sec->kind);
		return NULL;
	}
	list = realloc(s->sections, (s->n_sections + 1) * sizeof(*list));
	if (!list) {
		l->oom = true;
		return NULL;
	}
	s->sections = list;
	one = &list[s->n_sections];
	*one = (struct settings_section){.name = sec->name, .line = sec->line};
	one->v = calloc(l->schema->n, sizeof(*one->v));
	if (!one->v) {
		l->oom = true;
		return NULL;
	}
	s->n_sections++;
	return one->v;
}

static bool check_name(struct loader *l, const struct config_section *sec,
		       const struct settings_kind *kind)
{
	if (kind && (!sec->name || !*sec->name)) {
		config_error(l->errs, sec->line, sec->name_col, "want [%s %s]", sec->kind,
			     kind->name);
		return false;
	}
	if (!kind && sec->name)
		config_error(l->errs, sec->line, sec->name_col, "section [%s] takes no name",
			     sec->kind);
	return true;
}

static void load_section(struct loader *l, const struct config_section *sec)
{
	const struct settings_kind *kind = find_kind(l->schema, sec->kind);
	const int keys = find_keys(l, sec->kind);
	struct setting_value *values = l->s->v;

	if (!known_section(l, sec->kind)) {
		unknown_section(l, sec);
		return;
	}
	if (!check_name(l, sec, kind) || (kind && kind->own))
		return;
	if (kind)
		values = named_section(l, sec);
	for (uint32_t i = sec->first; values && i < sec->first + sec->entries; i++) {
		const struct config_entry *e = &l->s->file->entries[i];
		int id = find_key(l, sec->kind, e->key);

		if (keys >= 0)
			add_key(l, (unsigned int)keys, e);
		else if (id < 0)
			unknown_key(l, sec->kind, e);
		else
			set_from_file(l, values, (unsigned int)id, e);
	}
}

static void load_file(struct loader *l, const char *path, bool must)
{
	char *text = NULL;
	size_t len = 0;
	int r = read_file(path, &text, &len);

	if (r == -ENOENT && !must)
		return;
	if (r) {
		config_error(l->errs, 0, 0, "%.180s: %s", path, strerror(-r));
		return;
	}
	l->s->path = strdup(path);
	r = config_parse(text, len, &l->s->file, l->errs);
	free(text);
	if (r == -ENOMEM || !l->s->path) {
		l->oom = true;
		return;
	}
	for (uint32_t i = 0; i < l->s->file->n_sections && !l->oom; i++)
		load_section(l, &l->s->file->sections[i]);
}

/* ---- environment and command line ---- */

static void load_env_of(struct loader *l, unsigned int id)
{
	const char *text = getenv(l->schema->table[id].env);
	struct setting_value *v = &l->s->v[id];
	struct value_error err;
	int r;

	if (!text)
		return;
	r = l->schema->table[id].flags & SF_KEYS ? setting_append(l->schema, id, text, v, &err)
						 : setting_parse(l->schema, id, text, v, &err);
	if (r == -ENOMEM)
		l->oom = true;
	else if (r)
		config_error(l->errs, 0, 0, "%s='%.60s': %s", l->schema->table[id].env, text,
			     err.text);
	v->origin = FROM_ENV;
}

static void load_env(struct loader *l)
{
	for (unsigned int id = 0; id < l->schema->n; id++)
		load_env_of(l, id);
}

/* A list's first flag replaces what the file says, the next ones add to it; labels add to all. */
static int set_from_flag(struct loader *l, unsigned int id, const char *text,
			 struct value_error *err)
{
	const struct setting *d = &l->schema->table[id];
	struct setting_value *v = &l->s->v[id];

	if (!d->arg) /* a flag without a value */
		text = d->flags & SF_NEGATED ? "no" : "yes";
	if (d->type == SV_ITEMS)
		return setting_append_item(l->schema, id, text, v, err);
	if (d->flags & SF_KEYS || (d->type == SV_LIST && v->origin == FROM_FLAG))
		return setting_append(l->schema, id, text, v, err);
	return setting_parse(l->schema, id, text, v, err);
}

static void load_args(struct loader *l, const struct settings_args *args)
{
	for (uint32_t i = 0; i < args->n; i++) {
		const struct setting *d = &l->schema->table[args->arg[i].id];
		struct setting_value *v = &l->s->v[args->arg[i].id];
		struct value_error err;
		int r = set_from_flag(l, args->arg[i].id, args->arg[i].text, &err);

		if (r == -ENOMEM)
			l->oom = true;
		else if (r)
			config_error(l->errs, 0, 0, "--%s '%.60s': %s", d->flag, args->arg[i].text,
				     err.text);
		v->origin = FROM_FLAG;
	}
}

/* ---- all of it ---- */

/* What nobody has given a value. */
static void load_profiles(struct loader *l)
{
	const struct settings_profile *p = l->schema->profiles;
	struct value_error err;

	for (; p && p->value; p++) {
		struct setting_value *v = &l->s->v[p->id];

		if (!l->s->v[p->when].num || v->origin != FROM_DEFAULT)
			continue;
		if (setting_parse(l->schema, p->id, p->value, v, &err) == -ENOMEM)
			l->oom = true;
		v->origin = FROM_PROFILE;
	}
}

static int finish(struct loader *l, uint32_t before, struct settings **ret)
{
	load_profiles(l);
	if (!l->oom && l->schema->finish && l->schema->finish(l->s, l->errs))
		l->oom = true;
	if (l->oom || l->errs->count != before) {
		settings_free(l->s);
		config_errors_sort(l->errs);
		return l->oom ? -ENOMEM : -EINVAL;
	}
	*ret = l->s;
	return 0;
}

static const char *config_path(const struct settings_schema *schema, const char *config)
{
	return config ?: getenv(schema->file_env);
}

/* Settings with their defaults. */
static int begin(struct loader *l)
{
	l->s = calloc(1, sizeof(*l->s));
	if (!l->s)
		return -ENOMEM;
	l->s->schema = l->schema;
	l->s->v = calloc(l->schema->n, sizeof(*l->s->v));
	if (!l->s->v) {
		settings_free(l->s);
		return -ENOMEM;
	}
	load_defaults(l);
	return 0;
}

int settings_load(const struct settings_schema *schema, const struct settings_args *args,
		  struct settings **ret, struct config_errors *errs)
{
	struct loader l = {.schema = schema, .errs = errs};
	const char *path = config_path(schema, args->config);
	uint32_t before = errs->count;

	if (begin(&l))
		return -ENOMEM;
	load_file(&l, path ?: schema->file, path != NULL);
	load_env(&l);
	load_args(&l, args);
	return finish(&l, before, ret);
}

int settings_check(const struct settings_schema *schema, const char *path, struct settings **ret,
		   struct config_errors *errs)
{
	struct loader l = {.schema = schema, .errs = errs};
	uint32_t before = errs->count;

	if (begin(&l))
		return -ENOMEM;
	load_file(&l, path, true);
	return finish(&l, before, ret);
}

/* One key of the file, whatever the rest of it says. */
static void load_key(struct loader *l, unsigned int id, const char *path)
{
	static struct config_errors of_others;
	const struct setting *d = &l->schema->table[id];
	const struct config *file;
	char *text = NULL;
	size_t len = 0;
	int r = read_file(path ?: l->schema->file, &text, &len);

	if (r && (path || (r != -ENOENT && r != -EACCES)))
		config_error(l->errs, 0, 0, "%.180s: %s", path ?: l->schema->file, strerror(-r));
	if (r)
		return;
	r = config_parse(text, len, &l->s->file, &of_others);
	free(text);
	l->s->path = strdup(path ?: l->schema->file);
	l->oom = r == -ENOMEM || !l->s->path;
	file = l->s->file;
	for (uint32_t i = 0; !l->oom && i < file->n_sections; i++) {
		const struct config_section *sec = &file->sections[i];

		for (uint32_t k = sec->first; k < sec->first + sec->entries; k++)
			if (!strcmp(sec->kind, d->section) && !strcmp(file->entries[k].key, d->key))
				set_from_file(l, l->s->v, id, &file->entries[k]);
	}
}

int settings_one(const struct settings_schema *schema, unsigned int id, const char *config,
		 struct settings **ret, struct config_errors *errs)
{
	struct loader l = {.schema = schema, .errs = errs};
	uint32_t before = errs->count;

	if (begin(&l))
		return -ENOMEM;
	if (getenv(schema->table[id].env))
		load_env_of(&l, id);
	else
		load_key(&l, id, config_path(schema, config));
	return finish(&l, before, ret);
}

static void values_free(struct setting_value *v, unsigned int n)
{
	for (unsigned int id = 0; v && id < n; id++)
		setting_value_done(&v[id]);
	free(v);
}

void settings_free(struct settings *s)
{
	if (!s)
		return;
	values_free(s->v, s->schema->n);
	for (uint32_t i = 0; i < s->n_sections; i++)
		values_free(s->sections[i].v, s->schema->n);
	free(s->sections);
	if (s->schema->free_own)
		s->schema->free_own(s->own);
	config_free(s->file);
	free(s->path);
	free(s);
}

void settings_print_errors(const struct settings_schema *schema, const struct settings_args *args,
			   const struct config_errors *errs, FILE *out)
{
	const char *path = config_path(schema, args->config) ?: schema->file;
	const char *mark = out == stderr ? log_mark(LEVEL_ERROR) : "";

	for (uint32_t i = 0; i < errs->count && i < CONFIG_ERRORS_MAX; i++) {
		const struct config_error *e = &errs->list[i];

		if (e->line)
			fprintf(out, "%s%s:%u:%u: %s\n", mark, path, e->line, e->col, e->text);
		else
			fprintf(out, "%s%s: %s\n", mark, program_name(), e->text);
	}
	if (errs->count > CONFIG_ERRORS_MAX)
		fprintf(out, "%s%s: and %u more errors\n", mark, program_name(),
			errs->count - CONFIG_ERRORS_MAX);
}
