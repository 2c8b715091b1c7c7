// SPDX-License-Identifier: Apache-2.0
/*
 * cfg.c - one export's settings, from config keys or an --export URL. The keys are in keys.def.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/filter.h"
#include "common/scan.h"
#include "common/suggest.h"
#include "loader/export/sink.h"

#define LEN(a)	    (sizeof(a) / sizeof((a)[0]))
#define PORT_PLAIN  4739 /* IANA: ipfix */
#define PORT_TLS    4740 /* IANA: ipfixs */
#define UDP_MESSAGE 1420u
#define TCP_MESSAGE 32768u

enum kind { KIND_WORD, KIND_TEXT, KIND_SIZE, KIND_TIME, KIND_NUMBER, KIND_BOOL };

enum key_id {
#define KEY(name, ...) KEY_##name,
#include "loader/export/keys.def"
#undef KEY
	_KEY_MAX
};

_Static_assert(_KEY_MAX <= 64, "export_cfg.set is full");

static const char *const words_type[] = {
	"", "stdout", "file", "ipfix-udp", "ipfix-tcp", "ipfix-tls", NULL,
};
static const char *const words_format[] = {"json", "eve", "csv", "table", NULL};
static const char *const words_times[] = {"both", "us", "ms", NULL};

/* Letter of a type in the column `types` of keys.def. */
static const char type_letters[_EXPORT_TYPE_MAX + 1] = " SFUTL";

static const char *const *words_of(enum key_id id)
{
	return id == KEY_type	  ? words_type
	       : id == KEY_format ? words_format
	       : id == KEY_times  ? words_times
				  : NULL;
}

static const struct {
	enum kind kind;
	size_t offset;
	uint64_t min, max;
} keys[] = {
#define KEY(name, kind, member, min, max, fallback, types, doc) \
	{KIND_##kind, offsetof(struct export_cfg, member), min, max},
#include "loader/export/keys.def"
#undef KEY
};

const struct export_key export_keys[] = {
#define KEY(name_, kind, member, min, max, fallback_, types_, doc_) \
	{.name = #name_,                                            \
	 .fallback = fallback_,                                     \
	 .types = types_,                                           \
	 .doc = doc_,                                               \
	 .words = KEY_##name_ == KEY_type     ? words_type          \
		  : KEY_##name_ == KEY_format ? words_format        \
		  : KEY_##name_ == KEY_times  ? words_times         \
					      : NULL},
#include "loader/export/keys.def"
#undef KEY
};
const size_t export_keys_n = LEN(export_keys);

static const struct {
	const char *name, *help;
} losses[] = {
#define LOSS(id, help) {#id, help},
#include "loader/export/loss.def"
#undef LOSS
};

const char *export_loss_name(enum export_loss l, const char **help)
{
	static char names[_LOSS_MAX][24];
	static char filled;

	/* same bytes whoever writes them: no lock needed */
	for (unsigned int i = 0; !filled && i < _LOSS_MAX; i++)
		for (unsigned int c = 0; losses[i].name[c]; c++) {
			char ch = losses[i].name[c];

			names[i][c] = ch >= 'A' && ch <= 'Z' ? (char)(ch + 'a' - 'A') : ch;
		}
	filled = 1;
	if (help)
		*help = losses[l].help;
	return names[l];
}

int export_cfg_init(struct export_cfg *cfg, const char *name, char reterr[static EXPORT_ERR_MAX])
{
	size_t len = strlen(name);

	if (!len || len >= EXPORT_NAME_MAX ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != len) {
		snprintf(reterr, EXPORT_ERR_MAX,
			 "export name '%.40s': want 1 to %u of a-z, 0-9, '_' and '-'", name,
			 EXPORT_NAME_MAX - 1);
		return -EINVAL;
	}
	memset(cfg, 0, sizeof(*cfg));
	memcpy(cfg->name, name, len);
	return 0;
}

/* ---- values ---- */

static int bad_value(enum key_id id, const char *value, char *reterr, int r)
{
	const char *const *words = words_of(id);
	int n = snprintf(reterr, EXPORT_ERR_MAX, "%s '%.60s': want ", export_keys[id].name, value);

	if (words) {
		for (; *words; words++)
			if (**words && n < (int)EXPORT_ERR_MAX)
				n += snprintf(reterr + n, EXPORT_ERR_MAX - (size_t)n, "%s%s",
					      *words, words[1] ? words[2] ? ", " : " or " : "");
		return r;
	}
	switch (keys[id].kind) {
	case KIND_BOOL:
		snprintf(reterr + n, EXPORT_ERR_MAX - (size_t)n, "yes or no");
		break;
	case KIND_TIME:
		snprintf(reterr + n, EXPORT_ERR_MAX - (size_t)n,
			 "a time such as 90s or 1h, from %llus",
			 (unsigned long long)(keys[id].min / 1000000000));
		break;
	case KIND_TEXT:
		snprintf(reterr + n, EXPORT_ERR_MAX - (size_t)n, "%llu to %llu characters",
			 (unsigned long long)keys[id].min, (unsigned long long)keys[id].max);
		break;
	default:
		snprintf(reterr + n, EXPORT_ERR_MAX - (size_t)n,
			 "a number from %llu to %llu, such as 100 or 64Mi",
			 (unsigned long long)keys[id].min, (unsigned long long)keys[id].max);
	}
	return r;
}

static int word_value(const char *const *words, const char *value)
{
	for (int i = 0; words[i]; i++)
		if (*words[i] && !strcmp(words[i], value))
			return i;
	return -EINVAL;
}

static int bool_value(const char *value)
{
	static const char *const yes_no[] = {"0",   "no",   "false", "off", "1",
					     "yes", "true", "on",    NULL};
	int i = word_value(yes_no, value);

	return i < 0 ? i : i / 4;
}

static int set_word(void *member, int v)
{
	unsigned int u = (unsigned int)v;

	if (v < 0)
		return v;
	memcpy(member, &u, sizeof(u));
	return 0;
}

static int set_value(enum key_id id, void *member, const char *value)
{
	size_t len = strlen(value);
	int v;

	switch (keys[id].kind) {
	case KIND_WORD:
		return set_word(member, word_value(words_of(id), value));
	case KIND_BOOL:
		v = bool_value(value);
		if (v < 0)
			return v;
		*(bool *)member = v;
		return 0;
	case KIND_TEXT:
		if (len < keys[id].min || len > keys[id].max)
			return -ERANGE;
		memcpy(member, value, len + 1);
		return 0;
	case KIND_TIME:
		return scan_duration_ns(value, keys[id].min, keys[id].max, member);
	default:
		return scan_u64(value, keys[id].min, keys[id].max, member);
	}
}

static int find_key(const char *name, size_t len)
{
	for (int i = 0; i < _KEY_MAX; i++)
		if (strlen(export_keys[i].name) == len && !memcmp(export_keys[i].name, name, len))
			return i;
	return -ENOENT;
}

static int no_such_key(const char *name, size_t len, char *reterr)
{
	struct suggest near;

	suggest_init(&near, name, len);
	for (size_t i = 0; i < LEN(export_keys); i++)
		suggest_try(&near, export_keys[i].name);
	snprintf(reterr, EXPORT_ERR_MAX, "unknown key '%.*s'%s%s%s", len < 40 ? (int)len : 40, name,
		 near.best ? ", did you mean '" : "", near.best ? near.best : "",
		 near.best ? "'?" : "");
	return -ENOENT;
}

int export_cfg_set(struct export_cfg *cfg, const char *key, const char *value,
		   char reterr[static EXPORT_ERR_MAX])
{
	int id = find_key(key, strlen(key)), r;

	if (id < 0)
		return no_such_key(key, strlen(key), reterr);
	r = set_value(id, (char *)cfg + keys[id].offset, value);
	if (r)
		return bad_value(id, value, reterr, r);
	cfg->set |= UINT64_C(1) << id;
	return 0;
}

/* ---- URL ---- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* RFC 3986 section 2.1. Return: 0, -EINVAL, -ERANGE. */
static int unescape(const char *s, size_t len, char *to, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)s[i];

		if (c == '%') {
			if (len - i < 3 || hex_digit(s[i + 1]) < 0 || hex_digit(s[i + 2]) < 0)
				return -EINVAL;
			c = hex_digit(s[i + 1]) << 4 | hex_digit(s[i + 2]);
			i += 2;
		}
		if (!c)
			return -EINVAL;
		if (n + 1 >= cap)
			return -ERANGE;
		to[n++] = (char)c;
	}
	to[n] = 0;
	return 0;
}

static int set_part(struct export_cfg *cfg, const char *key, const char *s, size_t len,
		    char *reterr)
{
	char value[EXPORT_FILTER_MAX];
	int r = unescape(s, len, value, sizeof(value));

	if (!r)
		return export_cfg_set(cfg, key, value, reterr);
	snprintf(reterr, EXPORT_ERR_MAX, "%s '%.*s': %s", key, len < 60 ? (int)len : 60, s,
		 r == -ERANGE ? "too long" : "'%' must be followed by two hex digits, not 00");
	return r;
}

static int url_query(struct export_cfg *cfg, const char *s, char *reterr)
{
	while (*s) {
		size_t len = strcspn(s, "&");
		const char *eq = memchr(s, '=', len);
		int id = eq ? find_key(s, (size_t)(eq - s)) : -EINVAL, r;

		if (id == -EINVAL) {
			snprintf(reterr, EXPORT_ERR_MAX, "'%.*s': want key=value",
				 len < 60 ? (int)len : 60, s);
			return id;
		}
		if (id < 0)
			return no_such_key(s, (size_t)(eq - s), reterr);
		r = set_part(cfg, export_keys[id].name, eq + 1, len - (size_t)(eq + 1 - s), reterr);
		if (r)
			return r;
		s += len;
		s += *s == '&';
	}
	return 0;
}

static int url_host(struct export_cfg *cfg, const char *s, size_t len, char *reterr)
{
	const char *end = s + len, *host_end, *colon;
	int r;

	if (len && end[-1] == '/')
		end--;
	if (*s == '[') {
		host_end = memchr(s, ']', (size_t)(end - s));
		colon = host_end ? host_end + 1 : NULL;
		s++;
	} else {
		colon = memchr(s, ':', (size_t)(end - s));
		host_end = colon ? colon : end;
	}
	if (!host_end || host_end <= s || (colon && colon < end && *colon != ':')) {
		snprintf(reterr, EXPORT_ERR_MAX, "'%.*s': want HOST, HOST:PORT or [IPV6]:PORT",
			 len < 60 ? (int)len : 60, s);
		return -EINVAL;
	}
	r = set_part(cfg, "host", s, (size_t)(host_end - s), reterr);
	if (!r && colon && colon < end)
		r = set_part(cfg, "port", colon + 1, (size_t)(end - colon - 1), reterr);
	return r;
}

int export_cfg_url(struct export_cfg *cfg, const char *url, char reterr[static EXPORT_ERR_MAX])
{
	static const struct {
		const char *scheme, *type;
	} schemes[] = {
		{"ipfix://", "ipfix-udp"},     {"ipfix+udp://", "ipfix-udp"},
		{"ipfix+tcp://", "ipfix-tcp"}, {"ipfix+tls://", "ipfix-tls"},
		{"file://", "file"},	       {"file:", "file"},
		{"stdout:", "stdout"},
	};
	size_t i = 0, len;
	int r;

	while (i < LEN(schemes) && strncmp(url, schemes[i].scheme, strlen(schemes[i].scheme)))
		i++;
	if (i == LEN(schemes)) {
		snprintf(reterr, EXPORT_ERR_MAX,
			 "export '%.60s': want ipfix://HOST:PORT, ipfix+tcp://HOST:PORT, "
			 "ipfix+tls://HOST:PORT, file:PATH or stdout:",
			 url);
		return -EINVAL;
	}
	r = export_cfg_set(cfg, "type", schemes[i].type, reterr);
	url += strlen(schemes[i].scheme);
	len = strcspn(url, "?");
	if (!r && cfg->type == EXPORT_FILE)
		r = set_part(cfg, "path", url, len, reterr);
	else if (!r && cfg->type != EXPORT_STDOUT)
		r = url_host(cfg, url, len, reterr);
	return r ?: url_query(cfg, url + len + (url[len] == '?'), reterr);
}

/* ---- all together ---- */

static int is_set(const struct export_cfg *cfg, enum key_id id)
{
	return cfg->set >> id & 1;
}

static int complain(const struct export_cfg *cfg, const char *what, char *reterr)
{
	snprintf(reterr, EXPORT_ERR_MAX, "export %s: %s", cfg->name, what);
	return -EINVAL;
}

static int check_filter(const struct export_cfg *cfg, char *reterr)
{
	char text[FILTER_ERROR_TEXT];
	struct filter *f = NULL;
	struct filter_error e;
	int r = 0;

	if (*cfg->filter)
		r = filter_parse(cfg->filter, strlen(cfg->filter), NULL, &f, &e);
	filter_free(f);
	if (!r)
		return 0;
	snprintf(reterr, EXPORT_ERR_MAX, "export %s: filter: %.200s", cfg->name,
		 filter_error_text(&e, text));
	return -EINVAL;
}

static int check_needed(const struct export_cfg *cfg, char *reterr)
{
	if (cfg->type == EXPORT_FILE && !is_set(cfg, KEY_path))
		return complain(cfg, "type file needs path", reterr);
	if (cfg->type >= EXPORT_IPFIX_UDP && !is_set(cfg, KEY_host))
		return complain(cfg, "which collector? give host", reterr);
	if (cfg->acknowledge && !is_set(cfg, KEY_spool))
		return complain(cfg, "acknowledge needs spool: what is not confirmed is kept there",
				reterr);
	if (is_set(cfg, KEY_cert) != is_set(cfg, KEY_key))
		return complain(cfg, "cert and key belong together", reterr);
	if (cfg->type == EXPORT_IPFIX_TLS && !is_set(cfg, KEY_ca))
		return complain(cfg, "type ipfix-tls needs ca: whom to trust", reterr);
	return 0;
}

int export_cfg_check(struct export_cfg *cfg, char reterr[static EXPORT_ERR_MAX])
{
	char what[96];

	if (!cfg->type)
		return complain(cfg,
				"type is missing: stdout, file, ipfix-udp, ipfix-tcp, ipfix-tls",
				reterr);
	for (unsigned int id = 0; id < _KEY_MAX; id++) {
		int r = 0;

		if (is_set(cfg, id) && !strchr(export_keys[id].types, type_letters[cfg->type])) {
			snprintf(what, sizeof(what), "%s means nothing for type %s",
				 export_keys[id].name, words_type[cfg->type]);
			return complain(cfg, what, reterr);
		}
		if (!is_set(cfg, id) && *export_keys[id].fallback)
			r = set_value(id, (char *)cfg + keys[id].offset, export_keys[id].fallback);
		if (r)
			return bad_value(id, export_keys[id].fallback, reterr, r);
	}
	if (!is_set(cfg, KEY_port) && cfg->type == EXPORT_IPFIX_TLS)
		cfg->port = PORT_TLS;
	if (!is_set(cfg, KEY_message_bytes))
		cfg->message_bytes = cfg->type == EXPORT_IPFIX_UDP ? UDP_MESSAGE : TCP_MESSAGE;
	if (!is_set(cfg, KEY_server_name))
		memcpy(cfg->server_name, cfg->host, sizeof(cfg->host));
	return check_needed(cfg, reterr) ?: check_filter(cfg, reterr);
}

void export_cfg_text(const struct export_cfg *cfg, char *buf, size_t cap)
{
	static const char *const scheme[] = {
		[EXPORT_IPFIX_UDP] = "ipfix",
		[EXPORT_IPFIX_TCP] = "ipfix+tcp",
		[EXPORT_IPFIX_TLS] = "ipfix+tls",
	};
	bool v6 = strchr(cfg->host, ':') != NULL;

	if (cfg->type == EXPORT_STDOUT)
		snprintf(buf, cap, "stdout:");
	else if (cfg->type == EXPORT_FILE)
		snprintf(buf, cap, "file:%s", cfg->path);
	else if (cfg->type > EXPORT_FILE)
		snprintf(buf, cap, "%s://%s%s%s:%u", scheme[cfg->type], v6 ? "[" : "", cfg->host,
			 v6 ? "]" : "", (unsigned int)cfg->port);
	else
		snprintf(buf, cap, "none");
}
