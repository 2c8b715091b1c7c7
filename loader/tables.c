// SPDX-License-Identifier: Apache-2.0
/*
 * tables.c - the commands of weir that are made of its tables: config, completion, and the hidden
 * ones for man pages and tests.
 */
#include "common/commands.h"
#include "loader/command.h"
#include "loader/export/sink.h"
#include "loader/settings.h"

static int cmd_config(int argc, char **argv);
static int cmd_show(int argc, char **argv);
static int cmd_check(int argc, char **argv);
static int cmd_completion(int argc, char **argv);
static int cmd_complete(int argc, char **argv);
static int cmd_reference(int argc, char **argv);
static int cmd_check_line(int argc, char **argv);

/* ---- what the man pages want to know of exports ---- */

static void man_exports(void)
{
	for (size_t i = 0; i < export_keys_n; i++) {
		const struct export_key *k = &export_keys[i];

		fputc('*', stdout);
		for (const char *s = k->name; *s; s++)
			putchar(*s == '_' ? '-' : *s);
		fputs("*\n\t", stdout);
		reference_put_sentence(k->doc);
		if (*k->fallback) {
			fputs(" Default: ", stdout);
			reference_put(k->fallback);
			putchar('.');
		}
		puts("\n");
	}
}

static void man_mirror(const char *name, const char *fallback, const char *doc)
{
	printf("*%s*\n\t", name);
	reference_put_sentence(doc);
	if (*fallback) {
		fputs(" Default: ", stdout);
		reference_put(fallback);
		putchar('.');
	}
	puts("\n");
}

static void man_mirrors(void)
{
	settings_mirror_keys(false, man_mirror);
}

static void man_targets(void)
{
	settings_mirror_keys(true, man_mirror);
}

static const struct reference_part parts[] = {
	{"exports", man_exports}, {"mirrors", man_mirrors}, {"targets", man_targets}, {}};

static const struct program weir = {
	.name = "weir",
	.top = &command_weir,
	.settings = &weir_settings,
	.parts = parts,
	.conf_head =
		"# weir.conf - what weir run does; weir.conf(5) says more, 'weir config check' checks it.\n"
		"# Lines here are the defaults. systemctl reload weir takes changes over.",
	.conf_tail =
		"\n[labels]\n# Labels of this node, in every record.\n#site = north\n"
		"\n# What is said for some interfaces; without run.interfaces these are watched.\n"
		"#[interface eth*]\n#role = uplink\n"
		"\n# Where flow records go; several at once.\n"
		"#[export collector]\n#type = ipfix-tcp\n#host = 192.0.2.10\n"
		"#[export file]\n#type = file\n#path = /var/log/weir/flows.ndjson\n"
		"#rotate-bytes = 100M\n#gzip = yes\n"
		"\n# Copies of packets that go to another machine, see weir-mirror(8).\n"
		"#[mirror-filter web]\n#ingress.100 = accept proto tcp and dst port 443\n"
		"#[mirror 1]\n#filter = web\n#to = vxlan:192.0.2.10,vni=7\n"
		"# Where rules may have packets mirrored to, by name.\n"
		"#[mirror-target suspects]\n#to = vxlan:192.0.2.10,vni=8",
};

/* ---- config ---- */

static const struct cli_option no_options[] = {{}};

static const struct cli_command command_show = {
	.name = "show",
	.help = "print the settings that 'weir run' would work with",
	.doc = "Takes the options of 'weir run', except that -o is this command's own. A flag beats the environment, which beats the "
	       "configuration file, which beats the default.",
	.options = config_show_options,
	.more = settings_options,
	.examples = "weir config show --origin\n"
		    "weir config show --config weir.conf --flows 1M --origin\n",
	.run = cmd_show,
};

static const struct cli_command command_check = {
	.name = "check",
	.help = "check a configuration file",
	.doc = "Prints every error as FILE:LINE:COLUMN: TEXT and exits with 1 if there is one.",
	.operands = "[FILE]",
	.words = CLI_FILE,
	.options = no_options,
	.examples = "weir config check /etc/weir/weir.conf\n",
	.run = cmd_check,
};

static const struct cli_command *const commands[] = {&command_show, &command_check, NULL};

const struct cli_command command_config = {
	.name = "config",
	.help = "show the settings that hold, or check a configuration file",
	.sub = commands,
	.run = cmd_config,
};

static int cmd_show(int argc, char **argv)
{
	struct cli c = {.cmd = &command_show, .argc = argc, .argv = argv, .path = "config"};

	return config_show(&weir, &c);
}

static int cmd_check(int argc, char **argv)
{
	struct cli c = {.cmd = &command_check, .argc = argc, .argv = argv, .path = "config"};

	return config_check(&weir, &c);
}

static int cmd_config(int argc, char **argv)
{
	return cli_run(&command_config, argc, argv);
}

/* ---- completion ---- */

const struct cli_command command_completion = {
	.name = "completion",
	.help = "print a script that completes weir's words in a shell",
	.operands = COMPLETION_SHELLS,
	.words = COMPLETION_SHELLS,
	.options = no_options,
	.doc = "The script asks weir itself for the words: commands, options, their values, interfaces.",
	.examples = "weir completion bash > /usr/share/bash-completion/completions/weir\n"
		    "weir completion zsh > /usr/share/zsh/vendor-completions/_weir\n"
		    "weir completion fish > /usr/share/fish/vendor_completions.d/weir.fish\n",
	.run = cmd_completion,
};

static int cmd_completion(int argc, char **argv)
{
	struct cli c = {.cmd = &command_completion, .argc = argc, .argv = argv};

	return completion_print(&weir, &c);
}

/* ---- hidden ---- */

const struct cli_command command_complete = {
	.name = "__complete",
	.run = cmd_complete,
	.hidden = true,
};

const struct cli_command command_reference = {
	.name = "__reference",
	.run = cmd_reference,
	.hidden = true,
};

const struct cli_command command_check_line = {
	.name = "__check",
	.run = cmd_check_line,
	.hidden = true,
};

static int cmd_complete(int argc, char **argv)
{
	return completion_words(&weir, argc, argv);
}

static int cmd_reference(int argc, char **argv)
{
	return reference_print(&weir, argc, argv);
}

static int cmd_check_line(int argc, char **argv)
{
	return reference_check_line(&weir, argc, argv);
}
