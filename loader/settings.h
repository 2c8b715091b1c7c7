/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - the settings of weir: settings.def's rows for common/settings.h, what is said of
 * single interfaces, and the exports among them.
 */
#ifndef WEIR_LOADER_SETTINGS_H
#define WEIR_LOADER_SETTINGS_H

#include "common/settings.h"
#include "loader/export/sink.h"
#include "loader/mirror/want.h"

#define SETTINGS_FILE "/etc/weir/weir.conf"

enum setting_id {
#define SETTING(id, ...) SET_##id,
#include "loader/settings.def"
#undef SETTING
	_SET_MAX
};

extern const struct settings_schema weir_settings;
extern const struct setting settings_table[_SET_MAX];

/* For a struct cli_command; the id is SETTINGS_OPTION + enum setting_id. */
extern const struct cli_option settings_options[];

/* What one interface is to be watched with. */
struct iface_settings {
	uint32_t role, hook; /* index of the word: enum role, enum hook_mode */
	uint32_t sample;
	int decap_depth; /* -1: by role */
};

/**
 * settings_iface - is an interface to be watched, and how
 *
 * Watched are the interfaces that a name or pattern of SET_INTERFACES fits and none of its !patterns
 * does; where that list is empty, those of [interface] sections; and all in the namespaces of SET_NETNS
 * but !patterns. A name is NAMESPACE/IFACE where it is not of our own namespace. Of several sections that fit, the
 * one with the plain name is taken, else the first. A flag or variable that says the same for all
 * interfaces beats the section.
 */
bool settings_iface(const struct settings *s, const char *ifname, struct iface_settings *ret);

/* What holds for interfaces that no section speaks of. */
void settings_all_ifaces(const struct settings *s, struct iface_settings *ret);

/* Name or pattern number @i of what settings_iface() looks at; NULL: there are no more. Valid until the
 * next call.
 */
const char *settings_iface_name(const struct settings *s, uint32_t i, bool *ret_pattern);

/* The exports, checked: standard output, [export NAME], --export. */
struct dataplane_cfg;

struct settings_exports {
	uint32_t n;
	struct export_cfg cfg[EXPORTS_MAX];
};

/* What settings have in sections that the schema does not read. */
struct settings_own {
	struct settings_exports exports;
	struct mirror_images mirrors;
};

static inline const struct settings_exports *settings_exports(const struct settings *s)
{
	return &((const struct settings_own *)s->own)->exports;
}

/* The mirror's sessions, checked: [mirror NUMBER]. */
static inline const struct mirror_images *settings_mirrors(const struct settings *s)
{
	return &((const struct settings_own *)s->own)->mirrors;
}

/* What the tables in the kernel are made by. */
void settings_dataplane(const struct settings *s, struct dataplane_cfg *ret);

/**
 * settings_exports_load - make *ret of the sections, --export and -o
 *
 * Return: 0, also with errors noted; -ENOMEM.
 */
int settings_exports_load(const struct settings *s, struct settings_exports *ret,
			  struct config_errors *errs);

/* The same of [mirror-filter NAME], [mirror NUMBER] and [mirror-target NAME]. */
int settings_mirror_load(const struct settings *s, struct mirror_images *ret,
			 struct config_errors *errs);

/* Keys of [mirror NUMBER], or of [mirror-target NAME], for the manual. */
void settings_mirror_keys(bool target,
			  void (*put)(const char *name, const char *fallback, const char *doc));

#endif
