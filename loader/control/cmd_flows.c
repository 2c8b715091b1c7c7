// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_flows.c - `weir flows`: flows of the running weir, those that ended lately, those to come, or
 * those that still run.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/output.h"
#include "common/record_json.h"
#include "common/scan.h"
#include "loader/command.h"
#include "loader/control/client.h"
#include "loader/control/control.h"
#include "loader/control/request.h"

#define LAST_DEFAULT 20u

enum { OPT_FOLLOW = 1, OPT_LAST, OPT_SINCE, OPT_LIVE, OPT_OUTPUT };

static const struct cli_option options[] = {
	{OPT_FOLLOW, 'f', "follow", NULL, NULL, NULL, "go on with flows as they end"},
	{OPT_LAST, 0, "last", "N", "?all", NULL,
	 "the last N that match (20; none with --follow; all with --since)"},
	{OPT_SINCE, 0, "since", "TIME", NULL, NULL, "those that ended within so long, such as 5m"},
	{OPT_LIVE, 'l', "live", NULL, NULL, NULL, "those that have not ended, 1000 at most"},
	{OPT_OUTPUT, 'o', "output", "FORMAT", "table|wide|json|eve|csv", "table",
	 "format on standard output"},
	{},
};

static int cmd_flows(int argc, char **argv);

const struct cli_command command_flows = {
	.name = "flows",
	.help = "flows of the running weir: the last ones, those to come, those that still run",
	.operands = "[FILTER]",
	.words = CLI_FILTER,
	.doc = "Flows as they were written, oldest first. FILTER is described in weir-filter(5); it need "
	       "not be quoted where the shell leaves it alone.",
	.options = options,
	.more = client_options,
	.examples = "weir flows 'dst port 443' --follow\n"
		    "weir flows --since 5m 'state == no_reply'\n"
		    "weir flows --last 1 -o json\n"
		    "weir flows --live 'bytes > 1M'\n",
	.run = cmd_flows,
};

struct flows {
	char filter[FILTER_TEXT_MAX + 1];
	struct client_where where;
	const char *format;
	uint64_t last, since_ns;
	bool follow, live, last_given, all;
	struct control_client client;
	struct record_reader *reader;
	struct output *out;
	uint64_t records, lost;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static int set_last(struct cli *c, struct flows *f)
{
	f->last_given = true;
	f->all = !strcmp(c->arg, "all");
	if (!f->all && scan_u64(c->arg, 0, UINT32_MAX - 1, &f->last))
		return cli_error(c, "--last '%s': want a number, or all", c->arg);
	return 0;
}

static int take(struct cli *c, struct flows *f, int id)
{
	switch (id) {
	case OPT_FOLLOW:
		f->follow = true;
		break;
	case OPT_LIVE:
		f->live = true;
		break;
	case OPT_LAST:
		return set_last(c, f);
	case OPT_SINCE:
		if (scan_duration_ns(c->arg, 1, INT64_MAX, &f->since_ns))
			return cli_error(c, "--since '%s': want a time such as 30s or 5m", c->arg);
		break;
	case OPT_OUTPUT:
		f->format = c->arg;
		break;
	default:
		if (client_option(&f->where, id, c->arg))
			break;
		if (!client_join(f->filter, sizeof(f->filter), c->arg))
			return cli_error(c, "the filter is too long");
	}
	return 0;
}

static json_t *request(const struct flows *f)
{
	json_t *q = json_pack("{s:i,s:s,s:s,s:b}", "v", (int)CONTROL_VERSION, "command", "flows",
			      "filter", f->filter, "follow", f->follow && !f->live);
	uint64_t last = f->follow ? 0 : LAST_DEFAULT;
	const bool all = f->last_given ? f->all : f->since_ns > 0;

	if (f->last_given)
		last = f->last;
	if (f->live) {
		json_object_set_new(q, "live", json_true());
		json_object_set_new(q, "limit", json_integer(TOP_LIMIT));
		return q;
	}
	if (!all)
		json_object_set_new(q, "last", json_integer((json_int_t)last));
	if (f->since_ns)
		json_object_set_new(q, "since_ns", json_integer((json_int_t)f->since_ns));
	return q;
}

/* Return: -1 go on, else enum exit_code. */
static int take_record(struct flows *f, json_t *line)
{
	char why[RECORD_JSON_ERROR];
	struct flow_record r;

	if (record_read(f->reader, line, &r, why)) {
		fprintf(stderr, "weir: a record of the running weir is not understood: %s\n", why);
		return EXIT_PEER;
	}
	f->records++;
	/* A reader of ours that has gone is no error. */
	return output_flow(f->out, &r) ? EXIT_OK : -1;
}

static int take_line(struct flows *f, json_t *line)
{
	const char *type = client_type(line);
	const json_t *records = json_object_get(line, "records");

	if (!*type)
		return take_record(f, line);
	if (!strcmp(type, "error"))
		return client_refused(line);
	if (!strcmp(type, "lost")) {
		f->lost += (uint64_t)json_integer_value(records);
		fprintf(stderr,
			"weir: %" JSON_INTEGER_FORMAT
			" flows were written over before they could be read\n",
			json_integer_value(records));
		return -1;
	}
	if (!strcmp(type, "end") && f->live && json_integer_value(json_object_get(line, "lost")))
		fputs("weir: there were more than fit into the answer\n", stderr);
	return !strcmp(type, "end") ? EXIT_OK : -1;
}

/* What has come is written before the next wait. */
static int read_answer(struct flows *f)
{
	json_t *line;
	int r, rc = -1;

	while (rc < 0 && !interrupted) {
		r = client_next(&f->client, false, &line);
		if (!r) {
			if (output_flush(f->out))
				return EXIT_OK;
			r = client_next(&f->client, true, &line);
		}
		if (r == -EINTR)
			continue;
		if (r < 0)
			return client_lost(r);
		rc = take_line(f, line);
		json_decref(line);
	}
	return rc < 0 ? EXIT_OK : rc;
}

static int show(struct flows *f)
{
	const bool wide = !strcmp(f->format, "wide");
	int r = output_new(wide ? "table" : f->format, STDOUT_FILENO, &f->out), rc;

	f->reader = record_reader_new();
	if (r || !f->reader) {
		fprintf(stderr, "weir: output: %s\n", strerror(r ? -r : ENOMEM));
		return EXIT_FAILED;
	}
	if (wide)
		output_wide(f->out);
	rc = client_open(&f->where, &f->client);
	rc = rc ?: client_ask(&f->client, request(f));
	rc = rc ?: read_answer(f);
	/* With the reader gone there is nobody to tell. */
	r = output_flush(f->out);
	if (r && r != -EPIPE) {
		fprintf(stderr, "weir: standard output: %s\n", strerror(-r));
		rc = EXIT_FAILED;
	}
	if (interrupted)
		fprintf(stderr, "weir: %llu flows, %llu missed\n", (unsigned long long)f->records,
			(unsigned long long)f->lost);
	client_close(&f->client);
	return rc;
}

static int cmd_flows(int argc, char **argv)
{
	static struct flows f = {.format = "table"};
	struct cli c = {.cmd = &command_flows, .argc = argc, .argv = argv};
	const struct sigaction sa = {.sa_handler = on_interrupt}; /* without SA_RESTART */
	int id, rc;

	while ((id = cli_next(&c)) > 0 || id == CLI_OPERAND) {
		rc = take(&c, &f, id);
		if (rc)
			return rc;
	}
	if (id == CLI_STOP)
		return c.status;
	if (f.live && (f.follow || f.last_given || f.since_ns))
		return cli_error(&c, "--live goes with none of --follow, --last and --since");
	rc = client_check_filter(f.filter);
	if (rc)
		return rc;
	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	rc = show(&f);
	record_reader_free(f.reader);
	output_free(f.out);
	return rc;
}
