// SPDX-License-Identifier: Apache-2.0
#include "loader/capture/blocks.h"

#include <endian.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <string.h>

#include "weir/policy_map.h"

int blocks_iface(struct blocks *b, const struct recent_record *h, uint8_t *buf, size_t *ret_len)
{
	struct blocks_iface *f;
	struct iface_row row;
	uint32_t i = 0;

	*ret_len = 0;
	while (i < b->n && (b->iface[i].ifindex != h->ifindex || b->iface[i].netns != h->netns))
		i++;
	if (i == BLOCKS_IFACES_MAX)
		return -1;
	f = &b->iface[i];
	if (i == b->n) {
		if (!iface_table_find(b->table, h->netns, h->ifindex, &row))
			snprintf(row.name, sizeof(row.name), "%u", h->ifindex);
		*f = (struct blocks_iface){.netns = h->netns, .ifindex = h->ifindex};
		snprintf(f->name, sizeof(f->name), "%s", row.name);
		*ret_len = pcapng_interface(buf, f->name, b->snaplen);
		b->n++;
	}
	f->seen++;
	return (int)i;
}

size_t blocks_packet(struct blocks *b, const struct recent_packet *p, int iface, uint8_t *buf)
{
	const struct recent_record *h = &p->head;
	const uint16_t tag[2] = {htobe16(0x8100), htobe16(h->tci & ~RECENT_VLAN)};
	const struct pcapng_packet out = {
		.iface = (uint32_t)iface,
		.ns = h->ns + (uint64_t)b->wall_ns,
		.wire_len = h->wire_len,
		.len = h->len < b->snaplen ? h->len : b->snaplen,
		.bytes = p->bytes,
		.tag = h->tci ? (const uint8_t *)tag : NULL,
		.direction = h->hook == HOOK_TC_EGRESS ? 2 : 1,
		/* what the program returned for a reset is of the reset, not of this packet */
		.verdict_by = h->verdict == VERDICT_DROP ? h->hook == HOOK_XDP ? 2 : 1 : 0,
		.verdict = h->hook == HOOK_XDP ? XDP_DROP : TC_ACT_SHOT,
		.comment = h->verdict == VERDICT_RESET ? BLOCKS_RESET : NULL,
	};

	b->iface[iface].taken++;
	return pcapng_packet(buf, &out);
}

size_t blocks_totals(const struct blocks *b, uint32_t iface, uint64_t lost, uint64_t now_wall_ns,
		     uint8_t *buf)
{
	const struct pcapng_totals t = {
		.iface = iface,
		.ns = now_wall_ns,
		.received = b->iface[iface].seen,
		.dropped = iface ? 0 : lost,
		.taken = b->iface[iface].taken,
	};

	return pcapng_totals(buf, &t);
}
