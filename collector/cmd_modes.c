// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_modes.c - `weir-collector rules mode|promote|demote`: how far rules at work may go, and who says so.
 */
#include <inttypes.h>
#include <string.h>

#include "collector/cmd_rules.h"
#include "collector/talk.h"

enum { OPT_TO = 1, OPT_NOTE, OPT_FORCE };

static const struct cli_option mode_options[] = {TALK_OUTPUT_OPTION, {}};

static const struct cli_option promote_options[] = {
	{OPT_TO, 't', "to", "MODE", "detect|shadow|canary|prevent", NULL,
	 "the mode after the one that it has"},
	{OPT_NOTE, 'n', "note", "TEXT", NULL, NULL, "why; in the audit log"},
	{OPT_FORCE, 'f', "force", NULL, NULL, NULL,
	 "though not all has been seen that it takes; wants --note"},
	TALK_OUTPUT_OPTION,
	{},
};

static const struct cli_option demote_options[] = {
	{OPT_TO, 't', "to", "MODE", "draft|detect|shadow|canary", NULL,
	 "a mode below the one that it has"},
	{OPT_NOTE, 'n', "note", "TEXT", NULL, NULL, "why; in the audit log"},
	TALK_OUTPUT_OPTION,
	{},
};

static int cmd_mode(int argc, char **argv);
static int cmd_promote(int argc, char **argv);
static int cmd_demote(int argc, char **argv);

const struct cli_command rules_command_mode = {
	.name = "mode",
	.help = "how far rules may go, since when, and what the next mode asks for",
	.operands = "[NAME]",
	.doc = "Of all rules at work a line, of one everything: what has been seen of it in its mode, and what has to "
	       "be before it may go on.",
	.options = mode_options,
	.more = client_where_options,
	.examples = "weir-collector rules mode\n"
		    "weir-collector rules mode ssh-dictionary\n",
	.run = cmd_mode,
};

const struct cli_command rules_command_promote = {
	.name = "promote",
	.help = "let a rule go a mode further",
	.operands = "NAME",
	.doc = "Refused while not all has been seen that the mode asks for. Rules are read again then, and their "
	       "windows begin anew.",
	.options = promote_options,
	.more = client_where_options,
	.examples =
		"weir-collector rules promote ssh-dictionary --to shadow\n"
		"weir-collector rules promote ssh-dictionary --to canary --force --note 'under attack'\n",
	.run = cmd_promote,
};

const struct cli_command rules_command_demote = {
	.name = "demote",
	.help = "take a rule back to a lower mode",
	.operands = "NAME",
	.doc = "At once, and what it decided beyond that mode is withdrawn.",
	.options = demote_options,
	.more = client_where_options,
	.examples =
		"weir-collector rules demote ssh-dictionary --to shadow --note 'hit the scanner'\n",
	.run = cmd_demote,
};

static const struct talk_word words[] = {
	{OPT_TO, "to", 0}, {OPT_NOTE, "note", 0}, {OPT_FORCE, "force", 0}, {}};

/* Return: -1 go on, else the exit status. */
static int begin(struct talk_call *k, const struct cli_command *cmd, int argc, char **argv)
{
	*k = (struct talk_call){.c = {.argc = argc, .argv = argv}};
	return talk_begin(k, cmd, "rules", words);
}

/* ---- what there is ---- */

static const char *ready(const json_t *o)
{
	if (!*talk_text(o, "next"))
		return "";
	return json_is_true(json_object_get(o, "ready")) ? " (ready)" : " (not yet)";
}

static void list_head(void)
{
	printf("%-32s %-8s %-19s %-20s %s\n", "RULE", "MODE", "SINCE", "BY", "NEXT");
}

static void show_listed(struct talk_call *k, const json_t *o)
{
	char since[20];

	if (!k->lines)
		list_head();
	printf("%-32s %-8s %-19s %-20s %s%s\n", talk_text(o, "name"), talk_text(o, "mode"),
	       talk_time(o, "since", since), talk_text(o, "by"), talk_text(o, "next"), ready(o));
}

static void show_condition(const json_t *c)
{
	const bool most = json_object_get(c, "at_most");

	printf("  %-3s %-10s %" PRId64 ", %s %" PRId64 ": %s\n",
	       json_is_true(json_object_get(c, "met")) ? "ok" : "no", talk_text(c, "name"),
	       talk_number(c, "have"), most ? "at most" : "wants",
	       talk_number(c, most ? "at_most" : "at_least"), talk_text(c, "doc"));
}

static void show_one(struct talk_call *k, const json_t *o)
{
	const json_t *c;
	char since[20], n[32];
	size_t i;

	(void)k;
	printf("rule %s: %s\n", talk_text(o, "name"), talk_text(o, "mode"));
	talk_field("since", talk_time(o, "since", since));
	talk_field("by", talk_text(o, "by"));
	talk_field("note", talk_text(o, "note"));
	if (json_is_true(json_object_get(o, "configured")))
		talk_field("set", "by the configuration, where alone it can be changed");
	snprintf(n, sizeof(n), "%" PRId64 " alerts of it", talk_number(o, "would_decide"));
	talk_field("would act on", json_object_get(o, "would_decide") ? n : "");
	if (!*talk_text(o, "next"))
		return;
	printf("before %s:%s\n", talk_text(o, "next"),
	       json_array_size(json_object_get(o, "conditions")) ? "" : " nothing is asked");
	json_array_foreach(json_object_get(o, "conditions"), i, c) show_condition(c);
}

static int cmd_mode(int argc, char **argv)
{
	static struct talk_call k;
	int rc = begin(&k, &rules_command_mode, argc, argv);
	bool one;

	if (rc >= 0)
		return rc;
	one = json_object_get(k.request, "name");
	rc = talk_run(&k, one ? show_one : show_listed);
	if (!rc && !one && !k.json && !k.lines) {
		list_head();
		puts("(none)");
	}
	return rc;
}

/* ---- what shall be ---- */

static void show_done(struct talk_call *k, const json_t *o)
{
	printf("rule %s: %s, was %s%s", talk_text(o, "name"), talk_text(o, "mode"),
	       talk_text(o, "from"),
	       json_is_true(json_object_get(o, "forced")) ? ", by force" : "");
	if (k->c.cmd == &rules_command_promote)
		printf("; undo: weir-collector rules demote %s --to %s", talk_text(o, "name"),
		       talk_text(o, "from"));
	putchar('\n');
}

static int change(const struct cli_command *cmd, int argc, char **argv)
{
	static struct talk_call k;
	int rc = begin(&k, cmd, argc, argv);

	if (rc >= 0)
		return rc;
	if (!json_object_get(k.request, "to")) {
		json_decref(k.request);
		return cli_error(&k.c, "give --to MODE");
	}
	return talk_run(&k, show_done);
}

static int cmd_promote(int argc, char **argv)
{
	return change(&rules_command_promote, argc, argv);
}

static int cmd_demote(int argc, char **argv)
{
	return change(&rules_command_demote, argc, argv);
}
