// SPDX-License-Identifier: Apache-2.0
/*
 * community_id.c - see community_id.h.
 *
 * Hashed are seed, the two addresses, protocol, a zero byte and the two ports, endpoints ordered so
 * that both directions agree. ICMP has types in the place of ports: a request's and its reply's;
 * for a message that has no counterpart, type and code, and then the order is the packet's.
 */
#include "common/community_id.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct community {
	EVP_MD *md;
	EVP_MD_CTX *ctx;
};

int community_new(struct community **ret)
{
	struct community *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->md = EVP_MD_fetch(NULL, "SHA1", NULL);
	c->ctx = EVP_MD_CTX_new();
	if (!c->md || !c->ctx) {
		int r = c->md ? -ENOMEM : -EIO;

		community_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void community_free(struct community *c)
{
	if (!c)
		return;
	EVP_MD_CTX_free(c->ctx);
	EVP_MD_free(c->md);
	free(c);
}

struct counterpart {
	uint8_t type;
	uint8_t other;
};

static const struct counterpart icmp4[] = {
	{0, 8},	  {8, 0},   {9, 10},  {10, 9},	{13, 14},
	{14, 13}, {15, 16}, {16, 15}, {17, 18}, {18, 17},
};

static const struct counterpart icmp6[] = {
	{128, 129}, {129, 128}, {130, 131}, {131, 130}, {133, 134}, {134, 133},
	{135, 136}, {136, 135}, {139, 140}, {140, 139}, {144, 145}, {145, 144},
};

/* Counterpart of a type, or -1. */
static int counterpart(uint8_t proto, uint8_t type)
{
	const struct counterpart *t = proto == 1 ? icmp4 : icmp6;
	size_t n = proto == 1 ? sizeof(icmp4) / sizeof(icmp4[0]) : sizeof(icmp6) / sizeof(icmp6[0]);

	for (size_t i = 0; i < n; i++) {
		if (t[i].type == type)
			return t[i].other;
	}
	return -1;
}

struct ends {
	uint16_t port[2];
	bool ports;   /* hashed too */
	bool one_way; /* not ordered */
};

static struct ends ends_of(const struct flow_record *r)
{
	struct ends e = {};

	if ((r->proto == 1 && r->family == 4) || (r->proto == 58 && r->family == 6)) {
		int other;

		if (!flow_has(r, FF_ICMP_TYPE))
			return e;
		other = counterpart(r->proto, r->icmp_type);
		e.ports = true;
		e.one_way = other < 0;
		e.port[0] = r->icmp_type;
		e.port[1] = other < 0 ? r->icmp_code : (uint16_t)other;
	} else if ((r->proto == 6 || r->proto == 17 || r->proto == 132) &&
		   flow_has(r, FF_SRC_PORT)) {
		e.ports = true;
		e.port[0] = r->src_port;
		e.port[1] = r->dst_port;
	}
	return e;
}

size_t community_tuple(const struct flow_record *r, uint8_t *p)
{
	const size_t alen = r->family == 4 ? 4 : 16;
	const uint8_t *a = r->src_ip + 16 - alen, *b = r->dst_ip + 16 - alen;
	const struct ends e = ends_of(r);
	const int order = memcmp(a, b, alen);
	const int s = !e.one_way && (order > 0 || (!order && e.port[0] > e.port[1]));
	size_t n = 2;

	p[0] = p[1] = 0; /* seed */
	memcpy(p + n, s ? b : a, alen);
	memcpy(p + n + alen, s ? a : b, alen);
	n += 2 * alen;
	p[n++] = r->proto;
	p[n++] = 0;
	if (!e.ports)
		return n;
	p[n++] = (uint8_t)(e.port[s] >> 8);
	p[n++] = (uint8_t)e.port[s];
	p[n++] = (uint8_t)(e.port[!s] >> 8);
	p[n++] = (uint8_t)e.port[!s];
	return n;
}

int community_id(struct community *c, const struct flow_record *r, char *buf)
{
	unsigned char tuple[COMMUNITY_TUPLE];
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (r->family != 4 && r->family != 6)
		return -ENOENT;
	if (!EVP_DigestInit_ex2(c->ctx, c->md, NULL) ||
	    !EVP_DigestUpdate(c->ctx, tuple, community_tuple(r, tuple)) ||
	    !EVP_DigestFinal_ex(c->ctx, md, &len) || len != 20)
		return -EIO;
	buf[0] = '1';
	buf[1] = ':';
	EVP_EncodeBlock((unsigned char *)buf + 2, md, 20);
	return 0;
}
