// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_alerts.c - `weir-collector alerts`: what the rules have found, and what people say to it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "collector/command.h"
#include "collector/talk.h"
#include "common/scan.h"

enum {
	OPT_STATE = 1,
	OPT_RULE,
	OPT_SEVERITY,
	OPT_LAST,
	OPT_LIMIT,
	OPT_GROUP,
	OPT_OUTPUT,
	OPT_NOTE,
	OPT_FOR,
};

#define OUTPUT                                                                                  \
	{                                                                                       \
		OPT_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "how it is written" \
	}
#define NOTE                                                                       \
	{                                                                          \
		OPT_NOTE, 0, "note", "TEXT", NULL, NULL, "what others should know" \
	}

static const struct cli_option list_options[] = {
	{OPT_STATE, 's', "state", "STATE", "firing|resolved|silenced|acknowledged|all", "firing",
	 "alerts that are so now"},
	{OPT_RULE, 'r', "rule", "NAME", NULL, NULL, "alerts of this rule"},
	{OPT_SEVERITY, 0, "severity", "WORD", "?low|medium|high|critical", NULL,
	 "alerts whose label severity is this"},
	{OPT_LAST, 'l', "last", "TIME", NULL, NULL, "alerts of the last TIME, such as 24h"},
	{OPT_LIMIT, 't', "top", "N", NULL, "100", "at most so many, the latest"},
	{OPT_GROUP, 'g', "group", NULL, NULL, NULL, "alerts of one rule and one host as one line"},
	OUTPUT,
	{},
};

static const struct cli_option show_options[] = {OUTPUT, {}};

static const struct cli_option change_options[] = {NOTE, OUTPUT, {}};

static const struct cli_option silence_options[] = {
	{OPT_FOR, 'f', "for", "TIME", NULL, "1h", "how long"},
	{OPT_RULE, 'r', "rule", "NAME", NULL, NULL, "alerts of this rule"},
	NOTE,
	OUTPUT,
	{},
};

static int cmd_alerts(int argc, char **argv);
static int cmd_list(int argc, char **argv);
static int cmd_show(int argc, char **argv);
static int cmd_ack(int argc, char **argv);
static int cmd_resolve(int argc, char **argv);
static int cmd_silence(int argc, char **argv);
static int cmd_silences(int argc, char **argv);
static int cmd_unsilence(int argc, char **argv);

static const struct cli_command command_list = {
	.name = "list",
	.help = "alerts, the latest first",
	.operands = "[FILTER]",
	.words = CLI_FILTER,
	.doc = "FILTER is described in weir-filter(5) and is about the fields that the alert's rule groups "
	       "by, such as src.ip; the host of a correlation is src.ip.",
	.options = list_options,
	.more = client_where_options,
	.examples =
		"weir-collector alerts list\n"
		"weir-collector alerts list 'src.ip in 198.51.100.0/24' --state all --last 24h\n"
		"weir-collector alerts list --group -o json\n",
	.run = cmd_list,
};

static const struct cli_command command_show = {
	.name = "show",
	.help = "everything about an alert",
	.operands = "ID...",
	.options = show_options,
	.more = client_where_options,
	.examples = "weir-collector alerts show 17\n",
	.run = cmd_show,
};

static const struct cli_command command_ack = {
	.name = "ack",
	.help = "say that somebody takes care of alerts",
	.operands = "ID...",
	.options = change_options,
	.more = client_where_options,
	.examples = "weir-collector alerts ack 17 --note 'backup job, asked its owner'\n",
	.run = cmd_ack,
};

static const struct cli_command command_resolve = {
	.name = "resolve",
	.help = "end alerts by hand",
	.operands = "ID...",
	.options = change_options,
	.more = client_where_options,
	.doc = "It fires again when its rule finds anew what it looks for.",
	.examples = "weir-collector alerts resolve 17 18\n",
	.run = cmd_resolve,
};

static const struct cli_command command_silence = {
	.name = "silence",
	.help = "for some time, tell nobody of certain alerts and do nothing about them",
	.operands = "[FILTER]",
	.words = CLI_FILTER,
	.doc = "Of a rule, of what FILTER picks (see 'alerts list'), or of both. They are kept as ever.",
	.options = silence_options,
	.more = client_where_options,
	.examples =
		"weir-collector alerts silence --rule port-scan 'src.ip == 10.0.0.9' --for 2h --note "
		"'inventory scan'\n",
	.run = cmd_silence,
};

static const struct cli_command command_silences = {
	.name = "silences",
	.help = "silences in force",
	.options = show_options,
	.more = client_where_options,
	.examples = "weir-collector alerts silences\n",
	.run = cmd_silences,
};

static const struct cli_command command_unsilence = {
	.name = "unsilence",
	.help = "end silences before their time",
	.operands = "ID...",
	.options = show_options,
	.more = client_where_options,
	.examples = "weir-collector alerts unsilence 3\n",
	.run = cmd_unsilence,
};

static const struct cli_command *const commands[] = {&command_list,	 &command_show,
						     &command_ack,	 &command_resolve,
						     &command_silence,	 &command_silences,
						     &command_unsilence, NULL};

const struct cli_command collector_command_alerts = {
	.name = "alerts",
	.help = "what the rules have found: list, show, acknowledge, silence, resolve",
	.sub = commands,
	.run = cmd_alerts,
};

static int cmd_alerts(int argc, char **argv)
{
	return cli_run(&collector_command_alerts, argc, argv);
}

/* ---- words ---- */

struct call {
	struct cli c;
	struct client_at at;
	json_t *request;
	char filter[4096];
	struct talk_ids ids;
	uint32_t lines;
	bool json, wants_ids;
};

static void put(struct call *k, const char *key, const char *value)
{
	json_object_set_new(k->request, key, json_string(value));
}

static int operand(struct call *k, const char *word)
{
	const size_t at = strlen(k->filter);

	if (k->wants_ids)
		return talk_take_id(&k->c, &k->ids,
				    k->c.cmd == &command_unsilence ? "silence" : "alert");
	if (!k->c.cmd->operands)
		return cli_error(&k->c, "'%.40s': what for?", word);
	if (at + strlen(word) + 2 > sizeof(k->filter))
		return cli_error(&k->c, "the filter is too long");
	snprintf(k->filter + at, sizeof(k->filter) - at, "%s%s", at ? " " : "", word);
	return 0;
}

static int take(struct call *k, int id)
{
	static const char *const keys[] = {
		[OPT_STATE] = "state", [OPT_RULE] = "rule", [OPT_SEVERITY] = "severity",
		[OPT_LAST] = "last",   [OPT_NOTE] = "note", [OPT_FOR] = "for"};
	uint64_t n;

	if (id == OPT_OUTPUT)
		k->json = !strcmp(k->c.arg, "json");
	else if (id == OPT_GROUP)
		json_object_set_new(k->request, "group", json_true());
	else if (id == OPT_LIMIT && scan_u64(k->c.arg, 1, 10000, &n))
		return cli_error(&k->c, "--top '%.40s': want 1 to 10000", k->c.arg);
	else if (id == OPT_LIMIT)
		json_object_set_new(k->request, "limit", json_integer((json_int_t)n));
	else if (id == CLI_OPERAND)
		return operand(k, k->c.arg);
	else if (!client_where_option(&k->at, id, k->c.arg))
		put(k, keys[id], k->c.arg);
	return 0;
}

/* Return: -1 go on, else the exit status. */
static int begin(struct call *k, const struct cli_command *cmd, int argc, char **argv)
{
	int id, rc = 0;

	*k = (struct call){.c = {.cmd = cmd, .argc = argc, .argv = argv, .path = "alerts"},
			   .request = json_object()};
	k->wants_ids = cmd->operands && !strcmp(cmd->operands, "ID...");
	put(k, "command", "alerts");
	put(k, "what", cmd->name);
	while (!rc && (id = cli_next(&k->c)) != CLI_END)
		rc = id == CLI_STOP ? k->c.status + 1 : take(k, id);
	if (rc) {
		json_decref(k->request);
		return id == CLI_STOP ? k->c.status : rc;
	}
	if (k->at.store)
		rc = cli_error(&k->c, "--store: alerts are asked of a running collector");
	else if (k->wants_ids && !k->ids.n)
		rc = cli_error(&k->c, "which one?");
	if (rc) {
		json_decref(k->request);
		return rc;
	}
	if (*k->filter)
		put(k, "filter", k->filter);
	return -1;
}

/* ---- list ---- */

static const char *summary(const json_t *o)
{
	const char *s = talk_text(json_object_get(o, "annotations"), "summary");

	return *s ? s : talk_text(o, "rule");
}

static const char *state_word(const json_t *o)
{
	if (json_object_get(o, "silence"))
		return "silenced";
	if (!strcmp(talk_text(o, "state"), "firing") && json_object_get(o, "acknowledged"))
		return "acked";
	return talk_text(o, "state");
}

static void list_head(bool group)
{
	if (group)
		printf("%-22s %-8s %-39s %6s %6s %s\n", "RULE", "SEVERITY", "HOST", "ALERTS",
		       "FIRING", "LAST");
	else
		printf("%6s %-9s %-8s %-19s %s\n", "ID", "STATE", "SEVERITY", "LAST", "ALERT");
}

static void list_line(void *arg, const json_t *o)
{
	struct call *k = arg;
	const bool group = !strcmp(talk_text(o, "type"), "group");
	char last[20];

	if (!k->json && !k->lines)
		list_head(group);
	if (k->json)
		talk_json(o);
	else if (group)
		printf("%-22.22s %-8.8s %-39.39s %6" PRId64 " %6" PRId64 " %s\n",
		       talk_text(o, "rule"), talk_text(o, "severity"), talk_text(o, "host"),
		       talk_number(o, "alerts"), talk_number(o, "firing"),
		       talk_time(o, "last", last));
	else
		printf("%6" PRId64 " %-9.9s %-8.8s %-19s %s\n", talk_number(o, "id"), state_word(o),
		       talk_text(json_object_get(o, "labels"), "severity"),
		       talk_time(o, "last", last), summary(o));
	k->lines++;
}

static int cmd_list(int argc, char **argv)
{
	static struct call k;
	int rc = begin(&k, &command_list, argc, argv);

	if (rc >= 0)
		return rc;
	if (!json_object_get(k.request, "state"))
		put(&k, "state", "firing");
	rc = talk(&k.at, k.request, list_line, &k);
	if (!rc && !k.json && !k.lines) {
		list_head(false);
		puts("(none)");
	}
	return rc;
}

/* ---- show ---- */

static void field(const char *name, const char *value)
{
	if (*value)
		printf("  %-14s %s\n", name, value);
}

static void show_line(void *arg, const json_t *o)
{
	const struct call *k = arg;
	const json_t *acked = json_object_get(o, "acknowledged");
	char text[20], count[24];
	const char *key;
	json_t *v;

	if (k->json) {
		talk_json(o);
		return;
	}
	printf("alert %" PRId64 ": %s\n", talk_number(o, "id"), summary(o));
	field("state", state_word(o));
	field("why", talk_text(o, "reason"));
	field("rule", talk_text(o, "rule"));
	field("version", talk_text(o, "version"));
	field("mode", talk_text(o, "mode"));
	field("first", talk_time(o, "first", text));
	field("last", talk_time(o, "last", text));
	field("resolved", talk_time(o, "resolved", text));
	snprintf(count, sizeof(count), "%" PRId64, talk_number(o, "count"));
	field("fired", count);
	field("source", json_is_true(json_object_get(o, "proven")) ? "proven, by its handshakes"
								   : "not proven: may be forged");
	if (json_is_true(json_object_get(o, "exempt")))
		field("exempt", "yes: nothing is done about it");
	field("acknowledged", talk_text(acked, "by"));
	field("note", talk_text(o, "note"));
	json_object_foreach(json_object_get(o, "labels"), key, v)
		printf("  %-14s %s\n", key, json_string_value(v));
}

static int cmd_show(int argc, char **argv)
{
	static struct call k;
	const int rc = begin(&k, &command_show, argc, argv);

	return rc >= 0 ? rc : talk_each(&k.at, k.request, &k.ids, show_line, &k);
}

/* ---- changes ---- */

static void done_line(void *arg, const json_t *o)
{
	const struct call *k = arg;

	if (k->json)
		talk_json(o);
	else if (k->c.cmd == &command_silence)
		printf("silence %" PRId64 "; undo: weir-collector alerts unsilence %" PRId64 "\n",
		       talk_number(o, "silence"), talk_number(o, "silence"));
	else if (k->c.cmd == &command_unsilence)
		printf("silence %" PRId64 " has ended\n", talk_number(o, "silence"));
	else
		printf("alert %" PRId64 " %s\n", talk_number(o, "id"),
		       k->c.cmd == &command_ack ? "acknowledged" : "resolved");
}

static int cmd_ack(int argc, char **argv)
{
	static struct call k;
	const int rc = begin(&k, &command_ack, argc, argv);

	return rc >= 0 ? rc : talk_each(&k.at, k.request, &k.ids, done_line, &k);
}

static int cmd_resolve(int argc, char **argv)
{
	static struct call k;
	const int rc = begin(&k, &command_resolve, argc, argv);

	return rc >= 0 ? rc : talk_each(&k.at, k.request, &k.ids, done_line, &k);
}

static int cmd_unsilence(int argc, char **argv)
{
	static struct call k;
	const int rc = begin(&k, &command_unsilence, argc, argv);

	return rc >= 0 ? rc : talk_each(&k.at, k.request, &k.ids, done_line, &k);
}

static int cmd_silence(int argc, char **argv)
{
	static struct call k;
	const int rc = begin(&k, &command_silence, argc, argv);

	if (rc >= 0)
		return rc;
	if (!json_object_get(k.request, "for"))
		put(&k, "for", "1h");
	return talk(&k.at, k.request, done_line, &k);
}

static void silence_line(void *arg, const json_t *o)
{
	const struct call *k = arg;
	char until[20];

	if (k->json)
		talk_json(o);
	else
		printf("%6" PRId64 " %-19s %-22s %-30s %s\n", talk_number(o, "id"),
		       talk_time(o, "until", until), talk_text(o, "rule"), talk_text(o, "filter"),
		       talk_text(o, "note"));
}

static int cmd_silences(int argc, char **argv)
{
	static struct call k;
	const int rc = begin(&k, &command_silences, argc, argv);

	if (rc >= 0)
		return rc;
	if (!k.json)
		printf("%6s %-19s %-22s %-30s %s\n", "ID", "UNTIL", "RULE", "FILTER", "NOTE");
	return talk(&k.at, k.request, silence_line, &k);
}
