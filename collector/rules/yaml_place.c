// SPDX-License-Identifier: Apache-2.0
/*
 * yaml_place.c - from a place within a scalar's value back to the file: the source is walked beside the
 * value, the way YAML reads it (YAML 1.1: 5.6 escapes, 9.1 to 9.3 scalars).
 */
#include <stdbool.h>
#include <string.h>

#include "collector/rules/yaml.h"

struct walk {
	const char *s, *s_end; /* source */
	const char *v;	       /* value, terminated */
	uint8_t style;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Characters of the source that one escape is. */
static uint32_t escape_len(const char *s, const char *end)
{
	if (end - s < 2)
		return 1;
	switch (s[1]) {
	case 'x':
		return 4;
	case 'u':
		return 6;
	case 'U':
		return 10;
	default:
		return 2;
	}
}

/* Blanks with a line's end among them: whatever they became, both runs end together. */
static bool skip_break(struct walk *w)
{
	const char *s = w->s;
	bool line = false;

	while (s < w->s_end && blank(*s))
		line |= *s++ == '\n';
	if (!line || !blank(*w->v))
		return false;
	w->s = s;
	while (blank(*w->v))
		w->v++;
	return true;
}

static uint32_t char_len(const char *s, const char *end)
{
	uint32_t n = 1;

	while (s + n < end && (s[n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* One character further, in both. */
static void step(struct walk *w)
{
	uint32_t n = char_len(w->s, w->s_end);

	if (w->style == YAML_DOUBLE && *w->s == '\\')
		n = escape_len(w->s, w->s_end);
	else if (w->style == YAML_SINGLE && *w->s == '\'')
		n = 2;
	w->s += n < (uint32_t)(w->s_end - w->s) ? n : (uint32_t)(w->s_end - w->s);
	w->v += char_len(w->v, w->v + 4);
}

static const char *begin(const struct yaml *y, const struct yaml_node *n)
{
	const char *s = y->source + n->at, *end = y->source + y->source_len;

	if (n->style == YAML_SINGLE || n->style == YAML_DOUBLE)
		return s + 1;
	if (n->style != YAML_BLOCK)
		return s;
	while (s < end && *s != '\n')
		s++;
	while (s < end && blank(*s))
		s++;
	return s;
}

/* Where in the value that is. */
static const char *target_of(const char *v, uint32_t line, uint32_t column)
{
	while (*v && line > 1)
		line -= *v++ == '\n';
	for (; *v && column > 1; column--)
		v += char_len(v, v + 4);
	return v;
}

struct yaml_place yaml_place(const struct yaml *y, uint32_t node, struct yaml_place at)
{
	const struct yaml_node *n = &y->nodes[node];
	struct walk w = {begin(y, n), y->source + y->source_len, yaml_text(y, node), n->style};
	const char *to = target_of(w.v, at.line, at.column);
	struct yaml_place ret = {n->line, n->column};
	const char *s;

	while (n->style == YAML_BLOCK && blank(*w.v)) /* the source has been passed already */
		w.v++;
	while (w.v < to && w.s < w.s_end)
		if (!skip_break(&w))
			step(&w);
	for (s = y->source + n->at; s < w.s; s += char_len(s, w.s)) {
		if (*s == '\n') {
			ret.line++;
			ret.column = 1;
		} else {
			ret.column++;
		}
	}
	return ret;
}
