// SPDX-License-Identifier: Apache-2.0
/*
 * test_term.c - text at the width of a terminal.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/term.h"

static void expect_wrapped(const char *text, unsigned int columns, unsigned int indent,
			   const char *want)
{
	char *got = NULL;
	size_t len;
	FILE *f = open_memstream(&got, &len);

	cr_assert(f != NULL);
	term_wrap(f, text, columns, indent);
	fclose(f);
	cr_expect(eq(str, got, (char *)want), "%u columns: %s", columns, text);
	free(got);
}

Test(term, lines_are_broken_at_spaces)
{
	expect_wrapped("one two three four\n", 9, 2, "one two\n  three\n  four\n");
	expect_wrapped("one two three four\n", 18, 2, "one two three four\n");
	expect_wrapped("one two three four\n", 17, 2, "one two three\n  four\n");
	expect_wrapped("a b\nc d\n", 3, 1, "a b\nc d\n");
	expect_wrapped("a\n\nb\n", 10, 1, "a\n\nb\n");
	expect_wrapped("", 10, 1, "");
}

Test(term, a_long_word_stays_whole)
{
	expect_wrapped("  key /a/long/path/name and more\n", 10, 2,
		       "  key\n  /a/long/path/name\n  and more\n");
	expect_wrapped("abcdefghijkl m\n", 5, 0, "abcdefghijkl\nm\n");
}

Test(term, an_indent_that_takes_the_line_is_none)
{
	expect_wrapped("one two three\n", 8, 20, "one two\nthree\n");
}

Test(term, without_columns_nothing_changes)
{
	expect_wrapped("one two three four\nfive", 0, 4, "one two three four\nfive");
}

Test(term, characters_count_not_bytes)
{
	expect_wrapped("ääää öööö\n", 9, 0, "ääää öööö\n");
	expect_wrapped("ääää öööö\n", 8, 0, "ääää\nöööö\n");
}

Test(term, what_is_no_terminal_is_as_wide_as_is_said)
{
	FILE *f = tmpfile();

	cr_assert(f != NULL);
	cr_expect(eq(u32, term_columns(fileno(f), 0), 0));
	cr_expect(eq(u32, term_columns(fileno(f), 100), 100));
	fclose(f);
}
