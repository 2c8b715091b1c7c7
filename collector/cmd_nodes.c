// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_nodes.c - `weir-collector nodes`: who is told what to enforce, and what they say to it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/command.h"
#include "collector/talk.h"
#include "common/scan.h"

enum { OPT_NAME = 1, OPT_LABEL, OPT_FOR, OPT_OUTPUT };

#define OUTPUT                                                                                  \
	{                                                                                       \
		OPT_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "how it is written" \
	}

static const struct cli_option token_options[] = {
	{OPT_NAME, 0, "name", "NAME", NULL, NULL,
	 "for this node alone, which may be enrolled already; else the node says its name"},
	{OPT_LABEL, 'l', "label", "LABEL", NULL, NULL,
	 "label of the node: KEY or KEY=VALUE; repeat for more"},
	{OPT_FOR, 0, "for", "TIME", NULL, "1h", "how long it can be used"},
	OUTPUT,
	{},
};

static const struct cli_option label_options[] = {
	{OPT_LABEL, 'l', "label", "LABEL", NULL, NULL,
	 "KEY or KEY=VALUE; repeat for more; without any, the node has none"},
	OUTPUT,
	{},
};

static const struct cli_option other_options[] = {OUTPUT, {}};

static int cmd_nodes(int argc, char **argv);
static int cmd_list(int argc, char **argv);
static int cmd_show(int argc, char **argv);
static int cmd_token(int argc, char **argv);
static int cmd_label(int argc, char **argv);
static int cmd_revoke(int argc, char **argv);

static const struct cli_command command_list = {
	.name = "list",
	.help = "nodes, the policy that each shall have and has",
	.options = other_options,
	.more = client_where_options,
	.doc = "! marks who does not enforce what it shall.",
	.examples = "weir-collector nodes list\n"
		    "weir-collector nodes list -o json | jq 'select(.enforced | not)'\n",
	.run = cmd_list,
};

static const struct cli_command command_show = {
	.name = "show",
	.help = "everything about a node",
	.operands = "NAME",
	.options = other_options,
	.more = client_where_options,
	.examples = "weir-collector nodes show edge1\n",
	.run = cmd_show,
};

static const struct cli_command command_token = {
	.name = "token",
	.help = "a word that lets one node in, once",
	.options = token_options,
	.more = client_where_options,
	.doc = "Prints the token alone: 'weir enrol' on the node takes it. It names this collector too, so that "
	       "the node knows that it speaks to no other.",
	.examples = "weir-collector nodes token --label ring=canary\n"
		    "weir-collector nodes token --name edge1 --for 10m\n",
	.run = cmd_token,
};

static const struct cli_command command_label = {
	.name = "label",
	.help = "give a node other labels",
	.operands = "NAME",
	.options = label_options,
	.more = client_where_options,
	.examples = "weir-collector nodes label edge1 --label ring=canary --label site=north\n",
	.run = cmd_label,
};

static const struct cli_command command_revoke = {
	.name = "revoke",
	.help = "let a node in no more",
	.operands = "NAME",
	.options = other_options,
	.more = client_where_options,
	.doc = "At once, whatever its certificate says. What it enforces ends when it would have. A token with its "
	       "name lets it come again.",
	.examples = "weir-collector nodes revoke edge1\n",
	.run = cmd_revoke,
};

static const struct cli_command *const commands[] = {
	&command_list, &command_show, &command_token, &command_label, &command_revoke, NULL};

const struct cli_command collector_command_nodes = {
	.name = "nodes",
	.help = "who enforces: list, show, token, label, revoke",
	.sub = commands,
	.run = cmd_nodes,
};

static int cmd_nodes(int argc, char **argv)
{
	return cli_run(&collector_command_nodes, argc, argv);
}

/* ---- words ---- */

struct call {
	struct cli c;
	struct client_at at;
	json_t *request;
	char labels[1024];
	uint32_t lines;
	bool json, named;
};

static int take_label(struct call *k)
{
	const size_t len = strlen(k->labels);

	if (len + strlen(k->c.arg) + 2 > sizeof(k->labels))
		return cli_error(&k->c, "too many labels");
	snprintf(k->labels + len, sizeof(k->labels) - len, "%s%s", len ? "," : "", k->c.arg);
	return 0;
}

static int take(struct call *k, int id)
{
	if (id == OPT_OUTPUT)
		k->json = !strcmp(k->c.arg, "json");
	else if (id == OPT_LABEL)
		return take_label(k);
	else if (id == OPT_FOR)
		json_object_set_new(k->request, "for", json_string(k->c.arg));
	else if (id == CLI_OPERAND && k->named)
		return cli_error(&k->c, "one node at a time");
	else if (id == OPT_NAME || id == CLI_OPERAND)
		k->named = !json_object_set_new(k->request, "name", json_string(k->c.arg));
	else
		client_where_option(&k->at, id, k->c.arg);
	return 0;
}

/* Return: -1 go on, else the exit status. */
static int begin(struct call *k, const struct cli_command *cmd, int argc, char **argv)
{
	int id, rc = -1;

	*k = (struct call){.c = {.cmd = cmd, .argc = argc, .argv = argv, .path = "nodes"},
			   .request =
				   json_pack("{s:s,s:s}", "command", "nodes", "what", cmd->name)};
	while (rc < 0 && (id = cli_next(&k->c)) != CLI_END)
		rc = id == CLI_STOP ? k->c.status : take(k, id) ?: -1;
	if (rc < 0 && k->at.store)
		rc = cli_error(&k->c, "--store: nodes are asked of a running collector");
	if (rc < 0 && cmd->operands && !k->named)
		rc = cli_error(&k->c, "which one?");
	if (rc >= 0)
		json_decref(k->request);
	else
		json_object_set_new(k->request, "labels", json_string(k->labels));
	return rc;
}

/* ---- lines ---- */

static int64_t generation(const json_t *o, const char *which)
{
	return json_integer_value(json_object_get(json_object_get(o, which), "generation"));
}

static const char *clock_text(const json_t *o, char buf[24])
{
	const int64_t us = json_integer_value(json_object_get(o, "clock_us"));
	const int64_t ms = us / 1000;

	if (!json_object_get(o, "clock_us"))
		return "-";
	if (ms > -10000 && ms < 10000)
		snprintf(buf, 24, "%+" PRId64 " ms", ms);
	else
		snprintf(buf, 24, "%+" PRId64 " s", ms / 1000);
	return buf;
}

static void list_line(void *arg, const json_t *o)
{
	struct call *k = arg;
	char seen[20], clock[24];

	if (k->json) {
		talk_json(o);
		return;
	}
	if (!k->lines++)
		printf("%-20s %-11s %8s %8s %10s  %-19s %s\n", "NODE", "STATE", "WANTS", "HAS",
		       "CLOCK", "SEEN", "LABELS");
	printf("%-20s %-11s %8" PRId64 " %8" PRId64 "%s%9s  %-19s %s%s%s\n", talk_text(o, "name"),
	       talk_text(o, "state"), generation(o, "wants"), generation(o, "has"),
	       json_is_true(json_object_get(o, "enforced")) ? "  " : " !", clock_text(o, clock),
	       talk_time(o, "seen", seen), talk_text(o, "labels"),
	       *talk_text(o, "error") ? " " : "", talk_text(o, "error"));
}

static int cmd_list(int argc, char **argv)
{
	static struct call k;
	int rc = begin(&k, &command_list, argc, argv);

	if (rc >= 0)
		return rc;
	rc = talk(&k.at, k.request, list_line, &k);
	if (!rc && !k.json && !k.lines)
		puts("(none)");
	return rc;
}

static void field(const char *name, const char *value)
{
	if (*value)
		printf("  %-12s %s\n", name, value);
}

static void put_policy(const json_t *o, const char *which)
{
	const json_t *p = json_object_get(o, which);
	char text[160];

	if (!p)
		return;
	snprintf(text, sizeof(text),
		 "generation %" PRId64 ": %" PRId64 " rules, %" PRId64 " entries%s%.64s",
		 generation(o, which), talk_number(p, "rules"), talk_number(p, "entries"),
		 *talk_text(p, "hash") ? ", " : "", talk_text(p, "hash"));
	field(which, text);
}

static void show_line(void *arg, const json_t *o)
{
	const struct call *k = arg;
	char text[24];

	if (k->json) {
		talk_json(o);
		return;
	}
	printf("node %s: %s%s\n", talk_text(o, "name"), talk_text(o, "state"),
	       json_is_true(json_object_get(o, "enforced"))
		       ? ""
		       : "; it does not enforce what it shall");
	field("why", talk_text(o, "error"));
	put_policy(o, "wants");
	put_policy(o, "has");
	field("labels", talk_text(o, "labels"));
	field("canary", json_is_true(json_object_get(o, "canary")) ? "yes" : "no");
	field("clock", clock_text(o, text));
	field("version", talk_text(o, "version"));
	field("kernel", talk_text(o, "kernel"));
	field("enrolled", talk_time(o, "enrolled", text));
	field("certificate", talk_time(o, "certificate_until", text));
	field("seen", talk_time(o, "seen", text));
	field("revoked", talk_time(o, "revoked", text));
}

static int cmd_show(int argc, char **argv)
{
	static struct call k;
	const int rc = begin(&k, &command_show, argc, argv);

	return rc >= 0 ? rc : talk(&k.at, k.request, show_line, &k);
}

static void done_line(void *arg, const json_t *o)
{
	const struct call *k = arg;

	if (k->json)
		talk_json(o);
	else if (k->c.cmd == &command_token)
		puts(talk_text(o, "token"));
	else if (k->c.cmd == &command_revoke)
		printf("node %s is let in no more; undo: weir-collector nodes token --name %s\n",
		       talk_text(o, "name"), talk_text(o, "name"));
	else
		printf("node %s: %s\n", talk_text(o, "name"),
		       *talk_text(o, "labels") ? talk_text(o, "labels") : "no labels");
}

static int change(const struct cli_command *cmd, int argc, char **argv)
{
	static struct call k;
	const int rc = begin(&k, cmd, argc, argv);

	return rc >= 0 ? rc : talk(&k.at, k.request, done_line, &k);
}

static int cmd_token(int argc, char **argv)
{
	return change(&command_token, argc, argv);
}

static int cmd_label(int argc, char **argv)
{
	return change(&command_label, argc, argv);
}

static int cmd_revoke(int argc, char **argv)
{
	return change(&command_revoke, argc, argv);
}
