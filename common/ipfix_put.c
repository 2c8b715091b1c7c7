// SPDX-License-Identifier: Apache-2.0
/*
 * ipfix_put.c - a flow as one data record, or as two: groups in order, rows of weir/ipfix.def.
 */
#include "common/ipfix_put.h"

#include <errno.h>

#include "common/ipfix_int.h"
#include "common/ipfix_key.h"

#define LIST_HEAD	4u /* RFC 6313: octet 255 and two of length, semantic */
#define BASIC_HEAD	8u /* element, length, enterprise */
#define BASIC_HEAD_IANA 4u
#define US32_MAX	(UINT32_MAX - 1)

/* A record's texts and lists as this message has them. */
struct put {
	const struct ipfix_cfg *cfg;
	const struct flow_record *r;
	bool lists;
	bool texts;
};

static const uint8_t *member(const struct flow_record *r, unsigned int f)
{
	return (const uint8_t *)r + flow_fields[f].offset;
}

static struct flow_str text_of(const struct put *u, unsigned int f)
{
	struct flow_str s = {"", 0};

	if (u->texts && flow_has(u->r, f))
		memcpy(&s, member(u->r, f), sizeof(s));
	return s;
}

/* ---- lists ---- */

/* The next string of a list in wire form. Return: false: no more, or it is cut. */
static bool next_alpn(struct flow_str wire, uint32_t *at, struct flow_str *ret)
{
	uint32_t len;

	if (*at >= wire.len)
		return false;
	len = (uint8_t)wire.s[*at];
	if (len > wire.len - *at - 1)
		return false;
	*ret = (struct flow_str){wire.s + *at + 1, len};
	*at += 1 + len;
	return true;
}

static uint32_t alpn_size(struct flow_str wire)
{
	uint32_t at = 0, size = LIST_HEAD + BASIC_HEAD;
	struct flow_str s;

	while (next_alpn(wire, &at, &s))
		size += text_size(&s);
	return size;
}

static struct flow_strs strings_of(const struct put *u, unsigned int f)
{
	struct flow_strs l = {NULL, 0};

	if (u->lists && flow_has(u->r, f))
		memcpy(&l, member(u->r, f), sizeof(l));
	return l;
}

static struct flow_queries queries_of(const struct put *u)
{
	struct flow_queries none = {NULL, 0};

	return u->lists && flow_has(u->r, FF_DNS_QUERIES) ? u->r->dns_queries : none;
}

static uint32_t strings_size(const struct put *u, unsigned int f)
{
	const struct flow_strs l = strings_of(u, f);
	uint32_t size = LIST_HEAD + (flow_fields[f].pen ? BASIC_HEAD : BASIC_HEAD_IANA);

	for (uint32_t i = 0; i < l.n; i++)
		size += text_size(&l.v[i]);
	return size;
}

static uint32_t queries_size(struct flow_queries q)
{
	uint32_t size = LIST_HEAD + 2;

	for (uint32_t i = 0; i < q.n; i++)
		size += text_size(&q.v[i].qname) + 2 + 1 + 4;
	return size;
}

/* The length is put in by list_end(). */
static uint8_t *list_begin(uint8_t *p, unsigned int semantic)
{
	p[0] = 255;
	p[3] = (uint8_t)semantic;
	return p + LIST_HEAD;
}

static uint8_t *list_end(uint8_t *start, uint8_t *p)
{
	put16(start + 1, (uint32_t)(p - start - 3));
	return p;
}

/* Elements of our own have the exporter's number. */
static uint8_t *put_basic_head(const struct put *u, uint8_t *p, const struct ipfix_row *row)
{
	put16(p, row->element | (row->pen ? IPFIX_ENTERPRISE : 0));
	put16(p + 2, IPFIX_VARIABLE);
	if (!row->pen)
		return p + BASIC_HEAD_IANA;
	put32(p + 4, u->cfg->pen);
	return p + BASIC_HEAD;
}

static uint8_t *put_alpn(const struct put *u, uint8_t *p, const struct ipfix_row *row)
{
	struct flow_str wire = text_of(u, FF_TLS_ALPN), s;
	uint8_t *start = p;
	uint32_t at = 0;

	p = put_basic_head(u, list_begin(p, LIST_ORDERED), row);
	while (next_alpn(wire, &at, &s))
		p = put_text(p, &s);
	return list_end(start, p);
}

static uint8_t *put_strings(const struct put *u, uint8_t *p, const struct ipfix_row *row)
{
	const struct flow_strs l = strings_of(u, row->field);
	uint8_t *start = p;

	p = put_basic_head(u, list_begin(p, LIST_ALL_OF), row);
	for (uint32_t i = 0; i < l.n; i++)
		p = put_text(p, &l.v[i]);
	return list_end(start, p);
}

static uint64_t us32(uint64_t us, bool known)
{
	return !known ? UINT32_MAX : us < US32_MAX ? us : US32_MAX;
}

static uint8_t *put_queries(const struct put *u, uint8_t *p)
{
	struct flow_queries q = queries_of(u);
	uint8_t *start = p;

	p = list_begin(p, LIST_ORDERED);
	put16(p, IPFIX_ID_QUERY);
	p += 2;
	for (uint32_t i = 0; i < q.n; i++) {
		p = put_text(p, &q.v[i].qname);
		p = put_number(p, q.v[i].qtype, 2);
		p = put_number(p, q.v[i].has_rcode ? q.v[i].rcode : 255, 1);
		p = put_number(p, us32(q.v[i].latency_us, q.v[i].has_latency), 4);
	}
	return list_end(start, p);
}

/* ---- one record ---- */

static uint32_t size_of(const struct put *u, uint32_t groups, bool v6)
{
	static const uint8_t text_fields[] = {FF_TLS_SNI,   FF_HTTP_HOST, FF_HTTP_METHOD,
					      FF_HTTP_PATH, FF_DNS_QNAME, FF_RULE};
	static const uint8_t text_groups[] = {IG_TLS, IG_HTTP, IG_HTTP, IG_HTTP, IG_DNS, IG_POLICY};
	uint32_t size = 0;

	for (unsigned int g = 0; g < _IG_MAX; g++)
		if (groups >> g & 1)
			size += ipfix_group_fixed[g];
	if (v6)
		size += 2 * (16 - 4);
	for (unsigned int i = 0; i < sizeof(text_fields); i++) {
		struct flow_str s;

		if (!(groups >> text_groups[i] & 1))
			continue;
		s = text_of(u, text_fields[i]);
		size += text_size(&s);
	}
	if (groups >> IG_TLS & 1)
		size += alpn_size(text_of(u, FF_TLS_ALPN));
	if (groups >> IG_MORE & 1)
		size += strings_size(u, FF_HTTP_HOSTS) + queries_size(queries_of(u));
	if (groups >> IG_ANSWERS & 1)
		size += strings_size(u, FF_DNS_ANSWERS);
	return size;
}

/* NTP format: seconds since 1900, and a fraction whose last 11 bits are 0 (RFC 7011 6.1.9). */
static uint64_t ntp_time(uint64_t ns)
{
	uint64_t s = ns / 1000000000, us = ns / 1000 % 1000000;
	uint64_t fraction = ((us << 32) + 999999) / 1000000;

	return (s + NTP_UNIX) << 32 | ((fraction + 0x7ff) & 0xfffff800);
}

/* IANA: flowEndReason */
static unsigned int end_reason(uint8_t reason)
{
	static const uint8_t iana[_FLOW_REASON_MAX] = {
		[FLOW_IDLE] = 1,    [FLOW_ACTIVE] = 2,	 [FLOW_END] = 3,
		[FLOW_EVICTED] = 5, [FLOW_SHUTDOWN] = 4,
	};

	return reason < _FLOW_REASON_MAX ? iana[reason] : 0;
}

static unsigned int forwarding(const struct flow_record *r)
{
	static const uint8_t status[_FLOW_VERDICT_MAX] = {
		[FLOW_DROP] = FORWARDING_ACL_DROP,
		[FLOW_LIMIT] = FORWARDING_POLICER,
		[FLOW_REFUSE] = FORWARDING_ACL_DENY,
		[FLOW_WOULD_DROP] = FORWARDING_FORWARDED,
		[FLOW_WOULD_LIMIT] = FORWARDING_FORWARDED,
		[FLOW_WOULD_RESET] = FORWARDING_FORWARDED,
	};

	return flow_has(r, FF_VERDICT) && r->verdict < _FLOW_VERDICT_MAX ? status[r->verdict] : 0;
}

static uint64_t segment(const struct flow_record *r)
{
	const uint64_t vxlan = 1; /* IANA: layer2SegmentId's types */
	bool is = flow_has(r, FF_VNI) && flow_has(r, FF_TUNNEL_TYPE) && r->tunnel_type == 1;

	return is ? vxlan << 56 | r->vni : 0;
}

static uint64_t out_flags(const struct flow_record *r)
{
	/* a record that does not tell directions apart */
	return r->out.tcp_flags | r->in.tcp_flags ? r->out.tcp_flags : r->tcp_flags;
}

/* A member as it stands. */
static uint64_t plain(const struct flow_record *r, const struct ipfix_row *row)
{
	static const uint8_t width[_IE_MAX] = {
		[IE_U8] = 1, [IE_U16] = 2, [IE_U32] = 4, [IE_U64] = 8, [IE_US32] = 8};
	const uint8_t *p = member(r, row->field);
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	switch (width[row->encoding]) {
	case 1:
		return *p;
	case 2:
		memcpy(&v16, p, sizeof(v16));
		return v16;
	case 4:
		memcpy(&v32, p, sizeof(v32));
		return v32;
	default:
		memcpy(&v64, p, sizeof(v64));
		return v64;
	}
}

/* Encodings that are no member as it stands. */
static uint64_t special(const struct flow_record *r, const struct ipfix_row *row)
{
	switch (row->encoding) {
	case IE_STARTMS:
		return r->start_ns / 1000000;
	case IE_ENDMS:
		return r->end_ns / 1000000;
	case IE_IFINDEX:
		return r->ifindex;
	case IE_TYPECODE:
		return (uint64_t)r->icmp_type << 8 | r->icmp_code;
	case IE_REASON:
		return end_reason(r->reason);
	case IE_OUTFLAGS:
		return flow_has(r, FF_TCP_FLAGS) ? out_flags(r) : 0;
	case IE_INFLAGS:
		return flow_has(r, FF_TCP_FLAGS) ? r->in.tcp_flags : 0;
	case IE_FORWARDING:
		return forwarding(r);
	case IE_VLAN0:
		return flow_has(r, FF_VLAN) ? r->vlan[0] : 0;
	case IE_VLAN1:
		return flow_has(r, FF_VLAN) ? r->vlan[1] : 0;
	default: /* IE_SEGMENT */
		return segment(r);
	}
}

static uint64_t number_of(const struct flow_record *r, const struct ipfix_row *row)
{
	const bool has = row->field != IPFIX_NO_FIELD && flow_has(r, row->field);

	switch (row->encoding) {
	case IE_TIME:
		return ntp_time(row->field == FF_START ? r->start_ns : r->end_ns);
	case IE_U8:
	case IE_U16:
	case IE_U32:
	case IE_U64:
		return has ? plain(r, row) : 0;
	case IE_US32:
		return us32(plain(r, row), has);
	case IE_VNI:
		return has ? r->vni : UINT32_MAX;
	case IE_RCODE:
		return has ? r->dns_rcode : 255;
	case IE_DIRECTION:
		return has ? r->direction : 255;
	default:
		return special(r, row);
	}
}

static uint8_t *put_ip(const struct put *u, uint8_t *p, const struct ipfix_row *row, bool v6)
{
	const bool whole = v6 || row->encoding == IE_IP16;
	const uint32_t len = whole ? 16 : 4;

	if (flow_has(u->r, row->field))
		memcpy(p, member(u->r, row->field) + 16 - len, len);
	else
		memset(p, 0, len);
	return p + len;
}

static uint8_t *put_row(const struct put *u, uint8_t *p, const struct ipfix_row *row, bool v6)
{
	struct flow_str s;

	switch (row->encoding) {
	case IE_IP:
	case IE_IP16:
		return put_ip(u, p, row, v6);
	case IE_STRING:
		s = text_of(u, row->field);
		return put_text(p, &s);
	case IE_ALPN:
		return put_alpn(u, p, row);
	case IE_STRINGS:
		return put_strings(u, p, row);
	case IE_QUERIES:
		return put_queries(u, p);
	default:
		return put_number(p, number_of(u->r, row), row->len);
	}
}

static int put_record(const struct put *u, struct ipfix_msg *m)
{
	const uint32_t key = ipfix_key(u->r);
	const uint32_t groups = ipfix_groups(u->cfg, key);
	const bool v6 = ipfix_key_v6(key);
	uint8_t *p = ipfix_room(m, ipfix_flow_id(u->cfg, key), size_of(u, groups, v6));

	if (!p)
		return -ENOSPC;
	for (uint32_t left = groups; left; left &= left - 1) {
		const unsigned int g = (unsigned int)__builtin_ctz(left);

		for (unsigned int i = ipfix_group_at[g]; i < ipfix_group_at[g + 1]; i++)
			p = put_row(u, p, &ipfix_rows[i], v6);
	}
	if (m->used)
		m->used->bits[key / 64] |= UINT64_C(1) << key % 64;
	m->records++;
	return 0;
}

/* ---- one flow ---- */

static void turn_round(const struct flow_record *r, struct flow_record *ret)
{
	static const struct {
		uint8_t to, from;
	} pairs[] = {
		{FF_OUT_RETRANSMITS, FF_IN_RETRANSMITS},
		{FF_OUT_OUT_OF_ORDER, FF_IN_OUT_OF_ORDER},
		{FF_OUT_ZERO_WINDOWS, FF_IN_ZERO_WINDOWS},
		{FF_OUT_TTL_MIN, FF_IN_TTL_MIN},
		{FF_OUT_TTL_MAX, FF_IN_TTL_MAX},
		{FF_OUT_DSCP, FF_IN_DSCP},
		{FF_OUT_COPIED_PACKETS, FF_IN_COPIED_PACKETS},
		{FF_OUT_COPIED_BYTES, FF_IN_COPIED_BYTES},
	};

	*ret = *r;
	memcpy(ret->src_ip, r->dst_ip, 16);
	memcpy(ret->dst_ip, r->src_ip, 16);
	ret->src_port = r->dst_port;
	ret->dst_port = r->src_port;
	ret->out = r->in;
	ret->in = r->out;
	ret->direction = !r->direction;
	for (unsigned int i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const unsigned int to = pairs[i].to;

		ret->present[to / 64] &= ~(UINT64_C(1) << to % 64);
		if (flow_has(r, pairs[i].from))
			flow_set(ret, to);
	}
}

/* What is of the connection is told once, on the way there. */
static void forget_names(struct flow_record *r)
{
	for (unsigned int f = FF_TLS_SNI; f <= FF_DROPPED_BYTES; f++)
		r->present[f / 64] &= ~(UINT64_C(1) << f % 64);
}

static int put_both(const struct put *u, struct ipfix_msg *m)
{
	const struct ipfix_msg before = *m;
	struct flow_record back;
	struct put v = *u;
	int r = 0;

	if (u->cfg->form & IPFIX_FORM_BIFLOW || !u->r->in.packets)
		return put_record(u, m);
	turn_round(u->r, &back);
	v.r = &back;
	if (u->r->out.packets) {
		forget_names(&back);
		r = put_record(u, m);
	}
	r = r ?: put_record(&v, m);
	if (r)
		ipfix_back(m, &before);
	return r;
}

int ipfix_put_flow(const struct ipfix_cfg *cfg, struct ipfix_msg *m, const struct flow_record *r)
{
	struct put u = {.cfg = cfg, .r = r, .lists = true, .texts = true};
	int e = put_both(&u, m);

	if (!e || m->len > IPFIX_HEADER)
		return e;
	u.lists = false;
	if (!put_both(&u, m))
		return 1;
	u.texts = false;
	return put_both(&u, m) ? -EMSGSIZE : 1;
}
