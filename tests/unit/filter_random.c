// SPDX-License-Identifier: Apache-2.0
/*
 * filter_random.c - see filter_random.h.
 */
#include "filter_random.h"

#include <string.h>

#include "filter_rig.h"

static uint64_t state = 0x9e3779b97f4a7c15;

uint32_t random_below(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % n;
}

uint64_t random_u64(void)
{
	const uint64_t high = random_below(UINT32_MAX);

	return (high << 32 | random_below(UINT32_MAX)) >> random_below(64);
}

/* ---- trees ---- */

static uint64_t random_number(enum flow_field f)
{
	static const uint64_t max[_FT_MAX] = {
		[FT_U8] = 255,	    [FT_U16] = 65535,	   [FT_U32] = UINT32_MAX,
		[FT_VLAN] = 4095,   [FT_PROTO] = 255,	   [FT_TLSVER] = 65535,
		[FT_QTYPE] = 65535, [FT_RCODE] = 65535,	   [FT_QUICVER] = UINT32_MAX,
		[FT_FLAGS] = 255,   [FT_U64] = UINT64_MAX, [FT_TIME] = UINT64_MAX / 1000,
	};
	const enum flow_type t = flow_fields[f].type;
	unsigned int words = 0, i = 0, pick;
	uint64_t v = 0;

	if (t == FT_COUNTRY)
		return (65 + random_below(26)) << 8 | (65 + random_below(26));
	if (max[t] && (max[t] < 256 || random_below(2)))
		return max[t] == UINT64_MAX ? random_u64() : random_u64() % (max[t] + 1);
	if (filter_class(f) != FC_WORD && filter_class(f) != FC_VERSION)
		return random_below(30);
	while (filter_word(t, &i, &v))
		words++;
	i = 0;
	for (pick = random_below(words) + 1; pick; pick--)
		filter_word(t, &i, &v);
	return v;
}

static void random_ip(struct filter_value *v)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	memset(v->ip, 0, 16);
	v->family = random_below(2) ? 4 : 6;
	if (v->family == 4)
		memcpy(v->ip, mapped, 12);
	else
		v->ip[0] = random_below(2) ? 0x20 : 0;
	for (unsigned int i = 12; i < 16; i++)
		v->ip[i] = (uint8_t)random_below(i == 15 ? 256 : 4);
}

static void random_net(struct filter_value *v)
{
	const unsigned int from = v->family == 4 ? 96 : 0;

	v->type = FV_NET;
	/* An IPv6 network among the mapped addresses would be written as IPv4: not here. */
	v->prefix = (uint8_t)random_below(v->family == 6 ? 96 : 33);
	for (unsigned int bit = from + v->prefix; bit < 128; bit++)
		v->ip[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static void random_address(struct filter_value *v, bool set)
{
	v->type = FV_IP;
	random_ip(v);
	if (set && random_below(2)) {
		random_net(v);
	} else if (set && random_below(3) == 0) {
		v->type = FV_IPS;
		memcpy(v->ip_hi, v->ip, 16);
		v->ip_hi[15] |= (uint8_t)random_below(256);
		v->ip_hi[14] |= (uint8_t)random_below(256);
	}
}

static uint32_t random_value(struct filter_parser *p, enum flow_field f, bool set)
{
	static const char letters[] = "abWx.\"\\\n\x80\0 z";
	struct filter_value v = {};
	char s[8];

	switch (filter_class(f)) {
	case FC_IP:
		random_address(&v, set);
		break;
	case FC_STRING:
	case FC_ID:
		v.type = FV_STRING;
		v.str_len = random_below(sizeof(s));
		for (uint32_t i = 0; i < v.str_len; i++)
			s[i] = letters[random_below(sizeof(letters) - 1)];
		v.str = (uint32_t)filter_add_bytes(p, s, v.str_len);
		break;
	default:
		v.type = FV_NUMBER;
		v.lo = v.hi = random_number(f);
		if (set && filter_class(f) <= FC_DURATION && random_below(2)) {
			v.type = FV_RANGE;
			v.hi += random_below(50);
			if (v.hi < v.lo || v.hi > random_number(f))
				v.hi = v.lo;
		}
	}
	return (uint32_t)filter_add_value(p, &v);
}

static int random_cmp(struct filter_parser *p)
{
	struct filter_node n = {.type = FN_CMP, .field = (uint8_t)random_below(_FF_MAX)};
	uint32_t last;

	do
		n.op = (uint8_t)random_below(_FO_MAX);
	while (!filter_class_has(filter_class(n.field), n.op));
	n.first = last = random_value(p, n.field, n.op == FO_IN);
	for (uint32_t more = n.op == FO_IN ? random_below(5) : 0; more; more--) {
		const uint32_t v = random_value(p, n.field, true);

		p->ast->values[last].next = v;
		last = v;
	}
	return filter_add_node(p, &n);
}

int random_node(struct filter_parser *p, unsigned int depth)
{
	struct filter_node n = {.type = (uint8_t)random_below(FN_EXISTS + 1)};

	if (n.type == FN_EXISTS) {
		n.field = (uint8_t)random_below(_FF_MAX);
		return filter_add_node(p, &n);
	}
	if (!depth || n.type == FN_CMP)
		return random_cmp(p);
	for (uint32_t k = n.type == FN_NOT ? 1 : 2 + random_below(3); k; k--) {
		const uint32_t child = (uint32_t)random_node(p, depth - 1);

		if (n.last)
			p->ast->nodes[n.last].next = child;
		else
			n.first = child;
		p->ast->nodes[child].prev = n.last;
		n.last = child;
	}
	return filter_add_node(p, &n);
}

/* ---- records ---- */

/* The rig's records with other numbers and addresses, and fields taken away. */
struct flow_record random_record(void)
{
	struct flow_record r = random_below(2) ? *filter_rig_tls() : *filter_rig_dns();
	struct filter_value ip;

	r.present[0] &= random_u64() | random_u64();
	r.present[1] &= random_u64() | random_u64();
	r.dst_port = (uint16_t)random_number(FF_DST_PORT);
	r.proto = (uint8_t)random_number(FF_PROTO);
	r.tls_version = (uint16_t)random_number(FF_TLS_VERSION);
	r.dns_qtype = (uint16_t)random_number(FF_DNS_QTYPE);
	r.tcp_flags = (uint8_t)random_number(FF_TCP_FLAGS);
	r.packets = random_below(30);
	r.bytes = random_u64();
	r.state = (uint8_t)random_number(FF_STATE);
	r.vlan[0] = (uint16_t)(random_number(FF_VLAN) | 1);
	random_ip(&ip);
	memcpy(r.src_ip, ip.ip, 16);
	random_ip(&ip);
	memcpy(r.dst_ip, ip.ip, 16);
	return r;
}
