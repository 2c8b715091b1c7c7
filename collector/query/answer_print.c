// SPDX-License-Identifier: Apache-2.0
#include "collector/query/answer_print.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/num_text.h"
#include "common/output_int.h"
#include "common/units.h"

#define TEXT_MAX  96u /* letters of a cell in a table */
#define BAR_WIDTH 10u

struct answer_print {
	struct print_cfg cfg;
	struct answer_column columns[ANSWER_COLUMNS];
	uint32_t n;
	char **cells; /* of the table, row by row */
	bool *other;
	size_t rows, cap;
	double shares_max;
	double *shares;
	struct answer_end end;
	char *line;
};

#define LINE_MAX_BYTES (64u << 10)

struct answer_print *answer_print_new(const struct print_cfg *cfg)
{
	struct answer_print *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->cfg = *cfg;
	p->line = malloc(LINE_MAX_BYTES);
	if (!p->line) {
		free(p);
		return NULL;
	}
	return p;
}

void answer_print_free(struct answer_print *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->rows * p->n; i++)
		free(p->cells[i]);
	free(p->cells);
	free(p->other);
	free(p->shares);
	free(p->line);
	free(p);
}

const struct answer_end *answer_print_end(const struct answer_print *p)
{
	return &p->end;
}

/* ---- JSON and CSV ---- */

static void json_cell(struct json *j, const struct answer_cell *c)
{
	char text[TIME_TEXT];

	switch (c->kind) {
	case AK_TEXT:
		json_str(j, c->s.s, c->s.len);
		break;
	case AK_U64:
		json_u64(j, c->u);
		break;
	case AK_F64:
		json_f64(j, c->f);
		break;
	default:
		json_str(j, text, time_text((uint64_t)c->us * 1000, text));
	}
}

/* What is absent is left out, as everywhere. */
static int print_json(struct answer_print *p, const struct answer_cell *cells, bool other)
{
	struct json j;
	size_t len;

	json_init(&j, p->line, LINE_MAX_BYTES);
	json_open(&j, '{');
	for (uint32_t i = 0; i < p->n; i++) {
		if (cells[i].kind == AK_NULL)
			continue;
		json_key(&j, p->columns[i].name, strlen(p->columns[i].name));
		json_cell(&j, &cells[i]);
	}
	if (other) {
		json_key(&j, "other", 5);
		json_bool(&j, true);
	}
	json_close(&j, '}');
	if (json_end(&j, &len))
		return -EMSGSIZE;
	fwrite(p->line, 1, len, p->cfg.out);
	return putc('\n', p->cfg.out) == EOF ? -EPIPE : 0;
}

static void csv_text(struct answer_print *p, struct flow_str s)
{
	const size_t len = text_clean(s, p->line, LINE_MAX_BYTES);
	const bool quote = memchr(p->line, ',', len) || memchr(p->line, '"', len);

	if (quote)
		putc('"', p->cfg.out);
	for (size_t i = 0; i < len; i++) {
		if (p->line[i] == '"')
			putc('"', p->cfg.out);
		putc(p->line[i], p->cfg.out);
	}
	if (quote)
		putc('"', p->cfg.out);
}

static void csv_cell(struct answer_print *p, const struct answer_cell *c)
{
	char text[TIME_TEXT];

	switch (c->kind) {
	case AK_TEXT:
		csv_text(p, c->s);
		break;
	case AK_U64:
		fprintf(p->cfg.out, "%" PRIu64, c->u);
		break;
	case AK_F64:
		fprintf(p->cfg.out, "%.17g", c->f);
		break;
	case AK_TIME:
		time_text((uint64_t)c->us * 1000, text);
		fputs(text, p->cfg.out);
		break;
	}
}

static int print_csv(struct answer_print *p, const struct answer_cell *cells, bool other)
{
	for (uint32_t i = 0; i < p->n; i++) {
		csv_cell(p, &cells[i]);
		putc(',', p->cfg.out);
	}
	return fprintf(p->cfg.out, "%s\r\n", other ? "yes" : "") < 0 ? -EPIPE : 0;
}

static int print_csv_head(struct answer_print *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		fprintf(p->cfg.out, "%s,", p->columns[i].name);
	return fprintf(p->cfg.out, "other\r\n") < 0 ? -EPIPE : 0;
}

/* ---- a table ---- */

static void number_text(const struct answer_print *p, double v, uint64_t u, uint8_t unit, char *buf)
{
	char si[UNITS_TEXT];

	if (unit == AU_NONE) {
		snprintf(buf, TEXT_MAX, "%" PRIu64, u);
	} else if (unit == AU_SHARE) {
		snprintf(buf, TEXT_MAX, "%.1f %%", v * 100);
	} else if (unit == AU_US && !p->cfg.numeric) {
		snprintf(buf, TEXT_MAX, v >= 1e6 ? "%.2f s" : "%.2f ms",
			 v >= 1e6 ? v / 1e6 : v / 1e3);
	} else if (p->cfg.numeric || (unit == AU_COUNT && u < 1000000 && v == (double)u)) {
		units_grouped(u, si);
		snprintf(buf, TEXT_MAX, "%s", si);
	} else {
		units_si(u, si);
		snprintf(buf, TEXT_MAX, "%s%s", si,
			 unit != AU_BYTES  ? ""
			 : strchr(si, ' ') ? "B"
					   : " B");
	}
}

/* 12:41:08, or with the day when that is not clear of itself. */
static void cell_text(const struct answer_print *p, const struct answer_cell *c, uint8_t unit,
		      char *buf)
{
	char text[TIME_TEXT];
	size_t n;

	switch (c->kind) {
	case AK_TEXT:
		n = text_clean(c->s, buf, TEXT_MAX - 1);
		buf[n] = 0;
		break;
	case AK_U64:
		number_text(p, (double)c->u, c->u, unit, buf);
		break;
	case AK_F64:
		number_text(p, c->f, (uint64_t)c->f, unit, buf);
		break;
	case AK_TIME:
		time_text((uint64_t)c->us * 1000, text);
		snprintf(buf, TEXT_MAX, "%.10s %.8s", text, text + 11);
		break;
	default:
		snprintf(buf, TEXT_MAX, "-");
	}
}

static int grow(struct answer_print *p)
{
	const size_t cap = p->cap ? p->cap * 2 : 64;
	char **cells;
	bool *other;
	double *shares;

	if (p->rows < p->cap)
		return 0;
	cells = reallocarray(p->cells, cap * p->n, sizeof(*cells));
	if (cells)
		p->cells = cells;
	other = reallocarray(p->other, cap, sizeof(*other));
	if (other)
		p->other = other;
	shares = reallocarray(p->shares, cap, sizeof(*shares));
	if (shares)
		p->shares = shares;
	if (!cells || !other || !shares)
		return -ENOMEM;
	p->cap = cap;
	return 0;
}

static int keep_row(struct answer_print *p, const struct answer_cell *cells, bool other)
{
	char buf[TEXT_MAX];
	bool named = false;

	if (grow(p))
		return -ENOMEM;
	p->shares[p->rows] = 0;
	for (uint32_t i = 0; i < p->n; i++) {
		char **to = &p->cells[p->rows * p->n + i];

		cell_text(p, &cells[i], p->columns[i].unit, buf);
		if (other && cells[i].kind == AK_NULL && p->columns[i].unit == AU_NONE) {
			snprintf(buf, sizeof(buf), "%s", named ? "" : "other");
			named = true;
		}
		if (p->columns[i].unit == AU_SHARE && cells[i].kind == AK_F64)
			p->shares[p->rows] = cells[i].f;
		*to = strdup(buf);
		if (!*to) {
			while (i--)
				free(*--to);
			return -ENOMEM;
		}
	}
	p->other[p->rows++] = other;
	return 0;
}

static int width_of(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80; /* characters, not octets */
	return n;
}

static void put_padded(FILE *out, const char *s, int width, bool right)
{
	const int pad = width - width_of(s);

	if (right)
		fprintf(out, "%*s%s", pad > 0 ? pad : 0, "", s);
	else
		fprintf(out, "%s%*s", s, pad > 0 ? pad : 0, "");
}

/* Eighths of a letter. */
static void put_bar(FILE *out, double share)
{
	static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	unsigned int eighths = (unsigned int)(share * BAR_WIDTH * 8 + 0.5);

	if (!eighths && share > 0)
		eighths = 1;
	putc(' ', out);
	for (; eighths >= 8; eighths -= 8)
		fputs("█", out);
	fputs(parts[eighths], out);
}

static void find_widths(const struct answer_print *p, int *width)
{
	for (uint32_t i = 0; i < p->n; i++) {
		width[i] = width_of(p->columns[i].name);
		for (size_t row = 0; row < p->rows; row++) {
			const int w = width_of(p->cells[row * p->n + i]);

			width[i] = w > width[i] ? w : width[i];
		}
	}
}

/* Text to the left, numbers to the right; nothing behind a last text. */
static void put_column(const struct answer_print *p, uint32_t i, const char *s, int width)
{
	const bool text = p->columns[i].kind == AK_TEXT;

	fputs(i ? "  " : "", p->cfg.out);
	put_padded(p->cfg.out, s, text && i + 1 == p->n ? 0 : width, !text);
}

static void put_table(const struct answer_print *p)
{
	const bool bars = p->cfg.bars && p->columns[p->n - 1].unit == AU_SHARE;
	int width[ANSWER_COLUMNS];
	char name[ANSWER_NAME];

	find_widths(p, width);
	for (uint32_t i = 0; i < p->n; i++) {
		for (size_t k = 0; k < sizeof(name); k++)
			name[k] = (char)toupper((unsigned char)p->columns[i].name[k]);
		put_column(p, i, name, width[i]);
	}
	putc('\n', p->cfg.out);
	for (size_t row = 0; row < p->rows; row++) {
		for (uint32_t i = 0; i < p->n; i++)
			put_column(p, i, p->cells[row * p->n + i], width[i]);
		if (bars)
			put_bar(p->cfg.out, p->shares[row]);
		putc('\n', p->cfg.out);
	}
}

/* ---- the sink ---- */

static int head(void *arg, const struct answer_column *columns, uint32_t n)
{
	struct answer_print *p = arg;

	memcpy(p->columns, columns, n * sizeof(columns[0]));
	p->n = n;
	return p->cfg.format == PRINT_CSV ? print_csv_head(p) : 0;
}

static int row(void *arg, const struct answer_cell *cells, bool other)
{
	struct answer_print *p = arg;

	if (p->cfg.format == PRINT_JSON)
		return print_json(p, cells, other);
	if (p->cfg.format == PRINT_CSV)
		return print_csv(p, cells, other);
	return keep_row(p, cells, other);
}

static int note(void *arg, const char *text)
{
	struct answer_print *p = arg;

	return fprintf(p->cfg.out, "%s\n", text) < 0 ? -EPIPE : 0;
}

static int end(void *arg, const struct answer_end *e)
{
	struct answer_print *p = arg;

	p->end = *e;
	if (p->cfg.format == PRINT_TABLE && p->n)
		put_table(p);
	return fflush(p->cfg.out) ? -EPIPE : 0;
}

struct answer_sink answer_print_sink(struct answer_print *p)
{
	return (struct answer_sink){.head = head, .row = row, .note = note, .end = end, .arg = p};
}
