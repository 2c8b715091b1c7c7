/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_rules.h - what the commands about rules have in common: files of rules, and what the lists and
 * parameters in them stand for here. One thread.
 */
#ifndef WEIR_COLLECTOR_CMD_RULES_H
#define WEIR_COLLECTOR_CMD_RULES_H

#include "collector/command.h"
#include "collector/endpoint/client.h"
#include "collector/query/spec.h"
#include "collector/rules/rule_files.h"

#define RULES_PATHS_MAX 256u
#define RULES_NAMED_MAX 64u

enum {
	RULES_LIST = 1,
	RULES_PARAM,
	RULES_OUTPUT,
	RULES_FLOWS,
	RULES_WRITE,
	RULES_QUIET,
	RULES_LAST,
	RULES_FROM,
	RULES_TO,
	RULES_TOP,
	RULES_RULE,
};

#define RULES_SITE_OPTIONS                                                                    \
	{RULES_LIST,                                                                          \
	 0,                                                                                   \
	 "list",                                                                              \
	 "NAME=VALUES",                                                                       \
	 NULL,                                                                                \
	 NULL,                                                                                \
	 "what @NAME stands for: addresses and networks with commas, or @FILE"},              \
	{                                                                                     \
		RULES_PARAM, 0, "param", "RULE.NAME=VALUE", NULL, NULL, "a parameter's value" \
	}

/* A command line. */
struct rules_call {
	struct cli c;
	struct site site;
	const char *paths[RULES_PATHS_MAX];
	uint32_t n;
	const char *format, *flows, *write;
	bool quiet;
	/* of backtest, and of explain */
	struct client_at at;
	struct spec spec;
	const char *last;
	bool from_given;
	const char *rules[RULES_NAMED_MAX]; /* of them these alone */
	uint32_t n_rules;
};

/* Return: -1: go on; else the exit status, all was said. */
int rules_begin(struct rules_call *k, const struct cli_command *cmd, int argc, char **argv);

/* All files of the call into a set. Return: 0, or the exit status; said. */
int rules_need_all(struct rules_call *k, struct rule_files *f);

/* To standard error. Return: how many there are. */
uint32_t rules_print_errors(const struct rule_files *f);
int rules_no_memory(void);

/* Gives everything back. Return: @rc. */
int rules_finish(struct rules_call *k, struct rule_files *f, int rc);

/* cmd_backtest.c: an option about times and stores. Return: 0, or the exit status; said. */
int rules_take_time(struct rules_call *k, int id);

extern const struct cli_command rules_command_backtest, rules_command_diff, rules_command_explain;

/* cmd_modes.c */
extern const struct cli_command rules_command_mode, rules_command_promote, rules_command_demote;

#endif
