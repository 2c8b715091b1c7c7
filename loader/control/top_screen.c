// SPDX-License-Identifier: Apache-2.0
/*
 * top_screen.c - `weir top` on a terminal. The answers come by themselves, once an interval; a key
 * that changes what is asked sends a new request on a new connection: on the old one there may be an answer to
 * the old one yet.
 */
#include <errno.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loader/command.h"
#include "loader/control/control.h"
#include "loader/control/top_int.h"

#define KEY_ESC 27

/* ---- asking ---- */

static void show(struct screen *s)
{
	json_decref(s->head);
	json_decref(s->rows);
	s->head = json_incref(s->answer.head);
	s->rows = json_incref(s->answer.rows);
}

/* @keeps: what is on the screen stays until the answer comes: its rows are the same, in another order. */
static void ask(struct screen *s, bool keeps)
{
	if (s->asked) {
		client_close(s->client);
		top_answer_done(&s->answer);
		s->rc = client_open(s->where, s->client);
	}
	s->asked = true;
	s->rc = s->rc ?: client_ask(s->client, top_request(s->wish));
	s->quit |= s->rc != 0;
	s->selected = s->scroll = 0;
	s->stale = true;
	if (keeps)
		return;
	memset(s->seen, 0, sizeof(s->seen));
	show(s); /* nothing yet */
}

static void say(struct screen *s, const char *text)
{
	snprintf(s->message, sizeof(s->message), "%s", text);
}

static json_t *selected_row(const struct screen *s)
{
	return json_array_get(s->rows, s->selected);
}

/* The flow's record, by a connection of its own: the first one goes on. */
static void fetch_details(struct screen *s, const char *filter)
{
	struct control_client c = {};
	json_t *line = NULL;

	if (client_open(s->where, &c))
		return;
	if (!client_ask(&c, json_pack("{s:i,s:s,s:b,s:i,s:s}", "v", (int)CONTROL_VERSION, "command",
				      "flows", "live", 1, "limit", 1, "filter", filter)) &&
	    client_next(&c, true, &line) == 1 && !*client_type(line)) {
		json_decref(s->details);
		s->details = json_incref(line);
		s->details_scroll = 0;
		s->mode = MODE_DETAILS;
	} else {
		say(s, "this flow has ended");
	}
	json_decref(line);
	client_close(&c);
}

/* Enter: the flow of a row, or the flows of a group. */
static void open_row(struct screen *s)
{
	char filter[TOP_FILTER], both[TOP_FILTER];
	const json_t *row = selected_row(s);

	if (!row || !top_row_filter(row, s->wish->by, filter, sizeof(filter))) {
		say(s, "nothing to show of this row");
		return;
	}
	if (!strcmp(s->wish->by, "flow")) {
		fetch_details(s, filter);
		return;
	}
	if (s->backs == sizeof(s->back) / sizeof(s->back[0]) ||
	    !top_and(s->wish->filter, filter, both, sizeof(both)))
		return;
	s->back[s->backs++] = *s->wish;
	snprintf(s->wish->filter, sizeof(s->wish->filter), "%s", both);
	snprintf(s->wish->by, sizeof(s->wish->by), "flow");
	ask(s, false);
}

static void go_back(struct screen *s)
{
	if (!s->backs)
		return;
	*s->wish = s->back[--s->backs];
	ask(s, false);
}

static void next_group(struct screen *s)
{
	static const char *const words[] = {"flow", "host", "name", "port", "proto", "iface"};
	const size_t n = sizeof(words) / sizeof(words[0]);
	size_t i = 0;

	while (i < n && strcmp(words[i], s->wish->by) != 0)
		i++;
	snprintf(s->wish->by, sizeof(s->wish->by), "%s", words[(i + 1) % n]);
	ask(s, false);
}

/* ---- keys ---- */

struct common {
	char text[96];
	unsigned int n;
	char all[256];
};

static void note_word(void *arg, const char *word, const char *doc)
{
	struct common *c = arg;
	size_t i = 0;

	(void)doc;
	if (!c->n++)
		snprintf(c->text, sizeof(c->text), "%s", word);
	while (c->text[i] && c->text[i] == word[i])
		i++;
	c->text[i] = 0;
	i = strlen(c->all);
	snprintf(c->all + i, sizeof(c->all) - i, "%s%s", i ? " " : "", word);
}

/* Tab: as far as the possible words agree; what they are, if there are several. */
static void complete(struct screen *s)
{
	struct common c = {};
	const size_t len = strlen(s->edit), at = filter_complete(s->edit, len, NULL, note_word, &c);
	const size_t n = strlen(c.text);

	if (!c.n || at + n + 2 > sizeof(s->edit))
		return;
	memcpy(s->edit + at, c.text, n + 1);
	if (c.n == 1)
		memcpy(s->edit + at + n, " ", 2);
	else
		say(s, c.all);
}

static void take_filter(struct screen *s)
{
	char text[FILTER_ERROR_TEXT];
	struct filter_error err;
	struct filter *f = NULL;
	size_t len = strlen(s->edit);

	while (len && s->edit[len - 1] == ' ')
		s->edit[--len] = 0;
	if (len && filter_parse(s->edit, len, NULL, &f, &err)) {
		say(s, filter_error_text(&err, text));
		return;
	}
	filter_free(f);
	snprintf(s->wish->filter, sizeof(s->wish->filter), "%s", s->edit);
	s->backs = 0;
	s->mode = MODE_LIST;
	ask(s, false);
}

static void filter_key(struct screen *s, int key)
{
	const size_t len = strlen(s->edit);

	switch (key) {
	case KEY_ESC:
		s->mode = MODE_LIST;
		break;
	case '\n':
	case '\r':
	case KEY_ENTER:
		take_filter(s);
		break;
	case '\t':
		complete(s);
		break;
	case KEY_BACKSPACE:
	case 0x7f:
	case '\b':
		if (len)
			s->edit[len - 1] = 0;
		break;
	case 'U' & 0x1f:
		s->edit[0] = 0;
		break;
	default:
		if (key >= ' ' && key < 0x7f && len + 2 < sizeof(s->edit)) {
			s->edit[len] = (char)key;
			s->edit[len + 1] = 0;
		}
	}
}

static void move_by(struct screen *s, long by)
{
	const long rows = (long)json_array_size(s->rows);
	size_t *at = s->mode == MODE_DETAILS ? &s->details_scroll : &s->selected;
	long to = (long)*at + by;

	if (s->mode == MODE_LIST && to >= rows)
		to = rows - 1;
	if (s->mode == MODE_DETAILS && to > 60)
		to = 60;
	*at = to < 0 ? 0 : (size_t)to;
}

static bool move_key(struct screen *s, int key)
{
	const long page = LINES > HEAD_ROWS + 3 ? LINES - HEAD_ROWS - 3 : 1;

	switch (key) {
	case KEY_UP:
	case 'k':
		move_by(s, -1);
		return true;
	case KEY_DOWN:
	case 'j':
		move_by(s, 1);
		return true;
	case KEY_PPAGE:
		move_by(s, -page);
		return true;
	case KEY_NPAGE:
		move_by(s, page);
		return true;
	case KEY_HOME:
		move_by(s, -(long)TOP_ROWS_MAX);
		return true;
	default:
		return false;
	}
}

static void leave(struct screen *s)
{
	if (s->mode == MODE_LIST)
		go_back(s);
	s->mode = MODE_LIST;
}

static void begin_filter(struct screen *s)
{
	s->mode = MODE_FILTER;
	snprintf(s->edit, sizeof(s->edit), "%s", s->wish->filter);
}

static void list_key(struct screen *s, int key)
{
	switch (key) {
	case 's':
		s->wish->sort = (s->wish->sort + 1) % _SORT_MAX;
		ask(s, true);
		break;
	case 'g':
		next_group(s);
		break;
	case 'f':
	case '/':
		begin_filter(s);
		break;
	case 'u':
		s->units = (s->units + 1) % _UNITS_MAX;
		break;
	case 'p':
	case ' ':
		s->paused = !s->paused;
		break;
	case '\n':
	case '\r':
	case KEY_ENTER:
		open_row(s);
		break;
	default:
		break;
	}
}

static void key(struct screen *s, int ch)
{
	s->message[0] = 0;
	if (ch == KEY_RESIZE)
		return;
	if (s->mode == MODE_FILTER) {
		filter_key(s, ch);
	} else if (ch == 'q') {
		s->quit = true;
	} else if (ch == '?') {
		s->mode = MODE_HELP;
	} else if (ch == KEY_ESC || ch == KEY_BACKSPACE || ch == 0x7f || ch == '\b') {
		leave(s);
	} else if (!move_key(s, ch) && s->mode != MODE_HELP) {
		list_key(s, ch);
	}
}

/* ---- the loop ---- */

static void take_answers(struct screen *s)
{
	json_t *line, *error = NULL;
	int r;

	while (!s->quit && (r = client_next(s->client, false, &line)) != 0) {
		if (r == -EINTR)
			continue;
		if (r < 0) {
			s->quit = true;
			s->rc = r == -EBADMSG ? EXIT_FAILED : EXIT_PEER;
			break;
		}
		r = top_take(&s->answer, line, &error);
		if (r < 0) {
			say(s, json_string_value(json_object_get(error, "message")) ?: "refused");
		} else if (r && (!s->paused || s->stale)) {
			show(s);
			s->stale = false;
		}
		json_decref(error);
		error = NULL;
	}
}

static void begin(void)
{
	setlocale(LC_ALL, "");
	initscr();
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(50);
}

int top_screen(struct control_client *client, const struct client_where *where, struct top_wish *w)
{
	static struct screen s;
	struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
			      {.fd = client->fd, .events = POLLIN}};
	int ch;

	s = (struct screen){.client = client, .where = where, .wish = w};
	w->follow = true;
	ask(&s, false);
	if (s.quit)
		return s.rc;
	begin();
	while (!s.quit) {
		top_draw(&s);
		p[1].fd = client->fd;
		if (poll(p, 2, 1000) < 0 && errno != EINTR)
			break;
		while ((ch = getch()) != ERR && !s.quit)
			key(&s, ch);
		take_answers(&s);
		s.quit |= p[0].revents & (POLLHUP | POLLERR);
	}
	endwin();
	if (s.rc == EXIT_PEER)
		client_lost(-EPIPE);
	else if (s.rc)
		client_lost(-EBADMSG);
	json_decref(s.details);
	json_decref(s.head);
	json_decref(s.rows);
	top_answer_done(&s.answer);
	return s.rc;
}
