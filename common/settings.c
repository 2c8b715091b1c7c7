// SPDX-License-Identifier: Apache-2.0
#include "common/settings.h"

#include <errno.h>
#include <string.h>

#include "common/settings_int.h"

int settings_option(struct settings_args *args, int id, const char *text)
{
	if (id == SETTINGS_OPTION_CONFIG) {
		args->config = text;
		return 0;
	}
	if (args->n == SETTINGS_ARGS_MAX)
		return -E2BIG;
	args->arg[args->n].id = (unsigned int)(id - SETTINGS_OPTION);
	args->arg[args->n++].text = text;
	return 0;
}

const char *setting_name(const struct settings_schema *schema, unsigned int id, char *buf,
			 size_t cap)
{
	const struct setting *d = &schema->table[id];

	snprintf(buf, cap, "%s%s%s", d->section, d->key ? "." : "", d->key ?: "");
	return buf;
}

/* The setting that gives @id its value. */
static const char *profile_name(const struct settings *s, unsigned int id, char *buf, size_t cap)
{
	const struct settings_profile *p = s->schema->profiles;

	while (p->value && (p->id != id || !s->v[p->when].num))
		p++;
	return setting_name(s->schema, p->when, buf, cap);
}

const char *setting_origin(const struct settings *s, unsigned int id, char *buf, size_t cap)
{
	const struct setting_value *v = &s->v[id];

	switch (v->origin) {
	case FROM_FLAG:
		snprintf(buf, cap, "command line");
		break;
	case FROM_ENV:
		snprintf(buf, cap, "environment %s", s->schema->table[id].env);
		break;
	case FROM_FILE:
		snprintf(buf, cap, "%s:%u", s->path, v->line);
		break;
	case FROM_PROFILE:
		return profile_name(s, id, buf, cap);
		break;
	case FROM_DEFAULT:
		snprintf(buf, cap, "default");
		break;
	}
	return buf;
}

unsigned int settings_changed(const struct settings *a, const struct settings *b, unsigned int from)
{
	for (; from < a->schema->n; from++)
		if (strcmp(a->v[from].text, b->v[from].text))
			break;
	return from;
}

void settings_keep(struct settings *now, const struct settings *was, unsigned int id)
{
	struct setting_value *v = &now->v[id];
	struct value_error err;

	if (setting_parse(now->schema, id, was->v[id].text, v, &err))
		return;
	v->origin = was->v[id].origin;
	v->line = was->v[id].line;
	v->col = was->v[id].col;
}
