// SPDX-License-Identifier: Apache-2.0
/*
 * frames.c - sends frames that no program at hand would send: tags, tunnels, fragments, options,
 * broken headers. frames [-n COUNT] [-d MAC] IFACE KIND; KIND "list" names them.
 *
 * Prints `PORT FRAMES BYTES OUTER INNER`: source port of the kind, frames sent, their bytes, and the
 * IP bytes of the outermost and of the innermost packets, as this sender knows them.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/scan.h"
#include "raw.h"
#include "tests/unit/packets.h"

#define CLIENT	    IP4(10, 99, 1, 1)
#define SERVER	    IP4(10, 99, 2, 2)
#define OUTER_SRC   IP4(10, 99, 3, 3)
#define OUTER_DST   IP4(10, 99, 4, 4)
#define DPORT	    5201
#define SPORT_FIRST 40000 /* each kind has its own, in the order of the table */
#define FRAGMENT    24u	  /* bytes in each fragment of the fragmented kinds */

struct sent {
	unsigned long long frames;
	unsigned long long bytes;
	unsigned long long outer;
	unsigned long long inner;
};

static uint16_t sport;

/* Builds frame number @i; leaves the offset of the innermost IP header in *@inner. */
typedef void (*build_fn)(struct packet *p, unsigned int i, uint32_t *inner);

static void datagram(struct packet *p, unsigned int payload)
{
	pk_ip4(p, CLIENT, SERVER);
	pk_udp(p, sport, DPORT);
	pk_payload(p, payload);
}

static void build_udp(struct packet *p, unsigned int i, uint32_t *inner)
{
	pk_eth(p);
	*inner = p->len;
	datagram(p, 10 + i % 7);
}

static void build_vlan(struct packet *p, unsigned int i, uint32_t *inner)
{
	pk_eth(p);
	pk_vlan(p, 0x8100, 3 << 13 | 42);
	*inner = p->len;
	datagram(p, 10 + i % 7);
}

static void build_qinq(struct packet *p, unsigned int i, uint32_t *inner)
{
	pk_eth(p);
	pk_vlan(p, 0x88a8, 1001);
	pk_vlan(p, 0x8100, 42);
	*inner = p->len;
	datagram(p, 10 + i % 7);
}

static void build_mpls(struct packet *p, unsigned int i, uint32_t *inner)
{
	pk_eth(p);
	pk_mpls(p, 16001, 0);
	pk_mpls(p, 24001, 1);
	*inner = p->len;
	datagram(p, 10 + i % 7);
}

static void build_options(struct packet *p, unsigned int i, uint32_t *inner)
{
	pk_eth(p);
	*inner = pk_ip4(p, CLIENT, SERVER);
	pk_ip4_options(p, 1 + i % 10);
	pk_udp(p, sport, DPORT);
	pk_payload(p, 20);
}

static void build_icmp(struct packet *p, unsigned int i, uint32_t *inner)
{
	pk_eth(p);
	*inner = i % 2 ? pk_ip4(p, SERVER, CLIENT) : pk_ip4(p, CLIENT, SERVER);
	pk_icmp(p, i % 2 ? 0 : 8, 0);
	pk_payload(p, 56);
}

static void build_sctp(struct packet *p, unsigned int i, uint32_t *inner)
{
	pk_eth(p);
	*inner = pk_ip4(p, CLIENT, SERVER);
	pk_sctp(p, sport, DPORT);
	pk_payload(p, 16 + 4 * (i % 3));
}

/* Three fragments of each datagram; the first alone has ports. */
static void build_fragments4(struct packet *p, unsigned int i, uint32_t *inner)
{
	unsigned int part = i % 3;

	pk_eth(p);
	*inner = pk_ip4(p, CLIENT, SERVER);
	pk_set16(p, *inner + 4, 0x4000 + i / 3);
	pk_set16(p, *inner + 6, part * FRAGMENT / 8 | (part < 2) << 13);
	if (part == 0) {
		pk_udp(p, sport, DPORT);
		p->layer[p->layers - 1].kind = PK_OTHER; /* its length is the whole datagram's */
		pk_set16(p, p->len - 4, 3 * FRAGMENT);
		pk_payload(p, FRAGMENT - 8);
	} else {
		pk_set8(p, *inner + 9, 17);
		pk_payload(p, FRAGMENT);
	}
}

static void build_fragments6(struct packet *p, unsigned int i, uint32_t *inner)
{
	unsigned int part = i % 3;

	pk_eth(p);
	*inner = pk_ip6(p, 1, 2);
	pk_fragment6(p, part * FRAGMENT, part < 2, 0x4000 + i / 3);
	if (part == 0) {
		pk_udp(p, sport, DPORT);
		p->layer[p->layers - 1].kind = PK_OTHER;
		pk_set16(p, p->len - 4, 3 * FRAGMENT);
		pk_payload(p, FRAGMENT - 8);
	} else {
		pk_set8(p, p->len - 8, 17);
		pk_payload(p, FRAGMENT);
	}
}

static void build_extensions(struct packet *p, unsigned int i, uint32_t *inner)
{
	pk_eth(p);
	*inner = pk_ip6(p, 1, 2);
	pk_ext(p, 0, i % 3);
	pk_ext(p, 60, 0);
	pk_udp(p, sport, DPORT);
	pk_payload(p, 20);
}

static void outer_udp(struct packet *p, uint16_t dport)
{
	pk_eth(p);
	pk_ip4(p, OUTER_SRC, OUTER_DST);
	pk_udp(p, sport, dport);
}

static void build_vxlan(struct packet *p, unsigned int i, uint32_t *inner)
{
	outer_udp(p, 4789);
	pk_vxlan(p, 7007);
	pk_eth(p);
	*inner = p->len;
	datagram(p, 10 + i % 7);
}

/* As a mirror with a packet length limit sends it: the inner packet is cut, its header is not. */
static void build_vxlan_cut(struct packet *p, unsigned int i, uint32_t *inner)
{
	(void)i;
	outer_udp(p, 4789);
	pk_vxlan(p, 7007);
	pk_eth(p);
	*inner = p->len;
	datagram(p, 40);
	pk_end(p);
	pk_set16(p, *inner + 2, 1428);
	p->layers = 3; /* pk_end() is to leave the inner header alone */
}

static void build_geneve(struct packet *p, unsigned int i, uint32_t *inner)
{
	outer_udp(p, 6081);
	pk_geneve(p, 9009, 0x0108, 2);
	*inner = p->len;
	datagram(p, 10 + i % 7);
}

static void build_gre(struct packet *p, unsigned int i, uint32_t *inner)
{
	pk_eth(p);
	pk_ip4(p, OUTER_SRC, OUTER_DST);
	pk_gre(p, 0x2000, 1234);
	*inner = p->len;
	datagram(p, 10 + i % 7);
}

static void build_erspan(struct packet *p, unsigned int i, uint32_t *inner)
{
	pk_eth(p);
	pk_ip4(p, OUTER_SRC, OUTER_DST);
	pk_gre(p, 0x1000, 0);
	pk_erspan2(p, 77);
	pk_eth(p);
	*inner = p->len;
	datagram(p, 10 + i % 7);
}

static void build_ipip(struct packet *p, unsigned int i, uint32_t *inner)
{
	pk_eth(p);
	pk_ip4(p, OUTER_SRC, OUTER_DST);
	*inner = p->len;
	datagram(p, 10 + i % 7);
}

static void build_6in4(struct packet *p, unsigned int i, uint32_t *inner)
{
	pk_eth(p);
	pk_ip4(p, OUTER_SRC, OUTER_DST);
	*inner = pk_ip6(p, 1, 2);
	pk_udp(p, sport, DPORT);
	pk_payload(p, 10 + i % 7);
}

static void build_gtpu(struct packet *p, unsigned int i, uint32_t *inner)
{
	outer_udp(p, 2152);
	pk_gtpu(p, 0xbeef, 0, 0);
	*inner = p->len;
	datagram(p, 10 + i % 7);
}

/* A network by its own VNI for each packet: same inner addresses, never one flow. */
static void build_vxlan_tenants(struct packet *p, unsigned int i, uint32_t *inner)
{
	outer_udp(p, 4789);
	pk_vxlan(p, 100 + i % 5);
	pk_eth(p);
	*inner = p->len;
	datagram(p, 30);
}

static void build_lldp(struct packet *p, unsigned int i, uint32_t *inner)
{
	pk_eth(p);
	pk_set16(p, 12, 0x88cc);
	p->next_kind = PK_NEXT_NONE;
	*inner = p->len;
	pk_payload(p, 46 + i % 3);
}

/* One frame for each way in which the first headers can be broken. */
static void build_broken(struct packet *p, unsigned int i, uint32_t *inner)
{
	pk_eth(p);
	*inner = p->len;
	if (i % 3 == 0) {
		pk_set16(p, 12, 0x0800);
		pk_payload(p, 10); /* IPv4 header cut short */
		p->next_kind = PK_NEXT_NONE;
		return;
	}
	datagram(p, 30);
	pk_end(p);
	pk_set8(p, *inner, i % 3 == 1 ? 0x44 : 0x55); /* header length 16; version 5 */
	p->layers = 0;
}

/* No Ethertype, no address: the frames of a VLAN tag that ends too early. */
static void build_cut_tag(struct packet *p, unsigned int i, uint32_t *inner)
{
	(void)i;
	pk_eth(p);
	pk_set16(p, 12, 0x8100);
	p->next_kind = PK_NEXT_NONE;
	*inner = p->len;
	pk_payload(p, 2);
}

/* A connection with known faults, both directions as a mirror shows them. */
static const struct step {
	uint8_t flags; /* FIN 1, SYN 2, RST 4, PSH 8, ACK 16 */
	uint8_t from_server;
	uint16_t seq; /* from the initial sequence number */
	uint16_t ack;
	uint16_t payload;
	uint16_t window;
} script[] = {
	{0x02, 0, 0, 0, 0, 8192},
	{0x12, 1, 0, 1, 0, 8192},
	{0x10, 0, 1, 1, 0, 8192},
	{0x18, 0, 1, 1, 100, 8192},
	{0x18, 0, 1, 1, 100, 8192}, /* client: retransmitted */
	{0x10, 1, 1, 101, 0, 0},    /* server: window full */
	{0x10, 1, 1, 101, 0, 0},
	{0x10, 1, 1, 101, 0, 8192},
	{0x18, 0, 201, 1, 100, 8192}, /* client: 100 bytes skipped */
	{0x18, 0, 101, 1, 100, 8192}, /* client: the hole filled, out of order */
	{0x18, 1, 1, 301, 50, 8192},
	{0x18, 1, 1, 301, 50, 8192}, /* server: retransmitted, twice */
	{0x18, 1, 1, 301, 50, 8192},
	{0x11, 0, 301, 51, 0, 8192},
	{0x11, 1, 51, 302, 0, 8192},
	{0x10, 0, 302, 52, 0, 8192},
};

#define SCRIPT (sizeof(script) / sizeof(script[0]))

static void build_tcp_faults(struct packet *p, unsigned int i, uint32_t *inner)
{
	const struct step *s = &script[i % SCRIPT];
	uint32_t tcp;

	pk_eth(p);
	*inner = s->from_server ? pk_ip4(p, SERVER, CLIENT) : pk_ip4(p, CLIENT, SERVER);
	tcp = s->from_server ? pk_tcp(p, DPORT, sport, s->flags)
			     : pk_tcp(p, sport, DPORT, s->flags);
	/* both numbers wrap on the way */
	pk_set32(p, tcp + 4, (s->from_server ? 0xfffffff0u : 0xffffff80u) + s->seq);
	pk_set32(p, tcp + 8, (s->from_server ? 0xffffff80u : 0xfffffff0u) + s->ack);
	pk_set16(p, tcp + 14, s->window);
	pk_payload(p, s->payload);
}

static const struct kind {
	const char *name;
	build_fn build;
	unsigned int frames; /* unless -n says otherwise */
} kinds[] = {
	{"udp", build_udp, 23},
	{"vlan", build_vlan, 23},
	{"qinq", build_qinq, 23},
	{"mpls", build_mpls, 23},
	{"options", build_options, 23},
	{"icmp", build_icmp, 23},
	{"sctp", build_sctp, 23},
	{"fragments4", build_fragments4, 69},
	{"fragments6", build_fragments6, 69},
	{"extensions", build_extensions, 23},
	{"vxlan", build_vxlan, 23},
	{"vxlan_cut", build_vxlan_cut, 23},
	{"vxlan_tenants", build_vxlan_tenants, 23},
	{"geneve", build_geneve, 23},
	{"gre", build_gre, 23},
	{"erspan", build_erspan, 23},
	{"ipip", build_ipip, 23},
	{"6in4", build_6in4, 23},
	{"gtpu", build_gtpu, 23},
	{"lldp", build_lldp, 23},
	{"broken", build_broken, 23},
	{"cut_tag", build_cut_tag, 23},
	{"tcp_faults", build_tcp_faults, SCRIPT},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static unsigned int get16(const struct packet *p, uint32_t off)
{
	return p->b[off] << 8 | p->b[off + 1];
}

/* What the IP header at @off says of its packet's length; the bytes behind it if it is none. */
static unsigned int ip_bytes(const struct packet *p, uint32_t off)
{
	if (p->len >= off + 20 && p->b[off] >> 4 == 4)
		return get16(p, off + 2);
	if (p->len >= off + 40 && p->b[off] >> 4 == 6)
		return 40 + get16(p, off + 4);
	return p->len - off;
}

static uint32_t outer_offset(const struct packet *p)
{
	for (uint32_t i = 0; i < p->layers; i++)
		if (p->layer[i].kind == PK_IP4 || p->layer[i].kind == PK_IP6)
			return p->layer[i].off;
	return 14;
}

static int send_all(int fd, const struct kind *k, unsigned int n, const uint8_t *mac,
		    struct sent *s)
{
	for (unsigned int i = 0; i < n; i++) {
		struct packet p = {};
		uint32_t inner = 14, outer;

		k->build(&p, i, &inner);
		outer = outer_offset(&p);
		pk_end(&p);
		if (mac)
			memcpy(p.b, mac, 6);
		if (send(fd, p.b, p.len, 0) != (ssize_t)p.len)
			return -errno;
		s->frames++;
		s->bytes += p.len;
		s->outer += ip_bytes(&p, outer);
		s->inner += ip_bytes(&p, inner);
	}
	return 0;
}

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < KINDS; i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

static int list_kinds(void)
{
	for (size_t i = 0; i < KINDS; i++)
		puts(kinds[i].name);
	return 0;
}

static int usage(void)
{
	fputs("usage: frames [-n COUNT] [-d MAC] IFACE KIND\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const struct kind *k = NULL;
	struct sent s = {};
	uint8_t mac[6], *dst = NULL;
	uint64_t n = 0;
	int fd, r, opt;

	while ((opt = getopt(argc, argv, "n:d:")) != -1) {
		if (opt == 'n' && !scan_u64(optarg, 1, 1000000, &n))
			continue;
		if (opt != 'd' || raw_scan_mac(optarg, mac))
			return usage();
		dst = mac;
	}
	if (argc - optind == 1 && !strcmp(argv[optind], "list"))
		return list_kinds();
	if (argc - optind == 2)
		k = find_kind(argv[optind + 1]);
	if (!k)
		return usage();
	sport = SPORT_FIRST + (k - kinds);
	fd = raw_open(argv[optind], false);
	r = fd < 0 ? fd : send_all(fd, k, n ? n : k->frames, dst, &s);
	if (r) {
		fprintf(stderr, "frames: %s: %s\n", argv[optind], strerror(-r));
		return 1;
	}
	printf("%u %llu %llu %llu %llu\n", sport, s.frames, s.bytes, s.outer, s.inner);
	return 0;
}
