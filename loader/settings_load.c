// SPDX-License-Identifier: Apache-2.0
/*
 * settings_load.c - gathers the settings: defaults, file, environment, command line, in this order,
 * and all errors of them.
 */
#include "loader/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/suggest.h"
#include "loader/settings_int.h"

struct loader {
	struct settings *s;
	struct config_errors *errs;
	bool oom;
};

/* ---- defaults ---- */

static void load_defaults(struct loader *l)
{
	struct value_error err;

	for (int id = 0; id < _SET_MAX; id++)
		if (setting_parse(id, settings_table[id].def, &l->s->v[id], &err) == -ENOMEM)
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

static bool known_section(const char *kind)
{
	if (!strcmp(kind, "interface") || !strcmp(kind, "export"))
		return true;
	for (int id = 0; id < _SET_MAX; id++)
		if (!strcmp(settings_table[id].section, kind))
			return true;
	return false;
}

static void unknown_section(struct loader *l, const struct config_section *sec)
{
	struct suggest s;

	suggest_init(&s, sec->kind, strlen(sec->kind));
	for (int id = 0; id < _SET_MAX; id++)
		suggest_try(&s, settings_table[id].section);
	suggest_try(&s, "interface");
	suggest_try(&s, "export");
	config_error(l->errs, sec->line, sec->kind_col, "unknown section '%.60s'%s%s%s", sec->kind,
		     s.best ? ", did you mean '" : "", s.best ?: "", s.best ? "'?" : "");
}

/* Does key belong to a section of this kind? */
static bool fits(const struct setting *d, const char *kind)
{
	if (!d->key)
		return false;
	if (!strcmp(kind, "interface"))
		return d->flags & SF_IFACE;
	return !strcmp(d->section, kind);
}

static void unknown_key(struct loader *l, const char *kind, const struct config_entry *e)
{
	const char *elsewhere = NULL;
	struct suggest s;

	suggest_init(&s, e->key, strlen(e->key));
	for (int id = 0; id < _SET_MAX; id++) {
		const struct setting *d = &settings_table[id];

		if (fits(d, kind))
			suggest_try(&s, d->key);
		else if (d->key && !strcmp(d->key, e->key))
			elsewhere = d->section;
	}
	if (elsewhere && !strcmp(kind, "interface"))
		config_error(l->errs, e->line, e->key_col,
			     "key '%.60s' is one for all interfaces: it belongs in section [%s]",
			     e->key, elsewhere);
	else if (elsewhere)
		config_error(l->errs, e->line, e->key_col,
			     "key '%.60s' does not belong here, but in section [%s]", e->key,
			     elsewhere);
	else
		config_error(l->errs, e->line, e->key_col, "unknown key '%.60s'%s%s%s", e->key,
			     s.best ? ", did you mean '" : "", s.best ?: "", s.best ? "'?" : "");
}

static int find_key(const char *kind, const char *key)
{
	for (int id = 0; id < _SET_MAX; id++)
		if (fits(&settings_table[id], kind) && !strcmp(settings_table[id].key, key))
			return id;
	return -1;
}

static void set_from_file(struct loader *l, struct setting_value *values, int id,
			  const struct config_entry *e)
{
	struct setting_value *v = &values[id];
	struct value_error err;
	int r = setting_parse(id, e->value, v, &err);

	if (r == -ENOMEM)
		l->oom = true;
	else if (r)
		config_error(l->errs, e->line, e->value_col, "%s '%.60s': %s", e->key, e->value,
			     err.text);
	v->origin = FROM_FILE;
	v->line = e->line;
	v->col = e->value_col;
}

/* [labels]: the key is the user's. */
static void add_label(struct loader *l, const struct config_entry *e)
{
	struct setting_value *v = &l->s->v[SET_LABELS];
	struct value_error err;
	char item[300];
	int r;

	if (strchr(e->value, ',')) {
		config_error(l->errs, e->line, e->value_col, "a label's value has no commas");
		return;
	}
	snprintf(item, sizeof(item), "%s=%s", e->key, e->value);
	r = setting_append(SET_LABELS, item, true, v, &err);
	if (r == -ENOMEM)
		l->oom = true;
	else if (r)
		config_error(l->errs, e->line, e->value_col, "%s", err.text);
	v->origin = FROM_FILE;
	v->line = v->line ?: e->line;
}

static struct setting_value *interface_section(struct loader *l, const struct config_section *sec)
{
	struct settings *s = l->s;
	struct iface_section *list;

	if (s->n_ifaces == SETTINGS_IFACE_MAX) {
		config_error(l->errs, sec->line, sec->kind_col, "more than %u interface sections",
			     SETTINGS_IFACE_MAX);
		return NULL;
	}
	list = realloc(s->ifaces, (s->n_ifaces + 1) * sizeof(*list));
	if (!list) {
		l->oom = true;
		return NULL;
	}
	s->ifaces = list;
	list[s->n_ifaces] = (struct iface_section){.pattern = sec->name, .line = sec->line};
	return list[s->n_ifaces++].v;
}

static bool check_name(struct loader *l, const struct config_section *sec)
{
	bool wants = !strcmp(sec->kind, "interface") || !strcmp(sec->kind, "export");

	if (wants && (!sec->name || !*sec->name)) {
		config_error(l->errs, sec->line, sec->name_col, "want [%s %s]", sec->kind,
			     sec->kind[0] == 'i' ? "NAME-OR-PATTERN" : "NAME");
		return false;
	}
	if (!wants && sec->name)
		config_error(l->errs, sec->line, sec->name_col, "section [%s] takes no name",
			     sec->kind);
	return true;
}

static void load_section(struct loader *l, const struct config_section *sec)
{
	struct setting_value *values = l->s->v;

	if (!known_section(sec->kind)) {
		unknown_section(l, sec);
		return;
	}
	if (!check_name(l, sec) || !strcmp(sec->kind, "export"))
		return;
	if (!strcmp(sec->kind, "interface"))
		values = interface_section(l, sec);
	for (uint32_t i = sec->first; values && i < sec->first + sec->entries; i++) {
		const struct config_entry *e = &l->s->file->entries[i];
		int id = find_key(sec->kind, e->key);

		if (!strcmp(sec->kind, "labels"))
			add_label(l, e);
		else if (id < 0)
			unknown_key(l, sec->kind, e);
		else
			set_from_file(l, values, id, e);
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

static void load_env_of(struct loader *l, int id)
{
	const char *text = getenv(settings_table[id].env);
	struct setting_value *v = &l->s->v[id];
	struct value_error err;
	int r;

	if (!text)
		return;
	r = id == SET_LABELS ? setting_append(id, text, false, v, &err)
			     : setting_parse(id, text, v, &err);
	if (r == -ENOMEM)
		l->oom = true;
	else if (r)
		config_error(l->errs, 0, 0, "%s='%.60s': %s", settings_table[id].env, text,
			     err.text);
	v->origin = FROM_ENV;
}

static void load_env(struct loader *l)
{
	for (int id = 0; id < _SET_MAX; id++)
		load_env_of(l, id);
}

/* A list's first flag replaces what the file says, the next ones add to it; labels add to all. */
static int set_from_flag(struct setting_value *v, int id, const char *text, struct value_error *err)
{
	const struct setting *d = &settings_table[id];

	if (d->flags & SF_NEGATED)
		text = "no";
	if (id == SET_LABELS || d->type == ST_ITEMS ||
	    (d->type == ST_LIST && v->origin == FROM_FLAG))
		return setting_append(id, text, d->type == ST_ITEMS, v, err);
	return setting_parse(id, text, v, err);
}

static void load_args(struct loader *l, const struct settings_args *args)
{
	for (uint32_t i = 0; i < args->n; i++) {
		const struct setting *d = &settings_table[args->arg[i].id];
		struct setting_value *v = &l->s->v[args->arg[i].id];
		struct value_error err;
		int r = set_from_flag(v, args->arg[i].id, args->arg[i].text, &err);

		if (r == -ENOMEM)
			l->oom = true;
		else if (r)
			config_error(l->errs, 0, 0, "--%s '%.60s': %s", d->flag, args->arg[i].text,
				     err.text);
		v->origin = FROM_FLAG;
	}
}

/* ---- all of it ---- */

static int finish(struct loader *l, uint32_t before, struct settings **ret)
{
	if (!l->oom && settings_exports(l->s, l->errs))
		l->oom = true;
	if (l->oom || l->errs->count != before) {
		settings_free(l->s);
		config_errors_sort(l->errs);
		return l->oom ? -ENOMEM : -EINVAL;
	}
	*ret = l->s;
	return 0;
}

static const char *config_path(const struct settings_args *args)
{
	return args->config ?: getenv("WEIR_CONFIG");
}

int settings_load(const struct settings_args *args, struct settings **ret,
		  struct config_errors *errs)
{
	struct loader l = {.errs = errs, .s = calloc(1, sizeof(*l.s))};
	const char *path = config_path(args);
	uint32_t before = errs->count;

	if (!l.s)
		return -ENOMEM;
	load_defaults(&l);
	load_file(&l, path ?: SETTINGS_FILE, path != NULL);
	load_env(&l);
	load_args(&l, args);
	return finish(&l, before, ret);
}

int settings_check(const char *path, struct settings **ret, struct config_errors *errs)
{
	struct loader l = {.errs = errs, .s = calloc(1, sizeof(*l.s))};
	uint32_t before = errs->count;

	if (!l.s)
		return -ENOMEM;
	load_defaults(&l);
	load_file(&l, path, true);
	return finish(&l, before, ret);
}

/* One key of the file, whatever the rest of it says. */
static void load_key(struct loader *l, enum setting_id id, const char *path)
{
	static struct config_errors of_others;
	const struct setting *d = &settings_table[id];
	const struct config *file;
	char *text = NULL;
	size_t len = 0;
	int r = read_file(path ?: SETTINGS_FILE, &text, &len);

	if (r && (path || (r != -ENOENT && r != -EACCES)))
		config_error(l->errs, 0, 0, "%.180s: %s", path ?: SETTINGS_FILE, strerror(-r));
	if (r)
		return;
	r = config_parse(text, len, &l->s->file, &of_others);
	free(text);
	l->s->path = strdup(path ?: SETTINGS_FILE);
	l->oom = r == -ENOMEM || !l->s->path;
	file = l->s->file;
	for (uint32_t i = 0; !l->oom && i < file->n_sections; i++) {
		const struct config_section *sec = &file->sections[i];

		for (uint32_t k = sec->first; k < sec->first + sec->entries; k++)
			if (!strcmp(sec->kind, d->section) && !strcmp(file->entries[k].key, d->key))
				set_from_file(l, l->s->v, (int)id, &file->entries[k]);
	}
}

int settings_one(enum setting_id id, const char *config, struct settings **ret,
		 struct config_errors *errs)
{
	struct loader l = {.errs = errs, .s = calloc(1, sizeof(*l.s))};
	uint32_t before = errs->count;

	if (!l.s)
		return -ENOMEM;
	load_defaults(&l);
	if (getenv(settings_table[id].env))
		load_env_of(&l, (int)id);
	else
		load_key(&l, id, config ?: getenv("WEIR_CONFIG"));
	return finish(&l, before, ret);
}

void settings_free(struct settings *s)
{
	if (!s)
		return;
	for (int id = 0; id < _SET_MAX; id++)
		setting_value_done(&s->v[id]);
	for (uint32_t i = 0; i < s->n_ifaces; i++)
		for (int id = 0; id < _SET_MAX; id++)
			setting_value_done(&s->ifaces[i].v[id]);
	free(s->ifaces);
	free(s->exports);
	config_free(s->file);
	free(s->path);
	free(s);
}

void settings_print_errors(const struct settings_args *args, const struct config_errors *errs,
			   FILE *out)
{
	const char *path = config_path(args) ?: SETTINGS_FILE;

	for (uint32_t i = 0; i < errs->count && i < CONFIG_ERRORS_MAX; i++) {
		const struct config_error *e = &errs->list[i];

		if (e->line)
			fprintf(out, "%s:%u:%u: %s\n", path, e->line, e->col, e->text);
		else
			fprintf(out, "weir: %s\n", e->text);
	}
	if (errs->count > CONFIG_ERRORS_MAX)
		fprintf(out, "weir: and %u more errors\n", errs->count - CONFIG_ERRORS_MAX);
}
