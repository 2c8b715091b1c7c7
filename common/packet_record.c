// SPDX-License-Identifier: Apache-2.0
#include "common/packet_record.h"

#include <endian.h>
#include <string.h>

#include "bpf/parse.h"

static void set_u8(struct flow_record *r, enum flow_field f, uint8_t *to, uint8_t v)
{
	*to = v;
	flow_set(r, f);
}

static void take_l4(struct flow_record *r, const struct pkt *k)
{
	const struct l4 *l = &k->l4;

	set_u8(r, FF_PROTO, &r->proto, k->key.proto);
	if (l->ttl) {
		set_u8(r, FF_OUT_TTL_MIN, &r->out.ttl_min, l->ttl);
		set_u8(r, FF_OUT_TTL_MAX, &r->out.ttl_max, l->ttl);
	}
	if (l->dscp)
		set_u8(r, FF_OUT_DSCP, &r->out.dscp, l->dscp);
	if (k->key.proto == PROTO_ICMP || k->key.proto == PROTO_ICMPV6) {
		set_u8(r, FF_ICMP_TYPE, &r->icmp_type, l->icmp_type);
		set_u8(r, FF_ICMP_CODE, &r->icmp_code, l->icmp_code);
		return;
	}
	if (l->tcp_flags)
		set_u8(r, FF_TCP_FLAGS, &r->tcp_flags, l->tcp_flags);
	if (!k->key.port[0] && !k->key.port[1])
		return;
	r->src_port = be16toh(k->key.port[0]);
	r->dst_port = be16toh(k->key.port[1]);
	flow_set(r, FF_SRC_PORT);
	flow_set(r, FF_DST_PORT);
}

void packet_record(const struct pkt *k, struct flow_record *r)
{
	r->out.bytes = k->l4.ip_bytes;
	r->family = k->key.ethertype == ETH_P_IP ? 4 : k->key.ethertype == ETH_P_IPV6 ? 6 : 0;
	if (k->key.vlan[0]) {
		r->vlan[0] = k->key.vlan[0];
		r->vlan[1] = k->key.vlan[1];
		flow_set(r, FF_VLAN);
	}
	if (!r->family) {
		r->ethertype = k->key.ethertype;
		flow_set(r, FF_ETHERTYPE);
		return;
	}
	memcpy(r->src_ip, k->key.addr[0], 16);
	memcpy(r->dst_ip, k->key.addr[1], 16);
	flow_set(r, FF_SRC_IP);
	flow_set(r, FF_DST_IP);
	take_l4(r, k);
}
