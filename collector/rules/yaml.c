// SPDX-License-Identifier: Apache-2.0
#include "collector/rules/yaml.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
	struct yaml *y;
	struct config_errors *errs;
	uint32_t open[YAML_DEPTH_MAX]; /* maps and lists around */
	uint32_t last[YAML_DEPTH_MAX]; /* their last child */
	uint32_t depth;
	bool done; /* the document has ended */
};

const char *yaml_text(const struct yaml *y, uint32_t node)
{
	return y->nodes[node].type == YAML_SCALAR ? y->bytes + y->nodes[node].text : "";
}

uint32_t yaml_get(const struct yaml *y, uint32_t map, const char *key)
{
	if (!map || y->nodes[map].type != YAML_MAP)
		return 0;
	for (uint32_t k = y->nodes[map].first; k; k = y->nodes[y->nodes[k].next].next)
		if (!strcmp(yaml_text(y, k), key))
			return y->nodes[k].next;
	return 0;
}

/* ---- building ---- */

static int grow(void **array, uint32_t *cap, uint32_t want, size_t size)
{
	uint32_t n = *cap ?: 64;
	void *to;

	if (want <= *cap)
		return 0;
	while (n < want)
		n *= 2;
	to = reallocarray(*array, n, size);
	if (!to)
		return -ENOMEM;
	*array = to;
	*cap = n;
	return 0;
}

static int add_text(struct yaml *y, const yaml_event_t *e, struct yaml_node *n)
{
	const uint32_t len = (uint32_t)e->data.scalar.length;
	int r = grow((void **)&y->bytes, &y->cap_bytes, y->n_bytes + len + 1, 1);

	if (r)
		return r;
	memcpy(y->bytes + y->n_bytes, e->data.scalar.value, len);
	y->bytes[y->n_bytes + len] = 0;
	n->text = y->n_bytes;
	n->len = len;
	y->n_bytes += len + 1;
	return 0;
}

static bool is_key(const struct reader *r)
{
	const uint32_t map = r->depth ? r->open[r->depth - 1] : 0;

	return map && r->y->nodes[map].type == YAML_MAP && r->y->nodes[map].n % 2 == 0;
}

static int check_key(struct reader *r, uint32_t node)
{
	struct yaml *y = r->y;
	const struct yaml_node *n = &y->nodes[node];
	const uint32_t map = r->open[r->depth - 1];
	const char *key = yaml_text(y, node);
	uint32_t before;

	if (n->type != YAML_SCALAR) {
		config_error(r->errs, n->line, n->column, "a key is a word");
		return -EINVAL;
	}
	if (y->nodes[map].n >= 2 * YAML_KEYS_MAX) {
		config_error(r->errs, n->line, n->column, "more than %u keys in one map",
			     YAML_KEYS_MAX);
		return -E2BIG;
	}
	for (before = y->nodes[map].first; before; before = y->nodes[y->nodes[before].next].next) {
		if (strcmp(yaml_text(y, before), key) != 0)
			continue;
		config_error(r->errs, n->line, n->column,
			     "'%.60s' is there twice, first in line %u", key,
			     y->nodes[before].line);
		return -EINVAL;
	}
	return 0;
}

/* @node becomes the next child of what is open. */
static int link_node(struct reader *r, uint32_t node)
{
	struct yaml *y = r->y;
	const uint32_t d = r->depth - 1;
	int rc = 0;

	if (!r->depth) {
		y->root = node;
		return 0;
	}
	if (is_key(r))
		rc = check_key(r, node);
	if (rc)
		return rc;
	if (r->last[d])
		y->nodes[r->last[d]].next = node;
	else
		y->nodes[r->open[d]].first = node;
	r->last[d] = node;
	y->nodes[r->open[d]].n++;
	return 0;
}

static int refuse(struct reader *r, const yaml_event_t *e, const char *what)
{
	config_error(r->errs, (uint32_t)e->start_mark.line + 1, (uint32_t)e->start_mark.column + 1,
		     "%s", what);
	return -EINVAL;
}

static int too_much(struct reader *r, const yaml_event_t *e, const char *what)
{
	refuse(r, e, what);
	return -E2BIG;
}

static int add_node(struct reader *r, const yaml_event_t *e, struct yaml_node *n)
{
	struct yaml *y = r->y;
	int rc;

	if (y->n_nodes >= YAML_NODES_MAX)
		return too_much(r, e, "too many values in one file");
	rc = grow((void **)&y->nodes, &y->cap_nodes, y->n_nodes + 2, sizeof(*y->nodes));
	if (rc)
		return rc;
	if (!y->n_nodes)
		y->nodes[y->n_nodes++] = (struct yaml_node){};
	n->line = (uint32_t)e->start_mark.line + 1;
	n->column = (uint32_t)e->start_mark.column + 1;
	y->nodes[y->n_nodes++] = *n;
	return link_node(r, y->n_nodes - 1);
}

static int add_scalar(struct reader *r, const yaml_event_t *e)
{
	static const uint8_t styles[] = {
		[YAML_SINGLE_QUOTED_SCALAR_STYLE] = YAML_SINGLE,
		[YAML_DOUBLE_QUOTED_SCALAR_STYLE] = YAML_DOUBLE,
		[YAML_LITERAL_SCALAR_STYLE] = YAML_BLOCK,
		[YAML_FOLDED_SCALAR_STYLE] = YAML_BLOCK,
	};
	const unsigned int style = (unsigned int)e->data.scalar.style;
	struct yaml_node n = {.type = YAML_SCALAR};
	int rc;

	if (e->data.scalar.anchor || e->data.scalar.tag)
		return refuse(r, e, "anchors and tags are not taken here");
	if (memchr(e->data.scalar.value, 0, e->data.scalar.length))
		return refuse(r, e, "text with an octet 0 in it");
	n.style = style < sizeof(styles) ? styles[style] : YAML_PLAIN;
	rc = add_text(r->y, e, &n);
	return rc ?: add_node(r, e, &n);
}

static int open_node(struct reader *r, const yaml_event_t *e, enum yaml_type type)
{
	struct yaml_node n = {.type = (uint8_t)type};
	const bool map = type == YAML_MAP;
	int rc;

	if (map ? e->data.mapping_start.anchor || e->data.mapping_start.tag
		: e->data.sequence_start.anchor || e->data.sequence_start.tag)
		return refuse(r, e, "anchors and tags are not taken here");
	if (r->depth == YAML_DEPTH_MAX)
		return too_much(r, e, "too many maps and lists inside each other");
	rc = add_node(r, e, &n);
	if (rc)
		return rc;
	r->open[r->depth] = r->y->n_nodes - 1;
	r->last[r->depth++] = 0;
	return 0;
}

static int take_event(struct reader *r, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		return r->done ? refuse(r, e, "a second document: one file is one document") : 0;
	case YAML_DOCUMENT_END_EVENT:
		r->done = true;
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse(r, e, "aliases are not taken here");
	case YAML_SCALAR_EVENT:
		return add_scalar(r, e);
	case YAML_MAPPING_START_EVENT:
		return open_node(r, e, YAML_MAP);
	case YAML_SEQUENCE_START_EVENT:
		return open_node(r, e, YAML_SEQ);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		r->depth--;
		return 0;
	default:
		return 0;
	}
}

static int say_syntax(const yaml_parser_t *p, struct config_errors *errs)
{
	const char *what = p->problem ?: "not understood";

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (p->error == YAML_READER_ERROR)
		config_error(errs, (uint32_t)p->mark.line + 1, (uint32_t)p->mark.column + 1,
			     "no UTF-8 text: %s", what);
	else
		config_error(errs, (uint32_t)p->problem_mark.line + 1,
			     (uint32_t)p->problem_mark.column + 1, "YAML: %s", what);
	return -EINVAL;
}

/* Where lines and characters are in bytes: nodes come in the order of the file. */
static void find_offsets(struct yaml *y)
{
	uint32_t at = 0, line = 1, column = 1;

	if (y->source_len >= 3 && !memcmp(y->source, "\xef\xbb\xbf", 3))
		at = 3;
	for (uint32_t i = 1; i < y->n_nodes; i++) {
		struct yaml_node *n = &y->nodes[i];

		while (at < y->source_len &&
		       (line < n->line || (line == n->line && column < n->column))) {
			const char c = y->source[at++];
			const bool pair = c == '\r' && at < y->source_len && y->source[at] == '\n';

			if ((c == '\n' || c == '\r') && !pair) {
				line++;
				column = 1;
			} else {
				while (at < y->source_len && (y->source[at] & 0xc0) == 0x80)
					at++;
				column++;
			}
		}
		n->at = at;
	}
}

int yaml_parse(const char *text, size_t len, struct yaml *ret, struct config_errors *errs)
{
	struct reader r = {.y = ret, .errs = errs};
	yaml_parser_t parser;
	yaml_event_t e;
	bool end = false;
	int rc = 0;

	*ret = (struct yaml){.source = text, .source_len = (uint32_t)len};
	if (len > YAML_TEXT_MAX) {
		config_error(errs, 0, 0, "larger than %u bytes", YAML_TEXT_MAX);
		return -E2BIG;
	}
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (!rc && !end) {
		if (!yaml_parser_parse(&parser, &e)) {
			rc = say_syntax(&parser, errs);
			break;
		}
		end = e.type == YAML_STREAM_END_EVENT;
		rc = take_event(&r, &e);
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&parser);
	if (!rc)
		find_offsets(ret);
	return rc;
}

void yaml_done(struct yaml *y)
{
	free(y->nodes);
	free(y->bytes);
	*y = (struct yaml){};
}
