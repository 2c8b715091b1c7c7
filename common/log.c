// SPDX-License-Identifier: Apache-2.0
#include "common/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/json.h"
#include "common/num_text.h"
#include "common/program.h"

#define LINE_MAX  2048
#define FIELD_MAX 128 /* a field that has less room is left out */
#define END_MAX	  64

static struct {
	enum log_format format;
	int level;    /* enum log_level; set and read by any thread */
	bool journal; /* it adds the time, and reads <N> */
} state = {.format = LOG_TEXT, .level = LEVEL_INFO};

static const char *const names[] = {"error", "warn", "info", "debug"};
static const char priority[] = {'3', '4', '6', '7'}; /* sd-daemon(3) */

/* A line being made; what does not fit is cut off. */
struct line {
	char buf[LINE_MAX];
	size_t len;
};

/* Is standard error what JOURNAL_STREAM (systemd.exec(5)) says it is: DEVICE:INODE? */
static bool is_journal(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	char want[64];
	struct stat st;

	if (!env || fstat(STDERR_FILENO, &st))
		return false;
	snprintf(want, sizeof(want), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return !strcmp(env, want);
}

void log_init(enum log_format format, enum log_level level)
{
	state.journal = is_journal();
	state.format = format != LOG_AUTO ? format : state.journal ? LOG_LOGFMT : LOG_TEXT;
	state.level = level;
}

const char *log_mark(enum log_level level)
{
	static const char *const marks[] = {"<3>", "<4>", "<6>", "<7>"};

	return is_journal() ? marks[level] : "";
}

void log_set_level(enum log_level level)
{
	__atomic_store_n(&state.level, (int)level, __ATOMIC_RELAXED);
}

static void put(struct line *l, const char *s, size_t len)
{
	size_t room = sizeof(l->buf) - 1 - l->len; /* the line's end has a place always */

	if (len > room)
		len = room;
	memcpy(l->buf + l->len, s, len);
	l->len += len;
}

static void put_text(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

static void put_number(struct line *l, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	put_text(l, text);
}

/* A line stays one, and a terminal is not spoken to. */
static void put_plain(struct line *l, const char *s)
{
	for (; *s; s++)
		put(l, (unsigned char)*s < 0x20 || *s == 0x7f ? "?" : s, 1);
}

/* JSON's strings serve both machines' forms. Cut until it leaves room for the end of the line. */
static void put_quoted(struct line *l, const char *s)
{
	size_t len = strlen(s), done;
	struct json j;

	for (;; len /= 2) {
		json_init(&j, l->buf + l->len, sizeof(l->buf) - END_MAX - l->len);
		json_str(&j, s, len);
		if (!json_end(&j, &done))
			break;
	}
	l->len += done;
}

static void put_logfmt(struct line *l, const char *s)
{
	bool plain = *s;

	for (const char *p = s; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || *p == '"' ||
		    *p == '=' || *p == '\\')
			plain = false;
	if (plain && strlen(s) < FIELD_MAX)
		put_text(l, s);
	else
		put_quoted(l, s);
}

/* Names are short; one that is not leaves room for what it is about. */
static void put_subject(struct line *l, const char *s)
{
	char name[FIELD_MAX];

	snprintf(name, sizeof(name), "%s", s);
	if (state.format == LOG_JSON)
		put_quoted(l, name);
	else
		put_logfmt(l, name);
}

/* ---- the three forms ---- */

struct message {
	enum log_level level;
	const char *subject;
	const char *text;
	const struct log_field *fields; /* or NULL */
	uint32_t left_out;
	char time[TIME_TEXT];
};

static void put_fields(struct line *l, const struct message *m, const char *before,
		       const char *equals)
{
	bool json = state.format == LOG_JSON, text = state.format == LOG_TEXT;
	const struct log_field *f = m->fields;

	for (int i = 0; f && f->key; f++, i++) {
		if (sizeof(l->buf) - l->len < END_MAX + FIELD_MAX)
			return;
		put_text(l, i || !text ? before : " (");
		put_text(l, f->key);
		put_text(l, equals);
		if (!f->text)
			put_number(l, f->number);
		else if (json)
			put_quoted(l, f->text);
		else if (text)
			put_plain(l, f->text);
		else
			put_logfmt(l, f->text);
	}
	if (text && m->fields && m->fields->key)
		put_text(l, ")");
}

static void put_human(struct line *l, const struct message *m)
{
	put_text(l, program_name());
	put_text(l, ": ");
	if (m->subject) {
		put_plain(l, m->subject);
		put_text(l, ": ");
	}
	put_plain(l, m->text);
	put_fields(l, m, ", ", " ");
	if (m->left_out) {
		put_text(l, " (");
		put_number(l, m->left_out);
		put_text(l, " like this left out)");
	}
}

static void put_key_values(struct line *l, const struct message *m)
{
	if (state.journal) {
		put_text(l, "<");
		put(l, &priority[m->level], 1);
		put_text(l, ">");
	} else {
		put_text(l, "ts=");
		put_text(l, m->time);
		put_text(l, " ");
	}
	put_text(l, "level=");
	put_text(l, names[m->level]);
	if (m->subject) {
		put_text(l, " subject=");
		put_subject(l, m->subject);
	}
	put_text(l, " msg=");
	put_quoted(l, m->text);
	put_fields(l, m, " ", "=");
	if (m->left_out) {
		put_text(l, " left_out=");
		put_number(l, m->left_out);
	}
}

static void put_json(struct line *l, const struct message *m)
{
	put_text(l, "{\"ts\":\"");
	put_text(l, m->time);
	put_text(l, "\",\"level\":\"");
	put_text(l, names[m->level]);
	if (m->subject) {
		put_text(l, "\",\"subject\":");
		put_subject(l, m->subject);
		put_text(l, ",\"msg\":");
	} else {
		put_text(l, "\",\"msg\":");
	}
	put_quoted(l, m->text);
	put_fields(l, m, ",\"", "\":");
	if (m->left_out) {
		put_text(l, ",\"left_out\":");
		put_number(l, m->left_out);
	}
	put_text(l, "}");
}

/* ---- limit ---- */

/* Threads may lose count of one message between them, which is no matter. */
static bool within_limit(struct log_site *site, uint32_t window, uint32_t *ret_left_out)
{
	*ret_left_out = 0;
	if (__atomic_exchange_n(&site->window, window, __ATOMIC_RELAXED) != window)
		__atomic_store_n(&site->count, 0, __ATOMIC_RELAXED);
	if (__atomic_add_fetch(&site->count, 1, __ATOMIC_RELAXED) > LOG_BURST) {
		__atomic_add_fetch(&site->left_out, 1, __ATOMIC_RELAXED);
		return false;
	}
	*ret_left_out = __atomic_exchange_n(&site->left_out, 0, __ATOMIC_RELAXED);
	return true;
}

static void write_line(const struct message *m)
{
	struct line l = {};
	size_t done = 0;

	if (state.format == LOG_TEXT)
		put_human(&l, m);
	else if (state.format == LOG_LOGFMT)
		put_key_values(&l, m);
	else
		put_json(&l, m);
	l.buf[l.len++] = '\n';
	while (done < l.len) {
		ssize_t n = write(STDERR_FILENO, l.buf + done, l.len - done);

		if (n <= 0) /* nobody listens: there is no one to tell */
			return;
		done += (size_t)n;
	}
}

void log_write(struct log_site *site, const char *subject, const struct log_field *fields,
	       const char *fmt, ...)
{
	struct message m = {.level = site->level, .subject = subject, .fields = fields};
	char text[LINE_MAX];
	struct timespec now;
	va_list ap;

	if ((int)site->level > __atomic_load_n(&state.level, __ATOMIC_RELAXED))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	if (!within_limit(site, (uint32_t)(now.tv_sec / LOG_WINDOW_S), &m.left_out))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	m.text = text;
	if (state.format != LOG_TEXT)
		m.time[time_text((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec, m.time)] =
			0;
	write_line(&m);
}
