// SPDX-License-Identifier: Apache-2.0
/*
 * openapi.c - the document of the REST interface and its page of the manual, of the table that the router has.
 * Source: OpenAPI Specification 3.0.3.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/api/api_int.h"
#include "common/commands.h"

#define ID_TEXT	    32u
#define REF_PROBLEM "#/components/responses/problem"

static json_t *text(const char *s)
{
	return json_string(s);
}

/* ---- types ---- */

static json_t *words_schema(const struct api_member *m)
{
	json_t *list = json_array();

	for (const char *at = m->words; *at; at += *at == '|') {
		const size_t len = strcspn(at, "|");

		json_array_append_new(list, json_stringn(at, len));
		at += len;
	}
	return list;
}

static json_t *number_schema(const struct api_member *m)
{
	json_t *o = json_pack("{s:s,s:i}", "type", "integer", "minimum", m->type != AT_NUMBER);

	if (m->max)
		json_object_set_new(o, "maximum", json_integer((json_int_t)m->max));
	if (m->type == AT_COUNT)
		json_object_set_new(o, "default", json_integer(API_PAGE_DEFAULT));
	return o;
}

static json_t *text_schema(const struct api_member *m)
{
	json_t *o = json_pack("{s:s}", "type", "string");

	if (m->max)
		json_object_set_new(o, "maxLength", json_integer((json_int_t)m->max));
	if (m->type != AT_TEXT && m->type != AT_LONG)
		json_object_set_new(o, "minLength", json_integer(1));
	if (m->type == AT_NAME)
		json_object_set_new(o, "pattern", text("^[A-Za-z0-9._-]+$"));
	if (m->type == AT_TIME)
		json_object_set_new(o, "format", text("date-time"));
	if (m->type == AT_DURATION)
		json_object_set_new(o, "pattern", text("^([0-9]+(us|ms|s|m|h|d))+$"));
	if (m->type == AT_WORD) {
		json_object_del(o, "minLength");
		json_object_set_new(o, "enum", words_schema(m));
		if (!m->needed)
			json_object_set(o, "default",
					json_array_get(json_object_get(o, "enum"), 0));
	}
	return o;
}

static json_t *schema(const struct api_member *m)
{
	switch (m->type) {
	case AT_ID:
	case AT_NUMBER:
	case AT_COUNT:
		return number_schema(m);
	case AT_BOOL:
		return json_pack("{s:s,s:b}", "type", "boolean", "default", 0);
	case AT_LABELS:
	case AT_NAMES:
		return json_pack("{s:s,s:{s:s}}", "type", "array", "items", "type", "string");
	default:
		return text_schema(m);
	}
}

/* ---- an operation ---- */

static json_t *parameters(enum api_route_id r)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < api_members_n; i++) {
		const struct api_member *m = &api_members[i];

		if (m->route != r || m->place == IN_BODY)
			continue;
		json_array_append_new(list, json_pack("{s:s,s:s,s:b,s:s,s:o}", "name", m->name,
						      "in", m->place == IN_PATH ? "path" : "query",
						      "required", m->needed, "description", m->doc,
						      "schema", schema(m)));
	}
	return list;
}

static json_t *file_body(const struct api_member *m)
{
	return json_pack("{s:b,s:s,s:{s:{s:{s:s,s:s,s:I}}}}", "required", m->needed, "description",
			 m->doc, "content", "application/gzip", "schema", "type", "string",
			 "format", "binary", "maxLength", (json_int_t)m->max);
}

static json_t *body(enum api_route_id r)
{
	json_t *properties = json_object(), *needed = json_array(), *o;

	for (unsigned int i = 0; i < api_members_n; i++) {
		const struct api_member *m = &api_members[i];
		json_t *one;

		if (m->route != r || m->place != IN_BODY)
			continue;
		one = schema(m);
		json_object_set_new(one, "description", text(m->doc));
		json_object_set_new(properties, m->name, one);
		if (m->needed)
			json_array_append_new(needed, text(m->name));
	}
	o = json_pack("{s:s,s:b,s:o}", "type", "object", "additionalProperties", 0, "properties",
		      properties);
	if (json_array_size(needed))
		json_object_set(o, "required", needed);
	o = json_pack("{s:b,s:{s:{s:o}}}", "required", json_array_size(needed) != 0, "content",
		      "application/json", "schema", o);
	json_decref(needed);
	return o;
}

static bool says_nothing(const struct api_route *route)
{
	return route->run == api_run_end || route->run == api_run_result_end ||
	       route->run == api_run_pack_end || route->run == api_run_rule_end;
}

static const char *good_status(const struct api_route *route)
{
	return route->run == api_run_make					? "201"
	       : route->run == api_run_pack_put && route->method == METHOD_POST ? "201"
	       : route->run == api_run_backtest					? "202"
	       : says_nothing(route)						? "204"
										: "200";
}

/* What it says when it went well. */
static json_t *good(const struct api_route *route, const char **ret_status)
{
	const char *type = "application/json";
	json_t *o;

	*ret_status = good_status(route);
	if (says_nothing(route))
		return json_pack("{s:s}", "description", "it is done");
	if (route->run == api_run_metrics)
		type = "text/plain";
	if (route->run == api_run_capture_file)
		type = API_TYPE_PACKETS;
	if (route->run == api_run_page || route->run == api_run_whole ||
	    route->run == api_run_rules || route->run == api_run_packs ||
	    route->run == api_run_query)
		o = json_pack("{s:s}", "$ref", "#/components/schemas/page");
	else if (route->run == api_run_capture_file)
		o = json_pack("{s:s,s:s}", "type", "string", "format", "binary");
	else
		o = json_pack("{s:s}", "type", route->run == api_run_metrics ? "string" : "object");
	return json_pack("{s:s,s:{s:{s:o}}}", "description", route->doc, "content", type, "schema",
			 o);
}

static json_t *responses(enum api_route_id r)
{
	static const struct {
		const char *status;
		bool body, token, part;
	} bad[] = {{"400", false, false, false}, {"401", false, true, false},
		   {"403", false, true, false},	 {"404", false, false, true},
		   {"409", true, false, true},	 {"413", true, false, false},
		   {"415", true, false, false},	 {"429", false, true, false},
		   {"503", false, false, false}};
	const struct api_route *route = &api_routes[r];
	const bool changes = route->method != METHOD_GET;
	json_t *o = json_object(), *one;
	const char *status;

	one = good(route, &status);
	json_object_set_new(o, status, one);
	if (route->run == api_run_query)
		json_object_set_new(
			o, "202",
			json_pack("{s:s}", "description",
				  "it takes long; Location is where the answer will be"));
	if (route->run == api_run_result) {
		json_object_set_new(o, "202", json_pack("{s:s}", "description", "it is at work"));
		json_object_set_new(o, "204",
				    json_pack("{s:s}", "description", "there is nothing"));
		json_object_set_new(o, "410", json_pack("{s:s}", "$ref", REF_PROBLEM));
	}
	if (api_route_shown(route))
		json_object_set_new(o, "412", json_pack("{s:s}", "$ref", REF_PROBLEM));
	if (route->run == api_run_rule_put)
		json_object_set_new(o, "201",
				    json_pack("{s:s}", "description", "there was none before"));
	if (route->run == api_run_capture_file) {
		json_object_set_new(o, "206", json_pack("{s:s}", "description", "the rest of it"));
		json_object_set_new(o, "410", json_pack("{s:s}", "$ref", REF_PROBLEM));
		json_object_set_new(o, "416", json_pack("{s:s}", "$ref", REF_PROBLEM));
	} else if (!changes)
		json_object_set_new(o, "304",
				    json_pack("{s:s}", "description",
					      "it is as If-None-Match has it"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if ((!bad[i].body || changes) && (!bad[i].token || route->right != RIGHT_OPEN) &&
		    (!bad[i].part || strchr(route->path, '{') || changes))
			json_object_set_new(o, bad[i].status,
					    json_pack("{s:s}", "$ref", REF_PROBLEM));
	return o;
}

static json_t *roles(enum api_right right)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < _ROLE_MAX; i++)
		if (api_may(api_roles[i].rights, right))
			json_array_append_new(list, text(api_roles[i].word));
	return list;
}

static void lower_case(const char *id, char ret[ID_TEXT])
{
	size_t i = 0;

	for (; i < ID_TEXT - 1 && id[i]; i++)
		ret[i] = (char)(id[i] >= 'A' && id[i] <= 'Z' ? id[i] - 'A' + 'a' : id[i]);
	ret[i] = 0;
}

static json_t *operation(enum api_route_id r)
{
	const struct api_route *route = &api_routes[r];
	json_t *o = json_object(), *p = parameters(r);
	char id[ID_TEXT];

	lower_case(route->id, id);
	json_object_set_new(o, "operationId", text(id));
	json_object_set_new(o, "summary", text(route->doc));
	if (json_array_size(p))
		json_object_set(o, "parameters", p);
	json_decref(p);
	if (route->method != METHOD_GET && route->method != METHOD_DELETE)
		json_object_set_new(o, "requestBody",
				    api_route_file(r) ? file_body(api_route_file(r)) : body(r));
	json_object_set_new(o, "responses", responses(r));
	if (route->right == RIGHT_OPEN)
		json_object_set_new(o, "security", json_array());
	else
		json_object_set_new(o, "x-weir-roles", roles(route->right));
	return o;
}

/* ---- the document ---- */

static json_t *components(void)
{
	static const char *const texts[] = {"type", "title", "code", "detail", "member"};
	static const char *const numbers[] = {"status", "line", "column"};
	json_t *properties = json_object(), *problem;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		json_object_set_new(properties, texts[i], json_pack("{s:s}", "type", "string"));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_object_set_new(properties, numbers[i], json_pack("{s:s}", "type", "integer"));
	json_object_set_new(properties, "errors",
			    json_pack("{s:s,s:{s:s}}", "type", "array", "items", "type", "object"));
	problem = json_pack("{s:s,s:[s,s,s,s],s:o}", "type", "object", "required", "type", "title",
			    "status", "detail", "properties", properties);
	return json_pack(
		"{s:{s:{s:s,s:s}},s:{s:{s:s,s:{s:{s:{s:s}}}}},s:{s:o,s:{s:s,s:[s],s:{s:{s:s,s:{s:s}},s:{s:s,s:s}}}}}",
		"securitySchemes", "token", "type", "http", "scheme", "bearer", "responses",
		"problem", "description", "what is wrong (RFC 9457)", "content",
		"application/problem+json", "schema", "$ref", "#/components/schemas/problem",
		"schemas", "problem", problem, "page", "type", "object", "required", "items",
		"properties", "items", "type", "array", "items", "type", "object", "next", "type",
		"string", "description", "cursor of the next page; absent: this was the last");
}

json_t *api_openapi(void)
{
	json_t *paths = json_object();

	for (unsigned int r = 0; r < _ROUTE_MAX; r++) {
		const struct api_route *route = &api_routes[r];
		json_t *path = json_object_get(paths, route->path);
		char method[ID_TEXT];

		if (!path) {
			path = json_object();
			json_object_set_new(paths, route->path, path);
		}
		lower_case(api_method_word(route->method), method);
		json_object_set_new(path, method, operation(r));
	}
	return json_pack("{s:s,s:{s:s,s:s,s:{s:s}},s:[{s:[]}],s:o,s:o}", "openapi", "3.0.3", "info",
			 "title", "weir-collector", "version", WEIR_VERSION, "license", "name",
			 "Apache-2.0", "security", "token", "paths", paths, "components",
			 components());
}

char *api_openapi_text(void)
{
	json_t *o = api_openapi();
	char *s = o ? json_dumps(o, JSON_INDENT(1)) : NULL;

	json_decref(o);
	return s;
}

/* ---- the manual ---- */

static void put_members(enum api_route_id r)
{
	static const char *const places[] = {"path", "query", "body"};

	for (unsigned int i = 0; i < api_members_n; i++) {
		const struct api_member *m = &api_members[i];

		if (m->route != r || m->place == IN_PATH)
			continue;
		if (m->type == AT_FILE) {
			fputs("++\n\t"
			      "The body: ",
			      stdout);
			reference_put(m->doc);
			continue;
		}
		printf("++\n\t_%s_ (%s%s): ", m->name, places[m->place],
		       m->needed ? ", needed" : "");
		reference_put(m->doc);
	}
}

void api_reference_routes(void)
{
	for (unsigned int r = 0; r < _ROUTE_MAX; r++) {
		const struct api_route *route = &api_routes[r];

		printf("*%s* ", api_method_word(route->method));
		reference_put(route->path);
		printf("++\n(%s)\n\t", route->right == RIGHT_OPEN ? "anybody"
				       : route->right == RIGHT_TOKEN
					       ? "any token"
					       : api_right_word(route->right));
		reference_put_sentence(route->doc);
		put_members(r); /* no line break may come before an empty line */
		puts("\n");
	}
}

void api_reference_roles(void)
{
	for (unsigned int i = 0; i < _ROLE_MAX; i++) {
		const char *between = "";

		printf("*%s*\n\t", api_roles[i].word);
		reference_put_sentence(api_roles[i].doc);
		fputs(" May: ", stdout);
		for (unsigned int r = RIGHT_TOKEN + 1; r < _RIGHT_MAX; r++) {
			if (!api_may(api_roles[i].rights, r))
				continue;
			printf("%s_%s_", between, api_right_word(r));
			between = ", ";
		}
		puts(".\n");
	}
}
