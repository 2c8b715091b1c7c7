/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notice.h - something to be told, and the forms it is told in. Writing a form is pure: the same notice gives
 * the same octets, whatever strings are in it. Any thread.
 */
#ifndef WEIR_COLLECTOR_NOTIFY_NOTICE_H
#define WEIR_COLLECTOR_NOTIFY_NOTICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "collector/notify/channel.h"

enum notice_kind {
#define NOTICE(id, ...) NOTICE_##id,
#include "collector/notify/notices.def"
#undef NOTICE
	_NOTICE_MAX
};

/* Of an alert's label severity, as the key severity of a channel counts. */
enum notice_severity { SEVERITY_LOW, SEVERITY_MEDIUM, SEVERITY_HIGH, SEVERITY_CRITICAL };

struct notice {
	int64_t id; /* unique in this collector; the same when it is told again */
	uint64_t at_us;
	enum notice_kind kind;
	enum notice_severity severity;
	json_t *json; /* the alert or decision, as 'alerts show' and 'decisions show' have it */
};

/* Who tells it. */
struct notice_from {
	const char *host; /* of syslog's header */
	uint32_t pid;
	uint32_t facility;
};

const char *notice_name(enum notice_kind k);
bool notice_is_decision(enum notice_kind k);

/* "low" for what is no level, NULL too. */
enum notice_severity notice_severity_of(const char *severity);

/* The sentence that people read, one line, into @buf. Return: @buf. */
#define NOTICE_TEXT 1200u
const char *notice_text(const struct notice *n, char buf[NOTICE_TEXT]);

/**
 * notice_line - in one of the forms of one line each
 * @f: not FORMAT_MAIL
 *
 * No line end is written, and none is within. Source: RFC 5424 section 6; "Common Event Format" (ArcSight);
 * Suricata's user guide, "Eve JSON Format".
 */
void notice_line(FILE *out, enum channel_format f, const struct notice_from *from,
		 const struct notice *n);

/* RFC 5424's header and structured data around a line of another form. */
void notice_syslog(FILE *out, enum channel_format f, const struct notice_from *from,
		   const struct notice *n);

/* Body of a webhook: {"collector":...,"events":[...]}. */
void notice_webhook(FILE *out, const struct notice_from *from, const struct notice *v, uint32_t n);

struct notice_mail {
	const char *from, *to;
};

/* A whole mail with its headers, RFC 5322, lines end with CRLF. @v is not empty. */
void notice_mail(FILE *out, const struct notice_from *from, const struct notice_mail *m,
		 const struct notice *v, uint32_t n);

#endif
