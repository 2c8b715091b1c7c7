// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_decisions.c - `weir-collector decisions`: what is done about alerts, and why not.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "collector/command.h"
#include "collector/talk.h"
#include "common/scan.h"

enum { OPT_STATE = 1, OPT_RULE, OPT_ALERT, OPT_LIMIT, OPT_OUTPUT };

#define OUTPUT                                                                                  \
	{                                                                                       \
		OPT_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "how it is written" \
	}

static const struct cli_option list_options[] = {
	{OPT_STATE, 's', "state", "STATE", "active|held|refused|expired|withdrawn|all", "active",
	 "decisions that are so now"},
	{OPT_RULE, 'r', "rule", "NAME", NULL, NULL, "decisions of this rule"},
	{OPT_ALERT, 'a', "alert", "ID", NULL, NULL, "decisions about this alert"},
	{OPT_LIMIT, 't', "top", "N", NULL, "100", "at most so many, the latest"},
	OUTPUT,
	{},
};

static const struct cli_option other_options[] = {OUTPUT, {}};

static int cmd_decisions(int argc, char **argv);
static int cmd_list(int argc, char **argv);
static int cmd_show(int argc, char **argv);
static int cmd_approve(int argc, char **argv);
static int cmd_withdraw(int argc, char **argv);
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

static const struct cli_command command_resume = {
	.name = "resume",
	.help = "have decisions act again after the breaker",
	.options = other_options,
	.more = client_where_options,
	.examples = "weir-collector decisions resume\n",
	.run = cmd_resume,
};

static const struct cli_command *const commands[] = {
	&command_list, &command_show, &command_approve, &command_withdraw, &command_resume, NULL};

const struct cli_command collector_command_decisions = {
	.name = "decisions",
	.help = "what is done about alerts: list, show, approve, withdraw",
	.sub = commands,
	.run = cmd_decisions,
};

static int cmd_decisions(int argc, char **argv)
{
	return cli_run(&collector_command_decisions, argc, argv);
}

/* ---- words ---- */

struct call {
	struct cli c;
	struct client_at at;
	json_t *request;
	struct talk_ids ids;
	uint32_t lines;
	bool json;
};

static int take_number(struct call *k, const char *key, uint64_t max)
{
	uint64_t n;

	if (scan_u64(k->c.arg, 1, max, &n))
		return cli_error(&k->c, "'%.40s': want a number, 1 to %" PRIu64, k->c.arg, max);
	json_object_set_new(k->request, key, json_integer((json_int_t)n));
	return 0;
}

static int take(struct call *k, int id)
{
	if (id == OPT_OUTPUT)
		k->json = !strcmp(k->c.arg, "json");
	else if (id == OPT_STATE)
		json_object_set_new(k->request, "state", json_string(k->c.arg));
	else if (id == OPT_RULE)
		json_object_set_new(k->request, "rule", json_string(k->c.arg));
	else if (id == OPT_ALERT)
		return take_number(k, "alert", INT64_MAX);
	else if (id == OPT_LIMIT)
		return take_number(k, "limit", 10000);
	else if (id == CLI_OPERAND)
		return talk_take_id(&k->c, &k->ids, "decision");
	else
		client_where_option(&k->at, id, k->c.arg);
	return 0;
}

/* Return: -1 go on, else the exit status. */
static int begin(struct call *k, const struct cli_command *cmd, int argc, char **argv)
{
	int id, rc = -1;

	*k = (struct call){.c = {.cmd = cmd, .argc = argc, .argv = argv, .path = "decisions"},
			   .request = json_pack("{s:s,s:s}", "command", "decisions", "what",
						cmd->name)};
	while (rc < 0 && (id = cli_next(&k->c)) != CLI_END)
		rc = id == CLI_STOP ? k->c.status : take(k, id) ?: -1;
	if (rc < 0 && k->at.store)
		rc = cli_error(&k->c, "--store: decisions are asked of a running collector");
	if (rc < 0 && cmd->operands && !k->ids.n)
		rc = cli_error(&k->c, "which one?");
	if (rc >= 0)
		json_decref(k->request);
	return rc;
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

static void list_line(void *arg, const json_t *o)
{
	struct call *k = arg;
	char expires[20], what[160];

	if (k->json) {
		talk_json(o);
		return;
	}
	if (!k->lines++)
		printf("%6s %-9s %-8s %-19s %-18s %s\n", "ID", "STATE", "MODE", "EXPIRES", "RULE",
		       "WHAT");
	printf("%6" PRId64 " %-9s %-8s %-19s %-18.18s %s%s%s\n", talk_number(o, "id"),
	       talk_text(o, "state"), talk_text(o, "mode"), talk_time(o, "expires", expires),
	       talk_text(o, "rule"), what_text(o, what, sizeof(what)),
	       *talk_text(o, "reason") ? ": " : "", talk_text(o, "reason"));
}

static int cmd_list(int argc, char **argv)
{
	static struct call k;
	int rc = begin(&k, &command_list, argc, argv);

	if (rc >= 0)
		return rc;
	if (!json_object_get(k.request, "state"))
		json_object_set_new(k.request, "state",
				    json_string(json_object_get(k.request, "alert") ? "all"
										    : "active"));
	rc = talk(&k.at, k.request, list_line, &k);
	if (!rc && !k.json && !k.lines)
		puts("(none)");
	return rc;
}

static void field(const char *name, const char *value)
{
	if (*value)
		printf("  %-14s %s\n", name, value);
}

static void show_line(void *arg, const json_t *o)
{
	const struct call *k = arg;
	char text[20], what[160], n[32];

	if (k->json) {
		talk_json(o);
		return;
	}
	printf("decision %" PRId64 ": %s\n", talk_number(o, "id"),
	       what_text(o, what, sizeof(what)));
	field("state", talk_text(o, "state"));
	field("why", talk_text(o, "reason"));
	field("mode", talk_text(o, "mode"));
	field("direction", talk_text(o, "direction"));
	field("rate", talk_text(o, "rate"));
	field("rule", talk_text(o, "rule"));
	snprintf(n, sizeof(n), "%" PRId64, talk_number(o, "alert"));
	field("alert", n);
	snprintf(n, sizeof(n), "%" PRId64 ", %" PRId64 " s", talk_number(o, "step") + 1,
		 talk_number(o, "ttl_s"));
	field("step", n);
	field("made", talk_time(o, "made", text));
	field("expires", talk_time(o, "expires", text));
	field("ended", talk_time(o, "ended", text));
	field("approver", talk_text(o, "approver"));
	if (!strcmp(talk_text(o, "state"), "active"))
		printf("  undo: weir-collector decisions withdraw %" PRId64 "\n",
		       talk_number(o, "id"));
}

static int cmd_show(int argc, char **argv)
{
	static struct call k;
	const int rc = begin(&k, &command_show, argc, argv);

	return rc >= 0 ? rc : talk_each(&k.at, k.request, &k.ids, show_line, &k);
}

static void done_line(void *arg, const json_t *o)
{
	const struct call *k = arg;

	if (k->json)
		talk_json(o);
	else if (k->c.cmd == &command_resume)
		puts("decisions act again");
	else if (k->c.cmd == &command_approve)
		printf("decision %" PRId64
		       " is in force; undo: weir-collector decisions withdraw %" PRId64 "\n",
		       talk_number(o, "id"), talk_number(o, "id"));
	else
		printf("decision %" PRId64 " has ended\n", talk_number(o, "id"));
}

static int cmd_approve(int argc, char **argv)
{
	static struct call k;
	const int rc = begin(&k, &command_approve, argc, argv);

	return rc >= 0 ? rc : talk_each(&k.at, k.request, &k.ids, done_line, &k);
}

static int cmd_withdraw(int argc, char **argv)
{
	static struct call k;
	const int rc = begin(&k, &command_withdraw, argc, argv);

	return rc >= 0 ? rc : talk_each(&k.at, k.request, &k.ids, done_line, &k);
}

static int cmd_resume(int argc, char **argv)
{
	static struct call k;
	const int rc = begin(&k, &command_resume, argc, argv);

	return rc >= 0 ? rc : talk(&k.at, k.request, done_line, &k);
}
