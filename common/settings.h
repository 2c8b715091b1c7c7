/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - what a program is told to do: the rows of its table with the values that hold, each
 * with where it came from. Flag beats environment beats file beats profile beats default. A schema says which
 * settings there are; ids are indexes of its table. A struct settings does not change once it is
 * loaded; a reload makes a second one. No logging; not for two threads at once.
 */
#ifndef WEIR_COMMON_SETTINGS_H
#define WEIR_COMMON_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "common/cli.h"
#include "common/config.h"

#define SETTINGS_LIST_MAX     256u
#define SETTINGS_ARGS_MAX     512u
#define SETTINGS_SECTIONS_MAX 64u
#define SETTINGS_WORD	      UINT64_MAX /* number of a setting whose value is one of its words */

#define SETTING_MS(n) ((n)*1000000ull)
#define SETTING_S(n)  ((n)*1000000000ull)

enum setting_type {
	SV_BOOL,
	SV_U32,
	SV_BYTES,
	SV_DURATION,
	SV_ENUM,
	SV_STRING,
	SV_LIST,
	SV_ITEMS,
	SV_PATH,
	SV_MODE,
	SV_ADDRESS,
};

/*
 * SF_RELOAD   taken over by a reload
 * SF_SECTION  may also stand in a section with a name
 * SF_NEGATED  the flag says no, and takes no value
 * SF_KEYS     a LIST of KEY=VALUE; the keys of its section are the user's
 */
enum setting_flag { SF_RELOAD = 1, SF_SECTION = 2, SF_NEGATED = 4, SF_KEYS = 8 };

enum setting_origin { FROM_DEFAULT, FROM_PROFILE, FROM_FILE, FROM_ENV, FROM_FLAG };

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

struct setting_value {
	char *text;   /* as written; a list: joined by commas; NULL: not set here */
	uint64_t num; /* number, ns, bytes, bool, index of the word of an ENUM, or SETTINGS_WORD */
	char **list;  /* LIST: @n items */
	uint32_t n;
	enum setting_origin origin;
	uint32_t line, col; /* FROM_FILE */
};

/* What was wrong with a value. */
struct value_error {
	char text[200];
};

struct settings;

/* Sections with a name: [interface PATTERN], [export NAME]. */
struct settings_kind {
	const char *kind; /* NULL ends the list */
	const char *name; /* what errors call the name */
	bool own;	  /* the program reads the keys itself, in finish() */
};

/* While setting @when, a BOOL, is on, @id has another default. */
struct settings_profile {
	unsigned int when, id;
	const char *value; /* NULL ends the list */
};

/* One program's settings. */
struct settings_schema {
	const char *file;     /* the configuration file, if it is there */
	const char *file_env; /* variable that names another */
	const struct setting *table;
	unsigned int n;
	const struct settings_kind *kinds;	 /* or NULL */
	const struct settings_profile *profiles; /* or NULL */
	/* What is special about an item of a LIST: 0, -EINVAL with @err; or NULL. */
	int (*check_item)(unsigned int id, const char *item, struct value_error *err);
	/* After all values: sets s->own, checks what depends on several; -ENOMEM; or NULL. */
	int (*finish)(struct settings *s, struct config_errors *errs);
	void (*free_own)(void *own); /* or NULL */
};

/* [KIND NAME]: only settings with SF_SECTION, text NULL where it says nothing. */
struct settings_section {
	const char *name; /* of the file's section */
	uint32_t line;
	struct setting_value *v; /* schema->n of them */
};

struct settings {
	const struct settings_schema *schema;
	struct setting_value *v; /* schema->n of them */
	struct settings_section *sections;
	uint32_t n_sections;
	char *path;	     /* the file that was read, or NULL */
	struct config *file; /* its text, or NULL */
	void *own;	     /* what schema->finish() made */
};

/* Options of the settings for a struct cli_command; the id is SETTINGS_OPTION + index. */
#define SETTINGS_OPTION	       1000
#define SETTINGS_OPTION_CONFIG 999

/* A command line, kept for reloads. Start zeroed. */
struct settings_args {
	const char *config; /* --config, or NULL */
	uint32_t n;
	struct {
		unsigned int id;
		const char *text;
	} arg[SETTINGS_ARGS_MAX];
};

/**
 * settings_option - take an option of the settings
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
 * The file is args->config, else that of schema->file_env, else schema->file if it is there.
 * Return: 0, -EINVAL (see @errs: every error, not the first alone), -ENOMEM.
 */
int settings_load(const struct settings_schema *schema, const struct settings_args *args,
		  struct settings **ret, struct config_errors *errs);

/**
 * settings_check - the same for one file alone: no command line, no environment
 */
int settings_check(const struct settings_schema *schema, const char *path, struct settings **ret,
		   struct config_errors *errs);

/**
 * settings_one - one setting as the program would have it without a command line: for its clients
 * @config: the file, or NULL as settings_load()
 * @ret:    all others have their defaults
 *
 * What else is wrong in the file is passed over; so is schema->file where it can't be read.
 * Return: 0, -EINVAL with @errs, -ENOMEM.
 */
int settings_one(const struct settings_schema *schema, unsigned int id, const char *config,
		 struct settings **ret, struct config_errors *errs);

/* NULL is fine. */
void settings_free(struct settings *s);

/* Errors as FILE:LINE:COL: TEXT, one a line; those of no file as "PROGRAM: TEXT". */
void settings_print_errors(const struct settings_schema *schema, const struct settings_args *args,
			   const struct config_errors *errs, FILE *out);

static inline uint64_t settings_num(const struct settings *s, unsigned int id)
{
	return s->v[id].num;
}

/* Never NULL; a word such as "none" as it is. */
static inline const char *settings_text(const struct settings *s, unsigned int id)
{
	return s->v[id].text;
}

/* Is a setting that has one at one of its words ("none", "auto")? */
static inline bool settings_is_word(const struct settings *s, unsigned int id)
{
	return s->v[id].num == SETTINGS_WORD;
}

/**
 * settings_changed - settings that differ between two loads
 * @from: where to begin (0, then the last return + 1)
 *
 * Return: the id, or schema->n: no more. Sections with names are not looked at.
 */
unsigned int settings_changed(const struct settings *a, const struct settings *b,
			      unsigned int from);

/* The value of @was in @now too. Without memory for it, @now keeps its own. */
void settings_keep(struct settings *now, const struct settings *was, unsigned int id);

/* "section.key" of a setting ("labels" for those). */
const char *setting_name(const struct settings_schema *schema, unsigned int id, char *buf,
			 size_t cap);

/* "command line", "environment WEIR_X", "FILE:LINE" "SECTION.KEY" of a profile, or "default". */
const char *setting_origin(const struct settings *s, unsigned int id, char *buf, size_t cap);

#endif
