/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmdb_make.h - databases in MaxMind's format for tests: networks with an autonomous system and a
 * country. Source: MaxMind DB File Format Specification, version 2.0.
 */
#ifndef WEIR_TESTS_MMDB_MAKE_H
#define WEIR_TESTS_MMDB_MAKE_H

#include <stdint.h>

struct mmdb_network {
	const char *cidr;    /* the wider ones first */
	uint32_t as;	     /* 0: none */
	const char *org;     /* or NULL */
	const char *country; /* or NULL */
};

/* Return: 0, -EINVAL: no network, -ENOMEM, or what writing gave. */
int mmdb_make(const char *path, const struct mmdb_network *v, uint32_t n);

#endif
