// SPDX-License-Identifier: Apache-2.0
#include "cache_rig.h"

#include <linux/bpf.h>
#include <string.h>

bool rig_final(const struct rig_ring *r, const struct flow_final *f)
{
	const uint32_t size = flow_final_size(&f->hot), hdr[2] = {size, 0};
	const size_t len = (size + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8, at = *r->producer % r->bytes;
	uint8_t rec[512] = {0};

	if (*r->producer + len - __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE) > r->bytes)
		return false;
	memcpy(rec, hdr, sizeof(hdr));
	memcpy(rec + sizeof(hdr), f, size);
	for (size_t i = 0; i < len; i++) {
		r->mem[(at + i) % r->bytes] = rec[i];
		r->mem[(at + i) % r->bytes + r->bytes] = rec[i];
	}
	__atomic_store_n(r->producer, *r->producer + len, __ATOMIC_RELEASE);
	return true;
}

void cache_rig_key(struct flow_key *k, uint32_t flow, uint8_t proto)
{
	k->addr[0][10] = k->addr[0][11] = 0xff;
	k->addr[1][10] = k->addr[1][11] = 0xff;
	k->addr[1][15] = 1;
	k->port[0] = __builtin_bswap16((uint16_t)flow);
	k->port[1] = __builtin_bswap16(443);
	k->ethertype = 0x0800;
	k->proto = proto;
}
