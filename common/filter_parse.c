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

/* Words that stand for comparisons. Without a side, either end will do. */
static const struct sugar {
	const char *word;
	enum flow_field src, dst;
	const char *want;
} sugars[] = {
	{"host", FF_SRC_IP, FF_DST_IP, "an address such as 192.0.2.1"},
	{"net", FF_SRC_IP, FF_DST_IP, "a network such as 192.0.2.0/24"},
	{"port", FF_SRC_PORT, FF_DST_PORT, "a port such as 443, or 8000-8100"},
	{"as", FF_SRC_AS, FF_DST_AS, "an autonomous system's number such as 64496"},
	{"country", FF_SRC_COUNTRY, FF_DST_COUNTRY, "two letters such as CZ"},
};

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

/* A word of @len octets at @at that stands for a field only the collector has. */
static int not_here(struct filter_parser *p, uint32_t at, uint32_t len)
{
	return filter_fail(p, at,
			   "'%.*s' is known to the collector alone: ask 'weir-collector query'",
			   (int)len, p->text + at);
}

static int unknown_field(struct filter_parser *p)
{
	const char *word = p->text + p->tok.at;
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
	for (size_t i = 0; i < sizeof(sugars) / sizeof(sugars[0]); i++)
		if (filter_field_known(p->env, sugars[i].src))
			suggest_try(&near, sugars[i].word);
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
		return not_here(p, p->tok.at, p->tok.len);
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

/* The operator that is a word, or -1. */
static int op_word(const struct filter_parser *p)
{
	for (int op = FO_IN; op < _FO_MAX; op++)
		if (filter_token_is(p, filter_op_text[op]))
			return op;
	return -1;
}

/* The operator at the token. */
static int parse_op(struct filter_parser *p, enum flow_field f)
{
	const enum filter_class c = filter_class(f);
	char ops[96], what[160];
	int op = p->tok.type == TOK_OP ? p->tok.op : op_word(p);

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

static int add_cmp(struct filter_parser *p, enum flow_field f, enum filter_op op, int value)
{
	struct filter_node n = {.type = FN_CMP,
				.op = op,
				.field = f,
				.at = p->primary_at,
				.first = (uint32_t)value};

	return value < 0 ? value : filter_add_node(p, &n);
}

static int parse_cmp(struct filter_parser *p, enum flow_field f)
{
	int op = parse_op(p, f), v;

	if (op < 0)
		return op;
	v = op == FO_IN ? filter_set(p, f) : filter_value(p, f, false);
	return add_cmp(p, f, (enum filter_op)op, v);
}

/* @child becomes the last child of @n, which is not in the tree yet. */
static void link_child(struct filter_parser *p, struct filter_node *n, int child)
{
	if (n->last)
		p->ast->nodes[n->last].next = (uint32_t)child;
	else
		n->first = (uint32_t)child;
	p->ast->nodes[child].prev = n->last;
	n->last = (uint32_t)child;
}

/* ---- sugar ---- */

/* One value or a set for `host`, `net`, `port`; the first value of it. *ret_op: how to compare. */
static int sugar_value(struct filter_parser *p, const struct sugar *s, enum filter_op *ret_op)
{
	const uint32_t at = p->tok.at, len = p->tok.len;
	const bool net = !strcmp(s->word, "net"), host = !strcmp(s->word, "host");
	enum filter_value_type type;
	int v;

	*ret_op = FO_IN;
	if (p->tok.type == TOK_LIST || p->tok.type == TOK_SET_OPEN)
		return filter_set(p, s->src);
	if (p->tok.type != TOK_WORD && p->tok.type != TOK_PARAM)
		return filter_fail_expected(p, EXPECT_NOTHING, s->want);
	v = filter_value(p, s->src, true);
	if (v < 0)
		return v;
	type = p->ast->values[v].type;
	if (type == FV_NUMBER || type == FV_IP)
		*ret_op = FO_EQ;
	if ((net && type == FV_IP) || (host && type != FV_IP))
		return filter_fail(p, at, "'%s' wants %s, not '%.*s'", s->word, s->want, (int)len,
				   p->text + at);
	return v;
}

static const struct sugar *find_sugar(const struct filter_parser *p)
{
	for (size_t i = 0; i < sizeof(sugars) / sizeof(sugars[0]); i++)
		if (filter_token_is(p, sugars[i].word))
			return &sugars[i];
	return NULL;
}

/* @src, @dst: which ends count. */
static int parse_sugar(struct filter_parser *p, const struct sugar *s, bool src, bool dst)
{
	struct filter_node n = {.type = FN_OR};
	enum filter_op op;
	int v, a, b;

	if (!filter_field_known(p->env, s->src))
		return not_here(p, p->tok.at, p->tok.len);
	filter_next(p);
	v = sugar_value(p, s, &op);
	if (!src || !dst)
		return add_cmp(p, src ? s->src : s->dst, op, v);
	a = add_cmp(p, s->src, op, v);
	b = a < 0 ? a : add_cmp(p, s->dst, op, v);
	if (b < 0)
		return b;
	link_child(p, &n, a);
	link_child(p, &n, b);
	return filter_add_node(p, &n);
}

static int parse_side(struct filter_parser *p)
{
	const bool src = filter_token_is(p, "src");
	const struct sugar *s;

	filter_next(p);
	s = find_sugar(p);
	if (!s)
		return filter_fail_expected(p, EXPECT_SIDE, "host, net or port");
	return parse_sugar(p, s, src, !src);
}

/* `flags SA`: all of these are set, one comparison each. */
static int parse_flags(struct filter_parser *p)
{
	struct filter_node n = {.type = FN_AND};
	uint64_t bits;
	int v;

	filter_next(p);
	v = filter_value(p, FF_TCP_FLAGS, false);
	if (v < 0)
		return v;
	bits = p->ast->values[v].lo;
	if (!bits)
		return add_cmp(p, FF_TCP_FLAGS, FO_EQ, v);
	for (bits &= UINT8_MAX; bits; bits &= bits - 1) {
		struct filter_value one = {
			.type = FV_NUMBER, .lo = bits & -bits, .hi = bits & -bits};
		int cmp = filter_add_value(p, &one);

		cmp = add_cmp(p, FF_TCP_FLAGS, FO_BITS, cmp);
		if (cmp < 0)
			return cmp;
		link_child(p, &n, cmp);
	}
	return n.first == n.last ? (int)n.first : filter_add_node(p, &n);
}

/* `proto tcp`; with an operator behind it, it is the field. */
static int parse_proto(struct filter_parser *p)
{
	filter_next(p);
	if (p->tok.type == TOK_END) {
		p->expect_field = FF_PROTO;
		return filter_fail_expected(p, EXPECT_OP_OR_VALUE, "a protocol such as tcp");
	}
	if (p->tok.type == TOK_OP || op_word(p) >= 0)
		return parse_cmp(p, FF_PROTO);
	return add_cmp(p, FF_PROTO, FO_EQ, filter_value(p, FF_PROTO, false));
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
	const struct sugar *s;
	int f;

	p->primary_at = p->tok.at;
	if (p->tok.type == TOK_OPEN)
		return parse_paren(p);
	if (p->tok.type != TOK_WORD)
		return filter_fail_expected(p, EXPECT_FIELD, "a field or '('");
	s = find_sugar(p);
	if (s)
		return parse_sugar(p, s, true, true);
	if (filter_token_is(p, "src") || filter_token_is(p, "dst"))
		return parse_side(p);
	if (filter_token_is(p, "exists"))
		return parse_exists(p);
	if (filter_token_is(p, "flags"))
		return parse_flags(p);
	if (filter_token_is(p, "proto"))
		return parse_proto(p);
	f = parse_field(p, EXPECT_FIELD);
	return f < 0 ? f : parse_cmp(p, (enum flow_field)f);
}

static int parse_not(struct filter_parser *p)
{
	struct filter_node n = {.type = FN_NOT};
	int child;

	if (p->depth++ == FILTER_DEPTH_MAX)
		return filter_fail_limit(p, "too many parentheses and nots inside each other");
	if (p->tok.type == TOK_NOT || filter_token_is(p, "not")) {
		filter_next(p);
		child = parse_not(p);
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
		link_child(p, &n, child);
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
