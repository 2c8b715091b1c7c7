// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_audit.c - `weir-collector audit` and `weir-collector policy`: who did what, and what nodes are
 * told.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "collector/command.h"
#include "collector/talk.h"
#include "common/commands.h"

enum { OPT_LIMIT = 1, OPT_HEAD };

static const struct cli_option list_options[] = {
	{OPT_LIMIT, 't', "top", "N", NULL, "100", "at most so many, the latest"},
	TALK_OUTPUT_OPTION,
	{},
};

static const struct cli_option verify_options[] = {
	{OPT_HEAD, 0, "head", "HASH", NULL, NULL,
	 "a hash that an earlier 'verify' printed and that must still be in the log"},
	TALK_OUTPUT_OPTION,
	{},
};

static const struct cli_option show_options[] = {TALK_OUTPUT_OPTION, {}};

static int cmd_audit(int argc, char **argv);
static int cmd_list(int argc, char **argv);
static int cmd_verify(int argc, char **argv);
static int cmd_policy(int argc, char **argv);
static int cmd_show(int argc, char **argv);

static const struct cli_command command_list = {
	.name = "list",
	.help = "entries of the audit log, the latest last",
	.options = list_options,
	.more = client_where_options,
	.examples = "weir-collector audit list --top 20\n",
	.run = cmd_list,
};

static const struct cli_command command_verify = {
	.name = "verify",
	.help = "is the log as it was written?",
	.doc = "Every entry's hash is of the one before it and of all it says. Prints the last one: kept "
	       "elsewhere, and given with --head later, it shows that nothing up to it is missing.",
	.options = verify_options,
	.more = client_where_options,
	.examples = "weir-collector audit verify\n",
	.run = cmd_verify,
};

static const struct cli_command *const audit_commands[] = {&command_list, &command_verify, NULL};

const struct cli_command collector_command_audit = {
	.name = "audit",
	.help = "who did what: list, verify",
	.sub = audit_commands,
	.run = cmd_audit,
};

static const struct cli_command command_show = {
	.name = "show",
	.help = "the policy that nodes shall have",
	.doc = "Nodes that are enrolled get it; 'weir policy apply' on others takes its file; the public key for policy.keys there is "
	       "policy.pub beside it.",
	.options = show_options,
	.more = client_where_options,
	.examples = "weir-collector policy show\n",
	.run = cmd_show,
};

static const struct cli_command *const policy_commands[] = {&command_show, NULL};

const struct cli_command collector_command_policy = {
	.name = "policy",
	.help = "what nodes are told",
	.sub = policy_commands,
	.run = cmd_policy,
};

static int cmd_audit(int argc, char **argv)
{
	return cli_run(&collector_command_audit, argc, argv);
}

static int cmd_policy(int argc, char **argv)
{
	return cli_run(&collector_command_policy, argc, argv);
}

static int run(const struct cli_command *cmd, int argc, char **argv,
	       void (*show)(struct talk_call *k, const json_t *o))
{
	static const struct talk_word words[] = {
		{OPT_LIMIT, "limit", 10000}, {OPT_HEAD, "head", 0}, {}};
	static struct talk_call k;
	int rc;

	k = (struct talk_call){.c = {.argc = argc, .argv = argv},
			       .shows_json = cmd == &command_verify};
	rc = talk_begin(&k, cmd, cmd == &command_show ? "policy" : "audit", words);
	if (rc >= 0)
		return rc;
	rc = talk_run(&k, show);
	return rc ?: k.bad ? EXIT_FAILED : EXIT_OK;
}

/* ---- audit ---- */

static void show_entry(struct talk_call *k, const json_t *o)
{
	char when[20], *detail = json_dumps(json_object_get(o, "detail"), JSON_COMPACT);

	(void)k;
	printf("%6" PRId64 " %-19s %-22s %-18s %-14s %s\n", talk_number(o, "seq"),
	       talk_time(o, "time", when), talk_text(o, "actor"), talk_text(o, "action"),
	       talk_text(o, "object"), detail ?: "");
	free(detail);
}

static int cmd_list(int argc, char **argv)
{
	return run(&command_list, argc, argv, show_entry);
}

/* For people and as JSON. */
static void show_state(struct talk_call *k, const json_t *o)
{
	const int64_t broken = talk_number(o, "broken");
	const bool found = json_is_true(json_object_get(o, "found"));

	k->bad = broken || !found;
	if (k->json)
		return;
	if (broken)
		printf("entry %" PRId64 " is not as it was written\n", broken);
	else if (!found)
		printf("%" PRId64
		       " entries follow each other, but the head is not among them: the end is "
		       "missing, or it is of another log\n",
		       talk_number(o, "entries"));
	else
		printf("%" PRId64 " entries, all as they were written\nhead %s\n",
		       talk_number(o, "entries"), talk_text(o, "head"));
}

static int cmd_verify(int argc, char **argv)
{
	return run(&command_verify, argc, argv, show_state);
}

/* ---- policy ---- */

static void show_policy(struct talk_call *k, const json_t *o)
{
	char made[20], until[20];

	(void)k;
	printf("policy of %s, generation %" PRId64 ": %" PRId64 " rules, %" PRId64 " addresses\n",
	       talk_text(o, "issuer"), talk_number(o, "generation"), talk_number(o, "rules"),
	       talk_number(o, "entries"));
	printf("  made %s, until %s\n  hash %s\n  key  %s\n  file %s\n", talk_time(o, "made", made),
	       talk_time(o, "until", until), talk_text(o, "hash"), talk_text(o, "key_id"),
	       talk_text(o, "file"));
	if (talk_number(o, "left_out"))
		printf("  ! %" PRId64 " decisions are left out: there are too many rules\n",
		       talk_number(o, "left_out"));
	if (json_is_true(json_object_get(o, "breaker")))
		puts("  ! the breaker has acted, decisions only count; undo: weir-collector decisions "
		     "resume");
}

static int cmd_show(int argc, char **argv)
{
	return run(&command_show, argc, argv, show_policy);
}
