/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block.h - flows on their way from a decoder to the store: up to BLOCK_ROWS of them, column at a
 * time, of any exporters. Blocks come from a fixed pool, go through one queue to the store's writer
 * and return to the pool. A decoder that gets none (-ENOBUFS) counts a loss (UDP) or waits (TCP).
 *
 * A block belongs to one thread at a time: whoever got it, then, once sent, the writer. Columns that
 * nobody touches cost nothing: neither memory nor time.
 */
#ifndef WEIR_COLLECTOR_BLOCK_H
#define WEIR_COLLECTOR_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/flow.h"

#define BLOCK_ROWS	8192u
#define BLOCK_WORDS	(BLOCK_ROWS / 64u) /* of a validity bitmap */
#define BLOCK_MARKS_MAX 512u
#define BLOCK_TEXT	(4u << 20) /* octets of the arena */
#define BLOCK_STR_MAX	65535u

enum block_column {
#define COLUMN(id, ...) BC_##id,
#include "collector/columns.def"
#undef COLUMN
	_BC_MAX
};

enum block_type {
	BT_U8,
	BT_U16,
	BT_U32,
	BT_U64,
	BT_TIME, /* int64_t, microseconds since 1970 UTC */
	BT_STR,	 /* struct block_str */
};

/* Where the store keeps a column; see columns.def. */
enum block_part {
	BP_MAIN,
	BP_FLAGS,
	BP_HOPS,
	BP_HELLO,
	BP_PLACE,
	BP_GEO,
	BP_ASN,
	BP_DNS,
	BP_WEB,
	BP_COUNT,
	BP_MORE,
	_BP_MAX
};

struct block_str {
	uint32_t at; /* in block.text */
	uint32_t len;
};

/* One row of columns.def. */
struct block_column_info {
	const char *name;
	const char *doc;
	uint8_t type; /* enum block_type */
	uint8_t size; /* octets of a value */
	uint8_t part; /* enum block_part */
};

extern const struct block_column_info block_columns[_BC_MAX];

/*
 * What a block covers of an exporter's numbering: records [from, to) of @stream (number of
 * store_exporter()) in numbering @epoch (what tells numberings of one stream apart: RFC 7011's
 * systemInitTimeMilliseconds, a connection's start, ... ; 0: there is none to acknowledge). When
 * everything up to and including this block is durable, the store reports @to for (stream, epoch).
 * Numbers are 64 bits, unwrapped by the decoder.
 */
struct block_mark {
	uint32_t stream;
	uint32_t rows; /* flows of it in this block */
	uint64_t epoch;
	uint64_t from;
	uint64_t to;
};

struct block {
	uint32_t rows;
	uint32_t marks_n;
	uint32_t text_len;
	bool more; /* rows of it have their mark in a later block: durable together or not at all */
	uint32_t holders;		    /* of the pool: who has yet to give it back */
	uint64_t used[(_BC_MAX + 63) / 64]; /* columns with a valid row */
	void *data[_BC_MAX];		    /* BLOCK_ROWS values of the column's type */
	uint64_t *valid[_BC_MAX];	    /* BLOCK_WORDS */
	struct block_mark *marks;	    /* BLOCK_MARKS_MAX */
	char *text;			    /* BLOCK_TEXT */
	struct block *next;		    /* of the pool */
};

/* ---- filling ---- */

#define BLOCK_COLUMN(b, type, col) ((type *)(b)->data[col])

static inline bool block_is_used(const struct block *b, enum block_column c)
{
	return b->used[c / 64] >> (c % 64) & 1;
}

static inline bool block_is_valid(const struct block *b, enum block_column c, uint32_t row)
{
	return b->valid[c][row / 64] >> (row % 64) & 1;
}

/* Row @row of column @c has a value. */
static inline void block_set_valid(struct block *b, enum block_column c, uint32_t row)
{
	b->used[c / 64] |= UINT64_C(1) << (c % 64);
	b->valid[c][row / 64] |= UINT64_C(1) << (row % 64);
}

/* Rows [@row, @row + @n) have one. */
static inline void block_set_valid_range(struct block *b, enum block_column c, uint32_t row,
					 uint32_t n)
{
	uint64_t *v = b->valid[c] + row / 64;
	const uint32_t end = row + n, last = end / 64 - row / 64;
	const uint64_t first = UINT64_MAX << row % 64, behind = UINT64_MAX << end % 64;

	if (!n)
		return;
	b->used[c / 64] |= UINT64_C(1) << (c % 64);
	v[0] |= last ? first : first & ~behind;
	for (uint32_t i = 1; i < last; i++)
		v[i] = UINT64_MAX;
	if (last && end % 64)
		v[last] |= ~behind;
}

/**
 * block_text - copy text into the arena
 * @ret: where it is; may be the value of many rows of this block
 *
 * Texts that are no UTF-8 may be given: the store replaces what is not, octet by octet, by U+FFFD.
 * Return: 0; -ENOSPC: the arena is full, send this block and take another; -EMSGSIZE: longer than
 *         BLOCK_STR_MAX.
 */
int block_text(struct block *b, const void *s, uint32_t len, struct block_str *ret);

/* Text as the value of a row. Return: as block_text(). */
int block_put_text(struct block *b, enum block_column c, uint32_t row, const void *s, uint32_t len);

/* An address of 16 octets into the column pair that begins with @hi. */
void block_put_ip(struct block *b, enum block_column hi, uint32_t row, const uint8_t ip[static 16]);

/* An IPv4 address, host order. */
void block_put_ip4(struct block *b, enum block_column hi, uint32_t row, uint32_t ip);

/* A list; 0x1f within an element becomes U+FFFD. Return: as block_text(). */
int block_put_list(struct block *b, enum block_column c, uint32_t row, const struct flow_strs *l);

/* dns.queries. Return: as block_text(). */
int block_put_queries(struct block *b, uint32_t row, const struct flow_queries *q);

/**
 * block_add_flow - a flow record as the next row
 * @exporter: number of store_exporter()
 *
 * For paths that need no speed; node, labels and iface are of the exporter, not of the row. in_if is
 * @r->ifindex.
 * Return: 0; -ENOSPC: the block is full, send it and take another.
 */
int block_add_flow(struct block *b, const struct flow_record *r, uint32_t exporter);

/* Forget what was set of a row that is not to be. */
void block_drop_row(struct block *b, uint32_t row);

/**
 * block_mark - rows were added that cover [@m->from, @m->to) of a numbering
 *
 * Continues the stream's last mark of this block where it can.
 * Return: 0; -ENOSPC: no room for another mark, send the block first.
 */
int block_mark(struct block *b, const struct block_mark *m);

/* ---- reading ---- */

/* The elements of a list value, at most @max into @v. Return: how many. */
uint32_t block_list(const char *text, uint32_t len, struct flow_str *v, uint32_t max);

/* Queries of a dns_queries value, at most @max into @q. Return: how many. */
uint32_t block_queries(const char *text, uint32_t len, struct flow_query *q, uint32_t max);

/*
 * What tells the flow of a row from others, into @r, of whose other members nothing is touched: addresses,
 * family, protocol, and ports or ICMP's type and code where it has them. Return: false: it is not IP.
 */
bool block_get_tuple(const struct block *b, uint32_t row, struct flow_record *r);

/* ---- pool and queue: any thread ---- */

struct block_pool;

/* @blocks: how many there are; each takes up to about 5 MB when all its columns are used. */
struct block_pool *block_pool_new(uint32_t blocks);
struct block_pool *block_pool_free(struct block_pool *p); /* returns NULL; all blocks are back */

/* An empty block, or NULL: all are in use. */
struct block *block_get(struct block_pool *p);

/* The same, waiting up to @timeout_ms. */
struct block *block_get_wait(struct block_pool *p, uint32_t timeout_ms);

/*
 * For another reader beside the writer, before it is sent: nobody changes it from then on, and it is
 * free when both have given it back.
 */
void block_share(struct block_pool *p, struct block *b);

/* Back into the pool, unsent or read. */
void block_put(struct block_pool *p, struct block *b);

/* To the writer, in order; empty blocks with marks too. Never waits. */
void block_send(struct block_pool *p, struct block *b);

/**
 * block_receive - the next block that was sent
 *
 * Return: NULL after @timeout_ms, or at once when the pool is closed and nothing is left.
 * Thread: writer.
 */
struct block *block_receive(struct block_pool *p, uint32_t timeout_ms);

/* No more will be sent: block_receive() returns what there is, then NULL. */
void block_close(struct block_pool *p);
bool block_closed(struct block_pool *p);

struct block_pool_stats {
	uint32_t blocks;
	uint32_t free;
	uint32_t queued; /* sent, not received yet */
	uint64_t sent;
	uint64_t refused; /* block_get() had none */
};

void block_pool_stats(struct block_pool *p, struct block_pool_stats *ret);

#endif
