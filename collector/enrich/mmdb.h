/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmdb.h - autonomous systems and countries from databases in MaxMind's format, by libmaxminddb. A file
 * is copied into memory when it is opened: whoever writes over it later does no harm.
 * Source: MaxMind DB File Format Specification, version 2.0.
 */
#ifndef WEIR_COLLECTOR_ENRICH_MMDB_H
#define WEIR_COLLECTOR_ENRICH_MMDB_H

#include "collector/enrich/facts.h"

extern const struct facts_source mmdb_asn;
extern const struct facts_source mmdb_country;

/* Lookups that the database could not answer because it is damaged. Any thread. */
uint64_t mmdb_errors(const void *state);

/* When it was made, seconds since 1970. */
uint64_t mmdb_built(const void *state);

#endif
