/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_text.h - values of lists from text that others have written: addresses and networks, or names, one a
 * line. Every line is a value, a remark, or bad; bad ones are counted and the first is told of. What comes out is
 * each value once, in order, as this program writes it. Pure; any thread.
 */
#ifndef WEIR_COLLECTOR_PACKS_LIST_TEXT_H
#define WEIR_COLLECTOR_PACKS_LIST_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIST_ENTRIES_MAX 1000000u
#define LIST_BYTES_MAX	 (64u << 20)
#define LIST_VALUE	 256u

struct list_parse {
	/* in */
	bool names;	/* names, not addresses */
	uint8_t format; /* enum pack_format */
	uint32_t max_entries;
	/* out */
	char *text; /* one value a line, sorted */
	size_t len;
	uint32_t n;	   /* values */
	uint32_t bad;	   /* lines */
	uint32_t bad_line; /* the first of them, from 1 */
	char bad_why[80];
};

/**
 * list_parse - values of a text
 * @p: the first three members are set, the others 0; to be done, also when it fails
 *
 * plain: one value a line, what is behind # or ; or a blank is a remark; csv: the first column, with or without
 * quotes, a first line without a value is a heading; hosts: as in /etc/hosts, an address that is ignored, then names.
 * Return: 0, whatever was bad; -E2BIG: more than max_entries; -ENOMEM.
 */
int list_parse(const char *text, size_t len, struct list_parse *p);
void list_parse_done(struct list_parse *p);

/* Addresses from one to another, both in it, in the form of IPv6. */
struct list_range {
	uint8_t lo[16], hi[16];
};

/* "ADDRESS", "ADDRESS/BITS" without bits behind its prefix, "ADDRESS-ADDRESS". Return: 0, -EINVAL. */
int list_range(const char *text, struct list_range *ret);

/* Do they have an address in common? */
bool list_ranges_meet(const struct list_range *a, const struct list_range *b);

#endif
