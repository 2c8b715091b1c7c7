// SPDX-License-Identifier: Apache-2.0
#include "collector/query/spec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/filter_int.h"
#include "common/flow_text.h"
#include "common/num_text.h"
#include "common/scan.h"
#include "common/suggest.h"

#define TOP_DEFAULT   10u
#define FLOWS_DEFAULT 100u
#define HOUR_US	      INT64_C(3600000000)
#define LAST_MAX_NS   (UINT64_C(36500) * 86400 * 1000000000)

static const char *const measure_words[] = {
	[MK_BYTES] = "bytes",	  [MK_PACKETS] = "packets",   [MK_FLOWS] = "flows",
	[MK_SAMPLED] = "sampled", [MK_DISTINCT] = "distinct", [MK_AVG] = "avg",
	[MK_P95] = "p95",	  [MK_MIN] = "min",	      [MK_MAX] = "max",
	[MK_SUM] = "sum",
};

#define MEASURE_WORDS (sizeof(measure_words) / sizeof(measure_words[0]))

__attribute__((format(printf, 2, 3))) static int bad(char *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, SPEC_ERROR, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

void spec_init(struct spec *s, enum spec_what what, int64_t now_us)
{
	*s = (struct spec){
		.what = what,
		.from_us = now_us - HOUR_US,
		.to_us = now_us,
		.top = what == SPEC_FLOWS ? FLOWS_DEFAULT : TOP_DEFAULT,
	};
}

/* ---- fields and measures ---- */

static int find_field(const char *word, size_t len, char *err)
{
	int f = filter_field_find(word, len);
	struct suggest near;

	if (f >= 0)
		return f;
	suggest_init(&near, word, len);
	for (int i = 0; i < _FF_MAX; i++)
		suggest_try(&near, flow_fields[i].path);
	if (near.best)
		return bad(err, "unknown field '%.*s', did you mean '%s'?", (int)len, word,
			   near.best);
	return bad(err, "unknown field '%.*s'", (int)len, word);
}

/* What makes groups: one value a flow. */
static bool groups(enum flow_field f)
{
	const enum flow_type t = flow_fields[f].type;

	return !flow_type_list(t) && t != FT_CID;
}

/* "src.ip/24" or "src.ip/24/48": networks. */
static int set_prefix(struct spec_by *b, const char *text, size_t len, char *err)
{
	char one[16];
	const char *slash = memchr(text, '/', len);
	const size_t first = slash ? (size_t)(slash - text) : len;
	uint64_t v;

	if (flow_fields[b->field].type != FT_IP)
		return bad(err, "%s has no prefix", flow_fields[b->field].path);
	snprintf(one, sizeof(one), "%.*s", (int)first, text);
	if (scan_u64(one, 0, slash ? 32 : 128, &v))
		return bad(err, "'/%s': want a prefix length, 0 to 32, or 0 to 128 for IPv6", one);
	b->prefix4 = v <= 32 ? (uint8_t)v : 32;
	b->prefix6 = v <= 32 && !slash ? 64 : (uint8_t)v;
	if (!slash)
		return 0;
	snprintf(one, sizeof(one), "%.*s", (int)(len - first - 1), slash + 1);
	if (scan_u64(one, 0, 128, &v))
		return bad(err, "'/%s': want a prefix length for IPv6, 0 to 128", one);
	b->prefix6 = (uint8_t)v;
	return 0;
}

static int add_by(struct spec *s, const char *word, size_t len, char *err)
{
	struct spec_by *b = &s->by[s->n_by];
	const char *slash = memchr(word, '/', len);
	const size_t name = slash ? (size_t)(slash - word) : len;
	int f;

	if (s->n_by == SPEC_BY_MAX)
		return bad(err, "more than %u fields", SPEC_BY_MAX);
	f = find_field(word, name, err);
	if (f < 0)
		return f;
	if (!groups((enum flow_field)f))
		return bad(err, "flows can't be grouped by %s: one flow has several",
			   flow_fields[f].path);
	*b = (struct spec_by){(uint8_t)f, SPEC_NO_PREFIX, SPEC_NO_PREFIX};
	for (uint32_t i = 0; i < s->n_by; i++)
		if (s->by[i].field == f)
			return bad(err, "%s is there twice", flow_fields[f].path);
	if (slash && set_prefix(b, slash + 1, len - name - 1, err))
		return -EINVAL;
	s->n_by++;
	return 0;
}

static int measure_kind(const char *word, size_t len, char *err)
{
	struct suggest near;

	for (unsigned int i = 0; i < MEASURE_WORDS; i++)
		if (strlen(measure_words[i]) == len && !memcmp(measure_words[i], word, len))
			return (int)i;
	suggest_init(&near, word, len);
	for (unsigned int i = 0; i < MEASURE_WORDS; i++)
		suggest_try(&near, measure_words[i]);
	if (near.best)
		return bad(err, "unknown measure '%.*s', did you mean '%s'?", (int)len, word,
			   near.best);
	return bad(
		err,
		"unknown measure '%.*s': there are bytes, packets, flows, sampled, distinct(FIELD), "
		"avg(FIELD), p95(FIELD), min(FIELD), max(FIELD), sum(FIELD)",
		(int)len, word);
}

static bool is_number(enum flow_field f)
{
	return flow_type_number(flow_fields[f].type);
}

static int parse_measure(const char *word, size_t len, struct spec_measure *ret, char *err)
{
	const char *open = memchr(word, '(', len);
	const size_t name = open ? (size_t)(open - word) : len;
	const int kind = measure_kind(word, name, err);
	int f;

	if (kind < 0)
		return kind;
	*ret = (struct spec_measure){.kind = (uint8_t)kind};
	if (kind < MK_DISTINCT)
		return open ? bad(err, "%s takes no field", measure_words[kind]) : 0;
	if (!open || word[len - 1] != ')')
		return bad(err, "%s wants a field: %s(FIELD)", measure_words[kind],
			   measure_words[kind]);
	f = find_field(open + 1, len - name - 2, err);
	if (f < 0)
		return f;
	if (kind == MK_DISTINCT ? !groups((enum flow_field)f) : !is_number((enum flow_field)f))
		return bad(err, "%s(%s): %s", measure_words[kind], flow_fields[f].path,
			   kind == MK_DISTINCT ? "one flow has several" : "that is no number");
	ret->field = (uint8_t)f;
	return 0;
}

static bool same_measure(const struct spec_measure *a, const struct spec_measure *b)
{
	return a->kind == b->kind && a->field == b->field;
}

static int add_measure(struct spec *s, const char *word, size_t len, char *err)
{
	struct spec_measure m;

	if (s->n_measures == SPEC_MEASURES)
		return bad(err, "more than %u measures", SPEC_MEASURES);
	if (parse_measure(word, len, &m, err))
		return -EINVAL;
	for (uint32_t i = 0; i < s->n_measures; i++)
		if (same_measure(&s->measures[i], &m))
			return bad(err, "'%.*s' is there twice", (int)len, word);
	s->measures[s->n_measures++] = m;
	return 0;
}

typedef int item_fn(struct spec *s, const char *word, size_t len, char *err);

/* Each item of a list with commas. */
static int each_item(struct spec *s, const char *value, item_fn *add, char *err)
{
	while (*value) {
		const size_t n = strcspn(value, ",");
		size_t len = n;
		const char *word = value;

		for (; len && *word == ' '; len--)
			word++;
		while (len && word[len - 1] == ' ')
			len--;
		if (!len)
			return bad(err, "an item of the list is empty");
		if (add(s, word, len, err))
			return -EINVAL;
		value += n + (value[n] == ',');
	}
	return 0;
}

/* ---- keys ---- */

static int set_what(struct spec *s, const char *value, char *err)
{
	if (strcmp(value, "top") != 0 && strcmp(value, "flows") != 0)
		return bad(err, "'%.60s': want top or flows", value);
	s->what = value[0] == 't' ? SPEC_TOP : SPEC_FLOWS;
	return 0;
}

const struct filter_env *spec_env(const struct spec *s)
{
	static const struct filter_env none = {.added = true};

	return s->env ?: &none;
}

static int set_filter(struct spec *s, const char *value, char *err)
{
	struct filter *f = NULL;
	struct filter_error e;
	char text[FILTER_ERROR_TEXT];

	if (strlen(value) > SPEC_FILTER_MAX)
		return bad(err, "the filter is longer than %u bytes", SPEC_FILTER_MAX);
	snprintf(s->filter, sizeof(s->filter), "%s", value);
	if (!*value || (!s->env && strchr(value, '@')))
		return 0;
	if (filter_parse(value, strlen(value), spec_env(s), &f, &e))
		return bad(err, "%s", filter_error_text(&e, text));
	filter_free(f);
	return 0;
}

static int set_by(struct spec *s, const char *value, char *err)
{
	s->n_by = 0;
	return each_item(s, value, add_by, err);
}

/* What was said to order by before stays, if it is no longer among them behind them. */
static int set_measure(struct spec *s, const char *value, char *err)
{
	const bool ordered = s->order && s->order < s->n_measures;
	const struct spec_measure by = ordered ? s->measures[s->order] : s->measures[0];
	int r;

	s->n_measures = s->order = 0;
	r = each_item(s, value, add_measure, err);
	if (r || !ordered)
		return r;
	for (; s->order < s->n_measures; s->order++)
		if (same_measure(&s->measures[s->order], &by))
			return 0;
	if (s->n_measures == SPEC_MEASURES)
		return bad(err, "more than %u measures", SPEC_MEASURES);
	s->measures[s->n_measures++] = by;
	return 0;
}

static int set_top(struct spec *s, const char *value, char *err)
{
	uint64_t v;

	if (scan_u64(value, 1, SPEC_TOP_MAX, &v))
		return bad(err, "'%.40s': want a number from 1 to %u", value, SPEC_TOP_MAX);
	s->top = (uint32_t)v;
	return 0;
}

/* A measure that is not asked for yet is added. "-bytes", "bytes:asc": upwards. */
static int set_order(struct spec *s, const char *value, char *err)
{
	const char *colon = strchr(value, ':');
	const size_t len = colon ? (size_t)(colon - value) : strlen(value);
	struct spec_measure m;

	if (colon && strcmp(colon, ":asc") != 0 && strcmp(colon, ":desc") != 0)
		return bad(err, "'%.40s': want :asc or :desc behind the measure", value);
	if (parse_measure(value, len, &m, err))
		return -EINVAL;
	s->ascending = colon && colon[1] == 'a';
	if (!s->n_measures && spec_finish(s, err))
		return -EINVAL;
	for (s->order = 0; s->order < s->n_measures; s->order++)
		if (same_measure(&s->measures[s->order], &m))
			return 0;
	return add_measure(s, value, len, err);
}

static int set_last(struct spec *s, const char *value, char *err)
{
	uint64_t ns;

	if (scan_duration_ns(value, 1000, LAST_MAX_NS, &ns))
		return bad(err, "'%.40s': want a time such as 30s, 10m, 24h or 7d", value);
	s->from_us = s->to_us - (int64_t)(ns / 1000);
	return 0;
}

static int set_time(const char *value, int64_t *ret, char *err)
{
	uint64_t us;

	if (scan_time_us(value, &us) || us > INT64_MAX / 4)
		return bad(err, "'%.40s': want a time such as 2026-09-01T12:00:00Z", value);
	*ret = (int64_t)us;
	return 0;
}

static int set_from(struct spec *s, const char *value, char *err)
{
	return set_time(value, &s->from_us, err);
}

static int set_to(struct spec *s, const char *value, char *err)
{
	return set_time(value, &s->to_us, err);
}

static int set_step(struct spec *s, const char *value, char *err)
{
	uint64_t ns;

	if (!strcmp(value, "none")) {
		s->step_us = 0;
		return 0;
	}
	if (scan_duration_ns(value, 1000000000, LAST_MAX_NS, &ns))
		return bad(err, "'%.40s': want a time of 1s or more, such as 10s, 5m or 1h", value);
	s->step_us = (int64_t)(ns / 1000);
	return 0;
}

static int set_bool(bool *ret, const char *value, char *err)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return bad(err, "'%.40s': want yes or no", value);
	*ret = value[0] == 'y';
	return 0;
}

static int set_dedup(struct spec *s, const char *value, char *err)
{
	return set_bool(&s->dedup, value, err);
}

static int set_previous(struct spec *s, const char *value, char *err)
{
	return set_bool(&s->previous, value, err);
}

static int set_raw(struct spec *s, const char *value, char *err)
{
	return set_bool(&s->raw, value, err);
}

static int set_unscaled(struct spec *s, const char *value, char *err)
{
	return set_bool(&s->unscaled, value, err);
}

static int set_explain(struct spec *s, const char *value, char *err)
{
	return set_bool(&s->explain, value, err);
}

static int set_cursor(struct spec *s, const char *value, char *err)
{
	if (strlen(value) >= sizeof(s->cursor) || strspn(value, "0123456789.-") != strlen(value))
		return bad(err, "'%.60s' is no cursor of an earlier answer", value);
	snprintf(s->cursor, sizeof(s->cursor), "%s", value);
	return 0;
}

static const struct {
	const char *key;
	int (*set)(struct spec *s, const char *value, char *err);
} keys[] = {
	{"what", set_what},	{"filter", set_filter},
	{"by", set_by},		{"measure", set_measure},
	{"top", set_top},	{"order", set_order},
	{"to", set_to},		{"last", set_last},
	{"from", set_from},	{"step", set_step},
	{"dedup", set_dedup},	{"previous", set_previous},
	{"raw", set_raw},	{"explain", set_explain},
	{"cursor", set_cursor}, {"unscaled", set_unscaled},
};

int spec_set(struct spec *s, const char *key, const char *value, char *reterr)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(keys[i].key, key))
			return keys[i].set(s, value, reterr);
	bad(reterr, "unknown key '%.40s'", key);
	return -ENOENT;
}

int spec_finish(struct spec *s, char *reterr)
{
	static const struct spec_measure usual[] = {{MK_BYTES, 0}, {MK_PACKETS, 0}, {MK_FLOWS, 0}};

	if (!s->n_measures) {
		memcpy(s->measures, usual, sizeof(usual));
		s->n_measures = sizeof(usual) / sizeof(usual[0]);
	}
	if (s->from_us >= s->to_us)
		return bad(reterr, "the time from which is not before the time to which");
	if (s->what == SPEC_FLOWS && (s->n_by || s->step_us || s->previous))
		return bad(reterr,
			   "flows one by one have no groups, no steps and no previous time");
	if (s->step_us && (s->to_us - s->from_us) / s->step_us > SPEC_STEPS_MAX)
		return bad(reterr, "more than %u steps", SPEC_STEPS_MAX);
	return 0;
}

/* ---- as text ---- */

void spec_measure_name(const struct spec_measure *m, char *buf, size_t cap)
{
	if (m->kind < MK_DISTINCT)
		snprintf(buf, cap, "%s", measure_words[m->kind]);
	else
		snprintf(buf, cap, "%s(%s)", measure_words[m->kind], flow_fields[m->field].path);
}

void spec_by_name(const struct spec_by *b, char *buf, size_t cap)
{
	if (b->prefix4 == SPEC_NO_PREFIX)
		snprintf(buf, cap, "%s", flow_fields[b->field].path);
	else
		snprintf(buf, cap, "%s/%u/%u", flow_fields[b->field].path, b->prefix4, b->prefix6);
}

typedef void put_fn(void *arg, const char *key, const char *value);

static void put_lists(const struct spec *s, put_fn *put, void *arg)
{
	char list[SPEC_MEASURES * 64], name[64];
	size_t at = 0;

	for (uint32_t i = 0; i < s->n_by; i++) {
		spec_by_name(&s->by[i], name, sizeof(name));
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", i ? "," : "", name);
	}
	if (s->n_by)
		put(arg, "by", list);
	at = 0;
	for (uint32_t i = 0; i < s->n_measures; i++) {
		spec_measure_name(&s->measures[i], name, sizeof(name));
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", i ? "," : "", name);
	}
	if (s->n_measures) {
		put(arg, "measure", list);
		spec_measure_name(&s->measures[s->order], name, sizeof(name) - 5);
		snprintf(list, sizeof(list), "%s%s", name, s->ascending ? ":asc" : "");
		put(arg, "order", list);
	}
}

void spec_each(const struct spec *s, put_fn *put, void *arg)
{
	char text[48];

	put(arg, "what", s->what == SPEC_FLOWS ? "flows" : "top");
	if (*s->filter)
		put(arg, "filter", s->filter);
	put_lists(s, put, arg);
	snprintf(text, sizeof(text), "%u", s->top);
	put(arg, "top", text);
	time_text((uint64_t)s->from_us * 1000, text);
	put(arg, "from", text);
	time_text((uint64_t)s->to_us * 1000, text);
	put(arg, "to", text);
	if (s->step_us) {
		snprintf(text, sizeof(text), "%lldus", (long long)s->step_us);
		put(arg, "step", text);
	}
	if (s->dedup)
		put(arg, "dedup", "yes");
	if (s->previous)
		put(arg, "previous", "yes");
	if (s->raw)
		put(arg, "raw", "yes");
	if (s->unscaled)
		put(arg, "unscaled", "yes");
	if (s->explain)
		put(arg, "explain", "yes");
	if (*s->cursor)
		put(arg, "cursor", s->cursor);
}
