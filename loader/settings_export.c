// SPDX-License-Identifier: Apache-2.0
/*
 * settings_export.c - the exports among the settings: sections [export NAME], --export URLs, and
 * standard output. Their keys are loader/export/keys.def's; here they get places in the file.
 */
#include <errno.h>
#include <string.h>

#include "common/filter.h"
#include "loader/settings.h"

static struct export_cfg *next(struct settings_exports *x, struct config_errors *errs,
			       const struct config_section *sec)
{
	if (x->n == EXPORTS_MAX) {
		config_error(errs, sec ? sec->line : 0, sec ? sec->kind_col : 0,
			     "at most %u exports", EXPORTS_MAX);
		return NULL;
	}
	return &x->cfg[x->n++];
}

/* Does the filter parse? What is wrong is told at its place in the line. */
static void check_filter(const struct config_entry *e, struct config_errors *errs)
{
	struct filter *f = NULL;
	struct filter_error err;

	if (!*e->value)
		return;
	if (filter_parse(e->value, strlen(e->value), NULL, &f, &err))
		config_error(errs, e->line,
			     err.line == 1 ? e->value_col + e->quoted + err.column - 1
					   : e->value_col,
			     "%s", err.message);
	filter_free(f);
}

/* Keys of the file may have hyphens, as all others there. */
static void normal_key(const char *key, char *ret, size_t cap)
{
	snprintf(ret, cap, "%s", key);
	for (; *ret; ret++)
		if (*ret == '-')
			*ret = '_';
}

static void from_section(const struct settings *s, struct settings_exports *to,
			 const struct config_section *sec, struct config_errors *errs)
{
	struct export_cfg *x = next(to, errs, sec);
	char why[EXPORT_ERR_MAX], key[48];
	uint32_t before = errs->count;

	if (!x)
		return;
	if (export_cfg_init(x, sec->name, why)) {
		config_error(errs, sec->line, sec->name_col, "%.220s", why);
		return;
	}
	for (uint32_t i = sec->first; i < sec->first + sec->entries; i++) {
		const struct config_entry *e = &s->file->entries[i];
		int r;

		normal_key(e->key, key, sizeof(key));
		r = export_cfg_set(x, key, e->value, why);
		if (r)
			config_error(errs, e->line, r == -ENOENT ? e->key_col : e->value_col,
				     "%.220s", why);
		else if (!strcmp(key, "filter"))
			check_filter(e, errs);
	}
	if (errs->count == before && export_cfg_check(x, why))
		config_error(errs, sec->line, sec->kind_col, "%.220s", why);
}

static void from_url(struct settings_exports *to, const char *url, struct config_errors *errs)
{
	struct export_cfg *x = next(to, errs, NULL);
	char why[EXPORT_ERR_MAX], name[EXPORT_NAME_MAX];

	if (!x)
		return;
	snprintf(name, sizeof(name), "export%u", to->n);
	if (export_cfg_init(x, name, why) || export_cfg_url(x, url, why) ||
	    export_cfg_check(x, why))
		config_error(errs, 0, 0, "--export '%.60s': %.150s", url, why);
}

static void to_stdout(const struct settings *s, struct settings_exports *to,
		      struct config_errors *errs)
{
	const char *format = settings_text(s, SET_OUTPUT);
	char why[EXPORT_ERR_MAX];
	struct export_cfg *x;

	if (!format || !strcmp(format, "none") || (!strcmp(format, "auto") && to->n))
		return;
	x = next(to, errs, NULL);
	if (!x)
		return;
	if (!strcmp(format, "auto"))
		format = "table";
	if (export_cfg_init(x, "stdout", why) || export_cfg_set(x, "type", "stdout", why) ||
	    export_cfg_set(x, "format", format, why) || export_cfg_check(x, why))
		config_error(errs, 0, 0, "-o: %.220s", why);
}

static void check_names(const struct settings_exports *x, struct config_errors *errs)
{
	for (uint32_t a = 0; a < x->n; a++)
		for (uint32_t b = a + 1; b < x->n; b++)
			if (*x->cfg[a].name && !strcmp(x->cfg[a].name, x->cfg[b].name))
				config_error(errs, 0, 0, "two exports are called '%s'",
					     x->cfg[a].name);
}

int settings_exports_load(const struct settings *s, struct settings_exports *ret,
			  struct config_errors *errs)
{
	uint32_t before = errs->count;

	for (uint32_t i = 0; s->file && i < s->file->n_sections; i++) {
		const struct config_section *sec = &s->file->sections[i];

		if (!strcmp(sec->kind, "export") && sec->name && *sec->name)
			from_section(s, ret, sec, errs);
	}
	for (uint32_t i = 0; i < s->v[SET_EXPORT].n; i++)
		from_url(ret, s->v[SET_EXPORT].list[i], errs);
	to_stdout(s, ret, errs);
	if (errs->count == before)
		check_names(ret, errs);
	return 0;
}
