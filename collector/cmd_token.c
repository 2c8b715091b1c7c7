// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_token.c - `weir-collector token`: who may use the REST interface, and for what.
 */
#include <string.h>

#include "collector/api/role.h"
#include "collector/command.h"
#include "collector/talk.h"

enum { OPT_ROLE = 1, OPT_FOR, OPT_NAME, OPT_CAPTURE };

static const struct cli_option create_options[] = {
	{OPT_ROLE, 'r', "role", "ROLE", API_ROLE_WORDS, NULL, "what it may do"},
	{OPT_FOR, 'f', "for", "TIME", NULL, NULL, "how long it is good, such as 30d; 366d at most"},
	{OPT_NAME, 'n', "name", "NAME", NULL, NULL,
	 "of whom or what it is, for the audit log; else its role and a number"},
	{OPT_CAPTURE, 0, "capture", NULL, NULL, NULL, "may read captured packets too"},
	TALK_OUTPUT_OPTION,
	{},
};

static const struct cli_option other_options[] = {TALK_OUTPUT_OPTION, {}};

static int cmd_token(int argc, char **argv);
static int cmd_create(int argc, char **argv);
static int cmd_list(int argc, char **argv);
static int cmd_revoke(int argc, char **argv);

static const struct cli_command command_create = {
	.name = "create",
	.help = "make a token, and print it: it is shown this once",
	.options = create_options,
	.more = client_where_options,
	.doc = "Prints the token alone. The collector keeps its hash. It ends by itself when its time has passed.",
	.examples = "weir-collector token create --role viewer --for 30d --name grafana\n"
		    "weir-collector token create --role breaker --for 366d --name red-button\n",
	.run = cmd_create,
};

static const struct cli_command command_list = {
	.name = "list",
	.help = "tokens that are good",
	.options = other_options,
	.more = client_where_options,
	.examples = "weir-collector token list\n",
	.run = cmd_list,
};

static const struct cli_command command_revoke = {
	.name = "revoke",
	.help = "end a token at once",
	.operands = "NAME",
	.options = other_options,
	.more = client_where_options,
	.examples = "weir-collector token revoke grafana\n",
	.run = cmd_revoke,
};

static const struct cli_command *const commands[] = {&command_create, &command_list,
						     &command_revoke, NULL};

const struct cli_command collector_command_token = {
	.name = "token",
	.help = "who may use the REST interface: create, list, revoke",
	.sub = commands,
	.run = cmd_token,
};

static int cmd_token(int argc, char **argv)
{
	return cli_run(&collector_command_token, argc, argv);
}

static int begin(struct talk_call *k, const struct cli_command *cmd, int argc, char **argv)
{
	static const struct talk_word words[] = {{OPT_ROLE, "role", 0},
						 {OPT_FOR, "for", 0},
						 {OPT_NAME, "name", 0},
						 {OPT_CAPTURE, "capture", 0},
						 {}};

	*k = (struct talk_call){.c = {.argc = argc, .argv = argv}};
	return talk_begin(k, cmd, "tokens", words);
}

static void show_made(struct talk_call *k, const json_t *o)
{
	char until[20];

	(void)k;
	puts(talk_text(o, "token"));
	fprintf(stderr,
		"weir-collector: token '%s', role %s, good until %s; undo: weir-collector token "
		"revoke %s\n",
		talk_text(o, "name"), talk_text(o, "role"), talk_time(o, "until", until),
		talk_text(o, "name"));
}

static int cmd_create(int argc, char **argv)
{
	static struct talk_call k;
	const int rc = begin(&k, &command_create, argc, argv);
	const char *missing;

	if (rc >= 0)
		return rc;
	missing = !json_object_get(k.request, "role")  ? "--role ROLE"
		  : !json_object_get(k.request, "for") ? "--for TIME"
						       : NULL;
	if (!missing)
		return talk_run(&k, show_made);
	json_decref(k.request);
	return cli_error(&k.c, "give %s", missing);
}

static void list_head(void)
{
	printf("%-32s %-9s %-19s %-19s %s\n", "NAME", "ROLE", "UNTIL", "USED", "MADE BY");
}

static void show_listed(struct talk_call *k, const json_t *o)
{
	char until[20], used[20];

	if (!k->lines)
		list_head();
	printf("%-32s %-9s %-19s %-19s %s%s\n", talk_text(o, "name"), talk_text(o, "role"),
	       talk_time(o, "until", until), talk_time(o, "used", used), talk_text(o, "by"),
	       json_is_true(json_object_get(o, "capture")) ? ", reads captures" : "");
}

static int cmd_list(int argc, char **argv)
{
	static struct talk_call k;
	int rc = begin(&k, &command_list, argc, argv);

	if (rc >= 0)
		return rc;
	rc = talk_run(&k, show_listed);
	if (!rc && !k.json && !k.lines) {
		list_head();
		puts("(none)");
	}
	return rc;
}

static void show_revoked(struct talk_call *k, const json_t *o)
{
	(void)k;
	printf("token %s is good no more\n", talk_text(o, "name"));
}

static int cmd_revoke(int argc, char **argv)
{
	static struct talk_call k;
	const int rc = begin(&k, &command_revoke, argc, argv);

	return rc >= 0 ? rc : talk_run(&k, show_revoked);
}
