// SPDX-License-Identifier: Apache-2.0
#include "random_flow.h"

#include <string.h>

/* splitmix64 */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static bool maybe(uint64_t *s)
{
	return next(s) & 1;
}

static struct flow_str text(struct random_flow *f, uint64_t *s, uint32_t *used, uint32_t max)
{
	uint32_t len = 1 + (uint32_t)(next(s) % max), left = sizeof(f->text) - *used;
	char *p = f->text + *used;

	if (len > left)
		len = left;
	for (uint32_t i = 0; i < len; i++)
		p[i] = (char)next(s);
	*used += len;
	return (struct flow_str){p, len};
}

static void set_text(struct random_flow *f, uint64_t *s, uint32_t *used, enum flow_field field,
		     uint32_t max)
{
	struct flow_str v;

	if (!maybe(s))
		return;
	v = text(f, s, used, max);
	if (!v.len)
		return;
	memcpy((char *)&f->r + flow_fields[field].offset, &v, sizeof(v));
	flow_set(&f->r, field);
}

/* A number that is not 0, of @bytes. */
static void set_number(struct random_flow *f, uint64_t *s, enum flow_field field,
		       unsigned int bytes)
{
	uint64_t v = next(s) >> next(s) % 64;

	if (bytes < 8)
		v &= (UINT64_C(1) << 8 * bytes) - 1;
	if (!v)
		v = 1;
	memcpy((char *)&f->r + flow_fields[field].offset, &v, bytes); /* little endian */
	flow_set(&f->r, field);
}

static void maybe_number(struct random_flow *f, uint64_t *s, enum flow_field field,
			 unsigned int bytes)
{
	if (maybe(s))
		set_number(f, s, field, bytes);
}

static void maybe_us(struct random_flow *f, uint64_t *s, enum flow_field field)
{
	uint64_t v = next(s) % 4294967295u >> next(s) % 32;

	if (!maybe(s))
		return;
	memcpy((char *)&f->r + flow_fields[field].offset, &v, sizeof(v));
	flow_set(&f->r, field);
}

static void set_ip(struct random_flow *f, uint64_t *s, enum flow_field field, int family)
{
	uint8_t *p = (uint8_t *)&f->r + flow_fields[field].offset;

	for (unsigned int i = 0; i < 16; i++)
		p[i] = (uint8_t)next(s);
	if (family == 4) {
		memset(p, 0, 10);
		p[10] = p[11] = 0xff;
	}
	flow_set(&f->r, field);
}

static void set_direction(struct random_flow *f, uint64_t *s, unsigned int base, bool ip)
{
	struct flow_dir *d = base ? &f->r.in : &f->r.out;

	d->packets = base && maybe(s) ? 0 : next(s) >> 20 >> next(s) % 40;
	d->bytes = d->packets ? next(s) >> 16 >> next(s) % 40 : 0;
	flow_set(&f->r, FF_OUT_PACKETS + base);
	flow_set(&f->r, FF_OUT_BYTES + base);
	if (ip) {
		maybe_number(f, s, FF_OUT_TTL_MIN + base, 1);
		maybe_number(f, s, FF_OUT_TTL_MAX + base, 1);
		maybe_number(f, s, FF_OUT_DSCP + base, 1);
	}
	if (ip && f->r.proto == 6) {
		maybe_number(f, s, FF_OUT_RETRANSMITS + base, 4);
		maybe_number(f, s, FF_OUT_OUT_OF_ORDER + base, 4);
		maybe_number(f, s, FF_OUT_ZERO_WINDOWS + base, 4);
		d->tcp_flags = (uint8_t)next(s);
	}
}

static void set_lists(struct random_flow *f, uint64_t *s, uint32_t *used)
{
	uint32_t n = (uint32_t)(next(s) % 4);

	if (n && maybe(s)) {
		for (uint32_t i = 0; i < n; i++)
			f->hosts[i] = text(f, s, used, 40);
		f->r.http_hosts = (struct flow_strs){f->hosts, n};
		flow_set(&f->r, FF_HTTP_HOSTS);
	}
	if (n && maybe(s)) {
		for (uint32_t i = 0; i < n; i++)
			f->answers[i] = text(f, s, used, 40);
		f->r.dns_answers = (struct flow_strs){f->answers, n};
		flow_set(&f->r, FF_DNS_ANSWERS);
	}
	if (n && maybe(s)) {
		for (uint32_t i = 0; i < n; i++) {
			struct flow_query *q = &f->queries[i];

			memset(q, 0, sizeof(*q));
			q->qname = text(f, s, used, 40);
			q->qtype = (uint16_t)next(s);
			q->has_rcode = maybe(s);
			q->rcode = q->has_rcode ? next(s) % 16 : 0;
			q->has_latency = maybe(s);
			q->latency_us = q->has_latency ? next(s) % 4294967294u : 0;
		}
		f->r.dns_queries = (struct flow_queries){f->queries, n};
		flow_set(&f->r, FF_DNS_QUERIES);
	}
}

static void set_policy(struct random_flow *f, uint64_t *s, uint32_t *used)
{
	f->r.verdict = (uint8_t)(1 + next(s) % (_FLOW_VERDICT_MAX - 1));
	flow_set(&f->r, FF_VERDICT);
	set_text(f, s, used, FF_RULE, 64);
	maybe_number(f, s, FF_DROPPED_PACKETS, 8);
	maybe_number(f, s, FF_DROPPED_BYTES, 8);
}

static void set_names(struct random_flow *f, uint64_t *s)
{
	uint32_t used = 0;

	set_text(f, s, &used, FF_TLS_SNI, 255);
	maybe_number(f, s, FF_TLS_VERSION, 2);
	maybe_number(f, s, FF_TLS_OFFERED, 2);
	maybe_number(f, s, FF_TLS_ECH, 1);
	maybe_number(f, s, FF_QUIC_VERSION, 4);
	maybe_number(f, s, FF_NO_NAME, 1);
	if (maybe(s)) {
		f->r.tls_alpn = (struct flow_str){"\2h2\10http/1.1", 12};
		flow_set(&f->r, FF_TLS_ALPN);
	}
	set_text(f, s, &used, FF_HTTP_HOST, 300);
	set_text(f, s, &used, FF_HTTP_METHOD, 16);
	set_text(f, s, &used, FF_HTTP_PATH, 512);
	if (maybe(s)) {
		set_text(f, s, &used, FF_DNS_QNAME, 200);
		if (flow_has(&f->r, FF_DNS_QNAME))
			set_number(f, s, FF_DNS_QTYPE, 2);
		f->r.dns_rcode = next(s) % 16;
		flow_set(&f->r, FF_DNS_RCODE);
		maybe_us(f, s, FF_DNS_LATENCY_US);
	}
	set_lists(f, s, &used);
	if (maybe(s))
		set_policy(f, s, &used);
}

static void set_place(struct random_flow *f, uint64_t *s)
{
	if (maybe(s)) {
		f->r.vni = (uint32_t)(next(s) % 0xffffff);
		flow_set(&f->r, FF_VNI);
		f->r.tunnel_type = (uint8_t)(1 + next(s) % 8);
		flow_set(&f->r, FF_TUNNEL_TYPE);
		set_ip(f, s, FF_TUNNEL_SRC, maybe(s) ? 4 : 6);
	}
	if (maybe(s)) {
		f->r.vlan[0] = 1 + next(s) % 4094;
		f->r.vlan[1] = next(s) % 3 * 100;
		flow_set(&f->r, FF_VLAN);
	}
	maybe_number(f, s, FF_SAMPLING, 4);
}

/* Few: they double the templates that there are, and who reads them has so much room. */
static void set_mirrored(struct random_flow *f, uint64_t *s)
{
	if (next(s) % 64)
		return;
	f->r.direction = next(s) & 1;
	flow_set(&f->r, FF_DIRECTION);
	for (unsigned int base = 0; base <= FF_IN_PACKETS - FF_OUT_PACKETS;
	     base += FF_IN_PACKETS - FF_OUT_PACKETS) {
		if (!(base ? f->r.in.packets : f->r.out.packets))
			continue;
		maybe_number(f, s, FF_OUT_COPIED_PACKETS + base, 8);
		maybe_number(f, s, FF_OUT_COPIED_BYTES + base, 8);
	}
}

static void set_layers(struct random_flow *f, uint64_t *s)
{
	static const uint8_t protos[] = {6, 17, 1, 58, 132, 47};
	struct flow_record *r = &f->r;

	r->proto = protos[next(s) % sizeof(protos)];
	flow_set(r, FF_PROTO);
	set_ip(f, s, FF_SRC_IP, r->family);
	set_ip(f, s, FF_DST_IP, r->family);
	set_number(f, s, FF_STATE, 1);
	if (r->proto == 1 || r->proto == 58) {
		r->icmp_type = (uint8_t)next(s);
		r->icmp_code = (uint8_t)next(s);
		flow_set(r, FF_ICMP_TYPE);
		flow_set(r, FF_ICMP_CODE);
	} else if (r->proto != 47) {
		set_number(f, s, FF_SRC_PORT, 2);
		set_number(f, s, FF_DST_PORT, 2);
	}
	flow_set(r, FF_COMMUNITY_ID);
}

void random_flow(struct random_flow *f, uint64_t *s)
{
	struct flow_record *r = &f->r;

	memset(f, 0, sizeof(*f));
	r->start_ns = UINT64_C(1500000000000000000) + next(s) % UINT64_C(400000000000000000);
	r->start_ns -= r->start_ns % 1000;
	r->end_ns = r->start_ns + next(s) % 100000000000u / 1000 * 1000;
	flow_set(r, FF_START);
	flow_set(r, FF_END);
	r->family = (uint8_t[]){4, 6, 4, 0}[next(s) % 4];
	r->ifindex = (uint32_t)next(s);
	if (r->family)
		set_layers(f, s);
	else
		set_number(f, s, FF_ETHERTYPE, 2);
	set_direction(f, s, 0, r->family != 0);
	set_direction(f, s, FF_IN_PACKETS - FF_OUT_PACKETS, r->family != 0);
	r->tcp_flags = r->out.tcp_flags | r->in.tcp_flags;
	if (r->tcp_flags)
		flow_set(r, FF_TCP_FLAGS);
	r->packets = r->out.packets + r->in.packets;
	r->bytes = r->out.bytes + r->in.bytes;
	flow_set(r, FF_PACKETS);
	flow_set(r, FF_BYTES);
	maybe_us(f, s, FF_RTT_CLIENT_US);
	maybe_us(f, s, FF_RTT_SERVER_US);
	maybe_us(f, s, FF_RESPONSE_US);
	if (maybe(s))
		set_names(f, s);
	if (maybe(s))
		set_place(f, s);
	set_mirrored(f, s);
	r->reason = (uint8_t)(1 + next(s) % 5);
	flow_set(r, FF_REASON);
}
