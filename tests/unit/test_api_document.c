// SPDX-License-Identifier: Apache-2.0
/*
 * test_api_document.c - the OpenAPI document of the REST interface says what the router does, and the router does what
 * it says.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "collector/api/api_int.h"

static json_t *document;

static void read_document(void)
{
	char *text = api_openapi_text();

	cr_assert(ne(ptr, text, NULL));
	document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	cr_assert(ne(ptr, document, NULL));
}

static void forget_document(void)
{
	json_decref(document);
}

TestSuite(document, .init = read_document, .fini = forget_document);

static json_t *operation(enum api_route_id r)
{
	char method[8] = "";

	for (size_t i = 0; api_method_word(api_routes[r].method)[i]; i++)
		method[i] = (char)(api_method_word(api_routes[r].method)[i] + 'a' - 'A');
	return json_object_get(
		json_object_get(json_object_get(document, "paths"), api_routes[r].path), method);
}

static json_t *parameter(const json_t *op, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(op, "parameters"), i,
			   one) if (!strcmp(json_string_value(json_object_get(one, "name")),
					    name)) return one;
	return NULL;
}

static json_t *properties(const json_t *op, const char *what)
{
	const json_t *content = json_object_get(json_object_get(op, "requestBody"), "content");

	return json_object_get(
		json_object_get(json_object_get(content, "application/json"), "schema"), what);
}

/* Of a body that is no JSON. */
static json_t *file_schema(const json_t *op)
{
	const json_t *content = json_object_get(json_object_get(op, "requestBody"), "content");

	return json_object_get(json_object_get(content, "application/gzip"), "schema");
}

/* From the router to the document. */
Test(document, every_route_is_in_it_with_its_members)
{
	for (unsigned int r = 0; r < _ROUTE_MAX; r++) {
		const json_t *op = operation(r);

		cr_assert(ne(ptr, (void *)(uintptr_t)op, NULL), "%s", api_routes[r].path);
		cr_expect(eq(str, (char *)json_string_value(json_object_get(op, "summary")),
			     (char *)(uintptr_t)api_routes[r].doc));
		cr_expect(eq(int, json_object_get(op, "security") != NULL,
			     api_routes[r].right == RIGHT_OPEN));
		for (unsigned int i = 0; i < api_members_n; i++) {
			const struct api_member *m = &api_members[i];

			if (m->route == r && m->type == AT_FILE)
				cr_expect(eq(i64,
					     json_integer_value(
						     json_object_get(file_schema(op), "maxLength")),
					     (int64_t)m->max));
			else if (m->route == r && m->place == IN_BODY)
				cr_expect(json_object_get(properties(op, "properties"), m->name) !=
						  NULL,
					  "%s: %s", api_routes[r].path, m->name);
			else if (m->route == r)
				cr_expect(parameter(op, m->name) != NULL, "%s: %s",
					  api_routes[r].path, m->name);
		}
	}
}

/* "/api/v1/alerts/{id}:acknowledge" with something in place of the braces. */
static void put_sample(const char *path, char *ret, size_t cap)
{
	const char *brace = strchr(path, '{');

	if (brace)
		snprintf(ret, cap, "%.*s%s%s", (int)(brace - path), path,
			 !strncmp(brace, "{id}", 4)   ? "17"
			 : !strncmp(brace, "{ip}", 4) ? "192.0.2.1"
						      : "edge-1",
			 strchr(brace, '}') + 1);
	else
		snprintf(ret, cap, "%s", path);
}

static const char *sample_of(const json_t *schema)
{
	const char *type = json_string_value(json_object_get(schema, "type"));
	const char *pattern = json_string_value(json_object_get(schema, "pattern")) ?: "";

	if (json_object_get(schema, "enum"))
		return json_string_value(json_array_get(json_object_get(schema, "enum"), 0));
	if (!strcmp(type, "boolean"))
		return "true";
	if (json_object_get(schema, "format"))
		return "2026-09-01T12:41:08Z";
	return strchr(pattern, 'u') ? "2h" : "1";
}

static void send_parameters(enum api_route_id route, const json_t *op)
{
	json_t *values = json_object(), *one;
	struct api_problem p = {};
	size_t i;

	json_array_foreach(json_object_get(op, "parameters"), i, one)
	{
		const char *name = json_string_value(json_object_get(one, "name"));
		const char *s = sample_of(json_object_get(one, "schema"));

		if (!strcmp(json_string_value(json_object_get(one, "in")), "path"))
			continue;
		if (!strcmp(name, "filter"))
			s = "proto tcp";
		cr_expect(eq(int,
			     api_check_query(route, name, (struct api_text){s, strlen(s)}, values,
					     &p),
			     0),
			  "%s: %s", api_routes[route].path, p.detail);
	}
	json_decref(values);
}

/* All properties that the document has, of the type that it says: the router takes them. */
static void send_body(enum api_route_id route, const json_t *op)
{
	json_t *o = json_object(), *values = json_object(), *one, *copy;
	struct api_problem p = {};
	const char *name;
	char *text;

	json_object_foreach(properties(op, "properties"), name, one)
	{
		const char *type = json_string_value(json_object_get(one, "type"));

		if (!strcmp(type, "string"))
			copy = json_string(!strcmp(name, "filter") ? "proto tcp" : sample_of(one));
		else
			copy = !strcmp(type, "array")	  ? json_pack("[s]", "a")
			       : !strcmp(type, "boolean") ? json_true()
							  : json_integer(1);
		json_object_set_new(o, name, copy);
	}
	text = json_dumps(o, 0);
	cr_expect(eq(int, api_check_body(route, (struct api_text){text, strlen(text)}, values, &p),
		     0),
		  "%s: %s: %s", api_routes[route].path, text, p.detail);
	cr_expect(eq(sz, json_object_size(values), json_object_size(o)));
	free(text);
	json_decref(o);
	json_decref(values);
}

/* From the document to the router. */
Test(document, all_that_it_says_is_served)
{
	unsigned int seen = 0;
	const char *path, *word;
	json_t *methods, *op;

	json_object_foreach(json_object_get(document, "paths"), path, methods)
	{
		json_object_foreach(methods, word, op)
		{
			char upper[8] = "", sample[128], id[32] = "";
			struct api_match m;
			unsigned int all;

			for (size_t i = 0; word[i] && i < sizeof(upper) - 1; i++)
				upper[i] = (char)(word[i] - 'a' + 'A');
			put_sample(path, sample, sizeof(sample));
			cr_assert(eq(int,
				     api_match((enum api_method)api_method_find(upper), sample, &m,
					       &all),
				     0),
				  "%s %s", upper, sample);
			for (size_t i = 0; api_routes[m.route].id[i]; i++)
				id[i] = (char)(api_routes[m.route].id[i] == '_'
						       ? '_'
						       : api_routes[m.route].id[i] + 'a' - 'A');
			cr_expect(eq(str,
				     (char *)json_string_value(json_object_get(op, "operationId")),
				     id));
			send_parameters(m.route, op);
			send_body(m.route, op);
			seen++;
		}
	}
	cr_expect(eq(uint, seen, _ROUTE_MAX));
}

Test(document, references_lead_somewhere)
{
	const json_t *parts = json_object_get(document, "components");

	cr_expect(json_object_get(json_object_get(parts, "responses"), "problem") != NULL);
	cr_expect(json_object_get(json_object_get(parts, "schemas"), "problem") != NULL);
	cr_expect(json_object_get(json_object_get(parts, "schemas"), "page") != NULL);
	cr_expect(json_object_get(json_object_get(parts, "securitySchemes"), "token") != NULL);
	cr_expect(
		eq(str, (char *)json_string_value(json_object_get(document, "openapi")), "3.0.3"));
}
