// SPDX-License-Identifier: Apache-2.0
/*
 * block_flow.c - a flow record as a row of a block, lists as text and back; see block.h.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "collector/block_int.h"
#include "common/num_text.h"

/* Text written piece by piece at the end of the arena; nothing is kept unless it all fits. */
struct writer {
	struct block *b;
	uint32_t from;
	int error;
};

static void write_bytes(struct writer *w, const char *s, uint32_t len)
{
	struct block_str at;

	if (!w->error && w->b->text_len + len - w->from > BLOCK_STR_MAX)
		w->error = -EMSGSIZE;
	if (!w->error)
		w->error = block_text(w->b, s, len, &at);
}

/* A separator within the text would end it early. */
static void write_text(struct writer *w, const struct flow_str *s)
{
	uint32_t done = 0;

	for (uint32_t i = 0; i < s->len; i++) {
		if (s->s[i] != LIST_SEPARATOR && s->s[i] != QUERY_SEPARATOR)
			continue;
		write_bytes(w, s->s + done, i - done);
		write_bytes(w, "\xef\xbf\xbd", 3);
		done = i + 1;
	}
	write_bytes(w, s->s + done, s->len - done);
}

static void write_char(struct writer *w, char c)
{
	write_bytes(w, &c, 1);
}

static int write_end(struct writer *w, enum block_column c, uint32_t row)
{
	if (w->error) {
		w->b->text_len = w->from;
		return w->error;
	}
	BLOCK_COLUMN(w->b, struct block_str, c)
	[row] = (struct block_str){.at = w->from, .len = w->b->text_len - w->from};
	block_set_valid(w->b, c, row);
	return 0;
}

int block_put_list(struct block *b, enum block_column c, uint32_t row, const struct flow_strs *l)
{
	struct writer w = {.b = b, .from = b->text_len};

	for (uint32_t i = 0; i < l->n; i++) {
		if (i)
			write_char(&w, LIST_SEPARATOR);
		write_text(&w, &l->v[i]);
	}
	return write_end(&w, c, row);
}

static void write_number(struct writer *w, bool has, uint64_t n)
{
	char s[U64_TEXT];

	write_char(w, QUERY_SEPARATOR);
	if (has)
		write_bytes(w, s, (uint32_t)u64_text(n, s));
}

int block_put_queries(struct block *b, uint32_t row, const struct flow_queries *q)
{
	struct writer w = {.b = b, .from = b->text_len};

	for (uint32_t i = 0; i < q->n; i++) {
		const struct flow_query *one = &q->v[i];

		if (i)
			write_char(&w, LIST_SEPARATOR);
		write_text(&w, &one->qname);
		write_number(&w, true, one->qtype);
		write_number(&w, one->has_rcode, one->rcode);
		write_number(&w, one->has_latency, one->latency_us);
	}
	return write_end(&w, BC_DNS_QUERIES, row);
}

/* Members that a column takes as they are. */
static const struct {
	uint8_t field;
	uint8_t column;
} plain[] = {
#define SAME(id)                 \
	{                        \
		FF_##id, BC_##id \
	}
	SAME(SRC_PORT),
	SAME(DST_PORT),
	SAME(PROTO),
	SAME(ETHERTYPE),
	SAME(OUT_PACKETS),
	SAME(OUT_BYTES),
	SAME(OUT_RETRANSMITS),
	SAME(OUT_OUT_OF_ORDER),
	SAME(OUT_ZERO_WINDOWS),
	SAME(OUT_TTL_MIN),
	SAME(OUT_TTL_MAX),
	SAME(OUT_DSCP),
	SAME(IN_PACKETS),
	SAME(IN_BYTES),
	SAME(IN_RETRANSMITS),
	SAME(IN_OUT_OF_ORDER),
	SAME(IN_ZERO_WINDOWS),
	SAME(IN_TTL_MIN),
	SAME(IN_TTL_MAX),
	SAME(IN_DSCP),
	SAME(TCP_FLAGS),
	SAME(STATE),
	SAME(ICMP_TYPE),
	SAME(ICMP_CODE),
	SAME(TLS_VERSION),
	SAME(TLS_OFFERED),
	SAME(TLS_ECH),
	SAME(DNS_QTYPE),
	SAME(DNS_RCODE),
	SAME(DNS_LATENCY_US),
	SAME(QUIC_VERSION),
	SAME(NO_NAME),
	SAME(RTT_CLIENT_US),
	SAME(RTT_SERVER_US),
	SAME(RESPONSE_US),
	SAME(VNI),
	SAME(TUNNEL_TYPE),
	SAME(SAMPLING),
	SAME(REASON),
	SAME(VERDICT),
	SAME(DROPPED_PACKETS),
	SAME(DROPPED_BYTES),
	SAME(IDS_SID),
	SAME(IDS_SEVERITY),
	SAME(OUT_COPIED_PACKETS),
	SAME(OUT_COPIED_BYTES),
	SAME(IN_COPIED_PACKETS),
	SAME(IN_COPIED_BYTES),
	SAME(DIRECTION),
};

static const struct {
	uint8_t field;
	uint8_t column;
} texts[] = {
	SAME(TLS_SNI), SAME(HTTP_HOST),	    SAME(HTTP_METHOD),	SAME(HTTP_PATH),  SAME(DNS_QNAME),
	SAME(RULE),    SAME(IDS_SIGNATURE), SAME(IDS_CATEGORY), SAME(IDS_ACTION),
};

static const struct {
	uint8_t field;
	uint8_t column; /* the upper half */
} addresses[] = {
	{FF_SRC_IP, BC_SRC_HI},
	{FF_DST_IP, BC_DST_HI},
	{FF_TUNNEL_SRC, BC_TUNNEL_SRC_HI},
};

static const char *member(const struct flow_record *r, enum flow_field f)
{
	return (const char *)r + flow_fields[f].offset;
}

static void add_times(struct block *b, const struct flow_record *r, uint32_t row)
{
	if (flow_has(r, FF_START)) {
		BLOCK_COLUMN(b, int64_t, BC_START)[row] = (int64_t)(r->start_ns / 1000);
		block_set_valid(b, BC_START, row);
	}
	BLOCK_COLUMN(b, int64_t, BC_END)[row] = (int64_t)(r->end_ns / 1000);
	block_set_valid(b, BC_END, row);
	if (flow_has(r, FF_IDS_TIME)) {
		BLOCK_COLUMN(b, int64_t, BC_IDS_TIME)[row] = (int64_t)(r->ids_time_ns / 1000);
		block_set_valid(b, BC_IDS_TIME, row);
	}
}

static void add_numbers(struct block *b, const struct flow_record *r, uint32_t row)
{
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		enum block_column c = plain[i].column;
		uint32_t size = block_columns[c].size;

		if (!flow_has(r, plain[i].field))
			continue;
		memcpy((char *)b->data[c] + (size_t)row * size, member(r, plain[i].field), size);
		block_set_valid(b, c, row);
	}
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		if (flow_has(r, addresses[i].field))
			block_put_ip(b, addresses[i].column, row,
				     (const uint8_t *)member(r, addresses[i].field));
	}
	for (unsigned int i = 0; i < FLOW_VLANS_MAX && flow_has(r, FF_VLAN) && r->vlan[i]; i++) {
		BLOCK_COLUMN(b, uint16_t, BC_VLAN + i)[row] = r->vlan[i];
		block_set_valid(b, BC_VLAN + i, row);
	}
	if (r->ifindex) {
		BLOCK_COLUMN(b, uint32_t, BC_IN_IF)[row] = r->ifindex;
		block_set_valid(b, BC_IN_IF, row);
	}
}

static int add_alpn(struct block *b, const struct flow_record *r, uint32_t row)
{
	struct flow_str v[UINT8_MAX];
	struct flow_strs l = {.v = v};
	const struct flow_str *a = &r->tls_alpn;

	for (uint32_t i = 0; i < a->len && l.n < UINT8_MAX;) {
		uint32_t len = (uint8_t)a->s[i++];

		if (len > a->len - i)
			len = a->len - i;
		v[l.n++] = (struct flow_str){.s = a->s + i, .len = len};
		i += len;
	}
	return block_put_list(b, BC_TLS_ALPN, row, &l);
}

static int add_texts(struct block *b, const struct flow_record *r, uint32_t row)
{
	int e = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && !e; i++) {
		const struct flow_str *s = (const void *)member(r, texts[i].field);

		if (flow_has(r, texts[i].field))
			e = block_put_text(b, texts[i].column, row, s->s, s->len);
	}
	if (!e && flow_has(r, FF_TLS_ALPN))
		e = add_alpn(b, r, row);
	if (!e && flow_has(r, FF_HTTP_HOSTS))
		e = block_put_list(b, BC_HTTP_HOSTS, row, &r->http_hosts);
	if (!e && flow_has(r, FF_DNS_ANSWERS))
		e = block_put_list(b, BC_DNS_ANSWERS, row, &r->dns_answers);
	if (!e && flow_has(r, FF_SEEN_ON))
		e = block_put_list(b, BC_SEEN_ON, row, &r->seen_on);
	if (!e && flow_has(r, FF_DNS_QUERIES))
		e = block_put_queries(b, row, &r->dns_queries);
	return e;
}

void block_drop_row(struct block *b, uint32_t row)
{
	for (unsigned int c = 0; c < _BC_MAX; c++)
		b->valid[c][row / 64] &= ~(UINT64_C(1) << (row % 64));
}

int block_add_flow(struct block *b, const struct flow_record *r, uint32_t exporter)
{
	uint32_t row = b->rows, text_len = b->text_len;
	int e;

	if (row == BLOCK_ROWS)
		return -ENOSPC;
	e = add_texts(b, r, row);
	if (e) {
		block_drop_row(b, row);
		b->text_len = text_len;
		return e;
	}
	add_times(b, r, row);
	add_numbers(b, r, row);
	BLOCK_COLUMN(b, uint32_t, BC_EXPORTER)[row] = exporter;
	block_set_valid(b, BC_EXPORTER, row);
	b->rows++;
	return 0;
}

/* ---- reading ---- */

static uint32_t split(const char *s, uint32_t len, char separator, struct flow_str *v, uint32_t max)
{
	const char *end = s + len;
	uint32_t n = 0;

	while (n < max) {
		const char *p = memchr(s, separator, (size_t)(end - s));

		v[n++] = (struct flow_str){.s = s, .len = (uint32_t)((p ? p : end) - s)};
		if (!p)
			break;
		s = p + 1;
	}
	return n;
}

uint32_t block_list(const char *text, uint32_t len, struct flow_str *v, uint32_t max)
{
	return len ? split(text, len, LIST_SEPARATOR, v, max) : 0;
}

/* Decimal digits; false: none, or something else. */
static bool number(const struct flow_str *s, uint64_t *ret)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->len; i++) {
		if (s->s[i] < '0' || s->s[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(s->s[i] - '0');
	}
	*ret = n;
	return s->len > 0;
}

uint32_t block_queries(const char *text, uint32_t len, struct flow_query *q, uint32_t max)
{
	const char *end = text + len;
	uint32_t n = 0;

	while (len && n < max) {
		const char *p = memchr(text, LIST_SEPARATOR, (size_t)(end - text));
		struct flow_str v[4] = {0};
		uint64_t type = 0, rcode = 0, latency = 0;

		split(text, (uint32_t)((p ? p : end) - text), QUERY_SEPARATOR, v, 4);
		q[n] = (struct flow_query){.qname = v[0]};
		if (number(&v[1], &type))
			q[n].qtype = (uint16_t)type;
		q[n].has_rcode = number(&v[2], &rcode);
		q[n].rcode = (uint16_t)rcode;
		q[n].has_latency = number(&v[3], &latency);
		q[n++].latency_us = latency;
		if (!p)
			break;
		text = p + 1;
	}
	return n;
}

static void get_ip(uint8_t ip[16], const struct block *b, enum block_column hi, uint32_t row)
{
	const uint64_t v[2] = {htobe64(BLOCK_COLUMN(b, const uint64_t, hi)[row]),
			       htobe64(BLOCK_COLUMN(b, const uint64_t, hi + 1)[row])};

	memcpy(ip, v, sizeof(v));
}

static bool has(const struct block *b, enum block_column c, uint32_t row)
{
	return block_is_used(b, c) && block_is_valid(b, c, row);
}

bool block_get_tuple(const struct block *b, uint32_t row, struct flow_record *r)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (!has(b, BC_SRC_HI, row) || !has(b, BC_DST_HI, row) || !has(b, BC_PROTO, row))
		return false;
	get_ip(r->src_ip, b, BC_SRC_HI, row);
	get_ip(r->dst_ip, b, BC_DST_HI, row);
	r->present[0] = r->present[1] = 0;
	r->family = memcmp(r->src_ip, mapped, sizeof(mapped)) ? 6 : 4;
	r->proto = BLOCK_COLUMN(b, const uint8_t, BC_PROTO)[row];
	flow_set(r, FF_SRC_IP);
	flow_set(r, FF_DST_IP);
	flow_set(r, FF_PROTO);
	if (has(b, BC_SRC_PORT, row) && has(b, BC_DST_PORT, row)) {
		r->src_port = BLOCK_COLUMN(b, const uint16_t, BC_SRC_PORT)[row];
		r->dst_port = BLOCK_COLUMN(b, const uint16_t, BC_DST_PORT)[row];
		flow_set(r, FF_SRC_PORT);
		flow_set(r, FF_DST_PORT);
	}
	if (has(b, BC_ICMP_TYPE, row)) {
		r->icmp_type = BLOCK_COLUMN(b, const uint8_t, BC_ICMP_TYPE)[row];
		flow_set(r, FF_ICMP_TYPE);
	}
	if (has(b, BC_ICMP_CODE, row)) {
		r->icmp_code = BLOCK_COLUMN(b, const uint8_t, BC_ICMP_CODE)[row];
		flow_set(r, FF_ICMP_CODE);
	}
	return true;
}
