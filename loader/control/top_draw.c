// SPDX-License-Identifier: Apache-2.0
/*
 * top_draw.c - what `weir top` looks like. Text from the network comes through top_cell() or as
 * ASCII JSON: nothing of it speaks to the terminal.
 */
#include <ncurses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loader/control/top_int.h"
#include "common/units.h"

/* @s in @width columns from (y, x), to the left or right; what is too long ends in an ellipsis. */
static void put_cell(int y, int x, int width, bool left, const char *s)
{
	const int len = (int)top_width(s);
	const int pad = !left && len < width ? width - len : 0;

	if (width <= 0)
		return;
	mvaddnstr(y, x + pad, s, (int)top_bytes(s, (size_t)(width - (len > width))));
	if (len > width)
		addstr("…");
}

static void draw_head(struct screen *s)
{
	char rx[TOP_CELL], tx[TOP_CELL], flows[UNITS_TEXT], line[TOP_FILTER + 128], at[16] = "";
	const time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(at, sizeof(at), "%H:%M:%S", &tm);
	if (!s->head) {
		snprintf(line, sizeof(line), "weir %s  measuring ...", at);
	} else {
		const json_t *n = json_object_get(s->head, "flows");

		snprintf(line, sizeof(line), "weir %s  %s   %s   %s flow%s%s", at,
			 top_rate(s->head, "rx", s->units, rx),
			 top_rate(s->head, "tx", s->units, tx),
			 units_grouped((uint64_t)json_integer_value(n), flows),
			 json_integer_value(n) == 1 ? "" : "s", s->paused ? "   PAUSED" : "");
	}
	attron(A_BOLD);
	put_cell(0, 0, COLS, true, line);
	attroff(A_BOLD);
	snprintf(line, sizeof(line), "by %s, sorted by %s%s%s", s->wish->by,
		 top_sort_words[s->wish->sort], *s->wish->filter ? ", where " : "",
		 s->wish->filter);
	put_cell(1, 0, COLS, true, line);
}

/* Widest cell of a column among the rows that are there. */
static int content_width(const struct screen *s, unsigned int column, const char *title)
{
	size_t width = strlen(title), i;
	char cell[TOP_CELL];
	json_t *row;

	json_array_foreach(s->rows, i, row)
	{
		const size_t n = top_width(top_cell(row, s->wish->by, column, s->units, cell));

		width = n > width ? n : width;
	}
	return (int)width;
}

/* Columns that fit: numbers always; the ends of a flow as wide as they have been, if there is room for a
 * name beside them, else sharing what there is; the name what is left.
 */
static void fit(struct screen *s, const struct top_column *col, unsigned int n, int *width)
{
	int rest = COLS, lefts = 0, wide = 0;

	for (unsigned int i = 0; i < n; i++) {
		width[i] = col[i].width;
		if (col[i].width < 0) {
			const int content = content_width(s, i, col[i].title);

			/* never narrower than before: columns that move are hard to read */
			s->seen[i] = content > s->seen[i] ? content : s->seen[i];
			width[i] = s->seen[i];
		}
		if (col[i].width == -ENDS_WIDTH) {
			wide += width[i];
			lefts++;
		} else {
			rest -= width[i];
		}
		rest -= i ? 1 : 0;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (col[i].width == -ENDS_WIDTH && wide > rest - NAME_WIDTH && rest > NAME_WIDTH)
			width[i] = (rest - NAME_WIDTH) / lefts;
	}
	for (unsigned int i = 0; i < n; i++)
		rest -= col[i].width == -ENDS_WIDTH ? width[i] : 0;
	for (unsigned int i = 0; i < n; i++)
		if (!col[i].width)
			width[i] = rest > 0 ? rest : 0;
}

/* @row NULL: the titles. */
static void draw_row(struct screen *s, int y, const json_t *row, const int *width)
{
	unsigned int n;
	const struct top_column *col = top_columns(s->wish->by, &n);
	char cell[TOP_CELL];
	int x = 0;

	for (unsigned int i = 0; i < n && x < COLS; i++) {
		const int w = x + width[i] > COLS ? COLS - x : width[i];
		const char *text = row ? top_cell(row, s->wish->by, i, s->units, cell)
				       : top_title(&col[i], s->units, cell);

		put_cell(y, x, w, col[i].width <= 0, text);
		x += width[i] + 1;
	}
}

static void draw_list(struct screen *s)
{
	const size_t rows = json_array_size(s->rows);
	const size_t room = LINES > HEAD_ROWS + 2 ? (size_t)LINES - HEAD_ROWS - 2 : 0;
	int width[TOP_COLUMNS];
	unsigned int n;
	const struct top_column *col = top_columns(s->wish->by, &n);

	fit(s, col, n, width);
	if (s->selected >= rows)
		s->selected = rows ? rows - 1 : 0;
	if (s->selected < s->scroll)
		s->scroll = s->selected;
	if (room && s->selected >= s->scroll + room)
		s->scroll = s->selected - room + 1;
	attron(A_UNDERLINE);
	draw_row(s, HEAD_ROWS, NULL, width);
	attroff(A_UNDERLINE);
	for (size_t i = 0; i < room && s->scroll + i < rows; i++) {
		const bool here = s->scroll + i == s->selected;
		const int y = HEAD_ROWS + 1 + (int)i;

		if (here) {
			attron(A_REVERSE);
			mvhline(y, 0, ' ', COLS);
		}
		draw_row(s, y, json_array_get(s->rows, s->scroll + i), width);
		if (here)
			attroff(A_REVERSE);
	}
	if (s->head && !rows)
		put_cell(HEAD_ROWS + 1, 0, COLS, true, "(no flow matches)");
}

/* Members of a record, objects in objects as paths, one a line. */
static int draw_members(struct screen *s, int y, const char *prefix, json_t *o, size_t *skip)
{
	const char *key;
	char name[96], line[1024];
	json_t *v;

	json_object_foreach(o, key, v)
	{
		char *text;

		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "", key);
		if (json_is_object(v)) {
			y = draw_members(s, y, name, v, skip);
			continue;
		}
		if (*skip) {
			(*skip)--;
			continue;
		}
		if (y >= LINES - 1)
			return y;
		/* ASCII only: nothing in it speaks to the terminal. */
		text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
		snprintf(line, sizeof(line), "  %-20s %s", name, text ?: "?");
		free(text);
		put_cell(y++, 0, COLS, true, line);
	}
	return y;
}

static void draw_help(void)
{
	static const char *const lines[] = {
		"  up, down, j, k     choose a row",
		"  PgUp, PgDn, Home   further",
		"  Enter              details of a flow; of a group: its flows",
		"  Esc, Backspace     back",
		"  s                  sort by the next column",
		"  g                  group: flow, host, name, port, proto, iface",
		"  f                  filter (Tab completes, Enter takes it, Esc leaves it)",
		"  u                  bits, bytes or packets a second",
		"  p, Space           pause",
		"  q                  quit",
		"",
		"  RX is what the initiator of a flow receives (of a host: what the host does), TX",
		"  what it sends, over the last interval. Filters are described in weir-filter(5).",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		put_cell(HEAD_ROWS + (int)i, 0, COLS, true, lines[i]);
}

static void draw_foot(struct screen *s)
{
	static const char *const foot[] = {
		[MODE_LIST] =
			"[s]ort [f]ilter [g]roup [u]nits [p]ause [enter] details [?] help [q]uit",
		[MODE_FILTER] = "",
		[MODE_DETAILS] = "[esc] back  [enter] again  [q]uit",
		[MODE_HELP] = "[esc] back  [q]uit",
	};
	char line[TOP_FILTER + 16];

	if (s->message[0])
		put_cell(LINES - (s->mode == MODE_FILTER ? 2 : 1), 0, COLS, true, s->message);
	if (s->mode == MODE_FILTER) {
		const size_t room = COLS > 12 ? (size_t)COLS - 10 : 2;
		const size_t len = strlen(s->edit);

		snprintf(line, sizeof(line), "filter: %s", s->edit + (len > room ? len - room : 0));
		put_cell(LINES - 1, 0, COLS, true, line);
	} else if (!s->message[0]) {
		put_cell(LINES - 1, 0, COLS, true, foot[s->mode]);
	}
}

void top_draw(struct screen *s)
{
	size_t skip = s->details_scroll;

	erase();
	draw_head(s);
	if (s->mode == MODE_HELP)
		draw_help();
	else if (s->mode == MODE_DETAILS)
		draw_members(s, HEAD_ROWS, "", s->details, &skip);
	else
		draw_list(s);
	draw_foot(s);
	curs_set(s->mode == MODE_FILTER);
	refresh();
}
