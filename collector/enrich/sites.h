/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sites.h - the site list: networks with the zone they belong to and, if wanted, a name. A line of
 * the file is `CIDR ZONE [NAME]`; # begins a comment. Of networks that hold an address the longest
 * prefix counts. In filters @ZONE stands for the networks of a zone. Pure; read-only once made.
 */
#ifndef WEIR_COLLECTOR_ENRICH_SITES_H
#define WEIR_COLLECTOR_ENRICH_SITES_H

#include <stddef.h>
#include <stdint.h>

#define SITES_MAX   1000000u
#define SITES_ERROR 200u
#define SITE_TEXT   128u /* octets of a zone or a name, terminated */

struct site {
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t bits;	/* of those 128 */
	uint16_t zone;	/* index of sites_zone() */
	uint32_t name;	/* in the texts; 0: none */
};

struct sites;

/**
 * sites_parse - a file's text
 * @error: SITES_ERROR octets: "LINE:COLUMN: what is wrong"
 *
 * Return: 0, -EINVAL, -E2BIG, -ENOMEM.
 */
int sites_parse(const char *text, size_t len, struct sites **ret, char *error);
struct sites *sites_free(struct sites *s); /* NULL is fine; returns NULL */

/* The network of an address, or NULL. Any thread. */
const struct site *sites_find(const struct sites *s, const uint8_t ip[static 16]);

const char *sites_zone(const struct sites *s, uint16_t zone); /* NULL: no more */
const char *sites_name(const struct sites *s, const struct site *site);

/* Networks of a zone as a filter's list has them, or NULL. */
const char *sites_list(const struct sites *s, const char *zone);

#endif
