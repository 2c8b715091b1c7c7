/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_config.c - the syntax of configuration files: values as they are meant, every error with its
 * place, limits.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"

static struct config_errors errs;
static struct config *conf;

static int parse(const char *text)
{
	return config_parse(text, strlen(text), &conf, &errs);
}

static void done(void)
{
	config_free(conf);
	conf = NULL;
}

TestSuite(config, .fini = done, .timeout = 120);

/* Value of the one key in @text. */
static const char *value(const char *text)
{
	char file[512];

	snprintf(file, sizeof(file), "[s]\nk = %s", text);
	cr_assert_eq(parse(file), 0, "%s: %u:%u %s", text, errs.list[0].line, errs.list[0].col,
		     errs.list[0].text);
	cr_assert_eq(conf->n_entries, 1);
	return conf->entries[0].value;
}

struct value_case {
	char text[64], want[64];
};

ParameterizedTestParameters(config, a_value_is_what_is_meant)
{
	static struct value_case cases[] = {
		{"1", "1"},
		{"  a b  \t\n", "a b"},
		{"a # b", "a"},
		{"a ; b", "a"},
		{"a#b", "a#b"},
		{"\"a # b\"", "a # b"},
		{"\"a\" # b", "a"},
		{"\"\"", ""},
		{"\"\\\"\\\\\\n\\t\"", "\"\\\n\t"},
		{"x = \"a # b\" and y", "x = \"a # b\" and y"},
		{"x = \"a \\\" # b\" # c", "x = \"a \\\" # b\""},
		{"a\r\n", "a"},
		{"caf\xc3\xa9", "caf\xc3\xa9"},
		{"[1]", "[1]"},
	};

	return cr_make_param_array(struct value_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct value_case *c, config, a_value_is_what_is_meant)
{
	cr_assert_str_eq(value(c->text), c->want);
}

struct error_case {
	char text[64];
	uint32_t line, col;
	char want[64];
};

ParameterizedTestParameters(config, an_error_says_where_and_what)
{
	static struct error_case cases[] = {
		{"k = 1", 1, 1, "in no section"},
		{"[s", 1, 3, "']' is missing"},
		{"[s] x", 1, 5, "text behind ']'"},
		{"[]", 1, 2, "the name of a section is missing"},
		{"[s a b]", 1, 6, "']' is missing"},
		{"[s \"a]", 1, 4, "this quote is not closed"},
		{"[s]\nk", 2, 2, "'=' is missing"},
		{"[s]\n  = 1", 2, 3, "want 'key = value'"},
		{"[s]\nk =", 2, 4, "a value is missing"},
		{"[s]\nk = # c", 2, 5, "a value is missing"},
		{"[s]\nk = \"a", 2, 5, "this quote is not closed"},
		{"[s]\nk = a \"b", 2, 7, "this quote is not closed"},
		{"[s]\nk = \"a\" b", 2, 9, "text behind the closing quote"},
		{"[s]\nk = \"a\\q\"", 2, 7, "unknown escape"},
		{"[s]\nk = 1\nk = 2", 3, 1, "key 'k' is in line 2 already"},
		{"[s]\n[s]", 2, 2, "section [s] is in line 1 already"},
		{"[s a]\n[s a]", 2, 2, "section [s a] is in line 1 already"},
		{"[s]\nk = \001", 2, 5, "control character 0x01"},
		{"[s]\nk = \xff", 2, 5, "byte 0xff is not UTF-8"},
		{"\xef\xbb\xbf[s]", 1, 1, "want 'key = value'"},
	};

	return cr_make_param_array(struct error_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct error_case *c, config, an_error_says_where_and_what)
{
	cr_assert_eq(parse(c->text), -EINVAL, "%s", c->text);
	cr_assert_eq(errs.count, 1, "%s: %u errors", c->text, errs.count);
	cr_assert_eq(errs.list[0].line, c->line, "%s: line %u", c->text, errs.list[0].line);
	cr_assert_eq(errs.list[0].col, c->col, "%s: column %u", c->text, errs.list[0].col);
	cr_assert(strstr(errs.list[0].text, c->want), "%s: %s", c->text, errs.list[0].text);
}

Test(config, all_errors_of_a_file_are_told)
{
	cr_assert_eq(parse("k = 1\n[a]\nx\ny =\n[b\nz = 1\n[c]\nk = 1\n"), -EINVAL);
	cr_assert_eq(errs.count, 4);
	for (uint32_t i = 1; i < errs.count; i++)
		cr_assert(errs.list[i].line > errs.list[i - 1].line);
	/* what was right is there; the keys of a section that could not be read are in none */
	cr_assert_eq(conf->n_sections, 2);
	cr_assert_eq(conf->n_entries, 1);
}

Test(config, sections_have_names_and_their_entries)
{
	cr_assert_eq(parse("[run]\na = 1\nb = 2\n[interface eth*]\na = 3\n[interface \"x y\"]\n"),
		     0);
	cr_assert_eq(conf->n_sections, 3);
	cr_assert_null(conf->sections[0].name);
	cr_assert_eq(conf->sections[0].entries, 2);
	cr_assert_str_eq(conf->sections[1].name, "eth*");
	cr_assert_eq(conf->sections[1].first, 2);
	cr_assert_str_eq(conf->sections[2].name, "x y");
	cr_assert_eq(conf->sections[2].entries, 0);
	cr_assert_eq(conf->entries[2].section, 1);
	cr_assert_eq(conf->entries[2].line, 5);
	cr_assert_eq(conf->entries[2].value_col, 5);
}

Test(config, the_same_kind_with_another_name_is_another_section)
{
	cr_assert_eq(parse("[i a]\nk = 1\n[i b]\nk = 1\n[i]\nk = 1\n"), 0);
}

/* [s], and @n lines of a number between @before and @after */
static char *repeat(const char *before, const char *after, unsigned int n, size_t *ret_len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);

	fputs("[s]\n", out);
	for (unsigned int i = 0; i < n; i++)
		fprintf(out, "%s%u%s\n", before, i, after);
	fclose(out);
	return text;
}

Test(config, limits_are_errors)
{
	struct {
		const char *before, *after;
		unsigned int n;
		const char *want;
	} cases[] = {
		{"k", "=1", CONFIG_ENTRIES_MAX + 1, "more than 4096 settings"},
		{"[t", "]", CONFIG_SECTIONS_MAX, "more than 512 sections"},
		{"#", "", CONFIG_BYTES_MAX / 3, "larger than"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len;
		char *text = repeat(cases[i].before, cases[i].after, cases[i].n, &len);

		errs.count = 0;
		cr_assert_eq(config_parse(text, len, &conf, &errs), -EINVAL);
		cr_assert_eq(errs.count, 1, "%s: %u", cases[i].want, errs.count);
		cr_assert(strstr(errs.list[0].text, cases[i].want), "%s", errs.list[0].text);
		done();
		free(text);
	}
}

Test(config, a_long_line_is_an_error_and_the_next_is_read)
{
	char text[CONFIG_LINE_MAX + 64];
	int at = snprintf(text, sizeof(text), "[s]\nk = ");

	memset(text + at, 'x', CONFIG_LINE_MAX);
	snprintf(text + at + CONFIG_LINE_MAX, 16, "\nl = 1\n");
	cr_assert_eq(parse(text), -EINVAL);
	cr_assert_eq(errs.list[0].line, 2);
	cr_assert_eq(conf->n_entries, 1);
	cr_assert_str_eq(conf->entries[0].key, "l");
}

Test(config, errors_beyond_the_list_are_counted)
{
	size_t len;
	char *text = repeat("", "", 100, &len);

	cr_assert_eq(config_parse(text, len, &conf, &errs), -EINVAL);
	cr_assert_eq(errs.count, 100);
	config_errors_sort(&errs);
	cr_assert_eq(errs.list[CONFIG_ERRORS_MAX - 1].line, CONFIG_ERRORS_MAX + 1);
	free(text);
}
