// SPDX-License-Identifier: Apache-2.0
#include "common/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"

/* One line being read. */
struct line {
	const char *s;
	size_t len, pos;
	uint32_t number;
};

struct parser {
	struct config *c;
	struct config_errors *errs;
	bool skip; /* the section's head was wrong: its keys are not looked at */
	bool oom;
};

void config_error(struct config_errors *errs, uint32_t line, uint32_t col, const char *fmt, ...)
{
	struct config_error *e;
	va_list ap;

	if (errs->count++ >= CONFIG_ERRORS_MAX)
		return;
	e = &errs->list[errs->count - 1];
	e->line = line;
	e->col = col;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
}

static int by_place(const void *a, const void *b)
{
	const struct config_error *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->col < y->col ? -1 : x->col > y->col;
}

void config_errors_sort(struct config_errors *errs)
{
	uint32_t n = errs->count < CONFIG_ERRORS_MAX ? errs->count : CONFIG_ERRORS_MAX;

	qsort(errs->list, n, sizeof(errs->list[0]), by_place);
}

/* ---- characters ---- */

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.' || c == '/';
}

static void skip_blanks(struct line *l)
{
	while (l->pos < l->len && blank(l->s[l->pos]))
		l->pos++;
}

static bool at_end(const struct line *l)
{
	return l->pos >= l->len || l->s[l->pos] == '#' || l->s[l->pos] == ';';
}

static void wrong(struct parser *p, const struct line *l, size_t pos, const char *what)
{
	config_error(p->errs, l->number, pos + 1, "%s", what);
}

static char *copy(struct parser *p, const char *s, size_t len)
{
	char *t = strndup(s, len);

	if (!t)
		p->oom = true;
	return t;
}

/* Bytes that have no place in a line: control characters, and what is no UTF-8. */
static bool check_bytes(struct parser *p, const struct line *l)
{
	for (size_t i = 0; i < l->len;) {
		unsigned char ch = (unsigned char)l->s[i];
		unsigned int n = utf8_len(l->s + i, l->len - i);

		if ((ch < 0x20 && ch != '\t') || ch == 0x7f) {
			config_error(p->errs, l->number, i + 1, "control character 0x%02x", ch);
			return false;
		}
		if (!n) {
			config_error(p->errs, l->number, i + 1, "byte 0x%02x is not UTF-8", ch);
			return false;
		}
		i += n;
	}
	return true;
}

/* ---- words and values ---- */

/* A string in quotes, the opening one at l->pos. NULL with the error noted. */
static char *quoted(struct parser *p, struct line *l)
{
	size_t start = l->pos++, out = 0;
	char *text = calloc(1, l->len + 1);

	if (!text) {
		p->oom = true;
		return NULL;
	}
	while (l->pos < l->len && l->s[l->pos] != '"') {
		char ch = l->s[l->pos++];

		if (ch == '\\') {
			const char *from = "\"\\nt", *hit;

			hit = l->pos < l->len ? memchr(from, l->s[l->pos], 4) : NULL;
			if (!hit) {
				wrong(p, l, l->pos - 1,
				      "unknown escape, want \\\" \\\\ \\n or \\t");
				free(text);
				return NULL;
			}
			ch = "\"\\\n\t"[hit - from];
			l->pos++;
		}
		text[out++] = ch;
	}
	if (l->pos >= l->len) {
		wrong(p, l, start, "this quote is not closed");
		free(text);
		return NULL;
	}
	l->pos++;
	return text;
}

/* Everything to the end of the line or a comment. */
static char *bare(struct parser *p, struct line *l)
{
	size_t start = l->pos, quote = 0;
	bool in = false;

	for (; l->pos < l->len; l->pos++) {
		char ch = l->s[l->pos];

		if (in && ch == '\\' && l->pos + 1 < l->len) {
			l->pos++;
		} else if (ch == '"') {
			in = !in;
			quote = l->pos;
		} else if (!in && (ch == '#' || ch == ';') && blank(l->s[l->pos - 1])) {
			break;
		}
	}
	if (in) {
		wrong(p, l, quote, "this quote is not closed");
		return NULL;
	}
	while (l->pos > start && blank(l->s[l->pos - 1]))
		l->pos--;
	return copy(p, l->s + start, l->pos - start);
}

static char *value(struct parser *p, struct line *l)
{
	size_t start = l->pos;
	char *v;

	if (at_end(l)) {
		wrong(p, l, l->pos, "a value is missing; \"\" is the empty one");
		return NULL;
	}
	if (l->s[start] != '"')
		return bare(p, l);
	v = quoted(p, l);
	skip_blanks(l);
	if (v && !at_end(l)) {
		wrong(p, l, l->pos, "text behind the closing quote");
		free(v);
		return NULL;
	}
	return v;
}

/* Room for one more in an array that doubles. NULL: no memory, or none needed beyond @max. */
static void *room(struct parser *p, void *array, uint32_t n, size_t size)
{
	void *bigger;

	if (n & (n - 1)) /* it is doubled at powers of two */
		return array;
	bigger = reallocarray(array, n ? 2ul * n : 1, size);
	if (!bigger)
		p->oom = true;
	return bigger;
}

static size_t word(struct line *l)
{
	size_t start = l->pos;

	while (l->pos < l->len && word_char(l->s[l->pos]))
		l->pos++;
	return l->pos - start;
}

/* ---- sections ---- */

static bool same_name(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void add_section(struct parser *p, const struct config_section *s)
{
	struct config_section *list;
	struct config *c = p->c;

	for (uint32_t i = 0; i < c->n_sections; i++) {
		const struct config_section *o = &c->sections[i];

		if (!strcmp(o->kind, s->kind) && same_name(o->name, s->name)) {
			config_error(p->errs, s->line, s->kind_col,
				     "section [%s%s%s] is in line %u already", s->kind,
				     s->name ? " " : "", s->name ?: "", o->line);
			break;
		}
	}
	if (c->n_sections == CONFIG_SECTIONS_MAX) {
		config_error(p->errs, s->line, 1, "more than %u sections", CONFIG_SECTIONS_MAX);
		free(s->kind);
		free(s->name);
		return;
	}
	list = room(p, c->sections, c->n_sections, sizeof(*list));
	if (!list) {
		free(s->kind);
		free(s->name);
		return;
	}
	c->sections = list;
	c->sections[c->n_sections] = *s;
	c->sections[c->n_sections++].first = c->n_entries;
	p->skip = false;
}

/* The name in [interface eth*]: to the bracket, or quoted. */
static char *section_name(struct parser *p, struct line *l)
{
	size_t start = l->pos;

	if (l->s[start] == '"')
		return quoted(p, l);
	while (l->pos < l->len && l->s[l->pos] != ']' && l->s[l->pos] != '"' &&
	       !blank(l->s[l->pos]))
		l->pos++;
	return copy(p, l->s + start, l->pos - start);
}

static bool section_end(struct parser *p, struct line *l)
{
	skip_blanks(l);
	if (l->pos >= l->len || l->s[l->pos] != ']') {
		wrong(p, l, l->pos, "']' is missing");
		return false;
	}
	l->pos++;
	skip_blanks(l);
	if (!at_end(l)) {
		wrong(p, l, l->pos, "text behind ']'");
		return false;
	}
	return true;
}

static void section(struct parser *p, struct line *l)
{
	struct config_section s = {.line = l->number};
	size_t start, len;
	bool named;

	p->skip = true;
	l->pos++;
	skip_blanks(l);
	start = l->pos;
	len = word(l);
	if (!len) {
		wrong(p, l, start, "the name of a section is missing");
		return;
	}
	s.kind_col = start + 1;
	s.kind = copy(p, l->s + start, len);
	skip_blanks(l);
	s.name_col = l->pos + 1;
	named = l->pos < l->len && l->s[l->pos] != ']';
	if (named)
		s.name = section_name(p, l);
	if (!s.kind || (named && !s.name) || !section_end(p, l)) {
		free(s.kind);
		free(s.name);
		return;
	}
	add_section(p, &s);
}

/* ---- keys ---- */

static void add_entry(struct parser *p, const struct config_entry *e)
{
	struct config *c = p->c;
	struct config_section *s = &c->sections[c->n_sections - 1];
	struct config_entry *list;

	for (uint32_t i = s->first; i < c->n_entries; i++)
		if (!strcmp(c->entries[i].key, e->key)) {
			config_error(p->errs, e->line, e->key_col, "key '%s' is in line %u already",
				     e->key, c->entries[i].line);
			break;
		}
	if (c->n_entries == CONFIG_ENTRIES_MAX) {
		config_error(p->errs, e->line, 1, "more than %u settings", CONFIG_ENTRIES_MAX);
		free(e->key);
		free(e->value);
		return;
	}
	list = room(p, c->entries, c->n_entries, sizeof(*list));
	if (!list) {
		free(e->key);
		free(e->value);
		return;
	}
	c->entries = list;
	c->entries[c->n_entries++] = *e;
	s->entries++;
}

static void entry(struct parser *p, struct line *l)
{
	struct config_entry e = {.line = l->number, .key_col = l->pos + 1};
	size_t start = l->pos, len = word(l);

	if (!len) {
		wrong(p, l, start, "want 'key = value', '[section]' or '# comment'");
		return;
	}
	skip_blanks(l);
	if (l->pos >= l->len || l->s[l->pos] != '=') {
		wrong(p, l, l->pos, "'=' is missing behind the key");
		return;
	}
	l->pos++;
	skip_blanks(l);
	e.value_col = l->pos + 1;
	e.quoted = l->pos < l->len && l->s[l->pos] == '"';
	e.value = value(p, l);
	if (!e.value)
		return;
	if (!p->c->n_sections && !p->skip)
		wrong(p, l, start,
		      "this key is in no section, want a line such as [run] before it");
	if (!p->c->n_sections || p->skip) {
		free(e.value);
		return;
	}
	e.section = p->c->n_sections - 1;
	e.key = copy(p, l->s + start, len);
	if (e.key)
		add_entry(p, &e);
	else
		free(e.value);
}

static void one_line(struct parser *p, struct line *l)
{
	if (l->len && l->s[l->len - 1] == '\r')
		l->len--;
	if (l->len > CONFIG_LINE_MAX) {
		config_error(p->errs, l->number, CONFIG_LINE_MAX + 1,
			     "the line is longer than %u bytes", CONFIG_LINE_MAX);
		return;
	}
	if (!check_bytes(p, l))
		return;
	skip_blanks(l);
	if (at_end(l))
		return;
	if (l->s[l->pos] == '[')
		section(p, l);
	else
		entry(p, l);
}

static void all_lines(struct parser *p, const char *text, size_t len)
{
	uint32_t number = 1;

	while (len && !p->oom) {
		const char *nl = memchr(text, '\n', len);
		size_t n = nl ? (size_t)(nl - text) : len;
		struct line l = {.s = text, .len = n, .number = number};

		number++;
		one_line(p, &l);
		n += nl != NULL;
		text += n;
		len -= n;
	}
}

int config_parse(const char *text, size_t len, struct config **ret, struct config_errors *errs)
{
	struct parser p = {.errs = errs, .c = calloc(1, sizeof(*p.c))};
	uint32_t before = errs->count;

	if (!p.c)
		return -ENOMEM;
	if (len > CONFIG_BYTES_MAX)
		config_error(errs, 0, 0, "the file is larger than %u bytes", CONFIG_BYTES_MAX);
	else
		all_lines(&p, text, len);
	if (p.oom) {
		config_free(p.c);
		return -ENOMEM;
	}
	*ret = p.c;
	return errs->count == before ? 0 : -EINVAL;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < c->n_sections; i++) {
		free(c->sections[i].kind);
		free(c->sections[i].name);
	}
	for (uint32_t i = 0; i < c->n_entries; i++) {
		free(c->entries[i].key);
		free(c->entries[i].value);
	}
	free(c->sections);
	free(c->entries);
	free(c);
}
