// SPDX-License-Identifier: Apache-2.0
/*
 * replay.c - `weir replay`: options, set-up, and the account at the end. The frames go through
 * replay_run.c.
 */
#include "loader/replay.h"

#include <argp.h>
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
#include "loader/replay_run.h"
#include "loader/summary.h"

#define NS_PER_S UINT64_C(1000000000)

enum exit_code { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_PERM = 3, EXIT_PARTLY = 6 };

enum replay_option {
	OPT_NO_DECAP = 256,
	OPT_SAMPLE,
	OPT_FLOWS,
	OPT_NO_NAMES,
	OPT_SUMMARY,
	OPT_WHERE
};

struct replay_options {
	struct replay_cfg run;
	const char *path;
	const char *format;
	struct filter *where;
	bool summary_json;
};

static const struct argp_option options[] = {
	{"output", 'o', "table|json|csv", 0, "format on standard output (table)", 0},
	{"no-decap", OPT_NO_DECAP, NULL, 0, "count tunnels as the outer flow", 0},
	{"sample", OPT_SAMPLE, "N", 0, "account 1 packet in N (1)", 0},
	{"flows", OPT_FLOWS, "N", 0, "live flows to have room for (64Ki)", 0},
	{"no-names", OPT_NO_NAMES, NULL, 0, "do not look at payload", 0},
	{"where", OPT_WHERE, "FILTER", 0, "print only flows that match, see weir-filter(5)", 0},
	{"summary", OPT_SUMMARY, "text|json", 0,
	 "form of the account at the end, on standard error (text)", 0},
	{},
};

static void bad(struct argp_state *st, const char *what, const char *arg, const char *want)
{
	argp_failure(st, EXIT_USAGE, 0, "%s '%s': %s — see 'weir replay --help'", what, arg, want);
}

static void set_number(struct argp_state *st, const char *what, const char *arg, uint64_t max,
		       uint32_t *ret)
{
	uint64_t v;

	if (scan_u64(arg, 1, max, &v))
		bad(st, what, arg, "want a positive number in range, such as 1000 or 64Ki");
	*ret = (uint32_t)v;
}

static void set_where(struct argp_state *st, struct replay_options *o, const char *arg)
{
	char text[FILTER_ERROR_TEXT];
	struct filter_error err;

	filter_free(o->where);
	o->where = NULL;
	if (filter_parse(arg, strlen(arg), NULL, &o->where, &err))
		bad(st, "--where", arg, filter_error_text(&err, text));
}

static error_t parse_option(int key, char *arg, struct argp_state *st)
{
	struct replay_options *o = st->input;

	switch (key) {
	case 'o':
		if (strcmp(arg, "table") && strcmp(arg, "json") && strcmp(arg, "csv"))
			bad(st, "-o", arg, "want table, json or csv");
		o->format = arg;
		break;
	case OPT_NO_DECAP:
		o->run.dp.decap_depth = 0;
		break;
	case OPT_SAMPLE:
		set_number(st, "--sample", arg, 1u << 20, &o->run.dp.sample);
		break;
	case OPT_FLOWS:
		set_number(st, "--flows", arg, 64u << 20, &o->run.dp.flows);
		break;
	case OPT_NO_NAMES:
		o->run.dp.names = false;
		break;
	case OPT_WHERE:
		set_where(st, o, arg);
		break;
	case OPT_SUMMARY:
		if (strcmp(arg, "text") && strcmp(arg, "json"))
			bad(st, "--summary", arg, "want text or json");
		o->summary_json = !strcmp(arg, "json");
		break;
	case ARGP_KEY_ARG:
		if (o->path)
			bad(st, "file", arg, "one capture at a time");
		o->path = arg;
		break;
	case ARGP_KEY_END:
		if (!o->path)
			argp_failure(st, EXIT_USAGE, 0,
				     "which capture? give FILE, or - — see 'weir replay --help'");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = parse_option,
	.args_doc = "FILE",
	.doc = "Run a capture (pcap or pcapng, gzip too; - is standard input) through the same programs "
	       "as live packets, in capture time, and print its flows.\v"
	       "Examples:\n"
	       "  weir replay capture.pcap\n"
	       "  weir replay capture.pcapng.gz -o json | jq .tls.sni\n"
	       "  weir replay capture.pcap --where 'dst port 443 and not exists(tls.sni)'\n"
	       "  tcpdump -i eth0 -w - | weir replay - -o json",
};

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
		return;
	}
	frames_text(stats, stderr);
	if (o->where)
		fprintf(stderr, "weir: %" PRIu64 " of %" PRIu64 " records match\n", stats->matched,
			summary.records);
	summary_text(&summary, replay_dataplane(r), stderr);
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
	replay_free(rp);
	output_free(out);
	return rc;
}

int cmd_replay(int argc, char **argv)
{
	struct replay_options o = {.format = "table"};
	struct capture *c;
	int r, rc;

	o.run = replay_cfg_default();
	argp_err_exit_status = EXIT_USAGE;
	if (argp_parse(&argp, argc, argv, 0, NULL, &o))
		return EXIT_USAGE;
	libbpf_set_print(quiet);
	signal(SIGPIPE, SIG_IGN);
	o.run.where = o.where;
	r = capture_open(o.path, &c);
	if (r < 0) {
		fprintf(stderr, "weir: %s: %s\n", o.path, strerror(-r));
		rc = EXIT_FAILED;
	} else {
		rc = replay_capture(&o, c);
		capture_free(c);
	}
	filter_free(o.where);
	return rc;
}
