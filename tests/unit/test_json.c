// SPDX-License-Identifier: Apache-2.0
/*
 * test_json.c - whatever goes in, JSON comes out; and the text of numbers, addresses and times.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/num_text.h"
#include "json_check.h"

static char buf[4096];

static const char *string(const char *s, size_t len)
{
	struct json j;
	size_t n = 0;

	json_init(&j, buf, sizeof(buf) - 1);
	json_str(&j, s, len);
	cr_assert(eq(int, json_end(&j, &n), 0));
	cr_expect(eq(sz, json_check(buf, n), 0), "%.*s", (int)n, buf);
	buf[n] = 0;
	return buf;
}

struct escape_case {
	const char *in;
	size_t len;
	const char *out;
};

Test(json, strings_keep_what_is_text_and_escape_the_rest)
{
	static const struct escape_case cases[] = {
		{"", 0, "\"\""},
		{"www.example.com", 15, "\"www.example.com\""},
		{"a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\""},
		{"\n\r\t\b\0\x1b\x7f", 7, "\"\\n\\r\\t\\u0008\\u0000\\u001b\\u007f\""},
		{"b\xc3\xbc"
		 "cher.de",
		 10,
		 "\"b\xc3\xbc"
		 "cher.de\""},
		{"\xe2\x82\xac\xf0\x9f\x98\x80", 7, "\"\xe2\x82\xac\xf0\x9f\x98\x80\""},
		{"\xc2\x9b"
		 "31m",
		 5, "\"\\u009b31m\""}, /* C1: a terminal's escape */
		{"\xff", 1, "\"\\ufffd\""},
		{"\x80z", 2, "\"\\ufffdz\""},
		{"\xc0\xaf", 2, "\"\\ufffd\\ufffd\""}, /* overlong */
		{"\xe0\x80\xaf", 3, "\"\\ufffd\\ufffd\\ufffd\""},
		{"\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\""},	     /* a surrogate */
		{"\xf4\x90\x80\x80", 4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* beyond U+10FFFF */
		{"\xe2\x82", 2, "\"\\ufffd\\ufffd\""},			     /* cut short */
		{"\xe2\x82z", 3, "\"\\ufffd\\ufffdz\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect(eq(str, (char *)string(cases[i].in, cases[i].len), (char *)cases[i].out),
			  "case %zu", i);
}

Test(json, any_bytes_make_a_valid_string)
{
	uint64_t x = 0x9e3779b97f4a7c15;
	char in[64];

	for (int round = 0; round < 200000; round++) {
		size_t len = 1 + round % sizeof(in);

		for (size_t i = 0; i < len; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			/* Lead and continuation bytes far more often than chance has them. */
			in[i] = (char)(x & 1 ? x >> 8 : 0x80 | (x >> 8 & 0x7f));
		}
		string(in, len);
	}
}

Test(json, objects_and_lists_nest_with_their_commas)
{
	struct json j;
	size_t n = 0;

	json_init(&j, buf, sizeof(buf));
	json_open(&j, '{');
	json_key(&j, "a", 1);
	json_u64(&j, 0);
	json_key(&j, "b", 1);
	json_open(&j, '[');
	json_u64(&j, UINT64_MAX);
	json_open(&j, '{');
	json_close(&j, '}');
	json_str(&j, "x", 1);
	json_close(&j, ']');
	json_key(&j, "c", 1);
	json_open(&j, '[');
	json_close(&j, ']');
	json_close(&j, '}');
	cr_assert(eq(int, json_end(&j, &n), 0));
	buf[n] = 0;
	cr_expect(eq(str, buf, "{\"a\":0,\"b\":[18446744073709551615,{},\"x\"],\"c\":[]}"));
	cr_expect(eq(sz, json_check(buf, n), 0));
}

Test(json, a_text_that_does_not_fit_is_refused_and_nothing_written_past_the_end)
{
	for (size_t cap = 0; cap < 40; cap++) {
		char *small = malloc(cap + 1);
		struct json j;
		size_t n = 0;
		int r;

		cr_assert(small != NULL);
		small[cap] = 'x';
		json_init(&j, small, cap);
		json_open(&j, '{');
		json_key(&j, "key", 3);
		json_str(&j,
			 "va\x01lu\xff"
			 "e",
			 7);
		json_key(&j, "n", 1);
		json_u64(&j, 1234567);
		json_close(&j, '}');
		r = json_end(&j, &n);
		cr_expect(eq(int, r, cap < 39 ? -ENOSPC : 0), "cap %zu len %zu", cap, j.len);
		cr_expect(eq(chr, small[cap], 'x'));
		free(small);
	}
}

Test(json, an_unfinished_text_is_refused)
{
	struct json j;
	size_t n = 0;

	json_init(&j, buf, sizeof(buf));
	json_open(&j, '{');
	cr_expect(eq(int, json_end(&j, &n), -ENOSPC));
}

Test(json, the_check_itself_refuses_what_is_no_json)
{
	static const char *const bad[] = {
		"",	      "{",	   "{\"a\":}",
		"{\"a\":1,}", "[1,]",	   "\"\x01\"",
		"\"\xff\"",   "\"\\x\"",   "01",
		"1.5",	      "null",	   "{\"a\":1,\"a\":2}",
		"{\"a\":1}x", "\"\\u12\"", "\"\xed\xa0\x80\"",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(gt(sz, json_check(bad[i], strlen(bad[i])), 0), "%s", bad[i]);
}

/* ---- num_text.h ---- */

struct ip_case {
	uint8_t ip[16];
	int family;
	const char *text;
};

#define MAPPED(a, b, c, d)                    \
	{                                     \
		[10] = 0xff, 0xff, a, b, c, d \
	}

Test(num_text, addresses_are_written_as_rfc_5952_says)
{
	static const struct ip_case cases[] = {
		{MAPPED(10, 0, 0, 1), 4, "10.0.0.1"},
		{MAPPED(255, 255, 255, 255), 0, "255.255.255.255"},
		{MAPPED(192, 0, 2, 1), 6, "::ffff:192.0.2.1"},
		{{0}, 6, "::"},
		{{[15] = 1}, 6, "::1"},
		{{0x20, 0x01, 0x0d, 0xb8, [15] = 1}, 6, "2001:db8::1"},
		{{0x20, 0x01, 0x0d, 0xb8}, 6, "2001:db8::"},
		{{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}, 6, "2001:db8:0:1::1"},
		{{0x20, 0x01, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1}, 6, "2001::1:0:0:1:1"},
		{{0x20, 0x01, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}, 6, "2001:0:1:1:1:1:1:1"},
		{{0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 0, 0, 0}, 6, "1:2:3:4:5:6::"},
		{{0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 0}, 6, "1:2:3:4:5:6:7:0"},
		{{0, 0, 0, 0, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0xab, 0xcd}, 6, "::3:4:5:6:7:abcd"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[IP_TEXT];
		size_t n = ip_text(cases[i].ip, cases[i].family, text);

		cr_expect(eq(str, text, (char *)cases[i].text));
		cr_expect(eq(sz, n, strlen(text)));
	}
}

Test(num_text, times_are_rfc_3339_with_microseconds)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{0, "1970-01-01T00:00:00.000000Z"},
		{UINT64_C(951782399999999999), "2000-02-28T23:59:59.999999Z"},
		{UINT64_C(951782400000000000), "2000-02-29T00:00:00.000000Z"},
		{UINT64_C(951868800000000000), "2000-03-01T00:00:00.000000Z"},
		{UINT64_C(1788266468120113000), "2026-09-01T12:41:08.120113Z"},
		{UINT64_C(1798761599000001999), "2026-12-31T23:59:59.000001Z"},
		{UINT64_C(4107542400000000000), "2100-03-01T00:00:00.000000Z"},
		{UINT64_MAX, "2554-07-21T23:34:33.709551Z"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[TIME_TEXT];

		cr_expect(eq(sz, time_text(cases[i].ns, text), TIME_TEXT - 1));
		cr_expect(eq(str, text, (char *)cases[i].text));
	}
}
