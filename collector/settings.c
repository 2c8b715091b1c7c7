// SPDX-License-Identifier: Apache-2.0
#include "collector/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/packs/feed.h"
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

	if ((!strcmp(table[id].arg, "DIR") || !strcmp(table[id].arg, "FILE")) &&
	    strcmp(item, "none") != 0 && item[0] != '/') {
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

/* [list NAME] with a feed: where its values come from while the collector runs. */
static void load_feed(const struct settings *s, const struct config_section *sec,
		      struct collector_own *own, struct config_errors *errs)
{
	struct pack_list *l = &own->feeds[own->n_feeds];
	const struct config_entry *first = config_entries(s->file, sec);
	const uint32_t errors = errs->count;
	char why[FEED_WHY];
	bool some = false;

	*l = (struct pack_list){.name = sec->name, .feed = feed_default};
	for (uint32_t i = sec->first; i < sec->first + sec->entries; i++) {
		const struct config_entry *e = &s->file->entries[i];
		int r;

		if (!strcmp(e->key, "values") || !strcmp(e->key, "file"))
			continue;
		some = true;
		r = feed_key(l, e->key, e->value, why);
		if (r == -ENOENT)
			config_error(errs, e->line, e->key_col,
				     "unknown key '%.60s': a list has values, file or feed, and "
				     "what weir-collector-pack(8) says of feeds",
				     e->key);
		else if (r)
			config_error(errs, e->line, e->value_col, "%s", why);
	}
	if (!some || errs->count != errors)
		return;
	if (feed_check(l))
		config_error(errs, first->line, first->key_col, "list %s: %s", sec->name,
			     feed_check(l));
	else
		own->n_feeds++;
}

/* [list NAME]: values or file. [rule NAME], [pack NAME]: parameters, which these know; of a rule its mode. */
static void load_words(const struct settings *s, const struct config_section *sec,
		       struct collector_own *own, struct config_errors *errs)
{
	const bool list = !strcmp(sec->kind, "list"), pack = !strcmp(sec->kind, "pack");

	for (uint32_t i = sec->first; i < sec->first + sec->entries; i++) {
		const struct config_entry *e = &s->file->entries[i];

		if (list && strcmp(e->key, "values") != 0 && strcmp(e->key, "file") != 0)
			continue; /* of its feed */
		if (!list && !pack && !strcmp(e->key, "mode") &&
		    cli_word("draft|detect|shadow|canary|prevent", e->value) < 0)
			config_error(errs, e->line, e->value_col,
				     "mode '%.60s': want draft, detect, shadow, canary or prevent",
				     e->value);
		else
			own->words[own->n_words++] = (struct collector_rule_word){
				list, pack, sec->name, e->key, e->value, e->line, e->value_col};
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
	free(own->feeds);
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
	own->feeds = calloc(n + 1, sizeof(*own->feeds));
	own->channels.v = calloc(CHANNELS_MAX, sizeof(*own->channels.v));
	if (!own->exporters.v || !own->words || !own->feeds || !own->channels.v)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct config_section *sec = &s->file->sections[i];

		if (!sec->name)
			continue;
		if (!strcmp(sec->kind, "exporter"))
			check_exporter(s, sec, &own->exporters.v[own->exporters.n++], errs);
		else if (cli_word("list|rule|pack", sec->kind) >= 0)
			load_words(s, sec, own, errs);
		if (!strcmp(sec->kind, "list"))
			load_feed(s, sec, own, errs);
		if (!strcmp(sec->kind, "channel") && load_channel(s, sec, &own->channels, errs))
			return -ENOMEM;
	}
	return 0;
}

static bool is_loopback(const struct address *a)
{
	static const struct in6_addr own = IN6ADDR_LOOPBACK_INIT;

	if (a->sa.sa_family == AF_INET)
		return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
	return !memcmp(&a->v6.sin6_addr, &own, sizeof(own));
}

/* Tokens are passwords: they go over no network in the clear. */
static void check_api(const struct settings *s, struct config_errors *errs)
{
	const struct setting_value *at = &s->v[CSET_API_LISTEN], *tls = &s->v[CSET_API_TLS];
	struct address a;

	if (settings_is_word(s, CSET_API_LISTEN))
		return;
	if (settings_num(s, CSET_API_TLS) &&
	    (!collector_path(s, CSET_TLS_CERT) || !collector_path(s, CSET_TLS_KEY)))
		config_error(errs, tls->line, tls->col, "api.tls wants tls.cert and tls.key");
	if (!settings_num(s, CSET_API_TLS) && !address_parse(at->text, &a) && !is_loopback(&a))
		config_error(
			errs, at->line, at->col,
			"api.listen '%s': who is not on this machine is served with api.tls = yes",
			at->text);
}

static int finish(struct settings *s, struct config_errors *errs)
{
	const struct setting_value *tls = &s->v[CSET_LISTEN_TLS];

	if (load_own(s, errs))
		return -ENOMEM;
	if (tls->n && strcmp(tls->text, "none") != 0 &&
	    (!collector_path(s, CSET_TLS_CERT) || !collector_path(s, CSET_TLS_KEY)))
		config_error(errs, tls->line, tls->col, "listen.tls wants tls.cert and tls.key");
	check_api(s, errs);
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

static const struct settings_kind kinds[] = {{"exporter", "ADDRESS", true}, {"list", "NAME", true},
					     {"rule", "NAME", true},	    {"pack", "NAME", true},
					     {"channel", "NAME", true},	    {}};

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
