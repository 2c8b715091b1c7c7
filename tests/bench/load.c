// SPDX-License-Identifier: Apache-2.0
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ipfix.h"
#include "common/ipfix_get.h"
#include "common/ipfix_key.h"
#include "common/ipfix_put.h"

#define HOSTS	20000u
#define SERVERS 4000u
#define NAMES	10000u
#define RECORDS 512u /* of a message at most */
#define V9_HEAD 20u
#define V5_HEAD 24u
#define V5_ROW	48u
#define V9_ID	300u
#define LIFE_MS 30000u
#define DOMAIN	77u

struct place {
	uint16_t port;	/* offset of the source port; 0: there is none */
	uint16_t bytes; /* offset of the lowest two octets of the bytes out */
};

struct message {
	uint8_t *p;
	uint32_t len;
	uint32_t n;
	uint64_t packets, bytes; /* without what is put in when it is sent */
	uint32_t names;
	struct place at[RECORDS];
};

struct load {
	enum load_format format;
	uint32_t n, next;
	uint32_t sequence;
	uint64_t state;
	uint32_t template_len;
	struct ipfix_used used;
	struct message *m;
	uint8_t template[IPFIX_MESSAGE_MAX];
};

/* splitmix64 */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Below @n, small ones far more often: the cube of an even one. */
static uint32_t skewed(uint64_t *state, uint32_t n)
{
	const double u = (double)(next(state) >> 11) / (double)(UINT64_C(1) << 53);

	return (uint32_t)((double)n * u * u * u);
}

/* ---- flows ---- */

struct one {
	struct flow_record r;
	char name[64];
};

static void set_ip4(uint8_t to[16], uint32_t v)
{
	memset(to, 0, 10);
	to[10] = to[11] = 0xff;
	put32(to + 12, v);
}

static const struct {
	uint16_t port;
	uint8_t proto;
	uint8_t name;
	uint8_t share; /* of 100 */
} services[] = {
	{443, 6, 1, 48}, {443, 17, 1, 12}, {53, 17, 0, 15}, {80, 6, 0, 8},
	{22, 6, 0, 2},	 {25, 6, 0, 2},	   {123, 17, 0, 5}, {8080, 6, 0, 8},
};

static unsigned int service(uint64_t *state)
{
	unsigned int left = (unsigned int)(next(state) % 100), i = 0;

	while (left >= services[i].share)
		left -= services[i++].share;
	return i;
}

static void make_counts(struct flow_record *r, uint64_t *state)
{
	const uint32_t n = 1 + skewed(state, 400);

	r->out.packets = n;
	r->out.bytes = (uint64_t)n * (64 + skewed(state, 500)) & ~UINT64_C(0xffff);
	r->in.packets = n + skewed(state, 400);
	r->in.bytes = r->in.packets * (64 + skewed(state, 1400));
	r->packets = r->out.packets + r->in.packets;
	r->bytes = r->out.bytes + r->in.bytes;
	for (unsigned int f = FF_PACKETS; f <= FF_OUT_BYTES; f++)
		flow_set(r, f);
	flow_set(r, FF_IN_PACKETS);
	flow_set(r, FF_IN_BYTES);
}

static void make_tcp(struct flow_record *r, uint64_t *state)
{
	r->tcp_flags = 0x1b;
	r->out.tcp_flags = 0x1b;
	r->in.tcp_flags = 0x1b;
	r->state = FLOW_CLOSED;
	r->rtt_client_us = 100 + skewed(state, 50000);
	r->rtt_server_us = 100 + skewed(state, 90000);
	flow_set(r, FF_TCP_FLAGS);
	flow_set(r, FF_STATE);
	flow_set(r, FF_RTT_CLIENT_US);
	flow_set(r, FF_RTT_SERVER_US);
}

static void make_name(struct one *o, uint64_t *state)
{
	const uint32_t i = skewed(state, NAMES);
	const int n = snprintf(o->name, sizeof(o->name), "%s%u.service-%u.example.test",
			       i % 3 ? "www" : "cdn", i, i % 211);

	o->r.tls_sni = (struct flow_str){o->name, (uint32_t)n};
	o->r.tls_version = 0x0304;
	flow_set(&o->r, FF_TLS_SNI);
	flow_set(&o->r, FF_TLS_VERSION);
}

static void make_flow(struct one *o, uint64_t *state, int64_t now_us)
{
	struct flow_record *r = &o->r;
	const unsigned int s = service(state);

	memset(r, 0, sizeof(*r));
	r->family = 4;
	set_ip4(r->src_ip, 0x0a000000u + skewed(state, HOSTS));
	set_ip4(r->dst_ip, 0xc6120000u + skewed(state, SERVERS));
	r->src_port = 1024;
	r->dst_port = services[s].port;
	r->proto = services[s].proto;
	r->ifindex = 1 + (uint32_t)(next(state) % 4);
	r->end_ns = (uint64_t)now_us * 1000 - next(state) % 1000000000;
	r->start_ns = r->end_ns - next(state) % (LIFE_MS * UINT64_C(1000000));
	r->reason = FLOW_END;
	for (unsigned int f = FF_START; f <= FF_PROTO; f++)
		flow_set(r, f);
	flow_set(r, FF_REASON);
	make_counts(r, state);
	if (r->proto == 6)
		make_tcp(r, state);
	if (services[s].name)
		make_name(o, state);
}

/* ---- messages ---- */

static void add(struct message *m, const struct one *o, uint32_t port, uint32_t bytes, bool biflow)
{
	m->at[m->n++] = (struct place){(uint16_t)port, (uint16_t)bytes};
	m->packets += biflow ? o->r.packets : o->r.out.packets;
	m->bytes += biflow ? o->r.bytes : o->r.out.bytes;
	m->names += biflow && flow_has(&o->r, FF_TLS_SNI);
}

#define IPFIX_BYTES 32u /* behind the times in micro- and milliseconds */
#define IPFIX_PORT  85u /* of an IPv4 record, both directions */

static const struct ipfix_cfg weir = {.pen = IPFIX_PEN_WEIR, .domain = DOMAIN, .form = 7};

static void make_ipfix(struct load *l, struct message *m, uint32_t octets, int64_t now_us)
{
	struct ipfix_used used;
	struct ipfix_msg w;
	struct one o;

	ipfix_begin(&w, m->p, octets, &used);
	while (m->n < RECORDS) {
		const uint32_t before = w.len, set = w.set_at;
		uint32_t at;

		make_flow(&o, &l->state, now_us);
		if (ipfix_put_flow(&weir, &w, &o.r))
			break;
		at = before + (w.set_at != set ? IPFIX_SET_HEADER : 0);
		add(m, &o, at + IPFIX_PORT, at + IPFIX_BYTES + 6, true);
	}
	m->len = w.len;
	for (unsigned int i = 0; i < IPFIX_FLOW_TEMPLATES / 64; i++)
		l->used.bits[i] |= used.bits[i];
}

static const uint16_t v9_fields[][2] = {
	{8, 4},	 {12, 4}, {15, 4}, {10, 4}, {14, 4}, {2, 4},  {1, 4}, {22, 4}, {21, 4}, {7, 2},
	{11, 2}, {6, 1},  {4, 1},  {5, 1},  {16, 4}, {17, 4}, {9, 1}, {13, 1}, {61, 1}, {48, 1},
};

#define V9_FIELDS (sizeof(v9_fields) / sizeof(v9_fields[0]))

/* The members that v9's and v5's records have in the same order, without their tails. */
static uint8_t *put_head(uint8_t *p, const struct one *o, uint32_t index_octets, uint64_t *state)
{
	const struct flow_record *r = &o->r;

	memcpy(p, r->src_ip + 12, 4);
	memcpy(p + 4, r->dst_ip + 12, 4);
	put32(p + 8, 0x0a0000fe);
	p = put_number(p + 12, r->ifindex, index_octets);
	p = put_number(p, r->ifindex + 1, index_octets);
	put32(p, (uint32_t)r->out.packets);
	put32(p + 4, (uint32_t)r->out.bytes);
	put32(p + 8, 1000000 - (uint32_t)(next(state) % LIFE_MS));
	put32(p + 12, 1000000);
	put16(p + 16, r->src_port);
	put16(p + 18, r->dst_port);
	return p + 20;
}

static void make_v9(struct load *l, struct message *m, uint32_t octets, int64_t now_us)
{
	uint32_t size = 0, at = V9_HEAD + 4;
	struct one o;

	for (unsigned int i = 0; i < V9_FIELDS; i++)
		size += v9_fields[i][1];
	for (; m->n < RECORDS && at + size + 3 <= octets; at += size) {
		uint8_t *p;

		make_flow(&o, &l->state, now_us);
		p = put_head(m->p + at, &o, 4, &l->state);
		p[0] = o.r.tcp_flags;
		p[1] = o.r.proto;
		p[2] = 0;
		put32(p + 3, 64500);
		put32(p + 7, 64501);
		p[11] = 24;
		p[12] = 16;
		p[13] = p[14] = 0;
		add(m, &o, at + 36, at + 24 + 2, false);
	}
	put16(m->p + V9_HEAD, V9_ID);
	while (at % 4)
		m->p[at++] = 0;
	put16(m->p + V9_HEAD + 2, at - V9_HEAD);
	m->len = at;
}

static void make_v5(struct load *l, struct message *m, uint32_t octets, int64_t now_us)
{
	uint32_t at = V5_HEAD;
	struct one o;

	for (; m->n < 30 && at + V5_ROW <= octets; at += V5_ROW) {
		uint8_t *p;

		make_flow(&o, &l->state, now_us);
		memset(m->p + at, 0, V5_ROW);
		p = put_head(m->p + at, &o, 2, &l->state);
		p[1] = o.r.tcp_flags;
		p[2] = o.r.proto;
		put16(p + 4, 64500);
		put16(p + 6, 64501);
		p[8] = 24;
		p[9] = 16;
		add(m, &o, at + 32, at + 20 + 2, false);
	}
	m->len = at;
}

static void make_template(struct load *l)
{
	struct ipfix_used want = l->used;
	struct ipfix_msg w;
	uint8_t *p = l->template + V9_HEAD;

	if (l->format == LOAD_IPFIX) {
		ipfix_begin(&w, l->template, sizeof(l->template), NULL);
		if (!ipfix_put_templates(&weir, &w, &want))
			l->template_len = w.len;
	} else if (l->format == LOAD_V9) {
		put16(p, 0);
		put16(p + 2, 8 + 4 * V9_FIELDS);
		put16(p + 4, V9_ID);
		put16(p + 6, V9_FIELDS);
		for (unsigned int i = 0; i < V9_FIELDS; i++) {
			put16(p + 8 + 4 * i, v9_fields[i][0]);
			put16(p + 10 + 4 * i, v9_fields[i][1]);
		}
		l->template_len = V9_HEAD + 8 + 4 * V9_FIELDS;
	}
}

struct load *load_new(const struct load_cfg *cfg)
{
	const uint32_t octets = cfg->octets, messages = cfg->messages;
	const enum load_format format = cfg->format;
	struct load *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->format = format;
	l->state = cfg->seed;
	l->n = messages;
	l->m = calloc(messages, sizeof(*l->m));
	for (uint32_t i = 0; l->m && i < messages; i++) {
		l->m[i].p = malloc(octets + 4);
		if (!l->m[i].p)
			return load_free(l);
		if (format == LOAD_IPFIX)
			make_ipfix(l, &l->m[i], octets, cfg->now_us);
		else if (format == LOAD_V9)
			make_v9(l, &l->m[i], octets, cfg->now_us);
		else
			make_v5(l, &l->m[i], octets, cfg->now_us);
	}
	if (!l->m)
		return load_free(l);
	make_template(l);
	return l;
}

struct load *load_free(struct load *l)
{
	if (!l)
		return NULL;
	for (uint32_t i = 0; l->m && i < l->n; i++)
		free(l->m[i].p);
	free(l->m);
	free(l);
	return NULL;
}

/* ---- sending ---- */

static void date(struct load *l, uint8_t *p, uint32_t len, uint32_t n, int64_t now_us)
{
	const uint32_t s = (uint32_t)(now_us / 1000000);

	if (l->format == LOAD_IPFIX) {
		ipfix_finish(&weir, p, len, s, l->sequence);
		return;
	}
	put16(p, l->format == LOAD_V9 ? 9 : 5);
	put16(p + 2, n);
	put32(p + 4, 1000000);
	put32(p + 8, s);
	if (l->format == LOAD_V9) {
		put32(p + 12, l->sequence);
		put32(p + 16, DOMAIN);
		return;
	}
	put32(p + 12, (uint32_t)(now_us % 1000000) * 1000);
	put32(p + 16, l->sequence);
	put32(p + 20, DOMAIN << 16);
}

const uint8_t *load_next(struct load *l, int64_t now_us, uint32_t *ret_len, struct load_sums *sums)
{
	struct message *m = &l->m[l->next++ % l->n];

	date(l, m->p, m->len, m->n, now_us);
	l->sequence += l->format == LOAD_V9 ? 1 : m->n;
	sums->bytes += m->bytes;
	for (uint32_t i = 0; i < m->n; i++) {
		const uint64_t r = next(&l->state);
		const uint32_t more = r & 0x1fff;

		put16(m->p + m->at[i].port, 1024 + (r >> 16 & 0x7fff));
		put16(m->p + m->at[i].bytes, 40 + more);
		sums->bytes += 40 + more;
	}
	sums->messages++;
	sums->octets += m->len;
	sums->flows += m->n;
	sums->packets += m->packets;
	sums->names += m->names;
	*ret_len = m->len;
	return m->p;
}

uint32_t load_templates(struct load *l, int64_t now_us, const uint8_t **ret)
{
	if (l->template_len) {
		date(l, l->template, l->template_len, 1, now_us);
		l->sequence += l->format == LOAD_V9;
	}
	*ret = l->template;
	return l->template_len;
}
