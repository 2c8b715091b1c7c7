// SPDX-License-Identifier: Apache-2.0
/*
 * filter_error.c - errors of the filter language: line, column, and one clean line of text.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/filter_int.h"
#include "common/json.h"

/* The offending text is quoted in messages: nothing of it may speak to a terminal. */
static void clean(char *s)
{
	size_t len = strlen(s);

	while (len) {
		unsigned int n = utf8_len(s, len);

		if (!n || (n == 1 && (*s < ' ' || *s == 0x7f)) ||
		    (n == 2 && *s == '\xc2' && s[1] < '\xa0')) {
			*s = '?';
			n = n ?: 1;
			if (n == 2)
				s[1] = '?';
		}
		s += n;
		len -= n;
	}
}

static void place(struct filter_parser *p, uint32_t at)
{
	p->err->line = 1;
	p->err->column = 1;
	for (uint32_t i = 0; i < at && i < p->len; i++) {
		if (p->text[i] == '\n') {
			p->err->line++;
			p->err->column = 1;
		} else if ((p->text[i] & 0xc0) != 0x80) { /* not inside a UTF-8 character */
			p->err->column++;
		}
	}
}

int filter_fail(struct filter_parser *p, uint32_t at, const char *fmt, ...)
{
	va_list ap;

	place(p, at);
	va_start(ap, fmt);
	vsnprintf(p->err->message, sizeof(p->err->message), fmt, ap);
	va_end(ap);
	clean(p->err->message);
	return -EINVAL;
}

int filter_fail_expected(struct filter_parser *p, enum filter_expect e, const char *what)
{
	switch (p->tok.type) {
	case TOK_END:
		p->expect = e;
		return filter_fail(p, p->tok.at, "expected %s, but the filter ends here", what);
	case TOK_BAD:
		if (p->text[p->tok.at] == '"')
			return filter_fail(p, p->tok.at, "text without its closing quote");
		if (p->text[p->tok.at] == '\'')
			return filter_fail(p, p->tok.at, "text stands in double quotes");
		return filter_fail(p, p->tok.at, "no word begins with '%c'", p->text[p->tok.at]);
	default:
		return filter_fail(p, p->tok.at, "expected %s, not '%.*s'", what, TOKEN_ARGS(p));
	}
}

int filter_fail_limit(struct filter_parser *p, const char *what)
{
	filter_fail(p, p->tok.at, "%s", what);
	return -E2BIG;
}

int filter_fail_memory(struct filter_parser *p)
{
	filter_fail(p, p->tok.at, "out of memory");
	return -ENOMEM;
}

const char *filter_error_text(const struct filter_error *e, char *buf)
{
	if (e->line > 1)
		snprintf(buf, FILTER_ERROR_TEXT, "line %u col %u: %s", e->line, e->column,
			 e->message);
	else
		snprintf(buf, FILTER_ERROR_TEXT, "col %u: %s", e->column, e->message);
	return buf;
}
