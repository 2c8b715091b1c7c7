// SPDX-License-Identifier: Apache-2.0
/*
 * top_rows.c - answers to `top` as rows and cells.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "loader/control/control.h"
#include "loader/control/top.h"
#include "common/units.h"

json_t *top_request(const struct top_wish *w)
{
	return json_pack("{s:i,s:s,s:s,s:s,s:s,s:i,s:b}", "v", (int)CONTROL_VERSION, "command",
			 "top", "filter", w->filter, "by", w->by, "sort", top_sort_words[w->sort],
			 "limit", (int)w->limit, "follow", w->follow);
}

/* ---- reading ---- */

static void forget_next(struct top_answer *a)
{
	json_decref(a->next_head);
	json_decref(a->next_rows);
	a->next_head = a->next_rows = NULL;
}

int top_take(struct top_answer *a, json_t *line, json_t **ret_error)
{
	const char *type = client_type(line);

	if (!strcmp(type, "error")) {
		*ret_error = line;
		return -1;
	}
	if (!strcmp(type, "top")) {
		forget_next(a);
		a->next_head = line;
		a->next_rows = json_array();
		return 0;
	}
	if (strcmp(type, "end") != 0) {
		if (!a->next_rows || json_array_append_new(a->next_rows, line))
			json_decref(line);
		return 0;
	}
	json_decref(line);
	if (!a->next_head)
		return 0;
	json_decref(a->head);
	json_decref(a->rows);
	a->head = a->next_head;
	a->rows = a->next_rows;
	a->next_head = a->next_rows = NULL;
	return 1;
}

void top_answer_done(struct top_answer *a)
{
	forget_next(a);
	json_decref(a->head);
	json_decref(a->rows);
	*a = (struct top_answer){};
}

/* ---- cells ---- */

size_t top_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

size_t top_bytes(const char *s, size_t width)
{
	size_t n = 0, columns = 0;

	for (; s[n] && (columns < width || ((unsigned char)s[n] & 0xc0) == 0x80); n++)
		columns += ((unsigned char)s[n] & 0xc0) != 0x80;
	return n;
}

/* Names come from the network: nothing of them may speak to the terminal. */
static void put_clean(char *buf, size_t cap, const char *s)
{
	size_t n = 0, left = strlen(s);

	while (left) {
		const unsigned int len = utf8_len(s, left);
		const bool control = len == 1 && ((unsigned char)*s < ' ' || *s == 0x7f);
		const bool c1 = len == 2 && *s == '\xc2' && (unsigned char)s[1] < 0xa0;

		if (n + (len ?: 1) + 1 > cap)
			break;
		if (!len || control || c1) {
			buf[n++] = '?';
		} else {
			memcpy(buf + n, s, len);
			n += len;
		}
		s += len ?: 1;
		left -= len ?: 1;
	}
	buf[n] = 0;
}

static uint64_t number_of(const json_t *o, const char *member)
{
	const json_int_t v = json_integer_value(json_object_get(o, member));

	return v > 0 ? (uint64_t)v : 0;
}

static const char *text_of(const json_t *o, const char *member)
{
	return json_string_value(json_object_get(o, member)) ?: "";
}

static void put_end(const json_t *end, char *buf, size_t cap)
{
	const char *ip = text_of(end, "ip");
	const json_t *port = json_object_get(end, "port");
	const bool brackets = port && strchr(ip, ':');

	if (port)
		snprintf(buf, cap, "%s%s%s:%u", brackets ? "[" : "", ip, brackets ? "]" : "",
			 (unsigned int)json_integer_value(port));
	else
		snprintf(buf, cap, "%s", ip);
}

static const char *rate_text(const json_t *row, const char *dir, enum top_units u, char *buf)
{
	char member[16];
	uint64_t v;

	snprintf(member, sizeof(member), "%s_%s", dir, u == UNITS_PACKETS ? "pps" : "bps");
	v = number_of(row, member);
	return units_si(u == UNITS_BYTES ? v / 8 : v, buf);
}

enum { CELL_SRC, CELL_DST, CELL_PROTO, CELL_NAME, CELL_RX, CELL_TX };

static const struct top_column flow_columns[] = {
	[CELL_SRC] = {"SRC", -ENDS_WIDTH, false},
	[CELL_DST] = {"DST", -ENDS_WIDTH, false},
	[CELL_PROTO] = {"PROTO", -5, false},
	[CELL_NAME] = {"NAME", 0, false},
	[CELL_RX] = {"RX", 9, true},
	[CELL_TX] = {"TX", 9, true},
};

static const struct top_column group_columns[] = {
	{"KEY", 0, false},	  {"RX", 9, true},     {"TX", 9, true},
	{"PACKETS/S", 10, false}, {"FLOWS", 9, false},
};

const struct top_column *top_columns(const char *by, unsigned int *ret_n)
{
	if (!strcmp(by, "flow")) {
		*ret_n = sizeof(flow_columns) / sizeof(flow_columns[0]);
		return flow_columns;
	}
	*ret_n = sizeof(group_columns) / sizeof(group_columns[0]);
	return group_columns;
}

const char *top_title(const struct top_column *col, enum top_units u, char *buf)
{
	static const char *const units[] = {
		[UNITS_BITS] = " b/s", [UNITS_BYTES] = " B/s", [UNITS_PACKETS] = " pps"};

	snprintf(buf, TOP_CELL, "%s%s", col->title, col->is_rate ? units[u] : "");
	return buf;
}

static void flow_cell(const json_t *row, unsigned int column, enum top_units u, char *buf)
{
	char text[64] = "";

	switch (column) {
	case CELL_SRC:
		put_end(json_object_get(row, "src"), text, sizeof(text));
		if (json_object_get(row, "ethertype"))
			snprintf(text, sizeof(text), "ethertype 0x%04x",
				 (unsigned int)number_of(row, "ethertype"));
		put_clean(buf, TOP_CELL, text);
		break;
	case CELL_DST:
		put_end(json_object_get(row, "dst"), text, sizeof(text));
		put_clean(buf, TOP_CELL, text);
		break;
	case CELL_PROTO:
		put_clean(buf, TOP_CELL, text_of(row, "proto"));
		break;
	case CELL_NAME:
		put_clean(buf, TOP_CELL, text_of(row, "name"));
		break;
	default:
		rate_text(row, column == CELL_RX ? "rx" : "tx", u, buf);
	}
}

/* The row's key: its first member. */
static const char *key_of(const json_t *row)
{
	void *it = json_object_iter((json_t *)row);

	return json_string_value(json_object_iter_value(it)) ?: "";
}

const char *top_cell(const json_t *row, const char *by, unsigned int column, enum top_units u,
		     char *buf)
{
	buf[0] = 0;
	if (!strcmp(by, "flow")) {
		flow_cell(row, column, u, buf);
		return buf;
	}
	switch (column) {
	case 0:
		put_clean(buf, TOP_CELL, *key_of(row) ? key_of(row) : "(none)");
		break;
	case 1:
		rate_text(row, "rx", u, buf);
		break;
	case 2:
		rate_text(row, "tx", u, buf);
		break;
	case 3:
		units_si(number_of(row, "rx_pps") + number_of(row, "tx_pps"), buf);
		break;
	default:
		units_grouped(number_of(row, "flows"), buf);
	}
	return buf;
}

const char *top_rate(const json_t *head, const char *dir, enum top_units u, char *buf)
{
	char rate[UNITS_TEXT], packets[UNITS_TEXT], member[16];

	snprintf(member, sizeof(member), "%s_pps", dir);
	rate_text(head, dir, u == UNITS_BYTES ? u : UNITS_BITS, rate);
	units_si(number_of(head, member), packets);
	/* "612.3 M" and "b/s" is "612.3 Mb/s" */
	snprintf(buf, TOP_CELL, "%s %s%s %s%s", dir, rate,
		 u == UNITS_BYTES ? (strchr(rate, ' ') ? "B/s" : " B/s")
				  : (strchr(rate, ' ') ? "b/s" : " b/s"),
		 packets, strchr(packets, ' ') ? "pps" : " pps");
	return buf;
}

/* ---- filters ---- */

static bool end_filter(const json_t *end, const char *side, char *buf, size_t cap, size_t *n)
{
	const json_t *port = json_object_get(end, "port");

	*n += (size_t)snprintf(buf + *n, cap - *n, "%s%s.ip == %s", *n ? " and " : "", side,
			       text_of(end, "ip"));
	if (port && *n < cap)
		*n += (size_t)snprintf(buf + *n, cap - *n, " and %s.port == %u", side,
				       (unsigned int)json_integer_value(port));
	return *n < cap;
}

static bool flow_filter(const json_t *row, char *buf, size_t cap)
{
	const char *proto = text_of(row, "proto");
	size_t n = 0;

	if (!json_object_get(row, "src")) {
		n = (size_t)snprintf(buf, cap, "ethertype == %u",
				     (unsigned int)number_of(row, "ethertype"));
		return n < cap;
	}
	if (!end_filter(json_object_get(row, "src"), "src", buf, cap, &n) ||
	    !end_filter(json_object_get(row, "dst"), "dst", buf, cap, &n))
		return false;
	n += (size_t)snprintf(buf + n, cap - n, " and proto == %s%s%s",
			      strchr(proto, ' ') ? "\"" : "", proto,
			      strchr(proto, ' ') ? "\"" : "");
	return n < cap;
}

/* A string of the filter language. */
static bool quoted(const char *s, char *buf, size_t cap)
{
	size_t n = 0;

	buf[n++] = '"';
	for (; *s; s++) {
		const unsigned char c = (unsigned char)*s;

		if (n + 6 > cap)
			return false;
		if (c == '"' || c == '\\')
			buf[n++] = '\\';
		if (c < ' ' || c == 0x7f)
			n += (size_t)snprintf(buf + n, cap - n, "\\x%02x", c);
		else
			buf[n++] = *s;
	}
	buf[n++] = '"';
	buf[n] = 0;
	return true;
}

bool top_row_filter(const json_t *row, const char *by, char *buf, size_t cap)
{
	const char *key = key_of(row), *slash = strchr(key, '/');
	char text[TOP_CELL * 2];
	struct request q = {};
	int n = -1;

	if (!strcmp(by, "flow"))
		return flow_filter(row, buf, cap);
	if (!*key || request_by(by, &q) || !quoted(key, text, sizeof(text)))
		return false;
	if (q.by == BY_HOST)
		n = snprintf(buf, cap, "host %s", key);
	else if (q.by == BY_PORT && slash)
		n = snprintf(buf, cap, "dst port %.*s and proto %s", (int)(slash - key), key,
			     slash + 1);
	else if (q.by == BY_NAME)
		n = snprintf(buf, cap, "(tls.sni == %s or http.host == %s or dns.qname == %s)",
			     text, text, text);
	else if (q.by == BY_FIELD)
		n = snprintf(buf, cap, "%s == %s", by,
			     flow_fields[q.field].type == FT_STR ? text : key);
	return n > 0 && (size_t)n < cap;
}

bool top_and(const char *a, const char *b, char *buf, size_t cap)
{
	int n;

	if (!*a || !*b)
		n = snprintf(buf, cap, "%s%s", a, b);
	else
		n = snprintf(buf, cap, "(%s) and %s", a, b);
	return n >= 0 && (size_t)n < cap;
}
