// SPDX-License-Identifier: Apache-2.0
/*
 * test_api_http.c - the REST interface over a socket of its own: tokens and what is done to them, roles, heads and
 * bodies, what is counted.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api_rig.h"
#include "collector/control/audit.h"

TestSuite(api_http, .init = api_rig_begin, .fini = api_rig_end, .timeout = 600);

/* ---- who ---- */

static void sample(enum api_route_id r, char *ret, size_t cap)
{
	const char *path = api_routes[r].path, *brace = strchr(path, '{');

	if (brace)
		snprintf(ret, cap, "%.*s%s%s", (int)(brace - path), path,
			 !strncmp(brace, "{id}", 4)   ? "17"
			 : !strncmp(brace, "{ip}", 4) ? "192.0.2.1"
						      : "nobody",
			 strchr(brace, '}') + 1);
	else
		snprintf(ret, cap, "%s", path);
}

Test(api_http, every_route_lets_in_every_role_that_may_and_no_other)
{
	for (unsigned int r = 0; r < _ROUTE_MAX; r++) {
		const char *method = api_method_word(api_routes[r].method);
		const bool open = api_routes[r].right == RIGHT_OPEN;
		char path[128];
		const struct api_reply *a;

		sample(r, path, sizeof(path));
		a = api_request(method, path, "Accept: */*", "");
		cr_expect(eq(long, a->status, open ? 200 : 401), "%s %s", method, path);
		if (!open)
			api_expect(a, "code", "\"token\"");
		for (unsigned int i = 0; i < _ROLE_MAX; i++) {
			const bool may = api_may(api_roles[i].rights, api_routes[r].right);

			a = api_as(i, method, path, "");
			cr_expect(eq(int, a->status != 403 && a->status != 401, may),
				  "%s %s %s: %ld", api_roles[i].word, method, path, a->status);
		}
	}
}

Test(api_http, who_is_refused_hears_why)
{
	const struct api_reply *r = api_as(ROLE_VIEWER, "POST", "/api/v1/policy:panic", "");

	cr_expect(eq(long, r->status, 403));
	api_expect(r, "detail", "\"token 'viewer' has role viewer, which may not 'panic'\"");
	api_expect(r, "title", "\"Forbidden\"");
	cr_expect(strstr(r->head, "application/problem+json") != NULL);
	r = api_request("GET", "/api/v1/me", "Authorization: Basic eDp5", NULL);
	cr_expect(eq(long, r->status, 401));
	cr_expect(strstr(r->head, "WWW-Authenticate: Bearer") != NULL);
	r = api_as(ROLE_BREAKER, "GET", "/api/v1/me", NULL);
	cr_expect(eq(long, r->status, 200));
	api_expect(r, "may", "[\"panic\"]");
}

Test(api_http, a_wrong_token_is_told_so_ten_times_a_minute_and_a_good_one_is_never_kept_out)
{
	static const char wrong[] =
		"Authorization: Bearer weirapi1-"
		"0000000000000000000000000000000000000000000000000000000000000000";
	const struct api_reply *r;

	for (unsigned int i = 0; i < GUARD_TRIES; i++)
		cr_expect(eq(long, api_request("GET", "/api/v1/me", wrong, NULL)->status, 401));
	r = api_request("GET", "/api/v1/me", wrong, NULL);
	cr_expect(eq(long, r->status, 429));
	cr_expect(strstr(r->head, "Retry-After: ") != NULL);
	cr_expect(eq(long, api_as(ROLE_VIEWER, "GET", "/api/v1/me", NULL)->status, 200));
	cr_expect(eq(long, api_request("GET", "/healthz", "A: b", NULL)->status, 200));
}

Test(api_http, a_token_that_is_revoked_or_has_ended_is_none)
{
	struct api_who who;

	cr_expect(
		eq(long, api_as(ROLE_ADMIN, "DELETE", "/api/v1/tokens/viewer", NULL)->status, 204));
	cr_expect(eq(long, api_as(ROLE_VIEWER, "GET", "/api/v1/me", NULL)->status, 401));
	cr_expect(
		eq(long, api_as(ROLE_ADMIN, "DELETE", "/api/v1/tokens/viewer", NULL)->status, 404));
	cr_assert(
		eq(int,
		   tokens_find(api_rig->tokens, api_rig_tokens[ROLE_ANALYST], TOKEN_TEXT - 1, &who),
		   0));
	cr_expect(eq(str, who.name, "analyst"));
	api_close(api_rig);
	api_rig_serve();
	cr_expect(eq(long, api_as(ROLE_VIEWER, "GET", "/api/v1/me", NULL)->status, 401));
	cr_expect(eq(long, api_as(ROLE_ANALYST, "GET", "/api/v1/me", NULL)->status, 200),
		  "the other ones are there after a restart");
}

/* ---- tokens ---- */

Test(api_http, a_token_is_shown_once_and_kept_nowhere)
{
	const struct api_reply *r =
		api_as(ROLE_ADMIN, "POST", "/api/v1/tokens",
		       "{\"role\":\"viewer\",\"for\":\"366d\",\"name\":\"grafana\"}");
	char token[TOKEN_TEXT + 2], path[64], until[64];
	static char file[1 << 20];
	size_t n;
	FILE *f;

	cr_assert(eq(long, r->status, 201), "%s", r->body);
	snprintf(token, sizeof(token), "%s", api_member(r, "token"));
	snprintf(until, sizeof(until), "%s", api_member(r, "until"));
	token[strlen(token) - 1] = 0;
	cr_expect(eq(sz, strlen(token + 1), TOKEN_TEXT - 1));
	cr_expect(strstr(r->head, "no-store") != NULL);
	r = api_as(ROLE_ADMIN, "GET", "/api/v1/me", NULL);
	api_expect(r, "until", until); /* no longer than the one that made it */
	r = api_as(ROLE_ADMIN, "GET", "/api/v1/tokens", NULL);
	cr_expect(strstr(r->body, "grafana") != NULL);
	cr_expect(eq(ptr, strstr(r->body, token + 1 + strlen(TOKEN_PREFIX)), NULL));
	api_close(api_rig);
	snprintf(path, sizeof(path), "%s/control.db", api_rig_dir);
	f = fopen(path, "re");
	cr_assert(f != NULL);
	n = fread(file, 1, sizeof(file), f);
	fclose(f);
	cr_expect(memmem(file, n, "grafana", 7) != NULL);
	cr_expect(eq(ptr, memmem(file, n, token + 1 + strlen(TOKEN_PREFIX), 32), NULL));
	api_rig_serve();
	r = api_as(ROLE_ADMIN, "POST", "/api/v1/tokens",
		   "{\"role\":\"viewer\",\"for\":\"1h\",\"name\":\"grafana\"}");
	cr_expect(eq(long, r->status, 409), "%s", r->body);
}

Test(api_http, what_is_done_to_tokens_is_in_the_audit_log)
{
	struct audit_state st;
	struct db *d;
	char path[64], error[DB_ERROR];
	json_t *list;

	api_as(ROLE_ADMIN, "POST", "/api/v1/tokens",
	       "{\"role\":\"viewer\",\"for\":\"1h\",\"name\":\"x\",\"capture\":true}");
	api_as(ROLE_ADMIN, "DELETE", "/api/v1/tokens/x", NULL);
	snprintf(path, sizeof(path), "%s/control.db", api_rig_dir);
	cr_assert(eq(int, db_open(path, error, &d), 0));
	cr_assert(eq(int, audit_verify(d, "", &st), 0));
	cr_expect(eq(i64, st.entries, _ROLE_MAX + 2));
	cr_expect(eq(i64, st.broken, 0));
	list = audit_list(d, INT64_MAX, 2);
	cr_expect(eq(str,
		     (char *)json_string_value(json_object_get(json_array_get(list, 0), "actor")),
		     "token:admin"));
	cr_expect(eq(str,
		     (char *)json_string_value(json_object_get(json_array_get(list, 0), "action")),
		     "token.made"));
	cr_expect(eq(str,
		     (char *)json_string_value(json_object_get(json_array_get(list, 1), "action")),
		     "token.revoked"));
	cr_expect(eq(str,
		     (char *)json_string_value(json_object_get(json_array_get(list, 1), "object")),
		     "token x"));
	json_decref(list);
	db_close(d);
}

Test(api_http, tokens_are_made_by_root_and_the_collectors_user)
{
	const struct endpoint_peer other = {geteuid() + 1, "uid=1"};
	json_t *q = json_pack("{s:s,s:s,s:s}", "what", "create", "role", "admin", "for", "1h");
	json_t *lines = api_ask(api_rig, q, &other);

	cr_expect(eq(str,
		     (char *)json_string_value(json_object_get(json_array_get(lines, 0), "code")),
		     "permission"));
	json_decref(lines);
	json_object_set_new(q, "what", json_string("list"));
	lines = api_ask(api_rig, q, &other);
	cr_expect(eq(sz, json_array_size(lines), _ROLE_MAX + 1));
	json_decref(lines);
	lines = api_ask(NULL, q, &other);
	cr_expect(eq(str,
		     (char *)json_string_value(json_object_get(json_array_get(lines, 0), "code")),
		     "off"));
	json_decref(lines);
	json_decref(q);
}

/* ---- heads ---- */

Test(api_http, what_has_not_changed_is_304)
{
	const struct api_reply *r = api_as(ROLE_VIEWER, "GET", "/api/v1/alerts", NULL);
	char head[512], tag[64];

	cr_assert(strstr(r->head, "ETag: ") != NULL);
	snprintf(tag, sizeof(tag), "%.34s", strstr(r->head, "ETag: ") + 6);
	snprintf(head, sizeof(head), "Authorization: Bearer %s\nIf-None-Match: \"x\", W/%s",
		 api_rig_tokens[ROLE_VIEWER], tag);
	r = api_request("GET", "/api/v1/alerts", head, NULL);
	cr_expect(eq(long, r->status, 304));
	cr_expect(eq(sz, r->len, 0));
	cr_expect(strstr(r->head, tag) != NULL);
	r = api_request("GET", "/api/v1/alerts?limit=3", head, NULL);
	cr_expect(eq(long, r->status, 200));
	r = api_request("HEAD", "/api/v1/alerts", head, NULL);
	cr_expect(eq(long, r->status, 304));
	r = api_as(ROLE_VIEWER, "HEAD", "/api/v1/alerts", NULL);
	cr_expect(eq(long, r->status, 200));
	cr_expect(eq(sz, r->len, 0));
}

/* PUT of a mode, with a head. */
static long put_if(const char *name, const char *value)
{
	char head[512];

	snprintf(head, sizeof(head),
		 "Authorization: Bearer %s\nContent-Type: application/json\n%s: %s",
		 api_rig_tokens[ROLE_AUTHOR], name, value);
	return api_request("PUT", "/api/v1/rules/a/mode", head, "{\"to\":\"draft\"}")->status;
}

Test(api_http, what_somebody_has_changed_meanwhile_stays_as_it_is)
{
	const struct api_reply *r = api_as(ROLE_VIEWER, "GET", "/api/v1/rules/a/mode", NULL);
	char tag[64];

	cr_assert(strstr(r->head, "ETag: ") != NULL);
	snprintf(tag, sizeof(tag), "%.34s", strstr(r->head, "ETag: ") + 6);
	cr_expect(eq(long, put_if("If-Match", tag), 200));
	cr_expect(eq(long, put_if("If-Match", "*"), 200));
	cr_expect(eq(long, put_if("If-Match", "\"x\""), 412));
	cr_expect(eq(long, put_if("If-None-Match", "*"), 412));
	cr_expect(eq(long, put_if("If-None-Match", "\"x\""), 200));
	api_asked.none = true;
	cr_expect(eq(long, put_if("If-Match", "*"), 412));
	api_asked.none = false;
}

Test(api_http, a_rule_is_refused_with_the_place_of_its_mistake)
{
	const struct api_reply *r =
		api_as(ROLE_AUTHOR, "PUT", "/api/v1/rules/a", "{\"text\":\"bad\"}");

	cr_expect(eq(long, r->status, 400));
	api_expect(r, "member", "\"text\"");
	api_expect(r, "line", "7");
	api_expect(r, "column", "3");
	api_expect(r, "detail", "\"it is bad\"");
	api_expect(r, "errors",
		   "[{\"line\":7,\"column\":3,\"detail\":\"it is bad\"},"
		   "{\"detail\":\"/x/b.yaml:1:2: so is this\"}]");
	cr_expect(eq(str, api_asked.actor, "token:author"));
	cr_expect(eq(long, api_as(ROLE_AUTHOR, "DELETE", "/api/v1/rules/a", NULL)->status, 204));
	cr_expect(eq(long, api_as(ROLE_AUTHOR, "DELETE", "/api/v1/rules/b", NULL)->status, 404));
	cr_expect(eq(long, api_as(ROLE_ANALYST, "DELETE", "/api/v1/rules/a", NULL)->status, 403));
}

#define A_RULE                                                                               \
	"groups:\\n- name: g\\n  rules:\\n  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01\\n"   \
	"    name: r\\n    version: 1.0.0\\n    where: dst.port == 22\\n    by: [src.ip]\\n" \
	"    window: { size: 60s, slide: 5s }\\n    having: count() >= 2\\n"
#define A_TEST(n)                                                                                  \
	"tests:\\n- name: t\\n  flows: [ { series: \\\"tcp 10.0.0.9 -> 10.0.0.1:22\\\", repeat: 2" \
	" } ]\\n  expect: [ { filter: { count: " n " } } ]\\n"

Test(api_http, a_file_of_rules_is_tried_explained_and_compared)
{
	static const char one[] = "{\"text\":\"" A_RULE A_TEST("1") "\"}";
	static const char none[] = "{\"text\":\"" A_RULE A_TEST("0") "\"}";
	static const char both[] = "{\"text\":\"" A_RULE "    for: 5s\\n\",\"old\":\"" A_RULE "\"}";
	static const char wrong[] = "{\"text\":\"" A_RULE "\",\"old\":\"groups:\\n- namex: g\\n\"}";
	const struct api_reply *r = api_as(ROLE_AUTHOR, "POST", "/api/v1/rules:test", one);

	cr_expect(eq(long, r->status, 200), "%s", r->body);
	api_expect(r, "passed", "1");
	r = api_as(ROLE_AUTHOR, "POST", "/api/v1/rules:test", none);
	api_expect(r, "failed", "1");
	cr_expect(strstr(r->body, "0 alerts expected, 1 came") != NULL, "%s", r->body);
	r = api_as(ROLE_AUTHOR, "POST", "/api/v1/rules:explain", one);
	cr_expect(strstr(r->body, "\"class\":\"C\"") != NULL, "%s", r->body);
	r = api_as(ROLE_AUTHOR, "POST", "/api/v1/rules:diff", one);
	cr_expect(strstr(r->body, "\"change\":\"new\"") != NULL, "%s", r->body);
	r = api_as(ROLE_AUTHOR, "POST", "/api/v1/rules:diff", both);
	cr_expect(strstr(r->body, "\"keys\":[{\"key\":\"for\",\"was\":\"\",\"is\":\"5s\"}]") !=
			  NULL,
		  "%s", r->body);
	r = api_as(ROLE_AUTHOR, "POST", "/api/v1/rules:diff", wrong);
	cr_expect(eq(long, r->status, 400));
	api_expect(r, "member", "\"old\"");
	api_expect(r, "line", "2");
	r = api_as(ROLE_AUTHOR, "POST", "/api/v1/rules:compile", one);
	cr_expect(eq(long, r->status, 200), "%s", r->body);
}

Test(api_http, a_method_that_is_not_for_a_path_hears_which_are)
{
	const struct api_reply *r = api_as(ROLE_ADMIN, "PATCH", "/api/v1/silences", "");

	cr_expect(eq(long, r->status, 405));
	cr_expect(strstr(r->head, "Allow: GET, POST\r\n") != NULL, "%s", r->head);
	r = api_as(ROLE_ADMIN, "GET", "/api/v1/nothing", NULL);
	cr_expect(eq(long, r->status, 404));
	r = api_as(ROLE_VIEWER, "GET", "/healthz%00x", NULL);
	cr_expect(eq(long, r->status, 404));
	r = api_as(ROLE_VIEWER, "GET", "/api/v1/alerts?rule=a%00b", NULL);
	cr_expect(eq(long, r->status, 400));
	r = api_as(ROLE_VIEWER, "GET", "/api/v1/alerts?limit", NULL);
	cr_expect(eq(long, r->status, 400));
	r = api_as(ROLE_VIEWER, "GET", "/api/v1/alerts?limit=1&limit=2", NULL);
	cr_expect(eq(long, r->status, 400));
}

Test(api_http, a_body_is_json_and_not_too_long)
{
	char *large = malloc(3 << 20), head[256];
	const struct api_reply *r;

	cr_assert(large != NULL);
	memset(large, ' ', 3 << 20);
	large[API_BODY_MAX + 1] = 0;
	r = api_as(ROLE_ANALYST, "POST", "/api/v1/silences", large);
	cr_expect(eq(long, r->status, 413));
	r = api_request("POST", "/api/v1/silences", "Content-Type: application/json", large);
	cr_expect(eq(long, r->status, 401));
	large[API_BODY_MAX] = 0;
	r = api_as(ROLE_ANALYST, "POST", "/api/v1/silences", large);
	cr_expect(eq(long, r->status, 400));
	free(large);
	snprintf(head, sizeof(head), "Authorization: Bearer %s\nContent-Type: text/plain",
		 api_rig_tokens[ROLE_ANALYST]);
	r = api_request("POST", "/api/v1/silences", head, "{\"for\":\"1h\",\"rule\":\"a\"}");
	cr_expect(eq(long, r->status, 415));
	snprintf(head, sizeof(head),
		 "Authorization: bearer %s\nContent-Type: application/json; charset=utf-8",
		 api_rig_tokens[ROLE_ANALYST]);
	r = api_request("POST", "/api/v1/silences", head, "{\"for\":\"1h\",\"rule\":\"a\"}");
	cr_expect(eq(long, r->status, 201), "%s", r->body);
}

static const struct api_reply *pack_as(enum api_role role, const char *method, const char *path,
				       const char *type, const char *file)
{
	char head[256];

	snprintf(head, sizeof(head), "Authorization: Bearer %s\nContent-Type: %s",
		 api_rig_tokens[role], type);
	return api_request(method, path, head, file);
}

Test(api_http, a_pack_is_a_body_that_is_no_json)
{
	static const char gzip[] = "application/gzip", packs[] = "/api/v1/packs";
	const struct api_reply *r = pack_as(ROLE_AUTHOR, "POST", packs, gzip, "new");

	cr_expect(eq(long, r->status, 201), "%s", r->body);
	api_expect(r, "name", "\"new\"");
	cr_expect(eq(str, api_asked.actor, "token:author"));
	r = pack_as(ROLE_AUTHOR, "PUT", "/api/v1/packs/a", gzip, "new");
	cr_expect(eq(long, r->status, 200), "%s", r->body);
	r = pack_as(ROLE_AUTHOR, "POST", packs, gzip, "old");
	cr_expect(eq(long, r->status, 409));
	r = pack_as(ROLE_AUTHOR, "POST", packs, gzip, "what");
	cr_expect(eq(long, r->status, 400));
	api_expect(r, "detail", "\"body: no pack\"");
	api_expect(r, "errors", "[{\"detail\":\"body: no pack\"},{\"detail\":\"body: at all\"}]");
	r = pack_as(ROLE_AUTHOR, "POST", packs, "application/json", "{}");
	cr_expect(eq(long, r->status, 415));
	r = pack_as(ROLE_AUTHOR, "POST", packs, gzip, "");
	cr_expect(eq(long, r->status, 400));
	r = pack_as(ROLE_AUTHOR, "POST", "/api/v1/packs?unsigned=true", gzip, "new");
	cr_expect(eq(long, r->status, 403));
	api_expect(r, "code", "\"role\"");
	r = pack_as(ROLE_ADMIN, "POST", "/api/v1/packs?unsigned=true", gzip, "new");
	cr_expect(eq(long, r->status, 201));
	cr_expect(eq(long, api_as(ROLE_AUTHOR, "DELETE", "/api/v1/packs/a", NULL)->status, 204));
	cr_expect(eq(long, api_as(ROLE_AUTHOR, "DELETE", "/api/v1/packs/b", NULL)->status, 404));
	cr_expect(eq(long, api_as(ROLE_VIEWER, "GET", "/api/v1/packs/a", NULL)->status, 200));
	cr_expect(eq(long, api_as(ROLE_VIEWER, "GET", "/api/v1/packs/b", NULL)->status, 404));
	r = api_as(ROLE_VIEWER, "GET", packs, NULL);
	api_expect(r, "items", "[{\"name\":\"a\"},{\"name\":\"b\"}]");
}

Test(api_http, requests_are_counted)
{
	char *text = NULL;
	size_t len;
	FILE *out;

	api_request("GET", "/healthz", "A: b", NULL);
	api_request("GET", "/api/v1/me", "A: b", NULL);
	api_as(ROLE_VIEWER, "POST", "/api/v1/policy:panic", "");
	out = open_memstream(&text, &len);
	api_metrics(api_rig, out);
	fclose(out);
	cr_expect(strstr(text, "weir_http_requests_total{status=\"2xx\"} 1\n") != NULL, "%s", text);
	cr_expect(strstr(text, "weir_http_requests_total{status=\"4xx\"} 2\n") != NULL);
	cr_expect(strstr(text, "weir_http_bad_tokens_total 1\n") != NULL);
	cr_expect(strstr(text, "weir_http_denied_total 1\n") != NULL);
	cr_expect(strstr(text, "weir_http_request_duration_seconds_bucket{le=\"+Inf\"} 3\n") !=
		  NULL);
	free(text);
}
