// SPDX-License-Identifier: Apache-2.0
/*
 * test_community_id.c - against IDs that other tools give to the same flows.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "common/community_id.h"

struct id_case {
	uint8_t proto;
	const char *src, *dst;
	uint16_t sport, dport; /* ICMP: type and code */
	const char *id;
};

static void set_ip(const char *text, uint8_t ip[16], uint8_t *family)
{
	memset(ip, 0, 16);
	if (inet_pton(AF_INET, text, ip + 12) == 1) {
		ip[10] = ip[11] = 0xff;
		*family = 4;
	} else {
		cr_assert(eq(int, inet_pton(AF_INET6, text, ip), 1));
		*family = 6;
	}
}

static struct flow_record record_of(const struct id_case *c)
{
	struct flow_record r;

	memset(&r, 0, sizeof(r));
	r.proto = c->proto;
	set_ip(c->src, r.src_ip, &r.family);
	set_ip(c->dst, r.dst_ip, &r.family);
	if (c->proto == 1 || c->proto == 58) {
		r.icmp_type = (uint8_t)c->sport;
		r.icmp_code = (uint8_t)c->dport;
		flow_set(&r, FF_ICMP_TYPE);
		flow_set(&r, FF_ICMP_CODE);
	} else if (c->sport || c->dport) {
		r.src_port = c->sport;
		r.dst_port = c->dport;
		flow_set(&r, FF_SRC_PORT);
		flow_set(&r, FF_DST_PORT);
	}
	return r;
}

static const struct id_case cases[] = {
	{6, "128.232.110.120", "66.35.250.204", 34855, 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
	{6, "2001:470:e5bf:dead:4957:2174:e82c:4887", "2607:f8b0:400c:c03::1a", 63943, 25,
	 "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="},
	{17, "192.168.1.52", "8.8.8.8", 54585, 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
	{132, "192.168.170.8", "192.168.170.56", 7, 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="},
	{132, "155.230.24.155", "203.255.252.194", 32836, 80, "1:/6KQAGEbBef8FMaWb94uWVu+rWE="},
	{46, "10.1.12.1", "10.1.12.2", 0, 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="},
	{1, "192.168.0.89", "192.168.0.1", 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
	{1, "192.168.0.1", "192.168.0.89", 0, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
	{1, "192.168.0.30", "8.8.8.8", 8, 0, "1:PDObhgSJfM0q3vbd+H/+5UPj9vs="},
	{1, "10.0.0.1", "10.0.0.2", 11, 0, "1:YHxtAirCG//0OzkcVAukqKQN9xM="},
	{1, "10.0.0.2", "10.0.0.1", 11, 1, "1:hIOSKWgbxq8HM8aVGEps8ZR6zGg="},
	{1, "10.0.0.1", "10.0.0.2", 11, 1, "1:SdShbcOZgHMr+/zTriiMrDAp0Gw="},
	{58, "fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 135, 0,
	 "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
	{58, "fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", 136, 0,
	 "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
	{58, "3ffe:501:1800:2345::2", "3ffe:507:0:1:200:86ff:fe05:80da", 3, 0,
	 "1:2ObVBgIn28oZvibYZhZMBgh7WdQ="},
	{58, "3ffe:501:410:0:2c0:dfff:fe47:33e", "3ffe:507:0:1:200:86ff:fe05:80da", 1, 4,
	 "1:hLZd0XGWojozrvxqE0dWB1iM6R0="},
	{58, "3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:501:0:1001::2", 128, 0,
	 "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="},
	{58, "fe80::200:86ff:fe05:80da", "ff02::2", 133, 0, "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="},
	{58, "2001:4f8:4:7:2e0:81ff:fe52:ffff", "2001:4f8:4:7:2e0:81ff:fe52:9a6b", 128, 0,
	 "1:N40044jnddUsHIpieznKPOQ/Ugk="},
};

Test(community_id, is_what_others_compute)
{
	struct community *ctx = NULL;

	cr_assert(eq(int, community_new(&ctx), 0));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct flow_record r = record_of(&cases[i]);
		char id[COMMUNITY_ID_TEXT];

		cr_assert(eq(int, community_id(ctx, &r, id), 0));
		cr_expect(eq(str, id, (char *)cases[i].id), "case %zu", i);
	}
	community_free(ctx);
}

Test(community_id, is_the_same_for_both_directions_of_what_has_two)
{
	struct community *ctx = NULL;

	cr_assert(eq(int, community_new(&ctx), 0));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct id_case c = cases[i];
		struct flow_record r;
		char id[COMMUNITY_ID_TEXT];

		if (c.proto == 1 || c.proto == 58)
			continue;
		c.src = cases[i].dst;
		c.dst = cases[i].src;
		c.sport = cases[i].dport;
		c.dport = cases[i].sport;
		r = record_of(&c);
		cr_assert(eq(int, community_id(ctx, &r, id), 0));
		cr_expect(eq(str, id, (char *)cases[i].id), "case %zu", i);
	}
	community_free(ctx);
}

Test(community_id, there_is_none_without_ip)
{
	struct community *ctx = NULL;
	struct flow_record r;
	char id[COMMUNITY_ID_TEXT];

	memset(&r, 0, sizeof(r));
	cr_assert(eq(int, community_new(&ctx), 0));
	cr_expect(eq(int, community_id(ctx, &r, id), -ENOENT));
	community_free(ctx);
	community_free(NULL);
}
