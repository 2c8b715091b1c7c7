// SPDX-License-Identifier: Apache-2.0
#include "loader/capture/packet_match.h"

#include <string.h>

#include "bpf/parse.h"
#include "common/filter.h"
#include "common/packet_record.h"
#include "weir/policy_map.h"

bool packet_match(const struct filter *filter, const struct packet_seen *p)
{
	static const struct parse_cfg outer;
	struct flow_record r = {};
	struct pkt k = {};

	if (!filter)
		return true;
	if (parse_frame(p->bytes, p->len, p->wire_len, &outer, &k))
		return false;
	if (p->vlan)
		k.key.vlan[0] = p->vlan;
	packet_record(&k, &r);
	r.packets = r.out.packets = 1;
	r.bytes = r.out.bytes;
	flow_set_counts(&r);
	r.ifindex = p->ifindex;
	r.iface = (struct flow_str){p->iface, (uint32_t)strlen(p->iface)};
	flow_set(&r, FF_IFACE);
	if (p->verdict) {
		r.verdict = p->verdict == VERDICT_RESET ? FLOW_REFUSE : FLOW_DROP;
		flow_set(&r, FF_VERDICT);
	}
	return filter_match(filter, &r);
}
