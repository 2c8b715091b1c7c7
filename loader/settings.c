// SPDX-License-Identifier: Apache-2.0
#include "loader/settings.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "loader/settings_int.h"

const struct setting settings_table[_SET_MAX] = {
#define SETTING(id, section, key, flag, letter, env, type, arg, words, def, min, max, flags, doc) \
	[SET_##id] = {section, key, flag, letter, env,	 ST_##type, arg,                          \
		      words,   def, min,  max,	  flags, doc},
#include "loader/settings.def"
#undef SETTING
};

const struct cli_option settings_options[] = {
	{SETTINGS_OPTION_CONFIG, 0, "config", "FILE", CLI_FILE, SETTINGS_FILE " if it is there",
	 "configuration file, see weir.conf(5)"},
#define SETTING(id, section, key, flag, letter, env, type, arg, words, def, min, max, flags, doc) \
	{SETTINGS_OPTION + SET_##id,                                                              \
	 letter,                                                                                  \
	 flag,                                                                                    \
	 arg,                                                                                     \
	 words,                                                                                   \
	 sizeof(def) > 1 && (arg) ? def : NULL,                                                   \
	 (flags)&SF_NEGATED ? "do not " doc : doc},
#include "loader/settings.def"
#undef SETTING
	{},
};

int settings_option(struct settings_args *args, int id, const char *text)
{
	if (id == SETTINGS_OPTION_CONFIG) {
		args->config = text;
		return 0;
	}
	if (args->n == SETTINGS_ARGS_MAX)
		return -E2BIG;
	args->arg[args->n].id = (enum setting_id)(id - SETTINGS_OPTION);
	args->arg[args->n++].text = text;
	return 0;
}

const char *setting_name(enum setting_id id, char *buf, size_t cap)
{
	const struct setting *d = &settings_table[id];

	snprintf(buf, cap, "%s%s%s", d->section, d->key ? "." : "", d->key ?: "");
	return buf;
}

const char *setting_origin(const struct settings *s, enum setting_id id, char *buf, size_t cap)
{
	const struct setting_value *v = &s->v[id];

	switch (v->origin) {
	case FROM_FLAG:
		snprintf(buf, cap, "command line");
		break;
	case FROM_ENV:
		snprintf(buf, cap, "environment %s", settings_table[id].env);
		break;
	case FROM_FILE:
		snprintf(buf, cap, "%s:%u", s->path, v->line);
		break;
	case FROM_DEFAULT:
		snprintf(buf, cap, "default");
		break;
	}
	return buf;
}

unsigned int settings_changed(const struct settings *a, const struct settings *b, unsigned int from)
{
	for (; from < _SET_MAX; from++)
		if (strcmp(a->v[from].text, b->v[from].text))
			break;
	return from;
}

void settings_keep(struct settings *now, const struct settings *was, enum setting_id id)
{
	struct setting_value *v = &now->v[id];
	struct value_error err;

	if (setting_parse(id, was->v[id].text, v, &err))
		return;
	v->origin = was->v[id].origin;
	v->line = was->v[id].line;
	v->col = was->v[id].col;
}

/* ---- interfaces ---- */

static bool is_pattern(const char *s)
{
	return s[0] == '!' || strpbrk(s, "*?[");
}

static bool listed(const struct setting_value *l, const char *ifname)
{
	bool found = false;

	for (uint32_t i = 0; i < l->n; i++) {
		if (l->list[i][0] == '!') {
			if (!fnmatch(l->list[i] + 1, ifname, 0))
				return false;
		} else if (!fnmatch(l->list[i], ifname, 0)) {
			found = true;
		}
	}
	return found;
}

static const struct iface_section *section_for(const struct settings *s, const char *ifname)
{
	for (uint32_t i = 0; i < s->n_ifaces; i++)
		if (!strcmp(s->ifaces[i].pattern, ifname))
			return &s->ifaces[i];
	for (uint32_t i = 0; i < s->n_ifaces; i++)
		if (!fnmatch(s->ifaces[i].pattern, ifname, 0))
			return &s->ifaces[i];
	return NULL;
}

/* The section's value, unless something stronger spoke for all interfaces. */
static uint64_t effective(const struct settings *s, const struct iface_section *i,
			  enum setting_id id)
{
	if (i && i->v[id].text && s->v[id].origin <= FROM_FILE)
		return i->v[id].num;
	return s->v[id].num;
}

bool settings_iface(const struct settings *s, const char *ifname, struct iface_settings *ret)
{
	const struct setting_value *l = &s->v[SET_INTERFACES];
	const struct iface_section *i = section_for(s, ifname);

	if (l->n ? !listed(l, ifname) : !i)
		return false;
	ret->role = (uint32_t)effective(s, i, SET_ROLE);
	ret->hook = (uint32_t)effective(s, i, SET_HOOK);
	return true;
}

const char *settings_iface_name(const struct settings *s, uint32_t i, bool *ret_pattern)
{
	const struct setting_value *l = &s->v[SET_INTERFACES];
	const char *name = NULL;

	if (l->n)
		name = i < l->n ? l->list[i] : NULL;
	else if (i < s->n_ifaces)
		name = s->ifaces[i].pattern;
	*ret_pattern = name && is_pattern(name);
	return name;
}
