// SPDX-License-Identifier: Apache-2.0
#include "collector/query/flow_row.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "collector/query/cell.h"
#include "collector/query/column.h"
#include "common/flow_text.h"

#define ALPN_MAX 1024u

struct flow_row {
	struct flow_record r;
	struct flow_str lists[FLOW_LISTS][256];
	struct flow_query queries[FLOW_QUERIES_MAX];
	char alpn[ALPN_MAX];
};

struct flow_row *flow_row_new(void)
{
	return calloc(1, sizeof(struct flow_row));
}

void flow_row_free(struct flow_row *f)
{
	free(f);
}

void flow_row_columns(struct flow_source_cfg *source)
{
	for (int f = 0; f < _FF_MAX; f++)
		column_use(source, (enum flow_field)f);
	flow_source_add(source, FS_ID);
	flow_source_add(source, BC_END);
}

static bool is_pair(enum flow_field f)
{
	return query_columns[f].kind == CK_IP || query_columns[f].kind == CK_VLAN;
}

void flow_row_select(struct bound *s)
{
	bound_add(s, "end_us, flow_id");
	for (int f = 0; f < _FF_MAX; f++) {
		if (query_columns[f].kind == CK_COMPUTED)
			continue;
		bound_add(s, ", %s", column_name((enum flow_field)f));
		if (is_pair((enum flow_field)f))
			bound_add(s, ", %s", column_lower((enum flow_field)f));
	}
}

/* ---- members ---- */

static void *member(struct flow_record *r, enum flow_field f)
{
	return (char *)r + flow_fields[f].offset;
}

static void set_number(struct flow_record *r, enum flow_field f, uint64_t v)
{
	const uint32_t v32 = (uint32_t)v;
	const uint16_t v16 = (uint16_t)v;
	const uint8_t v8 = (uint8_t)v;

	if (flow_fields[f].type == FT_TIME)
		v *= 1000;
	switch (flow_number_width(flow_fields[f].type)) {
	case 8:
		memcpy(member(r, f), &v, sizeof(v));
		break;
	case 4:
		memcpy(member(r, f), &v32, sizeof(v32));
		break;
	case 2:
		memcpy(member(r, f), &v16, sizeof(v16));
		break;
	case 1:
		memcpy(member(r, f), &v8, sizeof(v8));
		break;
	}
	flow_set(r, f);
}

static void set_ip(struct flow_record *r, enum flow_field f, uint64_t hi, uint64_t lo)
{
	uint8_t *ip = member(r, f);

	if (f == FF_SRC_IP || f == FF_DST_IP)
		r->family = !hi && lo >> 32 == 0xffff ? 4 : 6;
	hi = htobe64(hi);
	lo = htobe64(lo);
	memcpy(ip, &hi, 8);
	memcpy(ip + 8, &lo, 8);
	flow_set(r, f);
}

static void set_alpn(struct flow_row *x, struct flow_str list)
{
	struct flow_str v[64];
	const uint32_t n = block_list(list.s, list.len, v, 64);
	uint32_t at = 0;

	for (uint32_t i = 0; i < n; i++) {
		const uint32_t len = v[i].len < 255 ? v[i].len : 255;

		if (at + len + 1 > ALPN_MAX)
			break;
		x->alpn[at++] = (char)len;
		memcpy(x->alpn + at, v[i].s, len);
		at += len;
	}
	x->r.tls_alpn = (struct flow_str){x->alpn, at};
	flow_set(&x->r, FF_TLS_ALPN);
}

static void set_list(struct flow_row *x, enum flow_field f, struct flow_str list)
{
	if (f == FF_TLS_ALPN) {
		set_alpn(x, list);
		return;
	}
	for (unsigned int i = 0; i < FLOW_LISTS; i++) {
		if (flow_lists[i] != f)
			continue;
		*flow_list(&x->r, i) = (struct flow_strs){
			x->lists[i], block_list(list.s, list.len, x->lists[i], 256)};
		flow_set(&x->r, f);
	}
}

static void set_text(struct flow_row *x, enum flow_field f, struct flow_str s)
{
	switch (query_columns[f].kind) {
	case CK_TEXT:
		memcpy(member(&x->r, f), &s, sizeof(s));
		flow_set(&x->r, f);
		break;
	case CK_LIST:
		set_list(x, f, s);
		break;
	case CK_QUERIES:
		x->r.dns_queries = (struct flow_queries){
			x->queries, block_queries(s.s, s.len, x->queries, FLOW_QUERIES_MAX)};
		flow_set(&x->r, f);
		break;
	default:
		break;
	}
}

/* ---- a row ---- */

static void read_pair(struct flow_record *r, enum flow_field f, const struct answer_cell *a,
		      const struct answer_cell *b)
{
	if (query_columns[f].kind == CK_IP) {
		if (b->kind)
			set_ip(r, f, a->u, b->u);
		return;
	}
	r->vlan[0] = (uint16_t)a->u;
	r->vlan[1] = b->kind ? (uint16_t)b->u : 0;
	flow_set(r, f);
}

/* Return: columns taken. */
static uint32_t read_member(struct flow_row *x, enum flow_field f, const struct store_result *r,
			    uint32_t column, uint32_t row)
{
	struct answer_cell a, b;
	struct store_value v;

	if (is_pair(f)) {
		if (cell_number(r, column, row, &a)) {
			cell_number(r, column + 1, row, &b);
			read_pair(&x->r, f, &a, &b);
		}
		return 2;
	}
	if (query_columns[f].kind == CK_NUMBER || query_columns[f].kind == CK_TIME) {
		if (cell_number(r, column, row, &a))
			set_number(&x->r, f, a.u);
	} else if (store_get(r, column, row, &v)) {
		set_text(x, f, v.s);
	}
	return 1;
}

const struct flow_record *flow_row_read(struct flow_row *x, const struct store_result *r,
					uint32_t row, int64_t *ret_end_us, uint64_t *ret_number)
{
	uint32_t column = 2;
	struct answer_cell c;

	memset(&x->r, 0, sizeof(x->r));
	cell_number(r, 0, row, &c);
	*ret_end_us = (int64_t)c.u;
	cell_number(r, 1, row, &c);
	*ret_number = c.u;
	for (int f = 0; f < _FF_MAX; f++)
		if (query_columns[f].kind != CK_COMPUTED)
			column += read_member(x, (enum flow_field)f, r, column, row);
	if (x->r.family)
		flow_set(&x->r, FF_COMMUNITY_ID);
	return &x->r;
}
