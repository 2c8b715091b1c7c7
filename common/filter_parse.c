// SPDX-License-Identifier: Apache-2.0
/*
 * filter_parse.c - the grammar: text to tree. Recursive descent; depth and size are bounded.
 *
 *   expr = or;  or = and {"or" and};  and = not {"and" not};  not = ["not"] prim
 *   prim = "(" expr ")" | "exists" "(" field ")" | field op value | field "in" set | sugar
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/filter_tree.h"
#include "common/flow_text.h"
#include "common/suggest.h"

static int parse_or(struct filter_parser *p);

int filter_field_find(const char *word, size_t len)
{
	for (int f = 0; f < _FF_MAX; f++)
		if (strlen(flow_fields[f].path) == len && !memcmp(flow_fields[f].path, word, len))
			return f;
	return -1;
}

/* ---- fields ---- */

bool filter_field_known(const struct filter_env *env, enum flow_field f)
{
	return !flow_fields[f].added || (env && env->added);
}

int filter_not_here(struct filter_parser *p, uint32_t at, uint32_t len)
{
	return filter_fail(p, at,
			   "'%.*s' is known to the collector alone: ask 'weir-collector query'",
			   (int)len, p->text + at);
}

static int unknown_field(struct filter_parser *p)
{
	const char *word = p->text + p->tok.at, *sugar;
	struct suggest near;
	uint64_t number;
	char name[32];

	if (p->tok.len < sizeof(name)) {
		memcpy(name, word, p->tok.len);
		name[p->tok.len] = 0;
		if (!filter_word_number(FT_PROTO, name, &number) &&
		    (name[0] < '0' || name[0] > '9'))
			return filter_fail(p, p->tok.at,
					   "'%s' is a protocol, did you mean 'proto %s'?", name,
					   name);
	}
	suggest_init(&near, word, p->tok.len);
	for (int f = 0; f < _FF_MAX; f++)
		if (filter_field_known(p->env, f))
			suggest_try(&near, flow_fields[f].path);
	for (unsigned int i = 0; (sugar = filter_sugar_word(p->env, i)); i++)
		suggest_try(&near, sugar);
	suggest_try(&near, "not");
	suggest_try(&near, "exists");
	if (near.best)
		return filter_fail(p, p->tok.at, "unknown field '%.*s', did you mean '%s'?",
				   TOKEN_ARGS(p), near.best);
	return filter_fail(p, p->tok.at, "unknown field '%.*s'", TOKEN_ARGS(p));
}

static int parse_field(struct filter_parser *p, enum filter_expect e)
{
	int f;

	if (p->tok.type != TOK_WORD)
		return filter_fail_expected(p, e, "a field");
	f = filter_field_find(p->text + p->tok.at, p->tok.len);
	if (f < 0)
		return unknown_field(p);
	if (!filter_field_known(p->env, (enum flow_field)f))
		return filter_not_here(p, p->tok.at, p->tok.len);
	filter_next(p);
	return f;
}

int filter_parse_field(struct filter_parser *p)
{
	return parse_field(p, EXPECT_FIELD_ONLY);
}

/* ---- comparisons ---- */

/* "==, !=, in" of what the field can do. */
static const char *ops_of(enum filter_class c, char *buf, size_t cap)
{
	size_t len = 0;

	buf[0] = 0;
	for (unsigned int op = 0; op < _FO_MAX; op++) {
		const char *text = filter_op_text[op];

		if (!filter_class_has(c, op) || len + strlen(text) + 3 > cap)
			continue;
		if (len) {
			memcpy(buf + len, ", ", 3);
			len += 2;
		}
		memcpy(buf + len, text, strlen(text) + 1);
		len += strlen(text);
	}
	return buf;
}

static int unknown_op(struct filter_parser *p, enum flow_field f, const char *ops)
{
	struct suggest near;

	p->expect_field = f;
	if (p->tok.type == TOK_WORD) {
		suggest_init(&near, p->text + p->tok.at, p->tok.len);
		for (unsigned int op = FO_IN; op < _FO_MAX; op++)
			suggest_try(&near, filter_op_text[op]);
		if (near.best)
			return filter_fail(p, p->tok.at, "no operator '%.*s', did you mean '%s'?",
					   TOKEN_ARGS(p), near.best);
	}
	return filter_fail_expected(p, EXPECT_OP, ops);
}

int filter_op_word(const struct filter_parser *p)
{
	for (int op = FO_IN; op < _FO_MAX; op++)
		if (filter_token_is(p, filter_op_text[op]))
			return op;
	return -1;
}

int filter_parse_op(struct filter_parser *p, enum flow_field f)
{
	const enum filter_class c = filter_class(f);
	char ops[96], what[160];
	int op = p->tok.type == TOK_OP ? p->tok.op : filter_op_word(p);

	ops_of(c, ops, sizeof(ops));
	if (op < 0) {
		snprintf(what, sizeof(what), "%s after %s", ops, flow_fields[f].path);
		return unknown_op(p, f, what);
	}
	if (!filter_class_has(c, (enum filter_op)op))
		return filter_fail(p, p->tok.at, "'%.*s' is not for %s: it has %s", TOKEN_ARGS(p),
				   flow_fields[f].path, ops);
	filter_next(p);
	return op;
}

int filter_add_cmp(struct filter_parser *p, enum flow_field f, enum filter_op op, int value)
{
	struct filter_node n = {.type = FN_CMP,
				.op = op,
				.field = f,
				.at = p->primary_at,
				.first = (uint32_t)value};

	return value < 0 ? value : filter_add_node(p, &n);
}

int filter_parse_cmp(struct filter_parser *p, enum flow_field f)
{
	int op = filter_parse_op(p, f), v;

	if (op < 0)
		return op;
	v = op == FO_IN ? filter_set(p, f) : filter_value(p, f, false);
	return filter_add_cmp(p, f, (enum filter_op)op, v);
}

void filter_link_child(struct filter_parser *p, struct filter_node *n, int child)
{
	if (n->last)
		p->ast->nodes[n->last].next = (uint32_t)child;
	else
		n->first = (uint32_t)child;
	p->ast->nodes[child].prev = n->last;
	n->last = (uint32_t)child;
}

/* ---- expressions ---- */

static int parse_exists(struct filter_parser *p)
{
	struct filter_node n = {.type = FN_EXISTS, .at = p->primary_at};
	int f;

	filter_next(p);
	if (p->tok.type != TOK_OPEN)
		return filter_fail_expected(p, EXPECT_NOTHING, "'(' after exists");
	filter_next(p);
	f = parse_field(p, EXPECT_FIELD_ONLY);
	if (f < 0)
		return f;
	if (p->tok.type != TOK_CLOSE)
		return filter_fail_expected(p, EXPECT_NOTHING, "')'");
	filter_next(p);
	n.field = (uint8_t)f;
	return filter_add_node(p, &n);
}

static int parse_paren(struct filter_parser *p)
{
	int n;

	filter_next(p);
	n = parse_or(p);
	if (n < 0)
		return n;
	if (p->tok.type != TOK_CLOSE)
		return filter_fail_expected(p, EXPECT_MORE, "'and', 'or' or ')'");
	filter_next(p);
	return n;
}

static int parse_primary(struct filter_parser *p)
{
	int f;

	p->primary_at = p->tok.at;
	if (p->tok.type == TOK_OPEN)
		return parse_paren(p);
	if (p->tok.type != TOK_WORD)
		return filter_fail_expected(p, EXPECT_FIELD, "a field or '('");
	if (filter_token_is(p, "exists"))
		return parse_exists(p);
	f = filter_sugar(p);
	if (f != -ENOENT)
		return f;
	f = parse_field(p, EXPECT_FIELD);
	return f < 0 ? f : filter_parse_cmp(p, (enum flow_field)f);
}

static int parse_not(struct filter_parser *p)
{
	struct filter_node n = {.type = FN_NOT};
	int child;

	if (p->depth++ == FILTER_DEPTH_MAX)
		return filter_fail_limit(p, "too many parentheses and nots inside each other");
	if (p->tok.type == TOK_NOT || filter_token_is(p, "not")) {
		filter_next(p);
		p->primary_at = p->tok.at;
		child = filter_token_is(p, "flags") ? filter_sugar_any_flag(p) : parse_not(p);
		n.first = (uint32_t)child;
		child = child < 0 ? child : filter_add_node(p, &n);
	} else {
		child = parse_primary(p);
	}
	p->depth--;
	return child;
}

static bool is_connective(const struct filter_parser *p, enum filter_node_type type)
{
	return type == FN_AND ? p->tok.type == TOK_AND || filter_token_is(p, "and")
			      : p->tok.type == TOK_OR || filter_token_is(p, "or");
}

/* Operands of one connective; a single one stays as it is. */
static int parse_chain(struct filter_parser *p, enum filter_node_type type)
{
	struct filter_node n = {.type = type};

	for (;;) {
		int child = type == FN_AND ? parse_not(p) : parse_chain(p, FN_AND);

		if (child < 0)
			return child;
		filter_link_child(p, &n, child);
		if (!is_connective(p, type))
			break;
		filter_next(p);
	}
	return n.first == n.last ? (int)n.first : filter_add_node(p, &n);
}

static int parse_or(struct filter_parser *p)
{
	return parse_chain(p, FN_OR);
}

int filter_parse_expr(struct filter_parser *p)
{
	return parse_or(p);
}

static int left_over(struct filter_parser *p)
{
	struct suggest near;

	if (p->tok.type == TOK_CLOSE)
		return filter_fail(p, p->tok.at, "')' without its '('");
	if (p->tok.type == TOK_WORD) {
		suggest_init(&near, p->text + p->tok.at, p->tok.len);
		suggest_try(&near, "and");
		suggest_try(&near, "or");
		if (near.best)
			return filter_fail(p, p->tok.at, "unknown word '%.*s', did you mean '%s'?",
					   TOKEN_ARGS(p), near.best);
	}
	return filter_fail_expected(p, EXPECT_MORE, "'and' or 'or'");
}

int filter_parse_ast(struct filter_parser *p)
{
	int root;

	p->pos = p->depth = 0;
	p->expect = EXPECT_NOTHING;
	filter_next(p);
	root = parse_or(p);
	if (root >= 0 && p->tok.type != TOK_END)
		root = left_over(p);
	if (root < 0) {
		filter_ast_done(p->ast);
		return root;
	}
	p->expect = EXPECT_MORE;
	p->ast->root = (uint32_t)root;
	return 0;
}

int filter_parse_tree(const char *text, size_t len, const struct filter_env *env,
		      struct filter_tree *ret, struct filter_error *reterr)
{
	struct filter_ast ast = {};
	struct filter_parser p = {.text = text, .ast = &ast, .env = env, .err = reterr};
	int r;

	if (len > FILTER_TEXT_MAX)
		return filter_fail_limit(&p, "the filter is too long");
	p.len = (uint32_t)len;
	r = filter_parse_ast(&p);
	if (r)
		return r;
	r = filter_compile(&ast, &ret->filter);
	if (r == -ENOMEM)
		filter_fail_memory(&p);
	else if (r)
		filter_fail(&p, 0, "community_id can't be computed: libcrypto has no SHA-1");
	if (r)
		filter_ast_done(&ast);
	else
		ret->ast = ast;
	return r;
}

void filter_tree_done(struct filter_tree *t)
{
	filter_ast_done(&t->ast);
	t->filter = filter_free(t->filter);
}

int filter_parse(const char *text, size_t len, const struct filter_env *env, struct filter **ret,
		 struct filter_error *reterr)
{
	struct filter_tree tree = {};
	int r = filter_parse_tree(text, len, env, &tree, reterr);

	if (r)
		return r;
	filter_ast_done(&tree.ast);
	*ret = tree.filter;
	return 0;
}
