// SPDX-License-Identifier: Apache-2.0
/*
 * test_api.c - the REST interface without HTTP: which path is which route, who may what, and what comes
 * with a request.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/api/api_int.h"

TestSuite(api);

/* ---- routes ---- */

Test(api, a_path_is_one_route_and_its_part)
{
	static const struct {
		const char *path;
		enum api_method method;
		int r, route;
		const char *part;
	} cases[] = {
		{"/healthz", METHOD_GET, 0, ROUTE_HEALTH, ""},
		{"/healthz/", METHOD_GET, -ENOENT, 0, ""},
		{"/healthz", METHOD_POST, -EPERM, 0, ""},
		{"/api/v1/alerts", METHOD_GET, 0, ROUTE_ALERTS, ""},
		{"/api/v1/alerts/", METHOD_GET, -ENOENT, 0, ""},
		{"/api/v1/alerts/17", METHOD_GET, 0, ROUTE_ALERT, "17"},
		{"/api/v1/alerts/17", METHOD_DELETE, -EPERM, 0, ""},
		{"/api/v1/alerts/x", METHOD_GET, -ENOENT, 0, ""},
		{"/api/v1/alerts/17x", METHOD_GET, -ENOENT, 0, ""},
		{"/api/v1/alerts/17:acknowledge", METHOD_POST, 0, ROUTE_ALERT_ACK, "17"},
		{"/api/v1/alerts/17:acknowledge", METHOD_GET, -EPERM, 0, ""},
		{"/api/v1/alerts/17:acknowledged", METHOD_POST, -ENOENT, 0, ""},
		{"/api/v1/alerts/17:", METHOD_POST, -ENOENT, 0, ""},
		{"/api/v1/agents/edge-1.example", METHOD_GET, 0, ROUTE_AGENT, "edge-1.example"},
		{"/api/v1/agents/edge-1.example:revoke", METHOD_POST, 0, ROUTE_AGENT_REVOKE,
		 "edge-1.example"},
		{"/api/v1/agents/a/labels", METHOD_PUT, 0, ROUTE_AGENT_LABEL, "a"},
		{"/api/v1/agents/a/b", METHOD_GET, -ENOENT, 0, ""},
		{"/api/v1/agents//labels", METHOD_PUT, -ENOENT, 0, ""},
		{"/api/v1/agents:token", METHOD_POST, 0, ROUTE_AGENT_TOKEN, ""},
		{"/api/v1/agents/a\1", METHOD_GET, -ENOENT, 0, ""},
		{"", METHOD_GET, -ENOENT, 0, ""},
		{"/", METHOD_GET, -ENOENT, 0, ""},
		{"/api/v1", METHOD_GET, -ENOENT, 0, ""},
		{"/API/v1/alerts", METHOD_GET, -ENOENT, 0, ""},
	};
	struct api_match m;
	unsigned int methods;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const int r = api_match(cases[i].method, cases[i].path, &m, &methods);

		cr_expect(eq(int, r, cases[i].r), "%s", cases[i].path);
		cr_expect(eq(int, methods != 0, cases[i].r != -ENOENT), "%s", cases[i].path);
		if (r || cases[i].r)
			continue;
		cr_expect(eq(int, (int)m.route, cases[i].route), "%s", cases[i].path);
		cr_expect(eq(sz, m.part.len, strlen(cases[i].part)), "%s", cases[i].path);
		cr_expect(eq(int, memcmp(m.part.at ?: "", cases[i].part, m.part.len), 0));
	}
}

Test(api, every_part_of_a_path_is_a_member_and_no_name_is_there_twice)
{
	for (unsigned int r = 0; r < _ROUTE_MAX; r++) {
		const char *brace = strchr(api_routes[r].path, '{');
		unsigned int parts = 0;

		for (unsigned int i = 0; i < api_members_n; i++) {
			const struct api_member *m = &api_members[i];

			if (m->route != r)
				continue;
			if (m->place == IN_PATH) {
				parts++;
				cr_assert(ne(ptr, (void *)(uintptr_t)brace, NULL), "%s", m->name);
				cr_expect(eq(int, strncmp(brace + 1, m->name, strlen(m->name)), 0));
				cr_expect(m->needed);
			}
			for (unsigned int k = 0; k < i; k++)
				cr_expect(api_members[k].route != r ||
						  strcmp(api_members[k].name, m->name) != 0,
					  "%s: %s", api_routes[r].path, m->name);
		}
		cr_expect(eq(uint, parts, brace ? 1u : 0u), "%s", api_routes[r].path);
	}
}

/* ---- roles ---- */

/* Who may what, said once more: letters of viewer, analyst, author (u), approver (p), breaker, admin (d). */
static const struct {
	enum api_route_id route;
	const char *roles;
} allowed[] = {
	{ROUTE_HEALTH, "vaupbd"},
	{ROUTE_READY, "vaupbd"},
	{ROUTE_METRICS, "vaupd"},
	{ROUTE_OPENAPI, "vaupbd"},
	{ROUTE_ME, "vaupbd"},
	{ROUTE_STATUS, "vaupd"},
	{ROUTE_TOKENS, "d"},
	{ROUTE_TOKEN_MAKE, "d"},
	{ROUTE_TOKEN_END, "d"},
	{ROUTE_AGENTS, "vaupd"},
	{ROUTE_AGENT, "vaupd"},
	{ROUTE_AGENT_TOKEN, "d"},
	{ROUTE_AGENT_LABEL, "d"},
	{ROUTE_AGENT_REVOKE, "d"},
	{ROUTE_RULES, "vaupd"},
	{ROUTE_RULE, "vaupd"},
	{ROUTE_RULE_PUT, "ud"},
	{ROUTE_RULE_END, "ud"},
	{ROUTE_MODES, "vaupd"},
	{ROUTE_MODE, "vaupd"},
	{ROUTE_MODE_SET, "ud"},
	{ROUTE_RULE_PROMOTE, "pd"},
	{ROUTE_RULE_DEMOTE, "pd"},
	{ROUTE_RULES_CHECK, "ud"},
	{ROUTE_RULES_TEST, "ud"},
	{ROUTE_RULES_EXPLAIN, "ud"},
	{ROUTE_RULES_DIFF, "ud"},
	{ROUTE_RULES_COMPILE, "ud"},
	{ROUTE_PACKS, "vaupd"},
	{ROUTE_PACK, "vaupd"},
	{ROUTE_PACK_INSTALL, "ud"},
	{ROUTE_PACK_UPDATE, "ud"},
	{ROUTE_PACK_END, "ud"},
	{ROUTE_BACKTEST, "aupd"},
	{ROUTE_RESULT, "vaupd"},
	{ROUTE_RESULT_END, "vaupd"},
	{ROUTE_FLOWS, "vaupd"},
	{ROUTE_TOP, "vaupd"},
	{ROUTE_PAIRS, "vaupd"},
	{ROUTE_GRAPH, "vaupd"},
	{ROUTE_HOST, "vaupd"},
	{ROUTE_SERIES, "vaupd"},
	{ROUTE_ALERTS, "vaupd"},
	{ROUTE_ALERT, "vaupd"},
	{ROUTE_ALERT_ACK, "aupd"},
	{ROUTE_ALERT_RESOLVE, "aupd"},
	{ROUTE_CAPTURES, "vaupd"},
	{ROUTE_CAPTURE, "vaupd"},
	{ROUTE_CAPTURE_FILE, ""},
	{ROUTE_CAPTURE_END, "d"},
	{ROUTE_SILENCES, "vaupd"},
	{ROUTE_SILENCE_MAKE, "aupd"},
	{ROUTE_SILENCE_END, "aupd"},
	{ROUTE_DECISIONS, "vaupd"},
	{ROUTE_DECISION, "vaupd"},
	{ROUTE_DECISION_APPROVE, "pd"},
	{ROUTE_DECISION_WITHDRAW, "pd"},
	{ROUTE_POLICY, "vaupd"},
	{ROUTE_PANIC, "pbd"},
	{ROUTE_RESUME, "pd"},
	{ROUTE_AUDIT, "vaupd"},
	{ROUTE_AUDIT_VERIFY, "vaupd"},
	{ROUTE_CHANNELS, "vaupd"},
	{ROUTE_COMPLETE, "vaupd"},
};

Test(api, every_role_may_what_it_is_for_and_no_more)
{
	static const char letters[_ROLE_MAX + 1] = "vaupbd";

	cr_assert(eq(sz, sizeof(allowed) / sizeof(allowed[0]), _ROUTE_MAX));
	for (unsigned int r = 0; r < _ROUTE_MAX; r++) {
		cr_assert(eq(int, (int)allowed[r].route, (int)r));
		for (unsigned int i = 0; i < _ROLE_MAX; i++)
			cr_expect(eq(int, api_may(api_roles[i].rights, api_routes[r].right),
				     strchr(allowed[r].roles, letters[i]) != NULL),
				  "%s %s", api_routes[r].path, api_roles[i].word);
	}
	for (unsigned int i = 0; i < _ROLE_MAX; i++)
		cr_expect(not(api_may(api_roles[i].rights, RIGHT_CAPTURE)), "%s: by itself alone",
			  api_roles[i].word);
}

Test(api, roles_have_words)
{
	cr_expect(eq(int, api_role_find("approver"), ROLE_APPROVER));
	cr_expect(eq(int, api_role_find("root"), -1));
	cr_expect(eq(int, api_role_find(""), -1));
	cr_expect(eq(str, (char *)(uintptr_t)API_ROLE_WORDS,
		     "viewer|analyst|author|approver|breaker|admin"));
}

/* ---- what comes with a request ---- */

/* What is said of it: "STATUS CODE MEMBER LINE:COLUMN: DETAIL"; fine: the values. */
static const char *said(int r, struct api_problem *p, json_t *values)
{
	static char text[1024];
	char *json = json_dumps(values, JSON_COMPACT | JSON_SORT_KEYS);

	if (r)
		snprintf(text, sizeof(text), "%u %s %s %u:%u: %s", p->status, p->code, p->member,
			 p->line, p->column, p->detail);
	else
		snprintf(text, sizeof(text), "%s", json);
	free(json);
	json_decref(values);
	return text;
}

static const char *body(enum api_route_id route, const char *text)
{
	json_t *values = json_object();
	struct api_problem p = {};
	int r = api_check_body(route, (struct api_text){text, strlen(text)}, values, &p);

	return said(r ?: api_check_all(route, values, &p), &p, values);
}

static void expect_body(enum api_route_id route, const char *text, const char *want)
{
	cr_expect(eq(str, (char *)(uintptr_t)body(route, text), (char *)(uintptr_t)want), "%s",
		  text);
}

Test(api, a_body_has_what_its_route_knows_and_no_more)
{
	expect_body(ROUTE_SILENCE_MAKE, "{\"for\":\"2h\",\"rule\":\"port-scan\"}",
		    "{\"for\":\"2h\",\"rule\":\"port-scan\"}");
	expect_body(ROUTE_SILENCE_MAKE, "{\"for\":\"2h\",\"ruel\":\"x\"}",
		    "400 unknown-member ruel 0:0: unknown member 'ruel', did you mean 'rule'?");
	expect_body(ROUTE_SILENCE_MAKE, "{\"for\":\"2h\",\"zzzzzz\":1}",
		    "400 unknown-member zzzzzz 0:0: unknown member 'zzzzzz'");
	expect_body(ROUTE_SILENCE_MAKE, "{\"rule\":\"x\"}", "400 missing for 0:0: for: is missing");
	expect_body(ROUTE_SILENCE_MAKE, "{\"for\":\"2\"}",
		    "400 value for 0:0: for '2': want a time such as 2h");
	expect_body(ROUTE_SILENCE_MAKE, "{\"for\":2}", "400 type for 0:0: for: want a text");
	expect_body(ROUTE_SILENCE_MAKE, "{\"for\":null}", "400 type for 0:0: for: want a text");
	expect_body(ROUTE_SILENCE_MAKE, "{\"for\":\"2h\",\"rule\":\"a b\"}",
		    "400 value rule 0:0: rule 'a b': want letters, digits, . _ -");
	expect_body(ROUTE_SILENCE_MAKE, "{\"for\":\"2h\",\"rule\":\"\"}",
		    "400 value rule 0:0: rule: is empty");
	expect_body(ROUTE_SILENCE_MAKE, "{\"for\":\"2h\",\"note\":\"a\\u0007\"}",
		    "400 value note 0:0: note: has a control character");
	expect_body(ROUTE_SILENCE_MAKE, "{\"for\":\"2h\",\"note\":\"a\\n\\tb\"}",
		    "{\"for\":\"2h\",\"note\":\"a\\n\\tb\"}");
	expect_body(ROUTE_TOKEN_MAKE, "{\"role\":\"viewer\",\"for\":\"1h\",\"capture\":1}",
		    "400 type capture 0:0: capture: want true or false");
	expect_body(ROUTE_TOKEN_MAKE, "{\"role\":\"viewr\",\"for\":\"1h\"}",
		    "400 value role 0:0: role 'viewr': want one of "
		    "viewer|analyst|author|approver|breaker|admin; did you mean 'viewer'?");
	expect_body(ROUTE_ALERT_ACK, "", "400 missing id 0:0: id: is missing");
	expect_body(ROUTE_ALERT_ACK, "{\"id\":1}",
		    "400 unknown-member id 0:0: unknown member 'id'");
}

/* What comes behind it are the reader's words. */
static void expect_no_json(const char *text, const char *place)
{
	const char *says = body(ROUTE_SILENCE_MAKE, text);
	char want[64];

	snprintf(want, sizeof(want), "400 json  %s: the body is no JSON: ", place);
	cr_expect(eq(int, strncmp(says, want, strlen(want)), 0), "%s: %s", text, says);
}

Test(api, what_is_no_json_has_a_place)
{
	expect_no_json("{\n \"for\": 2h }", "2:10");
	expect_no_json("{\"for\":\"1h\",\"for\":\"2h\"}", "1:17");
	expect_no_json("{\"for\":\"\\u0000\"}", "1:15");
	expect_no_json("{", "1:1");
	expect_body(ROUTE_SILENCE_MAKE, "[]", "400 type  0:0: the body: want an object");
}

Test(api, a_filter_has_a_place)
{
	expect_body(ROUTE_SILENCE_MAKE,
		    "{\"for\":\"2h\",\"filter\":\"src.ip == 10.0.0.1 and\\n dst.prot == 1\"}",
		    "400 filter filter 2:2: filter: unknown field 'dst.prot', did you mean "
		    "'dst.port'?");
	expect_body(ROUTE_SILENCE_MAKE, "{\"for\":\"2h\",\"filter\":\"\"}",
		    "400 value filter 0:0: filter: is empty");
}

Test(api, labels_are_a_list)
{
	expect_body(ROUTE_AGENT_TOKEN, "{\"labels\":[\"ring=canary\",\"a\"]}",
		    "{\"labels\":\"ring=canary,a\"}");
	expect_body(ROUTE_AGENT_TOKEN, "{\"labels\":[]}", "{\"labels\":\"\"}");
	expect_body(ROUTE_AGENT_TOKEN, "{\"labels\":[\"a,b\"]}",
		    "400 value labels 0:0: labels: want KEY or KEY=VALUE");
	expect_body(ROUTE_AGENT_TOKEN, "{\"labels\":[1]}",
		    "400 value labels 0:0: labels: want KEY or KEY=VALUE");
	expect_body(ROUTE_AGENT_TOKEN, "{\"labels\":\"a\"}",
		    "400 type labels 0:0: labels: want a list of texts");
	expect_body(
		ROUTE_AGENT_TOKEN,
		"{\"labels\":[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
		"\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]}",
		"400 value labels 0:0: labels: 16 at most");
}

Test(api, names_are_a_list_and_times_are_times)
{
	expect_body(ROUTE_BACKTEST, "{\"rules\":[\"a\",\"b-c\"],\"from\":\"2026-01-01T00:00:00Z\"}",
		    "{\"from\":\"2026-01-01T00:00:00Z\",\"rules\":[\"a\",\"b-c\"]}");
	expect_body(ROUTE_BACKTEST, "{\"rules\":[]}", "400 value rules 0:0: rules: want 1 to 64");
	expect_body(ROUTE_BACKTEST, "{\"rules\":[\"a b\"]}",
		    "400 value rules 0:0: rules: want names: letters, digits, . _ -");
	expect_body(ROUTE_BACKTEST, "{\"rules\":[1]}",
		    "400 value rules 0:0: rules: want names: letters, digits, . _ -");
	expect_body(ROUTE_BACKTEST, "{\"rules\":\"a\"}",
		    "400 type rules 0:0: rules: want a list of texts");
	expect_body(ROUTE_BACKTEST, "{\"from\":\"yesterday\"}",
		    "400 value from 0:0: from 'yesterday': want a time as RFC 3339 has it");
}

static const char *query(enum api_route_id route, const char *name, const char *value)
{
	json_t *values = json_object();
	struct api_problem p = {};

	return said(api_check_query(route, name, (struct api_text){value, strlen(value)}, values,
				    &p),
		    &p, values);
}

static void expect_query(const char *name, const char *value, const char *want)
{
	cr_expect(eq(str, (char *)(uintptr_t)query(ROUTE_ALERTS, name, value),
		     (char *)(uintptr_t)want),
		  "%s=%s", name, value);
}

Test(api, a_parameter_is_of_its_type)
{
	expect_query("limit", "10", "{\"limit\":10}");
	expect_query("limit", "0", "400 value limit 0:0: limit: want a number from 1 to 1000");
	expect_query("limit", "1001", "400 value limit 0:0: limit: want a number from 1 to 1000");
	expect_query("limit", "-1", "400 value limit 0:0: limit '-1': want a whole number");
	expect_query("limit", "1k", "400 value limit 0:0: limit '1k': want a whole number");
	expect_query("limit", "", "400 value limit 0:0: limit '': want a whole number");
	expect_query("state", "firing", "{\"state\":\"firing\"}");
	expect_query("state", "fireing",
		     "400 value state 0:0: state 'fireing': want one of "
		     "all|firing|resolved|silenced|acknowledged; did you mean 'firing'?");
	expect_query("last", "1h30m", "{\"last\":\"1h30m\"}");
	expect_query("last", "soon", "400 value last 0:0: last 'soon': want a time such as 2h");
	expect_query("filter", "src.ip in 10.0.0.0/8", "{\"filter\":\"src.ip in 10.0.0.0/8\"}");
	expect_query(
		"filter", "src.ip in",
		"400 filter filter 1:10: filter: expected a network, a range, {values} or @list, "
		"but the filter ends here");
	expect_query(
		"stat", "all",
		"400 unknown-member stat 0:0: unknown parameter 'stat', did you mean 'state'?");
	expect_query("rule", "\xff\xfe",
		     "400 value rule 0:0: rule '\xff\xfe': want letters, digits, "
		     ". _ -");
}

Test(api, a_parameter_is_there_once)
{
	json_t *values = json_pack("{s:i}", "limit", 1);
	struct api_problem p = {};
	const struct api_text two = {"2", 1}, cut = {"a\0b", 3};

	cr_expect(eq(int, api_check_query(ROUTE_ALERTS, "limit", two, values, &p), -1));
	cr_expect(eq(str, p.detail, "limit: is there twice"));
	cr_expect(eq(int, api_check_query(ROUTE_ALERTS, "rule", cut, values, &p), -1));
	cr_expect(eq(str, p.detail, "rule: has a control character"));
	json_decref(values);
}

Test(api, a_number_in_a_path_is_one)
{
	json_t *values = json_object();
	struct api_problem p = {};
	struct api_match m;
	unsigned int methods;

	cr_assert(eq(int, api_match(METHOD_GET, "/api/v1/alerts/9223372036854775807", &m, &methods),
		     0));
	cr_expect(eq(int, api_check_path(&m, values, &p), 0));
	cr_expect(eq(i64, json_integer_value(json_object_get(values, "id")), INT64_MAX));
	cr_assert(eq(int, api_match(METHOD_GET, "/api/v1/alerts/9223372036854775808", &m, &methods),
		     0));
	cr_expect(eq(int, api_check_path(&m, values, &p), -1));
	cr_expect(eq(uint, p.status, 400));
	cr_assert(eq(int, api_match(METHOD_GET, "/api/v1/alerts/0", &m, &methods), 0));
	cr_expect(eq(int, api_check_path(&m, values, &p), -1));
	json_decref(values);
}

Test(api, a_tag_is_found_in_a_list)
{
	static const char tag[] = "\"abc\"";

	cr_expect(api_etag_listed("\"abc\"", tag));
	cr_expect(api_etag_listed("*", tag));
	cr_expect(api_etag_listed("\"x\", W/\"abc\"", tag));
	cr_expect(api_etag_listed(" , ,\"abc\" ", tag));
	cr_expect(not(api_etag_listed("\"abcd\"", tag)));
	cr_expect(not(api_etag_listed("abc", tag)));
	cr_expect(not(api_etag_listed("", tag)));
	cr_expect(not(api_etag_listed("W/", tag)));
}

/* ---- problems ---- */

Test(api, a_problem_is_json_whatever_came)
{
	struct api_problem p = {.line = 2, .column = 3};
	json_t *o;

	api_problem(&p, 400, "value", "rule '\xff\x07%s'", "\xe2\x80");
	o = api_problem_json(&p);
	cr_expect(eq(str, (char *)json_string_value(json_object_get(o, "title")), "Bad Request"));
	cr_expect(eq(i64, json_integer_value(json_object_get(o, "status")), 400));
	cr_expect(eq(i64, json_integer_value(json_object_get(o, "line")), 2));
	cr_expect(eq(i64, json_integer_value(json_object_get(o, "column")), 3));
	cr_expect(eq(str, (char *)json_string_value(json_object_get(o, "type")), "about:blank"));
	cr_expect(json_object_get(o, "detail") != NULL);
	cr_expect(eq(ptr, json_object_get(o, "member"), NULL));
	json_decref(o);
}

/* ---- wrong tokens ---- */

Test(api, wrong_tokens_have_a_rate)
{
	static struct guard g;
	const uint8_t a[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1},
		      b[16] = {0x20, 0x01, 0x0d, 0xb8, 1};
	uint8_t near[16] = {0x20, 0x01, 0x0d, 0xb8, 1, [15] = 9};
	const int64_t t = INT64_C(1800000000000000);

	guard_init(&g, 1);
	for (unsigned int i = 0; i < GUARD_TRIES; i++)
		cr_expect(eq(uint, guard_bad(&g, a, t), 0));
	cr_expect(eq(uint, guard_bad(&g, a, t), 60));
	cr_expect(eq(uint, guard_bad(&g, a, t + 59500000), 1));
	cr_expect(eq(uint, guard_bad(&g, a, t + 60000000), 0), "a minute later");
	for (unsigned int i = 0; i < GUARD_TRIES; i++)
		cr_expect(eq(uint, guard_bad(&g, i % 2 ? b : near, t), 0), "a /64 is one");
	cr_expect(ne(uint, guard_bad(&g, b, t), 0));
	cr_expect(eq(uint, guard_bad(&g, b, t - 1), 0),
		  "a clock that was set back keeps nobody out");
}
