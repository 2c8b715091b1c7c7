// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_decisions.c - `weir-collector decisions`: what is done about alerts, and why not.
 */
#include <inttypes.h>
#include <string.h>

#include "collector/command.h"
#include "collector/talk.h"
#include "common/units.h"

enum { OPT_STATE = 1, OPT_RULE, OPT_ALERT, OPT_LIMIT };

static const struct cli_option list_options[] = {
	{OPT_STATE, 's', "state", "STATE", "active|held|refused|expired|withdrawn|all", "active",
	 "decisions that are so now"},
	{OPT_RULE, 'r', "rule", "NAME", NULL, NULL, "decisions of this rule"},
	{OPT_ALERT, 'a', "alert", "ID", NULL, NULL, "decisions about this alert"},
	{OPT_LIMIT, 't', "top", "N", NULL, "100", "at most so many, the latest"},
	TALK_OUTPUT_OPTION,
	{},
};

static const struct cli_option other_options[] = {TALK_OUTPUT_OPTION, {}};

static int cmd_decisions(int argc, char **argv);
static int cmd_list(int argc, char **argv);
static int cmd_show(int argc, char **argv);
static int cmd_approve(int argc, char **argv);
static int cmd_withdraw(int argc, char **argv);
static int cmd_panic(int argc, char **argv);
static int cmd_resume(int argc, char **argv);

static const struct cli_command command_list = {
	.name = "list",
	.help = "decisions, the latest first",
	.options = list_options,
	.more = client_where_options,
	.examples = "weir-collector decisions list\n"
		    "weir-collector decisions list --state refused --rule ssh-dictionary -o json\n",
	.run = cmd_list,
};

static const struct cli_command command_show = {
	.name = "show",
	.help = "everything about decisions",
	.operands = "ID...",
	.options = other_options,
	.more = client_where_options,
	.examples = "weir-collector decisions show 4\n",
	.run = cmd_show,
};

static const struct cli_command command_approve = {
	.name = "approve",
	.help = "let decisions that are held come into force",
	.operands = "ID...",
	.options = other_options,
	.more = client_where_options,
	.doc = "Its time begins now. 'decisions withdraw' undoes it.",
	.examples = "weir-collector decisions approve 4\n",
	.run = cmd_approve,
};

static const struct cli_command command_withdraw = {
	.name = "withdraw",
	.help = "end decisions before their time",
	.operands = "ID...",
	.options = other_options,
	.more = client_where_options,
	.doc = "The policy without it is there at once. While its alert goes on it is not decided anew.",
	.examples = "weir-collector decisions withdraw 4 5\n",
	.run = cmd_withdraw,
};

static const struct cli_command command_panic = {
	.name = "panic",
	.help = "have automatic decisions only count, at once, on every node",
	.options = other_options,
	.more = client_where_options,
	.doc = "As if the breaker had acted: what is in force and what is decided from now on counts, and nothing "
	       "acts. 'weir panic' on a node stops everything there.",
	.examples = "weir-collector decisions panic\n",
	.run = cmd_panic,
};

static const struct cli_command command_resume = {
	.name = "resume",
	.help = "have decisions act again after a panic, or after the breaker",
	.options = other_options,
	.more = client_where_options,
	.examples = "weir-collector decisions resume\n",
	.run = cmd_resume,
};

static const struct cli_command *const commands[] = {
	&command_list,	&command_show,	 &command_approve,	    &command_withdraw,
	&command_panic, &command_resume, &collector_command_export, NULL};

const struct cli_command collector_command_decisions = {
	.name = "decisions",
	.help = "what is done about alerts: list, show, approve, withdraw, stop",
	.sub = commands,
	.run = cmd_decisions,
};

static int cmd_decisions(int argc, char **argv)
{
	return cli_run(&collector_command_decisions, argc, argv);
}

/* ---- words ---- */

static const struct talk_word words[] = {{OPT_STATE, "state", 0},
					 {OPT_RULE, "rule", 0},
					 {OPT_ALERT, "alert", INT64_MAX},
					 {OPT_LIMIT, "limit", 10000},
					 {}};

/* Return: -1 go on, else the exit status. */
static int begin(struct talk_call *k, const struct cli_command *cmd, int argc, char **argv)
{
	*k = (struct talk_call){.c = {.argc = argc, .argv = argv}};
	return talk_begin(k, cmd, "decisions", words);
}

/* ---- lines ---- */

static const char *what_text(const json_t *o, char *buf, size_t cap)
{
	const char *to = talk_text(o, "to");
	const int64_t port = talk_number(o, "port");
	char more[64] = "";

	if (*to)
		snprintf(more, sizeof(more), " > %.46s", to);
	else if (port)
		snprintf(more, sizeof(more), " port %" PRId64, port);
	snprintf(buf, cap, "%s %s %s%s", talk_text(o, "action"), talk_text(o, "scope"),
		 talk_text(o, "value"), more);
	return buf;
}

static void list_head(void)
{
	printf("%6s %-9s %-8s %-19s %8s %-18s %s\n", "ID", "STATE", "MODE", "EXPIRES", "PACKETS",
	       "RULE", "WHAT");
}

static void show_listed(struct talk_call *k, const json_t *o)
{
	char expires[20], what[160], packets[UNITS_TEXT];

	if (!k->lines)
		list_head();
	printf("%6" PRId64 " %-9s %-8s %-19s %8s %-18.18s %s%s%s%s%s\n", talk_number(o, "id"),
	       talk_text(o, "state"), talk_text(o, "mode"), talk_time(o, "expires", expires),
	       units_si((uint64_t)talk_number(json_object_get(o, "hits"), "packets"), packets),
	       talk_text(o, "rule"), what_text(o, what, sizeof(what)),
	       *talk_text(o, "node") ? ", on " : "", talk_text(o, "node"),
	       *talk_text(o, "reason") ? ": " : "", talk_text(o, "reason"));
}

static int cmd_list(int argc, char **argv)
{
	static struct talk_call k;
	int rc = begin(&k, &command_list, argc, argv);

	if (rc >= 0)
		return rc;
	if (!json_object_get(k.request, "state"))
		json_object_set_new(k.request, "state",
				    json_string(json_object_get(k.request, "alert") ? "all"
										    : "active"));
	rc = talk_run(&k, show_listed);
	if (!rc && !k.json && !k.lines) {
		list_head();
		puts("(none)");
	}
	return rc;
}

/* "18,223 packets, 1,822,300 bytes, 12 flows, last 2026-09-01 12:41:08" */
static void hits_field(const char *name, const json_t *h)
{
	char packets[UNITS_TEXT], bytes[UNITS_TEXT], flows[UNITS_TEXT], last[20];
	char text[4 * UNITS_TEXT + 64];

	snprintf(text, sizeof(text), "%s packets, %s bytes, %s flows, last %s",
		 units_grouped((uint64_t)talk_number(h, "packets"), packets),
		 units_grouped((uint64_t)talk_number(h, "bytes"), bytes),
		 units_grouped((uint64_t)talk_number(h, "flows"), flows),
		 talk_time(h, "last", last));
	talk_field(name, text);
}

static void show_hits(const json_t *o)
{
	const json_t *hits = json_object_get(o, "hits"), *node;
	const bool shadow = !strcmp(talk_text(o, "mode"), "shadow");
	size_t i;

	if (!hits)
		return;
	hits_field(shadow ? "would have hit" : "hit", hits);
	json_array_foreach(json_object_get(hits, "by_node"), i, node)
		hits_field(talk_text(node, "node"), node);
}

static void show_all(struct talk_call *k, const json_t *o)
{
	char text[20], what[160], n[32];

	(void)k;
	printf("decision %" PRId64 ": %s\n", talk_number(o, "id"),
	       what_text(o, what, sizeof(what)));
	talk_field("state", talk_text(o, "state"));
	talk_field("why", talk_text(o, "reason"));
	talk_field("mode", talk_text(o, "mode"));
	talk_field("direction", talk_text(o, "direction"));
	talk_field("rate", talk_text(o, "rate"));
	talk_field("rule", talk_text(o, "rule"));
	talk_field("decided by node", talk_text(o, "node"));
	snprintf(n, sizeof(n), "%" PRId64, talk_number(o, "alert"));
	talk_field("alert", talk_number(o, "alert") ? n : "");
	snprintf(n, sizeof(n), "%" PRId64 ", %" PRId64 " s", talk_number(o, "step") + 1,
		 talk_number(o, "ttl_s"));
	talk_field("step", n);
	talk_field("made", talk_time(o, "made", text));
	talk_field("expires", talk_time(o, "expires", text));
	talk_field("again", talk_time(o, "again", text));
	talk_field("ended", talk_time(o, "ended", text));
	talk_field("approver", talk_text(o, "approver"));
	show_hits(o);
	if (!strcmp(talk_text(o, "state"), "active"))
		printf("  undo: weir-collector decisions withdraw %" PRId64 "\n",
		       talk_number(o, "id"));
}

static void show_done(struct talk_call *k, const json_t *o)
{
	if (k->c.cmd == &command_panic)
		puts("automatic decisions only count; undo: weir-collector decisions resume");
	else if (k->c.cmd == &command_resume)
		puts("decisions act again");
	else if (k->c.cmd == &command_approve)
		printf("decision %" PRId64
		       " is in force; undo: weir-collector decisions withdraw %" PRId64 "\n",
		       talk_number(o, "id"), talk_number(o, "id"));
	else
		printf("decision %" PRId64 " has ended\n", talk_number(o, "id"));
}

static int run(const struct cli_command *cmd, int argc, char **argv,
	       void (*show)(struct talk_call *k, const json_t *o))
{
	static struct talk_call k;
	const int rc = begin(&k, cmd, argc, argv);

	return rc >= 0 ? rc : talk_run(&k, show);
}

static int cmd_show(int argc, char **argv)
{
	return run(&command_show, argc, argv, show_all);
}

static int cmd_approve(int argc, char **argv)
{
	return run(&command_approve, argc, argv, show_done);
}

static int cmd_withdraw(int argc, char **argv)
{
	return run(&command_withdraw, argc, argv, show_done);
}

static int cmd_panic(int argc, char **argv)
{
	return run(&command_panic, argc, argv, show_done);
}

static int cmd_resume(int argc, char **argv)
{
	return run(&command_resume, argc, argv, show_done);
}
