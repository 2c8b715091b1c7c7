// SPDX-License-Identifier: Apache-2.0
#include "loader/settings.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "loader/capture/disk_board.h"
#include "loader/dataplane.h"
#include "loader/netns.h"

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
	const char *slash = strrchr(item, '/');
	const size_t label = slash ? (size_t)(slash - item) : 0;

	if (id == SET_NETNS) {
		if (strlen(item) < NETNS_LABEL_MAX)
			return 0;
		snprintf(err->text, sizeof(err->text),
			 "'%.60s...' is longer than weir takes the name of a network namespace",
			 item);
		return -EINVAL;
	}
	if (id != SET_INTERFACES || (strlen(slash ? slash : item) <= 16 && label < NETNS_LABEL_MAX))
		return 0;
	snprintf(err->text, sizeof(err->text),
		 "'%.60s' is longer than the name of an interface can be", item);
	return -EINVAL;
}

static const struct settings_kind kinds[] = {
	{"interface", "NAME-OR-PATTERN", false}, {"export", "NAME", true},
	{"mirror-filter", "NAME", true},	 {"mirror", "NUMBER", true},
	{"mirror-target", "NAME", true},	 {},
};

/* --mirror-target: packets are copies, so nothing is to be stopped by what is found in them. */
static const struct settings_profile profiles[] = {
	{SET_MIRROR_TARGET, SET_ROLE, "mirror"},
	{SET_MIRROR_TARGET, SET_DECAP, "4"},
	{SET_MIRROR_TARGET, SET_POLICY_ENTRIES, "0"},
	{},
};

/* The disk ring is written from the ring in memory, in files of a size that is worth it. */
static void check_disk(const struct settings *s, struct config_errors *errs)
{
	const struct setting_value *v = &s->v[SET_CAPTURE_DISK];

	if (v->num && v->num < DISK_LEAST)
		config_error(errs, v->line, v->col, "capture.disk: '%s': want 0, or 1Mi at least",
			     v->text);
	else if (v->num && !settings_num(s, SET_CAPTURE_RING))
		config_error(
			errs, v->line, v->col,
			"capture.disk: nothing keeps packets that could be written: set capture.ring, such "
			"as 64Mi");
	else if (v->num && settings_is_word(s, SET_CAPTURE_DIR))
		config_error(errs, v->line, v->col,
			     "capture.disk: capture.dir is none: name a directory");
}

static int finish(struct settings *s, struct config_errors *errs)
{
	struct settings_own *own = calloc(1, sizeof(*own));

	s->own = own;
	if (!own)
		return -ENOMEM;
	check_disk(s, errs);
	return settings_exports_load(s, &own->exports, errs)
		       ?: settings_mirror_load(s, &own->mirrors, errs);
}

const struct settings_schema weir_settings = {
	.file = SETTINGS_FILE,
	.file_env = "WEIR_CONFIG",
	.table = settings_table,
	.n = _SET_MAX,
	.kinds = kinds,
	.profiles = profiles,
	.check_item = check_item,
	.finish = finish,
	.free_own = free,
};

/* ---- interfaces ---- */

static bool is_pattern(const char *s)
{
	return s[0] == '!' || strpbrk(s, "*?[");
}

static bool left_out(const struct setting_value *l, const char *ifname)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->list[i][0] == '!' && !fnmatch(l->list[i] + 1, ifname, FNM_PATHNAME))
			return true;
	return false;
}

static bool listed(const struct setting_value *l, const char *ifname)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->list[i][0] != '!' && !fnmatch(l->list[i], ifname, FNM_PATHNAME))
			return true;
	return false;
}

/* Of a network namespace all of which is watched? */
static bool in_netns(const struct setting_value *l, const char *ifname)
{
	const char *slash = strrchr(ifname, '/');
	char label[256];

	if (!slash || (size_t)(slash - ifname) >= sizeof(label))
		return false;
	memcpy(label, ifname, (size_t)(slash - ifname));
	label[slash - ifname] = '\0';
	return listed(l, label);
}

static const struct settings_section *section_for(const struct settings *s, const char *ifname)
{
	for (uint32_t i = 0; i < s->n_sections; i++)
		if (!strcmp(s->sections[i].name, ifname))
			return &s->sections[i];
	for (uint32_t i = 0; i < s->n_sections; i++)
		if (!fnmatch(s->sections[i].name, ifname, FNM_PATHNAME))
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

static void settings_of(const struct settings *s, const struct settings_section *i,
			struct iface_settings *ret)
{
	const uint64_t depth = effective(s, i, SET_DECAP);

	*ret = (struct iface_settings){
		.role = (uint32_t)effective(s, i, SET_ROLE),
		.hook = (uint32_t)effective(s, i, SET_HOOK),
		.sample = (uint32_t)effective(s, i, SET_SAMPLE),
		.decap_depth = depth == SETTINGS_WORD ? -1 : (int)depth,
	};
}

bool settings_iface(const struct settings *s, const char *ifname, struct iface_settings *ret)
{
	const struct setting_value *l = &s->v[SET_INTERFACES];
	const struct settings_section *i = section_for(s, ifname);

	if (left_out(l, ifname))
		return false;
	if (!in_netns(&s->v[SET_NETNS], ifname) && (l->n ? !listed(l, ifname) : !i))
		return false;
	settings_of(s, i, ret);
	return true;
}

void settings_all_ifaces(const struct settings *s, struct iface_settings *ret)
{
	settings_of(s, NULL, ret);
}

const char *settings_iface_name(const struct settings *s, uint32_t i, bool *ret_pattern)
{
	const struct setting_value *l = &s->v[SET_INTERFACES], *netns = &s->v[SET_NETNS];
	const uint32_t named = l->n ? l->n : s->n_sections;
	static char all[256];
	const char *name = NULL;

	if (i < named) {
		name = l->n ? l->list[i] : s->sections[i].name;
	} else if (i - named < netns->n) {
		snprintf(all, sizeof(all), "%s/*", netns->list[i - named]);
		name = all;
	}
	*ret_pattern = name && is_pattern(name);
	return name;
}

void settings_dataplane(const struct settings *s, struct dataplane_cfg *ret)
{
	*ret = dataplane_cfg_default;
	ret->flows = (uint32_t)settings_num(s, SET_FLOWS);
	ret->idle_ns = settings_num(s, SET_IDLE_TIMEOUT);
	ret->names = settings_num(s, SET_NAMES);
	ret->policy_entries = (uint32_t)settings_num(s, SET_POLICY_ENTRIES);
	ret->recent_bytes = settings_num(s, SET_CAPTURE_RING);
	ret->recent_len = (uint32_t)settings_num(s, SET_CAPTURE_SNAPLEN);
	ret->recent_full = (uint32_t)settings_num(s, SET_CAPTURE_FULL);
	ret->recent_early = (uint32_t)settings_num(s, SET_CAPTURE_EARLY);
}
