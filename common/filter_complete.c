// SPDX-License-Identifier: Apache-2.0
/*
 * filter_complete.c - the words possible at the cursor: the parser runs up to the word under the
 * cursor and says what it had expected there.
 */
#include <string.h>

#include "common/filter_int.h"
#include "common/flow_text.h"

struct completion {
	const struct filter_env *env;
	const char *prefix;
	size_t len;
	filter_word_fn *add;
	void *arg;
};

static void offer(const struct completion *c, const char *word, const char *doc)
{
	if (strlen(word) >= c->len && !memcmp(word, c->prefix, c->len))
		c->add(c->arg, word, doc);
}

static void offer_fields(const struct completion *c)
{
	for (int f = 0; f < _FF_MAX; f++)
		if (filter_field_known(c->env, f))
			offer(c, flow_fields[f].path, flow_fields[f].doc);
}

static void offer_sides(const struct completion *c)
{
	const char *word, *doc;

	for (unsigned int i = 0; (word = filter_side_word(c->env, i, &doc)); i++)
		offer(c, word, doc);
}

static void offer_primary(const struct completion *c)
{
	offer_fields(c);
	offer_sides(c);
	offer(c, "src", "initiator's host, net or port");
	offer(c, "dst", "responder's host, net or port");
	offer(c, "ipv4", "both addresses are IPv4");
	offer(c, "ipv6", "both addresses are IPv6");
	offer(c, "flags", "all of these TCP flags were seen: flags SA");
	offer(c, "not", "the opposite; of an absent field, still false");
	offer(c, "exists", "exists(field): is the field there?");
}

static void offer_ops(const struct completion *c, enum flow_field f)
{
	static const char *const docs[_FO_MAX] = {
		[FO_EQ] = "equal",
		[FO_NE] = "not equal",
		[FO_LT] = "less",
		[FO_LE] = "less or equal",
		[FO_GT] = "greater",
		[FO_GE] = "greater or equal",
		[FO_BITS] = "any of these bits is set",
		[FO_IN] = "in a network, a range, {values} or @list",
		[FO_PREFIX] = "begins with",
		[FO_SUFFIX] = "ends with",
		[FO_CONTAINS] = "has it somewhere",
	};

	for (unsigned int op = 0; op < _FO_MAX; op++)
		if (filter_class_has(filter_class(f), op))
			offer(c, filter_op_text[op], docs[op]);
}

static void offer_values(const struct completion *c, enum flow_field f)
{
	static const char *const letters[] = {"F", "S", "R", "P", "A", "U", "E", "C"};
	static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
	const enum filter_class class = filter_class(f);
	const char *word;
	unsigned int i = 0;
	uint64_t v;

	if (class == FC_FLAGS)
		for (size_t k = 0; k < sizeof(letters) / sizeof(letters[0]); k++)
			offer(c, letters[k], names[k]);
	if (class != FC_WORD && class != FC_VERSION)
		return;
	while ((word = filter_word(flow_fields[f].type, &i, &v)))
		if (!strchr(word, ' '))
			offer(c, word, "");
}

static void offer_expected(const struct completion *c, const struct filter_parser *p)
{
	switch (p->expect) {
	case EXPECT_FIELD:
		offer_primary(c);
		break;
	case EXPECT_FIELD_ONLY:
		offer_fields(c);
		break;
	case EXPECT_OP:
		offer_ops(c, p->expect_field);
		break;
	case EXPECT_OP_OR_VALUE:
		offer_ops(c, p->expect_field);
		offer_values(c, p->expect_field);
		break;
	case EXPECT_VALUE:
		offer_values(c, p->expect_field);
		break;
	case EXPECT_SIDE:
		offer_sides(c);
		break;
	case EXPECT_MORE:
		offer(c, "and", "both");
		offer(c, "or", "one of them, or both");
		break;
	default:
		break;
	}
}

size_t filter_complete(const char *text, size_t len, const struct filter_env *env,
		       filter_word_fn *add, void *arg)
{
	struct filter_error err;
	struct filter_ast ast = {};
	struct filter_parser p = {.text = text, .ast = &ast, .env = env, .err = &err};
	size_t start = len;
	struct completion c;

	if (len > FILTER_TEXT_MAX)
		return len;
	while (start && filter_word_char(text[start - 1]))
		start--;
	p.len = (uint32_t)start;
	/* Right behind @ or $ stands a name that only its resolver knows. */
	if (start && strchr("@$", text[start - 1]))
		return start;
	filter_parse_ast(&p);
	filter_ast_done(&ast);
	c = (struct completion){env, text + start, len - start, add, arg};
	offer_expected(&c, &p);
	return start;
}
