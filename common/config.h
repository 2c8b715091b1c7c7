/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - the syntax of configuration files: sections, keys and values with their positions, and
 * every error of the file, not the first alone. What sections and keys mean is for the caller. Pure:
 * no I/O, bounded memory, any bytes may come in.
 *
 *	# a comment, also behind a value after a blank
 *	[run]
 *	flows = 512Ki
 *	[export main]               ; a section with a name
 *	filter = dst.port = 443 and tls.sni suffix "example.com"
 *	path = "/var/log/flows # 1.ndjson"
 *
 * A value that begins with a quote is one string (\" \\ \n \t are the escapes); any other value is
 * the text up to the comment or the end of the line, where quoted parts may hold # and ;.
 */
#ifndef WEIR_COMMON_CONFIG_H
#define WEIR_COMMON_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#define CONFIG_BYTES_MAX    (1u << 20)
#define CONFIG_LINE_MAX	    4096u
#define CONFIG_SECTIONS_MAX 512u
#define CONFIG_ENTRIES_MAX  4096u
#define CONFIG_ERRORS_MAX   32u

struct config_section {
	char *kind;			   /* "export" of [export main] */
	char *name;			   /* "main"; NULL when there is none */
	uint32_t line, kind_col, name_col; /* 1 = first; columns are bytes */
	uint32_t first, entries;	   /* its entries: first .. first + entries - 1 */
};

struct config_entry {
	char *key;
	char *value; /* never NULL; without quotes and escapes */
	uint32_t section;
	uint32_t line, key_col, value_col;
	uint32_t quoted; /* 1: value_col is the column of a quote */
};

struct config {
	struct config_section *sections;
	struct config_entry *entries;
	uint32_t n_sections, n_entries;
};

struct config_error {
	uint32_t line, col; /* line 0: about the file, or no file at all */
	char text[232];
};

/* The first CONFIG_ERRORS_MAX errors, and how many there were. */
struct config_errors {
	uint32_t count;
	struct config_error list[CONFIG_ERRORS_MAX];
};

/**
 * config_parse - read a file's text
 * @text: @len bytes, no 0 needed
 * @ret:  set also when there are errors: what could be read, so that the caller can add its own
 *        findings; free with config_free()
 *
 * Errors: syntax, duplicate sections and keys, keys outside sections, control characters, text
 *         that is no UTF-8, and what exceeds the limits above.
 * Return: 0, -EINVAL (see @errs), -ENOMEM (*ret is not set).
 */
int config_parse(const char *text, size_t len, struct config **ret, struct config_errors *errs);

/* The first of @sec's entries; NULL: it has none. */
static inline const struct config_entry *config_entries(const struct config *c,
							const struct config_section *sec)
{
	return sec->entries ? &c->entries[sec->first] : NULL;
}

/* NULL is fine. */
void config_free(struct config *c);

/* Note an error. @line 0: not about a place in the file. */
void config_error(struct config_errors *errs, uint32_t line, uint32_t col, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* In the order of the file. */
void config_errors_sort(struct config_errors *errs);

#endif
