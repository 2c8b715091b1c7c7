// SPDX-License-Identifier: Apache-2.0
#include "collector/notify/notice.h"

#include <string.h>
#include <time.h>

#include "collector/notify/notice_int.h"
#include "common/cli.h"
#include "common/json.h"
#include "common/num_text.h"

#define NILVALUE    "-"
#define SD_ID	    "weir@32473" /* RFC 5424 section 6.3.2; the number as in exported flows */
#define BOM	    "\xef\xbb\xbf"
#define HEADER_HOST 255

static const struct {
	const char *name;
	bool decision;
} kinds[_NOTICE_MAX] = {
#define NOTICE(id, name, decision, doc) {name, decision},
#include "collector/notify/notices.def"
#undef NOTICE
};

const char *notice_name(enum notice_kind k)
{
	return kinds[k].name;
}

bool notice_is_decision(enum notice_kind k)
{
	return kinds[k].decision;
}

enum notice_severity notice_severity_of(const char *severity)
{
	const int at = severity ? cli_word("low|medium|high|critical", severity) : -1;

	return at < 0 ? SEVERITY_LOW : (enum notice_severity)at;
}

/* ---- members ---- */

const char *notice_get(const struct notice *n, const char *path)
{
	const char *dot = strchr(path, '.');
	const json_t *o = n->json;
	char first[32];

	if (dot) {
		snprintf(first, sizeof(first), "%.*s", (int)(dot - path), path);
		o = json_object_get(o, first);
		path = dot + 1;
	}
	return json_string_value(json_object_get(o, path)) ?: "";
}

int64_t notice_number(const struct notice *n, const char *path)
{
	const char *dot = strchr(path, '.');
	const json_t *o = n->json;
	char first[32];

	if (dot) {
		snprintf(first, sizeof(first), "%.*s", (int)(dot - path), path);
		o = json_object_get(o, first);
		path = dot + 1;
	}
	return json_integer_value(json_object_get(o, path));
}

const char *notice_source(const struct notice *n)
{
	const char *s = notice_get(n, "src.ip");

	if (kinds[n->kind].decision)
		return strcmp(notice_get(n, "scope"), "dst.ip") != 0 ? notice_get(n, "value") : "";
	return *s ? s : notice_get(n, "host");
}

const char *notice_target(const struct notice *n)
{
	if (!kinds[n->kind].decision)
		return notice_get(n, "dst.ip");
	return strcmp(notice_get(n, "scope"), "dst.ip") != 0 ? notice_get(n, "to")
							     : notice_get(n, "value");
}

int64_t notice_target_port(const struct notice *n)
{
	return notice_number(n, kinds[n->kind].decision ? "port" : "dst.port");
}

/* ---- the sentence ---- */

/* A character that is not one of text becomes a blank; what is no UTF-8 becomes '?'. */
static void one_line(char *s)
{
	const size_t len = strlen(s);

	for (size_t i = 0; i < len;) {
		const unsigned int n = utf8_len(s + i, len - i);

		if (!n)
			s[i] = '?';
		else if (n == 1 && ((unsigned char)s[i] < ' ' || s[i] == 0x7f))
			s[i] = ' ';
		else if (n == 2 && s[i] == '\xc2' && (unsigned char)s[i + 1] < 0xa0)
			s[i] = s[i + 1] = ' '; /* C1 */
		i += n ?: 1;
	}
}

static void decision_text(const struct notice *n, char buf[NOTICE_TEXT])
{
	static const char *const what[_NOTICE_MAX] = {
		[NOTICE_DECISION_ACTIVE] = "in force",
		[NOTICE_DECISION_HELD] = "waits for approval",
		[NOTICE_DECISION_EXPIRED] = "has come to its end",
		[NOTICE_DECISION_WITHDRAWN] = "was taken back",
	};
	const char *to = notice_get(n, "to"), *until = notice_get(n, "expires");

	snprintf(buf, NOTICE_TEXT, "%.16s %.10s %.64s%s%.64s %s%s%.30s (rule %.100s, mode %.10s)",
		 notice_get(n, "action"), notice_get(n, "scope"), notice_get(n, "value"),
		 *to ? " to " : "", to, what[n->kind],
		 n->kind == NOTICE_DECISION_ACTIVE ? " until " : "",
		 n->kind == NOTICE_DECISION_ACTIVE ? until : "", notice_get(n, "rule"),
		 notice_get(n, "mode"));
}

const char *notice_text(const struct notice *n, char buf[NOTICE_TEXT])
{
	const char *text = notice_get(n, "annotations.summary");

	if (n->kind == NOTICE_TEST) {
		snprintf(buf, NOTICE_TEXT, "a test of this channel: nothing has happened");
	} else if (kinds[n->kind].decision) {
		decision_text(n, buf);
	} else {
		if (!*text)
			text = notice_get(n, "alert.signature");
		snprintf(buf, NOTICE_TEXT, "%.1100s", *text ? text : notice_get(n, "rule"));
	}
	one_line(buf);
	return buf;
}

/* ---- syslog ---- */

/* RFC 5424 section 6.3.3. */
static void put_param(FILE *out, const char *name, const char *value)
{
	const size_t len = strlen(value);

	if (!len)
		return;
	fprintf(out, " %s=\"", name);
	for (size_t i = 0; i < len;) {
		const unsigned int n = utf8_len(value + i, len - i);

		if (!n || (n == 1 && ((unsigned char)value[i] < ' ' || value[i] == 0x7f))) {
			putc('?', out);
			i++;
			continue;
		}
		if (strchr("\"\\]", value[i]))
			putc('\\', out);
		fwrite(value + i, 1, n, out);
		i += n;
	}
	putc('"', out);
}

static void put_number(FILE *out, const char *name, int64_t v)
{
	if (v)
		fprintf(out, " %s=\"%lld\"", name, (long long)v);
}

static void put_data(FILE *out, const struct notice *n)
{
	static const char *const levels[] = {"low", "medium", "high", "critical"};

	fprintf(out, "[" SD_ID " event=\"%lld\"", (long long)n->id);
	put_number(out, "id", notice_number(n, "id"));
	put_param(out, "rule", notice_get(n, "rule"));
	put_param(out, "severity", levels[n->severity]);
	put_param(out, "state", notice_get(n, "state"));
	put_param(out, "reason", notice_get(n, "reason"));
	put_param(out, "src", notice_source(n));
	put_param(out, "dst", notice_target(n));
	put_number(out, "dport", notice_target_port(n));
	put_param(out, "proto", notice_get(n, "proto"));
	if (kinds[n->kind].decision) {
		put_param(out, "action", notice_get(n, "action"));
		put_param(out, "mode", notice_get(n, "mode"));
		put_param(out, "expires", notice_get(n, "expires"));
		put_number(out, "alert", notice_number(n, "alert"));
	} else {
		put_param(out, "first", notice_get(n, "first"));
		put_number(out, "count", notice_number(n, "count"));
	}
	putc(']', out);
}

/* RFC 5424 section 6.2.1: critical, error, warning, notice; what has ended is informational. */
static unsigned int syslog_severity(const struct notice *n)
{
	static const unsigned int of[] = {5, 4, 3, 2};

	return n->kind == NOTICE_ALERT_FIRING	   ? of[n->severity]
	       : n->kind == NOTICE_DECISION_HELD   ? 4
	       : n->kind == NOTICE_DECISION_ACTIVE ? 5
						   : 6;
}

static void put_host(FILE *out, const char *host)
{
	unsigned int n = 0;

	for (; *host && n < HEADER_HOST; host++)
		if (*host > ' ' && *host < 0x7f) {
			putc(*host, out);
			n++;
		}
	if (!n)
		fputs(NILVALUE, out);
}

static bool ascii(const char *s)
{
	while (*s && (unsigned char)*s < 0x80)
		s++;
	return !*s;
}

void notice_syslog(FILE *out, enum channel_format f, const struct notice_from *from,
		   const struct notice *n)
{
	char time[TIME_TEXT], text[NOTICE_TEXT];

	time_text(n->at_us * 1000, time);
	fprintf(out, "<%u>1 %s ", from->facility * 8 + syslog_severity(n), time);
	put_host(out, from->host);
	fprintf(out, " weir-collector %u %s ", from->pid, notice_name(n->kind));
	if (f != FORMAT_SYSLOG) {
		fputs(NILVALUE " ", out);
		notice_line(out, f, from, n);
		return;
	}
	put_data(out, n);
	notice_text(n, text);
	fprintf(out, " %s%s", ascii(text) ? "" : BOM, text);
}

/* ---- CEF ---- */

static void cef_text(FILE *out, const char *s, const char *special)
{
	for (; *s; s++) {
		if (strchr(special, *s))
			putc('\\', out);
		if (*s == '\n' || *s == '\r')
			fputs("\\n", out);
		else
			putc((unsigned char)*s < ' ' || *s == 0x7f ? ' ' : *s, out);
	}
}

static void cef_header(FILE *out, const char *s)
{
	putc('|', out);
	cef_text(out, s, "|\\");
}

static void cef_member(FILE *out, const char *key, const char *value)
{
	if (!*value)
		return;
	fprintf(out, " %s=", key);
	cef_text(out, value, "=\\");
}

/* src and dst are for IPv4 alone. */
static void cef_address(FILE *out, const char *ip, const char *v4, const char *v6,
			const char *v6_label)
{
	char label[16];

	if (!strchr(ip, ':')) {
		cef_member(out, v4, ip);
		return;
	}
	cef_member(out, v6, ip);
	snprintf(label, sizeof(label), "%sLabel", v6);
	cef_member(out, label, v6_label);
}

static void put_cef(FILE *out, const struct notice *n)
{
	static const unsigned int levels[] = {3, 5, 8, 10};
	char text[NOTICE_TEXT];

	fputs("CEF:0|weir|weir-collector", out);
	cef_header(out, WEIR_VERSION);
	cef_header(out, *notice_get(n, "rule") ? notice_get(n, "rule") : notice_name(n->kind));
	cef_header(out, notice_text(n, text));
	fprintf(out, "|%u|rt=%llu externalId=%lld cat=%s", levels[n->severity],
		(unsigned long long)n->at_us / 1000, (long long)n->id, notice_name(n->kind));
	cef_address(out, notice_source(n), "src", "c6a2", "Source IPv6 Address");
	cef_address(out, notice_target(n), "dst", "c6a3", "Destination IPv6 Address");
	if (notice_target_port(n))
		fprintf(out, " dpt=%lld", (long long)notice_target_port(n));
	cef_member(out, "proto", notice_get(n, "proto"));
	cef_member(out, "act", notice_get(n, "action"));
	cef_member(out, "reason", notice_get(n, "reason"));
	if (notice_number(n, "count"))
		fprintf(out, " cnt=%lld", (long long)notice_number(n, "count"));
	if (notice_number(n, "id"))
		fprintf(out, " cn1=%lld cn1Label=%s", (long long)notice_number(n, "id"),
			kinds[n->kind].decision ? "decision" : "alert");
	cef_member(out, "cs1", notice_get(n, "rule_id"));
	if (*notice_get(n, "rule_id"))
		cef_member(out, "cs1Label", "rule_id");
}

/* ---- lines ---- */

void notice_line(FILE *out, enum channel_format f, const struct notice_from *from,
		 const struct notice *n)
{
	if (f == FORMAT_SYSLOG)
		notice_syslog(out, f, from, n);
	else if (f == FORMAT_CEF)
		put_cef(out, n);
	else
		notice_json(out, f, from, n);
}
