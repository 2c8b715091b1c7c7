/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - messages on standard error, one line and one write each: "weir: eth0: text" for people,
 * logfmt (with <N> in front for the journal) or JSON for machines. Each call site has a limit.
 * Any thread; no memory of its own. What a command answers with is no message: that is stdout.
 */
#ifndef WEIR_COMMON_LOG_H
#define WEIR_COMMON_LOG_H

#include <stddef.h>
#include <stdint.h>

enum log_level { LEVEL_ERROR, LEVEL_WARN, LEVEL_INFO, LEVEL_DEBUG };

/* AUTO: LOGFMT when standard error is the journal, else TEXT. */
enum log_format { LOG_AUTO, LOG_TEXT, LOG_LOGFMT, LOG_JSON };

/* One more thing to know: key=value. The last of a list has no key. */
struct log_field {
	const char *key;
	const char *text; /* NULL: it is a number */
	uint64_t number;
};

#define LOG_STR(key, text)   \
	{                    \
		key, text, 0 \
	}
#define LOG_NUM(key, number)                 \
	{                                    \
		key, (const char *)0, number \
	}
#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {}})

/* Where a message comes from: at most LOG_BURST of them in LOG_WINDOW_S seconds. */
struct log_site {
	enum log_level level;
	uint32_t window; /* number of the window that count is of */
	uint32_t count;
	uint32_t left_out;
};

#define LOG_BURST    200u
#define LOG_WINDOW_S 10u

/* At start, before system calls are given up: looks at standard error and the environment. */
void log_init(enum log_format format, enum log_level level);

/**
 * log_mark - what a line that is no message of log_write() begins with
 *
 * Return: "<3>" for LEVEL_ERROR and so on where standard error is the journal, which would take it for
 * information otherwise; else "". May be called before log_init().
 */
const char *log_mark(enum log_level level);

/* May be called while others log. */
void log_set_level(enum log_level level);

/**
 * log_write - one message; use the macros below
 * @subject: what it is about ("eth0", "export main"), or NULL
 * @fields:  ends with an empty one, or NULL
 *
 * What was left out by the limit is counted in the next message of the site (left_out=N). A line is
 * cut at 2 KiB.
 */
void log_write(struct log_site *site, const char *subject, const struct log_field *fields,
	       const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#define log_at(lvl, subject, fields, ...)                            \
	do {                                                         \
		static struct log_site site_ = {.level = (lvl)};     \
		log_write(&site_, (subject), (fields), __VA_ARGS__); \
	} while (0)

#define log_error(subject, ...) log_at(LEVEL_ERROR, subject, NULL, __VA_ARGS__)
#define log_warn(subject, ...)	log_at(LEVEL_WARN, subject, NULL, __VA_ARGS__)
#define log_info(subject, ...)	log_at(LEVEL_INFO, subject, NULL, __VA_ARGS__)
#define log_debug(subject, ...) log_at(LEVEL_DEBUG, subject, NULL, __VA_ARGS__)

#endif
