/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - what weir is told to do: settings.def's rows with the values that hold, each with
 * where it came from. Flag beats environment beats file beats default. A struct settings does not
 * change once it is loaded; a reload makes a second one. No logging; not for two threads at once.
 */
#ifndef WEIR_LOADER_SETTINGS_H
#define WEIR_LOADER_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "common/cli.h"
#include "common/config.h"
#include "loader/export/sink.h"

#define SETTINGS_FILE	   "/etc/weir/weir.conf"
#define SETTINGS_LIST_MAX  256u
#define SETTINGS_ARGS_MAX  512u
#define SETTINGS_IFACE_MAX 64u
#define SETTINGS_WORD	   UINT64_MAX /* number of a setting whose value is one of its words */

#define SETTING_MS(n) ((n)*1000000ull)
#define SETTING_S(n)  ((n)*1000000000ull)

enum setting_id {
#define SETTING(id, ...) SET_##id,
#include "loader/settings.def"
#undef SETTING
	_SET_MAX
};

enum setting_type {
	ST_BOOL,
	ST_U32,
	ST_BYTES,
	ST_DURATION,
	ST_ENUM,
	ST_STRING,
	ST_LIST,
	ST_ITEMS,
	ST_PATH,
	ST_MODE,
	ST_ADDRESS,
};

enum setting_flag { SF_RELOAD = 1, SF_IFACE = 2, SF_NEGATED = 4 };

enum setting_origin { FROM_DEFAULT, FROM_FILE, FROM_ENV, FROM_FLAG };

struct setting {
	const char *section, *key, *flag;
	char letter;
	const char *env;
	enum setting_type type;
	const char *arg, *words, *def;
	uint64_t min, max;
	unsigned int flags;
	const char *doc;
};

extern const struct setting settings_table[_SET_MAX];

/* Options of the settings for a struct cli_command; the id is SETTINGS_OPTION + enum setting_id. */
#define SETTINGS_OPTION	       1000
#define SETTINGS_OPTION_CONFIG 999
extern const struct cli_option settings_options[];

struct setting_value {
	char *text;   /* as written; a list: joined by commas; NULL: not set here */
	uint64_t num; /* number, ns, bytes, bool, index of the word of an ENUM, or SETTINGS_WORD */
	char **list;  /* LIST: @n items */
	uint32_t n;
	enum setting_origin origin;
	uint32_t line, col; /* FROM_FILE */
};

/* [interface PATTERN]: only settings with SF_IFACE, text NULL where it says nothing. */
struct iface_section {
	const char *pattern; /* of the file's section */
	uint32_t line;
	struct setting_value v[_SET_MAX];
};

struct settings {
	struct setting_value v[_SET_MAX];
	struct iface_section *ifaces;
	uint32_t n_ifaces;
	struct export_cfg *exports; /* checked: standard output, [export NAME], --export */
	uint32_t n_exports;
	char *path;	     /* the file that was read, or NULL */
	struct config *file; /* its text, for [export NAME]; or NULL */
};

/* A command line, kept for reloads. Start zeroed. */
struct settings_args {
	const char *config; /* --config, or NULL */
	uint32_t n;
	struct {
		enum setting_id id;
		const char *text;
	} arg[SETTINGS_ARGS_MAX];
};

/* What one interface is to be watched with. */
struct iface_settings {
	uint32_t role, hook; /* index of the word: enum role, enum hook_mode */
};

/**
 * settings_option - take an option of settings_options[]
 * @id:   from cli_next()
 * @text: its argument; must stay
 *
 * Return: 0, or -E2BIG: more options than anybody means.
 */
int settings_option(struct settings_args *args, int id, const char *text);

/**
 * settings_load - read file and environment, check everything
 * @args: what the command line said
 *
 * The file is args->config, else $WEIR_CONFIG, else SETTINGS_FILE if it is there.
 * Return: 0, -EINVAL (see @errs: every error, not the first alone), -ENOMEM.
 */
int settings_load(const struct settings_args *args, struct settings **ret,
		  struct config_errors *errs);

/**
 * settings_check - the same for one file alone: no command line, no environment
 */
int settings_check(const char *path, struct settings **ret, struct config_errors *errs);

/**
 * settings_one - one setting as 'weir run' would have it without a command line: for its clients
 * @config: the file, or NULL as settings_load()
 * @ret:    all others have their defaults
 *
 * What else is wrong in the file is passed over; so is /etc/weir/weir.conf where it can't be read.
 * Return: 0, -EINVAL with @errs, -ENOMEM.
 */
int settings_one(enum setting_id id, const char *config, struct settings **ret,
		 struct config_errors *errs);

/* NULL is fine. */
void settings_free(struct settings *s);

/* Errors as FILE:LINE:COL: TEXT, one a line; those of no file as "weir: TEXT". */
void settings_print_errors(const struct settings_args *args, const struct config_errors *errs,
			   FILE *out);

static inline uint64_t settings_num(const struct settings *s, enum setting_id id)
{
	return s->v[id].num;
}

/* Never NULL; a word such as "none" as it is. */
static inline const char *settings_text(const struct settings *s, enum setting_id id)
{
	return s->v[id].text;
}

/* Is a setting that has one at one of its words ("none", "auto")? */
static inline bool settings_is_word(const struct settings *s, enum setting_id id)
{
	return s->v[id].num == SETTINGS_WORD;
}

/**
 * settings_iface - is an interface to be watched, and how
 *
 * Watched are the interfaces that a name or pattern of SET_INTERFACES fits and none of its !patterns
 * does; where that list is empty, those of [interface] sections. Of several sections that fit, the
 * one with the plain name is taken, else the first. A flag or variable that says the same for all
 * interfaces beats the section.
 */
bool settings_iface(const struct settings *s, const char *ifname, struct iface_settings *ret);

/* Name or pattern number @i of what settings_iface() looks at; NULL: there are no more. */
const char *settings_iface_name(const struct settings *s, uint32_t i, bool *ret_pattern);

/**
 * settings_changed - settings that differ between two loads
 * @from: where to begin (0, then the last return + 1)
 *
 * Return: enum setting_id, or _SET_MAX: no more. [interface] and [export] sections are not looked at.
 */
unsigned int settings_changed(const struct settings *a, const struct settings *b,
			      unsigned int from);

/* The value of @was in @now too. Without memory for it, @now keeps its own. */
void settings_keep(struct settings *now, const struct settings *was, enum setting_id id);

/* "section.key" of a setting ("labels" for those). */
const char *setting_name(enum setting_id id, char *buf, size_t cap);

/* "command line", "environment WEIR_X", "FILE:LINE" or "default". */
const char *setting_origin(const struct settings *s, enum setting_id id, char *buf, size_t cap);

#endif
