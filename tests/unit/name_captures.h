/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_captures.h - UDP payloads of the public captures, as events of the ring, and the names an
 * independent dissector found in them.
 */
#ifndef WEIR_TESTS_NAME_CAPTURES_H
#define WEIR_TESTS_NAME_CAPTURES_H

#include <stddef.h>
#include "weir/abi.h"

#define CAPTURE_EVENTS_MAX 2000u

struct captured {
	size_t n;
	struct ev_payload ev[CAPTURE_EVENTS_MAX];
};

/* Folder of the captures: WEIR_PCAPS, else ../shared/pcaps; NULL when there is none. */
const char *captures_folder(void);

/* UDP payloads of @file (under the folder): IPv4 and IPv6, no tunnels. Return: 0 or -errno. */
int captures_read(const char *file, struct captured *ret);

/* A line of facts.jsonl at a time; NULL at the end. Not terminated by a line feed. */
const char *captures_next_fact(void);

/* The @i-th string of list @key of a line, or the value of a plain string. NULL: none. */
const char *fact_string(const char *line, const char *key, unsigned int i, char *buf, size_t cap);

#endif
