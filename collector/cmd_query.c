// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_query.c - `weir-collector query` and `weir-collector flows`: questions to the running
 * collector, or to the store itself when none runs.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/ask.h"
#include "collector/command.h"
#include "common/output.h"

enum {
	OPT_BY = 1,
	OPT_MEASURE,
	OPT_TOP,
	OPT_ORDER,
	OPT_LAST,
	OPT_FROM,
	OPT_TO,
	OPT_STEP,
	OPT_DEDUP,
	OPT_PREVIOUS,
	OPT_RAW,
	OPT_UNSCALED,
	OPT_EXPLAIN,
	OPT_CURSOR,
	OPT_ASCENDING,
	OPT_OUTPUT,
	OPT_NUMERIC,
	OPT_VERBOSE,
};

static const struct cli_option query_options[] = {
	{OPT_BY, 'b', "by", "FIELDS", CLI_FIELD, NULL,
	 "groups by these fields, separated by commas; src.ip/24 groups networks"},
	{OPT_MEASURE, 'm', "measure", "LIST", "?bytes|packets|flows|sampled", "bytes,packets,flows",
	 "what is counted: bytes, packets, flows, sampled, distinct(F), avg(F), p95(F), min(F), max(F), sum(F)"},
	{OPT_TOP, 't', "top", "N", NULL, "10", "groups to show; all others are one row"},
	{OPT_ORDER, 0, "order", "MEASURE[:asc]", NULL, "the first measure",
	 "what decides which groups"},
	{OPT_LAST, 'l', "last", "TIME", NULL, "1h",
	 "flows that ended within so long, such as 10m or 7d"},
	{OPT_FROM, 0, "from", "TIME", NULL, NULL, "flows that ended then or later, RFC 3339"},
	{OPT_TO, 0, "to", "TIME", NULL, "now", "flows that ended before"},
	{OPT_STEP, 0, "step", "TIME", NULL, NULL, "a series: sums of each so long"},
	{OPT_DEDUP, 0, "dedup", NULL, NULL, NULL,
	 "count a flow once, however many interfaces and exporters of a node saw it"},
	{OPT_PREVIOUS, 0, "previous", NULL, NULL, NULL, "beside it the time before, as long"},
	{OPT_RAW, 0, "raw", NULL, NULL, NULL, "read the flows even where sums of them are kept"},
	{OPT_UNSCALED, 0, "unscaled", NULL, NULL, NULL,
	 "bytes and packets as exporters counted them, not times the rate of those that sample"},
	{OPT_EXPLAIN, 0, "explain", NULL, NULL, NULL, "say how it would be answered"},
	{OPT_OUTPUT, 'o', "output", "FORMAT", "table|json|csv|parquet", "table",
	 "format on standard output"},
	{OPT_NUMERIC, 'n', "numeric", NULL, NULL, NULL, "tables with all digits"},
	{OPT_VERBOSE, 'v', "verbose", NULL, NULL, NULL,
	 "say where the answer came from and how long it took"},
	{},
};

static const struct cli_option flows_options[] = {
	{OPT_TOP, 't', "top", "N", NULL, "100", "flows of a page"},
	{OPT_LAST, 'l', "last", "TIME", NULL, "1h",
	 "flows that ended within so long, such as 10m or 7d"},
	{OPT_FROM, 0, "from", "TIME", NULL, NULL, "flows that ended then or later, RFC 3339"},
	{OPT_TO, 0, "to", "TIME", NULL, "now", "flows that ended before"},
	{OPT_CURSOR, 0, "cursor", "CURSOR", NULL, NULL, "the page behind the one that said so"},
	{OPT_DEDUP, 0, "dedup", NULL, NULL, NULL,
	 "a flow once, however many interfaces and exporters of a node saw it"},
	{OPT_EXPLAIN, 0, "explain", NULL, NULL, NULL, "say how it would be answered"},
	{OPT_OUTPUT, 'o', "output", "FORMAT", "table|wide|json|eve|csv|parquet", "table",
	 "format on standard output"},
	{OPT_VERBOSE, 'v', "verbose", NULL, NULL, NULL,
	 "say where the answer came from and how long it took"},
	{},
};

static int cmd_query(int argc, char **argv);
static int cmd_flows(int argc, char **argv);

const struct cli_command collector_command_query = {
	.name = "query",
	.help = "sums of the stored flows: top groups, series, totals",
	.operands = "[FILTER]",
	.words = CLI_FILTER,
	.doc = "FILTER is described in weir-filter(5); it need not be quoted where the shell leaves it "
	       "alone. The running collector is asked; where none runs, the store is opened.",
	.options = query_options,
	.more = client_where_options,
	.examples =
		"weir-collector query --by src.ip --last 10m\n"
		"weir-collector query 'tls.sni suffix \"example.com\"' --by src.ip,tls.sni --last 1h\n"
		"weir-collector query 'proto tcp' --step 5m --last 24h --previous -o csv\n"
		"weir-collector query --by src.ip --measure 'distinct(dst.ip),flows' --top 20\n"
		"weir-collector query 'exists(rtt.server_us)' --by tls.sni --measure 'p95(rtt.server_us)'\n",
	.run = cmd_query,
};

const struct cli_command collector_command_flows = {
	.name = "flows",
	.help = "stored flows one by one, the latest first",
	.operands = "[FILTER]",
	.words = CLI_FILTER,
	.doc = "FILTER is described in weir-filter(5); it need not be quoted where the shell leaves it "
	       "alone. Where there are more flows than a page holds, the cursor of the next one is said on "
	       "standard error.",
	.options = flows_options,
	.more = client_where_options,
	.examples = "weir-collector flows 'dst port 22' --last 10m\n"
		    "weir-collector flows 'state == no_reply' --top 1000 -o json\n",
	.run = cmd_flows,
};

/* ---- options ---- */

static const char *key_of(int id)
{
	static const char *const keys[] = {
		[OPT_BY] = "by",	 [OPT_MEASURE] = "measure",
		[OPT_TOP] = "top",	 [OPT_ORDER] = "order",
		[OPT_LAST] = "last",	 [OPT_FROM] = "from",
		[OPT_TO] = "to",	 [OPT_STEP] = "step",
		[OPT_DEDUP] = "dedup",	 [OPT_PREVIOUS] = "previous",
		[OPT_RAW] = "raw",	 [OPT_EXPLAIN] = "explain",
		[OPT_CURSOR] = "cursor", [OPT_UNSCALED] = "unscaled",
	};

	return id > 0 && id < (int)(sizeof(keys) / sizeof(keys[0])) ? keys[id] : NULL;
}

static int join(struct ask *a, const char *word)
{
	const size_t at = strlen(a->filter), len = strlen(word);

	if (at + len + 2 > sizeof(a->filter))
		return -E2BIG;
	snprintf(a->filter + at, sizeof(a->filter) - at, "%s%s", at ? " " : "", word);
	return 0;
}

/* Order is said of measures, --last of --to: whatever comes first. */
static int take(struct cli *c, struct ask *a, int id)
{
	const char *key = key_of(id);
	char why[SPEC_ERROR];

	if (key && id != OPT_ORDER && id != OPT_LAST) {
		if (spec_set(&a->spec, key, c->arg ?: "yes", why))
			return cli_error(c, "--%s: %s", key, why);
		a->from_given |= id == OPT_FROM;
		return 0;
	}
	if (id == OPT_ORDER)
		a->order = c->arg;
	else if (id == OPT_LAST)
		a->last = c->arg;
	else if (id == OPT_OUTPUT)
		a->format = c->arg;
	else if (id == OPT_NUMERIC)
		a->numeric = true;
	else if (id == OPT_VERBOSE)
		a->verbose = true;
	else if (!client_where_option(&a->at, id, c->arg) && join(a, c->arg))
		return cli_error(c, "the filter is too long");
	return 0;
}

static int finish(struct cli *c, struct ask *a)
{
	char why[SPEC_ERROR];

	if (spec_set(&a->spec, "filter", a->filter, why))
		return cli_error(c, "%s", why);
	if (a->last && a->from_given)
		return cli_error(c, "--last and --from are two ways to say the same");
	if (!a->from_given && spec_set(&a->spec, "last", a->last ?: "1h", why))
		return cli_error(c, "--last: %s", why);
	if (a->order && spec_set(&a->spec, "order", a->order, why))
		return cli_error(c, "--order: %s", why);
	if (spec_finish(&a->spec, why))
		return cli_error(c, "%s", why);
	return 0;
}

static int run(struct cli *c, enum spec_what what)
{
	static struct ask a;
	struct timespec now;
	int id, rc;

	clock_gettime(CLOCK_REALTIME, &now);
	a.format = "table";
	spec_init(&a.spec, what, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	while ((id = cli_next(c)) != CLI_END) {
		if (id == CLI_STOP)
			return c->status;
		rc = take(c, &a, id);
		if (rc)
			return rc;
	}
	rc = finish(c, &a);
	if (rc)
		return rc;
	if (!strcmp(a.format, "parquet") && a.spec.explain)
		return cli_error(c, "an explanation is text: not with -o parquet");
	if (!strcmp(a.format, "parquet") && isatty(STDOUT_FILENO))
		return cli_error(
			c,
			"a Parquet file is nothing for a terminal: send standard output to a file");
	return ask_run(&a);
}

static int cmd_query(int argc, char **argv)
{
	struct cli c = {.cmd = &collector_command_query, .argc = argc, .argv = argv};

	return run(&c, SPEC_TOP);
}

static int cmd_flows(int argc, char **argv)
{
	struct cli c = {.cmd = &collector_command_flows, .argc = argc, .argv = argv};

	return run(&c, SPEC_FLOWS);
}
