// SPDX-License-Identifier: Apache-2.0
#include "common/settings_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/scan.h"
#include "common/suggest.h"

#define SETTINGS_ITEM_MAX 4096u
#define LABEL_MAX	  256

void setting_value_done(struct setting_value *v)
{
	for (uint32_t i = 0; i < v->n; i++)
		free(v->list[i]);
	free(v->list);
	free(v->text);
	*v = (struct setting_value){};
}

__attribute__((format(printf, 2, 3))) static int bad(struct value_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- what is wanted, in words ---- */

static int put_words(char *buf, size_t cap, const char *words)
{
	int at = 0;

	while (*words) {
		size_t n = strcspn(words, "|");
		const char *rest = words + n + (words[n] == '|');
		const char *sep = !*rest ? "" : strchr(rest, '|') ? ", " : " or ";

		at += snprintf(buf + at, cap - at, "%.*s%s", (int)n, words, sep);
		if (at >= (int)cap)
			return (int)cap - 1;
		words = rest;
	}
	return at;
}

static void put_duration(uint64_t ns, char *buf, size_t cap)
{
	static const struct {
		uint64_t ns;
		const char *name;
	} units[] = {{SETTING_S(86400), "d"},
		     {SETTING_S(3600), "h"},
		     {SETTING_S(60), "m"},
		     {SETTING_S(1), "s"},
		     {SETTING_MS(1), "ms"}};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (ns >= units[i].ns && ns % units[i].ns == 0) {
			snprintf(buf, cap, "%llu%s", (unsigned long long)(ns / units[i].ns),
				 units[i].name);
			return;
		}
	snprintf(buf, cap, "%lluns", (unsigned long long)ns);
}

static int want(const struct setting *d, struct value_error *err)
{
	char words[96] = "", min[24], max[24];

	if (d->type == SV_ENUM)
		put_words(words, sizeof(words), d->words);
	else if (d->words && d->words[0] == '?')
		snprintf(words + put_words(words, sizeof(words) - 6, d->words + 1), 6, " or ");
	put_duration(d->min, min, sizeof(min));
	put_duration(d->max, max, sizeof(max));
	switch (d->type) {
	case SV_BOOL:
		return bad(err, "want yes or no");
	case SV_U32:
	case SV_BYTES:
		return bad(err, "want %sa number from %llu to %llu%s", words,
			   (unsigned long long)d->min, (unsigned long long)d->max,
			   d->max > 1024 ? ", such as 1000 or 64Ki" : "");
	case SV_DURATION:
		return bad(err, "want %sa time from %s to %s, such as 500ms, 15s or 1m30s", words,
			   min, max);
	case SV_ENUM:
		return bad(err, "want %s", words);
	case SV_PATH:
		return bad(err, "want %sa path that begins with /", words);
	case SV_MODE:
		return bad(err, "want permissions as octal digits, such as 0660");
	case SV_ADDRESS:
		return bad(err, "want %sADDRESS:PORT, such as 127.0.0.1:9464 or [::1]:9464", words);
	case SV_STRING:
	case SV_LIST:
	case SV_ITEMS:
		break;
	}
	return bad(err, "want text");
}

/* ---- single values ---- */

static int parse_bool(const char *text, uint64_t *ret)
{
	static const char yes[] = "yes|true|on|1", no[] = "no|false|off|0";

	if (cli_word(yes, text) < 0 && cli_word(no, text) < 0)
		return -EINVAL;
	*ret = cli_word(yes, text) >= 0;
	return 0;
}

static int parse_mode(const char *text, uint64_t max, uint64_t *ret)
{
	size_t len = strlen(text);
	uint64_t v = 0;

	if (len < 3 || len > 4 || strspn(text, "01234567") != len)
		return -EINVAL;
	for (; *text; text++)
		v = v * 8 + (uint64_t)(*text - '0');
	*ret = v;
	return v > max ? -ERANGE : 0;
}

static int convert(const struct setting *d, const char *text, uint64_t *ret)
{
	struct address a;
	int i;

	*ret = 0;
	switch (d->type) {
	case SV_BOOL:
		return parse_bool(text, ret);
	case SV_U32:
	case SV_BYTES:
		return scan_u64(text, d->min, d->max, ret);
	case SV_DURATION:
		return scan_duration_ns(text, d->min, d->max, ret);
	case SV_ENUM:
		i = cli_word(d->words, text);
		*ret = (uint64_t)i;
		return i < 0 ? -EINVAL : 0;
	case SV_MODE:
		return parse_mode(text, d->max, ret);
	case SV_PATH:
		return text[0] == '/' ? 0 : -EINVAL;
	case SV_ADDRESS:
		return address_parse(text, &a);
	case SV_STRING:
	case SV_LIST:
	case SV_ITEMS:
		break;
	}
	return 0;
}

static void suggest_word(const struct setting *d, const char *text, struct value_error *err)
{
	char one[SUGGEST_WORD_MAX + 1];
	size_t at = strlen(err->text);

	for (const char *w = d->words; w && *w; w += *w == '|') {
		struct suggest s;
		size_t n = strcspn(w, "|");

		snprintf(one, sizeof(one), "%.*s", (int)n, w);
		suggest_init(&s, text, strlen(text));
		suggest_try(&s, one);
		if (s.best) {
			snprintf(err->text + at, sizeof(err->text) - at, ", did you mean '%s'?",
				 one);
			return;
		}
		w += n;
	}
}

int setting_parse(const struct settings_schema *schema, unsigned int id, const char *text,
		  struct setting_value *ret, struct value_error *err)
{
	const struct setting *d = &schema->table[id];
	struct setting_value v = {};

	if (d->type == SV_LIST || d->type == SV_ITEMS) {
		int r = setting_append(schema, id, text, &v, err);

		setting_value_done(r ? &v : ret);
		if (!r)
			*ret = v;
		return r;
	}
	if (d->words && d->words[0] == '?' && cli_word(d->words + 1, text) >= 0) {
		v.num = SETTINGS_WORD;
	} else if (convert(d, text, &v.num)) {
		want(d, err);
		if (d->type == SV_ENUM)
			suggest_word(d, text, err);
		return -EINVAL;
	}
	v.text = strdup(text);
	if (!v.text)
		return -ENOMEM;
	setting_value_done(ret);
	*ret = v;
	return 0;
}

/* ---- lists ---- */

static int check_label(const char *item, struct value_error *err)
{
	size_t key = strcspn(item, "=");

	if (!item[key])
		return bad(err, "label '%.60s': want KEY=VALUE", item);
	for (size_t i = 0; i < key; i++)
		if (!strchr("-_./", item[i]) && !(item[i] >= '0' && item[i] <= '9') &&
		    !((item[i] | 32) >= 'a' && (item[i] | 32) <= 'z'))
			return bad(err, "label '%.60s': a key has letters, digits and -_./ only",
				   item);
	if (!key)
		return bad(err, "label '%.60s': the key is missing", item);
	if (strlen(item) > LABEL_MAX)
		return bad(err, "label '%.60s...' is longer than %u bytes", item, LABEL_MAX);
	return 0;
}

static int check_item(const struct settings_schema *schema, unsigned int id, const char *item,
		      struct value_error *err)
{
	if (!*item)
		return bad(err, "an item of the list is empty");
	if (schema->table[id].flags & SF_KEYS)
		return check_label(item, err);
	return schema->check_item ? schema->check_item(id, item, err) : 0;
}

static bool same_label(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strcspn(b, "=") == n && !strncmp(a, b, n);
}

static int add_item(const struct settings_schema *schema, unsigned int id, const char *item,
		    struct setting_value *v, struct value_error *err)
{
	const bool keys = schema->table[id].flags & SF_KEYS;
	int r = check_item(schema, id, item, err);
	char *copy, **list;

	if (r)
		return r;
	copy = strdup(item);
	if (!copy)
		return -ENOMEM;
	for (uint32_t i = 0; keys && i < v->n; i++)
		if (same_label(v->list[i], item)) {
			free(v->list[i]);
			v->list[i] = copy;
			return 0;
		}
	list = v->n < SETTINGS_LIST_MAX ? realloc(v->list, (v->n + 1) * sizeof(*list)) : NULL;
	if (!list) {
		free(copy);
		return v->n < SETTINGS_LIST_MAX ? -ENOMEM
						: bad(err, "more than %u items", SETTINGS_LIST_MAX);
	}
	v->list = list;
	v->list[v->n++] = copy;
	return 0;
}

/* The list as one text. */
static int join(struct setting_value *v, char separator)
{
	size_t len = 1, at = 0;
	char *text;

	for (uint32_t i = 0; i < v->n; i++)
		len += strlen(v->list[i]) + 1;
	text = malloc(len);
	if (!text)
		return -ENOMEM;
	text[0] = 0;
	for (uint32_t i = 0; i < v->n; i++) {
		if (i)
			text[at++] = separator;
		at += (size_t)snprintf(text + at, len - at, "%s", v->list[i]);
	}
	free(v->text);
	v->text = text;
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* The next item of @text, which is moved behind it; trimmed. Return: its length. */
static size_t next_item(const char **text, const char *separators, const char **ret)
{
	size_t n = strcspn(*text, separators), len = n;
	const char *from = *text;

	*text += n + ((*text)[n] != 0);
	for (; len && is_blank(*from); len--)
		from++;
	while (len && is_blank(from[len - 1]))
		len--;
	*ret = from;
	return len;
}

static char separator_of(const struct settings_schema *schema, unsigned int id)
{
	return schema->table[id].type == SV_ITEMS ? ' ' : ',';
}

int setting_append_item(const struct settings_schema *schema, unsigned int id, const char *text,
			struct setting_value *v, struct value_error *err)
{
	int r;

	if (strlen(text) > SETTINGS_ITEM_MAX)
		return bad(err, "an item is longer than %u bytes", SETTINGS_ITEM_MAX);
	r = add_item(schema, id, text, v, err);
	return r ?: join(v, separator_of(schema, id));
}

int setting_append(const struct settings_schema *schema, unsigned int id, const char *text,
		   struct setting_value *v, struct value_error *err)
{
	const bool items = schema->table[id].type == SV_ITEMS;
	char item[SETTINGS_ITEM_MAX + 2];
	int r = 0;

	while (*text && !r) {
		const char *from;
		size_t len = next_item(&text, items ? " \t\n" : ",", &from);

		if (!len && items) /* two blanks */
			continue;
		if (len > SETTINGS_ITEM_MAX)
			return bad(err, "an item is longer than %u bytes", SETTINGS_ITEM_MAX);
		snprintf(item, sizeof(item), "%.*s", (int)len, from);
		r = add_item(schema, id, item, v, err);
	}
	return r ?: join(v, separator_of(schema, id));
}
