// SPDX-License-Identifier: Apache-2.0
/*
 * merge_policy.c - what policy did, in records: of flows, beside their states, and of packets that were
 * dropped before they were in any.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "loader/merge_int.h"
#include "weir/policy_map.h"

int merge_policy_init(struct merge *m)
{
	void *p;

	if (m->cfg.ledger) {
		m->did = (struct flow_did *)(void *)m->cfg.ledger->did;
		return 0;
	}
	p = mmap(NULL, m->cfg.max_flows * sizeof(*m->did), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	m->did = p;
	return 0;
}

void merge_policy_done(struct merge *m)
{
	if (m->did && !m->cfg.ledger)
		munmap(m->did, m->cfg.max_flows * sizeof(*m->did));
}

static uint8_t verdict_of(const struct merge_did *d)
{
	static const uint8_t did[] = {
		[POLICY_DROP] = FLOW_DROP, [POLICY_LIMIT] = FLOW_LIMIT, [POLICY_RESET] = FLOW_REFUSE};
	static const uint8_t would[] = {[POLICY_DROP] = FLOW_WOULD_DROP,
					[POLICY_LIMIT] = FLOW_WOULD_LIMIT,
					[POLICY_RESET] = FLOW_WOULD_RESET};
	uint8_t v = d->action < sizeof(did) ? (d->shadow ? would : did)[d->action] : 0;

	return v ?: (d->shadow ? 0 : FLOW_DROP);
}

static bool in_slab(const struct merge *m, const struct flow_state *st)
{
	return st >= m->slab && st < m->slab + m->cfg.max_flows;
}

/* To be changed, or only read. */
static struct flow_did *did_of(struct merge *m, const struct flow_state *st, bool save)
{
	if (!in_slab(m, st))
		return &m->alone;
	if (save && m->cfg.ledger)
		ledger_save_did(m->cfg.ledger, NULL, (uint64_t)(st - m->slab));
	return &m->did[st - m->slab];
}

void merge_did_absorb(struct merge *m, struct flow_state *st, const struct merge_did *d)
{
	struct flow_did *f = did_of(m, st, true);
	const uint8_t verdict = verdict_of(d);

	if (!(st->did & FD_SOME))
		*f = (struct flow_did){};
	f->packets += d->packets;
	f->bytes += d->bytes;
	if (verdict && (!d->shadow || !f->verdict || f->verdict >= FLOW_WOULD_DROP)) {
		f->verdict = verdict;
		f->rule = d->rule;
		f->generation = d->generation;
	}
	st->did |= FD_SOME;
	if (f->packets || f->bytes)
		st->did |= FD_PENDING;
}

static void fill_did(struct merge *m, const struct flow_did *f, struct flow_record *r)
{
	const char *rule = m->cfg.rule && f->rule ? m->cfg.rule(m->cfg.arg, f->rule, f->generation)
						  : NULL;

	if (f->verdict) {
		r->verdict = f->verdict;
		flow_set(r, FF_VERDICT);
	}
	if (rule && *rule) {
		r->rule = (struct flow_str){rule, (uint32_t)strlen(rule)};
		flow_set(r, FF_RULE);
	}
	if (f->packets || f->bytes) {
		r->dropped_packets = f->packets;
		r->dropped_bytes = f->bytes;
		flow_set(r, FF_DROPPED_PACKETS);
		flow_set(r, FF_DROPPED_BYTES);
	}
}

void merge_did_fill(struct merge *m, const struct flow_state *st, struct flow_record *r)
{
	fill_did(m, did_of(m, st, false), r);
}

void merge_did_reported(struct merge *m, struct flow_state *st)
{
	*did_of(m, st, true) = (struct flow_did){};
	st->did &= (uint8_t) ~(FD_SOME | FD_PENDING);
}

/* ---- dropped before they were in a flow ---- */

static void fill_source(const struct drop_row *row, struct flow_record *r)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, none[16];

	if (!memcmp(row->src, none, sizeof(none)))
		return;
	r->family = memcmp(row->src, mapped, sizeof(mapped)) ? 6 : 4;
	memcpy(r->src_ip, row->src, sizeof(r->src_ip));
	flow_set(r, FF_SRC_IP);
	r->proto = row->proto;
	flow_set(r, FF_PROTO);
	if (row->proto == 1 || row->proto == 58) {
		r->icmp_type = (uint8_t)(row->port >> 8);
		r->icmp_code = (uint8_t)row->port;
		flow_set(r, FF_ICMP_TYPE);
		flow_set(r, FF_ICMP_CODE);
	} else if (row->port) {
		r->dst_port = row->port;
		flow_set(r, FF_DST_PORT);
	}
}

void merge_row(struct merge *m, const struct merge_row *row)
{
	const struct flow_did did = {
		.packets = row->did.packets,
		.bytes = row->did.bytes,
		.generation = row->did.generation,
		.rule = row->did.rule,
		.verdict = verdict_of(&row->did),
	};
	struct flow_record r;

	memset(&r, 0, sizeof(r));
	r.family = 4;
	if (row->row)
		r.family = 0;
	r.start_ns = clock_wall_ns(m->cfg.clock, row->from_tick);
	r.end_ns = clock_wall_ns(m->cfg.clock, m->cfg.clock->now_tick);
	r.packets = r.out.packets = did.packets;
	r.bytes = r.out.bytes = did.bytes;
	r.reason = FLOW_DROPPED;
	flow_set_counts(&r);
	flow_set(&r, FF_START);
	flow_set(&r, FF_END);
	flow_set(&r, FF_REASON);
	if (row->row)
		fill_source(row->row, &r);
	fill_did(m, &did, &r);
	merge_place_fill(m, row->row ? row->row->netns : 0, row->row ? row->row->ifindex : 0, &r);
	m->stats.dropped_records++;
	m->emitting = 0;
	m->cfg.emit(m->cfg.arg, &r);
}
