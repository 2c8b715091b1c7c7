// SPDX-License-Identifier: Apache-2.0
/*
 * tables.c - the commands of weir-collector that are made of its tables: config, completion, and the hidden
 * ones for man pages and tests.
 */
#include "collector/api/api.h"
#include "collector/command.h"
#include "collector/control/promote.h"
#include "collector/notify/channel.h"
#include "collector/packs/feed.h"
#include "collector/rules/explain.h"
#include "collector/settings.h"

static int cmd_config(int argc, char **argv);
static int cmd_show(int argc, char **argv);
static int cmd_check(int argc, char **argv);
static int cmd_completion(int argc, char **argv);
static int cmd_complete(int argc, char **argv);
static int cmd_reference(int argc, char **argv);
static int cmd_check_line(int argc, char **argv);

/* Why an alert becomes no decision; for weir-collector-decisions(8). */
static void put_gates(void)
{
	static const struct {
		const char *name, *doc;
	} gates[] = {
#define GATE(id, name, doc) {name, doc},
#include "collector/control/gates.def"
#undef GATE
	};

	for (size_t i = 0; i < sizeof(gates) / sizeof(gates[0]); i++) {
		printf("_%s_\n\t", gates[i].name);
		reference_put_sentence(gates[i].doc);
		puts("\n");
	}
}

/* What a rule's next mode asks for; for weir-collector-rules(8). */
static void put_conditions(void)
{
	for (unsigned int i = 0; i < _PROMOTE_MAX; i++) {
		const struct promote_row *r = &promote_rows[i];

		printf("_%s_", r->name);
		for (unsigned int m = 0; m < RM_PREVENT; m++)
			if (r->modes >> m & 1)
				printf("%s*%s*", r->modes & ((1u << m) - 1) ? ", " : " (in ",
				       rule_word(RO_RULE, "mode", m));
		puts(")");
		putchar('\t');
		reference_put_sentence(r->doc);
		puts("\n");
	}
}

/* How it stands with a node; for weir-collector-nodes(8). */
static void put_states(void)
{
	static const struct {
		const char *name, *doc;
	} states[] = {
#define NODE_STATE(id, word, said, doc) {word, doc},
#include "common/node_state.def"
#undef NODE_STATE
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		printf("_%s_\n\t", states[i].name);
		reference_put_sentence(states[i].doc);
		puts("\n");
	}
}

static const struct reference_part parts[] = {
	{"rule-keys", explain_reference},	{"pack-keys", explain_pack_reference},
	{"feed-bads", feed_reference},		{"decision-gates", put_gates},
	{"promote-conditions", put_conditions}, {"node-states", put_states},
	{"channels", channel_reference},	{"api-routes", api_reference_routes},
	{"api-roles", api_reference_roles},	{}};

static const struct program collector = {
	.name = "weir-collector",
	.top = &collector_commands,
	.settings = &collector_settings,
	.conf_head =
		"# collector.conf - what weir-collector serve does; weir-collector.conf(5) says more,\n"
		"# 'weir-collector config check' checks it. Lines here are the defaults.",
	.conf_tail = "",
	.added = true,
	.parts = parts,
};

/* ---- config ---- */

static const struct cli_option no_options[] = {{}};

static const struct cli_command command_show = {
	.name = "show",
	.help = "print the settings that 'weir-collector serve' would work with",
	.doc = "Takes the options of 'weir-collector serve', except that -o is this command's own. A flag beats the environment, which beats the "
	       "configuration file, which beats the default.",
	.options = config_show_options,
	.more = collector_options,
	.examples = "weir-collector config show --origin\n"
		    "weir-collector config show --config collector.conf --keep 30d --origin\n",
	.run = cmd_show,
};

static const struct cli_command command_check = {
	.name = "check",
	.help = "check a configuration file",
	.doc = "Prints every error as FILE:LINE:COLUMN: TEXT and exits with 1 if there is one.",
	.operands = "[FILE]",
	.words = CLI_FILE,
	.options = no_options,
	.examples = "weir-collector config check /etc/weir/collector.conf\n",
	.run = cmd_check,
};

static const struct cli_command *const commands[] = {&command_show, &command_check, NULL};

const struct cli_command collector_command_config = {
	.name = "config",
	.help = "show the settings that hold, or check a configuration file",
	.sub = commands,
	.run = cmd_config,
};

static int cmd_show(int argc, char **argv)
{
	struct cli c = {.cmd = &command_show, .argc = argc, .argv = argv, .path = "config"};

	return config_show(&collector, &c);
}

static int cmd_check(int argc, char **argv)
{
	struct cli c = {.cmd = &command_check, .argc = argc, .argv = argv, .path = "config"};

	return config_check(&collector, &c);
}

static int cmd_config(int argc, char **argv)
{
	return cli_run(&collector_command_config, argc, argv);
}

/* ---- completion ---- */

const struct cli_command collector_command_completion = {
	.name = "completion",
	.help = "print a script that completes weir-collector's words in a shell",
	.operands = COMPLETION_SHELLS,
	.words = COMPLETION_SHELLS,
	.options = no_options,
	.doc = "The script asks weir-collector itself for the words: commands, options, their values, fields.",
	.examples =
		"weir-collector completion bash > /usr/share/bash-completion/completions/weir-collector\n"
		"weir-collector completion zsh > /usr/share/zsh/vendor-completions/_weir-collector\n"
		"weir-collector completion fish > /usr/share/fish/vendor_completions.d/weir-collector.fish\n",
	.run = cmd_completion,
};

static int cmd_completion(int argc, char **argv)
{
	struct cli c = {.cmd = &collector_command_completion, .argc = argc, .argv = argv};

	return completion_print(&collector, &c);
}

/* ---- hidden ---- */

const struct cli_command collector_command_complete = {
	.name = "__complete",
	.run = cmd_complete,
	.hidden = true,
};

const struct cli_command collector_command_reference = {
	.name = "__reference",
	.run = cmd_reference,
	.hidden = true,
};

const struct cli_command collector_command_check_line = {
	.name = "__check",
	.run = cmd_check_line,
	.hidden = true,
};

static int cmd_complete(int argc, char **argv)
{
	return completion_words(&collector, argc, argv);
}

static int cmd_reference(int argc, char **argv)
{
	return reference_print(&collector, argc, argv);
}

static int cmd_check_line(int argc, char **argv)
{
	return reference_check_line(&collector, argc, argv);
}
