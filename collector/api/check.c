// SPDX-License-Identifier: Apache-2.0
/*
 * check.c - what comes with a request, against the members of its route: every one is known, of its type and
 * within its bounds, there once, and there if it is needed.
 */
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "collector/api/route.h"
#include "common/address.h"
#include "common/cli.h"
#include "common/filter.h"
#include "common/scan.h"
#include "common/suggest.h"

#define LABELS_MAX 16u
#define BAD	   MHD_HTTP_BAD_REQUEST

static const struct api_member *member(enum api_route_id route, enum api_place place,
				       const char *name)
{
	for (unsigned int i = 0; i < api_members_n; i++)
		if (api_members[i].route == route && api_members[i].place == place &&
		    !strcmp(api_members[i].name, name))
			return &api_members[i];
	return NULL;
}

static void about(struct api_problem *p, const char *name)
{
	snprintf(p->member, sizeof(p->member), "%s", name);
}

static int unknown(enum api_route_id route, enum api_place place, const char *name,
		   struct api_problem *p)
{
	struct suggest s;

	about(p, name);
	suggest_init(&s, name, strlen(name));
	for (unsigned int i = 0; i < api_members_n; i++)
		if (api_members[i].route == route && api_members[i].place == place)
			suggest_try(&s, api_members[i].name);
	return api_problem(p, BAD, "unknown-member", "unknown %s '%.64s'%s%s%s",
			   place == IN_BODY ? "member" : "parameter", name,
			   s.best ? ", did you mean '" : "", s.best ?: "", s.best ? "'?" : "");
}

/* ---- texts ---- */

static bool has_control(struct api_text v, bool lines)
{
	for (size_t i = 0; i < v.len; i++) {
		const unsigned char c = (unsigned char)v.s[i];

		if (c == 0x7f || (c < 0x20 && !(lines && strchr("\t\r\n", c) && c)))
			return true;
	}
	return false;
}

static bool is_name(const char *s)
{
	static const char word[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return *s && !s[strspn(s, word)];
}

static int check_word(const struct api_member *m, const char *s, struct api_problem *p)
{
	const char *words = m->words;
	char each[SUGGEST_WORD_MAX];
	struct suggest near;

	if (cli_word(words, s) >= 0)
		return 0;
	suggest_init(&near, s, strlen(s));
	for (const char *at = words; *at && !near.best; at += *at == '|') {
		const size_t len = strcspn(at, "|");

		snprintf(each, sizeof(each), "%.*s", (int)len, at);
		suggest_try(&near, each); /* its letters stay until the next */
		at += len;
	}
	return api_problem(p, BAD, "value", "%s '%.40s': want one of %s%s%s%s", m->name, s, words,
			   near.best ? "; did you mean '" : "", near.best ?: "",
			   near.best ? "'?" : "");
}

static int check_filter(const struct api_member *m, struct api_text v, struct api_problem *p)
{
	struct filter_error e;
	struct filter *f;
	const int r = filter_parse(v.s, v.len, NULL, &f, &e);

	if (!r) {
		filter_free(f);
		return 0;
	}
	if (r == -ENOMEM)
		return api_problem(p, MHD_HTTP_SERVICE_UNAVAILABLE, "memory", "out of memory");
	p->line = e.line;
	p->column = e.column;
	return api_problem(p, BAD, "filter", "%s: %s", m->name, e.message);
}

/* What it stands for, by its type. */
static int check_value(const struct api_member *m, struct api_text v, struct api_problem *p)
{
	uint8_t ip[16];
	uint64_t n;

	switch (m->type) {
	case AT_NAME:
		return is_name(v.s) ? 0
				    : api_problem(p, BAD, "value",
						  "%s '%.40s': want letters, digits, . _ -",
						  m->name, v.s);
	case AT_ADDRESS:
		return !address_ip(v.s, ip)
			       ? 0
			       : api_problem(p, BAD, "value", "%s '%.45s': want an address",
					     m->name, v.s);
	case AT_DURATION:
		return !scan_duration_ns(v.s, 1, UINT64_MAX, &n)
			       ? 0
			       : api_problem(p, BAD, "value", "%s '%.40s': want a time such as 2h",
					     m->name, v.s);
	case AT_TIME:
		return !scan_time_us(v.s, &n)
			       ? 0
			       : api_problem(p, BAD, "value",
					     "%s '%.40s': want a time as RFC 3339 has it", m->name,
					     v.s);
	case AT_WORD:
		return check_word(m, v.s, p);
	default:
		return m->type == AT_FILTER ? check_filter(m, v, p) : 0;
	}
}

static int check_text(const struct api_member *m, struct api_text v, struct api_problem *p)
{
	const bool free_text = m->type == AT_TEXT || m->type == AT_LONG;

	if (m->max && v.len > m->max)
		return api_problem(p, BAD, "value", "%s: too long, %llu octets at most", m->name,
				   (unsigned long long)m->max);
	if (has_control(v, free_text || m->type == AT_FILTER))
		return api_problem(p, BAD, "value", "%s: has a control character", m->name);
	if (!v.len && !free_text)
		return api_problem(p, BAD, "value", "%s: is empty", m->name);
	return check_value(m, v, p);
}

static int put(const struct api_member *m, json_t *value, json_t *values, struct api_problem *p)
{
	if (json_object_set_new(values, m->name, value))
		return api_problem(p, BAD, "value", "%s: no valid UTF-8", m->name);
	return 0;
}

/* ---- numbers ---- */

static int put_number(const struct api_member *m, uint64_t n, json_t *values, struct api_problem *p)
{
	const uint64_t least = m->type != AT_NUMBER, most = m->max ?: INT64_MAX;

	if (n < least || n > most)
		return api_problem(p, BAD, "value", "%s: want a number from %llu to %llu", m->name,
				   (unsigned long long)least, (unsigned long long)most);
	return put(m, json_integer((json_int_t)n), values, p);
}

static int put_number_text(const struct api_member *m, const char *s, json_t *values,
			   struct api_problem *p)
{
	uint64_t n;

	if (s[strspn(s, "0123456789")] || scan_u64(s, 0, INT64_MAX, &n))
		return api_problem(p, BAD, "value", "%s '%.40s': want a whole number", m->name, s);
	return put_number(m, n, values, p);
}

/* ---- path and query ---- */

/* What is text there, whatever it stands for. */
static int take_text(const struct api_member *m, struct api_text v, json_t *values,
		     struct api_problem *p)
{
	about(p, m->name);
	if (strlen(v.s) != v.len)
		return api_problem(p, BAD, "value", "%s: has a control character", m->name);
	switch (m->type) {
	case AT_ID:
	case AT_NUMBER:
	case AT_COUNT:
		return put_number_text(m, v.s, values, p);
	case AT_BOOL:
		if (cli_word("true|false", v.s) < 0)
			return api_problem(p, BAD, "value", "%s: want true or false", m->name);
		return put(m, json_boolean(v.s[0] == 't'), values, p);
	default:
		return check_text(m, v, p) ?: put(m, json_stringn(v.s, v.len), values, p);
	}
}

int api_check_path(const struct api_match *m, json_t *values, struct api_problem *p)
{
	char name[32], text[API_PATH_MAX + 1];
	const struct api_member *x;

	if (!m->part.name)
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)m->part.name_len, m->part.name);
	snprintf(text, sizeof(text), "%.*s", (int)m->part.len, m->part.at);
	x = member(m->route, IN_PATH, name);
	return take_text(x, (struct api_text){text, strlen(text)}, values, p);
}

int api_check_query(enum api_route_id route, const char *name, struct api_text value,
		    json_t *values, struct api_problem *p)
{
	const struct api_member *m = member(route, IN_QUERY, name);

	if (!m)
		return unknown(route, IN_QUERY, name, p);
	if (json_object_get(values, name)) {
		about(p, name);
		return api_problem(p, BAD, "value", "%s: is there twice", name);
	}
	return take_text(m, value, values, p);
}

/* ---- body ---- */

static int take_labels(const struct api_member *m, const json_t *list, json_t *values,
		       struct api_problem *p)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/=";
	char text[512];
	size_t i, len = 0;
	json_t *v;

	text[0] = 0;
	if (json_array_size(list) > LABELS_MAX)
		return api_problem(p, BAD, "value", "%s: %u at most", m->name, LABELS_MAX);
	json_array_foreach(list, i, v)
	{
		const char *s = json_string_value(v) ?: "";

		if (!*s || s[strspn(s, letters)])
			return api_problem(p, BAD, "value", "%s: want KEY or KEY=VALUE", m->name);
		if (len + strlen(s) + 1 > m->max)
			return api_problem(p, BAD, "value", "%s: too long, %llu octets at most",
					   m->name, (unsigned long long)m->max);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? "," : "", s);
	}
	return put(m, json_string(text), values, p);
}

static int take_names(const struct api_member *m, json_t *list, json_t *values,
		      struct api_problem *p)
{
	size_t i;
	json_t *v;

	if (json_array_size(list) > m->max || !json_array_size(list))
		return api_problem(p, BAD, "value", "%s: want 1 to %llu", m->name,
				   (unsigned long long)m->max);
	json_array_foreach(list, i, v)
	{
		if (!json_is_string(v) || !is_name(json_string_value(v)))
			return api_problem(p, BAD, "value",
					   "%s: want names: letters, digits, . _ -", m->name);
	}
	return put(m, json_incref(list), values, p);
}

static int take_text_json(const struct api_member *m, json_t *v, json_t *values,
			  struct api_problem *p)
{
	if (!json_is_string(v))
		return api_problem(p, BAD, "type", "%s: want a text", m->name);
	return check_text(m, (struct api_text){json_string_value(v), json_string_length(v)}, p)
		       ?: put(m, json_incref(v), values, p);
}

static int take_json(const struct api_member *m, json_t *v, json_t *values, struct api_problem *p)
{
	about(p, m->name);
	switch (m->type) {
	case AT_ID:
	case AT_NUMBER:
	case AT_COUNT:
		if (!json_is_integer(v) || json_integer_value(v) < 0)
			return api_problem(p, BAD, "type", "%s: want a whole number", m->name);
		return put_number(m, (uint64_t)json_integer_value(v), values, p);
	case AT_BOOL:
		if (!json_is_boolean(v))
			return api_problem(p, BAD, "type", "%s: want true or false", m->name);
		return put(m, json_incref(v), values, p);
	case AT_LABELS:
	case AT_NAMES:
		if (!json_is_array(v))
			return api_problem(p, BAD, "type", "%s: want a list of texts", m->name);
		return m->type == AT_NAMES ? take_names(m, v, values, p)
					   : take_labels(m, v, values, p);
	default:
		return take_text_json(m, v, values, p);
	}
}

static int take_object(enum api_route_id route, const json_t *o, json_t *values,
		       struct api_problem *p)
{
	const char *key;
	int r = 0;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)o, key, v)
	{
		const struct api_member *m = member(route, IN_BODY, key);

		r = m ? take_json(m, v, values, p) : unknown(route, IN_BODY, key, p);
		if (r)
			break;
	}
	return r;
}

int api_check_body(enum api_route_id route, struct api_text body, json_t *values,
		   struct api_problem *p)
{
	json_error_t why;
	json_t *o;
	int r;

	if (!body.len)
		return 0;
	o = json_loadb(body.s, body.len, JSON_REJECT_DUPLICATES, &why);
	if (!o) {
		p->line = why.line > 0 ? (unsigned int)why.line : 1;
		p->column = why.column > 0 ? (unsigned int)why.column : 1;
		return api_problem(p, BAD, "json", "the body is no JSON: %s", why.text);
	}
	if (!json_is_object(o))
		r = api_problem(p, BAD, "type", "the body: want an object");
	else
		r = take_object(route, o, values, p);
	json_decref(o);
	return r;
}

int api_check_all(enum api_route_id route, const json_t *values, struct api_problem *p)
{
	for (unsigned int i = 0; i < api_members_n; i++) {
		const struct api_member *m = &api_members[i];

		if (m->route != route || !m->needed || m->type == AT_FILE ||
		    json_object_get(values, m->name))
			continue;
		about(p, m->name);
		return api_problem(p, BAD, "missing", "%s: is missing", m->name);
	}
	return 0;
}

/* ---- If-None-Match ---- */

bool api_etag_listed(const char *header, const char *etag)
{
	const size_t len = strlen(etag);

	while (*header) {
		header += strspn(header, " \t,");
		if (*header == '*')
			return true;
		if (!strncmp(header, "W/", 2))
			header += 2;
		if (!strncmp(header, etag, len))
			return true;
		header += strcspn(header, ",");
	}
	return false;
}
