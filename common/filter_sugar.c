// SPDX-License-Identifier: Apache-2.0
/*
 * filter_sugar.c - words that stand for comparisons: tcpdump's and nfdump's. Without a side, either
 * end will do.
 *
 *   sugar = [side] word [op] value | [side] word "in" set | "flags" LETTERS | "proto" value | "any" ...
 */
#include <errno.h>
#include <string.h>

#include "common/filter_int.h"

/* Words with two ends. */
static const struct sugar {
	const char *word;
	const char *sides[2];
	enum flow_field field[2];
	const char *want;
	const char *doc;
} sugars[] = {
	{"host",
	 {"src", "dst"},
	 {FF_SRC_IP, FF_DST_IP},
	 "an address such as 192.0.2.1",
	 "address of either end, or of the side before it"},
	{"ip",
	 {"src", "dst"},
	 {FF_SRC_IP, FF_DST_IP},
	 "an address such as 192.0.2.1",
	 "the same as host"},
	{"net",
	 {"src", "dst"},
	 {FF_SRC_IP, FF_DST_IP},
	 "a network such as 192.0.2.0/24",
	 "network of either end, or of the side before it"},
	{"port",
	 {"src", "dst"},
	 {FF_SRC_PORT, FF_DST_PORT},
	 "a port such as 443, or 8000-8100",
	 "port of either end, or of the side before it"},
	{"as",
	 {"src", "dst"},
	 {FF_SRC_AS, FF_DST_AS},
	 "an autonomous system's number such as 64496",
	 "autonomous system of either end, or of the side before it"},
	{"country",
	 {"src", "dst"},
	 {FF_SRC_COUNTRY, FF_DST_COUNTRY},
	 "two letters such as CZ",
	 "country of either end, or of the side before it"},
	{"if",
	 {"in", "out"},
	 {FF_IF_IN, FF_IF_OUT},
	 "the index of an interface",
	 "interface it came in by or left by: in if 3, out if 4, if 3"},
};

#define SUGARS (sizeof(sugars) / sizeof(sugars[0]))

/* Words for one field, whose value may stand right behind them. */
static const struct plain {
	const char *word;
	enum flow_field field;
	uint32_t unit; /* of a number without one */
} plains[] = {
	{"packets", FF_PACKETS, 1},
	{"bytes", FF_BYTES, 1},
	{"pps", FF_PPS, 1},
	{"bps", FF_BPS, 1},
	{"bpp", FF_BPP, 1},
	{"duration", FF_DURATION_US, 1000},
	{"icmp-type", FF_ICMP_TYPE, 1},
	{"icmp-code", FF_ICMP_CODE, 1},
	{"vlan", FF_VLAN, 1},
};

#define PLAINS (sizeof(plains) / sizeof(plains[0]))

const char *filter_sugar_word(const struct filter_env *env, unsigned int i)
{
	static const char *const others[] = {"any", "ipv4", "ipv6", "inet", "inet6", "flags"};

	for (size_t k = 0; k < SUGARS; k++)
		if (filter_field_known(env, sugars[k].field[0]) && !i--)
			return sugars[k].word;
	for (size_t k = 0; k < PLAINS; k++)
		if (filter_field_known(env, plains[k].field) && !i--)
			return plains[k].word;
	return i < sizeof(others) / sizeof(others[0]) ? others[i] : NULL;
}

const char *filter_side_word(const struct filter_env *env, unsigned int i, const char **ret_doc)
{
	for (size_t k = 0; k < SUGARS; k++) {
		if (!filter_field_known(env, sugars[k].field[0]) || i--)
			continue;
		*ret_doc = sugars[k].doc;
		return sugars[k].word;
	}
	return NULL;
}

/* ---- words with two ends ---- */

/* One value or a set right behind the word; the first value of it. *ret_op: how to compare. */
static int bare_value(struct filter_parser *p, const struct sugar *s, enum filter_op *ret_op)
{
	const uint32_t at = p->tok.at, len = p->tok.len;
	const bool net = !strcmp(s->word, "net");
	const bool host = s->field[0] == FF_SRC_IP && !net;
	enum filter_value_type type;
	int v;

	*ret_op = FO_IN;
	if (p->tok.type == TOK_LIST || p->tok.type == TOK_SET_OPEN || p->tok.type == TOK_ROW_OPEN)
		return filter_set(p, s->field[0]);
	if (p->tok.type != TOK_WORD && p->tok.type != TOK_PARAM)
		return filter_fail_expected(p, EXPECT_NOTHING, s->want);
	v = filter_value(p, s->field[0], true);
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

static int value_of(struct filter_parser *p, const struct sugar *s, enum filter_op *ret_op)
{
	int op;

	if (p->tok.type != TOK_OP && filter_op_word(p) < 0)
		return bare_value(p, s, ret_op);
	op = filter_parse_op(p, s->field[0]);
	if (op < 0)
		return op;
	*ret_op = (enum filter_op)op;
	return op == FO_IN ? filter_set(p, s->field[0]) : filter_value(p, s->field[0], false);
}

/* @side: 0 or 1, or 2: either. */
static int parse_sides(struct filter_parser *p, const struct sugar *s, unsigned int side)
{
	struct filter_node n = {.type = FN_OR};
	enum filter_op op = FO_EQ;
	int v;

	if (!filter_field_known(p->env, s->field[0]))
		return filter_not_here(p, p->tok.at, p->tok.len);
	filter_next(p);
	v = value_of(p, s, &op);
	if (v < 0)
		return v;
	if (side < 2)
		return filter_add_cmp(p, s->field[side], op, v);
	if (op == FO_NE) /* neither end is */
		n.type = FN_AND;
	for (unsigned int i = 0; i < 2; i++) {
		const int cmp = filter_add_cmp(p, s->field[i], op, v);

		if (cmp < 0)
			return cmp;
		filter_link_child(p, &n, cmp);
	}
	return filter_add_node(p, &n);
}

static const struct sugar *find_sugar(const struct filter_parser *p, const char *side)
{
	for (size_t i = 0; i < SUGARS; i++)
		if (filter_token_is(p, sugars[i].word) &&
		    (!side || !strcmp(side, sugars[i].sides[0]) ||
		     !strcmp(side, sugars[i].sides[1])))
			return &sugars[i];
	return NULL;
}

/* src, dst, in, out: @second: the latter of the two. */
static int parse_side(struct filter_parser *p, const char *side, bool second)
{
	const struct sugar *s;

	filter_next(p);
	s = find_sugar(p, side);
	if (s)
		return parse_sides(p, s, second);
	return filter_fail_expected(p, EXPECT_SIDE,
				    side[0] == 's' || side[0] == 'd' ? "host, net or port" : "if");
}

/* ---- others ---- */

int filter_sugar_any_flag(struct filter_parser *p)
{
	int v;

	filter_next(p);
	v = filter_value(p, FF_TCP_FLAGS, false);
	return filter_add_cmp(p, FF_TCP_FLAGS, FO_BITS, v);
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
		return filter_add_cmp(p, FF_TCP_FLAGS, FO_EQ, v);
	for (bits &= UINT8_MAX; bits; bits &= bits - 1) {
		struct filter_value one = {
			.type = FV_NUMBER, .lo = bits & -bits, .hi = bits & -bits};
		int cmp = filter_add_value(p, &one);

		cmp = filter_add_cmp(p, FF_TCP_FLAGS, FO_BITS, cmp);
		if (cmp < 0)
			return cmp;
		filter_link_child(p, &n, cmp);
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
	if (p->tok.type == TOK_OP || filter_op_word(p) >= 0)
		return filter_parse_cmp(p, FF_PROTO);
	return filter_add_cmp(p, FF_PROTO, FO_EQ, filter_value(p, FF_PROTO, false));
}

static bool digit_at(const struct filter_parser *p)
{
	return p->tok.type == TOK_WORD && p->text[p->tok.at] >= '0' && p->text[p->tok.at] <= '9';
}

/* `duration > 1500` is in milliseconds: what has a unit of its own keeps it. */
static void scale(struct filter_parser *p, const struct plain *w, uint32_t at, uint32_t len, int v)
{
	struct filter_value *value = &p->ast->values[v];

	for (uint32_t i = 0; i < len; i++)
		if (p->text[at + i] < '0' || p->text[at + i] > '9')
			return;
	if (value->lo <= UINT64_MAX / w->unit)
		value->lo = value->hi = value->lo * w->unit;
}

static int parse_plain(struct filter_parser *p, const struct plain *w)
{
	uint32_t at, len;
	int op, v;

	if (!filter_field_known(p->env, w->field))
		return filter_not_here(p, p->tok.at, p->tok.len);
	filter_next(p);
	op = digit_at(p) ? FO_EQ : filter_parse_op(p, w->field);
	if (op < 0)
		return op;
	if (op == FO_IN)
		return filter_add_cmp(p, w->field, FO_IN, filter_set(p, w->field));
	at = p->tok.at;
	len = p->tok.len;
	v = filter_value(p, w->field, false);
	if (v >= 0 && w->unit > 1)
		scale(p, w, at, len, v);
	return filter_add_cmp(p, w->field, (enum filter_op)op, v);
}

/* The family of the addresses; of frames that are not IP neither. */
static int parse_family(struct filter_parser *p, bool v6)
{
	struct filter_value any4 = {.type = FV_NET, .family = 4};
	struct filter_node n = {.type = FN_NOT};
	int r;

	memcpy(any4.ip, (uint8_t[16]){[10] = 0xff, [11] = 0xff}, 16);
	filter_next(p);
	r = filter_add_value(p, &any4);
	r = filter_add_cmp(p, FF_SRC_IP, FO_IN, r);
	if (r < 0 || !v6)
		return r;
	n.first = (uint32_t)r;
	return filter_add_node(p, &n);
}

static int parse_any(struct filter_parser *p)
{
	const struct filter_node n = {.type = FN_EXISTS, .at = p->primary_at, .field = FF_END};

	filter_next(p);
	return filter_add_node(p, &n);
}

int filter_sugar(struct filter_parser *p)
{
	static const char *const sides[] = {"src", "dst", "in", "out"};
	const struct sugar *s = find_sugar(p, NULL);

	if (s)
		return parse_sides(p, s, 2);
	for (unsigned int i = 0; i < 4; i++)
		if (filter_token_is(p, sides[i]))
			return parse_side(p, sides[i], i & 1);
	for (size_t i = 0; i < PLAINS; i++)
		if (filter_token_is(p, plains[i].word))
			return parse_plain(p, &plains[i]);
	if (filter_token_is(p, "flags"))
		return parse_flags(p);
	if (filter_token_is(p, "proto"))
		return parse_proto(p);
	if (filter_token_is(p, "any"))
		return parse_any(p);
	if (filter_token_is(p, "ipv4") || filter_token_is(p, "inet"))
		return parse_family(p, false);
	if (filter_token_is(p, "ipv6") || filter_token_is(p, "inet6"))
		return parse_family(p, true);
	return -ENOENT;
}
