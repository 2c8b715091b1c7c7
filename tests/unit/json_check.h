/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_check.h - a strict reader of RFC 8259, to hold what is written against. Knows nothing of the
 * writer.
 */
#ifndef WEIR_TESTS_UNIT_JSON_CHECK_H
#define WEIR_TESTS_UNIT_JSON_CHECK_H

#include <stddef.h>

/**
 * json_check - is it one JSON text, in valid UTF-8, without raw control characters, without a name
 * twice in an object, without null and fractions?
 *
 * Return: 0, or the position of the first offence + 1.
 */
size_t json_check(const char *s, size_t len);

/**
 * json_find - raw text of a member by path ("tls.sni"), quotes included
 *
 * Return: its length with *ret at its start, or 0: not there. The text must have passed json_check().
 */
size_t json_find(const char *s, size_t len, const char *path, const char **ret);

#endif
