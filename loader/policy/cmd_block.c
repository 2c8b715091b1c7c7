// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_block.c - `weir block`, `weir limit` and `weir unblock`: decisions by hand.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/scan.h"
#include "common/units.h"
#include "loader/policy/client.h"

#define NS_PER_S UINT64_C(1000000000)

enum {
	OPT_FOR = 1,
	OPT_SHADOW,
	OPT_DRY_RUN,
	OPT_RATE,
	OPT_BURST,
	OPT_PER_SOURCE,
	OPT_IFACE,
	OPT_DIRECTION,
	OPT_AS,
	OPT_CONFIRM,
	OPT_RESET,
};

static int cmd_block(int argc, char **argv);
static int cmd_limit(int argc, char **argv);
static int cmd_unblock(int argc, char **argv);

#define COMMON_OPTIONS                                                                          \
	{OPT_FOR, 0, "for", "TIME", NULL, NULL, "how long, such as 10m; required"},             \
		{OPT_SHADOW,                                                                    \
		 0,                                                                             \
		 "shadow",                                                                      \
		 NULL,                                                                          \
		 NULL,                                                                          \
		 NULL,                                                                          \
		 "count what it would do, and do nothing"},                                     \
		{OPT_DRY_RUN,                                                                   \
		 0,                                                                             \
		 "dry-run",                                                                     \
		 NULL,                                                                          \
		 NULL,                                                                          \
		 NULL,                                                                          \
		 "say what would be added, and what it would have matched in the last minute"}, \
		{OPT_IFACE, 0, "iface", "IFACE", CLI_IFACE, NULL, "on this interface alone"},   \
		{OPT_DIRECTION,                                                                 \
		 0,                                                                             \
		 "direction",                                                                   \
		 "WAY",                                                                         \
		 "ingress|egress|both",                                                         \
		 "both",                                                                        \
		 "packets that come in, or go out"},                                            \
		{OPT_AS, 0, "as", "NAME", NULL, NULL, "what 'weir why' calls it"},              \
	{                                                                                       \
		OPT_CONFIRM, 0, "confirm", "TIME", NULL, NULL,                                  \
			"undo it after so long, unless 'weir policy confirm' comes"             \
	}

static const struct cli_option block_options[] = {
	{OPT_RESET, 0, "reset", NULL, NULL, NULL,
	 "end TCP connections at both sides; what is not TCP is dropped"},
	COMMON_OPTIONS,
	{},
};

static const struct cli_option limit_options[] = {
	{OPT_RATE, 0, "rate", "RATE", NULL, NULL, "100pps, 10Mbps; required"},
	{OPT_BURST, 0, "burst", "N", NULL, "of one second",
	 "packets or bytes that may come at one time"},
	{OPT_PER_SOURCE, 0, "per-source", NULL, NULL, NULL, "the rate is for each source address"},
	COMMON_OPTIONS,
	{},
};

static const struct cli_option unblock_options[] = {
	{OPT_DRY_RUN, 0, "dry-run", NULL, NULL, NULL, "say what would be taken away"},
	{},
};

const struct cli_command command_block = {
	.name = "block",
	.help = "drop what a filter picks, for some time",
	.operands = "FILTER",
	.words = CLI_FILTER,
	.doc = "FILTER is described in weir-filter(5); an address or a network alone is 'host' or 'net'. In "
	       "what is blocked, src is who sent the packet and dst who gets it, whoever began the flow.",
	.options = block_options,
	.more = client_options,
	.examples = "weir block 198.51.100.7 --for 10m\n"
		    "weir block 'src.ip in 198.51.100.0/24 and dst.port == 22' --for 1h --dry-run\n"
		    "weir block 'tls.sni suffix \"blocked.test\"' --for 1m\n"
		    "weir block 'proto udp and dst.port == 11211' --for 1d --shadow\n"
		    "weir block 'proto tcp and dst.port == 5432' --reset --for 10m\n",
	.run = cmd_block,
};

const struct cli_command command_limit = {
	.name = "limit",
	.help = "let only so much pass of what a filter picks, for some time",
	.operands = "FILTER",
	.words = CLI_FILTER,
	.doc = "As 'weir block', but packets within --rate pass.",
	.options = limit_options,
	.more = client_options,
	.examples =
		"weir limit 'proto udp and dst.port == 53' --rate 100pps --per-source --for 1h\n"
		"weir limit 'net 198.51.100.0/24' --rate 10Mbps --for 10m\n",
	.run = cmd_limit,
};

const struct cli_command command_unblock = {
	.name = "unblock",
	.help = "end what 'weir block' or 'weir limit' began, by the same filter",
	.operands = "FILTER",
	.words = CLI_FILTER,
	.options = unblock_options,
	.more = client_options,
	.examples = "weir unblock 198.51.100.7\n",
	.run = cmd_unblock,
};

struct block {
	struct policy_rule rule;
	struct client_where where;
	char filter[FILTER_TEXT_MAX + 1];
	const char *iface, *name, *rate;
	uint64_t for_ns, confirm_ns, burst;
	bool dry_run, per_source;
};

/* ---- words ---- */

static int set_direction(struct block *b, const char *arg)
{
	b->rule.direction = arg[0] == 'i' ? DIR_INGRESS : arg[0] == 'e' ? DIR_EGRESS : DIR_BOTH;
	return 0;
}

static int set_times(struct cli *c, struct block *b, int id)
{
	uint64_t *to = id == OPT_FOR ? &b->for_ns : &b->confirm_ns;

	if (scan_duration_ns(c->arg, NS_PER_S, UINT32_MAX * NS_PER_S, to))
		return cli_error(c, "--%s '%s': want a time such as 30s or 10m",
				 id == OPT_FOR ? "for" : "confirm", c->arg);
	return 0;
}

static int take_more(struct cli *c, struct block *b, int id)
{
	switch (id) {
	case OPT_RATE:
		b->rate = c->arg;
		return policy_scan_rate(c->arg, &b->rule)
			       ? cli_error(c, "--rate '%s': want 100pps or 10Mbps", c->arg)
			       : 0;
	case OPT_BURST:
		return scan_u64(c->arg, 1, UINT32_MAX, &b->burst)
			       ? cli_error(c, "--burst '%s': want a number", c->arg)
			       : 0;
	case OPT_PER_SOURCE:
		b->per_source = true;
		return 0;
	default:
		if (client_option(&b->where, id, c->arg))
			return 0;
		return client_join(b->filter, sizeof(b->filter), c->arg)
			       ? 0
			       : cli_error(c, "the filter is too long");
	}
}

static int take(struct cli *c, struct block *b, int id)
{
	switch (id) {
	case OPT_FOR:
	case OPT_CONFIRM:
		return set_times(c, b, id);
	case OPT_SHADOW:
		b->rule.flags |= RULE_SHADOW;
		return 0;
	case OPT_RESET:
		b->rule.action = POLICY_RESET;
		return 0;
	case OPT_DRY_RUN:
		b->dry_run = true;
		return 0;
	case OPT_IFACE:
		b->iface = c->arg;
		return 0;
	case OPT_DIRECTION:
		return set_direction(b, c->arg);
	case OPT_AS:
		b->name = c->arg;
		return strlen(c->arg) < sizeof(b->rule.name)
			       ? 0
			       : cli_error(c, "--as: 63 letters at most");
	default:
		return take_more(c, b, id);
	}
}

/* ---- the image ---- */

static int make_image(const struct block *b, const char *filter, uint8_t **ret, size_t *ret_len)
{
	struct policy_filter_result got;
	struct policy_draft d = {};
	char message[FILTER_ERROR_TEXT];
	int r = policy_add_filter(&d, filter, &b->rule, NULL, &got);

	if (r) {
		fprintf(stderr, "weir: %s\nweir: in: %s\n", filter_error_text(&got.error, message),
			filter);
		policy_draft_done(&d);
		return EXIT_USAGE;
	}
	if (b->rule.action == POLICY_RESET && !policy_draft_is_tcp(&d, 0)) {
		fprintf(stderr,
			"weir: --reset: only TCP can be reset, and '%s' is about other packets too\n",
			filter);
		policy_draft_done(&d);
		return EXIT_USAGE;
	}
	d.head.generation = 1;
	d.head.not_after = UINT64_MAX;
	memcpy(d.head.issuer, POLICY_LOCAL, strlen(POLICY_LOCAL));
	r = policy_image(&d, ret, ret_len);
	policy_draft_done(&d);
	return r ? EXIT_FAILED : 0;
}

/* Seconds since 1970, rounded up: what is to last ten seconds does not last nine. */
static uint64_t now_up(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec + (ts.tv_nsec > 0);
}

static void finish_rule(struct block *b, const char *filter)
{
	struct policy_rule *r = &b->rule;

	r->number = 1;
	r->direction = r->direction ?: DIR_BOTH;
	r->expires = now_up() + b->for_ns / NS_PER_S;
	r->limit |= b->per_source ? LIMIT_PER_SOURCE : 0;
	r->burst = b->burst ? (uint32_t)b->burst : r->burst;
	/* a filter that fits is its own name, so that 'weir why' can say how to undo it */
	if (b->name || strlen(filter) < sizeof(r->name))
		snprintf((char *)r->name, sizeof(r->name), "%.63s", b->name ?: filter);
	else
		snprintf((char *)r->name, sizeof(r->name), "by hand");
	snprintf((char *)r->origin, sizeof(r->origin), "local");
	policy_rule_id(r, filter);
}

/* ---- what is said ---- */

static void say_rules(const uint8_t *image, size_t len, const char *verb)
{
	const struct policy_bounds bounds = {.expires_max = UINT64_MAX};
	struct policy_error err;
	struct policy p;

	if (policy_check(image, len, &bounds, &p, &err)) {
		fprintf(stderr, "weir: %s\n", err.text);
		return;
	}
	for (uint32_t i = 0; i < p.n_rules; i++) {
		printf("%s %s%s ", verb, p.rules[i].flags & RULE_SHADOW ? "(shadow) " : "",
		       policy_action_word(p.rules[i].action));
		if (p.rules[i].action == POLICY_LIMIT) {
			policy_print_limit(stdout, &p.rules[i]);
			putchar(' ');
		}
		policy_print_rule(stdout, &p, &p.rules[i]);
		putchar('\n');
	}
	if (p.n_flows)
		puts("both directions of the flow");
}

static void say_matches(const struct block *b, const char *filter)
{
	struct policy_matched m;
	char bytes[32];

	if (policy_matches(&b->where, filter, &m))
		return;
	printf("matched in the last minute: %" PRIu64 " packets, %s, %" PRIu64 " flows%s\n",
	       m.packets, units_si(m.bytes, bytes), m.flows,
	       m.more ? ", and more flows than were looked at" : "");
	puts("src is who sends a packet, dst who gets it: flows are matched both ways round");
}

static int run(struct cli *c, struct block *b)
{
	struct policy_request q;
	struct policy_result result;
	char *filter = NULL, d[32];
	uint8_t *image = NULL;
	size_t len = 0;
	int rc = policy_operand(c, b->filter, b->iface, &filter);

	if (rc)
		return rc;
	finish_rule(b, filter);
	policy_request_init(&q, ASK_ADD);
	q.flags = b->dry_run ? REQUEST_DRY : 0;
	q.confirm_s = (uint32_t)(b->confirm_ns / NS_PER_S);
	rc = make_image(b, filter, &image, &len);
	rc = rc ?: policy_ask(&b->where, &q, image, len, &result);
	if (!rc) {
		say_rules(image, len, b->dry_run ? "would add" : "added");
		if (b->dry_run)
			say_matches(b, filter);
		else
			printf("for %s; undo: weir unblock '%s'\n",
			       policy_duration(b->for_ns / NS_PER_S, d), filter);
		if (result.reply.text[0])
			printf("note: %s\n", result.reply.text);
		if (result.reply.stopped)
			fputs("weir: enforcement is stopped; 'weir panic --off' resumes it\n",
			      stderr);
		if (q.confirm_s && !b->dry_run)
			printf("undone in %u s, unless 'weir policy confirm' comes\n", q.confirm_s);
		policy_result_done(&result);
	}
	free(image);
	free(filter);
	return rc;
}

static int parse(struct cli *c, struct block *b)
{
	int id, rc;

	while ((id = cli_next(c)) > 0 || id == CLI_OPERAND) {
		rc = take(c, b, id);
		if (rc)
			return rc;
	}
	return id == CLI_STOP ? c->status : -1;
}

static int cmd_block(int argc, char **argv)
{
	static struct block b = {.rule = {.action = POLICY_DROP}};
	struct cli c = {.cmd = &command_block, .argc = argc, .argv = argv};
	int rc = parse(&c, &b);

	if (rc >= 0)
		return rc;
	if (!b.for_ns)
		return cli_error(&c, "for how long? --for 10m: every decision ends some time");
	return run(&c, &b);
}

static int cmd_limit(int argc, char **argv)
{
	static struct block b = {.rule = {.action = POLICY_LIMIT}};
	struct cli c = {.cmd = &command_limit, .argc = argc, .argv = argv};
	int rc = parse(&c, &b);

	if (rc >= 0)
		return rc;
	if (!b.for_ns)
		return cli_error(&c, "for how long? --for 10m: every decision ends some time");
	if (!b.rate)
		return cli_error(&c, "how much may pass? --rate 100pps, or 10Mbps");
	return run(&c, &b);
}

static int cmd_unblock(int argc, char **argv)
{
	static struct block b;
	struct cli c = {.cmd = &command_unblock, .argc = argc, .argv = argv};
	struct policy_request q;
	struct policy_result result;
	char *filter = NULL;
	int rc = parse(&c, &b);

	if (rc >= 0)
		return rc;
	rc = policy_operand(&c, b.filter, b.iface, &filter);
	if (rc)
		return rc;
	policy_request_init(&q, ASK_REMOVE);
	q.flags = b.dry_run ? REQUEST_DRY : 0;
	policy_id(filter, q.id);
	rc = policy_ask(&b.where, &q, NULL, 0, &result);
	if (!rc) {
		printf("%s %u rule%s: %s\n", b.dry_run ? "would take away" : "took away",
		       result.reply.removed, result.reply.removed == 1 ? "" : "s", filter);
		policy_result_done(&result);
	}
	free(filter);
	return rc;
}
