// SPDX-License-Identifier: Apache-2.0
#include "collector/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/scan.h"

static const struct setting table[_CSET_MAX] = {
#define SETTING(id, section, key, flag, letter, env, type, arg, words, def, min, max, flags, doc) \
	[CSET_##id] = {section, key, flag, letter, env,	  SV_##type, arg,                         \
		       words,	def, min,  max,	   flags, doc},
#include "collector/settings.def"
#undef SETTING
};

const struct cli_option collector_options[] = {
	{SETTINGS_OPTION_CONFIG, 0, "config", "FILE", CLI_FILE, COLLECTOR_FILE " if it is there",
	 "configuration file, see weir-collector.conf(5)"},
#define SETTING(id, section, key, flag, letter, env, type, arg, words, def, min, max, flags, doc) \
	{SETTINGS_OPTION + CSET_##id,		letter, flag, arg, words,                         \
	 sizeof(def) > 1 && (arg) ? def : NULL, doc},
#include "collector/settings.def"
#undef SETTING
	{},
};

static int check_item(unsigned int id, const char *item, struct value_error *err)
{
	struct address a;

	if (!strcmp(table[id].arg, "DIR") && strcmp(item, "none") != 0 && item[0] != '/') {
		snprintf(err->text, sizeof(err->text), "'%.60s': want a path that begins with /",
			 item);
		return -EINVAL;
	}
	if (strcmp(table[id].arg, "ADDR:PORT") != 0)
		return 0;
	if (!strcmp(item, "none") || !address_parse(item, &a))
		return 0;
	snprintf(err->text, sizeof(err->text),
		 "'%.60s': want ADDRESS:PORT, such as 0.0.0.0:4739 or [::]:4739", item);
	return -EINVAL;
}

/* [exporter ADDRESS]: name, sampling. */
static void check_exporter(const struct settings *s, const struct config_section *sec,
			   struct collector_exporter *x, struct config_errors *errs)
{
	if (address_ip(sec->name, x->address))
		config_error(errs, sec->line, sec->name_col, "'%.60s' is no address", sec->name);
	for (uint32_t i = sec->first; i < sec->first + sec->entries; i++) {
		const struct config_entry *e = &s->file->entries[i];
		uint64_t v;

		if (!strcmp(e->key, "name"))
			x->name = e->value;
		else if (strcmp(e->key, "sampling") != 0)
			config_error(errs, e->line, e->key_col,
				     "unknown key '%.60s': an exporter has name and sampling",
				     e->key);
		else if (scan_u64(e->value, 1, UINT32_MAX, &v))
			config_error(errs, e->line, e->value_col,
				     "sampling '%.60s': want N of 1 packet in N", e->value);
		else
			x->sampling = (uint32_t)v;
	}
}

/* [list NAME]: values or file. [rule NAME]: mode, and parameters, which the rules know. */
static void load_words(const struct settings *s, const struct config_section *sec,
		       struct collector_own *own, struct config_errors *errs)
{
	const bool list = !strcmp(sec->kind, "list");

	for (uint32_t i = sec->first; i < sec->first + sec->entries; i++) {
		const struct config_entry *e = &s->file->entries[i];

		if (list && strcmp(e->key, "values") != 0 && strcmp(e->key, "file") != 0)
			config_error(errs, e->line, e->key_col,
				     "unknown key '%.60s': a list has values or file", e->key);
		else if (!list && !strcmp(e->key, "mode") &&
			 cli_word("draft|detect|shadow|canary|prevent", e->value) < 0)
			config_error(errs, e->line, e->value_col,
				     "mode '%.60s': want draft, detect, shadow, canary or prevent",
				     e->value);
		else
			own->words[own->n_words++] = (struct collector_rule_word){
				list, sec->name, e->key, e->value, e->line, e->value_col};
	}
}

static void free_own(void *arg)
{
	struct collector_own *own = arg;

	if (!own)
		return;
	for (uint32_t i = 0; i < own->channels.n; i++)
		channel_done(&own->channels.v[i]);
	free(own->channels.v);
	free(own->exporters.v);
	free(own->words);
	free(own);
}

static int load_channel(const struct settings *s, const struct config_section *sec,
			struct channel_set *set, struct config_errors *errs)
{
	if (set->n == CHANNELS_MAX) {
		config_error(errs, sec->line, sec->kind_col, "at most %u channels", CHANNELS_MAX);
		return 0;
	}
	/* a section that is wrong has been told of, and is released with the others */
	return channel_read(s->file, sec, &set->v[set->n++], errs) == -ENOMEM ? -ENOMEM : 0;
}

static int load_own(struct settings *s, struct config_errors *errs)
{
	const uint32_t n = s->file ? s->file->n_sections : 0;
	struct collector_own *own = calloc(1, sizeof(*own));

	if (!own)
		return -ENOMEM;
	s->own = own;
	own->exporters.v = calloc(n + 1, sizeof(*own->exporters.v));
	own->words = calloc(s->file ? s->file->n_entries + 1 : 1, sizeof(*own->words));
	own->channels.v = calloc(CHANNELS_MAX, sizeof(*own->channels.v));
	if (!own->exporters.v || !own->words || !own->channels.v)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct config_section *sec = &s->file->sections[i];

		if (!sec->name)
			continue;
		if (!strcmp(sec->kind, "exporter"))
			check_exporter(s, sec, &own->exporters.v[own->exporters.n++], errs);
		else if (!strcmp(sec->kind, "list") || !strcmp(sec->kind, "rule"))
			load_words(s, sec, own, errs);
		else if (!strcmp(sec->kind, "channel") &&
			 load_channel(s, sec, &own->channels, errs))
			return -ENOMEM;
	}
	return 0;
}

static int finish(struct settings *s, struct config_errors *errs)
{
	const struct setting_value *tls = &s->v[CSET_LISTEN_TLS];

	if (load_own(s, errs))
		return -ENOMEM;
	if (tls->n && strcmp(tls->text, "none") != 0 &&
	    (!collector_path(s, CSET_TLS_CERT) || !collector_path(s, CSET_TLS_KEY)))
		config_error(errs, tls->line, tls->col, "listen.tls wants tls.cert and tls.key");
	if (settings_num(s, CSET_STORE_PARTITION) % SETTING_S(300))
		config_error(errs, s->v[CSET_STORE_PARTITION].line, s->v[CSET_STORE_PARTITION].col,
			     "store.partition '%s' is not a multiple of 5 minutes",
			     settings_text(s, CSET_STORE_PARTITION));
	return 0;
}

const char *collector_path(const struct settings *s, enum collector_setting id)
{
	const char *text = settings_text(s, id);

	return *text && strcmp(text, "none") != 0 ? text : NULL;
}

static const struct settings_kind kinds[] = {{"exporter", "ADDRESS", true},
					     {"list", "NAME", true},
					     {"rule", "NAME", true},
					     {"channel", "NAME", true},
					     {}};

const struct settings_schema collector_settings = {
	.file = COLLECTOR_FILE,
	.file_env = "WEIR_COLLECTOR_CONFIG",
	.table = table,
	.n = _CSET_MAX,
	.check_item = check_item,
	.kinds = kinds,
	.finish = finish,
	.free_own = free_own,
};
