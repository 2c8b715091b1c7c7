// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_pack.c - `weir-collector pack`: packs of rules are made, put in and taken away. The packs' directory is
 * changed by this process; a collector that runs is told.
 */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/command.h"
#include "collector/packs/packs.h"
#include "collector/talk.h"

enum { OPT_KEY = 1, OPT_UNSIGNED, OPT_DOWNGRADE, OPT_ACCEPT };

static const struct cli_option sign_options[] = {
	{OPT_KEY, 'k', "key", "FILE", CLI_FILE, NULL,
	 "private key, PEM, as 'weir policy keygen' makes it; required"},
	{},
};

#define UNSIGNED_OPTION                                                                           \
	{                                                                                         \
		OPT_UNSIGNED, 0, "unsigned", NULL, NULL, NULL,                                    \
			"also when nobody that is trusted here has signed it; it is tainted then" \
	}

static const struct cli_option install_options[] = {UNSIGNED_OPTION, TALK_OUTPUT_OPTION, {}};

static const struct cli_option update_options[] = {
	UNSIGNED_OPTION,
	{OPT_DOWNGRADE, 0, "downgrade", NULL, NULL, NULL,
	 "also to an older version, or to another pack with the same number"},
	TALK_OUTPUT_OPTION,
	{},
};

static const struct cli_option refresh_options[] = {
	{OPT_ACCEPT, 0, "accept", NULL, NULL, NULL,
	 "also when more than half of what the list has is gone from it"},
	TALK_OUTPUT_OPTION,
	{},
};

static const struct cli_option other_options[] = {TALK_OUTPUT_OPTION, {}};

static int cmd_pack(int argc, char **argv);
static int cmd_check(int argc, char **argv);
static int cmd_sign(int argc, char **argv);
static int cmd_install(int argc, char **argv);
static int cmd_update(int argc, char **argv);
static int cmd_remove(int argc, char **argv);
static int cmd_list(int argc, char **argv);
static int cmd_show(int argc, char **argv);
static int cmd_feeds(int argc, char **argv);
static int cmd_refresh(int argc, char **argv);

static const struct cli_command command_check = {
	.name = "check",
	.help = "is a pack right, and do its tests pass?",
	.operands = "PACK",
	.words = CLI_FILE,
	.options = other_options,
	.more = client_where_options,
	.doc = "PACK is a directory or a tar.gz. Nothing is installed.",
	.examples = "weir-collector pack check my-pack\n",
	.run = cmd_check,
};

static const struct cli_command command_sign = {
	.name = "sign",
	.help = "write the manifest of a pack, signed",
	.operands = "DIR",
	.words = CLI_DIR,
	.options = sign_options,
	.doc = "Every file of the pack and its hash stand in the manifest: what is changed later shows.",
	.examples = "weir-collector pack sign --key private.pem my-pack\n",
	.run = cmd_sign,
};

static const struct cli_command command_install = {
	.name = "install",
	.help = "put in a pack that is not there yet",
	.operands = "PACK",
	.words = CLI_FILE,
	.options = install_options,
	.more = client_where_options,
	.doc = "PACK is a directory or a tar.gz. Its tests are run first. Its rules detect, and do nothing until "
	       "[rule NAME] of the configuration says more. A collector that runs has them at once.",
	.examples = "weir-collector pack install my-pack-1.2.0.tar.gz\n",
	.run = cmd_install,
};

static const struct cli_command command_update = {
	.name = "update",
	.help = "put a newer version in the place of a pack",
	.operands = "PACK",
	.words = CLI_FILE,
	.options = update_options,
	.more = client_where_options,
	.doc = "What the configuration says of its rules stays: an update raises no rule's mode.",
	.examples = "weir-collector pack update my-pack-1.3.0.tar.gz\n",
	.run = cmd_update,
};

static const struct cli_command command_remove = {
	.name = "remove",
	.help = "take a pack away, and the decisions of its rules with it",
	.operands = "NAME",
	.options = other_options,
	.more = client_where_options,
	.examples = "weir-collector pack remove my-pack\n",
	.run = cmd_remove,
};

static const struct cli_command command_list = {
	.name = "list",
	.help = "packs that are installed",
	.options = other_options,
	.more = client_where_options,
	.doc = "! marks a pack that is tainted: nobody that is trusted here has signed it as it is on the disk now.",
	.examples = "weir-collector pack list\n"
		    "weir-collector pack list -o json | jq 'select(.tainted)'\n",
	.run = cmd_list,
};

static const struct cli_command command_show = {
	.name = "show",
	.help = "everything about a pack",
	.operands = "NAME",
	.options = other_options,
	.more = client_where_options,
	.examples = "weir-collector pack show my-pack\n",
	.run = cmd_show,
};

static const struct cli_command command_feeds = {
	.name = "feeds",
	.help = "lists that come from elsewhere, and how that went",
	.options = other_options,
	.more = client_where_options,
	.doc = "Of packs and of [list NAME]. ! marks a list whose feed is bad: it keeps what it had.",
	.examples = "weir-collector pack feeds\n",
	.run = cmd_feeds,
};

static const struct cli_command command_refresh = {
	.name = "refresh",
	.help = "fetch a list now",
	.operands = "LIST",
	.options = refresh_options,
	.more = client_where_options,
	.examples = "weir-collector pack refresh intel_addresses\n",
	.run = cmd_refresh,
};

static const struct cli_command *const commands[] = {
	&command_check, &command_sign, &command_install, &command_update,  &command_remove,
	&command_list,	&command_show, &command_feeds,	 &command_refresh, NULL};

const struct cli_command collector_command_pack = {
	.name = "pack",
	.help = "packs of rules: check, sign, install, update, remove, list, show, feeds, refresh",
	.sub = commands,
	.run = cmd_pack,
};

static int cmd_pack(int argc, char **argv)
{
	return cli_run(&collector_command_pack, argc, argv);
}

/* ---- words ---- */

struct call {
	struct cli c;
	struct client_at at;
	struct settings *settings;
	const char *what; /* the operand */
	const char *key;
	struct packs_change change;
	bool accept;
	char actor[64], said[PACKS_SAID];
	bool json;
};

static int take(struct call *k, int id)
{
	if (id == OPT_KEY)
		k->key = k->c.arg;
	else if (id == OPT_UNSIGNED)
		k->change.unsigned_too = true;
	else if (id == OPT_DOWNGRADE)
		k->change.downgrade = true;
	else if (id == OPT_ACCEPT)
		k->accept = true;
	else if (id == TALK_OUTPUT)
		k->json = !strcmp(k->c.arg, "json");
	else if (id == CLI_OPERAND && k->what)
		return cli_error(&k->c, "one at a time");
	else if (id == CLI_OPERAND)
		k->what = k->c.arg;
	else
		(void)client_where_option(&k->at, id, k->c.arg);
	return 0;
}

/* Return: -1: go on; else the exit status, said. */
static int begin(struct call *k, const struct cli_command *cmd, int argc, char **argv)
{
	const struct passwd *pw = getpwuid(getuid());
	int id, rc;

	*k = (struct call){.c = {.cmd = cmd, .argc = argc, .argv = argv, .path = "pack"}};
	while ((id = cli_next(&k->c)) != CLI_END) {
		if (id == CLI_STOP)
			return k->c.status;
		rc = take(k, id);
		if (rc)
			return rc;
	}
	if (cmd->operands && !k->what)
		return cli_error(&k->c, "which one?");
	rc = client_settings(&k->at, &k->settings);
	if (rc)
		return rc;
	snprintf(k->actor, sizeof(k->actor), "uid=%u (%.32s)", (unsigned int)getuid(),
		 pw ? pw->pw_name : "?");
	k->change.settings = k->settings;
	k->change.actor = k->actor;
	return -1;
}

static int finish(struct call *k, int rc)
{
	settings_free(k->settings);
	return rc;
}

static int status_of(int r)
{
	return r == -EACCES || r == -EPERM ? EXIT_PERM : EXIT_FAILED;
}

/* Every line of it. */
static int failed(struct call *k, int r)
{
	for (const char *line = k->said; *line;) {
		const size_t len = strcspn(line, "\n");

		fprintf(stderr, "weir-collector: %.*s\n", (int)len, line);
		line += len + (line[len] == '\n');
	}
	if (!*k->said)
		fputs("weir-collector: out of memory\n", stderr);
	return finish(k, status_of(r));
}

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

/* ---- the collector that runs ---- */

static void ignore(void *arg, const json_t *o)
{
	(void)arg;
	(void)o;
}

/* The change is made, whatever it says. */
static int tell(struct call *k)
{
	struct client *c;

	if (k->at.store)
		return EXIT_OK;
	if (client_connect(&k->at, &c))
		return EXIT_PARTLY; /* said */
	if (!c)
		return EXIT_OK; /* none runs here: it finds the pack when it starts */
	client_free(c);
	return talk(&k->at, json_pack("{s:s,s:s}", "command", "packs", "what", "reload"), ignore,
		    NULL)
		       ? EXIT_PARTLY
		       : EXIT_OK;
}

static int done(struct call *k, json_t *o)
{
	if (k->json && o)
		talk_json(o);
	else if (!k->json)
		printf("%s\n", k->said);
	json_decref(o);
	return finish(k, tell(k));
}

static int put(struct call *k, const struct cli_command *cmd, int argc, char **argv)
{
	json_t *o = NULL;
	int r = begin(k, cmd, argc, argv);

	if (r >= 0)
		return r;
	k->change.path = k->what;
	k->change.update = cmd == &command_update;
	r = packs_put(&k->change, k->said, &o);
	return r ? failed(k, r) : done(k, o);
}

static int cmd_install(int argc, char **argv)
{
	static struct call k;

	return put(&k, &command_install, argc, argv);
}

static int cmd_update(int argc, char **argv)
{
	static struct call k;

	return put(&k, &command_update, argc, argv);
}

static int cmd_remove(int argc, char **argv)
{
	static struct call k;
	int r = begin(&k, &command_remove, argc, argv);

	if (r >= 0)
		return r;
	k.change.name = k.what;
	r = packs_remove(&k.change, k.said);
	return r ? failed(&k, r) : done(&k, NULL);
}

/* ---- looking ---- */

static void print_row(const json_t *o)
{
	printf("%c %-24s %-10s %-12s %5zu  %s\n",
	       json_is_true(json_object_get(o, "tainted")) ? '!' : ' ', text(o, "name"),
	       text(o, "version"), text(o, "state"), json_array_size(json_object_get(o, "rules")),
	       text(o, "title"));
}

static int cmd_list(int argc, char **argv)
{
	static struct call k;
	int rc = begin(&k, &command_list, argc, argv);
	json_t *list, *o;
	size_t i;

	if (rc >= 0)
		return rc;
	list = packs_list(k.settings, k.said);
	if (!list)
		return failed(&k, -EINVAL);
	if (!k.json)
		printf("  %-24s %-10s %-12s %5s  %s\n", "PACK", "VERSION", "STATE", "RULES",
		       "TITLE");
	json_array_foreach(list, i, o) if (k.json) talk_json(o);
	else print_row(o);
	json_decref(list);
	return finish(&k, EXIT_OK);
}

static void print_rules(const json_t *list)
{
	json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
		printf("  %-28s %-8s %s  %-8s %s\n", text(o, "name"), text(o, "version"),
		       text(o, "class"), text(o, "mode"), text(o, "title"));
}

static void print_pack(const json_t *o)
{
	static const char *const keys[] = {"title",  "description", "author", "licence",
					   "engine", "state",	    "why",    "key"};
	json_t *list = json_object_get(o, "lists"), *l;
	size_t i;

	printf("%s %s\n", text(o, "name"), text(o, "version"));
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		talk_field(keys[i], text(o, keys[i]));
	if (json_array_size(json_object_get(o, "rules")))
		puts("\nRULES");
	print_rules(json_object_get(o, "rules"));
	list = json_object_get(o, "params");
	if (json_array_size(list))
		puts("\nPARAMETERS");
	json_array_foreach(list, i, l)
		printf("  %-28s %-8s %s\n", text(l, "name"), text(l, "value"), text(l, "doc"));
	list = json_object_get(o, "lists");
	if (json_array_size(list))
		puts("\nLISTS");
	json_array_foreach(list, i, l)
		printf("  %-28s %-10s %s%s%s\n", text(l, "name"), text(l, "type"),
		       text(l, "description"), *text(l, "feed") ? "  from " : "", text(l, "feed"));
}

static int cmd_show(int argc, char **argv)
{
	static struct call k;
	int rc = begin(&k, &command_show, argc, argv);
	json_t *o;

	if (rc >= 0)
		return rc;
	o = packs_show(k.settings, k.what, k.said);
	if (!o)
		return failed(&k, -ENOENT);
	if (k.json)
		talk_json(o);
	else
		print_pack(o);
	json_decref(o);
	return finish(&k, EXIT_OK);
}

/* ---- feeds ---- */

static void show_feed(void *arg, const json_t *o)
{
	const struct call *k = arg;
	char good[20];

	if (k->json)
		talk_json(o);
	else
		printf("%c %-20s %8lld  %-10s %-19s  %s%s%s\n", *text(o, "why") ? '!' : ' ',
		       text(o, "list"), (long long)talk_number(o, "values"), text(o, "state"),
		       talk_time(o, "good", good), text(o, "source"), *text(o, "why") ? ": " : "",
		       text(o, "why"));
}

static int cmd_feeds(int argc, char **argv)
{
	static struct call k;
	int rc = begin(&k, &command_feeds, argc, argv);

	if (rc >= 0)
		return rc;
	if (!k.json)
		printf("  %-20s %8s  %-10s %-19s  %s\n", "LIST", "VALUES", "STATE", "GOOD", "FROM");
	return finish(&k, talk(&k.at, json_pack("{s:s,s:s}", "command", "packs", "what", "feeds"),
			       show_feed, &k));
}

static int cmd_refresh(int argc, char **argv)
{
	static struct call k;
	int rc = begin(&k, &command_refresh, argc, argv);

	if (rc >= 0)
		return rc;
	return finish(&k, talk(&k.at,
			       json_pack("{s:s,s:s,s:s,s:b}", "command", "packs", "what", "refresh",
					 "name", k.what, "accept", k.accept),
			       ignore, NULL));
}

/* ---- making ---- */

static void print_check(const json_t *o)
{
	json_t *tests = json_object_get(o, "tests"), *t, *errors = json_object_get(o, "errors");
	size_t i;

	json_array_foreach(errors, i, t) fprintf(stderr, "%s\n", json_string_value(t));
	json_array_foreach(json_object_get(tests, "list"), i,
			   t) if (!json_is_true(json_object_get(t, "passed")))
		printf("FAIL  %s (%s:%lld)\n      %s\n", text(t, "test"), text(t, "file"),
		       (long long)talk_number(t, "line"), text(t, "why"));
	printf("%s %s: %lld rules, %zu errors, %lld tests passed, %lld failed, %s%s%s\n",
	       text(o, "name"), text(o, "version"), (long long)talk_number(o, "rules"),
	       json_array_size(errors), (long long)talk_number(tests, "passed"),
	       (long long)talk_number(tests, "failed"), text(o, "state"),
	       *text(o, "why") ? ": " : "", text(o, "why"));
}

static int cmd_check(int argc, char **argv)
{
	static struct call k;
	int rc = begin(&k, &command_check, argc, argv);
	json_t *o;

	if (rc >= 0)
		return rc;
	o = packs_check(k.settings, k.what);
	if (!o)
		return failed(&k, -ENOMEM);
	if (k.json)
		talk_json(o);
	else
		print_check(o);
	rc = json_is_true(json_object_get(o, "ok")) ? EXIT_OK : EXIT_FAILED;
	json_decref(o);
	return finish(&k, rc);
}

static int cmd_sign(int argc, char **argv)
{
	static struct call k;
	int r = begin(&k, &command_sign, argc, argv);

	if (r >= 0)
		return r;
	if (!k.key)
		return finish(&k, cli_error(&k.c, "--key: which key?"));
	r = packs_sign(k.what, k.key, k.said);
	if (r)
		return failed(&k, r);
	printf("%s\n", k.said);
	return finish(&k, EXIT_OK);
}
