// SPDX-License-Identifier: Apache-2.0
/*
 * replay.c - `weir replay`: options, set-up, and the account at the end. The frames go through
 * replay_run.c.
 */
#include "loader/replay.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/filter.h"
#include "common/output.h"
#include "common/scan.h"
#include "loader/capture_file.h"
#include "loader/command.h"
#include "loader/replay_policy.h"
#include "loader/replay_run.h"
#include "loader/summary.h"

#define NS_PER_S UINT64_C(1000000000)

enum replay_option {
	OPT_OUTPUT = 1,
	OPT_NO_DECAP,
	OPT_SAMPLE,
	OPT_FLOWS,
	OPT_NO_NAMES,
	OPT_SUMMARY,
	OPT_WHERE,
	OPT_POLICY
};

struct replay_options {
	struct replay_cfg run;
	const char *path;
	const char *format;
	const char *policy;
	struct filter *where;
	bool summary_json;
};

static const struct cli_option options[] = {
	{OPT_OUTPUT, 'o', "output", "FORMAT", "table|json|csv", "table",
	 "format on standard output"},
	{OPT_NO_DECAP, 0, "no-decap", NULL, NULL, NULL, "count tunnels as the outer flow"},
	{OPT_SAMPLE, 0, "sample", "N", NULL, "1", "account 1 packet in N"},
	{OPT_FLOWS, 0, "flows", "N", NULL, "64Ki", "live flows to have room for"},
	{OPT_NO_NAMES, 0, "no-names", NULL, NULL, NULL, "do not look at payload"},
	{OPT_WHERE, 0, "where", "FILTER", CLI_FILTER, NULL,
	 "print only flows that match, see weir-filter(5)"},
	{OPT_POLICY, 0, "policy", "FILE", CLI_FILE, NULL,
	 "judge every packet by this policy, see weir-policy(5)"},
	{OPT_SUMMARY, 0, "summary", "FORM", "text|json", "text",
	 "form of the account at the end, on standard error"},
	{},
};

const struct cli_command command_replay = {
	.name = "replay",
	.help = "run a capture through the same programs and print its flows",
	.operands = "FILE",
	.words = CLI_FILE,
	.options = options,
	.doc = "Run a capture (pcap or pcapng, gzip too; - is standard input) through the same programs "
	       "as live packets, in capture time, and print its flows.",
	.examples = "weir replay capture.pcap\n"
		    "weir replay capture.pcapng.gz -o json | jq .tls.sni\n"
		    "weir replay capture.pcap --where 'dst port 443 and not exists(tls.sni)'\n"
		    "tcpdump -i eth0 -w - | weir replay - -o json\n",
	.run = cmd_replay,
};

static int set_number(const struct cli *c, const char *what, uint64_t max, uint32_t *ret)
{
	uint64_t v;

	if (scan_u64(c->arg, 1, max, &v))
		return cli_error(c,
				 "%s '%s': want a positive number in range, such as 1000 or 64Ki",
				 what, c->arg);
	*ret = (uint32_t)v;
	return 0;
}

static int set_where(const struct cli *c, struct replay_options *o)
{
	char text[FILTER_ERROR_TEXT];
	struct filter_error err;

	filter_free(o->where);
	o->where = NULL;
	if (filter_parse(c->arg, strlen(c->arg), NULL, &o->where, &err))
		return cli_error(c, "--where '%s': %s", c->arg, filter_error_text(&err, text));
	return 0;
}

/* Return: 0, or the exit status. */
static int take_option(const struct cli *c, int id, struct replay_options *o)
{
	switch (id) {
	case OPT_OUTPUT:
		o->format = c->arg;
		break;
	case OPT_NO_DECAP:
		o->run.programs.decap_depth = 0;
		break;
	case OPT_SAMPLE:
		return set_number(c, "--sample", 1u << 20, &o->run.programs.sample);
	case OPT_FLOWS:
		return set_number(c, "--flows", 64u << 20, &o->run.dp.flows);
	case OPT_NO_NAMES:
		o->run.dp.names = false;
		break;
	case OPT_WHERE:
		return set_where(c, o);
	case OPT_POLICY:
		o->policy = c->arg;
		break;
	case OPT_SUMMARY:
		o->summary_json = !strcmp(c->arg, "json");
		break;
	case CLI_OPERAND:
		if (o->path)
			return cli_error(c, "file '%s': one capture at a time", c->arg);
		o->path = c->arg;
		break;
	}
	return 0;
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	return getenv("WEIR_DEBUG") ? vfprintf(stderr, fmt, ap) : 0;
}

static int fail(int r, const char *what)
{
	if (r == -EPERM || r == -EACCES) {
		fprintf(stderr,
			"weir: %s: not permitted — needs root, or CAP_BPF and CAP_NET_ADMIN\n",
			what);
		return EXIT_PERM;
	}
	fprintf(stderr, "weir: %s: %s — WEIR_DEBUG=1 shows what the kernel says\n", what,
		strerror(-r));
	return EXIT_FAILED;
}

static void put_escaped(const char *s, FILE *out)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			fprintf(out, "\\u%04x", (unsigned char)*s);
		else
			fputc(*s, out);
	}
}

/* What became of the frames; the packet path's own account follows on the next line. */
static void frames_json(const struct replay_options *o, const struct replay_stats *s,
			const char *damage, FILE *out)
{
	fputs("{\"file\":\"", out);
	put_escaped(o->path, out);
	fprintf(out, "\",\"frames\":%" PRIu64 ",\"taken\":%" PRIu64, s->frames, s->taken);
	for (int i = 1; i < _LINK_MAX; i++)
		fprintf(out, ",\"%s\":%" PRIu64, linktype_reason(i), s->refused[i]);
	fprintf(out, ",\"run_failed\":%" PRIu64 ",\"clock_steps\":%" PRIu64 ",\"drains\":%" PRIu64,
		s->run_failed, s->clock_steps, s->drains);
	if (o->where)
		fprintf(out, ",\"matched\":%" PRIu64, s->matched);
	fputs(",\"damage\":\"", out);
	put_escaped(damage, out);
	fputs("\"}\n", out);
}

static void frames_text(const struct replay_stats *s, FILE *out)
{
	const char *sep = " (";

	fprintf(out, "weir: %" PRIu64 " frames, %" PRIu64 " taken", s->frames, s->taken);
	for (int i = 1; i < _LINK_MAX; i++) {
		if (!s->refused[i])
			continue;
		fprintf(out, "%s%s %" PRIu64, sep, linktype_reason(i), s->refused[i]);
		if (i == LINK_UNSUPPORTED)
			fprintf(out, " [type %u]", s->unsupported);
		sep = ", ";
	}
	if (s->run_failed)
		fprintf(out, "%srun_failed %" PRIu64, sep, s->run_failed);
	fputs(s->frames != s->taken ? ")\n" : "\n", out);
}

static void print_account(const struct replay_options *o, struct replay *r, const char *damage)
{
	const struct replay_stats *stats = replay_stats(r);
	struct summary summary = *replay_summary(r);

	if (o->summary_json) {
		frames_json(o, stats, damage, stderr);
		summary_json(&summary, replay_dataplane(r), stderr);
		if (o->run.policy)
			replay_policy_json(o->run.policy, stderr);
		return;
	}
	frames_text(stats, stderr);
	if (o->where)
		fprintf(stderr, "weir: %" PRIu64 " of %" PRIu64 " records match\n", stats->matched,
			summary.records);
	summary_text(&summary, replay_dataplane(r), stderr);
	if (o->run.policy)
		replay_policy_text(o->run.policy, stderr);
}

/* @r: how reading the capture ended. */
static int finish(const struct replay_options *o, struct replay *rp, struct capture *c, int r)
{
	int written = replay_finish(rp);

	print_account(o, rp, r < 0 ? capture_error(c) : "");
	if (r < 0)
		fprintf(stderr, "weir: %s: %s\n", o->path, capture_error(c));
	if (written < 0 && written != -EPIPE)
		fprintf(stderr, "weir: standard output: %s\n", strerror(-written));
	if (written < 0)
		return EXIT_FAILED;
	if (r == -EBADMSG && replay_stats(rp)->frames)
		return EXIT_PARTLY;
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

static int replay_capture(const struct replay_options *o, struct capture *c)
{
	struct replay *rp = NULL;
	struct output *out = NULL;
	int r, rc;

	r = output_new(o->format, STDOUT_FILENO, &out);
	if (r < 0)
		return fail(r, "output");
	r = replay_new(&o->run, out, &rp);
	if (r < 0) {
		output_free(out);
		return fail(r, "load programs");
	}
	r = replay_all(rp, c);
	rc = finish(o, rp, c, r);
	if (replay_stats(rp)->policy)
		rc = fail(replay_stats(rp)->policy, "policy");
	replay_free(rp);
	output_free(out);
	return rc;
}

/* Return: 0, or the exit status. */
static int open_policy(const struct cli *c, struct replay_options *o)
{
	if (!o->policy)
		return 0;
	if (o->run.programs.sample > 1)
		return cli_error(c,
				 "--policy and --sample: what sampling passes over has no verdict");
	return replay_policy_load(o->policy, &o->run.policy, &o->run.dp.policy_entries);
}

int cmd_replay(int argc, char **argv)
{
	struct cli cli = {.cmd = &command_replay, .argc = argc, .argv = argv};
	struct replay_options o = {.format = "table"};
	struct capture *c;
	int r, rc, id;

	o.run = replay_cfg_default();
	while ((id = cli_next(&cli)) != CLI_END) {
		rc = id == CLI_STOP ? cli.status : take_option(&cli, id, &o);
		if (rc || id == CLI_STOP)
			return rc;
	}
	if (!o.path)
		return cli_error(&cli, "which capture? give FILE, or -");
	libbpf_set_print(quiet);
	signal(SIGPIPE, SIG_IGN);
	o.run.where = o.where;
	rc = open_policy(&cli, &o);
	r = rc ? 0 : capture_open(o.path, &c);
	if (r < 0) {
		fprintf(stderr, "weir: %s: %s\n", o.path, strerror(-r));
		rc = EXIT_FAILED;
	} else if (!rc) {
		rc = replay_capture(&o, c);
		capture_free(c);
	}
	replay_policy_free(o.run.policy);
	filter_free(o.where);
	return rc;
}
