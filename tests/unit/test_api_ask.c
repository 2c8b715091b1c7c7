// SPDX-License-Identifier: Apache-2.0
/*
 * test_api_ask.c - what the REST interface asks of the collector, in whose name, and what it makes of the answer:
 * pages, what is not there, files of rules.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api_rig.h"

TestSuite(api_ask, .init = api_rig_begin, .fini = api_rig_end, .timeout = 600);

/* ---- what is asked ---- */

Test(api_ask, what_is_asked_is_asked_in_the_tokens_name)
{
	const struct api_reply *r = api_as(ROLE_ANALYST, "POST", "/api/v1/alerts/17:acknowledge",
					   "{\"note\":\"mine\"}");
	char *text;

	cr_expect(eq(long, r->status, 200), "%s", r->body);
	api_expect(r, "id", "17");
	cr_expect(eq(str, api_asked.actor, "token:analyst"));
	cr_expect(eq(u32, api_asked.uid, geteuid()));
	text = json_dumps(api_asked.request, JSON_COMPACT | JSON_SORT_KEYS);
	cr_expect(eq(str, text,
		     "{\"command\":\"alerts\",\"id\":17,\"note\":\"mine\",\"what\":\"ack\"}"));
	free(text);
}

Test(api_ask, what_is_not_there_is_404_and_what_can_not_be_done_is_409)
{
	const struct api_reply *r;

	api_asked.refuse = "unknown";
	r = api_as(ROLE_APPROVER, "POST", "/api/v1/decisions/4:approve", "");
	cr_expect(eq(long, r->status, 409));
	api_expect(r, "code", "\"conflict\"");
	api_expect(r, "detail", "\"it is so\"");
	api_asked.none = true;
	r = api_as(ROLE_APPROVER, "POST", "/api/v1/decisions/4:approve", "");
	cr_expect(eq(long, r->status, 404));
	api_expect(r, "detail", "\"there is none\"");
	api_asked.none = false;
	api_asked.refuse = "store";
	r = api_as(ROLE_APPROVER, "POST", "/api/v1/decisions/4:approve", "");
	cr_expect(eq(long, r->status, 503));
	r = api_as(ROLE_ANALYST, "DELETE", "/api/v1/silences/4", NULL);
	cr_expect(eq(long, r->status, 503));
	api_asked.refuse = NULL;
	r = api_as(ROLE_ANALYST, "DELETE", "/api/v1/silences/4", NULL);
	cr_expect(eq(long, r->status, 204));
	cr_expect(eq(sz, r->len, 0));
}

/* ---- pages ---- */

/* All of a list, page by page. Return: rows; each must be there once, in order. */
static unsigned int walk(const char *path, unsigned int limit, json_int_t step)
{
	char at[256], cursor[64] = "";
	unsigned int n = 0, pages = 0;
	json_int_t last = 0;

	do {
		const struct api_reply *r;
		json_t *o, *items, *one;
		size_t i;

		snprintf(at, sizeof(at), "%s?limit=%u%s%s", path, limit, *cursor ? "&cursor=" : "",
			 cursor);
		r = api_as(ROLE_VIEWER, "GET", at, NULL);
		cr_assert(eq(long, r->status, 200), "%s", r->body);
		o = json_loadb(r->body, r->len, 0, NULL);
		items = json_object_get(o, "items");
		json_array_foreach(items, i, one)
		{
			const json_int_t id = json_integer_value(json_object_get(one, "id"));

			cr_expect(last == 0 || id == last + step);
			cr_expect(eq(ptr, json_object_get(one, "type"), NULL));
			last = id;
			n++;
		}
		cr_expect(json_array_size(items) == limit || !json_object_get(o, "next"));
		snprintf(cursor, sizeof(cursor), "%s",
			 json_string_value(json_object_get(o, "next")) ?: "");
		json_decref(o);
		pages++;
		cr_assert(pages <= API_RIG_ROWS + 1);
	} while (*cursor);
	return n;
}

Test(api_ask, pages_have_everything_once)
{
	static const unsigned int limits[] = {
		1, 7, API_RIG_ROWS - 1, API_RIG_ROWS, API_RIG_ROWS + 1, 1000};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		cr_expect(eq(uint, walk("/api/v1/alerts", limits[i], -1), API_RIG_ROWS));
		cr_expect(eq(uint, walk("/api/v1/silences", limits[i], -1), API_RIG_ROWS));
	}
}

Test(api_ask, a_cursor_of_nothing_is_refused)
{
	const struct api_reply *r = api_as(ROLE_VIEWER, "GET", "/api/v1/alerts?cursor=x", NULL);

	cr_expect(eq(long, r->status, 400));
	r = api_as(ROLE_VIEWER, "GET", "/api/v1/rules?cursor=nope", NULL);
	cr_expect(eq(long, r->status, 400));
	r = api_as(ROLE_VIEWER, "GET", "/api/v1/rules?cursor=b", NULL);
	cr_expect(eq(long, r->status, 200));
	api_expect(r, "items", "[{\"rule\":\"c\"}]");
	r = api_as(ROLE_VIEWER, "GET", "/api/v1/rules?limit=2", NULL);
	api_expect(r, "next", "\"b\"");
}

/* ---- rules ---- */

Test(api_ask, rules_are_checked_where_they_stand)
{
	const struct api_reply *r = api_as(
		ROLE_AUTHOR, "POST", "/api/v1/rules:check",
		"{\"text\":\"groups:\\n- name: g\\n  rules:\\n  - name: x\\n    wherex: proto == tcp\\n\"}");

	cr_expect(eq(long, r->status, 400));
	api_expect(r, "code", "\"rules\"");
	api_expect(r, "member", "\"text\"");
	cr_expect(strstr(r->body, "\"line\":5,\"column\":5") != NULL, "%s", r->body);
	cr_expect(strstr(r->body, "did you mean 'where'") != NULL, "%s", r->body);
	r = api_as(
		ROLE_AUTHOR, "POST", "/api/v1/rules:check",
		"{\"text\":\"groups:\\n- name: g\\n  rules:\\n"
		"  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01\\n    name: x\\n    version: 1.0.0\\n"
		"    where: proto == tcp\\n\"}");
	cr_expect(eq(long, r->status, 200), "%s", r->body);
	api_expect(r, "rules", "1");
	r = api_as(ROLE_VIEWER, "GET", "/api/v1/rules/x", NULL);
	cr_expect(eq(long, r->status, 404));
}

/* ---- the rest ---- */

Test(api_ask, words_of_a_filter)
{
	const struct api_reply *r =
		api_as(ROLE_VIEWER, "GET", "/api/v1/filter:complete?q=dst.po", NULL);

	cr_expect(eq(long, r->status, 200));
	api_expect(r, "from", "0");
	cr_expect(strstr(r->body, "dst.port") != NULL);
	r = api_as(ROLE_VIEWER, "GET", "/api/v1/filter:complete?q=dst.port&pos=1", NULL);
	cr_expect(strstr(r->body, "dns.qname") != NULL, "%s", r->body);
}
