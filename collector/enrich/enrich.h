/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enrich.h - what is added to flows before they are stored: zones and names of their addresses from
 * the site list, autonomous systems and countries from databases, names that clients asked for. What the
 * exporter said stays. Several receiving threads at once; a reload does not stop them.
 */
#ifndef WEIR_COLLECTOR_ENRICH_ENRICH_H
#define WEIR_COLLECTOR_ENRICH_ENRICH_H

#include "collector/enrich/learn.h"
#include "collector/settings.h"
#include "collector/store/store.h"
#include "common/filter.h"

struct enrich;

/**
 * enrich_new - read the files
 * @store: that numbers the zones; NULL: nothing is added to flows, the lists are for filters alone
 *
 * Return: 0, -EINVAL: a file can't be read (said in the log), -ENOMEM.
 */
int enrich_new(const struct settings *s, struct store *store, struct enrich **ret);
void enrich_free(struct enrich *e); /* NULL is fine */

/* Read the files again; one that can't be read stays as it was, which is said in the log. */
void enrich_reload(struct enrich *e, const struct settings *s);

/* Fill columns of all rows of a block. Any thread. */
void enrich_block(struct enrich *e, struct block *b);

/* @ZONE in filters. Lives as long as @e. Any thread. */
const struct filter_env *enrich_lists(struct enrich *e);

struct enrich_stats {
	bool sites;	    /* there is a list */
	uint64_t asn_built; /* when the databases were made, seconds since 1970; 0: there is none */
	uint64_t country_built;
	uint64_t errors; /* lookups that a damaged database could not answer */
	struct learn_stats names;
};

void enrich_stats(struct enrich *e, struct enrich_stats *ret);

#endif
