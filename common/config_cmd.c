// SPDX-License-Identifier: Apache-2.0
/*
 * config_cmd.c - `config show` and `config check`: the settings that hold and where each comes from;
 * every error of a file.
 */
#include <stdlib.h>
#include <string.h>

#include "common/commands.h"
#include "common/json.h"

enum { OPT_ORIGIN = 1, OPT_JSON };

const struct cli_option config_show_options[] = {
	{OPT_ORIGIN, 0, "origin", NULL, NULL, NULL, "say where each value comes from"},
	{OPT_JSON, 'o', "output", "FORMAT", "text|json", "text",
	 "text is a configuration file again; json: one object"},
	{},
};

/* ---- show ---- */

static bool needs_quotes(const char *s)
{
	size_t n = strlen(s);

	return !n || s[0] == '"' || strpbrk(s, "#;\\\n\t\"") || s[0] == ' ' || s[n - 1] == ' ';
}

/* As the configuration file wants it. */
static void put_value(const char *s)
{
	if (!needs_quotes(s)) {
		fputs(s, stdout);
		return;
	}
	putchar('"');
	for (; *s; s++) {
		if (*s == '\n')
			fputs("\\n", stdout);
		else if (*s == '\t')
			fputs("\\t", stdout);
		else if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else
			putchar(*s);
	}
	putchar('"');
}

static void put_key(const char *key, int key_len, const char *value, const char *origin)
{
	size_t width = (size_t)key_len + strlen(value) + 2 * needs_quotes(value);

	printf("%.*s = ", key_len, key);
	put_value(value);
	if (origin)
		printf("%*s# %s", width < 36 ? 36 - (int)width : 1, "", origin);
	putchar('\n');
}

/* A section whose keys are the user's. */
static void show_keys(const struct setting_value *v, const char *origin)
{
	for (uint32_t i = 0; i < v->n; i++) {
		size_t key = strcspn(v->list[i], "=");

		put_key(v->list[i], (int)key, v->list[i] + key + 1, origin);
	}
}

static void show_comments(const struct setting *d, const struct setting_value *v,
			  const char *origin)
{
	for (uint32_t i = 0; i < v->n; i++)
		printf("# --%s %s%s%s\n", d->flag, v->list[i], origin ? "  # " : "", origin ?: "");
}

/* Sections as they stand in the file: [interface eth*], [export main]. */
static void show_sections(const struct settings *s, bool origin)
{
	char from[300];

	for (uint32_t i = 0; s->file && i < s->file->n_sections; i++) {
		const struct config_section *sec = &s->file->sections[i];

		if (!sec->name)
			continue;
		printf("\n[%s ", sec->kind);
		put_value(sec->name);
		puts("]");
		for (uint32_t k = sec->first; k < sec->first + sec->entries; k++) {
			const struct config_entry *e = &s->file->entries[k];

			snprintf(from, sizeof(from), "%s:%u", s->path, e->line);
			put_key(e->key, (int)strlen(e->key), e->value, origin ? from : NULL);
		}
	}
}

static void show_text(const struct settings *s, bool origin)
{
	const char *section = "";
	char from[300];

	for (unsigned int id = 0; id < s->schema->n; id++) {
		const struct setting *d = &s->schema->table[id];

		if (strcmp(section, d->section)) {
			printf("%s[%s]\n", *section ? "\n" : "", d->section);
			section = d->section;
		}
		setting_origin(s, id, from, sizeof(from));
		if (d->flags & SF_KEYS)
			show_keys(&s->v[id], origin ? from : NULL);
		else if (!d->key) /* no key of the file has it */
			show_comments(d, &s->v[id], origin ? from : NULL);
		else
			put_key(d->key, (int)strlen(d->key), s->v[id].text, origin ? from : NULL);
	}
	show_sections(s, origin);
}

static void json_text(struct json *j, const char *key, const char *text)
{
	json_key(j, key, strlen(key));
	json_str(j, text, strlen(text));
}

static void json_value(struct json *j, const struct settings *s, unsigned int id)
{
	const struct setting_value *v = &s->v[id];

	json_key(j, "value", 5);
	if (s->schema->table[id].type != SV_LIST) {
		json_str(j, v->text, strlen(v->text));
		return;
	}
	json_open(j, '[');
	for (uint32_t i = 0; i < v->n; i++)
		json_str(j, v->list[i], strlen(v->list[i]));
	json_close(j, ']');
}

static void json_sections(struct json *j, const struct settings *s)
{
	json_key(j, "sections", 8);
	json_open(j, '[');
	for (uint32_t i = 0; s->file && i < s->file->n_sections; i++) {
		const struct config_section *sec = &s->file->sections[i];

		if (!sec->name)
			continue;
		json_open(j, '{');
		json_text(j, "section", sec->kind);
		json_text(j, "name", sec->name);
		json_key(j, "keys", 4);
		json_open(j, '{');
		for (uint32_t k = sec->first; k < sec->first + sec->entries; k++)
			json_text(j, s->file->entries[k].key, s->file->entries[k].value);
		json_close(j, '}');
		json_close(j, '}');
	}
	json_close(j, ']');
}

static int show_json(const struct settings *s)
{
	size_t cap = 4 * CONFIG_BYTES_MAX, len;
	char *buf = malloc(cap), name[64], from[300];
	struct json j;
	int rc = EXIT_FAILED;

	if (!buf)
		return rc;
	json_init(&j, buf, cap);
	json_open(&j, '{');
	json_text(&j, "file", s->path ?: "");
	json_key(&j, "settings", 8);
	json_open(&j, '{');
	for (unsigned int id = 0; id < s->schema->n; id++) {
		setting_name(s->schema, id, name, sizeof(name));
		json_key(&j, name, strlen(name));
		json_open(&j, '{');
		json_value(&j, s, id);
		json_text(&j, "origin", setting_origin(s, id, from, sizeof(from)));
		json_close(&j, '}');
	}
	json_close(&j, '}');
	json_sections(&j, s);
	json_close(&j, '}');
	if (!json_end(&j, &len)) {
		fwrite(buf, 1, len, stdout);
		putchar('\n');
		rc = EXIT_OK;
	}
	free(buf);
	return rc;
}

int config_show(const struct program *p, struct cli *c)
{
	static struct settings_args args;
	static struct config_errors errs;
	bool origin = false, json = false;
	struct settings *s;
	int id, rc = EXIT_OK;

	while ((id = cli_next(c)) > 0) {
		if (id == OPT_ORIGIN)
			origin = true;
		else if (id == OPT_JSON)
			json = !strcmp(c->arg, "json");
		else if (settings_option(&args, id, c->arg))
			return cli_error(c, "more than %u options", SETTINGS_ARGS_MAX);
	}
	if (id == CLI_STOP)
		return c->status;
	if (settings_load(p->settings, &args, &s, &errs)) {
		settings_print_errors(p->settings, &args, &errs, stderr);
		return EXIT_USAGE;
	}
	if (json)
		rc = show_json(s);
	else
		show_text(s, origin);
	settings_free(s);
	return rc;
}

/* ---- check ---- */

int config_check(const struct program *p, struct cli *c)
{
	static struct config_errors errs;
	struct settings_args args = {};
	struct settings *s;
	int id;

	while ((id = cli_next(c)) != CLI_END) {
		if (id == CLI_STOP)
			return c->status;
		if (args.config)
			return cli_error(c, "one file at a time");
		args.config = c->arg;
	}
	args.config = args.config ?: p->settings->file;
	if (settings_check(p->settings, args.config, &s, &errs)) {
		settings_print_errors(p->settings, &args, &errs, stderr);
		return EXIT_FAILED;
	}
	printf("%s: ok\n", args.config);
	settings_free(s);
	return EXIT_OK;
}
