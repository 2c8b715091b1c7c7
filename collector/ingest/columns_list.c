// SPDX-License-Identifier: Apache-2.0
/*
 * columns_list.c - texts, lists (RFC 6313) and elements that have no column; see columns.h. There is
 * room for the text of all of them (COLUMNS_TEXT).
 */
#include <string.h>

#include "collector/ingest/columns_int.h"
#include "common/ipfix_int.h"

#define SEPARATOR  0x1f
#define LISTED_MAX 64u
#define BASIC_OWN  9u /* octets before the elements, where these are an enterprise's */

/* A name is seldom longer than 32 octets: two copies of half of that, which may overlap, take no call. */
static inline void copy_text(char *to, const uint8_t *p, uint32_t len)
{
	if (len > 32 || len < 8) {
		memcpy(to, p, len);
	} else if (len < 16) {
		memcpy(to, p, 8);
		memcpy(to + len - 8, p + len - 8, 8);
	} else {
		memcpy(to, p, 16);
		memcpy(to + len - 16, p + len - 16, 16);
	}
}

/* Texts of variable length, which no column has too long; see block_put_text(). */
static void fill_texts(const struct fill *f, const struct template_op *op)
{
	const size_t first = (size_t)(op->anchor - 1) * f->r->stride;
	struct block_str *to = BLOCK_COLUMN(f->b, struct block_str, op->to) + f->row;
	uint32_t at = f->b->text_len;

	for (uint32_t i = 0; i < f->r->n; i++) {
		const uint32_t len = f->r->len[first + i];

		if (!len)
			continue;
		copy_text(f->b->text + at, f->r->end[first + i] - len, len);
		to[i] = (struct block_str){.at = at, .len = len};
		at += len;
		fill_valid(f, op->to, i, true);
	}
	if (at != f->b->text_len)
		fill_used(f, op->to);
	f->b->text_len = at;
}

void fill_strings(const struct fill *f, const struct template_op *op)
{
	if (op->len == TEMPLATE_VARIABLE) {
		fill_texts(f, op);
		return;
	}
	for (uint32_t i = 0; i < f->r->n; i++) {
		uint32_t len;
		const uint8_t *p = fill_value(f, op, i, &len);

		/* filled up with zeros */
		while (len && !p[len - 1])
			len--;
		if (len)
			block_put_text(f->b, op->to, f->row + i, p, len);
	}
}

/* ---- elements without a column: PEN.ELEMENT=HEX ---- */

static char *put_decimal(char *p, uint32_t v)
{
	char s[10];
	unsigned int n = 0;

	do {
		s[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	while (n)
		*p++ = s[--n];
	return p;
}

static char *put_hex(char *p, const uint8_t *v, uint32_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (uint32_t i = 0; i < len; i++) {
		*p++ = digits[v[i] >> 4];
		*p++ = digits[v[i] & 15];
	}
	return p;
}

#define UNKNOWN_HEAD 18u /* two numbers, point, equals sign, separator */

static void put_unknown(const struct fill *f, const struct template_op *op, uint32_t i)
{
	struct block_str *to = &BLOCK_COLUMN(f->b, struct block_str, BC_UNKNOWN)[f->row + i];
	const bool more = block_is_valid(f->b, BC_UNKNOWN, f->row + i);
	uint32_t len, at = more ? to->at : f->b->text_len;
	const uint8_t *v = fill_value(f, op, i, &len);
	char *p = f->b->text + f->b->text_len;

	/* what a value can't hold, and what the arena can't, is left out */
	if (!len || UNKNOWN_HEAD + 2 * len > BLOCK_TEXT - f->b->text_len ||
	    f->b->text_len - at + UNKNOWN_HEAD + 2 * len > BLOCK_STR_MAX)
		return;
	if (more)
		*p++ = SEPARATOR;
	p = put_decimal(p, op->pen);
	*p++ = '.';
	p = put_decimal(p, op->element);
	*p++ = '=';
	p = put_hex(p, v, len);
	f->b->text_len = (uint32_t)(p - f->b->text);
	*to = (struct block_str){.at = at, .len = f->b->text_len - at};
	block_set_valid(f->b, BC_UNKNOWN, f->row + i);
}

/* Row by row: a row's text must stand together. */
void fill_unknown(const struct fill *f)
{
	for (uint32_t i = 0; i < f->r->n; i++)
		for (unsigned int k = 0; k < f->t->ops_n; k++)
			if (f->t->ops[k].kind == EK_UNKNOWN)
				put_unknown(f, &f->t->ops[k], i);
}

/* ---- lists ---- */

struct basic {
	uint32_t pen;
	uint16_t element;
	uint16_t len;
	struct cursor8 c;
};

/* RFC 6313 section 4.5.1 */
static bool begin_basic(const uint8_t *p, uint32_t len, struct basic *ret)
{
	if (len < 5)
		return false;
	*ret = (struct basic){.element = (uint16_t)get16(p + 1),
			      .len = (uint16_t)get16(p + 3),
			      .c = {p + 5, p + len}};
	if (!(ret->element & IPFIX_ENTERPRISE))
		return ret->len;
	if (len < 9)
		return false;
	ret->element &= (uint16_t)~IPFIX_ENTERPRISE;
	ret->pen = get32(p + 5);
	ret->c.p = p + 9;
	return ret->len;
}

/* Column of a list of texts. Return: _BC_MAX: none. */
static unsigned int list_column(const struct fill *f, const struct basic *l)
{
	if (!l->pen && l->element == flow_fields[FF_HTTP_HOSTS].element)
		return BC_HTTP_HOSTS;
	if (l->pen && l->pen == f->cfg->own_pen && l->element == flow_fields[FF_TLS_ALPN].element)
		return BC_TLS_ALPN;
	if (l->pen && l->pen == f->cfg->own_pen &&
	    l->element == flow_fields[FF_DNS_ANSWERS].element)
		return BC_DNS_ANSWERS;
	return _BC_MAX;
}

static void put_listed(const struct fill *f, unsigned int to, uint32_t i, struct basic *l)
{
	struct flow_str v[LISTED_MAX];
	struct flow_strs list = {v, 0};
	struct ipfix_value value;

	while (list.n < LISTED_MAX && l->c.p < l->c.end && !ipfix_read_value(&l->c, l->len, &value))
		v[list.n++] = (struct flow_str){(const char *)value.p, value.len};
	if (list.n)
		block_put_list(f->b, to, f->row + i, &list);
}

/* Return: it has a column, and nothing in it. */
static bool fill_basic_list(const struct fill *f, uint32_t i, const struct template_op *op,
			    const uint8_t *p, uint32_t len)
{
	struct basic l;
	unsigned int to;

	if (!begin_basic(p, len, &l))
		return false;
	to = list_column(f, &l);
	if (to == _BC_MAX) {
		put_unknown(f, op, i);
		return false;
	}
	if (l.c.p == l.c.end)
		return true;
	put_listed(f, to, i, &l);
	return false;
}

void fill_basic_lists(const struct fill *f, const struct template_op *op)
{
	const uint8_t *empty = NULL; /* the last one that was: most are, and have the same octets */

	for (uint32_t i = 0; i < f->r->n; i++) {
		uint32_t len;
		const uint8_t *p = fill_value(f, op, i, &len);

		if (len == BASIC_OWN && empty && !memcmp(p, empty, BASIC_OWN))
			continue;
		if (fill_basic_list(f, i, op, p, len) && len == BASIC_OWN)
			empty = p;
	}
}

static void query_value(struct flow_query *q, const struct template_field *f,
			const struct ipfix_value *v)
{
	const uint64_t n = v->len <= 8 ? get_number(v->p, v->len) : 0;

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

/* Return: false: the list ends in the middle of a query. */
static bool read_query(struct cursor8 *c, const struct template *t, struct flow_query *q)
{
	struct ipfix_value v;

	memset(q, 0, sizeof(*q));
	for (unsigned int k = 0; k < t->n; k++) {
		if (ipfix_read_value(c, t->f[k].len, &v))
			return false;
		query_value(q, &t->f[k], &v);
	}
	return true;
}

/* Are a list's records queries? */
static bool has_names(const struct template *t)
{
	for (unsigned int k = 0; t && k < t->n; k++)
		if (t->f[k].pen == IPFIX_PEN_CERT &&
		    t->f[k].element == ipfix_query_fields[0].element)
			return true;
	return false;
}

/* RFC 6313 section 4.5.2 */
static void fill_query_list(const struct fill *f, const struct template_op *op, uint32_t i)
{
	struct flow_query v[FLOW_QUERIES_MAX];
	struct flow_queries q = {v, 0};
	uint32_t len;
	const uint8_t *p = fill_value(f, op, i, &len);
	struct cursor8 c = {p + 3, p + len};
	const struct template *t = NULL;

	if (len < 3)
		return;
	if (f->cfg->templates)
		t = template_find(f->cfg->templates, (uint16_t)get16(p + 1));
	if (!has_names(t)) {
		if (len > 3)
			put_unknown(f, op, i);
		return;
	}
	while (q.n < FLOW_QUERIES_MAX && c.p < c.end && read_query(&c, t, &v[q.n]))
		q.n++;
	if (q.n)
		block_put_queries(f->b, f->row + i, &q);
}

void fill_queries(const struct fill *f, const struct template_op *op)
{
	for (uint32_t i = 0; i < f->r->n; i++)
		fill_query_list(f, op, i);
}
