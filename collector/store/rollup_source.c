// SPDX-License-Identifier: Apache-2.0
/*
 * rollup_source.c - FROM clauses over roll-ups: rows of their tables, what is in finer tables and
 * not yet in theirs or at the uneven ends of a range, and raw flows that are in none. See schema.h.
 *
 * What is not written is told by the table `windows`, in the same snapshot: nothing counts twice
 * when a window is written meanwhile.
 */
#include <errno.h>
#include <stdlib.h>

#include "collector/store/rollup.h"
#include "collector/store/source.h"

#define MARGIN_S 3600 /* of age: what is that close to its end may be removed before it is read */

/* How a roll-up is made of rows of a table, or of raw flows `f`. */
static const struct {
	uint8_t dim;	   /* of rollup_1m ...; 0: a table of its own */
	const char *table; /* of its own */
	const char *key;   /* of a row of the table */
	const char *raw;   /* the same of a raw flow */
	const char *names; /* of those columns */
} by[_RB_MAX] = {
	[RB_TOTAL] = {RD_INTERFACE, NULL, "0::UBIGINT", "0::UBIGINT", "key"},
	[RB_NODE] = {RD_INTERFACE, NULL, "key >> 32", "f.exporter::UBIGINT", "key"},
	[RB_EXPORTER] = {RD_INTERFACE, NULL, "key >> 32", "f.exporter::UBIGINT", "key"},
	[RB_INTERFACE] = {RD_INTERFACE, NULL, "key",
			  "(f.exporter::UBIGINT * 4294967296 + coalesce(f.in_if, 0))::UBIGINT",
			  "key"},
	[RB_PROTO] = {RD_SERVICE, NULL, "key >> 16", "coalesce(f.proto, 256)::UBIGINT", "key"},
	[RB_SERVICE] = {RD_SERVICE, NULL, "key", "f.service::UBIGINT", "key"},
	[RB_ZONE] = {RD_ZONE, NULL, "key",
		     "(coalesce(f.src_zone, 0) * 65536::UBIGINT + coalesce(f.dst_zone, 0))::UBIGINT",
		     "key"},
	[RB_HOST] = {0, "rollup_host", "other, hi, lo, peers", NULL, "other, hi, lo, peers"},
	[RB_PAIR] = {0, "rollup_pair", "other, src_hi, src_lo, dst_hi, dst_lo",
		     "false, coalesce(f.src_hi, 0), coalesce(f.src_lo, 0), coalesce(f.dst_hi, 0), "
		     "coalesce(f.dst_lo, 0)",
		     "other, src_hi, src_lo, dst_hi, dst_lo"},
	[RB_NAME] = {0, "rollup_name", "other, name",
		     "false, coalesce(f.tls_sni, f.http_host, f.dns_qname)", "other, name"},
};

/* What every raw flow adds to a roll-up: the columns of ROLLUP_SUMS. */
#define OUT_P "coalesce(f.out_packets, 0)"
#define OUT_B "coalesce(f.out_bytes, 0)"
#define IN_P  "coalesce(f.in_packets, 0)"
#define IN_B  "coalesce(f.in_bytes, 0)"
#define RATE  "greatest(coalesce(f.sampling, 1), 1)::UBIGINT"
#define EST   "(" OUT_P " + " IN_P ") * " RATE ", (" OUT_B " + " IN_B ") * " RATE

struct part {
	const struct rollup_cfg *cfg;
	struct store *s;
	int64_t from_s, to_s; /* whole windows within the range */
	const char *between;
};

static void begin_part(struct from *q, struct part *p)
{
	from_add(q, "%s", p->between);
	p->between = " UNION ALL ";
}

static const char *table_of(uint32_t step)
{
	return step == ROLLUP_1M ? "rollup_1m" : step == ROLLUP_5M ? "rollup_5m" : "rollup_1h";
}

/* The part of [from, to) that open windows of @levels (a bit for each) are about. */
static bool open_range(const struct part *p, uint32_t levels, struct flow_range *ret)
{
	int64_t from, to;

	if (!rollup_open(p->s->rollup, levels, &from, &to))
		return false;
	from = from < p->from_s ? p->from_s : from;
	to = to > p->to_s ? p->to_s : to;
	if (from >= to)
		return false;
	*ret = (struct flow_range){.from_us = from * 1000000, .to_us = to * 1000000};
	return true;
}

/* Rows of the table of @step. */
static void add_table(struct from *q, struct part *p, uint32_t step)
{
	enum rollup_by b = p->cfg->by;
	const char *table = by[b].dim ? table_of(step) : by[b].table;

	begin_part(q, p);
	if (step == p->cfg->step)
		from_add(q, "SELECT t.ts");
	else
		from_add(q, "SELECT t.ts // %u * %u", p->cfg->step, p->cfg->step);
	from_add(q, ", %s, " ROLLUP_SUMS " FROM %s t", by[b].key, table);
}

static void add_table_where(struct from *q, struct part *p, int64_t from_s, int64_t to_s)
{
	from_add(q, " WHERE t.ts >= %lld AND t.ts < %lld", (long long)from_s, (long long)to_s);
	if (by[p->cfg->by].dim)
		from_add(q, " AND t.dim = %u", by[p->cfg->by].dim);
}

/*
 * Rows of the table of @step that no window of @level has yet. Which these are `windows` says; what is open now,
 * what they are made of too, says where to look: it may be written before the query reads.
 */
static void add_table_open(struct from *q, struct part *p, uint32_t step, enum rollup_level level)
{
	const uint32_t levels = 1u << RL_1M | 1u << RL_5M | (level == RL_1H) << RL_1H;
	const int64_t span = step;
	struct flow_range range;

	if (!open_range(p, levels, &range))
		return;
	/* a row begins before what it is made of */
	range.from_us -= range.from_us % (span * 1000000);
	add_table(q, p, step);
	from_add(q,
		 " JOIN windows w ON w.level = %u AND w.ts = t.ts // %u * %u AND t.batch >= "
		 "w.from_batch",
		 level, rollup_span[level], rollup_span[level]);
	add_table_where(q, p, range.from_us / 1000000, range.to_us / 1000000);
}

static void add_raw_columns(struct flow_source_cfg *c, enum rollup_by b)
{
	static const uint16_t all[] = {BC_END,	    BC_EXPORTER,    BC_IN_IF,	  BC_PROTO,
				       BC_SAMPLING, BC_OUT_PACKETS, BC_OUT_BYTES, BC_IN_PACKETS,
				       BC_IN_BYTES, FS_ID};
	static const uint16_t hosts[] = {BC_SRC_HI, BC_SRC_LO, BC_DST_HI, BC_DST_LO};
	static const uint16_t names[] = {BC_TLS_SNI, BC_HTTP_HOST, BC_DNS_QNAME};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		flow_source_add(c, all[i]);
	for (size_t i = 0; (b == RB_HOST || b == RB_PAIR) && i < 4; i++)
		flow_source_add(c, hosts[i]);
	for (size_t i = 0; b == RB_NAME && i < 3; i++)
		flow_source_add(c, names[i]);
	if (b == RB_SERVICE)
		flow_source_add(c, FS_SERVICE);
	if (b == RB_ZONE) {
		flow_source_add(c, BC_SRC_ZONE);
		flow_source_add(c, BC_DST_ZONE);
	}
}

static void add_from(struct from *q, struct part *p, const struct flow_range *range, bool open)
{
	enum rollup_level level = by[p->cfg->by].dim ? RL_1M : RL_HOST;
	struct flow_source_cfg c = {.range = *range};

	add_raw_columns(&c, p->cfg->by);
	from_add(q, " FROM ");
	source_add(q, p->s, &c);
	from_add(q, " f");
	if (open)
		from_add(q,
			 " JOIN windows w ON w.level = %u AND w.ts = f.end_us // %u000000 * %u AND "
			 "f.flow_id >= w.from_batch::UBIGINT << 32",
			 level, rollup_span[level], rollup_span[level]);
	if (p->cfg->by == RB_ZONE)
		from_add(q, " WHERE coalesce(f.src_zone, 0) + coalesce(f.dst_zone, 0) > 0");
	else if (p->cfg->by == RB_NAME)
		from_add(q, " WHERE coalesce(f.tls_sni, f.http_host, f.dns_qname) IS NOT NULL");
}

/* Raw flows of a range; @open: only those that no roll-up has yet. A host is of both ends. */
static void add_raw(struct from *q, struct part *p, const struct flow_range *range, bool open)
{
	uint32_t step = p->cfg->step;

	begin_part(q, p);
	if (p->cfg->by != RB_HOST) {
		from_add(q,
			 "SELECT f.end_us // %u000000 * %u, %s, 1::UBIGINT, " OUT_P ", " OUT_B
			 ", " IN_P ", " IN_B ", " EST,
			 step, step, by[p->cfg->by].raw);
		add_from(q, p, range, open);
		return;
	}
	from_add(
		q,
		"SELECT f.end_us // %u000000 * %u, false, coalesce(f.src_hi, 0), coalesce(f.src_lo, 0), "
		"NULL::UINTEGER, 1::UBIGINT, " OUT_P ", " OUT_B ", " IN_P ", " IN_B ", " EST,
		step, step);
	add_from(q, p, range, open);
	from_add(q,
		 " UNION ALL SELECT f.end_us // %u000000 * %u, false, coalesce(f.dst_hi, 0), "
		 "coalesce(f.dst_lo, 0), NULL::UINTEGER, 1::UBIGINT, " IN_P ", " IN_B ", " OUT_P
		 ", " OUT_B ", " EST,
		 step, step);
	add_from(q, p, range, open);
}

/* Whole windows of @step, from p->from_s to p->to_s. */
static void add_whole(struct from *q, struct part *p, uint32_t step)
{
	enum rollup_level level = by[p->cfg->by].dim ? RL_1M : RL_HOST;
	struct flow_range raw;

	add_table(q, p, step);
	add_table_where(q, p, p->from_s, p->to_s);
	if (level == RL_1M && step == ROLLUP_1H)
		add_table_open(q, p, ROLLUP_5M, RL_1H);
	if (level == RL_1M && step >= ROLLUP_5M)
		add_table_open(q, p, ROLLUP_1M, RL_5M);
	if (open_range(p, 1u << level, &raw))
		add_raw(q, p, &raw, true);
}

/* A finer step whose windows in @range are still there; 0: raw flows. */
static uint32_t finer(const struct part *p, uint32_t step, const struct flow_range *range)
{
	const struct store_cfg *c = &p->s->cfg;
	const int64_t age_s = store_wall_s() - range->from_us / 1000000 + MARGIN_S;

	if (!by[p->cfg->by].dim)
		return 0;
	if (step == ROLLUP_1H && age_s < (int64_t)c->keep_5m_s)
		return ROLLUP_5M;
	return step > ROLLUP_1M && age_s < (int64_t)c->keep_1m_s ? ROLLUP_1M : 0;
}

/* What is in @range: of windows of @step as far as they are wholly in it, its uneven ends of what is finer. */
static void add_range(struct from *q, struct part *p, const struct flow_range *range, uint32_t step)
{
	const int64_t span = (int64_t)step * 1000000;
	struct flow_range head = *range, tail = *range;

	if (range->from_us == range->to_us)
		return;
	if (!step) {
		add_raw(q, p, range, false);
		return;
	}
	head.to_us = (range->from_us + span - 1) / span * span;
	tail.from_us = range->to_us / span * span;
	if (head.to_us >= tail.from_us) {
		add_range(q, p, range, finer(p, step, range));
		return;
	}
	p->from_s = head.to_us / 1000000;
	p->to_s = tail.from_us / 1000000;
	add_whole(q, p, step);
	add_range(q, p, &head, finer(p, step, &head));
	add_range(q, p, &tail, finer(p, step, &tail));
}

static void add_parts(struct from *q, struct part *p)
{
	const struct rollup_cfg *c = p->cfg;

	if (c->range.from_us < c->range.to_us)
		add_range(q, p, &c->range, c->step);
	else
		add_raw(q, p, &c->range, false);
}

static const char *label_joins(enum rollup_by b, const char **ret_label)
{
	switch (b) {
	case RB_NODE:
	case RB_EXPORTER:
		*ret_label = "nullif(x.name, '')";
		return " LEFT JOIN exporters x ON x.id = t.key";
	case RB_INTERFACE:
		*ret_label = "coalesce(nullif(x.name, '') || '/', '') || "
			     "coalesce(i.name, (t.key & 4294967295)::VARCHAR)";
		return " LEFT JOIN exporters x ON x.id = t.key >> 32 LEFT JOIN interfaces i ON i.stream = "
		       "x.stream AND i.idx = t.key & 4294967295";
	case RB_ZONE:
		*ret_label = "coalesce(zs.name, '') || ' > ' || coalesce(zd.name, '')";
		return " LEFT JOIN zones zs ON zs.id = t.key >> 16 LEFT JOIN zones zd ON zd.id = t.key & "
		       "65535";
	default:
		*ret_label = NULL;
		return "";
	}
}

/* Exporter and node are columns of the exporter's row; its number is that of one version of it. */
static const char *key_text(enum rollup_by b)
{
	return b == RB_NODE ? "x.node::UBIGINT" : b == RB_EXPORTER ? "x.stream::UBIGINT" : "t.key";
}

static void add_outer(struct from *q, struct part *p)
{
	enum rollup_by b = p->cfg->by;
	const char *label, *joins = label_joins(b, &label);

	if (!by[b].dim) {
		from_add(q, "(SELECT ts, %s, " ROLLUP_SUMS " FROM (", by[b].names);
		add_parts(q, p);
		from_add(q, ") t(ts, %s, " ROLLUP_SUMS "))", by[b].names);
		return;
	}
	from_add(q, "(SELECT t.ts, false AS other, %s AS key, %s AS label", key_text(b),
		 label ? label : "NULL::VARCHAR");
	if (b == RB_EXPORTER)
		from_add(q, ", x.hi, x.lo");
	from_add(q, ", " ROLLUP_SUMS " FROM (");
	add_parts(q, p);
	from_add(q, ") t(ts, key, " ROLLUP_SUMS ")%s)", joins);
}

int store_rollup(struct store *s, const struct rollup_cfg *cfg, char **ret)
{
	struct part p = {.cfg = cfg, .s = s, .between = ""};
	struct from q;

	if (cfg->step != ROLLUP_5M &&
	    (!by[cfg->by].dim || (cfg->step != ROLLUP_1M && cfg->step != ROLLUP_1H)))
		return -EINVAL;
	from_begin(&q);
	add_outer(&q, &p);
	return from_end(&q, ret);
}
