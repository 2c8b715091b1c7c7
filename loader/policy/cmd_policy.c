// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_policy.c - `weir policy`: whole policies, of files and of the running weir.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/scan.h"
#include "common/units.h"
#include "loader/policy/client.h"
#include "loader/policy/compile.h"

enum { OPT_OUTPUT = 1, OPT_CONFIRM, OPT_DRY_RUN, OPT_KEY };

static int cmd_show(int argc, char **argv);
static int cmd_apply(int argc, char **argv);
static int cmd_diff(int argc, char **argv);
static int cmd_rollback(int argc, char **argv);
static int cmd_confirm(int argc, char **argv);
static int cmd_policy(int argc, char **argv);

static const struct cli_option show_options[] = {
	{OPT_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "how it is written"},
	{},
};

static const struct cli_option apply_options[] = {
	{OPT_CONFIRM, 0, "confirm", "TIME", NULL, NULL,
	 "undo it after so long, unless 'weir policy confirm' comes"},
	{OPT_DRY_RUN, 0, "dry-run", NULL, NULL, NULL, "check everything, change nothing"},
	{},
};

static const struct cli_option no_options[] = {{}};

static const struct cli_command command_show = {
	.name = "show",
	.help = "every rule that holds, with what it did",
	.options = show_options,
	.more = client_options,
	.examples = "weir policy show\nweir policy show -o json\n",
	.run = cmd_show,
};

static const struct cli_command command_apply = {
	.name = "apply",
	.help = "have a policy hold instead of the one its issuer had",
	.operands = "FILE",
	.words = CLI_FILE,
	.doc = "FILE is text, see weir-policy(5), or what 'weir policy compile' or 'sign' wrote.",
	.options = apply_options,
	.more = client_options,
	.examples = "weir policy apply intel.policy\nweir policy apply new.bin --confirm 30s\n",
	.run = cmd_apply,
};

static const struct cli_command command_diff = {
	.name = "diff",
	.help = "what 'apply' of this file would change",
	.operands = "FILE",
	.words = CLI_FILE,
	.options = no_options,
	.more = client_options,
	.examples = "weir policy diff intel.policy\n",
	.run = cmd_diff,
};

static const struct cli_command command_rollback = {
	.name = "rollback",
	.help = "as it was before the last change",
	.operands = "[ISSUER]",
	.options = no_options,
	.more = client_options,
	.examples = "weir policy rollback\n",
	.run = cmd_rollback,
};

static const struct cli_command command_confirm = {
	.name = "confirm",
	.help = "keep what was changed with --confirm",
	.options = no_options,
	.more = client_options,
	.examples = "weir policy confirm\n",
	.run = cmd_confirm,
};

static const struct cli_command *const subs[] = {
	&command_show,		&command_apply,
	&command_diff,		&command_rollback,
	&command_confirm,	&command_policy_compile,
	&command_policy_sign,	&command_policy_keygen,
	&command_policy_follow, NULL,
};

const struct cli_command command_policy = {
	.name = "policy",
	.help = "policies: show, apply, compare, sign, take back",
	.sub = subs,
	.run = cmd_policy,
};

/* ---- words ---- */

struct words {
	struct client_where where;
	const char *operand;
	const char *format;
	uint64_t confirm_ns;
	bool dry_run;
};

/* Return: -1 go on, else what to return. */
static int parse(struct cli *c, struct words *w)
{
	int id;

	c->path = "policy";
	while ((id = cli_next(c)) > 0 || id == CLI_OPERAND) {
		if (id == OPT_OUTPUT)
			w->format = c->arg;
		else if (id == OPT_DRY_RUN)
			w->dry_run = true;
		else if (id == OPT_CONFIRM &&
			 scan_duration_ns(c->arg, 1000000000, UINT64_C(86400000000000),
					  &w->confirm_ns))
			return cli_error(c, "--confirm '%s': want a time such as 30s", c->arg);
		else if (id == CLI_OPERAND && (w->operand || !c->cmd->operands))
			return cli_error(c, "'%s': what for?", c->arg);
		else if (id == CLI_OPERAND)
			w->operand = c->arg;
		else if (id != OPT_CONFIRM)
			client_option(&w->where, id, c->arg);
	}
	return id == CLI_STOP ? c->status : -1;
}

/* ---- show ---- */

static void say_state(const struct policy_reply *r)
{
	char bytes[UNITS_TEXT], packets[UNITS_TEXT];

	fprintf(stderr, "%u rules of %u, %u decisions of %u; %s packets, %s stopped so far\n",
		r->rules, r->rules_max, r->decisions, r->decisions_max,
		units_grouped(r->dropped, packets), units_si(r->dropped_bytes, bytes));
	if (r->stopped)
		fputs("weir: STOPPED by 'weir panic'; 'weir panic --off' enforces again\n", stderr);
	if (r->breaker)
		fputs("weir: the BREAKER has acted, all rules only count; 'weir panic --off' enforces "
		      "them again\n",
		      stderr);
	if (r->confirm)
		fputs("weir: a change waits for 'weir policy confirm'\n", stderr);
}

static int cmd_show(int argc, char **argv)
{
	struct cli c = {.cmd = &command_show, .argc = argc, .argv = argv};
	struct words w = {.format = "table"};
	struct policy_request q;
	struct policy_result r;
	int rc = parse(&c, &w);

	if (rc >= 0)
		return rc;
	policy_request_init(&q, ASK_SHOW);
	rc = policy_ask(&w.where, &q, NULL, 0, &r);
	if (rc)
		return rc;
	if (!strcmp(w.format, "json"))
		policy_show_json(&r, stdout);
	else
		policy_show_table(&r, stdout);
	fflush(stdout);
	if (strcmp(w.format, "json") != 0)
		say_state(&r.reply);
	policy_result_done(&r);
	return EXIT_OK;
}

/* ---- apply ---- */

static int cmd_apply(int argc, char **argv)
{
	struct cli c = {.cmd = &command_apply, .argc = argc, .argv = argv};
	struct words w = {};
	struct policy_request q;
	struct policy_result r;
	uint8_t *image = NULL;
	size_t len = 0;
	int rc = parse(&c, &w);

	if (rc >= 0)
		return rc;
	if (!w.operand)
		return cli_error(&c, "which file?");
	rc = policy_load(w.operand, &image, &len);
	policy_request_init(&q, ASK_APPLY);
	q.flags = w.dry_run ? REQUEST_DRY : 0;
	q.confirm_s = (uint32_t)(w.confirm_ns / 1000000000);
	rc = rc ?: policy_ask(&w.where, &q, image, len, &r);
	if (!rc) {
		const struct policy_header *h = (const void *)image;

		printf("%s %s of %s, generation %" PRIu64 ": %u rules, %u decisions of %u in use, "
		       "%.1f ms\n",
		       w.dry_run ? "checked" : "applied", w.operand, (const char *)h->issuer,
		       (uint64_t)h->generation, h->count[POLICY_RULE], r.reply.decisions,
		       r.reply.decisions_max, (double)r.reply.took_ns / 1e6);
		if (q.confirm_s)
			printf("undone in %u s, unless 'weir policy confirm' comes\n", q.confirm_s);
		if (!w.dry_run)
			printf("undo: weir policy rollback %s\n", (const char *)h->issuer);
		policy_result_done(&r);
	}
	free(image);
	return rc;
}

/* ---- diff ---- */

static bool is_in(const struct policy_rule *rules, uint32_t n, const uint8_t id[16])
{
	for (uint32_t i = 0; i < n; i++)
		if (!memcmp(rules[i].id, id, 16))
			return true;
	return false;
}

/* By id: rules that would come, and rules that would go. Return: how many. */
static unsigned int put_diff(const struct policy *p, const struct policy_result *r)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < p->n_rules; i++) {
		bool known = false;

		for (uint32_t k = 0; k < r->reply.n && !known; k++)
			known = !memcmp(r->shown[k].rule.id, p->rules[i].id, 16) &&
				!strcmp((const char *)r->shown[k].issuer,
					(const char *)p->head->issuer);
		if (known)
			continue;
		printf("+ %s ", policy_action_word(p->rules[i].action));
		policy_print_rule(stdout, p, &p->rules[i]);
		putchar('\n');
		n++;
	}
	for (uint32_t k = 0; k < r->reply.n; k++) {
		const struct policy_shown *s = &r->shown[k];

		if (strcmp((const char *)s->issuer, (const char *)p->head->issuer) != 0 ||
		    is_in(p->rules, p->n_rules, s->rule.id))
			continue;
		printf("- %s %s\n", policy_action_word(s->rule.action), (const char *)s->rule.name);
		n++;
	}
	return n;
}

static int cmd_diff(int argc, char **argv)
{
	const struct policy_bounds bounds = {.now = (uint64_t)time(NULL),
					     .expires_max = UINT64_MAX};
	struct cli c = {.cmd = &command_diff, .argc = argc, .argv = argv};
	struct words w = {};
	struct policy_error err;
	struct policy_request q;
	struct policy_result r;
	struct policy p;
	uint8_t *image = NULL;
	size_t len;
	int rc = parse(&c, &w);

	if (rc >= 0)
		return rc;
	if (!w.operand)
		return cli_error(&c, "which file?");
	rc = policy_load(w.operand, &image, &len);
	if (!rc && policy_check(image, len, &bounds, &p, &err)) {
		fprintf(stderr, "weir: %s: %s\n", w.operand, err.text);
		rc = EXIT_FAILED;
	}
	policy_request_init(&q, ASK_SHOW);
	rc = rc ?: policy_ask(&w.where, &q, NULL, 0, &r);
	if (!rc) {
		if (!put_diff(&p, &r))
			puts("the same rules");
		policy_result_done(&r);
	}
	free(image);
	return rc;
}

/* ---- back, and confirm ---- */

static int simple(struct cli *c, enum policy_ask ask, const char *done)
{
	struct words w = {};
	struct policy_request q;
	struct policy_result r;
	int rc = parse(c, &w);

	if (rc >= 0)
		return rc;
	policy_request_init(&q, ask);
	if (w.operand && strlen(w.operand) >= sizeof(q.issuer))
		return cli_error(c, "'%s' is no issuer", w.operand);
	if (w.operand)
		memcpy(q.issuer, w.operand, strlen(w.operand));
	rc = policy_ask(&w.where, &q, NULL, 0, &r);
	if (rc)
		return rc;
	puts(r.reply.text[0] ? r.reply.text : done);
	policy_result_done(&r);
	return EXIT_OK;
}

static int cmd_rollback(int argc, char **argv)
{
	struct cli c = {.cmd = &command_rollback, .argc = argc, .argv = argv};

	return simple(&c, ASK_ROLLBACK, "as before");
}

static int cmd_confirm(int argc, char **argv)
{
	struct cli c = {.cmd = &command_confirm, .argc = argc, .argv = argv};

	return simple(&c, ASK_CONFIRM, "confirmed: it stays");
}

static int cmd_policy(int argc, char **argv)
{
	return cli_run(&command_policy, argc, argv);
}
