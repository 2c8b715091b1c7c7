// SPDX-License-Identifier: Apache-2.0
#include "loader/settings.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

const struct setting settings_table[_SET_MAX] = {
#define SETTING(id, section, key, flag, letter, env, type, arg, words, def, min, max, flags, doc) \
	[SET_##id] = {section, key, flag, letter, env,	 SV_##type, arg,                          \
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

static int check_item(unsigned int id, const char *item, struct value_error *err)
{
	if (id != SET_INTERFACES || strlen(item) <= 16)
		return 0;
	snprintf(err->text, sizeof(err->text),
		 "'%.60s' is longer than the name of an interface can be", item);
	return -EINVAL;
}

static const struct settings_kind kinds[] = {
	{"interface", "NAME-OR-PATTERN", false},
	{"export", "NAME", true},
	{},
};

const struct settings_schema weir_settings = {
	.file = SETTINGS_FILE,
	.file_env = "WEIR_CONFIG",
	.table = settings_table,
	.n = _SET_MAX,
	.kinds = kinds,
	.check_item = check_item,
	.finish = settings_exports_load,
	.free_own = free,
};

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

static const struct settings_section *section_for(const struct settings *s, const char *ifname)
{
	for (uint32_t i = 0; i < s->n_sections; i++)
		if (!strcmp(s->sections[i].name, ifname))
			return &s->sections[i];
	for (uint32_t i = 0; i < s->n_sections; i++)
		if (!fnmatch(s->sections[i].name, ifname, 0))
			return &s->sections[i];
	return NULL;
}

/* The section's value, unless something stronger spoke for all interfaces. */
static uint64_t effective(const struct settings *s, const struct settings_section *i,
			  enum setting_id id)
{
	if (i && i->v[id].text && s->v[id].origin <= FROM_FILE)
		return i->v[id].num;
	return s->v[id].num;
}

bool settings_iface(const struct settings *s, const char *ifname, struct iface_settings *ret)
{
	const struct setting_value *l = &s->v[SET_INTERFACES];
	const struct settings_section *i = section_for(s, ifname);

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
	else if (i < s->n_sections)
		name = s->sections[i].name;
	*ret_pattern = name && is_pattern(name);
	return name;
}
