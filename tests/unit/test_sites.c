// SPDX-License-Identifier: Apache-2.0
/*
 * test_sites.c - the site list: which network an address is in, lists of zones, mistakes with their
 * place.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/enrich/sites.h"
#include "common/address.h"

static char error[SITES_ERROR];

static struct sites *parse(const char *text)
{
	struct sites *s = NULL;

	return sites_parse(text, strlen(text), &s, error) ? NULL : s;
}

static const char *zone_of(const struct sites *s, const char *address)
{
	const struct site *found;
	uint8_t ip[16];

	cr_assert(eq(int, address_ip(address, ip), 0));
	found = sites_find(s, ip);
	return found ? sites_zone(s, found->zone) : "";
}

Test(sites, the_longest_prefix_counts)
{
	struct sites *s = parse("# ours\n10.0.0.0/8 local\n10.1.0.0/16 lab  test-lab # inner\n"
				"10.1.2.3 lab printer\n2001:db8::/32 local\n\n::/0 world\r\n");
	uint8_t ip[16];

	cr_assert(s != NULL, "%s", error);
	cr_assert(eq(str, (char *)zone_of(s, "10.9.9.9"), "local"));
	cr_assert(eq(str, (char *)zone_of(s, "10.1.255.1"), "lab"));
	cr_assert(eq(str, (char *)zone_of(s, "2001:db8:1::1"), "local"));
	cr_assert(eq(str, (char *)zone_of(s, "2001:db9::1"), "world"));
	address_ip("10.1.2.3", ip);
	cr_assert(eq(str, (char *)sites_name(s, sites_find(s, ip)), "printer"));
	address_ip("10.1.2.4", ip);
	cr_assert(eq(str, (char *)sites_name(s, sites_find(s, ip)), "test-lab"));
	address_ip("10.2.2.4", ip);
	cr_assert(eq(ptr, (char *)sites_name(s, sites_find(s, ip)), NULL));
	sites_free(s);
}

Test(sites, a_zone_is_a_list_of_filters)
{
	struct sites *s = parse("10.0.0.0/8 local\n192.0.2.0/24 dmz\nfd00::/8 local\n");

	cr_assert(s != NULL, "%s", error);
	cr_assert(eq(str, (char *)sites_list(s, "local"), "10.0.0.0/8, fd00::/8"));
	cr_assert(eq(str, (char *)sites_list(s, "dmz"), "192.0.2.0/24"));
	cr_assert(eq(ptr, (char *)sites_list(s, "nowhere"), NULL));
	sites_free(s);
}

Test(sites, nothing_is_in_an_empty_list)
{
	struct sites *s = parse("");

	cr_assert(s != NULL);
	cr_assert(eq(str, (char *)zone_of(s, "10.0.0.1"), ""));
	cr_assert(eq(ptr, (char *)sites_zone(s, 0), NULL));
	sites_free(s);
}

/* As many networks as there are octets, against a search of all. */
Test(sites, finds_what_a_search_of_all_finds)
{
	static char text[65536];
	static uint8_t nets[600][17];
	struct sites *s;
	size_t at = 0;
	unsigned int seed = 7;

	for (unsigned int i = 0; i < 600; i++) {
		const unsigned int bits = 8 + (seed = seed * 1103515245 + 12345) / 65536 % 25;
		uint32_t net = (seed * 2654435761u) & (0xffffffffu << (32 - bits));
		char ip[INET_ADDRSTRLEN];

		net = (net & 0x03ffffff) | 0x08000000; /* close to each other */
		net &= 0xffffffffu << (32 - bits);
		net = htonl(net);
		inet_ntop(AF_INET, &net, ip, sizeof(ip));
		memcpy(nets[i], &net, 4);
		nets[i][16] = (uint8_t)bits;
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s/%u z%u\n", ip, bits, bits);
	}
	s = parse(text);
	cr_assert(s != NULL, "%s", error);
	for (unsigned int i = 0; i < 5000; i++) {
		const uint32_t host = ((seed = seed * 1103515245 + 12345) & 0x03ffffff) |
				      0x08000000;
		const uint32_t be = htonl(host);
		uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};
		const struct site *found;
		unsigned int best = 0;

		memcpy(ip + 12, &be, 4);
		for (unsigned int k = 0; k < 600; k++) {
			uint32_t net;

			memcpy(&net, nets[k], 4);
			if ((host & 0xffffffffu << (32 - nets[k][16])) == ntohl(net) &&
			    nets[k][16] > best)
				best = nets[k][16];
		}
		found = sites_find(s, ip);
		cr_assert(eq(u32, found ? found->bits - 96u : 0, best));
	}
	sites_free(s);
}

Test(sites, mistakes_have_their_place)
{
	static const struct {
		const char *text, *says;
	} mistakes[] = {
		{"10.0.0.0/8\n", "1:11: the zone is missing"},
		{"\n10.0.0.0/33 x\n", "2:10: the prefix length"},
		{"10.0.0.1/8 x\n", "1:1: bits are set"},
		{"  ten x\n", "1:3: 'ten' is no address"},
		{"10.0.0.0/8 x y z\n", "1:16: nothing comes behind"},
		{"10.0.0.0/8 a/b\n", "1:13: a zone's name has letters"},
	};

	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		struct sites *s = NULL;

		cr_assert(eq(int,
			     sites_parse(mistakes[i].text, strlen(mistakes[i].text), &s, error),
			     -EINVAL));
		cr_assert(strstr(error, mistakes[i].says) != NULL, "%s", error);
	}
}
