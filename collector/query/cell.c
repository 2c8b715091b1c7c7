// SPDX-License-Identifier: Apache-2.0
#include "collector/query/cell.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "collector/query/column.h"
#include "common/flow_text.h"
#include "common/num_text.h"

bool cell_number(const struct store_result *r, uint32_t column, uint32_t row,
		 struct answer_cell *ret)
{
	struct store_value v;

	*ret = (struct answer_cell){};
	if (!store_get(r, column, row, &v))
		return false;
	switch (v.type) {
	case ST_U64:
		*ret = (struct answer_cell){.kind = AK_U64, .u = v.u};
		return true;
	case ST_I64:
		*ret = (struct answer_cell){.kind = AK_U64, .u = v.i > 0 ? (uint64_t)v.i : 0};
		return true;
	case ST_F64:
		*ret = (struct answer_cell){.kind = AK_F64, .f = v.f};
		return true;
	case ST_TIME:
		*ret = (struct answer_cell){.kind = AK_TIME, .us = v.i};
		return true;
	default:
		return false;
	}
}

static struct answer_cell text_cell(const char *text, size_t len)
{
	return (struct answer_cell){.kind = AK_TEXT, .s = {text, (uint32_t)len}};
}

static void ip_cell(const struct cell_at *at, const struct spec_by *by, struct answer_cell *ret,
		    char *buf)
{
	struct answer_cell hi, lo;
	uint8_t ip[16];
	uint64_t half;
	size_t len;
	bool v4;

	*ret = (struct answer_cell){};
	if (!cell_number(at->r, at->column, at->row, &hi) ||
	    !cell_number(at->r, at->column + 1, at->row, &lo))
		return;
	half = htobe64(hi.u);
	memcpy(ip, &half, 8);
	half = htobe64(lo.u);
	memcpy(ip + 8, &half, 8);
	v4 = !hi.u && lo.u >> 32 == 0xffff;
	len = ip_text(ip, 0, buf);
	if (by->prefix4 != SPEC_NO_PREFIX)
		len += (size_t)snprintf(buf + len, CELL_TEXT - len, "/%u",
					(unsigned int)(v4 ? by->prefix4 : by->prefix6));
	*ret = text_cell(buf, len);
}

enum answer_kind cell_key_kind(const struct spec_by *by)
{
	const enum flow_type t = flow_fields[by->field].type;

	return t == FT_TIME ? AK_TIME : flow_type_number(t) ? AK_U64 : AK_TEXT;
}

uint32_t cell_key(const struct cell_at *at, const struct spec_by *by, struct answer_cell *ret,
		  char *buf)
{
	const enum flow_type t = flow_fields[by->field].type;
	struct store_value v;
	const char *word;

	if (t == FT_IP) {
		ip_cell(at, by, ret, buf);
		return 2;
	}
	if (t == FT_STR) {
		*ret = (struct answer_cell){};
		if (store_get(at->r, at->column, at->row, &v))
			*ret = text_cell(v.s.s, v.s.len);
		return 1;
	}
	if (!cell_number(at->r, at->column, at->row, ret))
		return 1;
	if (t == FT_TIME) {
		ret->kind = AK_TIME;
		ret->us = (int64_t)ret->u;
	} else if (!flow_type_number(t)) {
		word = flow_word(t, ret->u, buf);
		*ret = text_cell(word, strlen(word));
	}
	return 1;
}
