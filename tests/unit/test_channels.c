// SPDX-License-Identifier: Apache-2.0
/*
 * test_channels.c - events on their way out of control.db: in order, each once, kept over a restart, the oldest
 * given up and counted where too many wait; which channel is told what; the forms' escapes; sections [channel].
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "collector/notify/notifier.h"

static char dir[] = "/tmp/weir-channels.XXXXXX";
static struct channel_cfg cfg[2];
static struct channel_set set;
static struct notifier *notifier;

static const char *path(const char *name)
{
	static char text[100];

	snprintf(text, sizeof(text), "%s/%s", dir, name);
	return text;
}

/* Return: what is wrong with the section, or "". */
static const char *read_channel(const char *text, struct channel_cfg *ret)
{
	static struct config_errors errs;
	struct config *c;

	errs.count = 0;
	cr_assert(eq(int, config_parse(text, strlen(text), &c, &errs), 0));
	channel_done(ret);
	if (channel_read(c, &c->sections[0], ret, &errs))
		cr_assert(ne(u32, errs.count, 0));
	config_free(c);
	return errs.count ? errs.list[0].text : "";
}

static void begin(void)
{
	cr_assert(mkdtemp(dir) != NULL);
	set.v = cfg;
}

static void end(void)
{
	static const char *const names[] = {"control.db", "control.db-wal", "control.db-shm",
					    "a.json", "b.json"};

	notifier_close(notifier);
	channel_done(&cfg[0]);
	channel_done(&cfg[1]);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(path(names[i])); /* not all tests make all of them */
	rmdir(dir);
}

TestSuite(channels, .init = begin, .fini = end, .timeout = 600);

static void open_notifier(uint64_t most)
{
	const struct notifier_cfg c = {.dir = dir, .channels = &set, .most = most};
	char error[DB_ERROR] = "";

	cr_assert(eq(int, notifier_open(&c, error, &notifier), 0), "%s", error);
}

/* As the book does it. */
static void put(unsigned int n, enum notice_kind kind, const char *severity)
{
	char error[DB_ERROR], text[64];
	int64_t last = 0;
	struct db *d;

	cr_assert(eq(int, db_open(path("control.db"), error, &d), 0), "%s", error);
	cr_assert(eq(int, db_run(d, "BEGIN IMMEDIATE", ""), 0));
	for (unsigned int i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "{\"rule\":\"r%u\",\"id\":%u}", i, i + 1);
		cr_assert(eq(
			int,
			db_run(d,
			       "INSERT INTO notice (at_us, kind, severity, json) VALUES (?, ?, ?, ?)",
			       "iiit", INT64_C(1700000000000000), (int64_t)kind,
			       (int64_t)notice_severity_of(severity), text),
			0));
		last = db_last_id(d);
	}
	cr_assert(eq(int, db_run(d, "COMMIT", ""), 0));
	db_close(d);
	notifier_wake(notifier, last);
}

static void take_stats(void *arg, const struct notifier_stats *st)
{
	struct notifier_stats *all = arg;

	all[st->name[0] - 'a'] = *st;
}

static struct notifier_stats stats_of(char name)
{
	struct notifier_stats all[2] = {};

	notifier_each(notifier, take_stats, all);
	return all[name - 'a'];
}

/* Until a channel has told so many. */
static bool told(char name, uint64_t n)
{
	const struct timespec wait = {.tv_nsec = 10000000};

	for (unsigned int i = 0; i < 6000 && stats_of(name).sent < n; i++)
		nanosleep(&wait, NULL);
	return stats_of(name).sent == n && !stats_of(name).waiting;
}

/* Ids of events in a file are in order, each once. Return: how many. */
static uint32_t lines_in_order(const char *name)
{
	FILE *in = fopen(path(name), "r");
	json_int_t last = 0, id;
	uint32_t n = 0;
	json_t *j;

	cr_assert(in != NULL);
	while ((j = json_loadf(in, JSON_DISABLE_EOF_CHECK, NULL))) {
		id = json_integer_value(json_object_get(j, "event_id"));
		cr_assert(gt(i64, id, last));
		last = id;
		n++;
		json_decref(j);
	}
	fclose(in);
	return n;
}

static void file_channel(unsigned int at, const char *more)
{
	char text[400];

	snprintf(text, sizeof(text), "[channel %c]\nurl = file://%s/%c.json\nformat = json\n%s",
		 'a' + at, dir, 'a' + at, more);
	cr_assert(eq(str, (char *)read_channel(text, &cfg[at]), ""));
	set.n = at + 1;
}

Test(channels, events_are_told_in_order_each_once)
{
	file_channel(0, "");
	open_notifier(100000);
	put(1000, NOTICE_ALERT_FIRING, "high");
	cr_assert(told('a', 1000));
	put(1, NOTICE_ALERT_RESOLVED, "high");
	cr_assert(told('a', 1001));
	cr_assert(eq(u32, lines_in_order("a.json"), 1001));
	cr_assert(zero(u64, stats_of('a').lost));
}

Test(channels, each_is_told_what_it_wants)
{
	file_channel(0, "severity = high\n");
	file_channel(1, "events = decisions\n");
	open_notifier(100000);
	put(3, NOTICE_ALERT_FIRING, "low");
	put(5, NOTICE_ALERT_FIRING, "critical");
	put(7, NOTICE_DECISION_ACTIVE, NULL);
	cr_assert(told('a', 5));
	cr_assert(told('b', 7));
	cr_assert(eq(u32, lines_in_order("a.json"), 5));
	cr_assert(eq(u32, lines_in_order("b.json"), 7));
}

Test(channels, what_waits_is_there_after_a_restart_and_the_oldest_are_counted)
{
	struct notifier_stats st;

	/* a directory is where its file should be: nothing can be told */
	cr_assert(eq(int, mkdir(path("a.json"), 0700), 0));
	file_channel(0, "retry = 1s\n");
	open_notifier(100);
	put(250, NOTICE_ALERT_FIRING, "low");
	for (unsigned int i = 0; i < 6000 && (stats_of('a').lost < 150 || !stats_of('a').failed);
	     i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	st = stats_of('a');
	cr_assert(eq(u64, st.lost, 150));
	cr_assert(eq(u64, st.waiting, 100));
	cr_assert(zero(u64, st.sent));
	notifier_close(notifier);
	cr_assert(eq(int, rmdir(path("a.json")), 0));
	open_notifier(100);
	cr_assert(told('a', 100));
	cr_assert(eq(u32, lines_in_order("a.json"), 100));
}

Test(channels, a_line_that_was_cut_off_stays_alone)
{
	FILE *out = fopen(path("a.json"), "w");
	char text[64];

	fputs("{\"event_id\":0", out);
	fclose(out);
	file_channel(0, "");
	open_notifier(100);
	put(1, NOTICE_ALERT_FIRING, "low");
	cr_assert(told('a', 1));
	out = fopen(path("a.json"), "r");
	cr_assert(fgets(text, sizeof(text), out) != NULL);
	cr_assert(eq(str, text, "{\"event_id\":0\n"));
	cr_assert(eq(int, fgetc(out), '{'));
	fclose(out);
}

/* ---- forms ---- */

static const char *form(enum channel_format f, const char *json)
{
	static char text[4096];
	const struct notice_from from = {.host = "here", .pid = 7, .facility = 4};
	const struct notice n = {.id = 9,
				 .at_us = 1700000000000000,
				 .kind = NOTICE_ALERT_FIRING,
				 .severity = SEVERITY_CRITICAL,
				 .json = json_loads(json, 0, NULL)};
	FILE *out = fmemopen(text, sizeof(text), "w");

	cr_assert(n.json != NULL && out != NULL);
	notice_line(out, f, &from, &n);
	cr_assert(eq(int, fclose(out), 0));
	json_decref(n.json);
	return text;
}

#define ODD \
	"{\"rule\":\"r]\",\"annotations\":{\"summary\":\"a|b=c\\\\d\\n]\\\"\"},\"src\":{\"ip\":\"2001:db8::1\"}}"

Test(channels, syslog_has_its_escapes)
{
	cr_assert(eq(
		str, (char *)form(FORMAT_SYSLOG, ODD),
		"<34>1 2023-11-14T22:13:20.000000Z here weir-collector 7 alert.firing [weir@32473 "
		"event=\"9\" rule=\"r\\]\" severity=\"critical\" src=\"2001:db8::1\"] a|b=c\\d ]\""));
}

Test(channels, cef_has_its_escapes)
{
	cr_assert(eq(str, (char *)form(FORMAT_CEF, ODD),
		     "CEF:0|weir|weir-collector|" WEIR_VERSION
		     "|r]|a\\|b=c\\\\d ]\"|10|rt=1700000000000 externalId=9 cat=alert.firing "
		     "c6a2=2001:db8::1 c6a2Label=Source IPv6 Address"));
}

/* ---- sections ---- */

Test(channels, mistakes_are_told)
{
	static const struct {
		const char *text, *wrong;
	} rows[] = {
		{"[channel x]\nurl = syslog://h:0\n", "port"},
		{"[channel x]\nurl = tcp://h\n", "names no port"},
		{"[channel x]\nurl = http://u:p@h/\n", "other keys"},
		{"[channel x]\nurl = syslog://h/p\n", "nothing behind it"},
		{"[channel x]\nurl = smtp://h\nfrom = a@b\n", "mail needs to"},
		{"[channel x]\nurl = smtp://h\nfrom = a@b\nto = c@d\ntls = no\nuser = u\npassword = /p\n",
		 "in the clear"},
		{"[channel x]\nurl = smtp://h\nfrom = \"a@b\\nBcc: x\"\nto = c@d\n",
		 "control character"},
		{"[channel x]\nurl = syslog+tcp://h\nca = /x\n",
		 "ca means nothing for syslog+tcp://"},
		{"[channel x]\nurl = tcp://h:1\nformat = syslog\n", "syslog urls"},
		{"[channel x]\nfacility = locl3\nurl = syslog://h\n", "want one of"},
		{"[channel X]\nurl = syslog://h\n", "want 1 to 31 of"},
		{"[channel x]\nseverity = low\n", "where to?"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(strstr(read_channel(rows[i].text, &cfg[0]), rows[i].wrong) != NULL,
			  "%s: %s", rows[i].text, read_channel(rows[i].text, &cfg[0]));
}

Test(channels, what_is_secret_in_a_url_is_not_shown)
{
	char url[300];

	cr_assert(eq(str,
		     (char *)read_channel(
			     "[channel x]\nurl = https://[2001:db8::1]/hook/TOKEN?k=v\n", &cfg[0]),
		     ""));
	cr_assert(eq(str, (char *)channel_url(&cfg[0], url, sizeof(url)),
		     "https://[2001:db8::1]:443"));
	cr_assert(eq(u64, cfg[0].num[CKEY_timeout], 10000000000));
}
