// SPDX-License-Identifier: Apache-2.0
/*
 * columns_number.c - numbers and times of a set's records into their columns, and at the same time which
 * of them are values; see columns.h. One loop for each length that is usual.
 */
#include "collector/ingest/columns_int.h"

#include "common/ipfix_int.h"

#define NTP_FRACTION 32

static inline uint64_t at_most(uint64_t v, uint64_t max)
{
	return v < max ? v : max;
}

/*
 * NAME(f, op): column op->to of each record is @value, and has one where @is; both may use p, the octets
 * of the record's field, the latter v. From the last row of a word of the bitmap to its first: so bits are
 * shifted in at the lower end, which a processor adds with its carry.
 */
#define DEFINE_FILL(name, type, value, is)                                         \
	static void name(const struct fill *f, const struct template_op *op)       \
	{                                                                          \
		type *to = BLOCK_COLUMN(f->b, type, op->to);                       \
		const uint8_t *const *base = fill_base(f, op);                     \
		const uint32_t from = f->row, end = from + f->r->n, off = op->off; \
		uint64_t any = 0;                                                  \
                                                                                   \
		for (uint32_t row = from; row < end;) {                            \
			const uint32_t next = (row | 63) + 1;                      \
			const uint32_t stop = next < end ? next : end;             \
			uint64_t bits = 0;                                         \
                                                                                   \
			for (uint32_t i = stop; i-- > row;) {                      \
				const uint8_t *p = base[i - from] + off;           \
				const type v = value;                              \
                                                                                   \
				to[i] = v;                                         \
				bits += bits + (uint64_t)(is);                     \
			}                                                          \
			bits <<= row % 64;                                         \
			f->b->valid[op->to][row / 64] |= bits;                     \
			any |= bits;                                               \
			row = stop;                                                \
		}                                                                  \
		if (any)                                                           \
			fill_used(f, op->to);                                      \
	}

/* The same for columns of which each record has a value. */
#define DEFINE_FILL_ALL(name, type, value)                                   \
	static void name(const struct fill *f, const struct template_op *op) \
	{                                                                    \
		type *to = BLOCK_COLUMN(f->b, type, op->to) + f->row;        \
		const uint8_t *const *base = fill_base(f, op);               \
		const uint32_t n = f->r->n, off = op->off;                   \
                                                                             \
		for (uint32_t i = 0; i < n; i++) {                           \
			const uint8_t *p = base[i] + off;                    \
                                                                             \
			to[i] = value;                                       \
		}                                                            \
		block_set_valid_range(f->b, op->to, f->row, n);              \
	}

/* ---- numbers ---- */

/* A number too large for its column is its largest. */
#define DEFINE_NUMBERS(type, max)                                                           \
	DEFINE_FILL_ALL(all_##type, type, (type)fill_load(p, sizeof(type)))                 \
	DEFINE_FILL_ALL(all4_##type, type, (type)at_most(fill_load(p, 4), max))             \
	DEFINE_FILL_ALL(alln_##type, type, (type)at_most(get_number(p, op->len), max))      \
	DEFINE_FILL(some_##type, type, (type)fill_load(p, sizeof(type)), v != 0)            \
	DEFINE_FILL(some4_##type, type, (type)at_most(fill_load(p, 4), max), v != 0)        \
	DEFINE_FILL(somen_##type, type, (type)at_most(get_number(p, op->len), max), v != 0) \
	static void number_##type(const struct fill *f, const struct template_op *op)       \
	{                                                                                   \
		const bool all = op->kind == EK_NUMBER;                                     \
                                                                                            \
		if (op->len == sizeof(type))                                                \
			(all ? all_##type : some_##type)(f, op);                            \
		else if (op->len == 4)                                                      \
			(all ? all4_##type : some4_##type)(f, op);                          \
		else                                                                        \
			(all ? alln_##type : somen_##type)(f, op);                          \
	}
DEFINE_NUMBERS(uint8_t, UINT8_MAX)
DEFINE_NUMBERS(uint16_t, UINT16_MAX)
DEFINE_NUMBERS(uint32_t, UINT32_MAX)
DEFINE_NUMBERS(uint64_t, UINT64_MAX)

void fill_number(const struct fill *f, const struct template_op *op)
{
	switch (block_columns[op->to].size) {
	case 1:
		number_uint8_t(f, op);
		break;
	case 2:
		number_uint16_t(f, op);
		break;
	case 4:
		number_uint32_t(f, op);
		break;
	default:
		number_uint64_t(f, op);
	}
}

void fill_ttl(const struct fill *f, const struct template_op *op)
{
	struct template_op max = *op;

	fill_number(f, op);
	max.to++;
	fill_number(f, &max);
}

/* All ones, or 255, stand for what is absent. */
DEFINE_FILL(us32, uint64_t, fill_load(p, 4), v != UINT32_MAX)
DEFINE_FILL(usn, uint64_t, get_number(p, op->len), v != UINT32_MAX)
DEFINE_FILL(vni, uint32_t, (uint32_t)at_most(get_number(p, op->len), UINT32_MAX), v != UINT32_MAX)
DEFINE_FILL(rcode, uint16_t, (uint16_t)at_most(get_number(p, op->len), UINT16_MAX), v != UINT8_MAX)

void fill_or_none(const struct fill *f, const struct template_op *op)
{
	if (op->kind == EK_US32)
		(op->len == 4 ? us32 : usn)(f, op);
	else if (op->kind == EK_VNI)
		vni(f, op);
	else
		rcode(f, op);
}

/* ---- numbers that a small change makes the column's ---- */

DEFINE_FILL(tos, uint8_t, (uint8_t)(fill_load(p, op->len) & 0xff) >> 2, v != 0)
DEFINE_FILL(label, uint32_t, (uint32_t)(fill_load(p, op->len) >> 4 & 0xfffff), v != 0)

/* IANA: layer2SegmentId's first octet is its type, 1 = VXLAN */
static inline uint32_t segment_id(uint64_t v)
{
	return v >> 56 ? (uint32_t)(v & 0xffffff) : 0;
}

DEFINE_FILL(segment, uint32_t, segment_id(fill_load(p, op->len)), v != 0)

void fill_changed(const struct fill *f, const struct template_op *op)
{
	if (op->kind == EK_TOS)
		tos(f, op);
	else if (op->kind == EK_LABEL)
		label(f, op);
	else
		segment(f, op);
}

/* The lower octet: the header's eight flags. */
DEFINE_FILL(flags, uint8_t, p[op->len - 1], v != 0)
DEFINE_FILL(more_flags, uint8_t, to[i] | p[op->len - 1], v != 0)

void fill_flags(const struct fill *f, const struct template_op *op)
{
	const bool more = op->kind == EK_IN_FLAGS && template_has(f->t, BC_TCP_FLAGS);
	struct template_op to = *op;

	to.to = BC_TCP_FLAGS;
	(more ? more_flags : flags)(f, &to);
}

static inline uint8_t reason_of(uint64_t v)
{
	/* IANA: flowEndReason */
	static const uint8_t ours[] = {
		[1] = FLOW_IDLE,     [2] = FLOW_ACTIVE,	 [3] = FLOW_END,
		[4] = FLOW_SHUTDOWN, [5] = FLOW_EVICTED,
	};

	return v < sizeof(ours) ? ours[v] : 0;
}

DEFINE_FILL(reason, uint8_t, reason_of(p[0]), v != 0)
DEFINE_FILL(reasonn, uint8_t, reason_of(get_number(p, op->len)), v != 0)

void fill_reason(const struct fill *f, const struct template_op *op)
{
	(op->len == 1 ? reason : reasonn)(f, op);
}

/* ---- times ---- */

static inline int64_t ntp_us(const uint8_t *p)
{
	const uint64_t v = fill_load(p, 8), fraction = (uint32_t)v;
	/* NTP's era ends in 2036: seconds before 1970 are those of the next one */
	const uint32_t s = (uint32_t)(v >> NTP_FRACTION) - (uint32_t)NTP_UNIX;

	return (int64_t)((uint64_t)s * 1000000 + (fraction * 1000000 >> NTP_FRACTION));
}

/* Return: 0: not known. */
static int64_t time_us(const struct columns_cfg *cfg, uint8_t kind, uint64_t v)
{
	const uint64_t far = (uint64_t)INT64_MAX / 1000000;

	if (kind == EK_BEFORE_US)
		return cfg->export_us - (int64_t)(uint32_t)v;
	if (v > far)
		return 0;
	if (kind == EK_MILLI)
		return (int64_t)v * 1000;
	if (kind == EK_SECONDS)
		return (int64_t)v * 1000000;
	if (cfg->uptime32)
		return cfg->export_us - (int64_t)(int32_t)(cfg->uptime - (uint32_t)v) * 1000;
	return cfg->boot_known ? cfg->boot_us + (int64_t)v * 1000 : 0;
}

DEFINE_FILL(ntp, int64_t, ntp_us(p), v != 0)
DEFINE_FILL(times, int64_t, time_us(f->cfg, op->kind, fill_load(p, op->len)), v != 0)

void fill_time(const struct fill *f, const struct template_op *op)
{
	(op->kind == EK_NTP ? ntp : times)(f, op);
}
