// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_top.c - `weir top`: who is talking most right now. Full screen on a terminal; --once prints one
 * interval and ends.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <unistd.h>

#include "common/scan.h"
#include "common/suggest.h"
#include "common/term.h"
#include "loader/command.h"
#include "loader/control/control.h"
#include "loader/control/top.h"
#include "common/units.h"

enum { OPT_ONCE = 1, OPT_OUTPUT, OPT_BY, OPT_SORT, OPT_LIMIT };

static const struct cli_option options[] = {
	{OPT_BY, 'b', "by", "WHAT", "?flow|host|name|port|proto|iface", "flow",
	 "how flows are put together: one of these words, or a field such as tls.sni"},
	{OPT_SORT, 's', "sort", "COLUMN", "bytes|rx|tx|packets|flows|key", "bytes",
	 "largest first"},
	{OPT_LIMIT, 'n', "limit", "N", NULL, "50", "rows at most, 1 to 1000"},
	{OPT_ONCE, '1', "once", NULL, NULL, NULL, "print one interval and end"},
	{OPT_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "format of --once"},
	{},
};

static int cmd_top(int argc, char **argv);

const struct cli_command command_top = {
	.name = "top",
	.help = "who is talking most right now",
	.operands = "[FILTER]",
	.words = CLI_FILTER,
	.doc = "Flows that have not ended, put together and sorted by rate over the last interval. RX is "
	       "what the initiator receives (of a host: what the host does), TX what it sends. Keys: "
	       "arrows, s sort, g group, f filter, u units, p pause, Enter details, ? help, q quit.",
	.options = options,
	.more = client_options,
	.examples = "weir top\n"
		    "weir top --by name 'not src net 10.0.0.0/8'\n"
		    "weir top --once -o json --by tls.sni --limit 2\n",
	.run = cmd_top,
};

/* ---- once ---- */

static int print_json(const struct top_answer *a)
{
	json_t *row;
	size_t i;

	json_array_foreach(a->rows, i, row)
	{
		if (json_dumpf(row, stdout, JSON_COMPACT))
			return EXIT_FAILED;
		putchar('\n');
	}
	return EXIT_OK;
}

static void print_line(const struct top_column *col, unsigned int n, const size_t *width,
		       char (*cells)[TOP_CELL])
{
	for (unsigned int i = 0; i < n; i++) {
		const bool left = col[i].width <= 0, cut = top_width(cells[i]) > width[i];
		const int len = (int)top_bytes(cells[i], width[i] - cut);
		const int pad = cut ? 0 : (int)(width[i] - top_width(cells[i]));

		printf("%s%*s%.*s%s%*s", i ? "  " : "", left ? 0 : pad, "", len, cells[i],
		       cut ? "…" : "", left && i + 1 < n ? pad : 0, "");
	}
	putchar('\n');
}

/* On a terminal names and keys are cut to what its lines have. */
static void fit(const struct top_column *col, unsigned int n, size_t *width)
{
	const size_t columns = term_columns(STDOUT_FILENO, 0);
	size_t all = 2 * (n - 1), over;

	for (unsigned int k = 0; k < n; k++)
		all += width[k];
	over = columns && all > columns ? all - columns : 0;
	for (unsigned int k = 0; k < n; k++)
		if (!col[k].width)
			width[k] = width[k] > over + NAME_WIDTH ? width[k] - over
				   : width[k] > NAME_WIDTH	? NAME_WIDTH
								: width[k];
}

static int print_table(const struct top_answer *a, const struct top_wish *w)
{
	static char cells[TOP_COLUMNS][TOP_CELL];
	size_t width[TOP_COLUMNS] = {}, i;
	unsigned int n;
	const struct top_column *col = top_columns(w->by, &n);
	json_t *row;

	for (unsigned int k = 0; k < n; k++)
		width[k] = strlen(top_title(&col[k], UNITS_BITS, cells[k]));
	json_array_foreach(a->rows, i, row)
	{
		for (unsigned int k = 0; k < n; k++) {
			const size_t len = top_width(top_cell(row, w->by, k, UNITS_BITS, cells[k]));

			width[k] = len > width[k] ? len : width[k];
		}
	}
	fit(col, n, width);
	for (unsigned int k = 0; k < n; k++)
		top_title(&col[k], UNITS_BITS, cells[k]);
	print_line(col, n, width, cells);
	json_array_foreach(a->rows, i, row)
	{
		for (unsigned int k = 0; k < n; k++)
			top_cell(row, w->by, k, UNITS_BITS, cells[k]);
		print_line(col, n, width, cells);
	}
	return EXIT_OK;
}

static int once(struct control_client *client, const struct top_wish *w, const char *format)
{
	struct top_answer a = {};
	json_t *line, *error = NULL;
	int r, rc;

	rc = client_ask(client, top_request(w));
	if (rc)
		return rc;
	do {
		r = client_next(client, true, &line);
		if (r == 1)
			r = top_take(&a, line, &error) ?: -EAGAIN;
	} while (r == -EAGAIN || r == -EINTR);
	if (error)
		rc = client_refused(error);
	else if (r < 0)
		rc = client_lost(r);
	else
		rc = strcmp(format, "json") ? print_table(&a, w) : print_json(&a);
	json_decref(error);
	top_answer_done(&a);
	return rc;
}

/* ---- the command ---- */

static int bad_by(struct cli *c, const char *word)
{
	static const char *const words[] = {"flow", "host", "name", "port"};
	struct suggest near;

	suggest_init(&near, word, strlen(word));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		suggest_try(&near, words[i]);
	for (int f = 0; f < _FF_MAX; f++)
		if (!flow_fields[f].added)
			suggest_try(&near, flow_fields[f].path);
	if (near.best)
		return cli_error(c, "--by '%s': did you mean '%s'?", word, near.best);
	return cli_error(c, "--by '%s': want flow, host, name, port, or a field that is no list",
			 word);
}

struct top_options {
	struct top_wish wish;
	struct client_where where;
	const char *format;
	bool once;
};

static int take(struct cli *c, struct top_options *o, int id)
{
	struct request q;
	uint64_t n;

	switch (id) {
	case OPT_BY:
		if (request_by(c->arg, &q))
			return bad_by(c, c->arg);
		snprintf(o->wish.by, sizeof(o->wish.by), "%s", c->arg);
		break;
	case OPT_SORT:
		for (int i = 0; i < _SORT_MAX; i++)
			if (!strcmp(c->arg, top_sort_words[i]))
				o->wish.sort = (enum top_sort)i;
		break;
	case OPT_LIMIT:
		if (scan_u64(c->arg, 1, TOP_LIMIT, &n))
			return cli_error(c, "--limit '%s': want 1 to %u", c->arg, TOP_LIMIT);
		o->wish.limit = (uint32_t)n;
		break;
	case OPT_ONCE:
		o->once = true;
		break;
	case OPT_OUTPUT:
		o->format = c->arg;
		break;
	default:
		if (client_option(&o->where, id, c->arg))
			break;
		if (!client_join(o->wish.filter, sizeof(o->wish.filter), c->arg))
			return cli_error(c, "the filter is too long");
	}
	return 0;
}

static int cmd_top(int argc, char **argv)
{
	static struct top_options o = {.format = "table", .wish = {.by = "flow", .limit = 50}};
	struct cli c = {.cmd = &command_top, .argc = argc, .argv = argv};
	struct control_client client = {};
	int id, rc;

	while ((id = cli_next(&c)) > 0 || id == CLI_OPERAND) {
		rc = take(&c, &o, id);
		if (rc)
			return rc;
	}
	if (id == CLI_STOP)
		return c.status;
	rc = client_check_filter(o.wish.filter);
	if (rc)
		return rc;
	if (!o.once && !strcmp(o.format, "json"))
		return cli_error(&c, "-o json is for --once");
	if (!o.once && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)))
		return cli_error(&c, "this is no terminal: --once prints one interval");
	signal(SIGPIPE, SIG_IGN);
	rc = client_open(&o.where, &client);
	if (rc)
		return rc;
	rc = o.once ? once(&client, &o.wish, o.format) : top_screen(&client, &o.where, &o.wish);
	client_close(&client);
	return rc;
}
