/* SPDX-License-Identifier: Apache-2.0 */
/*
 * series.h - flows in short, for tests of rules:
 *
 *	tcp 10.0.0.{1..19} -> 10.0.1.5:3389 closed bytes=3Ki tls.sni={a,b}.example
 *
 * Protocol, ends (IPv6 with port in brackets), then a state and members of weir/fields.def. Each pair of
 * braces stands for several flows: all combinations, the last braces fastest. Pure; any thread.
 */
#ifndef WEIR_COLLECTOR_RULES_SERIES_H
#define WEIR_COLLECTOR_RULES_SERIES_H

#include <stddef.h>
#include <stdint.h>

#define SERIES_MAX  100000u /* flows of one series */
#define SERIES_TEXT 1024u

/* How many flows; 0: the braces are wrong or it are too many, *ret_why. */
uint32_t series_count(const char *text, const char **ret_why);

/**
 * series_json - one of them as a record's JSON (record_json.h), its `end` at @end_ns
 * @buf: @cap bytes
 *
 * Return: 0; -EINVAL: @buf says what is wrong.
 */
int series_json(const char *text, uint32_t i, uint64_t end_ns, char *buf, size_t cap);

#endif
