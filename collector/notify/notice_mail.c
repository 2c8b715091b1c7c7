// SPDX-License-Identifier: Apache-2.0
/*
 * notice_mail.c - notices as a mail: a subject that says how many of what, a line for each. Quoted-printable,
 * so that any text passes any server (RFC 2045 section 6.7).
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/notify/notice_int.h"
#include "common/num_text.h"

#define QP_LINE	    72u
#define SUBJECT	    400u
#define RULES_SHOWN 3u

/* ---- headers ---- */

/* Names of the rules that it is about, each once, the first of them. */
static void put_rules(char *buf, size_t cap, const struct notice *v, uint32_t n)
{
	const char *seen[RULES_SHOWN];
	unsigned int have = 0, more = 0;
	size_t len = 0;

	for (uint32_t i = 0; i < n; i++) {
		const char *rule = notice_get(&v[i], "rule");
		unsigned int k = 0;

		while (k < have && strcmp(seen[k], rule) != 0)
			k++;
		if (!*rule || k < have)
			continue;
		if (have == RULES_SHOWN) {
			more = 1;
			break;
		}
		seen[have++] = rule;
		len += (size_t)snprintf(buf + len, cap - len, "%s%.60s", have > 1 ? ", " : ": ",
					rule);
	}
	if (more)
		snprintf(buf + len, cap - len, ", ...");
}

static void put_subject(FILE *out, const struct notice *v, uint32_t n)
{
	static const char *const words[_NOTICE_MAX] = {
		[NOTICE_TEST] = "test",
		[NOTICE_ALERT_FIRING] = "firing",
		[NOTICE_ALERT_RESOLVED] = "resolved",
		[NOTICE_DECISION_ACTIVE] = "decided",
		[NOTICE_DECISION_HELD] = "to approve",
		[NOTICE_DECISION_EXPIRED] = "expired",
		[NOTICE_DECISION_WITHDRAWN] = "withdrawn",
	};
	unsigned int of[_NOTICE_MAX] = {};
	char buf[SUBJECT] = "";
	const char *comma = "";

	for (uint32_t i = 0; i < n; i++)
		of[v[i].kind]++;
	fputs("Subject: [weir] ", out);
	for (unsigned int k = 0; k < _NOTICE_MAX; k++) {
		if (!of[k])
			continue;
		fprintf(out, "%s%u %s", comma, of[k], words[k]);
		comma = ", ";
	}
	put_rules(buf, sizeof(buf), v, n);
	for (char *s = buf; *s; s++)
		if ((unsigned char)*s < ' ' ||
		    (unsigned char)*s >= 0x7f) /* names of rules are ASCII */
			*s = '?';
	fprintf(out, "%s\r\n", buf);
}

/* RFC 5322 section 3.3, in UTC; names of days and months are English whatever the locale. */
static void put_date(FILE *out, uint64_t at_us)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const time_t s = (time_t)(at_us / 1000000);
	struct tm t;

	gmtime_r(&s, &t);
	fprintf(out, "Date: %.3s, %d %.3s %d %02d:%02d:%02d +0000\r\n",
		days + (size_t)t.tm_wday * 3, t.tm_mday, months + (size_t)t.tm_mon * 3,
		t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

/* ---- body ---- */

struct qp {
	FILE *out;
	unsigned int col;
};

static void qp_octets(struct qp *q, const char *s, unsigned int n)
{
	if (q->col + n > QP_LINE) {
		fputs("=\r\n", q->out);
		q->col = 0;
	}
	fwrite(s, 1, n, q->out);
	q->col += n;
}

static void qp_text(struct qp *q, const char *s)
{
	char hex[4];

	for (; *s; s++) {
		if (*s == '\n') {
			fputs("\r\n", q->out);
			q->col = 0;
		} else if ((*s >= ' ' && *s < 0x7f && *s != '=') && !(*s == ' ' && s[1] == '\n')) {
			qp_octets(q, s, 1);
		} else {
			snprintf(hex, sizeof(hex), "=%02X", (unsigned char)*s);
			qp_octets(q, hex, 3);
		}
	}
}

static void put_one(struct qp *q, const struct notice *n)
{
	static const char *const levels[] = {"low", "medium", "high", "critical"};
	char text[NOTICE_TEXT], line[NOTICE_TEXT + 400], time[TIME_TEXT];

	time_text(n->at_us * 1000, time);
	snprintf(line, sizeof(line), "%.19sZ  %s  %s  %s\n", time, notice_name(n->kind),
		 levels[n->severity], notice_text(n, text));
	qp_text(q, line);
	if (n->kind == NOTICE_TEST)
		return;
	snprintf(line, sizeof(line), "    weir-collector %s show %lld\n",
		 notice_is_decision(n->kind) ? "decisions" : "alerts",
		 (long long)notice_number(n, "id"));
	qp_text(q, line);
}

void notice_mail(FILE *out, const struct notice_from *from, const struct notice_mail *m,
		 const struct notice *v, uint32_t n)
{
	struct qp q = {.out = out};
	char head[400];

	put_date(out, v[n - 1].at_us);
	fprintf(out, "From: weir-collector <%s>\r\nTo: %s\r\n", m->from, m->to);
	/* the same when it is sent again, so that a reader sees one of them */
	fprintf(out, "Message-ID: <weir.%llu.%lld.%lld@%s>\r\n", (unsigned long long)v[0].at_us,
		(long long)v[0].id, (long long)v[n - 1].id, *from->host ? from->host : "localhost");
	put_subject(out, v, n);
	fputs("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	      "Content-Type: text/plain; charset=utf-8\r\n"
	      "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
	      out);
	snprintf(head, sizeof(head), "weir-collector on %.255s:\n\n", from->host);
	qp_text(&q, head);
	for (uint32_t i = 0; i < n; i++)
		put_one(&q, &v[i]);
}
