// SPDX-License-Identifier: Apache-2.0
/*
 * filter_lex.c - tokens of a filter. A word is any run of letters, digits and _ . : / + -: fields,
 * numbers with units, addresses, networks, ranges and times are words, and what a word means is up
 * to the field it is compared with.
 */
#include <string.h>

#include "common/filter_int.h"

const char *const filter_op_text[_FO_MAX] = {
	[FO_EQ] = "==",
	[FO_NE] = "!=",
	[FO_LT] = "<",
	[FO_LE] = "<=",
	[FO_GT] = ">",
	[FO_GE] = ">=",
	[FO_BITS] = "&",
	[FO_IN] = "in",
	[FO_PREFIX] = "prefix",
	[FO_SUFFIX] = "suffix",
	[FO_CONTAINS] = "contains",
};

static const struct {
	char text[3];
	uint8_t type;
	uint8_t op;
} signs[] = {
	/* the longer ones first */
	{"&&", TOK_AND, 0},	{"||", TOK_OR, 0},	{"==", TOK_OP, FO_EQ},
	{"!=", TOK_OP, FO_NE},	{"<=", TOK_OP, FO_LE},	{">=", TOK_OP, FO_GE},
	{"=", TOK_OP, FO_EQ},	{"<", TOK_OP, FO_LT},	{">", TOK_OP, FO_GT},
	{"&", TOK_OP, FO_BITS}, {"!", TOK_NOT, 0},	{"(", TOK_OPEN, 0},
	{")", TOK_CLOSE, 0},	{"{", TOK_SET_OPEN, 0}, {"}", TOK_SET_CLOSE, 0},
	{",", TOK_COMMA, 0},	{"[", TOK_ROW_OPEN, 0}, {"]", TOK_ROW_CLOSE, 0},
};

bool filter_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("_.:/+-", c));
}

static uint32_t word_end(const struct filter_parser *p, uint32_t at)
{
	while (at < p->len && filter_word_char(p->text[at]))
		at++;
	return at;
}

/* Behind the closing quote; 0 when there is none on this line. */
static uint32_t string_end(const struct filter_parser *p, uint32_t at)
{
	for (at++; at < p->len && p->text[at] != '\n'; at++) {
		if (p->text[at] == '"')
			return at + 1;
		if (p->text[at] == '\\')
			at++;
	}
	return 0;
}

static uint32_t sign(struct filter_parser *p, uint32_t at)
{
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		const uint32_t n = (uint32_t)strlen(signs[i].text);

		if (p->len - at >= n && !memcmp(p->text + at, signs[i].text, n)) {
			p->tok.type = signs[i].type;
			p->tok.op = signs[i].op;
			return at + n;
		}
	}
	return at;
}

static uint32_t named(struct filter_parser *p, uint32_t at, enum filter_token_type type)
{
	const uint32_t end = word_end(p, at + 1);

	if (end == at + 1)
		return at;
	p->tok.type = type;
	return end;
}

void filter_next(struct filter_parser *p)
{
	uint32_t at = p->pos, end;

	while (at < p->len && p->text[at] && strchr(" \t\r\n", p->text[at]))
		at++;
	p->tok = (struct filter_token){.at = at, .type = TOK_BAD};
	if (at == p->len) {
		p->tok.type = TOK_END;
		p->pos = at;
		return;
	}
	end = word_end(p, at);
	if (end > at) {
		p->tok.type = TOK_WORD;
	} else if (p->text[at] == '"') {
		end = string_end(p, at);
		p->tok.type = end ? TOK_STRING : TOK_BAD;
	} else if (p->text[at] == '@' || p->text[at] == '$') {
		end = named(p, at, p->text[at] == '@' ? TOK_LIST : TOK_PARAM);
	} else {
		end = sign(p, at);
	}
	if (p->tok.type == TOK_BAD)
		end = at + 1;
	p->tok.len = end - at;
	p->pos = end;
}

bool filter_token_is(const struct filter_parser *p, const char *word)
{
	return p->tok.type == TOK_WORD && strlen(word) == p->tok.len &&
	       !memcmp(word, p->text + p->tok.at, p->tok.len);
}
