// SPDX-License-Identifier: Apache-2.0
/*
 * block.c - columns, arena and marks of a block; see block.h. The pool is in block_pool.c.
 */
#include "collector/block.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "collector/block_int.h"

#define TYPE_SIZE_U8   1
#define TYPE_SIZE_U16  2
#define TYPE_SIZE_U32  4
#define TYPE_SIZE_U64  8
#define TYPE_SIZE_TIME 8
#define TYPE_SIZE_STR  sizeof(struct block_str)

const struct block_column_info block_columns[_BC_MAX] = {
#define COLUMN(id, name_, type_, part_, doc_) \
	[BC_##id] = {                         \
		.name = #name_,               \
		.doc = doc_,                  \
		.type = BT_##type_,           \
		.size = TYPE_SIZE_##type_,    \
		.part = BP_##part_,           \
	},
#include "collector/columns.def"
#undef COLUMN
};

int block_text(struct block *b, const void *s, uint32_t len, struct block_str *ret)
{
	if (len > BLOCK_STR_MAX)
		return -EMSGSIZE;
	if (len > BLOCK_TEXT - b->text_len)
		return -ENOSPC;
	if (len)
		memcpy(b->text + b->text_len, s, len);
	*ret = (struct block_str){.at = b->text_len, .len = len};
	b->text_len += len;
	return 0;
}

int block_put_text(struct block *b, enum block_column c, uint32_t row, const void *s, uint32_t len)
{
	int r = block_text(b, s, len, &BLOCK_COLUMN(b, struct block_str, c)[row]);

	if (!r)
		block_set_valid(b, c, row);
	return r;
}

void block_put_ip(struct block *b, enum block_column hi, uint32_t row, const uint8_t ip[static 16])
{
	uint64_t half[2];

	memcpy(half, ip, sizeof(half));
	BLOCK_COLUMN(b, uint64_t, hi)[row] = be64toh(half[0]);
	BLOCK_COLUMN(b, uint64_t, hi + 1)[row] = be64toh(half[1]);
	block_set_valid(b, hi, row);
	block_set_valid(b, hi + 1, row);
}

void block_put_ip4(struct block *b, enum block_column hi, uint32_t row, uint32_t ip)
{
	BLOCK_COLUMN(b, uint64_t, hi)[row] = 0;
	BLOCK_COLUMN(b, uint64_t, hi + 1)[row] = UINT64_C(0xffff00000000) | ip;
	block_set_valid(b, hi, row);
	block_set_valid(b, hi + 1, row);
}

int block_mark(struct block *b, const struct block_mark *m)
{
	for (uint32_t i = b->marks_n; i-- > 0;) {
		struct block_mark *old = &b->marks[i];

		if (old->stream != m->stream)
			continue;
		if (old->epoch != m->epoch || old->to != m->from)
			break;
		old->to = m->to;
		old->rows += m->rows;
		return 0;
	}
	if (b->marks_n == BLOCK_MARKS_MAX)
		return -ENOSPC;
	b->marks[b->marks_n++] = *m;
	return 0;
}
