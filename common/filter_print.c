// SPDX-License-Identifier: Apache-2.0
/*
 * filter_print.c - a tree as text that parses to the same tree: one form per meaning, no sugar.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/filter_int.h"
#include "common/flow_text.h"
#include "common/num_text.h"

static void put_text(const char *s, uint32_t len, FILE *out)
{
	putc('"', out);
	for (uint32_t i = 0; i < len; i++) {
		const unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < ' ' || c >= 0x7f)
			fprintf(out, "\\x%02x", c);
		else
			putc(c, out);
	}
	putc('"', out);
}

static void put_number(enum flow_field f, uint64_t v, FILE *out)
{
	const enum filter_class c = filter_class(f);
	char buf[FLOW_TEXT];
	const char *word;

	if (c == FC_TIME) {
		time_text(v * 1000, buf);
		fputs(buf, out);
	} else if (c == FC_NUMBER || c == FC_DURATION || (c == FC_FLAGS && !v)) {
		fprintf(out, "%" PRIu64, v);
	} else {
		word = flow_word(flow_fields[f].type, v, buf);
		if (strchr(word, ' '))
			put_text(word, (uint32_t)strlen(word), out);
		else
			fputs(word, out);
	}
}

static void put_ip(const struct filter_value *v, const uint8_t ip[16], FILE *out)
{
	char buf[IP_TEXT];

	ip_text(ip, v->family, buf);
	fputs(buf, out);
}

static void put_value(const struct filter_ast *a, enum flow_field f, const struct filter_value *v,
		      FILE *out)
{
	if (v->param) {
		fprintf(out, "$%s", a->bytes + v->param);
		return;
	}
	switch (v->type) {
	case FV_NUMBER:
		put_number(f, v->lo, out);
		break;
	case FV_RANGE:
		fprintf(out, "%" PRIu64 "-%" PRIu64, v->lo, v->hi);
		break;
	case FV_STRING:
		put_text(a->bytes + v->str, v->str_len, out);
		break;
	case FV_LIST:
		fprintf(out, "@%s", a->bytes + v->str);
		break;
	default:
		put_ip(v, v->ip, out);
		if (v->type == FV_NET)
			fprintf(out, "/%u", (unsigned int)v->prefix);
		if (v->type == FV_IPS) {
			putc('-', out);
			put_ip(v, v->ip_hi, out);
		}
	}
}

/* Can it stand behind `in` without braces? */
static bool is_set(const struct filter_value *v)
{
	return !v->next && v->type != FV_NUMBER && v->type != FV_IP && v->type != FV_STRING;
}

static void put_cmp(const struct filter_ast *a, const struct filter_node *n, FILE *out)
{
	const struct filter_value *v = &a->values[n->first];

	fprintf(out, "%s %s ", flow_fields[n->field].path, filter_op_text[n->op]);
	if (n->op != FO_IN || is_set(v)) {
		put_value(a, n->field, v, out);
		return;
	}
	putc('{', out);
	for (;;) {
		put_value(a, n->field, v, out);
		if (!v->next)
			break;
		fputs(", ", out);
		v = &a->values[v->next];
	}
	putc('}', out);
}

static void put_node(const struct filter_ast *a, uint32_t i, FILE *out);

/* @n is a child of something that binds as tightly as @parent says. */
static void put_child(const struct filter_ast *a, uint32_t i, enum filter_node_type parent,
		      FILE *out)
{
	const enum filter_node_type t = a->nodes[i].type;
	const bool paren = t <= parent; /* OR < AND < NOT */

	if (paren && t != FN_NOT)
		putc('(', out);
	put_node(a, i, out);
	if (paren && t != FN_NOT)
		putc(')', out);
}

static void put_node(const struct filter_ast *a, uint32_t i, FILE *out)
{
	const struct filter_node *n = &a->nodes[i];

	switch (n->type) {
	case FN_NOT:
		fputs("not ", out);
		put_child(a, n->first, FN_NOT, out);
		break;
	case FN_EXISTS:
		fprintf(out, "exists(%s)", flow_fields[n->field].path);
		break;
	case FN_CMP:
		put_cmp(a, n, out);
		break;
	default:
		for (uint32_t c = n->first; c; c = a->nodes[c].next) {
			if (c != n->first)
				fputs(n->type == FN_AND ? " and " : " or ", out);
			put_child(a, c, n->type, out);
		}
	}
}

int filter_ast_print(const struct filter_ast *a, FILE *out)
{
	put_node(a, a->root, out);
	return ferror(out) ? -EIO : 0;
}
