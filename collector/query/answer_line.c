// SPDX-License-Identifier: Apache-2.0
#include "collector/query/answer_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/record_json.h"

struct answer_lines {
	int (*put)(void *arg, const char *line, size_t len);
	void *arg;
	struct output *out; /* of flows */
	uint32_t columns;
	char buf[ANSWER_LINE_MAX];
};

struct answer_reader {
	struct record_reader *records;
	struct answer_column columns[ANSWER_COLUMNS];
	uint32_t n;
	char code[32], message[512];
};

/* ---- writing ---- */

int answer_lines_new(int (*put)(void *arg, const char *line, size_t len), void *arg,
		     struct answer_lines **ret)
{
	struct answer_lines *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->put = put;
	l->arg = arg;
	r = output_new("json", -1, &l->out);
	if (r) {
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void answer_lines_free(struct answer_lines *l)
{
	if (!l)
		return;
	output_free(l->out);
	free(l);
}

static void put_key(struct json *j, const char *key)
{
	json_key(j, key, strlen(key));
}

static void put_text(struct json *j, const char *key, const char *text)
{
	put_key(j, key);
	json_str(j, text, strlen(text));
}

static void put_number(struct json *j, const char *key, uint64_t v)
{
	put_key(j, key);
	json_u64(j, v);
}

static void begin(struct answer_lines *l, struct json *j, const char *type)
{
	json_init(j, l->buf, sizeof(l->buf) - 1);
	json_open(j, '{');
	put_text(j, "type", type);
}

static int finish(struct answer_lines *l, struct json *j)
{
	size_t len;

	json_close(j, '}');
	if (json_end(j, &len))
		return -EMSGSIZE;
	l->buf[len++] = '\n';
	return l->put(l->arg, l->buf, len);
}

static int put_head(void *arg, const struct answer_column *columns, uint32_t n)
{
	struct answer_lines *l = arg;
	struct json j;

	l->columns = n;
	begin(l, &j, "columns");
	put_key(&j, "columns");
	json_open(&j, '[');
	for (uint32_t i = 0; i < n; i++) {
		json_open(&j, '{');
		put_text(&j, "name", columns[i].name);
		put_number(&j, "kind", columns[i].kind);
		put_number(&j, "unit", columns[i].unit);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	return finish(l, &j);
}

static void put_cell(struct json *j, const struct answer_cell *c)
{
	switch (c->kind) {
	case AK_TEXT:
		json_str(j, c->s.s, c->s.len);
		return;
	case AK_U64:
		json_u64(j, c->u);
		return;
	case AK_TIME:
		json_u64(j, (uint64_t)c->us);
		return;
	case AK_F64:
		json_f64(j, c->f);
		return;
	default:
		break;
	}
	json_bool(j, false); /* absent */
}

static int put_row(void *arg, const struct answer_cell *cells, bool other)
{
	struct answer_lines *l = arg;
	struct json j;

	begin(l, &j, "row");
	put_key(&j, "other");
	json_bool(&j, other);
	put_key(&j, "v");
	json_open(&j, '[');
	for (uint32_t i = 0; i < l->columns; i++)
		put_cell(&j, &cells[i]);
	json_close(&j, ']');
	return finish(l, &j);
}

static int put_flow(void *arg, const struct flow_record *r)
{
	static const char head[] = "{\"type\":\"flow\",\"flow\":";
	struct answer_lines *l = arg;
	ssize_t n;

	memcpy(l->buf, head, sizeof(head) - 1);
	n = output_text(l->out, r, l->buf + sizeof(head) - 1);
	if (n < 0)
		return (int)n;
	n += (ssize_t)sizeof(head) - 1;
	while (n && l->buf[n - 1] == '\n')
		n--;
	l->buf[n++] = '}';
	l->buf[n++] = '\n';
	return l->put(l->arg, l->buf, (size_t)n);
}

static int put_note(void *arg, const char *text)
{
	struct answer_lines *l = arg;
	struct json j;

	begin(l, &j, "note");
	put_text(&j, "text", text);
	return finish(l, &j);
}

static int put_end(void *arg, const struct answer_end *end)
{
	struct answer_lines *l = arg;
	struct json j;

	begin(l, &j, "end");
	put_number(&j, "rows", end->rows);
	put_number(&j, "us", end->us);
	put_text(&j, "source", end->source);
	put_text(&j, "cursor", end->cursor);
	return finish(l, &j);
}

struct answer_sink answer_lines_sink(struct answer_lines *l)
{
	return (struct answer_sink){
		.head = put_head,
		.row = put_row,
		.flow = put_flow,
		.note = put_note,
		.end = put_end,
		.arg = l,
	};
}

int answer_lines_progress(struct answer_lines *l, double percent)
{
	char line[64];
	const int n = snprintf(line, sizeof(line), "{\"type\":\"progress\",\"percent\":%u}\n",
			       percent > 0 ? (unsigned int)percent : 0);

	return l->put(l->arg, line, (size_t)n);
}

int answer_lines_error(struct answer_lines *l, const char *code, const char *message)
{
	struct json j;

	begin(l, &j, "error");
	put_text(&j, "code", code);
	put_text(&j, "message", message);
	return finish(l, &j);
}

/* ---- reading ---- */

struct answer_reader *answer_reader_new(void)
{
	struct answer_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->records = record_reader_new();
	if (!r->records) {
		free(r);
		return NULL;
	}
	return r;
}

void answer_reader_free(struct answer_reader *r)
{
	if (!r)
		return;
	record_reader_free(r->records);
	free(r);
}

const char *answer_error(const struct answer_reader *r, const char **ret_code)
{
	*ret_code = r->code;
	return r->message;
}

static uint64_t number_of(const json_t *line, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(line, key));
}

static const char *text_of(const json_t *line, const char *key)
{
	return json_string_value(json_object_get(line, key)) ?: "";
}

static int read_head(struct answer_reader *r, const json_t *line, const struct answer_sink *k)
{
	const json_t *list = json_object_get(line, "columns");
	const size_t n = json_array_size(list);

	if (n > ANSWER_COLUMNS)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++) {
		const json_t *c = json_array_get(list, i);

		snprintf(r->columns[i].name, sizeof(r->columns[i].name), "%s", text_of(c, "name"));
		r->columns[i].kind = (uint8_t)number_of(c, "kind");
		r->columns[i].unit = (uint8_t)number_of(c, "unit");
	}
	r->n = (uint32_t)n;
	return k->head(k->arg, r->columns, r->n);
}

static struct answer_cell read_cell(const json_t *v, uint8_t kind)
{
	struct answer_cell c = {};

	if (json_is_integer(v) && (kind == AK_U64 || kind == AK_TIME)) {
		c.kind = kind;
		c.u = (uint64_t)json_integer_value(v);
	} else if (json_is_string(v) && kind == AK_TEXT) {
		c.kind = AK_TEXT;
		c.s = (struct flow_str){json_string_value(v), (uint32_t)json_string_length(v)};
	} else if (json_is_number(v) && kind == AK_F64) {
		c.kind = AK_F64;
		c.f = json_number_value(v);
	}
	return c;
}

static int read_row(struct answer_reader *r, const json_t *line, const struct answer_sink *k)
{
	const json_t *list = json_object_get(line, "v");
	struct answer_cell cells[ANSWER_COLUMNS];

	if (json_array_size(list) != r->n)
		return -EBADMSG;
	for (uint32_t i = 0; i < r->n; i++)
		cells[i] = read_cell(json_array_get(list, i), r->columns[i].kind);
	return k->row(k->arg, cells, json_is_true(json_object_get(line, "other")));
}

static int read_flow(struct answer_reader *r, const json_t *line, const struct answer_sink *k)
{
	char why[RECORD_JSON_ERROR];
	struct flow_record f;

	if (record_read(r->records, json_object_get(line, "flow"), &f, why))
		return -EBADMSG;
	return k->flow(k->arg, &f);
}

static int read_note(struct answer_reader *r, const json_t *line, const struct answer_sink *k)
{
	(void)r;
	return k->note(k->arg, text_of(line, "text"));
}

static int read_progress(struct answer_reader *r, const json_t *line, const struct answer_sink *k)
{
	(void)r;
	return k->progress ? k->progress(k->progress_arg, (double)number_of(line, "percent")) : 0;
}

static int read_end(struct answer_reader *r, const json_t *line, const struct answer_sink *k)
{
	struct answer_end end = {.rows = number_of(line, "rows"), .us = number_of(line, "us")};

	(void)r;
	snprintf(end.source, sizeof(end.source), "%s", text_of(line, "source"));
	snprintf(end.cursor, sizeof(end.cursor), "%s", text_of(line, "cursor"));
	return k->end(k->arg, &end);
}

static int read_error(struct answer_reader *r, const json_t *line, const struct answer_sink *k)
{
	(void)k;
	snprintf(r->code, sizeof(r->code), "%s", text_of(line, "code"));
	snprintf(r->message, sizeof(r->message), "%s", text_of(line, "message"));
	return -EREMOTEIO;
}

int answer_read(struct answer_reader *r, const json_t *line, const struct answer_sink *k,
		bool *ret_done)
{
	static const struct {
		const char *type;
		int (*read)(struct answer_reader *r, const json_t *line,
			    const struct answer_sink *k);
	} types[] = {{"row", read_row},		  {"flow", read_flow}, {"columns", read_head},
		     {"progress", read_progress}, {"note", read_note}, {"end", read_end},
		     {"error", read_error}};
	const char *type = text_of(line, "type");

	*ret_done = !strcmp(type, "end");
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(types[i].type, type))
			return types[i].read(r, line, k);
	return -EBADMSG;
}
