// SPDX-License-Identifier: Apache-2.0
#include "collector/rules/series.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/filter_int.h"
#include "common/flow_text.h"
#include "common/num_text.h"
#include "common/scan.h"

#define WORD_MAX 256u

/* ---- braces ---- */

struct braces {
	const char *begin, *end; /* of what is inside */
	uint64_t from;		 /* of a..b */
	uint32_t n;
};

static bool scan_braces(const char *open, struct braces *ret)
{
	const char *close = strchr(open, '}'), *dots = strstr(open, "..");
	char text[48];
	uint64_t to;

	if (!close || (size_t)(close - open) >= sizeof(text))
		return false;
	*ret = (struct braces){.begin = open + 1, .end = close, .n = 1};
	if (!dots || dots > close) {
		for (const char *s = open; s < close; s++)
			ret->n += *s == ',';
		return true;
	}
	snprintf(text, sizeof(text), "%.*s", (int)(dots - open - 1), open + 1);
	if (scan_u64(text, 0, UINT32_MAX, &ret->from))
		return false;
	snprintf(text, sizeof(text), "%.*s", (int)(close - dots - 2), dots + 2);
	if (scan_u64(text, ret->from, ret->from + SERIES_MAX - 1, &to))
		return false;
	ret->n = (uint32_t)(to - ret->from) + 1;
	return true;
}

uint32_t series_count(const char *text, const char **ret_why)
{
	uint64_t n = 1;
	struct braces b;

	*ret_why = "braces are {1..9} or {a,b}";
	for (const char *s = strchr(text, '{'); s; s = strchr(b.end, '{')) {
		if (!scan_braces(s, &b))
			return 0;
		n *= b.n;
		if (n > SERIES_MAX) {
			*ret_why = "more than 100000 flows";
			return 0;
		}
	}
	return (uint32_t)n;
}

static void put_choice(FILE *out, const struct braces *b, uint32_t i)
{
	const char *s = b->begin;

	if (memchr(b->begin, '.', (size_t)(b->end - b->begin)) &&
	    !memchr(s, ',', (size_t)(b->end - s))) {
		fprintf(out, "%llu", (unsigned long long)(b->from + i));
		return;
	}
	for (; i; i--)
		s = strchr(s, ',') + 1;
	fwrite(s, 1, strcspn(s, ",}"), out);
}

/* The text of flow @i. */
static int expand(const char *text, uint32_t i, char *buf, size_t cap)
{
	uint32_t left = 1;
	struct braces b;
	FILE *out = fmemopen(buf, cap, "w");
	const char *why;

	if (!out)
		return -ENOMEM;
	left = series_count(text, &why);
	for (const char *s = text; *s;) {
		if (*s != '{') {
			fputc(*s++, out);
			continue;
		}
		scan_braces(s, &b);
		left /= b.n;
		put_choice(out, &b, i / left % b.n);
		s = b.end + 1;
	}
	fputc(0, out);
	return fclose(out) ? -ENOSPC : 0;
}

/* ---- records ---- */

struct maker {
	json_t *obj;
	uint32_t i;
	char *why;
	size_t cap;
};

/* "no field 'WORD'", or the text alone. */
static int fail(struct maker *m, const char *text, const char *word)
{
	snprintf(m->why, m->cap, "%s%s%.60s", text, *word ? " " : "", word);
	return -EINVAL;
}

static void set_path(struct maker *m, const char *path, json_t *value)
{
	const char *dot = strchr(path, '.');
	char group[32];
	json_t *sub;

	if (!dot) {
		json_object_set_new(m->obj, path, value);
		return;
	}
	snprintf(group, sizeof(group), "%.*s", (int)(dot - path), path);
	sub = json_object_get(m->obj, group);
	if (!sub) {
		sub = json_object();
		json_object_set_new(m->obj, group, sub);
	}
	json_object_set_new(sub, dot + 1, value);
}

static int set_member(struct maker *m, const char *path, const char *value)
{
	const int f = filter_field_find(path, strlen(path));
	uint64_t n;
	json_t *list;

	if (f < 0)
		return fail(m, "unknown field", path);
	if (flow_type_list(flow_fields[f].type)) {
		list = json_array();
		json_array_append_new(list, json_string(value));
		set_path(m, path, list);
	} else if (!flow_type_number(flow_fields[f].type)) {
		set_path(m, path, json_string(value));
	} else {
		if (scan_u64(value, 0, INT64_MAX, &n)) {
			uint64_t ns;

			if (scan_duration_ns(value, 0, INT64_MAX, &ns))
				return fail(m, "no number:", value);
			n = ns / 1000;
		}
		set_path(m, path, json_integer((json_int_t)n));
	}
	return 0;
}

/* ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT */
static int set_end(struct maker *m, const char *side, char *word)
{
	char path[16], *port = NULL, *ip = word;
	uint64_t n;

	if (*word == '[') {
		char *close = strchr(word, ']');

		if (!close)
			return fail(m, "no ] behind", word);
		*close = 0;
		ip = word + 1;
		port = close[1] == ':' ? close + 2 : NULL;
	} else if (strchr(word, ':') == strrchr(word, ':') && strchr(word, ':')) {
		port = strchr(word, ':');
		*port++ = 0;
	}
	snprintf(path, sizeof(path), "%s.ip", side);
	set_path(m, path, json_string(ip));
	if (!port)
		return 0;
	if (scan_u64(port, 0, 65535, &n))
		return fail(m, "no port:", port);
	snprintf(path, sizeof(path), "%s.port", side);
	set_path(m, path, json_integer((json_int_t)n));
	return 0;
}

static int set_word(struct maker *m, char *word)
{
	char *equals = strchr(word, '=');

	if (!equals)
		return set_member(m, "state", word);
	*equals++ = 0;
	return set_member(m, word, equals);
}

static char *next_word(char **at)
{
	char *word = *at + strspn(*at, " \t"), *end = word + strcspn(word, " \t");

	*at = *end ? end + 1 : end;
	*end = 0;
	return word;
}

static int set_ends(struct maker *m, char **at)
{
	char *proto = next_word(at), *src = next_word(at), *arrow = next_word(at);
	char *dst = next_word(at);
	int r;

	if (!*dst || strcmp(arrow, "->") != 0)
		return fail(m, "a series begins with PROTO SRC -> DST", "");
	r = set_member(m, "proto", proto);
	/* clients have a port, and each connection another */
	if (!r && (!strcmp(proto, "tcp") || !strcmp(proto, "udp")))
		set_path(m, "src.port", json_integer(32768 + m->i % 28000));
	if (!r)
		r = set_end(m, "src", src);
	return r ?: set_end(m, "dst", dst);
}

int series_json(const char *text, uint32_t i, uint64_t end_ns, char *buf, size_t cap)
{
	struct maker m = {.obj = json_object(), .i = i, .why = buf, .cap = cap};
	char words[SERIES_TEXT], time[TIME_TEXT], *at = words;
	int r = expand(text, i, words, sizeof(words) - 1);

	if (r)
		fail(&m, "the series is too long", "");
	words[sizeof(words) - 1] = 0;
	set_path(&m, "packets", json_integer(1));
	set_path(&m, "bytes", json_integer(60));
	time_text(end_ns, time);
	set_path(&m, "start", json_string(time));
	set_path(&m, "end", json_string(time));
	if (!r)
		r = set_ends(&m, &at);
	while (!r) {
		char *word = next_word(&at);

		if (!*word)
			break;
		r = set_word(&m, word);
	}
	if (!r) {
		const size_t n = json_dumpb(m.obj, buf, cap - 1, JSON_COMPACT);

		if (n >= cap)
			r = fail(&m, "the series is too long", "");
		else
			buf[n] = 0;
	}
	json_decref(m.obj);
	return r;
}
