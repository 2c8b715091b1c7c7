// SPDX-License-Identifier: Apache-2.0
/*
 * merge_rig.c - see merge_rig.h.
 */
#include "merge_rig.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/flow_text.h"

const struct flow_key rig_key = {
	.addr = {{[10] = 0xff, 0xff, 10, 0, 0, 1}, {[10] = 0xff, 0xff, 10, 0, 0, 2}},
	.port = {0x409c, 0xbb01}, /* 40000 and 443 in network order, on a little-endian host */
	.ifindex = 7,
	.ethertype = 0x0800,
	.proto = 6,
};

static struct flow_str keep(struct kept *k, struct flow_str s)
{
	char *p = k->text + k->used;

	if (k->used + s.len > sizeof(k->text))
		abort();
	memcpy(p, s.s, s.len);
	k->used += s.len;
	return (struct flow_str){p, s.len};
}

static void record(void *arg, const struct flow_record *r)
{
	struct rig *g = arg;
	struct kept *k = &g->kept[g->n++ % RIG_RECORDS];

	k->used = 0;
	k->r = *r;
	for (unsigned int f = 0; f < _FF_MAX; f++) {
		struct flow_str *s = (struct flow_str *)((char *)&k->r + flow_fields[f].offset);

		if (flow_has(r, f) &&
		    (flow_fields[f].type == FT_STR || flow_fields[f].type == FT_ALPN))
			*s = keep(k, *s);
	}
	for (unsigned int i = 0; flow_has(r, FF_DNS_QUERIES) && i < r->dns_queries.n; i++) {
		k->q[i] = r->dns_queries.v[i];
		k->q[i].qname = keep(k, k->q[i].qname);
	}
	for (unsigned int i = 0; flow_has(r, FF_HTTP_HOSTS) && i < r->http_hosts.n; i++)
		k->hosts[i] = keep(k, r->http_hosts.v[i]);
	for (unsigned int i = 0; flow_has(r, FF_DNS_ANSWERS) && i < r->dns_answers.n; i++)
		k->answers[i] = keep(k, r->dns_answers.v[i]);
	k->r.dns_answers.v = k->answers;
	k->r.dns_queries.v = k->q;
	k->r.http_hosts.v = k->hosts;
}

static const char *iface(void *arg, uint32_t netns, uint32_t ifindex, uint32_t *ret_number)
{
	(void)arg;
	*ret_number = netns ? 0x1000000 + netns : ifindex;
	return ifindex != 7 ? NULL : netns ? "blue/eth7" : "eth7";
}

void rig_init(struct rig *g, const struct merge_cfg *cfg)
{
	struct merge_cfg c = cfg ? *cfg : merge_cfg_default;

	*g = (struct rig){.clock.tick_ns = RIG_TICK_NS};
	clock_set(&g->clock, RIG_START, RIG_WALL_NS);
	g->kept = calloc(RIG_RECORDS, sizeof(*g->kept));
	c.clock = &g->clock;
	c.emit = c.emit ?: record; /* a test's own, which gets the rig too */
	c.iface = iface;
	c.arg = g;
	if (!g->kept || merge_new(&c, &g->m) < 0)
		abort();
}

void rig_done(struct rig *g)
{
	merge_free(g->m);
	free(g->kept);
}

void rig_wait(struct rig *g, uint64_t ms)
{
	clock_set(&g->clock, g->clock.now_tick + ms, g->clock.now_wall_ns + ms * 1000000);
}

uint64_t rig_ns(const struct rig *g)
{
	return g->clock.now_tick * RIG_TICK_NS;
}

void entry_init(struct entry *e, const struct flow_key *key)
{
	uint64_t fp = UINT64_C(0xcbf29ce484222325);
	static uint64_t gen;

	memset(e, 0, sizeof(*e));
	/* As the packet path's: the fingerprint is the key's, whatever the CPU. */
	for (size_t i = 0; i < sizeof(*key); i++)
		fp = (fp ^ ((const uint8_t *)key)[i]) * UINT64_C(0x100000001b3);
	e->hot.tag = fp << 16 | (++gen & 0xffff);
	e->cold.key = *key;
}

static void count(struct rig *g, struct entry *e, int dir, uint32_t len)
{
	struct flow_hot *h = &e->hot;
	struct flow_cold *c = &e->cold;

	if (!h->packets[0] && !h->packets[1] && !c->init_why)
		c->init_dir = (uint8_t)dir;
	if (!h->packets[dir]) {
		c->first[dir] = (uint32_t)g->clock.now_tick;
		c->ttl_min[dir] = c->ttl_max[dir] = h->ttl[dir] = dir ? 57 : 64;
	}
	h->packets[dir]++;
	h->bytes[dir] += len;
	h->last[dir] = (uint32_t)g->clock.now_tick;
}

void entry_packet(struct rig *g, struct entry *e, int dir, uint8_t flags, uint64_t ns)
{
	struct flow_cold *c = &e->cold;
	uint64_t now = rig_ns(g) + ns;

	count(g, e, dir, 40);
	e->hot.tcp_flags[dir] |= flags;
	if ((flags & (SYN | ACK)) == SYN) {
		c->syn_ns = c->syn_ns ? c->syn_ns : now;
		c->init_dir = (uint8_t)dir;
		c->init_why = INIT_SYN;
	} else if ((flags & (SYN | ACK)) == (SYN | ACK)) {
		c->synack_ns = c->synack_ns ? c->synack_ns : now;
		if (c->init_why < INIT_SYNACK) {
			c->init_dir = (uint8_t)!dir;
			c->init_why = INIT_SYNACK;
		}
	} else if (flags == ACK && c->syn_ns && c->init_dir == dir && !c->ack_ns) {
		c->ack_ns = now;
	}
}

void entry_payload(struct rig *g, struct entry *e, int dir, uint64_t ns)
{
	count(g, e, dir, 140);
	e->hot.tcp_flags[dir] |= e->cold.key.proto == 6 ? PSH | ACK : 0;
	if (!e->cold.payload_ns[dir])
		e->cold.payload_ns[dir] = rig_ns(g) + ns;
}

void rig_connection(struct rig *g, struct entry *client, struct entry *server)
{
	entry_packet(g, client, 0, SYN, 0);
	entry_packet(g, server, 1, SYN | ACK, 300000);
	entry_packet(g, client, 0, ACK, 350000);
	entry_payload(g, client, 0, 400000);
	entry_payload(g, server, 1, 900000);
}

void rig_close(struct rig *g, struct entry *client, struct entry *server)
{
	entry_packet(g, client, 0, FIN | ACK, 0);
	entry_packet(g, server, 1, FIN | ACK, 0);
}

static struct merge_delta delta(struct entry *e)
{
	struct merge_delta d = {.hot = &e->hot, .cold = &e->cold, .flow_ref = &e->ref};

	for (int i = 0; i < 2; i++) {
		d.bytes[i] = e->hot.bytes[i] - e->read_hot.bytes[i];
		d.packets[i] = e->hot.packets[i] - e->read_hot.packets[i];
		d.retransmits[i] = e->cold.retransmits[i] - e->read_cold.retransmits[i];
		d.out_of_order[i] = e->cold.out_of_order[i] - e->read_cold.out_of_order[i];
		d.zero_windows[i] = e->cold.zero_windows[i] - e->read_cold.zero_windows[i];
	}
	e->read_hot = e->hot;
	e->read_cold = e->cold;
	return d;
}

void entry_read(struct rig *g, struct entry *e)
{
	struct merge_delta d = delta(e);

	merge_entries(g->m, &d, 1);
}

void entry_evict(struct rig *g, struct entry *e)
{
	struct merge_delta d = delta(e);

	merge_finals(g->m, &d, 1);
	e->ref = 0;
}

struct name_result rig_name(const struct rig *g, const struct flow_key *key, uint8_t kind, int dir)
{
	struct name_result nr;

	memset(&nr, 0, sizeof(nr));
	nr.kind = kind;
	nr.dir = (uint8_t)dir;
	nr.proto = L7P_TLS;
	nr.tick = (uint32_t)g->clock.now_tick;
	nr.time_ns = rig_ns(g);
	nr.key = *key;
	return nr;
}

void rig_sni(struct rig *g, const struct flow_key *key, const char *sni)
{
	struct name_result nr = rig_name(g, key, NAME_TLS_CLIENT, 0);

	nr.tls.sni_len = (uint16_t)strlen(sni);
	memcpy(nr.tls.sni, sni, nr.tls.sni_len);
	nr.tls.version = 0x0304;
	merge_name(g->m, &nr);
}

void rig_dns(struct rig *g, const struct flow_key *key, uint16_t id, const char *qname, int rcode)
{
	struct name_result nr = rig_name(g, key, NAME_DNS_QUERY, rcode >= 0);

	nr.dns.id = id;
	nr.dns.qtype = 1;
	nr.dns.qname_len = (uint16_t)strlen(qname);
	memcpy(nr.dns.qname, qname, nr.dns.qname_len);
	if (rcode >= 0) {
		nr.dns.flags = NAME_DNS_RESPONSE;
		nr.dns.rcode = (uint16_t)rcode;
	}
	merge_name(g->m, &nr);
}

const struct flow_record *rig_last(const struct rig *g)
{
	static const struct flow_record none;

	return g->n ? &g->kept[(g->n - 1) % RIG_RECORDS].r : &none;
}

int record_is(const struct flow_record *r, enum flow_field f, const char *want)
{
	char buf[FLOW_TEXT];
	struct flow_str s;

	if (!flow_has(r, f)) {
		if (want)
			fprintf(stderr, "%s is absent, not %s\n", flow_fields[f].path, want);
		return !want;
	}
	s = flow_text(r, f, buf);
	if (want && s.len == strlen(want) && !memcmp(s.s, want, s.len))
		return 1;
	fprintf(stderr, "%s is %.*s, not %s\n", flow_fields[f].path, (int)s.len, s.s,
		want ? want : "absent");
	return 0;
}
