// SPDX-License-Identifier: Apache-2.0
/*
 * ipfix_flow.c - a data record as a flow record: the way back of ipfix_put.c. Other exporters'
 * records too, as far as they use the same elements.
 */
#include <errno.h>
#include <string.h>

#include "common/ipfix_get.h"
#include "common/ipfix_int.h"

#define ELEMENT_BASICLIST   291u
#define ELEMENT_SUBTEMPLATE 292u

struct flowing {
	const struct ipfix_templates *t;
	struct ipfix_lists *l;
	struct flow_record *r;
};

static uint8_t *member(struct flow_record *r, unsigned int f)
{
	return (uint8_t *)r + flow_fields[f].offset;
}

/* ---- lists ---- */

static void add_alpn(struct flowing *w, const struct ipfix_value *v)
{
	struct flow_str *to = &w->r->tls_alpn;

	if (v->len > 255 || to->len + v->len + 1 > sizeof(w->l->alpn))
		return;
	w->l->alpn[to->len] = (uint8_t)v->len;
	memcpy(w->l->alpn + to->len + 1, v->p, v->len);
	to->s = (const char *)w->l->alpn;
	to->len += v->len + 1;
	flow_set(w->r, FF_TLS_ALPN);
}

static void add_host(struct flowing *w, const struct ipfix_value *v)
{
	struct flow_strs *to = &w->r->http_hosts;

	if (to->n == FLOW_HOSTS_MAX)
		return;
	w->l->hosts[to->n++] = (struct flow_str){(const char *)v->p, v->len};
	to->v = w->l->hosts;
	flow_set(w->r, FF_HTTP_HOSTS);
}

static void add_answer(struct flowing *w, const struct ipfix_value *v)
{
	struct flow_strs *to = &w->r->dns_answers;

	if (to->n == FLOW_ANSWERS_MAX)
		return;
	w->l->answers[to->n++] = (struct flow_str){(const char *)v->p, v->len};
	to->v = w->l->answers;
	flow_set(w->r, FF_DNS_ANSWERS);
}

/* RFC 6313 section 4.5.1 */
static void read_basic(struct flowing *w, const struct ipfix_value *list)
{
	struct cursor8 c = {list->p, list->p + list->len};
	uint32_t element, pen = 0, len;
	struct ipfix_value v;

	if (list->len < 5)
		return;
	element = get16(c.p + 1);
	len = get16(c.p + 3);
	c.p += 5;
	if (element & IPFIX_ENTERPRISE) {
		if (c.end - c.p < 4)
			return;
		pen = get32(c.p);
		c.p += 4;
		element &= ~IPFIX_ENTERPRISE;
	}
	while (c.p < c.end && len && !ipfix_read_value(&c, (uint16_t)len, &v)) {
		if (!pen && element == flow_fields[FF_HTTP_HOSTS].element)
			add_host(w, &v);
		else if (pen && element == flow_fields[FF_TLS_ALPN].element)
			add_alpn(w, &v);
		else if (pen && element == flow_fields[FF_DNS_ANSWERS].element)
			add_answer(w, &v);
	}
}

static void query_value(struct flow_query *q, const struct ipfix_field *f,
			const struct ipfix_value *v)
{
	uint64_t n = v->len <= 8 ? get_number(v->p, v->len) : 0;

	if (f->element == ipfix_query_fields[0].element) {
		q->qname = (struct flow_str){(const char *)v->p, v->len};
	} else if (f->element == ipfix_query_fields[1].element) {
		q->qtype = (uint16_t)n;
	} else if (f->element == ipfix_query_fields[2].element) {
		q->has_rcode = n != 255;
		q->rcode = q->has_rcode ? (uint16_t)n : 0;
	} else if (f->element == ipfix_query_fields[3].element) {
		q->has_latency = n != UINT32_MAX;
		q->latency_us = q->has_latency ? n : 0;
	}
}

/* RFC 6313 section 4.5.2 */
static void read_queries(struct flowing *w, const struct ipfix_value *list)
{
	struct flow_queries *to = &w->r->dns_queries;
	struct cursor8 c = {list->p, list->p + list->len};
	const struct ipfix_template *it;
	struct ipfix_value v;

	if (list->len < 3)
		return;
	it = ipfix_templates_find(w->t, (uint16_t)get16(c.p + 1));
	c.p += 3;
	while (it && c.p < c.end && to->n < FLOW_QUERIES_MAX) {
		struct flow_query *q = &w->l->queries[to->n];

		memset(q, 0, sizeof(*q));
		for (unsigned int i = 0; i < it->n; i++) {
			if (ipfix_read_value(&c, it->f[i].len, &v))
				return;
			query_value(q, &it->f[i], &v);
		}
		to->n++;
		to->v = w->l->queries;
		flow_set(w->r, FF_DNS_QUERIES);
	}
}

/* ---- values ---- */

static uint64_t unix_ns(const uint8_t *p)
{
	uint64_t s = get32(p), fraction = get32(p + 4);

	/* NTP's era ends in 2036 */
	s += s < NTP_UNIX ? (UINT64_C(1) << 32) - NTP_UNIX : -NTP_UNIX;
	return s * 1000000000 + ((fraction * 1000000) >> 32) * 1000;
}

static uint8_t reason_of(uint64_t v)
{
	static const uint8_t ours[] = {
		[1] = FLOW_IDLE,     [2] = FLOW_ACTIVE,	 [3] = FLOW_END,
		[4] = FLOW_SHUTDOWN, [5] = FLOW_EVICTED,
	};

	return v < sizeof(ours) ? ours[v] : 0;
}

static void set_number(struct flow_record *r, unsigned int f, uint64_t v, unsigned int width)
{
	const uint8_t v8 = (uint8_t)v;
	const uint16_t v16 = (uint16_t)v;
	const uint32_t v32 = (uint32_t)v;

	switch (width) {
	case 1:
		memcpy(member(r, f), &v8, 1);
		break;
	case 2:
		memcpy(member(r, f), &v16, 2);
		break;
	case 4:
		memcpy(member(r, f), &v32, 4);
		break;
	default:
		memcpy(member(r, f), &v, 8);
	}
	flow_set(r, f);
}

static void set_ip(struct flowing *w, const struct ipfix_row *row, const struct ipfix_value *v)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, none[16];
	uint8_t *to = member(w->r, row->field);

	if (row->encoding == IE_IP16 && !memcmp(v->p, none, sizeof(none)))
		return;
	if (v->len == 4) {
		memcpy(to, mapped, sizeof(mapped));
		memcpy(to + 12, v->p, 4);
	} else {
		memcpy(to, v->p, 16);
	}
	if (row->encoding == IE_IP)
		w->r->family = v->len == 4 ? 4 : 6;
	flow_set(w->r, row->field);
}

/* The plain ones; 0 is absent where the direction or layer may be. */
static void take_plain(struct flowing *w, const struct ipfix_row *row, uint64_t n)
{
	static const uint8_t always[] = {FF_OUT_PACKETS, FF_OUT_BYTES, FF_IN_PACKETS, FF_IN_BYTES,
					 FF_PROTO,	 FF_ETHERTYPE, FF_ICMP_TYPE,  FF_ICMP_CODE,
					 FF_SRC_PORT,	 FF_DST_PORT};
	static const uint8_t width[] = {[IE_U8] = 1, [IE_U16] = 2, [IE_U32] = 4, [IE_U64] = 8};

	if (n || memchr(always, row->field, sizeof(always)))
		set_number(w->r, row->field, n, width[row->encoding]);
}

/* Microseconds, which stand before them, are as good and better. */
static void take_ms(struct flow_record *r, enum flow_field f, uint64_t ms)
{
	if (!flow_has(r, f) && ms < UINT64_MAX / 1000000)
		set_number(r, f, ms * 1000000, 8);
}

/* Our own verdict comes after it and says more. */
static void take_forwarding(struct flow_record *r, uint64_t status)
{
	if (status >> 6 == FORWARDING_DROPPED >> 6)
		set_number(r, FF_VERDICT, status == FORWARDING_POLICER ? FLOW_LIMIT : FLOW_DROP, 1);
}

static void take_number(struct flowing *w, const struct ipfix_row *row, uint64_t n)
{
	struct flow_record *r = w->r;

	switch (row->encoding) {
	case IE_IFINDEX:
		r->ifindex = (uint32_t)n;
		break;
	case IE_TYPECODE:
		r->icmp_type = (uint8_t)(n >> 8);
		r->icmp_code = (uint8_t)n;
		flow_set(r, FF_ICMP_TYPE);
		flow_set(r, FF_ICMP_CODE);
		break;
	case IE_REASON:
		r->reason = reason_of(n);
		if (r->reason)
			flow_set(r, FF_REASON);
		break;
	case IE_OUTFLAGS:
		r->out.tcp_flags = (uint8_t)n;
		break;
	case IE_INFLAGS:
		r->in.tcp_flags = (uint8_t)n;
		break;
	case IE_US32:
		if (n != UINT32_MAX)
			set_number(r, row->field, n, 8);
		break;
	case IE_VLAN0:
		r->vlan[0] = (uint16_t)n;
		if (n)
			flow_set(r, FF_VLAN);
		break;
	case IE_VLAN1:
		r->vlan[1] = (uint16_t)n;
		break;
	case IE_VNI:
		if (n != UINT32_MAX)
			set_number(r, FF_VNI, n, 4);
		break;
	case IE_RCODE:
	case IE_DIRECTION:
		if (n != 255)
			set_number(r, row->field, n, row->encoding == IE_RCODE ? 2 : 1);
		break;
	case IE_FORWARDING:
		take_forwarding(r, n);
		break;
	case IE_STARTMS:
	case IE_ENDMS:
		take_ms(r, row->encoding == IE_STARTMS ? FF_START : FF_END, n);
		break;
	case IE_SEGMENT:
		break; /* vni says the same */
	default:
		take_plain(w, row, n);
	}
}

static void take_text(struct flowing *w, const struct ipfix_row *row, const struct ipfix_value *v)
{
	struct flow_str s = {(const char *)v->p, v->len};

	if (!v->len)
		return;
	memcpy(member(w->r, row->field), &s, sizeof(s));
	flow_set(w->r, row->field);
}

static void take_row(struct flowing *w, const struct ipfix_row *row, const struct ipfix_value *v)
{
	switch (row->encoding) {
	case IE_STRING:
		take_text(w, row, v);
		break;
	case IE_IP:
		if (v->len == 16 || v->len == 4)
			set_ip(w, row, v);
		break;
	case IE_IP16:
		if (v->len == 16)
			set_ip(w, row, v);
		break;
	case IE_TIME:
		if (v->len == 8)
			set_number(w->r, row->field, unix_ns(v->p), 8);
		break;
	default:
		if (row->len && v->len && v->len <= row->len)
			take_number(w, row, get_number(v->p, v->len));
	}
}

static void take(struct flowing *w, const struct ipfix_field *f, const struct ipfix_value *v)
{
	if (!f->pen && f->element == ELEMENT_BASICLIST)
		read_basic(w, v);
	else if (!f->pen && f->element == ELEMENT_SUBTEMPLATE)
		read_queries(w, v);
	else if (f->what)
		take_row(w, &ipfix_rows[f->what - 1], v);
}

static void clear(struct flow_record *r, enum flow_field f)
{
	r->present[f / 64] &= ~(UINT64_C(1) << f % 64);
}

static bool is_nobody(const struct flow_record *r, const uint8_t addr[16])
{
	static const uint8_t none4[16] = {[10] = 0xff, [11] = 0xff}, none6[16];

	return !memcmp(addr, r->family == 4 ? none4 : none6, 16);
}

/* Packets dropped before they were in a flow: no ends but the source, no end of a flow. */
static void complete_dropped(struct flow_record *r)
{
	r->reason = FLOW_DROPPED;
	flow_set(r, FF_REASON);
	if (is_nobody(r, r->src_ip))
		clear(r, FF_SRC_IP);
	if (!r->ethertype)
		clear(r, FF_ETHERTYPE);
	clear(r, FF_DST_IP);
	clear(r, FF_COMMUNITY_ID);
	if (!r->src_port)
		clear(r, FF_SRC_PORT);
}

/* What follows from other members. */
static void complete(struct flow_record *r)
{
	r->tcp_flags = r->out.tcp_flags | r->in.tcp_flags;
	if (r->tcp_flags)
		flow_set(r, FF_TCP_FLAGS);
	if (!r->src_port && !r->dst_port) {
		clear(r, FF_SRC_PORT);
		clear(r, FF_DST_PORT);
	}
	if (flow_has(r, FF_DNS_QNAME))
		flow_set(r, FF_DNS_QTYPE);
	r->packets = r->out.packets + r->in.packets;
	r->bytes = r->out.bytes + r->in.bytes;
	flow_set_counts(r);
	if (r->family)
		flow_set(r, FF_COMMUNITY_ID);
	if (!r->reason && flow_has(r, FF_VERDICT) && is_nobody(r, r->dst_ip))
		complete_dropped(r);
}

int ipfix_to_flow(const struct ipfix_templates *t, const struct ipfix_record *rec,
		  struct ipfix_lists *l, struct flow_record *ret)
{
	struct flowing w = {.t = t, .l = l, .r = ret};

	if (rec->t->scope)
		return -ENOENT;
	memset(ret, 0, sizeof(*ret));
	for (unsigned int i = 0; i < rec->t->n; i++)
		take(&w, &rec->t->f[i], &rec->v[i]);
	complete(ret);
	return 0;
}
