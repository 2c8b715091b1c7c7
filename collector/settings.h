/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - the settings of weir-collector: settings.def's rows for common/settings.h.
 */
#ifndef WEIR_COLLECTOR_SETTINGS_H
#define WEIR_COLLECTOR_SETTINGS_H

#include "collector/notify/channel.h"
#include "common/settings.h"

#define COLLECTOR_FILE "/etc/weir/collector.conf"

enum collector_setting {
#define SETTING(id, ...) CSET_##id,
#include "collector/settings.def"
#undef SETTING
	_CSET_MAX
};

extern const struct settings_schema collector_settings;

/* For a struct cli_command; the id is SETTINGS_OPTION + enum collector_setting. */
extern const struct cli_option collector_options[];

/* What [exporter ADDRESS] says; texts are the file's. */
struct collector_exporter {
	uint8_t address[16];
	const char *name; /* NULL: as it says itself */
	uint32_t sampling;
};

struct collector_exporters {
	uint32_t n;
	struct collector_exporter *v;
};

/*
 * A line of [list NAME] (values, file), [rule NAME] (mode, and whatever parameters the rule has) or [pack NAME]
 * (its parameters); texts are the file's.
 */
struct collector_rule_word {
	bool list, pack; /* neither: rule */
	const char *name, *key, *value;
	uint32_t line, col; /* of the value */
};

struct pack_list; /* collector/packs/pack.h */

struct collector_own {
	struct collector_exporters exporters;
	uint32_t n_words;
	struct collector_rule_word *words;
	struct pack_list *feeds; /* of [list NAME] with feed; texts are the file's */
	uint32_t n_feeds;
	struct channel_set channels;
};

static inline const struct collector_own *collector_own(const struct settings *s)
{
	return s->own;
}

/* "none" and an empty text are NULL. */
const char *collector_path(const struct settings *s, enum collector_setting id);

/* Number of a setting that has a word for "no bound": 0 then. */
static inline uint64_t collector_bound(const struct settings *s, enum collector_setting id)
{
	return settings_is_word(s, id) ? 0 : settings_num(s, id);
}

#endif
