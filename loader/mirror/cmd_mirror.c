// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_mirror.c - `weir mirror` and `weir unmirror`: sessions by hand, and what they have done.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/scan.h"
#include "common/units.h"
#include "loader/mirror/want.h"
#include "loader/policy/client.h"

#define NS_PER_S UINT64_C(1000000000)
#define TEXT_MAX 128u

enum {
	OPT_TO = 1,
	OPT_FOR,
	OPT_SESSION,
	OPT_LENGTH,
	OPT_SAMPLE,
	OPT_BUDGET,
	OPT_IFACE,
	OPT_DIRECTION,
	OPT_ALSO,
	OPT_OUTPUT,
};

static int cmd_mirror(int argc, char **argv);
static int cmd_unmirror(int argc, char **argv);

static const struct cli_option options[] = {
	{OPT_TO, 0, "to", "TARGET", NULL, NULL,
	 "vxlan:ADDR[:PORT],vni=N, geneve:ADDR[:PORT],vni=N, erspan:ADDR,id=N, or iface:NAME; required"},
	{OPT_FOR, 0, "for", "TIME", NULL, NULL, "how long, such as 10m; required"},
	{OPT_SESSION, 0, "session", "N", NULL, "the first that is free",
	 "its number, and its priority: of an interface's sessions the lowest that picks a packet mirrors it"},
	{OPT_LENGTH, 0, "length", "BYTES", NULL, "as many as the way takes",
	 "cut frames to so many bytes behind the tunnel's header"},
	{OPT_SAMPLE, 0, "sample", "N", NULL, "1", "mirror 1 packet in N"},
	{OPT_BUDGET, 0, "budget", "SHARE", NULL, "25%",
	 "at most so much of the link that leads to the target: 10%, 100Mbps, none"},
	{OPT_IFACE, 0, "iface", "IFACE", CLI_IFACE, "all that are watched",
	 "packets of this interface alone"},
	{OPT_DIRECTION, 0, "direction", "WAY", "ingress|egress|both", "both",
	 "packets that come in, or go out"},
	{OPT_ALSO, 0, "also", NULL, NULL, NULL, "packets that an earlier session has picked, too"},
	{OPT_OUTPUT, 'o', "output", "FORMAT", "table|json", "table",
	 "without FILTER: form of the list"},
	{},
};

static const struct cli_option unmirror_options[] = {{}};

const struct cli_command command_mirror = {
	.name = "mirror",
	.help = "send copies of what a filter picks to another machine, for some time",
	.operands = "[FILTER|list]",
	.words = CLI_FILTER,
	.doc = "FILTER is described in weir-filter(5), src is who sent the packet; an address or a network alone is 'host' or "
	       "'net'. Without FILTER, or with 'list': the sessions that there are, those of the configuration among them, and "
	       "what they have done. Never mirrored are mirrors, weir's exports, ARP, DHCP, NTP and the instance metadata service.",
	.options = options,
	.more = client_options,
	.examples =
		"weir mirror 'host 198.51.100.7' --to vxlan:192.0.2.10,vni=7 --for 10m\n"
		"weir mirror 'proto tcp and port 443' --to vxlan:[2001:db8::10]:4789,vni=7 --length 128 --for 1h\n"
		"weir mirror 'proto udp' --to erspan:192.0.2.10,id=1 --sample 100 --for 1d\n"
		"weir mirror list\n",
	.run = cmd_mirror,
};

const struct cli_command command_unmirror = {
	.name = "unmirror",
	.help = "end a session of 'weir mirror', by its number, or all of them",
	.operands = "N|all",
	.words = "?all",
	.options = unmirror_options,
	.more = client_options,
	.examples = "weir unmirror 1\n"
		    "weir unmirror all\n",
	.run = cmd_unmirror,
};

struct mirror_cmd {
	struct mirror_want want;
	struct client_where where;
	char filter[FILTER_TEXT_MAX + 1];
	enum policy_direction direction;
	bool json;
};

/* ---- words ---- */

static int take_number(struct cli *c, struct mirror_cmd *m, int id)
{
	const bool length = id == OPT_LENGTH, session = id == OPT_SESSION;
	const uint64_t max = length    ? MIRROR_LENGTH_MAX
			     : session ? MIRROR_NUMBER_MAX
				       : MIRROR_SAMPLE_MAX;
	const uint64_t min = length ? MIRROR_LENGTH_MIN : 1;
	uint64_t v;

	if (scan_u64(c->arg, min, max, &v))
		return cli_error(c, "--%s '%s': want %" PRIu64 " to %" PRIu64,
				 length	   ? "length"
				 : session ? "session"
					   : "sample",
				 c->arg, min, max);
	*(length ? &m->want.length : session ? &m->want.number : &m->want.sample) = (uint32_t)v;
	return 0;
}

static int take_for(struct cli *c, struct mirror_cmd *m)
{
	uint64_t ns;

	if (scan_duration_ns(c->arg, NS_PER_S, UINT32_MAX * NS_PER_S, &ns))
		return cli_error(c, "--for '%s': want a time such as 30s or 10m", c->arg);
	m->want.for_s = (ns + NS_PER_S - 1) / NS_PER_S;
	return 0;
}

static int take_more(struct cli *c, struct mirror_cmd *m, int id)
{
	switch (id) {
	case OPT_IFACE:
		if (strlen(c->arg) >= sizeof(m->want.iface))
			return cli_error(c, "--iface '%s': too long for the name of an interface",
					 c->arg);
		memcpy(m->want.iface, c->arg, strlen(c->arg));
		return 0;
	case OPT_DIRECTION:
		m->direction = c->arg[0] == 'i'	  ? DIR_INGRESS
			       : c->arg[0] == 'e' ? DIR_EGRESS
						  : DIR_BOTH;
		return 0;
	case OPT_ALSO:
		m->want.also = 1;
		return 0;
	case OPT_OUTPUT:
		m->json = c->arg[0] == 'j';
		return 0;
	default:
		if (client_option(&m->where, id, c->arg))
			return 0;
		return client_join(m->filter, sizeof(m->filter), c->arg)
			       ? 0
			       : cli_error(c, "the filter is too long");
	}
}

static int take(struct cli *c, struct mirror_cmd *m, int id)
{
	const char *why;

	switch (id) {
	case OPT_TO:
		return mirror_want_to(c->arg, &m->want, &why)
			       ? cli_error(c, "--to '%s': %s", c->arg, why)
			       : 0;
	case OPT_FOR:
		return take_for(c, m);
	case OPT_SESSION:
	case OPT_LENGTH:
	case OPT_SAMPLE:
		return take_number(c, m, id);
	case OPT_BUDGET:
		return mirror_want_budget(c->arg, &m->want)
			       ? cli_error(c, "--budget '%s': want 10%%, 100Mbps or none", c->arg)
			       : 0;
	default:
		return take_more(c, m, id);
	}
}

/* ---- the list ---- */

static const char *target_text(const struct mirror_want *w, char buf[TEXT_MAX])
{
	FILE *out = fmemopen(buf, TEXT_MAX, "w");

	memset(buf, 0, TEXT_MAX);
	if (out) {
		mirror_print_to(out, w);
		fclose(out);
	}
	return buf;
}

static uint64_t lost_of(const struct mirror_count *c)
{
	uint64_t lost = 0;

#define MIRROR_COUNT(member, counter, help)
#define MIRROR_LOST(member, counter, help) lost += c->member;
#include "weir/mirror_counts.def"
#undef MIRROR_COUNT
	return lost;
}

static void show_table(const struct policy_result *r)
{
	if (!r->reply.n) {
		puts("no session");
		return;
	}
	printf("%5s  %-34s  %-15s  %6s  %13s  %13s  %11s  %8s  %s\n", "ID", "TO", "IFACE", "LENGTH",
	       "MATCHED", "MIRRORED", "NOT", "ENDS", "FILTER");
	for (uint32_t i = 0; i < r->reply.n; i++) {
		const struct mirror_shown *s = &r->mirrors[i];
		char to[TEXT_MAX], ends[32];

		printf("%5u  %-34s  %-15s  %6u  %13" PRIu64 "  %13" PRIu64 "  %11" PRIu64
		       "  %8s  %s%s\n",
		       s->want.number, target_text(&s->want, to),
		       s->want.iface[0] ? (const char *)s->want.iface : "all", s->length,
		       (uint64_t)s->count.matched, (uint64_t)s->count.mirrored, lost_of(&s->count),
		       policy_duration(s->ends_s, ends), s->want.filter,
		       s->mtu ? "" : "  (no way leads there now)");
	}
}

static void show_one_json(const struct mirror_shown *s)
{
	static const char *const from[] = {"hand", "config", "rules"};
	char to[TEXT_MAX];
	json_t *o = json_pack("{s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:b, s:s, s:b, s:I, s:I, s:I}",
			      "session", (int)s->want.number, "to", target_text(&s->want, to),
			      "iface", (const char *)s->want.iface, "filter",
			      (const char *)s->want.filter, "length", (json_int_t)s->length, "mtu",
			      (json_int_t)s->mtu, "sample", (json_int_t)s->want.sample, "also",
			      (int)s->want.also, "from", from[s->from], "reachable", s->mtu != 0,
			      "interfaces", (json_int_t)s->ifaces, "uid", (json_int_t)s->uid,
			      "between", (json_int_t)(s->count.queued - s->count.dequeued));

	if (!o)
		return;
	if (s->ends_s != UINT64_MAX)
		json_object_set_new(o, "ends_s", json_integer((json_int_t)s->ends_s));
#define MIRROR_COUNT(member, counter, help) \
	json_object_set_new(o, #member, json_integer((json_int_t)s->count.member));
#include "weir/mirror_counts.def"
#undef MIRROR_COUNT
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static int list(const struct mirror_cmd *m)
{
	struct policy_request q;
	struct policy_result r;
	int rc;

	policy_request_init(&q, ASK_MIRROR_SHOW);
	rc = policy_ask(&m->where, &q, NULL, 0, &r);
	if (rc)
		return rc;
	if (!m->json)
		show_table(&r);
	for (uint32_t i = 0; m->json && i < r.reply.n; i++)
		show_one_json(&r.mirrors[i]);
	policy_result_done(&r);
	return 0;
}

/* ---- a session ---- */

static int make_image(struct cli *c, struct mirror_cmd *m, struct mirror_image *image)
{
	char *filter = NULL, message[FILTER_ERROR_TEXT];
	struct filter_error err;
	int rc = policy_operand(c, m->filter, NULL, &filter), n;

	if (rc)
		return rc;
	n = mirror_rules(filter, m->direction, image->rules, &err);
	if (n < 0)
		fprintf(stderr, "weir: %s\nweir: in: %s\n", filter_error_text(&err, message),
			filter);
	else
		m->want.rules = (uint32_t)n;
	snprintf((char *)m->want.filter, sizeof(m->want.filter), "%s", filter);
	free(filter);
	image->want = m->want;
	return n < 0 ? EXIT_USAGE : 0;
}

static int add(struct cli *c, struct mirror_cmd *m)
{
	static struct mirror_image image;
	struct policy_request q;
	struct policy_result r;
	char to[TEXT_MAX], d[32];
	int rc = make_image(c, m, &image);

	if (rc)
		return rc;
	policy_request_init(&q, ASK_MIRROR_ADD);
	rc = policy_ask(&m->where, &q, &image,
			sizeof(image.want) + m->want.rules * sizeof(image.rules[0]), &r);
	if (rc)
		return rc;
	printf("session %u: %s to %s\n", r.reply.added, m->want.filter, target_text(&m->want, to));
	printf("for %s; end it: weir unmirror %u\n", policy_duration(m->want.for_s, d),
	       r.reply.added);
	if (r.reply.text[0])
		printf("note: %s\n", r.reply.text);
	policy_result_done(&r);
	return 0;
}

static int cmd_mirror(int argc, char **argv)
{
	static struct mirror_cmd m = {.want = {.sample = 1, .budget_pct = 25},
				      .direction = DIR_BOTH};
	struct cli c = {.cmd = &command_mirror, .argc = argc, .argv = argv};
	int id, rc;

	while ((id = cli_next(&c)) > 0 || id == CLI_OPERAND) {
		rc = take(&c, &m, id);
		if (rc)
			return rc;
	}
	if (id == CLI_STOP)
		return c.status;
	if ((!m.filter[0] || !strcmp(m.filter, "list")) && !m.want.to)
		return list(&m);
	if (!m.want.to)
		return cli_error(&c, "to whom? --to vxlan:192.0.2.10,vni=7");
	if (!m.want.for_s)
		return cli_error(&c, "for how long? --for 10m: every session ends some time");
	return add(&c, &m);
}

static int cmd_unmirror(int argc, char **argv)
{
	struct cli c = {.cmd = &command_unmirror, .argc = argc, .argv = argv};
	struct client_where where = {};
	const char *which = NULL;
	struct policy_request q;
	struct policy_result r;
	uint64_t number = 0;
	int id, rc;

	while ((id = cli_next(&c)) > 0 || id == CLI_OPERAND)
		if (id == CLI_OPERAND ? which != NULL : !client_option(&where, id, c.arg))
			return cli_error(&c, "one session, or all");
		else if (id == CLI_OPERAND)
			which = c.arg;
	if (id == CLI_STOP)
		return c.status;
	if (!which || (strcmp(which, "all") != 0 && scan_u64(which, 1, MIRROR_NUMBER_MAX, &number)))
		return cli_error(&c, "which session? its number, or all; 'weir mirror' shows them");
	policy_request_init(&q, ASK_MIRROR_END);
	q.number = (uint32_t)number;
	rc = policy_ask(&where, &q, NULL, 0, &r);
	if (rc)
		return rc;
	printf("ended %u session%s\n", r.reply.removed, r.reply.removed == 1 ? "" : "s");
	policy_result_done(&r);
	return 0;
}
