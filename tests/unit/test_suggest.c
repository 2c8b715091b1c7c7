// SPDX-License-Identifier: Apache-2.0
/*
 * test_suggest.c - which known word is meant by an unknown one.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "common/suggest.h"

static const char *const known[] = {"src.ip",	 "dst.ip",   "dst.port", "proto",  "tls.sni",
				    "out.bytes", "in.bytes", "bytes",	 "packets"};

static const char *meant(const char *word)
{
	struct suggest s;

	suggest_init(&s, word, strlen(word));
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		suggest_try(&s, known[i]);
	return s.best ? s.best : "(nothing)";
}

Test(suggest, finds_the_nearest_word)
{
	static const struct {
		const char *word, *want;
	} rows[] = {
		{"prot", "proto"},	  {"porto", "proto"},	     {"PROTO", "proto"},
		{"dst.prot", "dst.port"}, {"src.pi", "src.ip"},	     {"sni", "tls.sni"},
		{"byte", "bytes"},	  {"pakcets", "packets"},    {"xyzzy", "(nothing)"},
		{"", "(nothing)"},	  {"x", "(nothing)"},	     {"portt", "dst.port"},
		{"tls.snii", "tls.sni"},  {"out.btes", "out.bytes"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(eq(str, (char *)meant(rows[i].word), (char *)rows[i].want), "%s",
			  rows[i].word);
}

Test(suggest, passes_over_words_longer_than_its_table)
{
	char word[SUGGEST_WORD_MAX + 2];
	struct suggest s;

	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = 0;
	suggest_init(&s, word, strlen(word));
	suggest_try(&s, "aaaa");
	cr_expect(s.best == NULL);
	suggest_init(&s, "aaaa", 4);
	suggest_try(&s, word);
	cr_expect(s.best == NULL);
	suggest_try(&s, "aaab");
	cr_expect(eq(str, (char *)s.best, "aaab"));
}
