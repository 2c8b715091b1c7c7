/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rule_files.h - rules from files and directories, with the lists and parameters of this site: what all
 * commands about rules begin with. Errors and notes are gathered, not printed.
 */
#ifndef WEIR_COLLECTOR_RULES_RULE_FILES_H
#define WEIR_COLLECTOR_RULES_RULE_FILES_H

#include "collector/rules/rule.h"

#define SITE_MAX 64u /* lists, and parameters */

struct site_value {
	const char *name; /* "local"; of a parameter "rule.param" */
	const char *value;
};

struct site {
	struct site_value lists[SITE_MAX], params[SITE_MAX];
	uint32_t n_lists, n_params;
	char *memory[SITE_MAX]; /* of lists from files */
	uint32_t n_memory;
};

/* Errors of one file. */
struct file_errors {
	char *file;
	struct config_errors errs;
};

struct rule_files {
	struct rule_set set;
	struct rule_site binding;
	const struct site *site;
	struct file_errors *errors; /* of files that have some; of the set: file "" */
	uint32_t n_errors;
	uint32_t files;
};

/* @local and what else is always there. */
void site_init(struct site *s);
void site_done(struct site *s);

/*
 * "NAME=VALUES" or "NAME=@FILE" (one value a line, # comments); "RULE.PARAM=VALUE".
 * Return: 0; -EINVAL, -E2BIG, or of reading the file: *ret_why.
 */
int site_list(struct site *s, char *text, const char **ret_why);
int site_param(struct site *s, char *text, const char **ret_why);

/* The same in two parts, which stay as long as the site. Return: 0, -E2BIG. */
int site_set_list(struct site *s, const char *name, const char *value);
int site_set_param(struct site *s, const char *name, const char *value);

/*
 * Calls @one with each file that a path stands for: itself, or all *.yaml of a directory and those below
 * it. Return: 0; what @one returned first; -ENOMEM.
 */
int rule_paths(const char *path, int (*one)(void *arg, const char *path), void *arg);

/* Values of a list; NULL: there is none. */
const char *site_values(const struct site *s, const char *name);

void rule_files_init(struct rule_files *f, const struct site *site);

/* Files of rule_paths(). Return: 0; -ENOMEM; errors are kept. */
int rule_files_read(struct rule_files *f, const char *path);
/* A text that somebody else has read of a file. Return: as before. */
int rule_files_text(struct rule_files *f, const struct rule_source *src);

/* After the last one: what holds for all together. Return: 0; -EINVAL: there are errors; -ENOMEM. */
int rule_files_link(struct rule_files *f);
/* Errors found elsewhere, beside those of the reader. Return: 0, -ENOMEM. */
int rule_files_add_errors(struct rule_files *f, const char *file, struct config_errors *errs);
/* Calls @one with each error, "FILE:LINE:COLUMN: TEXT" as far as it has a place. */
void rule_files_each_error(const struct rule_files *f, void (*one)(void *arg, const char *text),
			   void *arg);
void rule_files_done(struct rule_files *f);

/* A text file as a whole, to be freed; NULL: *ret_why. */
char *rule_file_text(const char *path, size_t *ret_len, const char **ret_why);

#endif
