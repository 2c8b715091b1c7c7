// SPDX-License-Identifier: Apache-2.0
/*
 * filter_value.c - one value, as the field it is compared with wants it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/filter_int.h"
#include "common/flow_text.h"
#include "common/num_text.h"
#include "common/scan.h"
#include "common/suggest.h"

#define WORD_MAX 128u

static const struct {
	uint32_t ops; /* bit per enum filter_op */
	const char *want;
} classes[] = {
#define OPS_EQUAL (1u << FO_EQ | 1u << FO_NE | 1u << FO_IN)
#define OPS_ORDER (1u << FO_LT | 1u << FO_LE | 1u << FO_GT | 1u << FO_GE)
#define OPS_TEXT  (1u << FO_PREFIX | 1u << FO_SUFFIX | 1u << FO_CONTAINS)
	[FC_NUMBER] = {OPS_EQUAL | OPS_ORDER | 1u << FO_BITS, "a number such as 443, 12Ki or 0x1f"},
	[FC_DURATION] = {OPS_EQUAL | OPS_ORDER, "a duration such as 5ms, or microseconds"},
	[FC_TIME] = {OPS_EQUAL | OPS_ORDER, "a time such as 2026-09-01T12:41:08Z"},
	[FC_IP] = {OPS_EQUAL, "an address such as 192.0.2.1 or 2001:db8::1"},
	[FC_WORD] = {OPS_EQUAL, "one of its words"},
	[FC_VERSION] = {OPS_EQUAL | OPS_ORDER, "a version such as TLSv1.2"},
	[FC_FLAGS] = {OPS_EQUAL | 1u << FO_BITS, "letters of FSRPAUEC"},
	[FC_STRING] = {OPS_EQUAL | OPS_TEXT, "text in double quotes"},
	[FC_ID] = {OPS_EQUAL, "text in double quotes"},
};

enum filter_class filter_class(enum flow_field f)
{
	switch (flow_fields[f].type) {
	case FT_U64:
	case FT_U32:
	case FT_U16:
	case FT_U8:
	case FT_VLAN:
		return strcmp(flow_fields[f].unit, "us") ? FC_NUMBER : FC_DURATION;
	case FT_TIME:
		return FC_TIME;
	case FT_IP:
		return FC_IP;
	case FT_STR:
	case FT_STRS:
	case FT_ALPN:
	case FT_QUERIES:
		return FC_STRING;
	case FT_FLAGS:
		return FC_FLAGS;
	case FT_TLSVER:
		return FC_VERSION;
	case FT_CID:
		return FC_ID;
	default:
		return FC_WORD;
	}
}

bool filter_class_has(enum filter_class c, enum filter_op op)
{
	return classes[c].ops >> op & 1;
}

static uint64_t number_max(enum flow_field f)
{
	switch (flow_fields[f].type) {
	case FT_U8:
		return UINT8_MAX;
	case FT_VLAN:
		return 4095;
	case FT_U16:
		return UINT16_MAX;
	case FT_U32:
		return UINT32_MAX;
	default:
		return UINT64_MAX;
	}
}

/* The token where a value was to be is none. */
static int no_value(struct filter_parser *p, enum flow_field f)
{
	const enum filter_class c = filter_class(f);
	char what[128];

	if (p->tok.type == TOK_WORD && (c == FC_STRING || c == FC_ID))
		return filter_fail(p, p->tok.at, "text stands in double quotes: \"%.*s\"",
				   TOKEN_ARGS(p));
	if (p->tok.type == TOK_WORD || p->tok.type == TOK_STRING)
		return filter_fail(p, p->tok.at, "'%.*s' does not fit %s, which wants %s",
				   TOKEN_ARGS(p), flow_fields[f].path, classes[c].want);
	snprintf(what, sizeof(what), "%s", classes[c].want);
	p->expect_field = f;
	return filter_fail_expected(p, EXPECT_VALUE, what);
}

/* ---- numbers ---- */

/* 2m, 3g, as nfdump has them: M and G. */
static int scan_lower_unit(const char *s, uint64_t *ret)
{
	const size_t n = strlen(s);
	char upper[32];

	if (n < 2 || n >= sizeof(upper) || !strchr("mgt", s[n - 1]))
		return -EINVAL;
	memcpy(upper, s, n + 1);
	upper[n - 1] = (char)(s[n - 1] - 'a' + 'A');
	return scan_u64(upper, 0, UINT64_MAX, ret);
}

static int scan_one(enum flow_field f, const char *s, uint64_t *ret)
{
	uint64_t v;
	int r;

	if (s[0] == '0' && (s[1] | 0x20) == 'x') {
		r = scan_hex(s + 2, UINT64_MAX, &v);
	} else {
		r = scan_u64(s, 0, UINT64_MAX, &v);
		if (r == -EINVAL && filter_class(f) == FC_NUMBER)
			r = scan_lower_unit(s, &v);
		if (r == -EINVAL && filter_class(f) == FC_DURATION) {
			r = scan_duration_ns(s, 0, UINT64_MAX, &v);
			v = r ? 0 : v / 1000;
		}
	}
	if (r)
		return r;
	if (v > number_max(f))
		return -ERANGE;
	*ret = v;
	return 0;
}

static int scan_numbers(struct filter_parser *p, enum flow_field f, char *s,
			struct filter_value *ret)
{
	char *dash = strchr(s, '-');
	int r;

	ret->type = dash ? FV_RANGE : FV_NUMBER;
	if (dash)
		*dash = 0;
	r = scan_one(f, s, &ret->lo);
	ret->hi = ret->lo;
	if (!r && dash)
		r = scan_one(f, dash + 1, &ret->hi);
	if (r == -ERANGE)
		return filter_fail(p, p->tok.at, "'%.*s' is beyond what %s can be: 0 to %llu",
				   TOKEN_ARGS(p), flow_fields[f].path,
				   (unsigned long long)number_max(f));
	if (r)
		return no_value(p, f);
	if (ret->lo > ret->hi)
		return filter_fail(p, p->tok.at, "the range '%.*s' is backwards", TOKEN_ARGS(p));
	return 0;
}

/* ---- addresses ---- */

static bool scan_ip(const char *s, uint8_t ip[16], uint8_t *ret_family)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (inet_pton(AF_INET, s, ip + 12) == 1) {
		memcpy(ip, mapped, sizeof(mapped));
		*ret_family = 4;
		return true;
	}
	*ret_family = 6;
	if (inet_pton(AF_INET6, s, ip) != 1)
		return false;
	if (!memcmp(ip, mapped, sizeof(mapped)))
		*ret_family = 4;
	return true;
}

/* Clear what is behind the prefix. Return: was there something? */
static bool mask(uint8_t ip[16], unsigned int bits)
{
	bool had = false;

	for (unsigned int i = 0; i < 16; i++) {
		const unsigned int keep = bits >= (i + 1) * 8 ? 8 : bits > i * 8 ? bits - i * 8 : 0;
		const uint8_t m = (uint8_t)(0xff00u >> keep);

		had |= ip[i] & ~m;
		ip[i] &= m;
	}
	return had;
}

static int scan_net(struct filter_parser *p, enum flow_field f, char *s, struct filter_value *ret)
{
	char *slash = strchr(s, '/'), text[IP_TEXT];
	const bool colons = strchr(s, ':');
	uint64_t bits;

	*slash = 0;
	ret->type = FV_NET;
	if (!scan_ip(s, ret->ip, &ret->family))
		return no_value(p, f);
	if (scan_u64(slash + 1, 0, colons ? 128 : 32, &bits))
		return filter_fail(p, p->tok.at, "'%.*s': the prefix length is 0 to %d",
				   TOKEN_ARGS(p), colons ? 128 : 32);
	if (colons && bits < 96)
		ret->family = 6;
	if (mask(ret->ip, (unsigned int)bits + (colons ? 0 : 96))) {
		ip_text(ret->ip, ret->family, text);
		return filter_fail(p, p->tok.at,
				   "'%.*s' has bits behind its prefix, did you mean %s/%u?",
				   TOKEN_ARGS(p), text,
				   (unsigned int)bits - (colons && ret->family == 4 ? 96 : 0));
	}
	ret->prefix = (uint8_t)(bits - (colons && ret->family == 4 ? 96 : 0));
	return 0;
}

static int scan_address(struct filter_parser *p, enum flow_field f, char *s,
			struct filter_value *ret)
{
	char *dash = strchr(s, '-');
	uint8_t family;

	if (strchr(s, '/'))
		return scan_net(p, f, s, ret);
	ret->type = dash ? FV_IPS : FV_IP;
	if (dash)
		*dash = 0;
	if (!scan_ip(s, ret->ip, &ret->family))
		return no_value(p, f);
	if (!dash)
		return 0;
	if (!scan_ip(dash + 1, ret->ip_hi, &family))
		return no_value(p, f);
	if (family != ret->family)
		return filter_fail(p, p->tok.at, "'%.*s' goes from one address family to the other",
				   TOKEN_ARGS(p));
	if (memcmp(ret->ip, ret->ip_hi, 16) > 0)
		return filter_fail(p, p->tok.at, "the range '%.*s' is backwards", TOKEN_ARGS(p));
	return 0;
}

/* ---- words ---- */

static int unknown_word(struct filter_parser *p, enum flow_field f, const char *s)
{
	const char *word, *path = flow_fields[f].path;
	struct suggest near;
	unsigned int i = 0;
	uint64_t v;

	if (flow_fields[f].type == FT_COUNTRY)
		return filter_fail(p, p->tok.at,
				   "%s is never '%.*s': two letters of ISO 3166, such as CZ", path,
				   TOKEN_ARGS(p));
	suggest_init(&near, s, strlen(s));
	while ((word = filter_word(flow_fields[f].type, &i, &v)))
		suggest_try(&near, word);
	if (near.best)
		return filter_fail(p, p->tok.at, "%s is never '%.*s', did you mean '%s'?", path,
				   TOKEN_ARGS(p), near.best);
	return filter_fail(p, p->tok.at, "%s is never '%.*s'", path, TOKEN_ARGS(p));
}

static int scan_flags(struct filter_parser *p, enum flow_field f, const char *s,
		      struct filter_value *ret)
{
	static const char letters[] = "FSRPAUEC";

	ret->lo = 0;
	if (*s >= '0' && *s <= '9') {
		if (!scan_one(f, s, &ret->lo) && ret->lo <= UINT8_MAX)
			return 0;
		return no_value(p, f);
	}
	for (; *s; s++) {
		const char *at = strchr(letters, *s);

		if (!at)
			return filter_fail(p, p->tok.at,
					   "'%.*s' is no TCP flags: letters of %s, such as SA",
					   TOKEN_ARGS(p), letters);
		ret->lo |= UINT64_C(1) << (at - letters);
	}
	return 0;
}

/* ---- text ---- */

/* What \... at @s stands for; *ret_len: letters of it. -1: nothing. @s ends with a quote. */
static int escape(const char *s, uint32_t *ret_len)
{
	static const char from[] = "\\\"nrt", to[] = "\\\"\n\r\t";
	const char *at = s[1] ? strchr(from, s[1]) : NULL;
	int high, low;

	*ret_len = 2;
	if (at)
		return to[at - from];
	if (s[1] != 'x')
		return -1;
	high = scan_hex_digit(s[2]);
	low = high < 0 ? -1 : scan_hex_digit(s[3]);
	*ret_len = 4;
	return low < 0 ? -1 : high << 4 | low;
}

/* The string at the token, without quotes and escapes, into the tree. */
static int add_string(struct filter_parser *p, uint32_t *ret_at, uint32_t *ret_len)
{
	const char *s = p->text + p->tok.at + 1;
	const uint32_t len = p->tok.len - 2;
	int at = filter_add_bytes(p, s, len); /* the longest it can be */
	uint32_t to = 0, n;

	if (at < 0)
		return at;
	for (uint32_t i = 0; i < len; i += n) {
		int c = (unsigned char)s[i];

		n = 1;
		if (c == '\\')
			c = escape(s + i, &n);
		if (c < 0)
			return filter_fail(p, p->tok.at + 1 + i,
					   "no such escape: \\\\ \\\" \\n \\r \\t \\xHH");
		p->ast->bytes[(uint32_t)at + to++] = (char)c;
	}
	p->ast->bytes[(uint32_t)at + to] = 0;
	p->ast->n_bytes = (uint32_t)at + to + 1;
	*ret_at = (uint32_t)at;
	*ret_len = to;
	return 0;
}

static int string_value(struct filter_parser *p, enum flow_field f, struct filter_value *ret)
{
	int r = add_string(p, &ret->str, &ret->str_len);

	if (r)
		return r;
	ret->type = FV_STRING;
	if (filter_class(f) != FC_WORD)
		return 0;
	/* A word that can't stand without quotes: "isis over ipv4". */
	ret->type = FV_NUMBER;
	if (filter_word_number(flow_fields[f].type, p->ast->bytes + ret->str, &ret->lo))
		return unknown_word(p, f, p->ast->bytes + ret->str);
	ret->hi = ret->lo;
	ret->str = ret->str_len = 0;
	return 0;
}

/* ---- one value ---- */

static int word_value(struct filter_parser *p, enum flow_field f, struct filter_value *ret)
{
	char s[WORD_MAX];

	if (p->tok.len >= sizeof(s))
		return no_value(p, f);
	memcpy(s, p->text + p->tok.at, p->tok.len);
	s[p->tok.len] = 0;
	ret->type = FV_NUMBER;
	switch (filter_class(f)) {
	case FC_NUMBER:
	case FC_DURATION:
		return scan_numbers(p, f, s, ret);
	case FC_IP:
		return scan_address(p, f, s, ret);
	case FC_TIME:
		/* What a record can hold are 64 bits of nanoseconds, until 2554. */
		return scan_time_us(s, &ret->lo) || ret->lo > UINT64_MAX / 1000 ? no_value(p, f)
										: 0;
	case FC_FLAGS:
		return scan_flags(p, f, s, ret);
	case FC_WORD:
	case FC_VERSION:
		if (filter_word_number(flow_fields[f].type, s, &ret->lo))
			return unknown_word(p, f, s);
		return 0;
	default:
		return no_value(p, f);
	}
}

static int direct_value(struct filter_parser *p, enum flow_field f, struct filter_value *ret)
{
	const enum filter_class c = filter_class(f);

	if (p->tok.type == TOK_WORD)
		return word_value(p, f, ret);
	if (p->tok.type == TOK_STRING && (c == FC_STRING || c == FC_ID || c == FC_WORD))
		return string_value(p, f, ret);
	return no_value(p, f);
}

/* $name: its text is read as if it stood here. */
static int param_value(struct filter_parser *p, enum flow_field f, struct filter_value *ret)
{
	int name = filter_add_bytes(p, p->text + p->tok.at + 1, p->tok.len - 1), r;
	struct filter_parser sub = *p;
	struct filter_error err;

	if (name < 0)
		return name;
	sub.text = p->env && p->env->resolve
			   ? p->env->resolve(p->env->arg, '$', p->ast->bytes + name)
			   : NULL;
	if (!sub.text)
		return filter_fail(p, p->tok.at, "no parameter '%.*s' here", TOKEN_ARGS(p));
	sub.len = (uint32_t)strnlen(sub.text, FILTER_TEXT_MAX);
	sub.pos = 0;
	sub.err = &err;
	filter_next(&sub);
	r = direct_value(&sub, f, ret);
	if (!r) {
		filter_next(&sub);
		if (sub.tok.type != TOK_END)
			r = filter_fail_expected(&sub, EXPECT_NOTHING, "one value");
	}
	if (r) {
		filter_fail(p, p->tok.at, "%.*s: %s", TOKEN_ARGS(p), err.message);
		return r;
	}
	ret->param = (uint32_t)name;
	return 0;
}

static int check_single(struct filter_parser *p, const struct filter_value *v)
{
	if (v->type == FV_NET)
		return filter_fail(p, p->tok.at,
				   "'%.*s' is a network: a field is 'in' it, or 'net'",
				   TOKEN_ARGS(p));
	if (v->type == FV_RANGE || v->type == FV_IPS)
		return filter_fail(p, p->tok.at, "'%.*s' is a range: a field is 'in' it",
				   TOKEN_ARGS(p));
	return 0;
}

int filter_value(struct filter_parser *p, enum flow_field f, bool ranges)
{
	struct filter_value v = {};
	int r = p->tok.type == TOK_PARAM ? param_value(p, f, &v) : direct_value(p, f, &v);

	if (!r && !ranges)
		r = check_single(p, &v);
	if (!r && v.type == FV_NUMBER)
		v.hi = v.lo;
	if (!r)
		r = filter_add_value(p, &v);
	if (r >= 0)
		filter_next(p);
	return r;
}
