// SPDX-License-Identifier: Apache-2.0
/*
 * output_csv.c - a record as a CSV line (RFC 4180); a column for each row of weir/fields.def that
 * is no list.
 */
#include <errno.h>
#include <string.h>

#include "common/flow_text.h"
#include "common/output_int.h"

static bool is_column(const struct output *o, unsigned int f)
{
	return !flow_type_list(flow_fields[f].type) && (o->added || !flow_fields[f].added);
}

size_t output_csv_header(const struct output *o, char *buf)
{
	size_t n = 0;

	for (unsigned int f = 0; f < _FF_MAX; f++) {
		const size_t len = strlen(flow_fields[f].path);

		if (!is_column(o, f))
			continue;
		if (n)
			buf[n++] = ',';
		memcpy(buf + n, flow_fields[f].path, len);
		n += len;
	}
	memcpy(buf + n, "\r\n", 2);
	return n + 2;
}

/* Put quotes round text that has commas, quotes or outer spaces; in place, at @p. */
static size_t quote(char *p, size_t len)
{
	size_t quotes = 0, to;
	bool need = len && (p[0] == ' ' || p[len - 1] == ' ');

	for (size_t i = 0; i < len; i++) {
		quotes += p[i] == '"';
		need |= p[i] == ',' || p[i] == '"';
	}
	if (!need)
		return len;
	to = len + quotes + 1;
	p[to] = '"';
	for (size_t i = len; i-- > 0;) {
		p[--to] = p[i];
		if (p[i] == '"')
			p[--to] = '"';
	}
	p[0] = '"';
	return len + quotes + 2;
}

static size_t put_string(struct flow_str s, char *p, size_t cap)
{
	/* Room for quotes: each byte may be one. */
	size_t n = text_clean(s, p, cap > 2 ? (cap - 2) / 2 : 0);

	return quote(p, n);
}

ssize_t output_csv(struct output *o, const struct flow_record *r, char *buf)
{
	char text[FLOW_TEXT];
	size_t n = 0;

	for (unsigned int f = 0; f < _FF_MAX; f++) {
		struct flow_str s;

		if (!is_column(o, f))
			continue;
		if (f)
			buf[n++] = ',';
		if (!flow_has(r, f))
			continue;
		if (flow_fields[f].type == FT_CID) {
			if (!community_id(o->community, r, text))
				n += put_string((struct flow_str){text, COMMUNITY_ID_TEXT - 1},
						buf + n, OUTPUT_LINE_MAX - n);
			continue;
		}
		s = flow_text(r, f, text);
		if (s.len > (OUTPUT_LINE_MAX - n) / 8 - FLOW_TEXT)
			return -ENOSPC;
		n += put_string(s, buf + n, OUTPUT_LINE_MAX - n);
	}
	memcpy(buf + n, "\r\n", 2);
	return (ssize_t)n + 2;
}
