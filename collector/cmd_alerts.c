// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_alerts.c - `weir-collector alerts`: what the rules have found, and what people say to it.
 */
#include <inttypes.h>
#include <string.h>

#include "collector/command.h"
#include "collector/talk.h"
#include "common/units.h"

enum {
	OPT_STATE = 1,
	OPT_RULE,
	OPT_SEVERITY,
	OPT_LAST,
	OPT_LIMIT,
	OPT_GROUP,
	OPT_NOTE,
	OPT_FOR,
};

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
	TALK_OUTPUT_OPTION,
	{},
};

static const struct cli_option show_options[] = {TALK_OUTPUT_OPTION, {}};

static const struct cli_option change_options[] = {NOTE, TALK_OUTPUT_OPTION, {}};

static const struct cli_option silence_options[] = {
	{OPT_FOR, 'f', "for", "TIME", NULL, "1h", "how long"},
	{OPT_RULE, 'r', "rule", "NAME", NULL, NULL, "alerts of this rule"},
	NOTE,
	TALK_OUTPUT_OPTION,
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

static const struct talk_word words[] = {
	{OPT_STATE, "state", 0}, {OPT_RULE, "rule", 0},	      {OPT_SEVERITY, "severity", 0},
	{OPT_LAST, "last", 0},	 {OPT_NOTE, "note", 0},	      {OPT_FOR, "for", 0},
	{OPT_GROUP, "group", 0}, {OPT_LIMIT, "limit", 10000}, {}};

/* Return: -1 go on, else the exit status. */
static int begin(struct talk_call *k, const struct cli_command *cmd, int argc, char **argv)
{
	*k = (struct talk_call){.c = {.argc = argc, .argv = argv}};
	return talk_begin(k, cmd, "alerts", words);
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

static void show_listed(struct talk_call *k, const json_t *o)
{
	const bool group = !strcmp(talk_text(o, "type"), "group");
	char last[20];

	if (!k->lines)
		list_head(group);
	if (group)
		printf("%-22.22s %-8.8s %-39.39s %6" PRId64 " %6" PRId64 " %s\n",
		       talk_text(o, "rule"), talk_text(o, "severity"), talk_text(o, "host"),
		       talk_number(o, "alerts"), talk_number(o, "firing"),
		       talk_time(o, "last", last));
	else
		printf("%6" PRId64 " %-9.9s %-8.8s %-19s %s\n", talk_number(o, "id"), state_word(o),
		       talk_text(json_object_get(o, "labels"), "severity"),
		       talk_time(o, "last", last), summary(o));
}

static int cmd_list(int argc, char **argv)
{
	static struct talk_call k;
	int rc = begin(&k, &command_list, argc, argv);

	if (rc >= 0)
		return rc;
	if (!json_object_get(k.request, "state"))
		json_object_set_new(k.request, "state", json_string("firing"));
	rc = talk_run(&k, show_listed);
	if (!rc && !k.json && !k.lines) {
		list_head(false);
		puts("(none)");
	}
	return rc;
}

/* ---- show ---- */

static void show_captures(const json_t *o)
{
	const json_t *list = json_object_get(o, "captures"), *id;
	char text[160] = "";
	size_t i;

	json_array_foreach(list, i, id)
	{
		const size_t len = strlen(text);

		snprintf(text + len, sizeof(text) - len, "%s%" PRId64, i ? ", " : "",
			 (int64_t)json_integer_value(id));
	}
	talk_field("captures", text);
}

/* What its decisions have stopped, or would have. */
static void show_hits(const json_t *h)
{
	char packets[UNITS_TEXT], bytes[UNITS_TEXT], last[20], text[3 * UNITS_TEXT + 64];

	if (!h)
		return;
	snprintf(text, sizeof(text), "%s packets, %s bytes, last %s",
		 units_grouped((uint64_t)talk_number(h, "packets"), packets),
		 units_grouped((uint64_t)talk_number(h, "bytes"), bytes),
		 talk_time(h, "last", last));
	talk_field("decisions hit", text);
}

static void show_all(struct talk_call *k, const json_t *o)
{
	const json_t *acked = json_object_get(o, "acknowledged");
	char text[20], count[24];
	const char *key;
	json_t *v;

	(void)k;
	printf("alert %" PRId64 ": %s\n", talk_number(o, "id"), summary(o));
	talk_field("state", state_word(o));
	talk_field("why", talk_text(o, "reason"));
	talk_field("rule", talk_text(o, "rule"));
	talk_field("version", talk_text(o, "version"));
	talk_field("mode", talk_text(o, "mode"));
	talk_field("first", talk_time(o, "first", text));
	talk_field("last", talk_time(o, "last", text));
	talk_field("resolved", talk_time(o, "resolved", text));
	snprintf(count, sizeof(count), "%" PRId64, talk_number(o, "count"));
	talk_field("fired", count);
	talk_field("source", json_is_true(json_object_get(o, "proven"))
				     ? "proven, by its handshakes"
				     : "not proven: may be forged");
	if (json_is_true(json_object_get(o, "exempt")))
		talk_field("exempt", "yes: nothing is done about it");
	talk_field("acknowledged", talk_text(acked, "by"));
	talk_field("note", talk_text(o, "note"));
	show_hits(json_object_get(o, "hits"));
	show_captures(o);
	json_object_foreach(json_object_get(o, "labels"), key, v)
		talk_field(key, json_string_value(v) ?: "");
}

/* ---- changes ---- */

static void show_done(struct talk_call *k, const json_t *o)
{
	if (k->c.cmd == &command_silence)
		printf("silence %" PRId64 "; undo: weir-collector alerts unsilence %" PRId64 "\n",
		       talk_number(o, "silence"), talk_number(o, "silence"));
	else if (k->c.cmd == &command_unsilence)
		printf("silence %" PRId64 " has ended\n", talk_number(o, "silence"));
	else
		printf("alert %" PRId64 " %s\n", talk_number(o, "id"),
		       k->c.cmd == &command_ack ? "acknowledged" : "resolved");
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

static int cmd_ack(int argc, char **argv)
{
	return run(&command_ack, argc, argv, show_done);
}

static int cmd_resolve(int argc, char **argv)
{
	return run(&command_resolve, argc, argv, show_done);
}

static int cmd_unsilence(int argc, char **argv)
{
	return run(&command_unsilence, argc, argv, show_done);
}

/* ---- silences ---- */

static int cmd_silence(int argc, char **argv)
{
	static struct talk_call k;
	const int rc = begin(&k, &command_silence, argc, argv);

	if (rc >= 0)
		return rc;
	if (!json_object_get(k.request, "for"))
		json_object_set_new(k.request, "for", json_string("1h"));
	return talk_run(&k, show_done);
}

static void silences_head(void)
{
	printf("%6s %-19s %-22s %-30s %s\n", "ID", "UNTIL", "RULE", "FILTER", "NOTE");
}

static void show_silence(struct talk_call *k, const json_t *o)
{
	char until[20];

	if (!k->lines)
		silences_head();
	printf("%6" PRId64 " %-19s %-22s %-30s %s\n", talk_number(o, "id"),
	       talk_time(o, "until", until), talk_text(o, "rule"), talk_text(o, "filter"),
	       talk_text(o, "note"));
}

static int cmd_silences(int argc, char **argv)
{
	static struct talk_call k;
	int rc = begin(&k, &command_silences, argc, argv);

	if (rc >= 0)
		return rc;
	rc = talk_run(&k, show_silence);
	if (!rc && !k.json && !k.lines) {
		silences_head();
		puts("(none)");
	}
	return rc;
}
