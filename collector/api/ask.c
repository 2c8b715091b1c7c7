// SPDX-License-Identifier: Apache-2.0
/*
 * ask.c - routes that are questions of the local socket: the request becomes one, its lines become the answer.
 * So both say the same, and what is done by one is in the audit log as by the other.
 */
#include <microhttpd.h>
#include <string.h>
#include <unistd.h>

#include "collector/api/api_int.h"
#include "collector/nodes/captures.h"
#include "common/scan.h"

static const char *line_type(const json_t *line)
{
	return json_string_value(json_object_get(line, "type")) ?: "";
}

struct status {
	const char *code;
	unsigned int status;
	const char *word; /* of the problem */
};

static const struct status *status_of(const char *code)
{
	static const struct status table[] = {
		{"request", MHD_HTTP_BAD_REQUEST, "request"},
		{"filter", MHD_HTTP_BAD_REQUEST, "request"},
		{"permission", MHD_HTTP_FORBIDDEN, "permission"},
		{"unknown", MHD_HTTP_NOT_FOUND, "unknown"},
		{"off", MHD_HTTP_NOT_FOUND, "unknown"},
		{"conflict", MHD_HTTP_CONFLICT, "conflict"},
		{"gone", MHD_HTTP_GONE, "gone"},
		{"beyond", MHD_HTTP_RANGE_NOT_SATISFIABLE, "range"},
		{"offline", MHD_HTTP_SERVICE_UNAVAILABLE, "offline"},
		{"busy", MHD_HTTP_SERVICE_UNAVAILABLE, "busy"},
		{"store", MHD_HTTP_SERVICE_UNAVAILABLE, "store"}, /* it may go better later */
	};
	size_t i = 0;

	while (i < sizeof(table) / sizeof(table[0]) - 1 && strcmp(table[i].code, code) != 0)
		i++;
	return &table[i];
}

int api_refuse(struct api_call *call, const char *code, const char *text)
{
	const struct status *s = status_of(code);

	if (!strcmp(s->word, "offline") || !strcmp(s->word, "busy"))
		call->retry_s = FETCH_AGAIN_S;
	return api_problem(&call->problem, s->status, s->word, "%s", text);
}

static int no_memory(struct api_call *call)
{
	return api_problem(&call->problem, MHD_HTTP_SERVICE_UNAVAILABLE, "memory", "out of memory");
}

static int refused(struct api_call *call, const json_t *line)
{
	return api_refuse(call, json_string_value(json_object_get(line, "code")) ?: "",
			  json_string_value(json_object_get(line, "message")) ?: "");
}

static json_t *ask_tokens(struct api_call *call, const json_t *request, const char *actor)
{
	const struct tokens_asker asker = {actor, true, call->who.until_us};

	return tokens_ask(call->api->tokens, request, &asker);
}

/*
 * @request: taken over. Who may what has been looked at: it is asked as the collector's own user, under the
 * token's name.
 * Return: 0 and the lines but the last of a list, or -1.
 */
static int ask(struct api_call *call, json_t *request, json_t **ret)
{
	struct endpoint_peer peer = {.uid = geteuid()};
	const struct api *a = call->api;
	const json_t *last;
	json_t *lines;

	snprintf(peer.name, sizeof(peer.name), "token:%s", call->who.name);
	if (!strcmp(json_string_value(json_object_get(request, "command")), "tokens"))
		lines = ask_tokens(call, request, peer.name);
	else
		lines = a->cfg.ops->ask(a->cfg.arg, request, &peer);
	json_decref(request);
	if (!lines || !json_array_size(lines)) {
		json_decref(lines);
		return no_memory(call);
	}
	last = json_array_get(lines, json_array_size(lines) - 1);
	if (!strcmp(line_type(last), "error")) {
		refused(call, last);
		json_decref(lines);
		return -1;
	}
	if (!strcmp(line_type(last), "end"))
		json_array_remove(lines, json_array_size(lines) - 1);
	*ret = lines;
	return 0;
}

/* What the request says, as a question. */
static json_t *question(const struct api_call *call)
{
	const struct api_route *r = &api_routes[call->route];
	json_t *q = json_copy(call->values);

	json_object_set_new(q, "command", json_string(r->command));
	json_object_set_new(q, "what", json_string(r->what));
	return q;
}

/* ---- lists ---- */

static size_t limit_of(const struct api_call *call)
{
	return (size_t)(json_integer_value(json_object_get(call->values, "limit"))
				?: API_PAGE_DEFAULT);
}

static int answer_page(struct api_call *call, json_t *items, json_t *next)
{
	json_t *o = json_object(), *one;
	size_t i;

	json_array_foreach(items, i, one) json_object_del(one, "type");
	json_object_set_new(o, "items", items);
	if (next)
		json_object_set_new(o, "next", next);
	return api_answer(call, o);
}

/* By number, from the highest down. */
int api_run_page(struct api_call *call)
{
	const char *cursor = api_text(call, "cursor");
	const size_t limit = limit_of(call);
	json_t *q, *lines, *next = NULL;
	const json_t *last;
	uint64_t before = INT64_MAX;
	char text[24];

	if (*cursor && scan_u64(cursor, 1, INT64_MAX, &before))
		return api_problem(&call->problem, MHD_HTTP_BAD_REQUEST, "value",
				   "cursor: it is none of this list");
	q = question(call);
	json_object_del(q, "cursor");
	json_object_set_new(q, "before", json_integer((json_int_t)before));
	json_object_set_new(q, "limit", json_integer((json_int_t)limit + 1)); /* are there more? */
	if (ask(call, q, &lines))
		return -1;
	if (json_array_size(lines) > limit) {
		json_array_remove(lines, limit);
		last = json_array_get(lines, limit - 1);
		snprintf(text, sizeof(text), "%lld",
			 (long long)json_integer_value(json_object_get(last, "id")
							       ?: json_object_get(last, "seq")));
		next = json_string(text);
	}
	return answer_page(call, lines, next);
}

/* What a cursor says of an object. */
static void cursor_of(const json_t *o, const char *key, char ret[API_CURSOR_MAX + 1])
{
	const json_t *v = json_object_get(o, key);

	if (json_is_string(v))
		snprintf(ret, API_CURSOR_MAX + 1, "%s", json_string_value(v));
	else
		snprintf(ret, API_CURSOR_MAX + 1, "%lld", (long long)json_integer_value(v));
}

int api_pages(struct api_call *call, json_t *list, const char *key)
{
	const char *cursor = api_text(call, "cursor");
	const size_t n = json_array_size(list), limit = limit_of(call);
	char text[API_CURSOR_MAX + 1] = "";
	json_t *items;
	size_t from = 0, i;

	while (*cursor && from < n && strcmp(text, cursor) != 0)
		cursor_of(json_array_get(list, from++), key, text);
	if (*cursor && strcmp(text, cursor) != 0) {
		json_decref(list);
		return api_problem(&call->problem, MHD_HTTP_BAD_REQUEST, "value",
				   "cursor: what it was after is gone; begin anew");
	}
	items = json_array();
	for (i = from; i < n && i - from < limit; i++)
		json_array_append(items, json_array_get(list, i));
	if (i < n)
		cursor_of(json_array_get(list, i - 1), key, text);
	json_decref(list);
	return answer_page(call, items, i < n ? json_string(text) : NULL);
}

int api_run_whole(struct api_call *call)
{
	json_t *q = question(call), *lines;

	json_object_del(q, "cursor");
	json_object_del(q, "limit");
	if (ask(call, q, &lines))
		return -1;
	return api_pages(call, lines,
			 json_object_get(json_array_get(lines, 0), "id") ? "id" : "name");
}

/* ---- one ---- */

/* @request: taken over. The first line is the answer. */
static int answer_first(struct api_call *call, json_t *request)
{
	json_t *lines, *o;

	if (ask(call, request, &lines))
		return -1;
	o = json_incref(json_array_get(lines, 0));
	json_decref(lines);
	json_object_del(o, "type");
	return api_answer(call, o);
}

int api_run_one(struct api_call *call)
{
	return answer_first(call, question(call));
}

/* The thing that something is done to; what has none is done to the policy. */
static json_t *thing(const struct api_call *call)
{
	static const char *const keys[] = {"id", "name"};
	json_t *q = json_object();

	json_object_set_new(q, "what", json_string("show"));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *v = json_object_get(call->values, keys[i]);

		if (!v || !strchr(api_routes[call->route].path, '{'))
			continue;
		json_object_set(q, keys[i], v);
		json_object_set_new(q, "command", json_string(api_routes[call->route].command));
		return q;
	}
	json_object_set_new(q, "command", json_string("policy"));
	return q;
}

int api_run_act(struct api_call *call)
{
	json_t *lines;

	if (ask(call, thing(call), &lines))
		return -1;
	json_decref(lines);
	if (ask(call, question(call), &lines)) {
		/* it is there, so what is said is about how it stands with it */
		if (call->problem.status == MHD_HTTP_NOT_FOUND) {
			call->problem.status = MHD_HTTP_CONFLICT;
			call->problem.code = "conflict";
		}
		return -1;
	}
	json_decref(lines);
	return answer_first(call, thing(call));
}

int api_run_make(struct api_call *call)
{
	const int r = answer_first(call, question(call));

	if (!r)
		call->status = MHD_HTTP_CREATED;
	return r;
}

int api_run_end(struct api_call *call)
{
	json_t *lines;

	if (ask(call, question(call), &lines))
		return -1;
	json_decref(lines);
	call->status = MHD_HTTP_NO_CONTENT;
	return 0;
}
