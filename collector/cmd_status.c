// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_status.c - `weir-collector status`: exporters, what is lost and why, the store, queries. Rates
 * are of two answers, a second apart.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/command.h"
#include "collector/endpoint/client.h"
#include "common/scan.h"
#include "common/units.h"

enum { OPT_OUTPUT = 1 };

static const struct cli_option options[] = {
	{OPT_OUTPUT, 'o', "output", "FORMAT", "table|json", "table", "format on standard output"},
	{},
};

static int cmd_status(int argc, char **argv);

const struct cli_command collector_command_status = {
	.name = "status",
	.help = "exporters with their rates and losses, the store, queries",
	.doc = "Asks the running collector twice, a second apart, for the rates.",
	.options = options,
	.more = client_where_options,
	.examples = "weir-collector status\n"
		    "weir-collector status -o json\n",
	.run = cmd_status,
};

static uint64_t number(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static int ask(struct client *c, json_t **ret)
{
	int rc = client_send(c, json_pack("{s:i,s:s}", "v", 1, "command", "status")), fd, r;

	if (rc)
		return rc;
	do
		r = client_line(c, ret, &fd);
	while (r == -EINTR);
	if (!r && !strcmp(text(*ret, "type"), "status"))
		return 0;
	fprintf(stderr, "weir-collector: %s\n",
		r ? "the collector has gone" : text(*ret, "message"));
	if (!r)
		json_decref(*ret);
	return EXIT_PEER;
}

/* ---- table ---- */

static uint64_t sum(const json_t *counts)
{
	const char *key;
	uint64_t n = 0;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)counts, key, v)
		n += (uint64_t)json_integer_value(v);
	return n;
}

/* " no_template 12, sequence 3": what is not 0. */
static void put_reasons(const char *what, const json_t *counts)
{
	const char *key, *sep = "";
	char n[UNITS_TEXT];
	json_t *v;

	if (!json_object_size(counts))
		return;
	printf("    %s: ", what);
	json_object_foreach((json_t *)(uintptr_t)counts, key, v)
	{
		printf("%s%s %s", sep, key, units_grouped((uint64_t)json_integer_value(v), n));
		sep = ", ";
	}
	putchar('\n');
}

static const json_t *before(const json_t *status, const json_t *e)
{
	const json_t *list = json_object_get(status, "exporters");
	json_t *x;
	size_t i;

	json_array_foreach(list, i, x)
	{
		if (!strcmp(text(x, "address"), text(e, "address")) &&
		    number(x, "domain") == number(e, "domain"))
			return x;
	}
	return NULL;
}

static uint64_t us_of(const json_t *o, const char *key)
{
	uint64_t us = 0;

	return scan_time_us(text(o, key), &us) ? 0 : us;
}

/* How much the collector's clock is ahead of an exporter's that tells its time. */
static const char *clock_text(const json_t *skew_us, char to[static UNITS_TEXT])
{
	if (!skew_us)
		return "-";
	snprintf(to, UNITS_TEXT, "%" PRId64 " ms", (int64_t)json_integer_value(skew_us) / 1000);
	return to;
}

static void put_exporter(const json_t *was, const json_t *now, const json_t *e)
{
	const json_t *old = before(was, e), *counts = json_object_get(e, "counts");
	const uint64_t us = us_of(now, "time") - us_of(was, "time");
	const uint64_t records = number(counts, "records");
	const uint64_t more =
		records - (old ? number(json_object_get(old, "counts"), "records") : 0);
	char total[UNITS_TEXT], rate[UNITS_TEXT], lost[UNITS_TEXT], seen[UNITS_TEXT];
	char domain[16], clock[UNITS_TEXT];
	const uint64_t age = us_of(now, "time") - us_of(e, "seen");

	snprintf(domain, sizeof(domain), "%" PRIu64, number(e, "domain"));
	printf("%-24.24s %-10s %14s %10s %10s %11s %7s\n",
	       *text(e, "name") ? text(e, "name") : text(e, "address"), domain,
	       units_grouped(records, total), units_si(us ? more * 1000000 / us : 0, rate),
	       units_grouped(sum(json_object_get(e, "lost")), lost),
	       clock_text(json_object_get(e, "skew_us"), clock),
	       units_duration(age < INT64_MAX / 1000 ? age * 1000 : 0, seen));
	if (number(e, "sampling") > 1)
		printf("    sampling: 1 packet in %s\n",
		       units_grouped(number(e, "sampling"), total));
	put_reasons("lost", json_object_get(e, "lost"));
	put_reasons("malformed", json_object_get(e, "malformed"));
}

static void put_store(const json_t *s)
{
	char rows[UNITS_TEXT], bytes[UNITS_TEXT], pending[UNITS_TEXT];
	const json_t *days = json_object_get(s, "days_left");

	printf("store: %s flows, %sB in %" PRIu64 " partitions, %s not durable yet",
	       units_grouped(number(s, "rows"), rows), units_si(number(s, "bytes"), bytes),
	       number(s, "partitions"), units_grouped(number(s, "pending"), pending));
	if (days)
		printf(", %.1f days left", json_number_value(days));
	if (*text(s, "first"))
		printf(", since %.16s", text(s, "first"));
	putchar('\n');
	if (number(s, "damaged"))
		printf("    ! %" PRIu64 " damaged partitions left out\n", number(s, "damaged"));
}

static void put_enrich(const json_t *e)
{
	char names[UNITS_TEXT];

	printf("known of addresses: ");
	if (json_is_true(json_object_get(e, "sites")))
		printf("sites, ");
	if (*text(e, "asn_built"))
		printf("systems of %.10s, ", text(e, "asn_built"));
	if (*text(e, "country_built"))
		printf("countries of %.10s, ", text(e, "country_built"));
	printf("%s names learnt\n", units_grouped(number(e, "names"), names));
	if (number(e, "errors"))
		printf("    ! %" PRIu64 " lookups failed: a database is damaged\n",
		       number(e, "errors"));
}

static void put_feeds(const json_t *feeds)
{
	for (size_t i = 0; i < json_array_size(feeds); i++) {
		const json_t *x = json_array_get(feeds, i);

		if (*text(x, "why"))
			printf("    ! feed of @%s: %s; its %" PRIu64 " values stay\n",
			       text(x, "list"), text(x, "why"), number(x, "values"));
	}
}

static void put_packs(const json_t *packs)
{
	for (size_t i = 0; i < json_array_size(packs); i++) {
		const json_t *x = json_array_get(packs, i);

		if (json_is_true(json_object_get(x, "tainted")))
			printf("    ! pack %s %s is tainted: %s\n", text(x, "name"),
			       text(x, "version"), text(x, "why"));
	}
}

static void put_eve(const json_t *e)
{
	const json_t *list = json_object_get(e, "sources");
	char alerts[UNITS_TEXT], joined[UNITS_TEXT], kept[UNITS_TEXT];
	json_t *s;
	size_t i;

	json_array_foreach(list, i, s)
	{
		const json_t *counts = json_object_get(s, "counts");

		printf("alerts of %s: %s, %s of them in flows\n", text(s, "source"),
		       units_grouped(number(counts, "alerts"), alerts),
		       units_grouped(number(counts, "joined"), joined));
		put_reasons("lost", json_object_get(s, "lost"));
		put_reasons("malformed", json_object_get(s, "malformed"));
	}
	if (i)
		printf("    %s alerts wait for their flows, %s flows of the last %.0f s for alerts\n",
		       units_grouped(number(e, "waiting"), alerts),
		       units_grouped(number(e, "remembered"), kept),
		       (double)number(e, "remembered_ms") / 1e3);
}

static void put_rules(const json_t *r, const json_t *alerts)
{
	const json_t *lost = json_object_get(r, "lost"), *errors = json_object_get(r, "errors");
	char flows[UNITS_TEXT], missed[UNITS_TEXT];
	json_t *x;
	size_t i;

	printf("rules: %" PRIu64 " at work, %s flows seen; alerts: %" PRIu64 " firing, %" PRIu64
	       " of them acknowledged, %" PRIu64 " silenced\n",
	       number(r, "rules"), units_grouped(number(r, "flows"), flows),
	       number(alerts, "firing"), number(alerts, "acknowledged"),
	       number(alerts, "silenced"));
	if (sum(lost))
		printf("    ! %s flows not seen: the rules were too slow for them, or out of memory\n",
		       units_grouped(sum(lost), missed));
	if (number(alerts, "lost"))
		printf("    ! %s alerts lost: more came than could be written\n",
		       units_grouped(number(alerts, "lost"), missed));
	json_array_foreach(errors, i, x) printf("    ! not taken over: %s\n", json_string_value(x));
	put_feeds(json_object_get(r, "feeds"));
	put_packs(json_object_get(r, "packs"));
}

static void put_channels(const json_t *list)
{
	char sent[UNITS_TEXT], waiting[UNITS_TEXT], lost[UNITS_TEXT];
	json_t *c;
	size_t i;

	json_array_foreach(list, i, c)
	{
		printf("channel %s: %s events told, %s waiting\n", text(c, "name"),
		       units_grouped(number(c, "sent"), sent),
		       units_grouped(number(c, "waiting"), waiting));
		if (json_is_true(json_object_get(c, "down")))
			printf("    ! not told: %s\n", text(c, "said"));
		if (number(c, "lost") + number(c, "refused"))
			printf("    ! %s events given up or refused\n",
			       units_grouped(number(c, "lost") + number(c, "refused"), lost));
	}
}

/* Not of one exporter: datagrams that a socket had no room for, and whose octets nobody has seen. */
static void put_listeners(const json_t *list)
{
	char drops[UNITS_TEXT], in[UNITS_TEXT];
	json_t *l;
	size_t i;

	json_array_foreach(list, i, l)
	{
		if (number(l, "kernel_drops"))
			printf("    ! port %" PRIu64
			       ": %s datagrams came, %s more had no room in the "
			       "socket\n",
			       number(l, "port"), units_grouped(number(l, "datagrams"), in),
			       units_grouped(number(l, "kernel_drops"), drops));
	}
}

static void put_table(const json_t *was, const json_t *now)
{
	const json_t *list = json_object_get(now, "exporters"),
		     *q = json_object_get(now, "queries");
	char uptime[UNITS_TEXT];
	json_t *e;
	size_t i;

	printf("%-24s %-10s %14s %10s %10s %11s %7s\n", "EXPORTER", "DOMAIN", "RECORDS",
	       "RECORDS/S", "LOST", "CLOCK", "SEEN");
	json_array_foreach(list, i, e) put_exporter(was, now, e);
	if (!i)
		puts("(no exporter yet)");
	put_listeners(json_object_get(now, "listeners"));
	put_store(json_object_get(now, "store"));
	put_enrich(json_object_get(now, "enrich"));
	put_eve(json_object_get(now, "eve"));
	put_rules(json_object_get(now, "rules"), json_object_get(now, "alerts"));
	put_channels(json_object_get(now, "channels"));
	printf("queries: %" PRIu64 " done, %" PRIu64 " running, %" PRIu64 " failed, %" PRIu64
	       " cancelled; up %s\n",
	       number(q, "done"), number(q, "running"), number(q, "failed"), number(q, "cancelled"),
	       units_duration((us_of(now, "time") - us_of(now, "started")) * 1000, uptime));
}

static int show(struct client *c, bool json)
{
	const struct timespec second = {.tv_sec = 1};
	json_t *was, *now;
	int rc = ask(c, &was);

	if (rc)
		return rc;
	if (json) {
		json_dumpf(was, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(was);
		return 0;
	}
	nanosleep(&second, NULL);
	rc = ask(c, &now);
	if (!rc) {
		put_table(was, now);
		json_decref(now);
	}
	json_decref(was);
	return rc;
}

static int cmd_status(int argc, char **argv)
{
	struct cli c = {.cmd = &collector_command_status, .argc = argc, .argv = argv};
	struct client_at at = {};
	struct client *client;
	bool json = false;
	int id, rc;

	while ((id = cli_next(&c)) != CLI_END) {
		if (id == CLI_STOP)
			return c.status;
		if (id == OPT_OUTPUT)
			json = !strcmp(c.arg, "json");
		else
			client_where_option(&at, id, c.arg);
	}
	rc = client_connect(&at, &client);
	if (rc)
		return rc;
	if (!client) {
		fputs("weir-collector: no collector is running here — 'weir-collector serve' starts one; "
		      "--socket names another\n",
		      stderr);
		return EXIT_PEER;
	}
	rc = show(client, json);
	client_free(client);
	return rc;
}
