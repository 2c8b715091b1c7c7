/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_parse.c - the full parser on any bytes. The first byte of an input says how many tunnels may
 * be opened, the second how much of the frame (in 16-byte steps) was not captured.
 *
 * Covers: bpf/parse.h bpf/link.h bpf/network.h bpf/transport.h bpf/tunnel.h bpf/cursor.h
 * Options: -max_len=1024
 */
#include <stdint.h>
#include <stdlib.h>
#include "bpf/parse.h"

#define FUZZ_DEPTH_MASK 15
#define FUZZ_CUT_STEP	16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char classes[][8] = {
#define COUNTER(name, class, help) #class,
#include "weir/counters.def"
#undef COUNTER
};

#define expect(x)                \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void expect_class(int counter, const char *class)
{
	expect(counter >= 0 && counter < _CNT_MAX);
	expect(!strcmp(classes[counter], class));
}

static void expect_sound_key(const struct pkt *k, uint32_t depth)
{
	expect(k->layers <= depth && k->layers <= PARSE_DECAP_MAX);
	expect(!k->layers == !k->key.tun_type && k->key.tun_type < _TUN_MAX);
	expect(k->key.tun_type || !k->key.vni);
	expect(k->key.vlan[0] < 4096 && k->key.vlan[1] < 4096);
	expect(k->key.vlan[0] || !k->key.vlan[1]);
}

/* What every user of a parsed packet relies on. */
static void expect_sound(const struct pkt *k, uint32_t len, uint32_t wire, uint32_t depth)
{
	const struct l4 *l = &k->l4;
	int ip = k->key.ethertype == ETH_P_IP || k->key.ethertype == ETH_P_IPV6;

	expect(l->hdr_off >= ETH_HLEN && l->hdr_off <= len);
	expect(l->payload_off >= l->hdr_off); /* TCP options may not have been captured */
	expect((uint64_t)l->payload_off + l->payload_len <= (uint64_t)l->hdr_off + l->ip_bytes);
	expect(!ip || l->ip_bytes >= 20);
	expect(ip || k->layers || l->hdr_off + l->ip_bytes <= wire);
	expect(ip || (!k->key.proto && !k->key.port[0] && !k->frag));
	expect(l->proto == k->key.proto);
	expect(k->frag != FRAG_LATER || (!k->key.port[0] && !k->key.port[1] && !l->payload_len));
	expect_sound_key(k, depth);
	if (k->note)
		expect_class(k->note - 1, "NOTED");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct parse_cfg cfg = {.vxlan_ports = {4789, 8472}, .geneve_port = 6081};
	struct pkt k, again;
	uint32_t len, wire;
	uint8_t *frame;
	int r;

	if (size < 2)
		return 0;
	cfg.depth = data[0] & FUZZ_DEPTH_MASK;
	len = size - 2;
	wire = len + data[1] * FUZZ_CUT_STEP;
	frame = malloc(len ? len : 1); /* of its own, so that a byte too much is seen */
	if (!frame)
		return 0;
	memcpy(frame, data + 2, len);
	r = parse_frame(frame, len, wire, &cfg, &k);
	memset(&again, 0xa5, sizeof(again));
	expect(parse_frame(frame, len, wire, &cfg, &again) == r);
	expect(r || !memcmp(&k, &again, sizeof(k)));
	if (r)
		expect_class(-r - 1, "SKIPPED");
	else
		expect_sound(&k, len, wire, cfg.depth);
	free(frame);
	return 0;
}
