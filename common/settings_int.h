/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings_int.h - one value of a setting: text to number or list, and its errors. For settings*.c.
 */
#ifndef WEIR_COMMON_SETTINGS_INT_H
#define WEIR_COMMON_SETTINGS_INT_H

#include "common/settings.h"

/**
 * setting_parse - check and convert a value
 * @ret: zeroed or holding an earlier value, which it replaces; untouched on error
 *
 * Return: 0, -EINVAL with @err, -ENOMEM.
 */
int setting_parse(const struct settings_schema *schema, unsigned int id, const char *text,
		  struct setting_value *ret, struct value_error *err);

/* Append the items of @text to a LIST or ITEMS; of SF_KEYS those with the same key are replaced.
 * Return: as above. */
int setting_append(const struct settings_schema *schema, unsigned int id, const char *text,
		   struct setting_value *ret, struct value_error *err);

/* The same for @text as one item. */
int setting_append_item(const struct settings_schema *schema, unsigned int id, const char *text,
			struct setting_value *ret, struct value_error *err);

void setting_value_done(struct setting_value *v);

#endif
