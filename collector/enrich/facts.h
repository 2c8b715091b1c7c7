/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.h - what the collector knows of an address, and what a source of it is: the site list, a
 * database, later others. A source is read as a whole, answers for any address, and is replaced as a
 * whole; what one source said the next ones leave as it is.
 */
#ifndef WEIR_COLLECTOR_ENRICH_FACTS_H
#define WEIR_COLLECTOR_ENRICH_FACTS_H

#include <stdint.h>

#define FACTS_ERROR 240u

#define FACTS_AT_ONCE 64u

/* Of @ip (IPv4 as ::ffff:a.b.c.d). 0 and NULL: not known. Texts live as long as their source. */
struct facts {
	uint8_t ip[16];
	uint32_t as;
	uint16_t country; /* two letters, the first in the upper octet */
	uint16_t zone;	  /* number of store_zone() */
	const char *name; /* terminated */
};

/* Names of autonomous systems on their way to the store; any thread. */
struct facts_sink {
	void (*as)(void *arg, uint32_t number, const char *name, uint32_t len);
	void *arg;
};

struct facts_source {
	/**
	 * open - read it
	 * @error: FACTS_ERROR octets: what is wrong with it, with its place if it has one
	 *
	 * Return: 0, -errno; -EINVAL: it is there, but not what it should be.
	 */
	int (*open)(const char *path, void **ret, char *error);

	/* Fill in what it knows of @n addresses, FACTS_AT_ONCE at most. Any thread. */
	void (*find)(const void *state, struct facts *f, uint32_t n, const struct facts_sink *to);

	void (*close)(void *state);
};

#endif
