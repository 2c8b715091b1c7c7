// SPDX-License-Identifier: Apache-2.0
/*
 * filter_set.c - what stands behind `in`: a network, a range, values in braces, a list.
 */
#include <string.h>

#include "common/filter_int.h"

static int members(struct filter_parser *p, enum flow_field f, enum filter_token_type end);

/* The values of @name, read from its own text. */
static int list(struct filter_parser *p, enum flow_field f)
{
	struct filter_value v = {.type = FV_LIST, .str_len = p->tok.len - 1};
	struct filter_parser sub = *p;
	struct filter_error err;
	int name = filter_add_bytes(p, p->text + p->tok.at + 1, p->tok.len - 1), r;

	if (name < 0)
		return name;
	v.str = (uint32_t)name;
	sub.text = p->env && p->env->resolve
			   ? p->env->resolve(p->env->arg, '@', p->ast->bytes + name)
			   : NULL;
	if (!sub.text)
		return filter_fail(p, p->tok.at, "no list '%.*s' here", TOKEN_ARGS(p));
	sub.len = (uint32_t)strnlen(sub.text, UINT32_MAX / 2);
	sub.pos = 0;
	sub.err = &err;
	filter_next(&sub);
	r = sub.tok.type == TOK_END ? 0 : members(&sub, f, TOK_END);
	if (r < 0) {
		filter_fail(p, p->tok.at, "%.*s, line %u col %u: %s", TOKEN_ARGS(p), err.line,
			    err.column, err.message);
		return r;
	}
	v.sub = (uint32_t)r;
	r = filter_add_value(p, &v);
	if (r >= 0)
		filter_next(p);
	return r;
}

/* A list's text has no lists: they could hold each other. */
static int member(struct filter_parser *p, enum flow_field f, enum filter_token_type end)
{
	if (p->tok.type == TOK_LIST && end != TOK_END)
		return list(p, f);
	return filter_value(p, f, true);
}

/* Is there another value? Within [] it may stand without a comma. */
static bool more(const struct filter_parser *p, enum filter_token_type end)
{
	return p->tok.type == TOK_COMMA ||
	       (end == TOK_ROW_CLOSE && (p->tok.type == TOK_WORD || p->tok.type == TOK_LIST));
}

/* Values with commas between them, up to @end. Index of the first. */
static int members(struct filter_parser *p, enum flow_field f, enum filter_token_type end)
{
	int first = member(p, f, end), last = first;

	while (last >= 0 && more(p, end)) {
		int v;

		if (p->tok.type == TOK_COMMA)
			filter_next(p);
		v = member(p, f, end);
		if (v < 0)
			return v;
		p->ast->values[last].next = (uint32_t)v;
		last = v;
	}
	if (last < 0)
		return last;
	if (p->tok.type != end)
		return filter_fail_expected(p, EXPECT_NOTHING,
					    end == TOK_END	   ? "',' between values"
					    : end == TOK_SET_CLOSE ? "',' or '}'"
								   : "a value or ']'");
	return first;
}

int filter_set(struct filter_parser *p, enum flow_field f)
{
	const uint32_t at = p->tok.at;
	int v;

	if (p->tok.type == TOK_LIST)
		return list(p, f);
	if (p->tok.type == TOK_SET_OPEN || p->tok.type == TOK_ROW_OPEN) {
		const enum filter_token_type end = p->tok.type == TOK_SET_OPEN ? TOK_SET_CLOSE
									       : TOK_ROW_CLOSE;

		filter_next(p);
		v = members(p, f, end);
		if (v >= 0)
			filter_next(p);
		return v;
	}
	if (p->tok.type != TOK_WORD && p->tok.type != TOK_PARAM) {
		p->expect_field = f;
		return filter_fail_expected(p, EXPECT_SET, "a network, a range, {values} or @list");
	}
	v = filter_value(p, f, true);
	if (v < 0)
		return v;
	if (p->ast->values[v].type == FV_NUMBER || p->ast->values[v].type == FV_IP)
		return filter_fail(p, at, "one value is no set: use ==, or braces around it");
	return v;
}
