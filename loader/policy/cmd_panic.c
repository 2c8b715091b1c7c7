// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_panic.c - `weir panic`: stop enforcing at once and go on observing; and `weir flush`: forget rules.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "loader/policy/client.h"

enum { OPT_OFF = 1, OPT_DRY_RUN };

static int cmd_panic(int argc, char **argv);
static int cmd_flush(int argc, char **argv);

static const struct cli_option panic_options[] = {
	{OPT_OFF, 0, "off", NULL, NULL, NULL, "enforce again, also after the breaker has acted"},
	{},
};

const struct cli_command command_panic = {
	.name = "panic",
	.help = "stop enforcing at once, and go on observing; rules stay",
	.options = panic_options,
	.more = client_options,
	.examples = "weir panic\n"
		    "weir panic --off\n",
	.run = cmd_panic,
};

static const struct cli_option flush_options[] = {
	{OPT_DRY_RUN, 0, "dry-run", NULL, NULL, NULL, "say how many rules would go"},
	{},
};

const struct cli_command command_flush = {
	.name = "flush",
	.help = "take away all rules, or those of one issuer",
	.operands = "[ISSUER]",
	.doc = "What is done by hand is of issuer local. Guards stay: what is never blocked.",
	.options = flush_options,
	.more = client_options,
	.examples = "weir flush local\n"
		    "weir flush --dry-run\n",
	.run = cmd_flush,
};

static double ms_since(const struct timespec *from)
{
	struct timespec to;

	clock_gettime(CLOCK_MONOTONIC, &to);
	return (double)(to.tv_sec - from->tv_sec) * 1e3 +
	       (double)(to.tv_nsec - from->tv_nsec) / 1e6;
}

static int cmd_panic(int argc, char **argv)
{
	struct cli c = {.cmd = &command_panic, .argc = argc, .argv = argv};
	struct client_where where = {};
	struct policy_request q;
	struct policy_result r;
	struct timespec from;
	bool off = false;
	int id, rc;

	clock_gettime(CLOCK_MONOTONIC, &from);
	while ((id = cli_next(&c)) > 0) {
		if (id == OPT_OFF)
			off = true;
		else
			client_option(&where, id, c.arg);
	}
	if (id == CLI_STOP)
		return c.status;
	if (id == CLI_OPERAND)
		return cli_error(&c, "'%s': what for?", c.arg);
	policy_request_init(&q, off ? ASK_RESUME : ASK_PANIC);
	rc = policy_ask(&where, &q, NULL, 0, &r);
	if (rc)
		return rc;
	if (off)
		printf("enforcing again: %u rules, %u decisions\n", r.reply.rules,
		       r.reply.decisions);
	else
		printf("stopped after %.2f ms: nothing is blocked, everything is observed; %u rules "
		       "stay\nundo: weir panic --off\n",
		       ms_since(&from), r.reply.rules);
	policy_result_done(&r);
	return EXIT_OK;
}

static int cmd_flush(int argc, char **argv)
{
	struct cli c = {.cmd = &command_flush, .argc = argc, .argv = argv};
	struct client_where where = {};
	struct policy_request q;
	struct policy_result r;
	int id, rc;

	policy_request_init(&q, ASK_FLUSH);
	while ((id = cli_next(&c)) > 0 || id == CLI_OPERAND) {
		if (id == OPT_DRY_RUN)
			q.flags |= REQUEST_DRY;
		else if (id == CLI_OPERAND && strlen(c.arg) < sizeof(q.issuer))
			memcpy(q.issuer, c.arg, strlen(c.arg));
		else if (id == CLI_OPERAND)
			return cli_error(&c, "'%s' is no issuer", c.arg);
		else
			client_option(&where, id, c.arg);
	}
	if (id == CLI_STOP)
		return c.status;
	rc = policy_ask(&where, &q, NULL, 0, &r);
	if (rc)
		return rc;
	printf("%s %u rules; undo: weir policy rollback%s%s\n",
	       q.flags & REQUEST_DRY ? "would take away" : "took away", r.reply.removed,
	       q.issuer[0] ? " " : "", (const char *)q.issuer);
	policy_result_done(&r);
	return EXIT_OK;
}
