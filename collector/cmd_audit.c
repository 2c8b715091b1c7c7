// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_audit.c - `weir-collector audit` and `weir-collector policy`: who did what, and what nodes are
 * told.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "collector/command.h"
#include "collector/talk.h"
#include "common/scan.h"

enum { OPT_LIMIT = 1, OPT_HEAD, OPT_OUTPUT };

#define OUTPUT                                                                                  \
	{                                                                                       \
		OPT_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "how it is written" \
	}

static const struct cli_option list_options[] = {
	{OPT_LIMIT, 't', "top", "N", NULL, "100", "at most so many, the latest"},
	OUTPUT,
	{},
};

static const struct cli_option verify_options[] = {
	{OPT_HEAD, 0, "head", "HASH", NULL, NULL,
	 "a hash that an earlier 'verify' printed and that must still be in the log"},
	OUTPUT,
	{},
};

static const struct cli_option show_options[] = {OUTPUT, {}};

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

/* ---- words ---- */

struct call {
	struct cli c;
	struct client_at at;
	json_t *request;
	const char *head;
	bool json, bad;
};

static int take(struct call *k, int id)
{
	uint64_t n;

	if (id == OPT_OUTPUT) {
		k->json = !strcmp(k->c.arg, "json");
	} else if (id == OPT_LIMIT) {
		if (scan_u64(k->c.arg, 1, 1000000, &n))
			return cli_error(&k->c, "--top '%.40s': want 1 to 1000000", k->c.arg);
		json_object_set_new(k->request, "limit", json_integer((json_int_t)n));
	} else if (id == OPT_HEAD) {
		k->head = k->c.arg;
		json_object_set_new(k->request, "head", json_string(k->head));
	} else {
		client_where_option(&k->at, id, k->c.arg);
	}
	return 0;
}

/* Return: -1 go on, else the exit status. */
static int begin(struct call *k, const struct cli_command *cmd, int argc, char **argv)
{
	const char *command = cmd == &command_show ? "policy" : "audit";
	int id, rc = -1;

	*k = (struct call){.c = {.cmd = cmd, .argc = argc, .argv = argv, .path = command},
			   .request =
				   json_pack("{s:s,s:s}", "command", command, "what", cmd->name)};
	while (rc < 0 && (id = cli_next(&k->c)) != CLI_END)
		rc = id == CLI_STOP ? k->c.status : take(k, id) ?: -1;
	if (rc < 0 && k->at.store)
		rc = cli_error(&k->c, "--store: a running collector is asked");
	if (rc >= 0)
		json_decref(k->request);
	return rc;
}

/* ---- audit ---- */

static void list_line(void *arg, const json_t *o)
{
	const struct call *k = arg;
	char when[20], *detail;

	if (k->json) {
		talk_json(o);
		return;
	}
	detail = json_dumps(json_object_get(o, "detail"), JSON_COMPACT);
	printf("%6" PRId64 " %-19s %-22s %-18s %-14s %s\n", talk_number(o, "seq"),
	       talk_time(o, "time", when), talk_text(o, "actor"), talk_text(o, "action"),
	       talk_text(o, "object"), detail ?: "");
	free(detail);
}

static int cmd_list(int argc, char **argv)
{
	static struct call k;
	const int rc = begin(&k, &command_list, argc, argv);

	return rc >= 0 ? rc : talk(&k.at, k.request, list_line, &k);
}

static void verify_line(void *arg, const json_t *o)
{
	struct call *k = arg;
	const int64_t broken = talk_number(o, "broken");
	const bool found = json_is_true(json_object_get(o, "found"));

	k->bad = broken || !found;
	if (k->json)
		talk_json(o);
	else if (broken)
		printf("entry %" PRId64 " is not as it was written\n", broken);
	else if (!found)
		printf("%" PRId64
		       " entries follow each other, but %s is not among them: the end is missing, "
		       "or it is of another log\n",
		       talk_number(o, "entries"), k->head);
	else
		printf("%" PRId64 " entries, all as they were written\nhead %s\n",
		       talk_number(o, "entries"), talk_text(o, "head"));
}

static int cmd_verify(int argc, char **argv)
{
	static struct call k;
	int rc = begin(&k, &command_verify, argc, argv);

	if (rc >= 0)
		return rc;
	rc = talk(&k.at, k.request, verify_line, &k);
	return rc ?: k.bad ? EXIT_FAILED : EXIT_OK;
}

/* ---- policy ---- */

static void policy_line(void *arg, const json_t *o)
{
	const struct call *k = arg;
	char made[20], until[20];

	if (k->json) {
		talk_json(o);
		return;
	}
	printf("policy of %s, generation %" PRId64 ": %" PRId64 " rules, %" PRId64 " addresses\n",
	       talk_text(o, "issuer"), talk_number(o, "generation"), talk_number(o, "rules"),
	       talk_number(o, "entries"));
	printf("  made %s, until %s\n  hash %s\n  key  %s\n  file %s\n", talk_time(o, "made", made),
	       talk_time(o, "until", until), talk_text(o, "hash"), talk_text(o, "key_id"),
	       talk_text(o, "file"));
	if (json_is_true(json_object_get(o, "breaker")))
		puts("  ! the breaker has acted, decisions only count; undo: weir-collector decisions "
		     "resume");
}

static int cmd_show(int argc, char **argv)
{
	static struct call k;
	const int rc = begin(&k, &command_show, argc, argv);

	return rc >= 0 ? rc : talk(&k.at, k.request, policy_line, &k);
}
