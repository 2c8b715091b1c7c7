// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/frames.h"

#include <arpa/inet.h>
#include <string.h>

#define ETH	 14u
#define IP4	 20u
#define IP6	 40u
#define TCP	 20u
#define UDP	 8u
#define VXLAN	 8u
#define SMALL	 64u
#define LONG	 1000u
#define FLAG_SYN 0x02u
#define FLAG_PSH 0x08u
#define FLAG_ACK 0x10u
#define HELLO	 517u
#define HELLO_PQ 1734u
#define SPLIT	 40u /* bytes in the first segment: what TCP options can hide of the frame */
#define SEQ	 1000u
#define SERVER	 "www.example.net"

static void put16(uint8_t *p, uint16_t v)
{
	v = htons(v);
	memcpy(p, &v, sizeof(v));
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, sizeof(v));
}

static size_t put_eth(uint8_t *p, uint16_t proto)
{
	static const uint8_t addr[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};

	memcpy(p, addr, sizeof(addr));
	put16(p + 12, proto);
	return ETH;
}

static size_t put_ip4(uint8_t *p, uint8_t proto, uint16_t payload)
{
	memset(p, 0, IP4);
	p[0] = 0x45;
	put16(p + 2, IP4 + payload);
	p[8] = 64;
	p[9] = proto;
	put32(p + 12, 0x0a000001);
	put32(p + 16, 0xc0000201); /* 192.0.2.1 (RFC 5737) */
	return IP4;
}

/* New connections have another port than established ones: they are never the same flow. */
static size_t put_tcp(uint8_t *p, uint32_t seq, uint8_t flags)
{
	memset(p, 0, TCP);
	put16(p, flags & FLAG_SYN ? 40001 : 40000);
	put16(p + 2, 443);
	put32(p + 4, seq);
	put32(p + 8, flags & FLAG_ACK ? 1 : 0);
	p[12] = TCP / 4 << 4;
	p[13] = flags;
	put16(p + 14, 1024);
	return TCP;
}

static size_t put_udp(uint8_t *p, uint16_t dport, uint16_t payload)
{
	memset(p, 0, UDP);
	put16(p, 40000);
	put16(p + 2, dport);
	put16(p + 4, UDP + payload);
	return UDP;
}

static void tcp4(struct frame *f, uint8_t flags)
{
	size_t n = put_eth(f->data, 0x0800);

	n += put_ip4(f->data + n, 6, TCP);
	put_tcp(f->data + n, SEQ, flags);
	f->len = SMALL;
	f->gen.offset = ETH + 12;
}

static void udp4(struct frame *f, uint16_t len)
{
	uint16_t payload = len - ETH - IP4 - UDP;
	size_t n = put_eth(f->data, 0x0800);

	n += put_ip4(f->data + n, 17, UDP + payload);
	put_udp(f->data + n, 5004, payload);
	f->len = len;
	f->gen.offset = ETH + 12;
}

static void tcp6(struct frame *f)
{
	uint8_t *p = f->data + put_eth(f->data, 0x86dd);

	p[0] = 0x60;
	put16(p + 4, TCP);
	p[6] = 6;
	p[7] = 64;
	put32(p + 8, 0x20010db8); /* RFC 3849 */
	put32(p + 24, 0x20010db8);
	p[39] = 1;
	put_tcp(p + IP6, SEQ, FLAG_ACK);
	f->len = ETH + IP6 + TCP;
	f->gen.offset = ETH + 8 + 12;
}

static void vxlan(struct frame *f)
{
	uint16_t inner = ETH + IP4 + TCP;
	size_t n = put_eth(f->data, 0x0800);

	n += put_ip4(f->data + n, 17, UDP + VXLAN + inner);
	n += put_udp(f->data + n, 4789, VXLAN + inner);
	f->data[n] = 0x08; /* RFC 7348 section 5: the VNI is valid */
	put32(f->data + n + 4, 42 << 8);
	n += VXLAN;
	n += put_eth(f->data + n, 0x0800);
	f->gen.offset = n + 12;
	n += put_ip4(f->data + n, 6, TCP);
	n += put_tcp(f->data + n, SEQ, FLAG_ACK);
	f->len = n;
}

/* ---- a ClientHello (RFC 8446 section 4.1.2) of any size ---- */

static uint8_t *put_extension(uint8_t *p, uint16_t type, uint16_t len)
{
	put16(p, type);
	put16(p + 2, len);
	memset(p + 4, 0, len);
	return p + 4;
}

/* Key shares first, as browsers may: the name is then near the end of the hello. */
static uint8_t *put_extensions(uint8_t *p, const uint8_t *end)
{
	const uint16_t name = sizeof(SERVER) - 1, sni = 5 + name, versions = 5, alpn = 5;
	uint16_t share = end - p - 4 * 4 - sni - versions - alpn;
	uint8_t *q = put_extension(p, 51, share);

	put16(q, share - 2);
	put16(q + 2, 0x11ec);
	put16(q + 4, share - 6);
	q = put_extension(q + share, 43, versions);
	memcpy(q, "\x04\x03\x04\x03\x03", versions);
	q = put_extension(q + versions, 16, alpn);
	memcpy(q, "\x00\x03\x02h2", alpn);
	q = put_extension(q + alpn, 0, sni);
	put16(q, sni - 2);
	put16(q + 3, name);
	memcpy(q + 5, SERVER, name);
	return q + sni;
}

static void put_hello(uint8_t *p, size_t size)
{
	uint8_t *q = p;

	*q++ = 22; /* handshake */
	put16(q, 0x0301);
	put16(q + 2, size - 5);
	q += 4;
	put32(q, size - 9); /* 24 bits; the type goes where the highest byte is */
	*q = 1;
	put16(q + 4, 0x0303);
	memset(q + 6, 0x5a, 32); /* random */
	q += 38;
	*q++ = 32; /* session id */
	memset(q, 0xa5, 32);
	q += 32;
	put16(q, 6);
	memcpy(q + 2, "\x13\x01\x13\x02\x13\x03", 6);
	q += 8;
	*q++ = 1; /* no compression */
	*q++ = 0;
	put16(q, p + size - q - 2);
	put_extensions(q + 2, p + size);
}

static void phase(struct gen *g, uint32_t seq, uint16_t payload, uint8_t flags)
{
	g->phase_of[g->phases++] = (struct gen_phase){
		.seq = seq,
		.total_len = IP4 + TCP + payload,
		.doff = TCP / 4,
		.flags = flags,
	};
}

/* The second segment lies in the frame behind the first, which its TCP header's options cover. */
static void hello(struct frame *f, size_t size, size_t split)
{
	struct gen *g = &f->gen;

	tcp4(f, FLAG_SYN);
	put_hello(f->data + ETH + IP4 + TCP, size);
	f->len = ETH + IP4 + TCP + size;
	phase(g, SEQ, 0, FLAG_SYN);
	if (split)
		phase(g, SEQ + 1, split, FLAG_ACK);
	phase(g, SEQ + 1 + split, size, FLAG_ACK | FLAG_PSH);
	if (split) {
		g->phase_of[2].total_len = IP4 + TCP + size;
		g->phase_of[2].doff = (TCP + split) / 4;
	}
}

void frame_build(struct frame *f, enum frame_kind kind)
{
	memset(f, 0, sizeof(*f));
	switch (kind) {
	case FRAME_UDP:
		udp4(f, SMALL);
		break;
	case FRAME_UDP_LONG:
		udp4(f, LONG);
		break;
	case FRAME_IP6:
		tcp6(f);
		break;
	case FRAME_VXLAN:
		vxlan(f);
		break;
	case FRAME_SYN:
		tcp4(f, FLAG_SYN);
		break;
	case FRAME_HELLO:
		hello(f, HELLO, 0);
		break;
	case FRAME_HELLO_PQ:
		hello(f, HELLO_PQ, SPLIT);
		break;
	default:
		tcp4(f, FLAG_ACK);
	}
}
