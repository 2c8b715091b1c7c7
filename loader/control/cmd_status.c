// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_status.c - `weir status`: what the running weir is on, how much goes over it, what is missing,
 * and how its exports are. Rates are of the last drain interval, so it takes up to two of them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/scan.h"
#include "common/term.h"
#include "common/units.h"
#include "loader/command.h"
#include "loader/control/client.h"
#include "loader/control/control.h"
#include "loader/control/counters.h"
#include "loader/control/privileges.h"

#define NS_PER_S      UINT64_C(1000000000)
#define RULES_SHOWN   10u
#define SOURCES_SHOWN 10u

enum { OPT_OUTPUT = 1 };

static const struct cli_option options[] = {
	{OPT_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "format on standard output"},
	{},
};

static int cmd_status(int argc, char **argv);

const struct cli_command command_status = {
	.name = "status",
	.help = "what the running weir is on, what it has lost, how its exports are",
	.options = options,
	.more = client_options,
	.examples = "weir status\n"
		    "weir status -o json | jq .exports\n",
	.run = cmd_status,
};

static const char *text_of(const json_t *o, const char *member)
{
	const char *s = json_string_value(json_object_get(o, member));

	return s ?: "";
}

static uint64_t number_of(const json_t *o, const char *member)
{
	const json_int_t v = json_integer_value(json_object_get(o, member));

	return v > 0 ? (uint64_t)v : 0;
}

/* Time from member @from of @o to the answer's own "now". */
static const char *age(const json_t *status, const json_t *o, const char *from, char *buf)
{
	uint64_t now, then;

	if (scan_time_us(text_of(status, "now"), &now) || scan_time_us(text_of(o, from), &then) ||
	    then > now)
		return "-";
	return units_duration((now - then) * 1000, buf);
}

static int widest(const json_t *list, const char *member, const char *title)
{
	size_t width = strlen(title), i;
	json_t *o;

	json_array_foreach(list, i, o)
	{
		const size_t n = strlen(text_of(o, member));

		width = n > width ? n : width;
	}
	return (int)width;
}

static void print_ifaces(const json_t *status)
{
	const json_t *list = json_object_get(status, "interfaces");
	const int name = widest(list, "name", "IFACE"), mode = widest(list, "mode", "MODE");
	char packets[UNITS_TEXT], bits[UNITS_TEXT], flows[UNITS_TEXT], since[UNITS_TEXT];
	json_t *o;
	size_t i;

	printf("%-*s  %-*s  %-6s  %14s  %9s  %9s  %6s\n", name, "IFACE", mode, "MODE", "ROLE",
	       "PACKETS", "BITS/S", "FLOWS", "SINCE");
	json_array_foreach(list, i, o)
	{
		printf("%-*s  %-*s  %-6s  %14s  %9s  %9s  %6s\n", name, text_of(o, "name"), mode,
		       text_of(o, "mode"), text_of(o, "role"),
		       units_grouped(number_of(o, "packets"), packets),
		       units_si(number_of(o, "bps"), bits),
		       units_grouped(number_of(o, "flows"), flows), age(status, o, "since", since));
	}
	if (!json_array_size(list))
		puts("(no interface)");
}

static uint64_t class_sum(const json_t *counters, const char *class)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < counter_rows_n; i++)
		if (!strcmp(counter_rows[i].class, class) && !strstr(counter_rows[i].name, "bytes"))
			sum += number_of(counters, counter_rows[i].name);
	return sum;
}

/* "12 (eth_truncated 9, ip4_ihl 3)" */
static void print_class(FILE *f, const json_t *counters, const char *class)
{
	char buf[UNITS_TEXT];
	const char *sep = " (";

	fputs(units_grouped(class_sum(counters, class), buf), f);
	for (unsigned int i = 0; i < counter_rows_n; i++) {
		const uint64_t v = number_of(counters, counter_rows[i].name);

		if (!v || strcmp(counter_rows[i].class, class) != 0 ||
		    strstr(counter_rows[i].name, "bytes"))
			continue;
		fprintf(f, "%s%s %s", sep, counter_rows[i].name, units_grouped(v, buf));
		sep = ", ";
	}
	if (*sep == ',')
		fputc(')', f);
}

static void print_flows(FILE *f, const json_t *status)
{
	const json_t *flows = json_object_get(status, "flows");
	const json_t *counters = json_object_get(status, "counters");
	const uint64_t live = number_of(flows, "live"), room = number_of(flows, "capacity");
	char a[UNITS_TEXT], b[UNITS_TEXT];

	fprintf(f, "flows %s of %s (%.1f %%)", units_grouped(live, a), units_grouped(room, b),
		room ? 100.0 * (double)live / (double)room : 0);
	fprintf(f, ", %s records", units_grouped(number_of(flows, "records"), a));
	fprintf(f, ", running %s\n", age(status, status, "since", a));
	fputs("packets lost ", f);
	print_class(f, counters, "LOST");
	fputs(", not parsed ", f);
	print_class(f, counters, "SKIPPED");
	if (number_of(flows, "elsewhere_packets"))
		fprintf(f, ", counted on another interface %s",
			units_grouped(number_of(flows, "elsewhere_packets"), a));
	if (number_of(flows, "copied_packets"))
		fprintf(f, ", copies %s", units_grouped(number_of(flows, "copied_packets"), a));
	fputc('\n', f);
}

/* "source 192.0.2.7 erspan 5: 1,000 packets, 13 of 1,013 lost (1.28 %), 1 restart", the worst first. */
static void print_source(FILE *f, const json_t *o)
{
	const uint64_t sent = number_of(o, "sent"), lost = number_of(o, "lost"),
		       restarts = number_of(o, "restarts");
	char a[UNITS_TEXT], b[UNITS_TEXT];

	if (json_object_get(o, "src"))
		fprintf(f, "source %s %s %" PRIu64, text_of(o, "src"), text_of(o, "type"),
			number_of(o, "vni"));
	else
		fputs("other sources", f);
	fprintf(f, ": %s packets", units_grouped(number_of(o, "packets"), a));
	if (json_object_get(o, "why")) {
		fprintf(f, ", loss unknown: %s\n", text_of(o, "why"));
		return;
	}
	fprintf(f, ", %s of %s lost (%.2f %%)", units_grouped(lost, a), units_grouped(sent, b),
		sent ? 100.0 * (double)lost / (double)sent : 0);
	if (restarts)
		fprintf(f, ", %s restart%s", units_grouped(restarts, a), restarts == 1 ? "" : "s");
	fputc('\n', f);
}

static void print_sources(FILE *f, const json_t *status)
{
	const json_t *list = json_object_get(status, "sources");
	const size_t n = json_array_size(list);
	const uint64_t more = number_of(status, "sources_not_shown") +
			      (n > SOURCES_SHOWN ? n - SOURCES_SHOWN : 0);
	char buf[UNITS_TEXT];

	for (size_t i = 0; i < n && i < SOURCES_SHOWN; i++)
		print_source(f, json_array_get(list, i));
	if (more)
		fprintf(f, "and %s more sources: 'weir status -o json' has %zu of them\n",
			units_grouped(more, buf), n > SOURCES_SHOWN ? n - SOURCES_SHOWN : 0);
}

/* Said where it matters: --pin keeps everything else over a kill. */
static void print_pin(FILE *f, const json_t *status)
{
	const uint64_t n = number_of(json_object_get(status, "pin"), "unguarded");
	char buf[UNITS_TEXT];

	if (n)
		fprintf(f,
			"pin ! %s records so far were more than it keeps for exports that are behind: a "
			"kill then would have lost them\n",
			units_grouped(n, buf));
}

static void print_losses(FILE *f, const json_t *export)
{
	const char *sep = " (";
	char buf[UNITS_TEXT];
	const char *why;
	json_t *n;

	fprintf(f, ", %s lost", units_grouped(number_of(export, "lost"), buf));
	json_object_foreach(json_object_get(export, "lost_by"), why, n)
	{
		fprintf(f, "%s%s %s", sep, why,
			units_grouped((uint64_t)json_integer_value(n), buf));
		sep = ", ";
	}
	if (*sep == ',')
		fputc(')', f);
}

static void print_exports(FILE *f, const json_t *status)
{
	char buf[UNITS_TEXT];
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(status, "exports"), i, o)
	{
		const char *name = text_of(o, "name"), *target = text_of(o, "target");
		const bool is_named = strncmp(target, "stdout:", 7) != 0;

		fprintf(f, "export %s%s%s: %s records", name, is_named ? " " : "",
			is_named ? target : "", units_grouped(number_of(o, "records"), buf));
		print_losses(f, o);
		if (number_of(o, "waiting"))
			fprintf(f, ", %s waiting", units_grouped(number_of(o, "waiting"), buf));
		if (number_of(o, "spool_bytes"))
			fprintf(f, ", %sB in the spool",
				units_si(number_of(o, "spool_bytes"), buf));
		if (json_object_get(o, "last_ok"))
			fprintf(f, ", last %s ago", age(status, o, "last_ok", buf));
		if (!json_is_true(json_object_get(o, "connected")))
			fputs(" ! not connected", f);
		if (json_object_get(o, "last_error"))
			fprintf(f, " ! %s", text_of(o, "last_error"));
		fputc('\n', f);
	}
}

/* "  rule soc/ssh-scan drop: 12 packets, 720 B, 12 flows, last 3s ago", of those that have hit. */
static void print_rules(FILE *f, const json_t *status, const json_t *rules)
{
	char packets[UNITS_TEXT], bytes[UNITS_TEXT], flows[UNITS_TEXT], last[UNITS_TEXT];
	unsigned int more = 0, shown = 0;
	json_t *o;
	size_t i;

	json_array_foreach(rules, i, o)
	{
		const bool shadow = json_is_true(json_object_get(o, "shadow")) ||
				    !number_of(o, "packets");

		if (!json_object_get(o, "last"))
			continue;
		if (shown++ >= RULES_SHOWN) {
			more++;
			continue;
		}
		fprintf(f, "  rule %s/%s %s: %s%s packets, %sB, %s flows, last %s ago\n",
			text_of(o, "issuer"), text_of(o, "rule"), text_of(o, "action"),
			shadow ? "would have been " : "",
			units_grouped(number_of(o, shadow ? "would_packets" : "packets"), packets),
			units_si(number_of(o, shadow ? "would_bytes" : "bytes"), bytes),
			units_grouped(number_of(o, shadow ? "would_flows" : "flows"), flows),
			age(status, o, "last", last));
	}
	if (more)
		fprintf(f, "  and %u more: 'weir policy show'\n", more);
}

static void print_policy(FILE *f, const json_t *status)
{
	const json_t *p = json_object_get(status, "policy");
	char rules[UNITS_TEXT], decisions[UNITS_TEXT], dropped[UNITS_TEXT];

	if (!p || (!number_of(p, "rules") && !number_of(p, "dropped")))
		return;
	fprintf(f, "policy %s rules, %s decisions, %s packets dropped",
		units_grouped(number_of(p, "rules"), rules),
		units_grouped(number_of(p, "decisions"), decisions),
		units_grouped(number_of(p, "dropped"), dropped));
	if (json_is_true(json_object_get(p, "stopped")))
		fputs(" ! stopped: 'weir panic --off' enforces again", f);
	else if (json_is_true(json_object_get(p, "breaker")))
		fputs(" ! the breaker has acted, rules only count: 'weir panic --off'", f);
	else if (!json_is_true(json_object_get(p, "lease")))
		fputs(" ! no lease: nothing is enforced", f);
	fputc('\n', f);
	print_rules(f, status, json_object_get(p, "by_rule"));
}

/* "disk 1.2 GB of 10 GB in 40 files, from 2h14m ago, 3 packets lost", and what is wrong. */
static void print_disk(FILE *f, const json_t *status)
{
	const json_t *d = json_object_get(status, "disk"), *r = json_object_get(status, "recorder");
	const uint64_t missing = number_of(d, "lost") + number_of(d, "unwritten");
	char kept[UNITS_TEXT], quota[UNITS_TEXT], files[UNITS_TEXT], from[UNITS_TEXT],
		n[UNITS_TEXT];

	if (number_of(d, "quota")) {
		fprintf(f, "disk %sB of %sB in %s files, from %s ago, %s packets lost",
			units_si(number_of(d, "kept_bytes"), kept),
			units_si(number_of(d, "quota"), quota),
			units_grouped(number_of(d, "kept_files"), files),
			age(status, d, "oldest", from), units_grouped(missing, n));
		if (number_of(d, "failed"))
			fprintf(f, " ! the disk did not take %s packets: the log says why",
				units_grouped(number_of(d, "unwritten"), n));
		fputc('\n', f);
	}
	if (number_of(r, "restarts"))
		fprintf(f, "recorder ! has died %s times: %s; the log says how\n",
			units_grouped(number_of(r, "restarts"), n),
			number_of(r, "pid") ? "another one took its place" : "nothing is recorded");
}

/* ---- what its processes may do: the kernel is asked, not weir ---- */

static json_t *capability_names(uint64_t set)
{
	json_t *list = json_array();
	const char *name;

	for (unsigned int i = 0; (name = privileges_capability(set, i)); i++)
		json_array_append_new(list, json_string(name));
	return list;
}

static void add_processes(json_t *status, const struct privileges *p)
{
	json_t *list = json_array();

	for (int i = 0; i < _PRIVILEGES_MAX; i++)
		json_array_append_new(
			list,
			json_pack("{s:s,s:i,s:i,s:o,s:o,s:b,s:b}", "process", privileges_process[i],
				  "pid", (int)p[i].pid, "uid", (int)p[i].is.uid, "capabilities",
				  capability_names(p[i].is.effective), "bounding",
				  capability_names(p[i].is.bounding), "seccomp", p[i].is.filtered,
				  "no_new_privileges", p[i].is.no_new_privileges));
	json_object_set_new(status, "processes", list);
}

static void print_configuration(FILE *f, const json_t *status)
{
	char ago[UNITS_TEXT];

	if (json_is_true(json_object_get(status, "starting")))
		fputs("starting: programs are being loaded, interfaces attached\n", f);
	if (json_object_get(status, "reload_refused"))
		fprintf(f,
			"configuration ! the reload %s ago found a mistake in it: the settings are as "
			"they were; 'weir config check' says where\n",
			age(status, status, "reload_refused", ago));
}

static void print_processes(FILE *f, const struct privileges *p)
{
	const char *excess = privileges_excess(p);
	char text[PRIVILEGES_TEXT];

	for (int i = 0; i < _PRIVILEGES_MAX; i++)
		fprintf(f, "%s %d: %s\n", privileges_process[i], (int)p[i].pid,
			privileges_text(&p[i], text));
	if (excess)
		fprintf(f, "privileges ! %s\n", excess);
}

static int print_json(json_t *status)
{
	json_object_del(status, "type");
	if (json_dumpf(status, stdout, JSON_COMPACT))
		return EXIT_FAILED;
	putchar('\n');
	return EXIT_OK;
}

/* Lines about everything but the interfaces, as wide as the terminal. */
static int print_lines(const json_t *status, const struct privileges *p)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return EXIT_FAILED;
	print_configuration(f, status);
	print_flows(f, status);
	print_sources(f, status);
	print_pin(f, status);
	print_policy(f, status);
	print_disk(f, status);
	print_exports(f, status);
	if (p && !json_is_true(json_object_get(status, "starting")))
		print_processes(f, p);
	if (!fclose(f))
		term_wrap(stdout, text, term_columns(STDOUT_FILENO, 0), 2);
	free(text);
	return EXIT_OK;
}

/* @p: NULL: /proc does not say. */
static int print_status(json_t *status, const char *format, const struct privileges *p)
{
	if (!strcmp(format, "json")) {
		if (p)
			add_processes(status, p);
		return print_json(status);
	}
	counter_rows_init();
	print_ifaces(status);
	return print_lines(status, p);
}

static int cmd_status(int argc, char **argv)
{
	struct cli c = {.cmd = &command_status, .argc = argc, .argv = argv};
	struct privileges p[_PRIVILEGES_MAX];
	struct client_where where = {};
	const char *format = "table";
	struct control_client client = {};
	json_t *status = NULL;
	int id, r, rc;

	while ((id = cli_next(&c)) > 0) {
		if (!client_option(&where, id, c.arg))
			format = c.arg;
	}
	if (id == CLI_STOP)
		return c.status;
	if (id == CLI_OPERAND)
		return cli_error(&c, "'%s': what for?", c.arg);
	rc = client_open(&where, &client);
	rc = rc
		     ?: client_ask(&client, json_pack("{s:i,s:s}", "v", (int)CONTROL_VERSION,
						      "command", "status"));
	r = rc ? 0 : client_next(&client, true, &status);
	if (r < 0) {
		rc = client_lost(r);
	} else if (!rc && !strcmp(client_type(status), "error")) {
		rc = client_refused(status);
	} else if (!rc) {
		rc = print_status(status, format, privileges_read(client.fd, p) ? NULL : p);
	}
	json_decref(status);
	client_close(&client);
	return rc;
}
