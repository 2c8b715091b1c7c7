// SPDX-License-Identifier: Apache-2.0
/*
 * problem.c - what is wrong with a request, as RFC 9457 has it.
 */
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "collector/api/route.h"
#include "common/output_int.h"

int api_problem(struct api_problem *p, unsigned int status, const char *code, const char *fmt, ...)
{
	va_list args;

	p->status = status;
	p->code = code;
	va_start(args, fmt);
	vsnprintf(p->detail, sizeof(p->detail), fmt, args);
	va_end(args);
	return -1;
}

/* ---- lines of what is wrong ---- */

/* Digits, a colon. Return: what is behind it; NULL: it is none. */
static const char *number_of(const char *s, unsigned int *ret)
{
	const size_t n = strspn(s, "0123456789");

	if (!n || n > 6 || s[n] != ':')
		return NULL;
	for (*ret = 0; *s != ':'; s++)
		*ret = *ret * 10 + (unsigned int)(*s - '0');
	return s + 1;
}

/* "text:7:3: what" has a place. Return: what. */
static const char *place_of(const char *line, unsigned int *ret_line, unsigned int *ret_column)
{
	const char *s = strncmp(line, "text:", 5) ? NULL : number_of(line + 5, ret_line);

	s = s ? number_of(s, ret_column) : NULL;
	if (s)
		return s + (*s == ' ');
	*ret_line = *ret_column = 0;
	return line;
}

int api_refused(struct api_problem *p, const struct api_refusal *as, int r, const char *said)
{
	while (as->r && as->r != r)
		as++;
	p->errors = json_array();
	if (!*said)
		said = "out of memory";
	for (const char *line = said, *what; *line;) {
		const size_t len = strcspn(line, "\n");
		unsigned int at, column;
		json_t *o;

		what = place_of(line, &at, &column);
		o = json_object();
		if (at)
			json_object_update_new(o, json_pack("{s:i,s:i}", "line", (int)at, "column",
							    (int)column));
		json_object_set_new(o, "detail",
				    json_stringn(what, len - (size_t)(what - line))
					    ?: json_string("?"));
		json_array_append_new(p->errors, o);
		if (line == said) {
			p->line = at;
			p->column = column;
			if (at)
				snprintf(p->member, sizeof(p->member), "text");
			api_problem(p, as->status, as->code, "%.*s", (int)strcspn(what, "\n"),
				    what);
		}
		line += len + (line[len] == '\n');
	}
	return -1;
}

/* ---- JSON ---- */

/* It may have octets of the request, cut anywhere. */
static void put_text(json_t *o, const char *key, const char *text)
{
	char clean[3 * sizeof(((struct api_problem *)0)->detail)];
	const size_t len =
		text_clean((struct flow_str){text, (uint32_t)strlen(text)}, clean, sizeof(clean));

	if (len)
		json_object_set_new(o, key, json_stringn(clean, len));
}

json_t *api_problem_json(struct api_problem *p)
{
	json_t *o = json_object();

	json_object_set_new(o, "type", json_string("about:blank"));
	json_object_set_new(o, "title", json_string(MHD_get_reason_phrase_for(p->status)));
	json_object_set_new(o, "status", json_integer(p->status));
	put_text(o, "code", p->code ?: "");
	put_text(o, "detail", p->detail);
	put_text(o, "member", p->member);
	if (p->line) {
		json_object_set_new(o, "line", json_integer(p->line));
		json_object_set_new(o, "column", json_integer(p->column));
	}
	if (p->errors)
		json_object_set_new(o, "errors", p->errors);
	p->errors = NULL;
	return o;
}
