// SPDX-License-Identifier: Apache-2.0
/*
 * test_node_capture.c - messages about files of packets, and the range of one that a client asks for.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/api/api_int.h"
#include "common/node_capture.h"

TestSuite(node_capture);

static int collect(void *arg, const struct node_text *head, const struct node_text *m)
{
	char *text = arg;

	snprintf(text + strlen(text), 400 - strlen(text), "%lld %s %s;", (long long)head->round,
		 m->file, m->state);
	return 0;
}

#define ONE(more) "{\"round\":7,\"captures\":[{\"file\":\"00000000000000a1\",\"state\":" more "}]}"

Test(node_capture, a_list_is_checked)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"{\"round\":7,\"captures\":[]}", ""},
		{ONE("\"open\",\"rule\":\"r\",\"value\":\"192.0.2.1\""),
		 "7 00000000000000a1 open;"},
		{ONE("\"removed\""), "7 00000000000000a1 removed;"},
		{ONE("\"open\",\"value\":\"192.0.2.1\""), "rule: is missing"},
		{ONE("\"open\",\"rule\":\"r\",\"value\":\"x\""), "value: want an address"},
		{ONE("\"open\",\"rule\":\"r\",\"value\":\"::1\",\"to\":\"?\""),
		 "to: want an address"},
		{ONE("\"lost\""), "state: no such word"},
		{ONE("1"), "state: want a text"},
		{"{\"captures\":[]}", "round: is missing"},
		{"{\"round\":7}", "captures: want a list, 24 at most"},
		{"{\"round\":7,\"captures\":[1]}", "want a JSON object"},
		{"{\"round\":7,\"captures\":[{\"file\":\"../../etc/passwd\",\"state\":\"open\"}]}",
		 "file: want 16 hexadecimal digits"},
		{"[]", "want a JSON object"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char said[400] = "", error[NODE_MESSAGE_ERROR] = "";
		const struct node_captures to = {collect, said};
		struct node_text *head = malloc(sizeof(*head));

		(void)node_captures_read(cases[i].text, strlen(cases[i].text), &to, head, error);
		cr_expect(eq(str, *error ? error : said, (char *)(uintptr_t)cases[i].said), "%s",
			  cases[i].text);
		free(head);
	}
}

static void set(char *to, size_t cap, const char *text)
{
	snprintf(to, cap, "%s", text);
}

Test(node_capture, the_longest_list_fits)
{
	struct node_text *v = calloc(NODE_CAPTURES_MAX + 1, sizeof(*v)),
			 *head = &v[NODE_CAPTURES_MAX];
	char said[400] = "", error[NODE_MESSAGE_ERROR] = "", *text;
	const struct node_captures to = {collect, said};

	for (unsigned int i = 0; i < NODE_CAPTURES_MAX; i++) {
		struct node_text *m = &v[i];

		set(m->file, sizeof(m->file), "ffffffffffffffff");
		set(m->state, sizeof(m->state), "complete");
		memset(m->rule, '"', 63);
		set(m->scope, sizeof(m->scope), "src.ip");
		set(m->value, sizeof(m->value), "2001:0db8:2001:2001:2001:2001:198.151.100.254");
		set(m->to, sizeof(m->to), m->value);
		m->alert = m->decision = m->fired_us = m->first_us = m->last_us = INT64_MAX;
		m->packets = m->dropped = m->bytes = INT64_MAX;
	}
	head->round = INT64_MAX;
	head->all = 1;
	text = node_captures_write(head, v, NODE_CAPTURES_MAX);
	cr_expect(le(sz, strlen(text), (size_t)NODE_MESSAGE_MAX));
	(void)node_captures_read(text, strlen(text), &to, head, error);
	cr_expect(ne(str, error, "want a JSON object"));
	free(text);
	free(v);
}

Test(node_capture, a_piece_is_a_line_and_octets)
{
	static const struct {
		const char *text, *said;
		size_t octets;
	} cases[] = {
		{"{}\n", "", 0},
		{"{\"fetch\":3,\"offset\":2,\"size\":5}\nabc", "", 3},
		{"{\"fetch\":3,\"offset\":2,\"size\":5}\nabcd", "offset: beyond size", 0},
		{"{\"fetch\":3,\"offset\":6,\"size\":5}\n", "offset: beyond size", 0},
		{"{\"fetch\":3,\"error\":\"gone\"}\n", "", 0},
		{"{\"fetch\":3,\"error\":\"gone\",\"size\":9}\nx", "error: with octets", 0},
		{"{\"size\":9}\nx", "fetch: is missing", 0},
		{"{\"fetch\":3}", "want a line of JSON", 0},
		{"", "want a line of JSON", 0},
		{"{\"wait_ms\":60001}\n", "wait_ms: out of range", 0},
	};
	struct node_text *m = malloc(sizeof(*m));

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char error[NODE_MESSAGE_ERROR] = "";
		struct node_octets o = {};

		(void)node_piece_read(cases[i].text, strlen(cases[i].text), m, &o, error);
		cr_expect(eq(str, error, (char *)(uintptr_t)cases[i].said), "%s", cases[i].text);
		if (!*error)
			cr_expect(eq(sz, o.n, cases[i].octets));
	}
	free(m);
}

Test(node_capture, ranges_that_go_to_the_end)
{
	static const struct {
		const char *text;
		int64_t from;
	} cases[] = {{NULL, -1},
		     {"bytes=0-", 0},
		     {"bytes=300000-", 300000},
		     {"bytes=1-2", -1},
		     {"bytes=-5", -1},
		     {"bytes=1-,3-", -1},
		     {"octets=1-", -1},
		     {"bytes=", -1},
		     {"bytes=99999999999999999999-", -1},
		     {"bytes=9223372036854775807-", INT64_MAX},
		     {"bytes=9223372036854775808-", -1}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect(eq(i64, api_range_from(cases[i].text), cases[i].from), "%s",
			  cases[i].text ?: "none");
}
