// SPDX-License-Identifier: Apache-2.0
/*
 * mmdb_make_tool.c - a database in MaxMind's format from lines "CIDR AS COUNTRY ORG", - for none, on
 * standard input. usage: mmdb_make_tool FILE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/scan.h"
#include "mmdb_make.h"

#define NETWORKS 1000u

int main(int argc, char **argv)
{
	static struct mmdb_network v[NETWORKS];
	static char lines[NETWORKS][256];
	uint32_t n = 0;
	int r;

	while (argc == 2 && n < NETWORKS && fgets(lines[n], sizeof(lines[n]), stdin)) {
		char *line = lines[n], *cidr = strsep(&line, " "), *as = strsep(&line, " ");
		char *country = strsep(&line, " "), *org = strsep(&line, "\n");
		uint64_t number = 0;

		if (!org || (*as != '-' && scan_u64(as, 1, UINT32_MAX, &number)))
			return EXIT_FAILURE;
		v[n++] = (struct mmdb_network){cidr, (uint32_t)number, *org == '-' ? NULL : org,
					       *country == '-' ? NULL : country};
	}
	r = argc == 2 ? mmdb_make(argv[1], v, n) : -1;
	if (r)
		fprintf(stderr, "mmdb_make_tool: %s\n", r == -1 ? "usage: FILE" : strerror(-r));
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
