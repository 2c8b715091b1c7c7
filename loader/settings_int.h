/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings_int.h - one value of a setting: text to number or list, and its errors. For settings*.c.
 */
#ifndef WEIR_LOADER_SETTINGS_INT_H
#define WEIR_LOADER_SETTINGS_INT_H

#include "loader/settings.h"

/* What was wrong with a value. */
struct value_error {
	char text[200];
};

/**
 * setting_parse - check and convert a value
 * @ret: zeroed or holding an earlier value, which it replaces; untouched on error
 *
 * Return: 0, -EINVAL with @err, -ENOMEM.
 */
int setting_parse(enum setting_id id, const char *text, struct setting_value *ret,
		  struct value_error *err);

/* Append the items of @text to a LIST or ITEMS; @whole: it is one. Labels of the same key are replaced. Return: as above. */
int setting_append(enum setting_id id, const char *text, bool whole, struct setting_value *ret,
		   struct value_error *err);

/**
 * settings_exports - make settings.exports of the sections, --export and -o
 *
 * Return: 0, also with errors noted; -ENOMEM.
 */
int settings_exports(struct settings *s, struct config_errors *errs);

void setting_value_done(struct setting_value *v);

#endif
