// SPDX-License-Identifier: Apache-2.0
/*
 * decode_sflow5.c - sFlow version 5 (sflow.org, "sFlow Version 5", 2004): each flow sample is a row
 * of one packet, as its sampled header says (read by the parser of the packet path), or its fields of
 * IPv4 or IPv6 where there is no header. Counter samples are counted. Rates stay beside the counts.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "bpf/parse.h"
#include "collector/ingest/decoder_int.h"
#include "common/ipfix_get.h"
#include "common/packet_record.h"

#define FLOW_SAMPLE	  1u
#define COUNTERS_SAMPLE	  2u
#define EXPANDED_FLOW	  3u
#define EXPANDED_COUNTERS 4u

#define RECORD_HEADER	1u
#define RECORD_IPV4	3u
#define RECORD_IPV6	4u
#define RECORD_SWITCH	1001u
#define RECORD_ROUTER	1002u
#define RECORD_GATEWAY	1003u
#define HEADER_ETHERNET 1u
#define HEADER_IPV4	11u
#define HEADER_IPV6	12u
#define ROW_TEXT	64u

/* XDR: numbers of four octets, texts filled up to four. */
struct xdr {
	const uint8_t *p;
	const uint8_t *end;
	bool bad; /* went beyond */
};

static uint32_t xdr_u32(struct xdr *x)
{
	if (x->end - x->p < 4) {
		x->bad = true;
		x->p = x->end;
		return 0;
	}
	x->p += 4;
	return get32(x->p - 4);
}

/* @len octets and what fills them up. NULL: beyond. */
static const uint8_t *xdr_bytes(struct xdr *x, uint32_t len)
{
	const uint8_t *p = x->p;
	const size_t left = (size_t)(x->end - x->p);

	if (len > left) {
		x->bad = true;
		x->p = x->end;
		return NULL;
	}
	x->p += left - len < 3 ? left : ((size_t)len + 3) & ~(size_t)3;
	if (x->p > x->end)
		x->p = x->end;
	return p;
}

/* An address with its type before it. Return: false: neither IPv4 nor IPv6, or beyond. */
static bool xdr_address(struct xdr *x, uint8_t ret[static 16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const uint32_t type = xdr_u32(x);
	const uint8_t *p = type == 1 ? xdr_bytes(x, 4) : type == 2 ? xdr_bytes(x, 16) : NULL;

	memset(ret, 0, 16);
	if (!p)
		return false;
	if (type == 1) {
		memcpy(ret, mapped, sizeof(mapped));
		memcpy(ret + 12, p, 4);
	} else {
		memcpy(ret, p, 16);
	}
	return true;
}

/* A flow sample being read. */
struct sample {
	struct message *m;
	struct flow_record r;
	bool is_flow; /* r has a packet */
	bool has_hop;
	uint32_t rate;
	uint32_t in_if, out_if;
	uint32_t src_as, dst_as;
	uint8_t src_mask, dst_mask;
	uint8_t hop[16];
	uint32_t vlan;
};

/* ---- records of a sample ---- */

static void take_packet(struct sample *s, const struct pkt *k)
{
	packet_record(k, &s->r);
	s->is_flow = true;
}

/* A sampled header; those without Ethernet get one. */
static void take_header(struct sample *s, struct xdr *x)
{
	static const struct parse_cfg outer;
	uint8_t frame[ETH_HLEN + 2048] = {};
	const uint32_t protocol = xdr_u32(x), wire = xdr_u32(x), stripped = xdr_u32(x);
	uint32_t len = xdr_u32(x), at = 0;
	const uint8_t *p = xdr_bytes(x, len);
	struct pkt k;

	if (!p || s->is_flow)
		return;
	if (protocol == HEADER_IPV4 || protocol == HEADER_IPV6) {
		const uint16_t type = htobe16(protocol == HEADER_IPV4 ? ETH_P_IP : ETH_P_IPV6);

		memcpy(frame + 12, &type, sizeof(type));
		at = ETH_HLEN;
	} else if (protocol != HEADER_ETHERNET) {
		exporter_count(s->m->s->e, IC_FRAME, 1);
		return;
	}
	if (len > sizeof(frame) - ETH_HLEN)
		len = sizeof(frame) - ETH_HLEN;
	memcpy(frame + at, p, len);
	if (parse_frame(frame, at + len, at + (wire > stripped ? wire - stripped : wire), &outer,
			&k))
		exporter_count(s->m->s->e, IC_FRAME, 1);
	else
		take_packet(s, &k);
}

/* The fields that an agent without the header's octets gives. */
static void take_fields(struct sample *s, struct xdr *x, bool v6)
{
	struct pkt k = {.key.ethertype = v6 ? ETH_P_IPV6 : ETH_P_IP};
	const uint8_t *src, *dst;

	k.l4.ip_bytes = xdr_u32(x);
	k.key.proto = (uint8_t)xdr_u32(x);
	src = xdr_bytes(x, v6 ? 16 : 4);
	dst = xdr_bytes(x, v6 ? 16 : 4);
	k.key.port[0] = htobe16((uint16_t)xdr_u32(x));
	k.key.port[1] = htobe16((uint16_t)xdr_u32(x));
	k.l4.tcp_flags = (uint8_t)xdr_u32(x);
	k.l4.dscp = (uint8_t)xdr_u32(x) >> 2;
	if (x->bad || s->is_flow)
		return;
	memcpy(k.key.addr[0] + (v6 ? 0 : 12), src, v6 ? 16 : 4);
	memcpy(k.key.addr[1] + (v6 ? 0 : 12), dst, v6 ? 16 : 4);
	for (unsigned int i = 0; !v6 && i < 2; i++)
		k.key.addr[i][10] = k.key.addr[i][11] = 0xff;
	take_packet(s, &k);
}

static void take_router(struct sample *s, struct xdr *x)
{
	s->has_hop = xdr_address(x, s->hop);
	s->src_mask = (uint8_t)xdr_u32(x);
	s->dst_mask = (uint8_t)xdr_u32(x);
}

/* The last number of the path is the destination's. */
static void take_gateway(struct sample *s, struct xdr *x)
{
	uint8_t hop[16];
	uint32_t segments;

	xdr_address(x, hop);
	xdr_u32(x); /* the router's own */
	s->src_as = xdr_u32(x);
	xdr_u32(x); /* the peer's */
	segments = xdr_u32(x);
	while (segments-- && !x->bad) {
		uint32_t n;

		xdr_u32(x); /* ordered or not */
		n = xdr_u32(x);
		while (n-- && !x->bad)
			s->dst_as = xdr_u32(x);
	}
}

static void take_record(struct sample *s, uint32_t type, struct xdr *x)
{
	switch (type) {
	case RECORD_HEADER:
		take_header(s, x);
		break;
	case RECORD_IPV4:
	case RECORD_IPV6:
		take_fields(s, x, type == RECORD_IPV6);
		break;
	case RECORD_SWITCH:
		s->vlan = xdr_u32(x);
		break;
	case RECORD_ROUTER:
		take_router(s, x);
		break;
	case RECORD_GATEWAY:
		take_gateway(s, x);
		break;
	}
}

/* ---- samples ---- */

static void set_u32(struct block *b, enum block_column c, uint32_t row, uint32_t v)
{
	if (!v)
		return;
	if (block_columns[c].size == 1)
		BLOCK_COLUMN(b, uint8_t, c)[row] = (uint8_t)v;
	else
		BLOCK_COLUMN(b, uint32_t, c)[row] = v;
	block_set_valid(b, c, row);
}

static void add_row(struct sample *s)
{
	struct message *m = s->m;
	struct exporter *e = m->s->e;
	struct flow_record *r = &s->r;
	struct block *b = block_room(m->d, 1, ROW_TEXT, m->now_us);
	const uint32_t row = b ? b->rows : 0;

	r->start_ns = r->end_ns = (uint64_t)m->now_us * 1000;
	r->out.packets = 1;
	r->sampling = s->rate;
	r->ifindex = s->in_if;
	if (s->vlan && s->vlan < 4095 && !flow_has(r, FF_VLAN)) {
		r->vlan[0] = (uint16_t)s->vlan;
		flow_set(r, FF_VLAN);
	}
	flow_set(r, FF_START);
	flow_set(r, FF_END);
	flow_set(r, FF_OUT_PACKETS);
	flow_set(r, FF_OUT_BYTES);
	flow_set(r, FF_SAMPLING);
	if (!b || block_add_flow(b, r, __atomic_load_n(&e->id, __ATOMIC_RELAXED))) {
		exporter_count(e, IC_NO_BLOCK, 1);
		return;
	}
	set_u32(b, BC_OUT_IF, row, s->out_if);
	set_u32(b, BC_SRC_AS, row, s->src_as);
	set_u32(b, BC_DST_AS, row, s->dst_as);
	set_u32(b, BC_SRC_MASK, row, s->src_mask);
	set_u32(b, BC_DST_MASK, row, s->dst_mask);
	if (s->has_hop)
		block_put_ip(b, BC_NEXT_HOP_HI, row, s->hop);
	exporter_count(e, IC_RECORDS, 1);
}

/* Interface numbers: the upper two bits say what the others are; 0x3fffffff is "not known". */
static uint32_t interface_of(uint32_t format, uint32_t v)
{
	return format || v == 0x3fffffff ? 0 : v;
}

static int flow_sample(struct message *m, struct xdr *x, bool expanded)
{
	struct sample s = {.m = m};
	uint32_t n, in, out;

	xdr_u32(x); /* the sampler's own number */
	xdr_u32(x); /* which one */
	if (expanded)
		xdr_u32(x);
	s.rate = xdr_u32(x);
	xdr_u32(x); /* packets that could have been sampled */
	xdr_u32(x); /* samples dropped by the agent, cumulative */
	in = xdr_u32(x);
	if (expanded)
		s.in_if = interface_of(in, xdr_u32(x));
	else
		s.in_if = interface_of(in >> 30, in & 0x3fffffff);
	out = xdr_u32(x);
	if (expanded)
		s.out_if = interface_of(out, xdr_u32(x));
	else
		s.out_if = interface_of(out >> 30, out & 0x3fffffff);
	n = xdr_u32(x);
	__atomic_store_n(&m->s->e->rate, m->s->sampling.override ?: s.rate, __ATOMIC_RELAXED);
	if (m->s->sampling.override)
		s.rate = m->s->sampling.override;
	while (n-- && !x->bad) {
		const uint32_t type = xdr_u32(x), len = xdr_u32(x);
		const uint8_t *p = xdr_bytes(x, len);
		struct xdr record = {p, p ? p + len : NULL, false};

		if (p)
			take_record(&s, type, &record);
		x->bad |= record.bad;
	}
	if (s.is_flow)
		add_row(&s);
	return x->bad ? message_bad(m, IC_SAMPLE) : 0;
}

static int read_samples(struct message *m, struct xdr *x, uint32_t n)
{
	while (n--) {
		const uint32_t type = xdr_u32(x), len = xdr_u32(x);
		const uint8_t *p = xdr_bytes(x, len);
		struct xdr sample = {p, p ? p + len : NULL, false};
		int r = 0;

		if (x->bad)
			return message_bad(m, IC_SAMPLE);
		if (type == FLOW_SAMPLE || type == EXPANDED_FLOW)
			r = flow_sample(m, &sample, type == EXPANDED_FLOW);
		else if (type == COUNTERS_SAMPLE || type == EXPANDED_COUNTERS)
			exporter_count(m->s->e, IC_COUNTERS, 1);
		else
			exporter_count(m->s->e, IC_UNNAMED, 1);
		if (r)
			return r;
	}
	return 0;
}

int decode_sflow5(struct decoder *d, const struct source *from, const uint8_t *p, size_t len,
		  int64_t now_us)
{
	struct message m = {.d = d, .now_us = now_us, .export_us = now_us};
	struct xdr x = {p + 4, p + len, false};
	struct source agent = *from;
	uint8_t address[16];
	uint32_t sub, n;
	int r;

	/* the agent is the exporter, whatever sends for it */
	if (xdr_address(&x, address))
		memcpy(agent.address, address, 16);
	sub = xdr_u32(&x);
	m.number = xdr_u32(&x);
	xdr_u32(&x); /* milliseconds since its start */
	n = xdr_u32(&x);
	if (x.bad)
		return message_bad(&m, IC_SHORT);
	m.s = session_get(d, &agent, sub, INGEST_SFLOW5);
	if (!m.s) {
		d->count[IC_TOO_MANY]++;
		return 0;
	}
	message_begin(&m, len);
	r = read_samples(&m, &x, n);
	m.n = 1;
	message_end(&m);
	return r;
}
