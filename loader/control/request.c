// SPDX-License-Identifier: Apache-2.0
/*
 * request.c - see request.h.
 */
#include "loader/control/request.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/filter_int.h"
#include "common/suggest.h"
#include "loader/control/control.h"

static const char *const commands[_REQUEST_MAX] = {"flows", "status", "top", "capture"};

const char *const top_sort_words[_SORT_MAX + 1] = {
	[SORT_BYTES] = "bytes",	    [SORT_RX] = "rx",	    [SORT_TX] = "tx",
	[SORT_PACKETS] = "packets", [SORT_FLOWS] = "flows", [SORT_KEY] = "key",
};

static int fail(struct request_error *e, const char *code, const char *message)
{
	e->code = code;
	e->at.line = e->at.column = 1;
	snprintf(e->at.message, sizeof(e->at.message), "%s", message);
	return -EINVAL;
}

/* 'name' is wrong: it @wants something else. */
static int fail_member(struct request_error *e, const char *name, const char *wants)
{
	fail(e, "request", "");
	snprintf(e->at.message, sizeof(e->at.message), "'%s' %s", name, wants);
	return -EINVAL;
}

int request_by(const char *word, struct request *ret)
{
	static const struct {
		const char *word;
		enum top_by by;
	} words[] = {{"flow", BY_FLOW}, {"host", BY_HOST}, {"name", BY_NAME}, {"port", BY_PORT}};
	const char *dot = strrchr(word, '.');
	int f;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].word, word) != 0)
			continue;
		ret->by = words[i].by;
		snprintf(ret->by_member, sizeof(ret->by_member), "%s", word);
		return 0;
	}
	f = filter_field_find(word, strlen(word));
	if (f < 0 || flow_fields[f].added || flow_fields[f].type == FT_CID ||
	    flow_fields[f].type == FT_STRS || flow_fields[f].type == FT_ALPN ||
	    flow_fields[f].type == FT_QUERIES || flow_fields[f].type == FT_VLAN)
		return -EINVAL;
	ret->by = BY_FIELD;
	ret->field = (enum flow_field)f;
	snprintf(ret->by_member, sizeof(ret->by_member), "%s", dot ? dot + 1 : word);
	/* "type" says what a line is. */
	if (!strcmp(ret->by_member, "type"))
		snprintf(ret->by_member, sizeof(ret->by_member), "%.*s_type", (int)(dot - word),
			 word);
	return 0;
}

/* ---- members ---- */

static int word_index(json_t *v, const char *const *words, int n)
{
	for (int i = 0; i < n && json_is_string(v); i++)
		if (!strcmp(words[i], json_string_value(v)))
			return i;
	return -1;
}

static int get_version(json_t *v, struct request *r, struct request_error *e)
{
	(void)r;
	if (json_is_integer(v) && json_integer_value(v) == CONTROL_VERSION)
		return 0;
	return fail(e, "version", "this weir speaks version 1 of the protocol");
}

static int get_command(json_t *v, struct request *r, struct request_error *e)
{
	const int i = word_index(v, commands, _REQUEST_MAX);

	if (i < 0)
		return fail(e, "request", "no such command: flows, status, top or capture");
	r->command = (enum request_command)i;
	return 0;
}

static int get_filter(json_t *v, struct request *r, struct request_error *e)
{
	if (!json_is_string(v))
		return fail_member(e, "filter", "is text");
	if (!json_string_length(v))
		return 0;
	e->code = "filter";
	return filter_parse(json_string_value(v), json_string_length(v), NULL, &r->filter, &e->at)
		       ? -EINVAL
		       : 0;
}

static int get_bool(json_t *v, const char *name, bool *ret, struct request_error *e)
{
	*ret = json_is_true(v);
	return json_is_boolean(v) ? 0 : fail_member(e, name, "is true or false");
}

static int get_follow(json_t *v, struct request *r, struct request_error *e)
{
	return get_bool(v, "follow", &r->follow, e);
}

static int get_live(json_t *v, struct request *r, struct request_error *e)
{
	return get_bool(v, "live", &r->live, e);
}

static int get_last(json_t *v, struct request *r, struct request_error *e)
{
	const json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || n > UINT32_MAX)
		return fail_member(e, "last", "is a number of records");
	r->last = (uint32_t)n;
	return 0;
}

static int get_since(json_t *v, struct request *r, struct request_error *e)
{
	const json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n <= 0)
		return fail_member(e, "since_ns", "is a positive number of nanoseconds");
	r->since_ns = (uint64_t)n;
	return 0;
}

static int get_by(json_t *v, struct request *r, struct request_error *e)
{
	if (json_is_string(v) && !request_by(json_string_value(v), r))
		return 0;
	return fail_member(e, "by",
			   "is flow, host, name, port, or the path of a field that is no list");
}

static int get_sort(json_t *v, struct request *r, struct request_error *e)
{
	const int i = word_index(v, top_sort_words, _SORT_MAX);

	if (i < 0)
		return fail_member(e, "sort", "is bytes, rx, tx, packets, flows or key");
	r->sort = (enum top_sort)i;
	return 0;
}

static int get_limit(json_t *v, struct request *r, struct request_error *e)
{
	const json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 1 || n > TOP_LIMIT)
		return fail_member(e, "limit", "is 1 to 1000");
	r->limit = (uint32_t)n;
	return 0;
}

static int get_pre(json_t *v, struct request *r, struct request_error *e)
{
	const json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0)
		return fail_member(e, "pre_ns", "is a number of nanoseconds");
	r->pre_ns = (uint64_t)n;
	return 0;
}

static int get_snaplen(json_t *v, struct request *r, struct request_error *e)
{
	const json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 1 || n > UINT16_MAX)
		return fail_member(e, "snaplen", "is 1 to 65535");
	r->snaplen = (uint32_t)n;
	return 0;
}

#define FLOWS_ONLY (1u << REQUEST_FLOWS)
#define TOP_ONLY   (1u << REQUEST_TOP)
#define CAPTURE	   (1u << REQUEST_CAPTURE)
#define ANY	   (FLOWS_ONLY | TOP_ONLY | CAPTURE | 1u << REQUEST_STATUS)

static const struct member {
	const char *name;
	unsigned int commands; /* bit per enum request_command */
	int (*get)(json_t *v, struct request *r, struct request_error *e);
} members[] = {
	{"v", ANY, get_version},
	{"command", ANY, get_command},
	{"filter", FLOWS_ONLY | TOP_ONLY | CAPTURE, get_filter},
	{"follow", FLOWS_ONLY | TOP_ONLY, get_follow},
	{"live", FLOWS_ONLY, get_live},
	{"last", FLOWS_ONLY, get_last},
	{"since_ns", FLOWS_ONLY, get_since},
	{"by", TOP_ONLY, get_by},
	{"sort", TOP_ONLY, get_sort},
	{"limit", FLOWS_ONLY | TOP_ONLY, get_limit},
	{"pre_ns", CAPTURE, get_pre},
	{"snaplen", CAPTURE, get_snaplen},
};

#define MEMBERS (sizeof(members) / sizeof(members[0]))

/* The command comes first, whatever the order: members depend on it. */
static int get_head(json_t *obj, struct request *r, struct request_error *e)
{
	if (!json_is_object(obj))
		return fail(e, "request", "a request is a JSON object");
	for (size_t i = 0; i < 2; i++) {
		json_t *v = json_object_get(obj, members[i].name);

		if (!v)
			return fail_member(e, members[i].name, "is missing");
		if (members[i].get(v, r, e))
			return -EINVAL;
	}
	return 0;
}

static int unknown(const char *name, struct request_error *e)
{
	struct suggest near;

	suggest_init(&near, name, strlen(name));
	for (size_t i = 0; i < MEMBERS; i++)
		suggest_try(&near, members[i].name);
	fail(e, "request", "");
	snprintf(e->at.message, sizeof(e->at.message), "unknown member '%.60s'%s%s%s", name,
		 near.best ? ", did you mean '" : "", near.best ?: "", near.best ? "'?" : "");
	return -EINVAL;
}

static int get_members(json_t *obj, struct request *r, struct request_error *e)
{
	const char *name;
	json_t *v;

	json_object_foreach(obj, name, v)
	{
		size_t i = 0;

		while (i < MEMBERS && strcmp(members[i].name, name) != 0)
			i++;
		if (i == MEMBERS)
			return unknown(name, e);
		if (!(members[i].commands >> r->command & 1))
			return fail_member(e, members[i].name, "is not for this command");
		if (i >= 2 && members[i].get(v, r, e))
			return -EINVAL;
	}
	return 0;
}

int request_parse(const char *line, size_t len, struct request *ret, struct request_error *reterr)
{
	json_error_t err;
	json_t *obj = json_loadb(line, len, JSON_REJECT_DUPLICATES, &err);
	int r;

	*ret = (struct request){.last = REQUEST_LAST, .limit = 50};
	request_by("flow", ret);
	if (!obj) {
		fail(reterr, "request", err.text);
		reterr->at.column = err.column > 0 ? (unsigned int)err.column : 1;
		return -EINVAL;
	}
	r = get_head(obj, ret, reterr);
	r = r ?: get_members(obj, ret, reterr);
	json_decref(obj);
	if (r)
		ret->filter = filter_free(ret->filter);
	return r;
}

/* ---- HTTP ---- */

static bool token(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && !memcmp(s, word, len);
}

/* "GET /metrics HTTP/1.1" */
static int request_line(const char *s, size_t len)
{
	const char *target = memchr(s, ' ', len), *version, *end = s + len;

	if (!target)
		return 400;
	version = memchr(target + 1, ' ', (size_t)(end - target - 1));
	if (!version || end - version != 9 || memcmp(version, " HTTP/1.", 8) != 0 ||
	    version == target + 1)
		return 400;
	for (const char *p = s; p < end; p++)
		if (*p < ' ' || *p > '~')
			return 400;
	if (!token(s, (size_t)(target - s), "GET"))
		return 405;
	return token(target + 1, (size_t)(version - target - 1), "/metrics") ? 200 : 404;
}

int http_parse(const char *text, size_t len)
{
	const char *line = text, *end = text + len;
	int status = 0;

	for (;;) {
		const char *nl = memchr(line, '\n', (size_t)(end - line));
		size_t n;

		if (!nl)
			return len >= HTTP_MAX ? 431 : 0;
		n = (size_t)(nl - line);
		if (n && line[n - 1] == '\r')
			n--;
		if (!status) {
			status = request_line(line, n);
		} else if (!n) {
			return status;
		} else if (!memchr(line, ':', n)) {
			return 400;
		}
		line = nl + 1;
	}
}
