// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_channels.c - `weir-collector channels`: where events are told, how that goes, and a try.
 */
#include <inttypes.h>
#include <string.h>

#include "collector/command.h"
#include "collector/talk.h"

enum { OPT_OUTPUT = 1 };

static const struct cli_option options[] = {
	{OPT_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "how it is written"}, {}};

static int cmd_channels(int argc, char **argv);
static int cmd_list(int argc, char **argv);
static int cmd_test(int argc, char **argv);

static const struct cli_command command_list = {
	.name = "list",
	.help = "channels, and how it goes with them",
	.options = options,
	.more = client_where_options,
	.examples = "weir-collector channels list\n"
		    "weir-collector channels test soc\n",
	.run = cmd_list,
};

static const struct cli_command command_test = {
	.name = "test",
	.help = "tell a channel's receiver a test, now, and say what it says",
	.operands = "NAME",
	.options = options,
	.more = client_where_options,
	.doc = "The channel is one of the running collector's. Nothing is tried again.",
	.examples = "weir-collector channels test soc\n",
	.run = cmd_test,
};

static const struct cli_command *const commands[] = {&command_list, &command_test, NULL};

const struct cli_command collector_command_channels = {
	.name = "channels",
	.help = "where alerts and decisions are told: list, test",
	.sub = commands,
	.run = cmd_channels,
};

static int cmd_channels(int argc, char **argv)
{
	return cli_run(&collector_command_channels, argc, argv);
}

struct call {
	struct cli c;
	struct client_at at;
	const char *name;
	uint32_t lines;
	bool json;
};

static int take(struct call *k, int id)
{
	if (id == OPT_OUTPUT)
		k->json = !strcmp(k->c.arg, "json");
	else if (id == CLI_OPERAND && !k->c.cmd->operands)
		return cli_error(&k->c, "'%.40s': what for?", k->c.arg);
	else if (id == CLI_OPERAND && k->name)
		return cli_error(&k->c, "one channel at a time");
	else if (id == CLI_OPERAND)
		k->name = k->c.arg;
	else
		client_where_option(&k->at, id, k->c.arg);
	return 0;
}

/* Return: -1 go on, else the exit status. */
static int begin(struct call *k, const struct cli_command *cmd, int argc, char **argv)
{
	int id, rc = 0;

	*k = (struct call){.c = {.cmd = cmd, .argc = argc, .argv = argv, .path = "channels"}};
	while (!rc && (id = cli_next(&k->c)) != CLI_END) {
		if (id == CLI_STOP)
			return k->c.status;
		rc = take(k, id);
	}
	if (rc)
		return rc;
	if (k->at.store)
		return cli_error(&k->c, "--store: channels are asked of a running collector");
	return cmd->operands && !k->name ? cli_error(&k->c, "which one?") : -1;
}

static void list_head(void)
{
	printf("%-16s %-34s %-6s %9s %8s %7s %7s %s\n", "NAME", "URL", "FORMAT", "TOLD", "WAITING",
	       "FAILED", "LOST", "SAID");
}

static void list_line(void *arg, const json_t *o)
{
	struct call *k = arg;

	if (k->json) {
		talk_json(o);
		return;
	}
	if (!k->lines++)
		list_head();
	printf("%-16.16s %-34s %-6s %9" PRId64 " %8" PRId64 " %7" PRId64 " %7" PRId64 " %s%s\n",
	       talk_text(o, "name"), talk_text(o, "url"), talk_text(o, "format"),
	       talk_number(o, "sent"), talk_number(o, "waiting"), talk_number(o, "failed"),
	       talk_number(o, "lost") + talk_number(o, "refused"),
	       json_is_true(json_object_get(o, "down")) ? "! " : "", talk_text(o, "said"));
}

static int cmd_list(int argc, char **argv)
{
	struct call k;
	int rc = begin(&k, &command_list, argc, argv);

	if (rc >= 0)
		return rc;
	rc = talk(&k.at, json_pack("{s:s,s:s}", "command", "channels", "what", "list"), list_line,
		  &k);
	if (!rc && !k.json && !k.lines) {
		list_head();
		puts("(none)");
	}
	return rc;
}

static void test_line(void *arg, const json_t *o)
{
	const struct call *k = arg;

	if (k->json)
		talk_json(o);
	else
		printf("%s: %s\n", talk_text(o, "channel"), talk_text(o, "said"));
}

static int cmd_test(int argc, char **argv)
{
	struct call k;
	const int rc = begin(&k, &command_test, argc, argv);

	if (rc >= 0)
		return rc;
	return talk(&k.at,
		    json_pack("{s:s,s:s,s:s}", "command", "channels", "what", "test", "name",
			      k.name),
		    test_line, &k);
}
