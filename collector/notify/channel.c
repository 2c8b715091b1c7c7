// SPDX-License-Identifier: Apache-2.0
#include "collector/notify/channel.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/commands.h"
#include "common/scan.h"
#include "common/suggest.h"

enum kind { KIND_TEXT, KIND_WORD, KIND_TIME };

static const struct {
	const char *name;
	uint16_t port;
	enum channel_format format;
	char letter;
	const char *doc;
} schemes[_SCHEME_MAX] = {
#define SCHEME(id, name, port, format, letter, doc) {name, port, FORMAT_##format, letter, doc},
#include "collector/notify/schemes.def"
#undef SCHEME
};

static const struct {
	const char *name;
	enum kind kind;
	const char *words;
	uint64_t min, max;
	const char *fallback, *of, *doc;
} keys[_CKEY_MAX] = {
#define KEY(id, kind, words, min, max, fallback, of, doc) \
	{#id, KIND_##kind, words, min, max, fallback, of, doc},
#include "collector/notify/channel_keys.def"
#undef KEY
};

#define GATHER_MAIL UINT64_C(30000000000)

const char *channel_scheme_name(enum channel_scheme_id id)
{
	return schemes[id].name;
}

const char *channel_format_name(enum channel_format f)
{
	static const char *const names[] = {"syslog", "cef", "eve", "json", "mail"};

	return names[f];
}

/* ---- keys ---- */

static int find_key(const char *name)
{
	for (int i = 0; i < _CKEY_MAX; i++)
		if (!strcmp(keys[i].name, name))
			return i;
	return -ENOENT;
}

static void unknown_key(const struct config_entry *e, struct config_errors *errs)
{
	struct suggest near;

	suggest_init(&near, e->key, strlen(e->key));
	for (unsigned int i = 0; i < _CKEY_MAX; i++)
		suggest_try(&near, keys[i].name);
	config_error(errs, e->line, e->key_col, "unknown key '%.40s'%s%s%s", e->key,
		     near.best ? ", did you mean '" : "", near.best ?: "", near.best ? "'?" : "");
}

static void bad_value(const struct config_entry *e, int id, struct config_errors *errs)
{
	char words[160];

	if (keys[id].kind == KIND_WORD) {
		snprintf(words, sizeof(words), "%.150s", keys[id].words);
		for (char *w = words; *w; w++)
			if (*w == '|')
				*w = ' ';
		config_error(errs, e->line, e->value_col, "%s '%.30s': want one of: %s", e->key,
			     e->value, words);
	} else if (keys[id].kind == KIND_TIME) {
		config_error(errs, e->line, e->value_col,
			     "%s '%.40s': want a time such as 30s, %llus to %llus", e->key,
			     e->value, (unsigned long long)keys[id].min / 1000000000,
			     (unsigned long long)keys[id].max / 1000000000);
	} else {
		config_error(errs, e->line, e->value_col,
			     "%s '%.40s': want %llu to %llu characters, none of them a control "
			     "character",
			     e->key, e->value, (unsigned long long)keys[id].min,
			     (unsigned long long)keys[id].max);
	}
}

/* Of a text: a line end in a header would be a header more. */
static bool plain(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

/* Return: 0, -EINVAL. */
static int scan_value(int id, const char *value, uint64_t *ret)
{
	const size_t len = strlen(value);
	int word;

	*ret = 0;
	switch (keys[id].kind) {
	case KIND_WORD:
		word = cli_word(keys[id].words, value);
		*ret = (uint64_t)word;
		return word < 0 ? -EINVAL : 0;
	case KIND_TIME:
		return scan_duration_ns(value, keys[id].min, keys[id].max, ret);
	default:
		return len < keys[id].min || len > keys[id].max || !plain(value) ? -EINVAL : 0;
	}
}

static int set_entry(struct channel_cfg *c, const struct config_entry *e,
		     struct config_errors *errs)
{
	char name[48];
	int id;

	snprintf(name, sizeof(name), "%s", e->key);
	for (char *s = name; *s; s++)
		if (*s == '-')
			*s = '_';
	id = find_key(name);
	if (id < 0) {
		unknown_key(e, errs);
		return -EINVAL;
	}
	if (scan_value(id, e->value, &c->num[id])) {
		bad_value(e, id, errs);
		return -EINVAL;
	}
	free(c->text[id]); /* of a key that is there twice, which is an error elsewhere */
	c->text[id] = strdup(e->value);
	c->set |= 1u << id;
	return c->text[id] ? 0 : -ENOMEM;
}

/* ---- the url ---- */

static int find_scheme(const char *url, size_t len)
{
	for (int i = 0; i < _SCHEME_MAX; i++)
		if (strlen(schemes[i].name) == len && !strncmp(schemes[i].name, url, len))
			return i;
	return -EINVAL;
}

static const char *part(CURLU *u, CURLUPart what, char **ret)
{
	*ret = NULL;
	curl_url_get(u, what, ret, 0); /* NULL: there is none */
	return *ret;
}

/* An IPv6 address stands in brackets. */
static void take_host(struct channel_cfg *c, CURLU *u)
{
	size_t len;

	part(u, CURLUPART_HOST, &c->host);
	len = c->host ? strlen(c->host) : 0;
	if (len > 2 && c->host[0] == '[') {
		memmove(c->host, c->host + 1, len - 2);
		c->host[len - 2] = 0;
	}
}

/* Nothing stands behind a host but in a webhook's url. */
static bool bare(const struct channel_cfg *c, CURLU *u)
{
	const bool http = c->scheme == SCHEME_HTTP || c->scheme == SCHEME_HTTPS;
	char *path, *query;
	bool yes;

	part(u, CURLUPART_PATH, &path);
	part(u, CURLUPART_QUERY, &query);
	yes = http || (!query && (!path || !*path || !strcmp(path, "/")));
	curl_free(path);
	curl_free(query);
	return yes;
}

/* Return: NULL, or what is wrong. */
static const char *take_parts(struct channel_cfg *c, CURLU *u)
{
	uint64_t n = schemes[c->scheme].port;
	const char *wrong = NULL;
	char *port, *user = NULL;

	take_host(c, u);
	if (part(u, CURLUPART_PORT, &port) && scan_u64(port, 1, UINT16_MAX, &n))
		wrong = "its port is 1 to 65535";
	else if (part(u, CURLUPART_USER, &user))
		wrong = "who may do it is said by other keys, not in the url";
	else if (!c->host || !*c->host)
		wrong = "it names no host";
	else if (!n)
		wrong = "it names no port";
	else if (!bare(c, u))
		wrong = "want SCHEME://HOST:PORT and nothing behind it";
	c->port = (uint16_t)n;
	curl_free(port);
	curl_free(user);
	return wrong;
}

static const char *take_url(struct channel_cfg *c)
{
	const char *url = c->text[CKEY_url], *colon = strstr(url, ":/"), *wrong;
	const int scheme = colon ? find_scheme(url, (size_t)(colon - url)) : -EINVAL;
	CURLU *u;

	if (scheme < 0 || (scheme != SCHEME_FILE && strncmp(colon, "://", 3) != 0))
		return "it begins with none of file, syslog, syslog+tcp, syslog+tls, tcp, tls, http, https, "
		       "smtp, smtps and ://";
	c->scheme = (enum channel_scheme_id)scheme;
	if (c->scheme == SCHEME_FILE) {
		colon += !strncmp(colon, "://", 3) ? 3 : 1;
		c->path = strdup(colon);
		return *colon == '/' && colon[1] ? NULL : "want file:///PATH";
	}
	u = curl_url();
	if (!u)
		return "no memory";
	wrong = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME)
			? "it is no URL: want SCHEME://HOST:PORT"
			: take_parts(c, u);
	curl_url_cleanup(u);
	return wrong;
}

/* ---- all together ---- */

static const char *needs(const struct channel_cfg *c)
{
	const bool mail = c->scheme == SCHEME_SMTP || c->scheme == SCHEME_SMTPS;
	const bool syslog = c->scheme >= SCHEME_SYSLOG_UDP && c->scheme <= SCHEME_SYSLOG_TLS;

	if (mail && !(c->set >> CKEY_from & 1))
		return "mail needs from";
	if (mail && !(c->set >> CKEY_to & 1))
		return "mail needs to";
	if ((c->set >> CKEY_user & 1) != (c->set >> CKEY_password & 1))
		return "user and password belong together";
	if ((c->set >> CKEY_user & 1) && c->scheme == SCHEME_SMTP && c->num[CKEY_tls])
		return "a password is not sent in the clear: tls = no goes without user";
	if ((c->set >> CKEY_cert & 1) != (c->set >> CKEY_key & 1))
		return "cert and key belong together";
	if (c->format == FORMAT_SYSLOG && !syslog)
		return "format syslog is for syslog urls";
	return NULL;
}

static int fill(struct channel_cfg *c)
{
	for (int id = 0; id < _CKEY_MAX; id++) {
		if (c->set >> id & 1)
			continue;
		c->text[id] = strdup(keys[id].fallback);
		if (!c->text[id])
			return -ENOMEM;
		if (*keys[id].fallback)
			scan_value(id, keys[id].fallback, &c->num[id]); /* the table's are right */
	}
	if (!(c->set >> CKEY_gather & 1) && schemes[c->scheme].format == FORMAT_MAIL)
		c->num[CKEY_gather] = GATHER_MAIL;
	c->format = c->set >> CKEY_format & 1 ? (enum channel_format)c->num[CKEY_format]
					      : schemes[c->scheme].format;
	return 0;
}

/* The url, what else it takes, and what means nothing there. */
static int check(struct channel_cfg *c, const struct config_section *sec,
		 const struct config_entry *url, struct config_errors *errs)
{
	const char *wrong = take_url(c);

	if (wrong) {
		config_error(errs, url->line, url->value_col, "url '%.60s': %s", c->text[CKEY_url],
			     wrong);
		return -EINVAL;
	}
	for (int id = 0; id < _CKEY_MAX; id++)
		if ((c->set >> id & 1) && !strchr(keys[id].of, schemes[c->scheme].letter)) {
			config_error(errs, sec->line, sec->name_col, "%s means nothing for %s://",
				     keys[id].name, schemes[c->scheme].name);
			return -EINVAL;
		}
	if (fill(c))
		return -ENOMEM;
	wrong = needs(c);
	if (wrong)
		config_error(errs, sec->line, sec->name_col, "%s", wrong);
	return wrong ? -EINVAL : 0;
}

static bool good_name(const char *name)
{
	const size_t len = strlen(name);

	return len && len < CHANNEL_NAME &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

int channel_read(const struct config *file, const struct config_section *sec,
		 struct channel_cfg *ret, struct config_errors *errs)
{
	const struct config_entry *url = NULL;
	int r = 0;

	*ret = (struct channel_cfg){};
	if (!good_name(sec->name)) {
		config_error(errs, sec->line, sec->name_col,
			     "channel name '%.40s': want 1 to %u of a-z, 0-9, '_' and '-'",
			     sec->name, CHANNEL_NAME - 1);
		return -EINVAL;
	}
	snprintf(ret->name, sizeof(ret->name), "%s", sec->name);
	for (uint32_t i = sec->first; i < sec->first + sec->entries; i++) {
		const int one = set_entry(ret, &file->entries[i], errs);

		if (one == -ENOMEM)
			return one;
		r = r ?: one;
		if (!strcmp(file->entries[i].key, "url"))
			url = &file->entries[i];
	}
	if (!url)
		config_error(errs, sec->line, sec->name_col, "a channel needs url: where to?");
	return r ?: !url ? -EINVAL : check(ret, sec, url, errs);
}

int channel_copy(const struct channel_cfg *from, struct channel_cfg *ret)
{
	bool full = true;

	*ret = *from;
	ret->host = from->host ? strdup(from->host) : NULL;
	ret->path = from->path ? strdup(from->path) : NULL;
	full = !from->host == !ret->host && !from->path == !ret->path;
	for (int id = 0; id < _CKEY_MAX; id++) {
		ret->text[id] = strdup(from->text[id]);
		full &= ret->text[id] != NULL;
	}
	if (full)
		return 0;
	channel_done(ret);
	return -ENOMEM;
}

void channel_done(struct channel_cfg *cfg)
{
	free(cfg->host);
	free(cfg->path);
	for (int id = 0; id < _CKEY_MAX; id++)
		free(cfg->text[id]);
	*cfg = (struct channel_cfg){};
}

const char *channel_url(const struct channel_cfg *cfg, char *buf, size_t cap)
{
	const bool v6 = cfg->host && strchr(cfg->host, ':');

	if (cfg->scheme == SCHEME_FILE)
		snprintf(buf, cap, "file://%s", cfg->path);
	else
		snprintf(buf, cap, "%s://%s%s%s:%u", schemes[cfg->scheme].name, v6 ? "[" : "",
			 cfg->host, v6 ? "]" : "", cfg->port);
	return buf;
}

void channel_reference(void)
{
	for (int i = 0; i < _SCHEME_MAX; i++) {
		printf("*%s://*\n\t", schemes[i].name);
		reference_put_sentence(schemes[i].doc);
		if (schemes[i].port)
			printf(" Port %u when not said.", schemes[i].port);
		puts("\n");
	}
	for (int id = 0; id < _CKEY_MAX; id++) {
		printf("*%s*\n\t", keys[id].name);
		reference_put_sentence(keys[id].doc);
		if (keys[id].words) {
			fputs(" One of: ", stdout);
			for (const char *w = keys[id].words; *w; w++)
				fputs(*w == '|' ? ", " : (char[]){*w, 0}, stdout);
			putchar('.');
		}
		if (*keys[id].fallback) {
			fputs(" Default: ", stdout);
			reference_put(keys[id].fallback);
			putchar('.');
		}
		puts("\n");
	}
}
