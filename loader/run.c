// SPDX-License-Identifier: Apache-2.0
#include "loader/run.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/scan.h"
#include "loader/core.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull
#define DAY_NS	  (86400 * NS_PER_S)

enum run_option {
	OPT_HOOK = 256,
	OPT_ROLE,
	OPT_FLOWS,
	OPT_INTERVAL,
	OPT_ACTIVE,
	OPT_IDLE,
	OPT_SYN,
	OPT_SAMPLE,
	OPT_DECAP,
	OPT_NO_NAMES,
	OPT_DURATION,
	OPT_SUMMARY,
	OPT_EXPORT,
};

static const struct argp_option options[] = {
	{"iface", 'i', "IFACE", 0,
	 "interface to watch, or a pattern such as 'veth*'; repeat for more", 0},
	{"hook", OPT_HOOK, "auto|xdp|tc|generic", 0, "where ingress is read (auto)", 0},
	{"role", OPT_ROLE, "uplink|veth|mirror", 0,
	 "what the interface carries (uplink); mirror: tunnels are opened and their packets end here",
	 0},
	{"output", 'o', "table|json|eve|csv", 0,
	 "records on standard output in this format (table, when there is no --export)", 0},
	{"export", OPT_EXPORT, "URL", 0,
	 "records to file:PATH, ipfix://HOST:PORT, ipfix+tcp:// or ipfix+tls://; settings behind '?', "
	 "joined by '&'; repeat for more",
	 0},
	{"flows", OPT_FLOWS, "N", 0, "live flows to have room for (256Ki)", 0},
	{"drain-interval", OPT_INTERVAL, "TIME", 0, "how often the cache is read (1s)", 0},
	{"active-timeout", OPT_ACTIVE, "TIME", 0,
	 "a record at least this often for a busy flow (60s)", 0},
	{"idle-timeout", OPT_IDLE, "TIME", 0, "a flow silent for so long is over (15s)", 0},
	{"syn-timeout", OPT_SYN, "TIME", 0, "an unanswered SYN is over (5s)", 0},
	{"sample", OPT_SAMPLE, "N", 0, "account 1 packet in N (1)", 0},
	{"decap", OPT_DECAP, "DEPTH", 0, "tunnels opened, 0 to 4 (mirror: 4, else 0)", 0},
	{"no-names", OPT_NO_NAMES, NULL, 0, "do not look at payload", 0},
	{"duration", OPT_DURATION, "TIME", 0, "stop after so long", 0},
	{"summary", OPT_SUMMARY, "text|json", 0,
	 "form of the account at the end, on standard error (text)", 0},
	{},
};

static struct iface_want all; /* what is the same for all interfaces */

static int one_of(const char *arg, const char *const *words, int n)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(arg, words[i]))
			return i;
	return -1;
}

#define ONE_OF(arg, ...)                                \
	one_of(arg, (const char *const[]){__VA_ARGS__}, \
	       sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void bad(struct argp_state *st, const char *what, const char *arg, const char *want)
{
	argp_failure(st, EXIT_USAGE, 0, "%s '%s': %s — see 'weir run --help'", what, arg, want);
}

static void add_iface(struct argp_state *st, struct run_cfg *cfg, const char *name)
{
	struct iface_want *w = &cfg->iface[cfg->ifaces];
	size_t room = iface_is_pattern(name) ? sizeof(w->name) : IF_NAMESIZE;

	if (cfg->ifaces == RUN_IFACES_MAX)
		bad(st, "-i", name, "64 are the limit; patterns such as 'veth*' take many at once");
	if (strlen(name) >= room)
		bad(st, "-i", name, "too long");
	snprintf(w->name, sizeof(w->name), "%s", name);
	cfg->ifaces++;
}

static void set_time(struct argp_state *st, const char *what, const char *arg, uint64_t *ret)
{
	if (scan_duration_ns(arg, 10 * NS_PER_MS, DAY_NS, ret))
		bad(st, what, arg, "want a time from 10ms to 1d, such as 500ms, 15s or 1m30s");
}

static void set_number(struct argp_state *st, const char *what, const char *arg, uint64_t max,
		       uint32_t *ret)
{
	uint64_t v;

	if (scan_u64(arg, 1, max, &v))
		bad(st, what, arg, "want a positive number in range, such as 1000 or 64Ki");
	*ret = v;
}

static struct export_cfg *new_export(struct argp_state *st, struct run_cfg *cfg)
{
	struct export_cfg *e = &cfg->exports[cfg->n_exports];
	char name[EXPORT_NAME_MAX], why[EXPORT_ERR_MAX];

	if (cfg->n_exports == EXPORTS_MAX)
		argp_failure(st, EXIT_USAGE, 0, "at most %u exports", EXPORTS_MAX);
	snprintf(name, sizeof(name), "export%u", cfg->n_exports + 1);
	export_cfg_init(e, name, why);
	cfg->n_exports++;
	return e;
}

static void add_export(struct argp_state *st, struct run_cfg *cfg, const char *url)
{
	struct export_cfg *e = new_export(st, cfg);
	char why[EXPORT_ERR_MAX];

	if (export_cfg_url(e, url, why) || export_cfg_check(e, why))
		argp_failure(st, EXIT_USAGE, 0, "--export: %s", why);
}

static void add_stdout(struct argp_state *st, struct run_cfg *cfg, const char *format)
{
	struct export_cfg *e = new_export(st, cfg);
	char why[EXPORT_ERR_MAX];

	export_cfg_init(e, "stdout", why);
	export_cfg_set(e, "type", "stdout", why);
	if (export_cfg_set(e, "format", format, why) || export_cfg_check(e, why))
		argp_failure(st, EXIT_USAGE, 0, "-o: %s", why);
}

static int parse_words(int key, char *arg, struct argp_state *st, struct run_cfg *cfg)
{
	int n;

	switch (key) {
	case OPT_HOOK:
		n = ONE_OF(arg, "auto", "xdp", "tc", "generic");
		if (n < 0)
			bad(st, "--hook", arg, "want auto, xdp, tc or generic");
		all.hook = n;
		return 0;
	case OPT_ROLE:
		n = ONE_OF(arg, "uplink", "veth", "mirror");
		if (n < 0)
			bad(st, "--role", arg, "want uplink, veth or mirror");
		all.role = n;
		return 0;
	case OPT_SUMMARY:
		cfg->summary_json = ONE_OF(arg, "text", "json");
		if (cfg->summary_json < 0)
			bad(st, "--summary", arg, "want text or json");
		return 0;
	case 'o':
		add_stdout(st, cfg, arg);
		return 0;
	case OPT_EXPORT:
		add_export(st, cfg, arg);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static error_t parse_option(int key, char *arg, struct argp_state *st)
{
	struct run_cfg *cfg = st->input;
	uint64_t depth;

	switch (key) {
	case 'i':
		add_iface(st, cfg, arg);
		break;
	case OPT_FLOWS:
		set_number(st, "--flows", arg, 64u << 20, &cfg->dp.flows);
		break;
	case OPT_SAMPLE:
		set_number(st, "--sample", arg, 1u << 20, &cfg->dp.sample);
		break;
	case OPT_DECAP:
		if (scan_u64(arg, 0, 4, &depth))
			bad(st, "--decap", arg, "want 0 to 4");
		cfg->dp.decap_depth = depth;
		break;
	case OPT_NO_NAMES:
		cfg->dp.names = false;
		break;
	case OPT_INTERVAL:
		set_time(st, "--drain-interval", arg, &cfg->interval_ns);
		break;
	case OPT_ACTIVE:
		set_time(st, "--active-timeout", arg, &cfg->active_ns);
		break;
	case OPT_IDLE:
		set_time(st, "--idle-timeout", arg, &cfg->idle_ns);
		break;
	case OPT_SYN:
		set_time(st, "--syn-timeout", arg, &cfg->syn_ns);
		break;
	case OPT_DURATION:
		set_time(st, "--duration", arg, &cfg->duration_ns);
		break;
	case ARGP_KEY_ARG:
		argp_failure(st, EXIT_USAGE, 0, "'%s' is not an option — see 'weir run --help'",
			     arg);
		break;
	case ARGP_KEY_END:
		if (!cfg->ifaces)
			argp_failure(st, EXIT_USAGE, 0, "which interface? give -i IFACE");
		for (unsigned int i = 0; i < cfg->ifaces; i++) {
			cfg->iface[i].role = all.role;
			cfg->iface[i].hook = all.hook;
		}
		if (!cfg->n_exports)
			add_stdout(st, cfg, "table");
		break;
	default:
		return parse_words(key, arg, st, cfg);
	}
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = parse_option,
	.doc = "Attach to interfaces, count every packet of every flow, read names, print flows.\v"
	       "Examples:\n"
	       "  weir run -i eth0\n"
	       "  weir run -i eth0 -o json --idle-timeout 30s > flows.ndjson\n"
	       "  weir run -i eth1 --role mirror\n"
	       "Ctrl-C writes what is left, detaches and prints a summary.",
};

int cmd_run(int argc, char **argv)
{
	static struct run_cfg cfg = {
		.interval_ns = NS_PER_S,
		.active_ns = 60 * NS_PER_S,
		.idle_ns = 15 * NS_PER_S,
		.syn_ns = 5 * NS_PER_S,
	};

	cfg.dp = dataplane_cfg_default;
	argp_err_exit_status = EXIT_USAGE;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &cfg))
		return EXIT_USAGE;
	cfg.dp.idle_ns = cfg.idle_ns;
	return core_run(&cfg);
}
