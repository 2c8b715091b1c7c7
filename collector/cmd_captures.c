// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_captures.c - `weir-collector captures`: packets that rules have kept on nodes.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/command.h"
#include "collector/talk.h"
#include "common/scan.h"
#include "common/units.h"

#define COPY_BYTES (64u << 10)

enum { OPT_STATE = 1, OPT_NODE, OPT_RULE, OPT_ALERT, OPT_LIMIT, OPT_WRITE };

static const struct cli_option list_options[] = {
	{OPT_STATE, 0, "state", "STATE", "kept|open|complete|removed|all", "kept",
	 "files that are so; kept: open or complete"},
	{OPT_NODE, 0, "node", "NAME", NULL, NULL, "files on this node"},
	{OPT_RULE, 0, "rule", "NAME", NULL, NULL, "files that this rule asked for"},
	{OPT_ALERT, 0, "alert", "ID", NULL, NULL, "files about this alert"},
	{OPT_LIMIT, 'n', "limit", "N", NULL, "100", "at most so many"},
	TALK_OUTPUT_OPTION,
	{},
};

static const struct cli_option get_options[] = {
	{OPT_WRITE, 'w', "write", "FILE", CLI_FILE, NULL,
	 "where to, - is standard output; a file that is there is replaced, once all has come"},
	{},
};

static const struct cli_option rm_options[] = {TALK_OUTPUT_OPTION, {}};

static const struct talk_word words[] = {
	{OPT_STATE, "state", 0},	 {OPT_NODE, "node", 0},	      {OPT_RULE, "rule", 0},
	{OPT_ALERT, "alert", INT64_MAX}, {OPT_LIMIT, "limit", 10000}, {}};

static int cmd_captures(int argc, char **argv);
static int cmd_list(int argc, char **argv);
static int cmd_get(int argc, char **argv);
static int cmd_rm(int argc, char **argv);

static const struct cli_command command_list = {
	.name = "list",
	.help = "files of packets on nodes, the latest first",
	.options = list_options,
	.more = client_where_options,
	.doc = "! marks those whose node is not there, so that they can't be fetched now.",
	.examples = "weir-collector captures list\n"
		    "weir-collector captures list --alert 17 -o json\n",
	.run = cmd_list,
};

static const struct cli_command command_get = {
	.name = "get",
	.help = "the packets of one, as pcapng, from its node",
	.operands = "ID",
	.options = get_options,
	.more = client_where_options,
	.doc = "For root and the collector's user; it is in the audit log. Of a file that is still "
	       "being written: what there is by now.",
	.examples = "weir-collector captures get 3 -w evidence.pcapng\n"
		    "weir-collector captures get 3 -w - | tshark -r -\n",
	.run = cmd_get,
};

static const struct cli_command command_rm = {
	.name = "rm",
	.help = "remove some from their nodes",
	.operands = "ID...",
	.options = rm_options,
	.more = client_where_options,
	.doc = "Complete ones. For root and the collector's user; it is in the audit log.",
	.examples = "weir-collector captures rm 3\n",
	.run = cmd_rm,
};

static const struct cli_command *const commands[] = {&command_list, &command_get, &command_rm,
						     NULL};

const struct cli_command collector_command_captures = {
	.name = "captures",
	.help = "packets that rules have kept on nodes: list, get, rm",
	.sub = commands,
	.run = cmd_captures,
};

static int cmd_captures(int argc, char **argv)
{
	return cli_run(&collector_command_captures, argc, argv);
}

static int begin(struct talk_call *k, const struct cli_command *cmd, int argc, char **argv)
{
	*k = (struct talk_call){.c = {.argc = argc, .argv = argv}};
	return talk_begin(k, cmd, "captures", words);
}

/* ---- list ---- */

static void list_head(void)
{
	printf("%6s %-12s %-19s %-8s   %8s %8s %6s  %-20s %s\n", "ID", "NODE", "FIRED", "STATE",
	       "BYTES", "PACKETS", "ALERT", "RULE", "PACKETS OF");
}

static void show_row(struct talk_call *k, const json_t *o)
{
	const bool there = json_is_true(json_object_get(o, "available")) ||
			   !strcmp(talk_text(o, "state"), "removed");
	const char *to = talk_text(o, "to");
	char fired[20], bytes[UNITS_TEXT], packets[24] = "-", alert[24] = "-";

	if (!k->lines)
		list_head();
	if (json_object_get(o, "packets"))
		snprintf(packets, sizeof(packets), "%" PRId64, talk_number(o, "packets"));
	if (json_object_get(o, "alert"))
		snprintf(alert, sizeof(alert), "%" PRId64, talk_number(o, "alert"));
	printf("%6" PRId64 " %-12s %-19s %-8s %s %8s %8s %6s  %-20s %s%s%s\n", talk_number(o, "id"),
	       talk_text(o, "node"), talk_time(o, "fired", fired), talk_text(o, "state"),
	       there ? " " : "!", units_si((uint64_t)talk_number(o, "bytes"), bytes), packets,
	       alert, talk_text(o, "rule"), talk_text(o, "value"), *to ? " - " : "", to);
}

static int cmd_list(int argc, char **argv)
{
	static struct talk_call k;
	int rc = begin(&k, &command_list, argc, argv);

	if (rc >= 0)
		return rc;
	rc = talk_run(&k, show_row);
	if (!rc && !k.json && !k.lines) {
		list_head();
		puts("(none)");
	}
	return rc;
}

/* ---- rm ---- */

static void show_done(struct talk_call *k, const json_t *o)
{
	(void)k;
	printf("capture %" PRId64 " is removed from its node\n", talk_number(o, "id"));
}

static int cmd_rm(int argc, char **argv)
{
	static struct talk_call k;
	const int rc = begin(&k, &command_rm, argc, argv);

	return rc >= 0 ? rc : talk_run(&k, show_done);
}

/* ---- get ---- */

struct get {
	const char *path; /* "-": standard output */
	char part[PATH_MAX];
	int fd;
	uint64_t octets, size;
};

static int cannot(const char *what, int err)
{
	fprintf(stderr, "weir-collector: %s: %s\n", what, strerror(err));
	return err == EACCES ? EXIT_PERM : EXIT_FAILED;
}

/* Return: 0, EPIPE: the reader has enough, errno. */
static int copy(struct get *g, int from)
{
	static char buf[COPY_BYTES];
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const ssize_t w = write(g->fd, buf + at, (size_t)(n - at));

			if (w < 0)
				return errno;
			at += w;
		}
		g->octets += (uint64_t)n;
	}
	return n < 0 ? errno : 0;
}

static int open_target(struct get *g)
{
	if (!strcmp(g->path, "-")) {
		g->fd = STDOUT_FILENO;
		return 0;
	}
	if (snprintf(g->part, sizeof(g->part), "%s.part", g->path) >= (int)sizeof(g->part))
		return cannot(g->path, ENAMETOOLONG);
	g->fd = open(g->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return g->fd < 0 ? cannot(g->part, errno) : 0;
}

/* The end: the file has its name once it is whole. */
static int keep(struct get *g, int rc)
{
	if (g->fd < 0 || !*g->part)
		return rc;
	if (close(g->fd) && !rc)
		rc = cannot(g->part, errno);
	if (!rc && rename(g->part, g->path))
		rc = cannot(g->path, errno);
	if (rc)
		(void)unlink(g->part);
	return rc;
}

/* A line of the answer. Return: -1 there are more, else the exit status. */
static int take(struct get *g, const json_t *o, int fd)
{
	const char *type = talk_text(o, "type");
	int rc;

	if (!strcmp(type, "error")) {
		fprintf(stderr, "weir-collector: %s\n", talk_text(o, "message"));
		return !strcmp(talk_text(o, "code"), "permission") ? EXIT_PERM
		       : !strcmp(talk_text(o, "code"), "offline")  ? EXIT_PEER
								   : EXIT_FAILED;
	}
	if (!strcmp(type, "end") && g->octets == g->size)
		return EXIT_OK;
	if (fd < 0 || strcmp(type, "file") != 0) {
		fputs("weir-collector: the answer makes no sense\n", stderr);
		return EXIT_FAILED;
	}
	g->size = (uint64_t)talk_number(o, "size");
	rc = open_target(g);
	if (rc)
		return rc;
	rc = copy(g, fd);
	return !rc ? -1 : rc == EPIPE ? EXIT_OK : cannot(g->path, rc);
}

static int get(struct get *g, struct client *c, json_t *request)
{
	int rc;

	json_object_set_new(request, "v", json_integer(1));
	rc = client_send(c, request) ?: -1;
	while (rc < 0) {
		json_t *o = NULL;
		int fd = -1;
		const int r = client_line(c, &o, &fd);

		if (r == -EINTR)
			continue;
		if (r) {
			fputs("weir-collector: the collector has gone\n", stderr);
			rc = EXIT_PEER;
		} else {
			rc = take(g, o, fd);
		}
		if (fd >= 0)
			close(fd);
		json_decref(o);
	}
	return keep(g, rc);
}

static int cmd_get(int argc, char **argv)
{
	static struct talk_call k;
	struct get g = {.fd = -1};
	static const struct talk_word get_words[] = {{OPT_WRITE, "write", 0}, {}};
	struct client *c = NULL;
	uint64_t id = 0;
	int rc;

	k = (struct talk_call){.c = {.argc = argc, .argv = argv}};
	rc = talk_begin(&k, &command_get, "captures", get_words);
	if (rc >= 0)
		return rc;
	g.path = talk_text(k.request, "write");
	if (scan_u64(k.filter, 1, INT64_MAX, &id))
		rc = cli_error(&k.c, "want the id of one, as 'list' shows it");
	else if (!*g.path)
		rc = cli_error(&k.c, "want a file: -w FILE, or -w - for standard output");
	else if (!strcmp(g.path, "-") && isatty(STDOUT_FILENO))
		rc = cli_error(&k.c, "-w -: packets are nothing for a terminal");
	else
		rc = client_connect(&k.at, &c) ?: -1;
	if (rc < 0 && !c) {
		fputs("weir-collector: no collector is running here; --socket names another\n",
		      stderr);
		rc = EXIT_PEER;
	}
	if (rc < 0) {
		json_t *request = json_pack("{s:s,s:s,s:I}", "command", "captures", "what", "get",
					    "id", (json_int_t)id);

		rc = get(&g, c, request);
	}
	json_decref(k.request);
	client_free(c);
	return rc;
}
