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
