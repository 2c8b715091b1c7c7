// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_filter.c - filters as people type them, and completion at every cursor.
 *
 * The first byte is a choice: 0 completes, others parse, print, parse again (the same text must
 * come out) and match against two records: one without fields, one with all, text from the input. Bytes behind a 0 are the text of the list @l and of the
 * parameter $p.
 *
 * Covers: common/filter_lex.c common/filter_parse.c common/filter_value.c common/filter_set.c
 * Covers: common/filter_words.c common/filter_ast.c common/filter_print.c common/filter_compile.c
 * Covers: common/filter_match.c common/filter_complete.c common/filter_error.c
 * Options: -max_len=4096
 */
#include <stdlib.h>
#include <string.h>

#include "common/filter_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *resolve(void *arg, char kind, const char *name)
{
	(void)kind;
	return name[0] == 'l' || name[0] == 'p' ? arg : NULL;
}

static void count_word(void *arg, const char *word, const char *doc)
{
	if (!*word || !doc)
		abort();
	++*(unsigned int *)arg;
}

static char *print(const struct filter_ast *a)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out || filter_ast_print(a, out) || fclose(out))
		abort();
	return text;
}

static void check_error(const struct filter_error *e)
{
	char text[FILTER_ERROR_TEXT];

	if (!e->line || !e->column || !e->message[0])
		abort();
	for (const char *s = filter_error_text(e, text); *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			abort();
}

/* What is printed parses, and prints the same. */
static void print_again(const struct filter_ast *a, const struct filter_env *env)
{
	struct filter_ast b = {};
	struct filter_error err;
	char *text = print(a), *again;
	struct filter_parser p = {
		.text = text, .len = (uint32_t)strlen(text), .ast = &b, .env = env, .err = &err};

	/* Written out, a filter can be longer and deeper than one may be typed. */
	if (!filter_parse_ast(&p)) {
		again = print(&b);
		if (strcmp(text, again) != 0)
			abort();
		free(again);
	} else if (p.len <= FILTER_TEXT_MAX && p.depth < FILTER_DEPTH_MAX) {
		abort();
	}
	filter_ast_done(&b);
	free(text);
}

/* Every field is there; numbers and strings are what the input has. */
static void match(const struct filter *f, const char *text, uint32_t len)
{
	static const struct flow_record nothing;
	const struct flow_str s = {text, len}, hosts[] = {s, {"b.example", 9}};
	const struct flow_query queries[] = {{.qname = s}, {.qname = {"c.example", 9}}};
	struct flow_record r;

	memset(&r, 0, sizeof(r));
	memcpy(&r, text, len < sizeof(r) ? len : sizeof(r));
	r.tls_sni = r.http_host = r.http_method = r.http_path = r.dns_qname = s;
	r.tls_alpn = r.iface = r.node = s;
	r.http_hosts = r.labels = (struct flow_strs){hosts, 2};
	r.dns_queries = (struct flow_queries){queries, 2};
	for (unsigned int i = 0; i < _FF_MAX; i++)
		flow_set(&r, i);
	filter_match(f, &nothing);
	filter_match(f, &r);
}

static void parse(const char *text, size_t len, const struct filter_env *env)
{
	struct filter_ast a = {};
	struct filter_error err = {};
	struct filter_parser p = {
		.text = text, .len = (uint32_t)len, .ast = &a, .env = env, .err = &err};
	struct filter *f = NULL;

	if (!filter_parse_ast(&p)) {
		print_again(&a, env);
		filter_ast_done(&a);
	}
	if (filter_parse(text, len, env, &f, &err)) {
		check_error(&err);
		return;
	}
	match(f, text, (uint32_t)len);
	filter_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1, *end;
	struct filter_env env = {.resolve = resolve, .added = true};
	unsigned int words = 0;
	size_t len;
	char *list;

	if (!size)
		return 0;
	len = size - 1;
	end = memchr(text, 0, len);
	list = end ? strndup(end + 1, len - (size_t)(end + 1 - text)) : strdup("10.0.0.0/8, ::1");
	if (!list)
		return 0;
	len = end ? (size_t)(end - text) : len;
	env.arg = list;
	if (!data[0] || data[0] == '?') {
		if (filter_complete(text, len, &env, count_word, &words) > len)
			abort();
	} else {
		parse(text, len, &env);
	}
	free(list);
	return 0;
}
