// SPDX-License-Identifier: Apache-2.0
/*
 * merge_record.c - one flow state to one flow record. The words are defined in weir/fields.def.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "loader/merge_int.h"

static bool has_ports(uint8_t proto)
{
	return proto == 6 || proto == 17 || proto == 132 || proto == 33 || proto == 136;
}

/* Two sides were first in the same tick on different CPUs: what was said tells, then the fine
 * clock of the first payload of each, then the one entry that saw both, then the ports: services
 * have the lower one.
 */
static uint8_t settle_tie(const struct flow_state *st)
{
	const unsigned int both = 1u << NS_PAYLOAD0 | 1u << NS_PAYLOAD1;

	if (st->name_dir)
		return st->name_dir - 1;
	if ((st->ns_known & both) == both && st->ns[NS_PAYLOAD0] != st->ns[NS_PAYLOAD1])
		return st->ns[NS_PAYLOAD1] < st->ns[NS_PAYLOAD0];
	if (st->flags & FS_BOTH)
		return st->init_dir;
	return ntohs(st->key.port[0]) < ntohs(st->key.port[1]);
}

static enum conn_state tcp_state(const struct merge *m, const struct flow_state *st,
				 enum flow_reason reason)
{
	uint8_t a = st->tcp_flags[0], b = st->tcp_flags[1];

	if (a & b & TCP_FIN)
		return FLOW_CLOSED;
	if ((a | b) & TCP_RST)
		return FLOW_RESET;
	if (state_lone_syn(st)) {
		uint64_t age = m->cfg.clock->now_tick - state_start(st);

		return reason == FLOW_IDLE || (int64_t)age >= (int64_t)m->syn ? FLOW_NO_REPLY
									      : FLOW_NEW;
	}
	if (!(st->flags & FS_SEEN0) || !(st->flags & FS_SEEN1))
		return FLOW_ONE_WAY;
	/* The initiator acknowledges only when the SYN-ACK has come. */
	if ((a | b) & TCP_SYN && !(st->tcp_flags[st->init_dir] & TCP_ACK))
		return FLOW_NEW;
	return FLOW_ESTABLISHED;
}

static void fill_endpoints(const struct flow_state *st, struct flow_record *r)
{
	const struct flow_key *k = &st->key;
	unsigned int s = st->init_dir, t = !s;

	if (!is_ip(k)) {
		r->family = 0;
		r->ethertype = k->ethertype;
		flow_set(r, FF_ETHERTYPE);
		return;
	}
	r->family = k->ethertype == 0x0800 ? 4 : 6;
	r->proto = k->proto;
	memcpy(r->src_ip, k->addr[s], 16);
	memcpy(r->dst_ip, k->addr[t], 16);
	flow_set(r, FF_SRC_IP);
	flow_set(r, FF_DST_IP);
	flow_set(r, FF_PROTO);
	/* Both 0: a later fragment whose first one was not seen, or a header cut short. */
	if (!(k->port[0] | k->port[1]))
		return;
	if (has_ports(k->proto)) {
		r->src_port = ntohs(k->port[s]);
		r->dst_port = ntohs(k->port[t]);
		flow_set(r, FF_SRC_PORT);
		flow_set(r, FF_DST_PORT);
	} else if (k->proto == 1 || k->proto == 58) {
		r->icmp_type = (uint8_t)(ntohs(k->port[0]) >> 8);
		r->icmp_code = (uint8_t)ntohs(k->port[0]);
		flow_set(r, FF_ICMP_TYPE);
		flow_set(r, FF_ICMP_CODE);
	}
}

/* Fields of `in` stand where those of `out` do, so much further on. */
#define IN_FIELDS (FF_IN_PACKETS - FF_OUT_PACKETS)
_Static_assert(FF_IN_DSCP - FF_OUT_DSCP == IN_FIELDS, "out and in have the same members");

static void fill_dir(const struct flow_state *st, unsigned int d, unsigned int base,
		     struct flow_record *r)
{
	struct flow_dir *o = base ? &r->in : &r->out;

	o->packets = st->packets[d];
	o->bytes = st->bytes[d];
	o->retransmits = st->retransmits[d];
	o->out_of_order = st->out_of_order[d];
	o->zero_windows = st->zero_windows[d];
	o->tcp_flags = st->tcp_flags[d];
	flow_set(r, FF_OUT_PACKETS + base);
	flow_set(r, FF_OUT_BYTES + base);
	if (o->retransmits)
		flow_set(r, FF_OUT_RETRANSMITS + base);
	if (o->out_of_order)
		flow_set(r, FF_OUT_OUT_OF_ORDER + base);
	if (o->zero_windows)
		flow_set(r, FF_OUT_ZERO_WINDOWS + base);
	if (!r->family || !(st->flags & (d ? FS_SEEN1 : FS_SEEN0)))
		return;
	o->ttl_min = st->ttl_min[d];
	o->ttl_max = st->ttl_max[d];
	o->dscp = st->dscp[d];
	flow_set(r, FF_OUT_TTL_MIN + base);
	flow_set(r, FF_OUT_TTL_MAX + base);
	if (o->dscp)
		flow_set(r, FF_OUT_DSCP + base);
}

static bool elapsed_us(const struct flow_state *st, unsigned int from, unsigned int to,
		       uint64_t *ret_us)
{
	unsigned int both = 1u << from | 1u << to;

	if ((st->ns_known & both) != both || st->ns[to] < st->ns[from])
		return false;
	*ret_us = (st->ns[to] - st->ns[from]) / 1000;
	return true;
}

static void fill_times(const struct merge *m, const struct flow_state *st, struct flow_record *r)
{
	uint64_t last = state_last(st);
	uint64_t start = state_start(st);

	r->start_ns = clock_wall_ns(m->cfg.clock, start < last ? start : last);
	r->end_ns = clock_wall_ns(m->cfg.clock, last);
	flow_set(r, FF_START);
	flow_set(r, FF_END);
	if (!st->ns_known)
		return;
	if (elapsed_us(st, NS_SYNACK, NS_ACK, &r->rtt_client_us))
		flow_set(r, FF_RTT_CLIENT_US);
	if (elapsed_us(st, NS_SYN, NS_SYNACK, &r->rtt_server_us))
		flow_set(r, FF_RTT_SERVER_US);
	if (elapsed_us(st, NS_PAYLOAD0 + st->init_dir, NS_PAYLOAD0 + !st->init_dir,
		       &r->response_us))
		flow_set(r, FF_RESPONSE_US);
}

static void fill_state(const struct merge *m, const struct flow_state *st, enum flow_reason reason,
		       struct flow_record *r)
{
	const unsigned int both = FS_SEEN0 | FS_SEEN1;

	if (is_tcp(&st->key)) {
		r->state = tcp_state(m, st, reason);
		flow_set(r, FF_STATE);
		r->tcp_flags = st->tcp_flags[0] | st->tcp_flags[1];
		if (r->tcp_flags)
			flow_set(r, FF_TCP_FLAGS);
	} else if (r->family) {
		r->state = (st->flags & both) == both ? FLOW_ESTABLISHED : FLOW_ONE_WAY;
		flow_set(r, FF_STATE);
	}
}

void merge_place_fill(const struct merge *m, uint32_t netns, uint32_t ifindex,
		      struct flow_record *r)
{
	const char *name = NULL;

	r->ifindex = ifindex;
	if (m->cfg.iface && ifindex)
		name = m->cfg.iface(m->cfg.arg, netns, ifindex, &r->ifindex);
	if (name) {
		r->iface = (struct flow_str){name, (uint32_t)strlen(name)};
		flow_set(r, FF_IFACE);
	}
	if (m->cfg.labels.n) {
		r->labels = m->cfg.labels;
		flow_set(r, FF_LABELS);
	}
	if (m->cfg.node) {
		r->node = (struct flow_str){m->cfg.node, m->node_len};
		flow_set(r, FF_NODE);
	}
}

/* Where it was seen: tunnel, VLAN, interface, node. */
static void fill_place(const struct merge *m, const struct flow_state *st, struct flow_record *r)
{
	const struct flow_key *k = &st->key;

	if (k->tun_type != TUN_NONE) {
		r->tunnel_type = k->tun_type;
		memcpy(r->tunnel_src, k->tun_src, 16);
		flow_set(r, FF_TUNNEL_TYPE);
		flow_set(r, FF_TUNNEL_SRC);
		r->vni = k->vni;
		/* 0 is a network like others where the header always has one. */
		if (k->vni || k->tun_type == TUN_VXLAN || k->tun_type == TUN_GENEVE)
			flow_set(r, FF_VNI);
	}
	if (k->vlan[0]) {
		r->vlan[0] = k->vlan[0];
		r->vlan[1] = k->vlan[1];
		flow_set(r, FF_VLAN);
	}
	if (k->tun_type != TUN_NONE && is_ip(k))
		merge_mirrored_fill(m, st, r);
	merge_place_fill(m, k->netns, k->ifindex, r);
	if (st->sampling > 1) {
		r->sampling = st->sampling;
		flow_set(r, FF_SAMPLING);
	}
}

/* What has been reported is not reported again. */
static void state_reported(struct merge *m, struct flow_state *st, bool final)
{
	if (st->did & FD_PROVEN)
		merge_copies_reported(m, st);
	st->prev_end = state_last(st);
	st->flags |= FS_REPORTED;
	for (int d = 0; d < 2; d++) {
		st->packets[d] = 0;
		st->bytes[d] = 0;
		st->retransmits[d] = 0;
		st->out_of_order[d] = 0;
		st->zero_windows[d] = 0;
	}
	if (st->did & FD_SOME)
		merge_did_reported(m, st);
	if (st->names && !final)
		merge_name_reported(m, st);
}

/* All that is known of the flow, as a record of the time since its last one. @reason 0: only to be
 * looked at, so queries without an answer are not held back, which would be remembered.
 */
static void fill_record(struct merge *m, const struct flow_state *st, enum flow_reason reason,
			bool final, struct flow_record *r)
{
	r->present[0] = r->present[1] = 0;
	r->told = r->hosts_told = 0;
	fill_endpoints(st, r);
	fill_times(m, st, r);
	fill_dir(st, st->init_dir, 0, r);
	fill_dir(st, !st->init_dir, IN_FIELDS, r);
	r->packets = r->out.packets + r->in.packets;
	r->bytes = r->out.bytes + r->in.bytes;
	flow_set(r, FF_PACKETS);
	flow_set(r, FF_BYTES);
	fill_state(m, st, reason, r);
	if (st->names)
		merge_name_fill(st, final || !reason, r);
	if (st->l7_gap)
		merge_gap_fill(st, final, r);
	if (st->did & FD_SOME)
		merge_did_fill(m, st, r);
	fill_place(m, st, r);
	if (r->family)
		flow_set(r, FF_COMMUNITY_ID);
}

/* Names of all interfaces that saw the flow, where it is more than one, to m->seen_on. Before other
 * names are asked for: one is valid until the next.
 */
static uint32_t collect_seen_on(struct merge *m, const struct sighting *seen)
{
	uint32_t n = 0;

	if (!seen || seen->n < 2 || !m->cfg.iface)
		return 0;
	for (unsigned int i = 0; i < seen->n; i++) {
		uint32_t number;
		const char *name =
			m->cfg.iface(m->cfg.arg, seen->key.netns, seen->ifindex[i], &number);
		char *to = m->seen_on_name[n];

		if (!name)
			continue;
		snprintf(to, sizeof(m->seen_on_name[n]), "%s", name);
		m->seen_on[n++] = (struct flow_str){to, (uint32_t)strlen(to)};
	}
	return n;
}

/* What another interface counts is not written here. Return: where the flow was seen, or NULL. */
static const struct sighting *leave_elsewhere(struct merge *m, struct flow_state *st)
{
	const struct sighting *seen = NULL;
	unsigned int dirs;

	if (!m->sightings)
		return NULL;
	dirs = sighting_elsewhere(m->sightings, &st->key, m->cfg.clock->now_tick, &seen);
	for (int d = 0; d < 2; d++) {
		if (!(dirs & 1u << d))
			continue;
		m->stats.elsewhere_packets += st->packets[d];
		m->stats.elsewhere_bytes += st->bytes[d];
		if (m->cfg.ledger) {
			m->cfg.ledger->now.elsewhere_packets = m->stats.elsewhere_packets;
			m->cfg.ledger->now.elsewhere_bytes = m->stats.elsewhere_bytes;
		}
		st->packets[d] = st->bytes[d] = 0;
		st->retransmits[d] = st->out_of_order[d] = st->zero_windows[d] = 0;
	}
	return seen;
}

void merge_emit(struct merge *m, struct flow_state *st, enum flow_reason reason, bool final)
{
	uint32_t seen_on = collect_seen_on(m, leave_elsewhere(m, st));
	struct flow_record r;

	if (!(st->flags & FS_REPORTED) && st->flags & FS_TIE)
		st->init_dir = settle_tie(st);
	if (!state_pending(st)) {
		m->stats.elsewhere_records++;
		state_reported(m, st, final);
		return;
	}
	if (st->did & FD_TWIN)
		merge_copies_look(m, st);
	fill_record(m, st, reason, final, &r);
	if (st->did & FD_PROVEN)
		merge_copies_fill(m, merge_ref(m, st), st, &r);
	r.seen_on = (struct flow_strs){m->seen_on, seen_on};
	if (seen_on)
		flow_set(&r, FF_SEEN_ON);
	r.reason = reason;
	flow_set(&r, FF_REASON);
	m->stats.records++;
	if (reason == FLOW_EVICTED)
		m->stats.records_evicted++;
	m->emitting = merge_number(m, st);
	m->cfg.emit(m->cfg.arg, &r);
	state_reported(m, st, final);
}

uint32_t merge_emitting(const struct merge *m)
{
	return m->emitting;
}

/* The copy is for a direction that is not settled yet. */
void merge_show(struct merge *m, uint32_t ref, merge_live_fn fn, void *arg)
{
	struct flow_state st = *merge_state(m, ref);
	const struct sighting *seen;
	unsigned int seen_here = st.flags & FS_SEEN0 ? 1 : 0, elsewhere = 0;
	struct flow_record r;

	seen_here |= st.flags & FS_SEEN1 ? 2 : 0;
	if (m->sightings)
		elsewhere =
			sighting_elsewhere(m->sightings, &st.key, m->cfg.clock->now_tick, &seen);
	if (!(seen_here & ~elsewhere))
		return;
	if (!(st.flags & FS_REPORTED) && st.flags & FS_TIE)
		st.init_dir = settle_tie(&st);
	fill_record(m, &st, 0, false, &r);
	if (st.did & FD_PROVEN)
		merge_copies_fill(m, ref, &st, &r);
	fn(arg, ref, &r);
}

bool merge_live(struct merge *m, uint32_t *at, uint32_t n, merge_live_fn fn, void *arg)
{
	for (; n && *at < m->slab_used; n--) {
		const uint32_t ref = ++*at;
		const struct flow_state *st = merge_state(m, ref);

		if (st->flags & FS_LIVE && st->flags & (FS_SEEN0 | FS_SEEN1))
			merge_show(m, ref, fn, arg);
	}
	return *at < m->slab_used;
}
