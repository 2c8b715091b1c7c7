/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_text.h - a record's members as numbers and as text, one way for every writer and filter.
 * Any thread.
 */
#ifndef WEIR_COMMON_FLOW_TEXT_H
#define WEIR_COMMON_FLOW_TEXT_H

#include "common/flow.h"

#define FLOW_TEXT 48u /* enough for every member that is no string of its own */

/* Is it a JSON number; is it a list (and so in no CSV column)? */
bool flow_type_number(enum flow_type t);
bool flow_type_list(enum flow_type t);

/* Bytes of what stands in the record, for all types that are one number there; else 0. */
unsigned int flow_number_width(enum flow_type t);

/* The number behind a member: its value, or that of the enum its word stands for; else 0. */
uint64_t flow_number(const struct flow_record *r, enum flow_field f);

/* The word for a number of an enum type, or the number in @buf (FLOW_TEXT bytes); "" for others. */
const char *flow_word(enum flow_type t, uint64_t v, char *buf);

/**
 * flow_text - text of a member that is present and no list
 * @buf: FLOW_TEXT bytes
 *
 * Return: the text, in @buf, in the record, or constant; empty for lists and community_id.
 *         Strings are bytes as they were on the wire.
 */
struct flow_str flow_text(const struct flow_record *r, enum flow_field f, char *buf);

#endif
